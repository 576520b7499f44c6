"""One member of an ensemble: its detections, whole or read anew at every pass, and what a pass finds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from mammo_monai.errors import ManifestError
from mammo_monai.inference.fusion_calibration import MemberCalibration
from mammo_monai.records import Detections


class Contents(Protocol):
    """A file of detections: a `DetectionsFile`, or one whose images are read anew at every pass."""

    @property
    def detections(self) -> Iterable[Detections]:
        """Its images, from the first."""
        ...

    @property
    def model(self) -> Mapping[str, Any]:
        """What it says of the model."""
        ...


@dataclass(frozen=True, eq=False)
class Survey:
    """What one pass over a member's images finds; of each image its record id alone is kept.

    Attributes:
        record_ids: in the file's order, each once. boxes: how many of each label.
        unscored: how many images have no score of their own. first_unscored: one of them, "" if none.
    """

    record_ids: tuple[str, ...]
    boxes: Mapping[int, int]
    unscored: int
    first_unscored: str


@dataclass(frozen=True, eq=False)
class Member:
    """The detections of one model of an ensemble.

    Attributes:
        name: tells it from the others. where: its file, for messages. sha256: of the file.
        calibration: of its scores; None where it has none, or needs none.
    """

    name: str
    content: Contents
    where: str
    sha256: str = ""
    calibration: MemberCalibration | None = None

    @cached_property
    def survey(self) -> Survey:
        """What a pass over its images finds.

        Raises:
            ManifestError: a record id stands twice.
        """
        seen, boxes = dict[str, None](), Counter[int]()
        unscored, first_unscored = 0, ""
        for each in self.content.detections:
            if each.record_id in seen:
                raise ManifestError(
                    f"{self.where}: record_id {each.record_id} stands twice; each image may have one entry."
                )
            seen[each.record_id] = None
            boxes.update(each.labels.tolist())
            if each.image_score is None:
                unscored, first_unscored = unscored + 1, first_unscored or each.record_id
        return Survey(tuple(seen), dict(boxes), unscored, first_unscored)

    @property
    def failed(self) -> list[Mapping[str, Any]]:
        """Entries of images that could not be predicted: `record_id`, and what else the file says."""
        rows = self.content.model.get("failed")
        rows = rows if isinstance(rows, list | tuple) else []
        return [each for each in rows if isinstance(each, Mapping) and "record_id" in each]

    @property
    def failed_ids(self) -> set[str]:
        """Record ids of images that could not be predicted."""
        return {str(each["record_id"]) for each in self.failed}

    @cached_property
    def marks_places(self) -> bool:
        """Whether it is a detector, which may have found nothing; a classifier gives image scores alone."""
        if self.calibration is not None or self.survey.boxes:
            return True
        inference = self.content.model.get("inference")
        inferer = inference.get("inferer") if isinstance(inference, Mapping) else None
        return not (self.survey.record_ids and self.scores_images and inferer in (None, "WholeImageInferer"))

    @property
    def scores_images(self) -> bool:
        """Whether all of its images have a score of their own."""
        return not self.survey.unscored


def side_by_side(members: list[Member], left_out: set[str]) -> Iterator[list[Detections]]:
    """The detections of every image by all members, in the order of the first.

    Members in that order are read in step, one image at a time; of others all images are held.

    Raises:
        ManifestError: a file has changed since its survey.
    """
    order = [each for each in members[0].survey.record_ids if each not in left_out]
    rows = [_in_order(each, order, left_out) for each in members]
    for record_id in order:
        of_each = [next(each, None) for each in rows]
        for member, found in zip(members, of_each, strict=True):
            if found is None or found.record_id != record_id:
                raise ManifestError(f"{member.where}: changed while it was read. Fuse again.")
        yield [each for each in of_each if each is not None]


def _in_order(member: Member, order: list[str], left_out: set[str]) -> Iterator[Detections]:
    own = [each for each in member.survey.record_ids if each not in left_out]
    rows = (each for each in member.content.detections if each.record_id not in left_out)
    if own == order:
        return rows
    by_id = {each.record_id: each for each in rows}
    return (by_id[record_id] for record_id in order if record_id in by_id)
