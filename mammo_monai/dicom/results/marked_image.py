"""One image with its marks, and the same checked: everything a result needs to know of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from mammo_monai.dicom.attributes import MammogramAttributes, attributes_of
from mammo_monai.dicom.reading import damage_refused, first_text
from mammo_monai.dicom.results.codes import VIEW_CODES, Code
from mammo_monai.errors import DicomError, GeometryError
from mammo_monai.geometry.boxes import check_boxes, clip_boxes
from mammo_monai.records import LESION_LABELS, Boxes, Detections

# Coordinates go through float32 and scaled copies: this far beyond the border a box is cut, not refused.
_BORDER_PX = 0.01
_DIRECTIONS = frozenset("LRAPHF")
_UIDS = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")


@dataclass(frozen=True, eq=False)
class MarkedImage:
    """What a result is made of.

    Attributes:
        source: the image's data set; pixels are needed for a Secondary Capture alone.
        detections: boxes in the stored pixel frame of `source`. A score may be NaN where a person drew the
            box: it then has no certainty.
        rows, columns: of the image the boxes were found in; None where nobody noted them. They must be those
            of `source`.
    """

    source: Dataset
    detections: Detections
    rows: int | None = None
    columns: int | None = None


@dataclass(frozen=True, eq=False)
class CheckedImage:
    """A marked image that results can be made of.

    Attributes:
        name: what messages call it: its record id. uid, sop_class_uid: of the image.
        attributes: side, view and size of `source`.
        boxes: shape (N, 4), inside the image. scores: shape (N,); NaN where there is none.
        probabilities: shape (N,); None where not calibrated.
    """

    name: str
    uid: str
    sop_class_uid: str
    source: Dataset
    attributes: MammogramAttributes
    boxes: Boxes
    scores: NDArray[np.float64]
    probabilities: NDArray[np.float64] | None
    labels: NDArray[np.int64]

    @property
    def certainties(self) -> NDArray[np.float64]:
        """What is shown of each box, shape (N,): its probability where calibrated, else its score."""
        return self.scores if self.probabilities is None else self.probabilities

    @property
    def view_code(self) -> Code | None:
        """The view, CID 4014; None where it is unknown or has no code here."""
        view = self.attributes.view_position
        return None if view is None else VIEW_CODES.get(view)

    @property
    def orientation(self) -> list[str]:
        """Directions of rows and columns, such as A and FR; empty where unknown.

        Scanned films hold one word there that is no direction.

        Source: DICOM PS3.3 C.7.6.1.1.1.
        """
        value = self.source.get("PatientOrientation")
        words = [str(each) for each in value] if isinstance(value, (MultiValue, list)) else []
        is_legal = len(words) == 2 and all(each and set(each) <= _DIRECTIONS for each in words)
        return words if is_legal else []

    def mark_name(self, n: int) -> str:
        """What a mark is called, such as "Mass 1"; counted from 1 over all classes."""
        names = {label: name for name, label in LESION_LABELS.items()}
        return f"{names.get(int(self.labels[n]), 'lesion').capitalize()} {n + 1}"

    def caption(self, n: int) -> str:
        """Name and certainty of a mark; the name alone where a person drew it.

        Only a calibrated probability is a percentage to people: "Mass 1: 67 %" against "Mass 1: score 0.83".
        """
        certainty = self.certainties[n]
        if np.isnan(certainty):
            return self.mark_name(n)
        value = f"score {certainty:.2f}" if self.probabilities is None else f"{100 * certainty:.0f} %"
        return f"{self.mark_name(n)}: {value}"


def checked_image(image: MarkedImage, *, are_scores_needed: bool = True) -> CheckedImage:
    """The image with its marks, if a result can be made of it.

    Raises:
        DicomError: not a single-frame image; no UIDs; another size than the boxes were found in; a box that
            is outside the image or has no area; scores, labels or probabilities that do not fit the boxes.
    """
    name, found = image.detections.record_id, image.detections
    with damage_refused(Path(name), "a readable header", "Export the image again."):
        uids = _uids(name, image.source)
        _refuse_frames(name, image.source)
        attributes = attributes_of(found.image or Path(name), image.source)
    _refuse_other_size(name, image, attributes)
    boxes = _boxes_inside(name, found.boxes, attributes)
    scores = np.asarray(found.scores, dtype=np.float64)
    _refuse_bad_values(name, "score", scores, len(boxes), may_be_nan=not are_scores_needed)
    probabilities = found.probabilities
    if probabilities is not None:
        probabilities = np.asarray(probabilities, dtype=np.float64)
        _refuse_bad_values(name, "probability", probabilities, len(boxes), may_be_nan=not are_scores_needed)
    if len(found.labels) != len(boxes):
        raise DicomError(
            f"{name}: expected one label per box, got {len(found.labels)} for {len(boxes)} boxes. "
            "Write the detections again."
        )
    labels = np.asarray(found.labels, dtype=np.int64)
    return CheckedImage(
        name=name,
        uid=uids["SOPInstanceUID"],
        sop_class_uid=uids["SOPClassUID"],
        source=image.source,
        attributes=attributes,
        boxes=boxes,
        scores=scores,
        probabilities=probabilities,
        labels=labels,
    )


def check_one_study(images: Sequence[CheckedImage]) -> None:
    """Refuses images of several studies, and the same image twice.

    Raises:
        DicomError: an object of one study cannot refer to another's images.
    """
    studies = dict.fromkeys(str(each.source.StudyInstanceUID) for each in images)
    if len(studies) > 1:
        raise DicomError(
            f"{images[0].name} and others: expected images of one study, got {len(studies)} Study Instance "
            "UIDs. Make one CAD report for each study."
        )
    repeated = {each.uid: each.name for each in images}
    if len(repeated) < len(images):
        raise DicomError(
            f"{images[0].name} and others: expected each image once, got {len(images)} for {len(repeated)} "
            "SOP Instance UIDs. Leave the copies out."
        )


def _uids(name: str, source: Dataset) -> dict[str, str]:
    """The UIDs a result refers to; those of the instance may stand in the file meta information alone."""
    meta = getattr(source, "file_meta", Dataset())
    found = {word: first_text(source, word) or first_text(meta, f"MediaStorage{word}") for word in _UIDS}
    if missing := [keyword for keyword, value in found.items() if not value]:
        raise DicomError(
            f"{name}: expected {missing[0]} in the image, got none: a result refers to its image and "
            "belongs to its study. Use the image as the PACS holds it, not an export that dropped UIDs."
        )
    return found


def _refuse_frames(name: str, source: Dataset) -> None:
    frames = int(first_text(source, "NumberOfFrames") or 1)
    if frames != 1:
        raise DicomError(
            f"{name}: expected an image of one frame, got {frames}. Boxes of 2-D mammograms say nothing of "
            "single frames: use the 2-D image or the synthesised view of the same breast."
        )
    size = [int(first_text(source, keyword) or 0) for keyword in ("Rows", "Columns")]
    if min(size) < 1:
        raise DicomError(
            f"{name}: expected Rows and Columns of at least 1, got {size[0]} × {size[1]}. It is no image; "
            "leave it out."
        )


def _refuse_other_size(name: str, image: MarkedImage, attributes: MammogramAttributes) -> None:
    for word, expected, got in (
        ("rows", image.rows, attributes.rows),
        ("columns", image.columns, attributes.columns),
    ):
        if expected is not None and expected != got:
            raise DicomError(
                f"{name}: expected an image of {expected} {word}, as when the boxes were found, got {got}. "
                "The image has changed since, or is another one: mark it again."
            )


def _boxes_inside(name: str, boxes: Boxes, attributes: MammogramAttributes) -> Boxes:
    width, height = attributes.columns, attributes.rows
    try:
        boxes = check_boxes(boxes, allow_empty=True)
        clipped = clip_boxes(boxes, width, height)
        is_near = np.abs(clipped - boxes).max(axis=1, initial=0.0) <= _BORDER_PX
        inside = np.where(is_near[:, None], clipped, boxes)
        return check_boxes(inside, width=width, height=height)
    except GeometryError as error:
        raise DicomError(
            f"{name}: expected boxes in the stored pixels of the image, {error} If they come from a copy of "
            "another size, bring them back to the original first; a box without area marks nothing: drop it."
        ) from error


def _refuse_bad_values(
    name: str, word: str, values: NDArray[np.float64], n_boxes: int, *, may_be_nan: bool
) -> None:
    if values.shape != (n_boxes,):
        raise DicomError(
            f"{name}: expected one {word} per box, got {values.size} for {n_boxes} boxes. "
            "Write the detections again."
        )
    is_good = (values >= 0) & (values <= 1)
    if may_be_nan:
        is_good |= np.isnan(values)
    if not is_good.all():
        bad = values[~is_good][0]
        raise DicomError(
            f"{name}: expected each {word} from 0 to 1, got {bad:g}. A certainty is a percentage: bring the "
            "scores to that range; only boxes that a person drew may have none."
        )
