"""Detections and lesions of many images joined on their record ids and laid out as flat, checked arrays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammo_monai.errors import GeometryError, ManifestError
from mammo_monai.geometry.boxes import check_boxes
from mammo_monai.records import MASS_LABEL, Boxes, Detections, ImageRecord, Lesion
from mammo_monai.words import counted

_NAMED = 5  # ids spelled out in an error; the rest are counted


@dataclass(frozen=True, eq=False)
class PooledImages:
    """Scored detections and lesions of a set of images, row by row in image order, then file order.

    Attributes:
        n_images: all images, those without any row included.
        image, index: of each detection, shape (N,): number of its image, position in that image's entry.
        boxes: shape (N, 4), original pixels. scores: shape (N,), finite.
        lesion_image, lesion_index: of each lesion, shape (M,). lesion_boxes: shape (M, 4), as annotated.
        records: of the images, in their order; empty where they were pooled without. Distances in mm, breasts
            and patients are known from them alone.
    """

    n_images: int
    image: NDArray[np.int64]
    index: NDArray[np.int64]
    boxes: Boxes
    scores: NDArray[np.float64]
    lesion_image: NDArray[np.int64]
    lesion_index: NDArray[np.int64]
    lesion_boxes: Boxes
    records: tuple[ImageRecord, ...] = ()

    @property
    def has_lesion(self) -> NDArray[np.bool_]:
        """Which images hold a lesion of the scored label, shape (n_images,)."""
        return np.bincount(self.lesion_image, minlength=self.n_images) > 0


def join_on_record_id(
    records: Sequence[ImageRecord], detections: Iterable[Detections]
) -> tuple[Detections, ...]:
    """The detections of each record, in the order of the records.

    Raises:
        ManifestError: an image or an entry stands twice, an image has no entry, or an entry no image.
    """
    entries = list(detections)
    ids = [record.record_id for record in records]
    entry_ids = [entry.record_id for entry in entries]
    _reject([i for i, n in Counter(ids).items() if n > 1], "stand more than once among the images to score")
    _reject([i for i, n in Counter(entry_ids).items() if n > 1], "have more than one entry in the detections")
    by_id = dict(zip(entry_ids, entries, strict=True))
    _reject(
        [each for each in ids if each not in by_id],
        "have no entry in the detections. Every scored image needs one, without boxes where the model marked "
        "nothing: run predict on the same manifest and split",
    )
    known = set(ids)
    _reject(
        [each for each in entry_ids if each not in known],
        "are in the detections but not among the images to score. "
        "Score them with the manifest and split they were made from",
    )
    return tuple(by_id[each] for each in ids)


def pool_records(
    records: Sequence[ImageRecord], detections: Iterable[Detections], *, label: int = MASS_LABEL
) -> PooledImages:
    """Flat arrays of one class over the records, detections joined to them on the record id.

    Every rule can be applied to what this gives: it keeps the records.

    Raises:
        GeometryError, ManifestError: as `pool_images` and `join_on_record_id`.
    """
    entries = join_on_record_id(records, detections)
    pooled = pool_images(entries, [record.lesions for record in records], label=label)
    return replace(pooled, records=tuple(records))


def patient_numbers(records: Sequence[ImageRecord]) -> NDArray[np.int64]:
    """Number of each image's patient, shape (n_images,), from 0 in the order of the ids: never the ids."""
    _, numbers = np.unique([record.patient_id for record in records], return_inverse=True)
    return np.asarray(numbers, dtype=np.int64)


def pool_images(
    detections: Sequence[Detections], lesions: Sequence[Sequence[Lesion]], *, label: int = MASS_LABEL
) -> PooledImages:
    """Flat arrays of one class over images given as parallel sequences, without their records.

    Raises:
        GeometryError: a box is reversed, not finite or not of four numbers; names the record id.
        ManifestError: a score is not finite, or boxes, scores and labels differ in number.
    """
    ids = [each.record_id for each in detections]
    image, index = _positions([len(each.boxes) for each in detections])
    boxes = _checked_boxes("detections", ids, [each.boxes for each in detections], allow_empty=True)
    scores, labels = _checked_scores(detections, image, index)
    truth = _checked_boxes("lesions", ids, [[lesion.box for lesion in each] for each in lesions])
    lesion_image, lesion_index = _positions([len(each) for each in lesions])
    is_scored = labels == label
    is_truth = np.array([lesion.label == label for each in lesions for lesion in each], dtype=bool)
    return PooledImages(
        n_images=len(detections),
        image=image[is_scored],
        index=index[is_scored],
        boxes=boxes[is_scored],
        scores=scores[is_scored],
        lesion_image=lesion_image[is_truth],
        lesion_index=lesion_index[is_truth],
        lesion_boxes=truth[is_truth],
    )


def _positions(counts: Sequence[int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Number of the image, and position within it, of every row of images with `counts` rows each."""
    sizes = np.asarray(counts, dtype=np.int64)
    image = np.repeat(np.arange(len(sizes)), sizes)
    return image, np.arange(len(image)) - np.repeat(np.cumsum(sizes) - sizes, sizes)


def _checked_boxes(
    kind: str, ids: Sequence[str], boxes: Sequence[ArrayLike], *, allow_empty: bool = False
) -> Boxes:
    """The boxes of all images in one array, shape (N, 4)."""
    arrays = [array for array in map(np.asarray, boxes) if len(array)]
    try:
        return check_boxes(np.concatenate(arrays) if arrays else [], allow_empty=allow_empty)
    except (GeometryError, ValueError):
        # Checked all at once for speed; one by one only now, to name the image.
        raise next(_box_errors(kind, ids, boxes, allow_empty)) from None


def _box_errors(
    kind: str, ids: Sequence[str], boxes: Sequence[ArrayLike], allow_empty: bool
) -> Iterator[GeometryError]:
    for record_id, each in zip(ids, boxes, strict=True):
        try:
            check_boxes(each, allow_empty=allow_empty)
        except GeometryError as error:
            yield GeometryError(f"{kind} of record {record_id}: {error}")


def _checked_scores(
    detections: Sequence[Detections], image: NDArray[np.int64], index: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Scores and labels of all images, shape (N,) each."""
    for each in detections:
        if not len(each.boxes) == len(each.scores) == len(each.labels):
            raise ManifestError(
                f"record {each.record_id}: expected one score and one label per box, got "
                f"{counted(len(each.boxes), 'box')}, {counted(len(each.scores), 'score')}, "
                f"{counted(len(each.labels), 'label')}."
            )
    scores = np.concatenate([np.zeros(0), *(each.scores for each in detections)])
    labels = np.concatenate([np.zeros(0, dtype=np.int64), *(each.labels for each in detections)])
    for row in np.flatnonzero(~np.isfinite(scores))[:1]:
        raise ManifestError(
            f"record {detections[image[row]].record_id}, detection {index[row]}: the score must be a finite "
            f"number, got {scores[row]}."
        )
    return scores, labels


def _reject(record_ids: Sequence[str], reason: str) -> None:
    if record_ids:
        named = ", ".join(record_ids[:_NAMED]) + (", …" if len(record_ids) > _NAMED else "")
        raise ManifestError(f"{len(record_ids)} record ids {reason}: {named}.")
