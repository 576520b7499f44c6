"""A review at work: worklist, saved reviews and pictures together, as the page asks for them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mammo_monai.records import LESION_LABELS
from mammo_monai.schema.model_line import model_line, names_model
from mammo_monai.service.review.export import KINDS, export_reviews
from mammo_monai.service.review.marks import ImageReview, ReviewError, fresh_review, review_json
from mammo_monai.service.review.pixels import MAX_LEVEL, GreyImage, PixelCache
from mammo_monai.service.review.shown_points import ShownPoint, first_threshold, shown_points
from mammo_monai.service.review.store import ReviewStore
from mammo_monai.service.review.worklist import ReviewImage, Worklist, reason_of

Json = dict[str, Any]


@dataclass(frozen=True, eq=False)
class ReviewSession:
    """What the page can ask for; every answer is JSON or grey values, none names a file or a patient.

    Attributes:
        threshold: score from which marks are shown at first. points: other places of the slider.
        shows_patients: patient ids are told.
    """

    worklist: Worklist
    store: ReviewStore
    pixels: PixelCache
    threshold: float
    points: tuple[ShownPoint, ...] = ()
    shows_patients: bool = False

    def overview(self) -> Json:
        """The worklist with what is known and done of each image."""
        scores = [float(s) for image in self.worklist.images for s in image.detections.scores]
        return {
            "images": [self._row(n, image) for n, image in enumerate(self.worklist.images)],
            "labels": dict(LESION_LABELS),
            "threshold": self.threshold,
            "points": [asdict(each) for each in self.points],
            "score_range": [min([0.0, *scores]), max([1.0, *scores])],
            "model": str(self.worklist.model.get("bundle") or self.worklist.model.get("name") or ""),
            "made_by": model_line(self.worklist.model) if names_model(self.worklist.model) else "",
            "max_level": MAX_LEVEL,
        }

    def image(self, number: int) -> Json:
        """One image with its review and the model's own marks.

        Raises:
            LookupError: no such image.
        """
        image = self._at(number)
        fresh = fresh_review(image.detections, self.threshold)
        return {
            **self._row(number, image),
            "review": review_json(self.store.review(number)),
            "model_boxes": {mark.id: list(mark.box) for mark in fresh.marks},
        }

    def save(self, number: int, content: object) -> Json:
        """Saves a change; the answer is the review as saved. Errors as `ReviewStore.save`."""
        self._at(number)
        return review_json(self.store.save(number, content))

    def grey(self, number: int, level: int) -> GreyImage:
        """Grey values of an image.

        Raises:
            LookupError: no such image. ValueError: no such level.
            ReviewError: the image cannot be shown; the message names no file.
        """
        image = self._at(number)
        if not 0 <= level <= MAX_LEVEL:
            raise ValueError(f"level must lie in [0, {MAX_LEVEL}], got {level}.")
        if image.fault or image.path is None:
            raise ReviewError(f"Image {number + 1} cannot be shown: {image.fault}.")
        try:
            return self.pixels.image(number, level)
        except Exception as error:  # decoders raise whatever they meet in damaged bytes
            raise ReviewError(
                f"Image {number + 1} cannot be shown: {reason_of(image.path, error)}."
            ) from error

    def export(self, kinds: object = KINDS) -> Json:
        """Writes the corrected boxes; the answer says what was written and what was left out.

        Raises:
            ValueError: kinds that are none. OSError: the folder cannot be written.
        """
        if not isinstance(kinds, list | tuple) or not all(isinstance(each, str) for each in kinds):
            raise ValueError(f"kinds must be a list of {', '.join(KINDS)}, got {kinds!r:.60}.")
        reviews = self.reviews()
        return asdict(export_reviews(self.store.folder, self.worklist, reviews, kinds=kinds))

    def reviews(self) -> list[ImageReview]:
        """The saved reviews of all images, in order."""
        return [self.store.review(n) for n in range(len(self.worklist.images))]

    def _at(self, number: int) -> ReviewImage:
        if not 0 <= number < len(self.worklist.images):
            raise LookupError(f"there are {len(self.worklist.images)} images; no number {number + 1}.")
        return self.worklist.images[number]

    def _row(self, number: int, image: ReviewImage) -> Json:
        review = self.store.review(number)
        return {
            "number": number,
            "record_id": image.record_id,
            "name": image.name,
            "laterality": image.laterality.value if image.laterality else None,
            "view": image.view_position.value if image.view_position else None,
            "patient": image.patient,
            "patient_id": image.patient_id if self.shows_patients else None,
            "width": image.width,
            "height": image.height,
            "is_dicom": image.is_dicom,
            "fault": image.fault,
            "is_reviewed": review.is_reviewed,
            "revision": review.revision,
            "n_marks": len(review.marks),
            "scores": sorted((round(float(each), 4) for each in image.detections.scores), reverse=True),
            "n_accepted": len(review.accepted),
        }


@contextmanager
def open_review(
    worklist: Worklist, folder: Path, *, threshold: float | None = None, shows_patients: bool = False
) -> Iterator[ReviewSession]:
    """A session on a worklist, its reviews in `folder`, until the block ends.

    Args:
        threshold: score from which marks are shown at first; None: that of the operating point next to one
            false positive per image, all marks where no point is known.

    Raises:
        ReviewError: as `ReviewStore`.
    """
    points = shown_points(worklist.model)
    shown_from = threshold if threshold is not None else first_threshold(points)
    if shown_from is None:
        shown_from = min([0.0, *(float(s) for each in worklist.images for s in each.detections.scores)])

    def path_of(number: int) -> Path:
        path = worklist.images[number].path
        if path is None:
            raise FileNotFoundError(number)
        return path

    with ReviewStore(folder, worklist, threshold=shown_from) as store:
        yield ReviewSession(worklist, store, PixelCache(path_of), shown_from, points, shows_patients)
