"""Builds a result of any kind: SR, CAD SR, presentation state, Secondary Capture, Segmentation."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path

from pydicom.dataset import Dataset

from mammo_monai.dicom.reading import damage_refused
from mammo_monai.dicom.results.box_segmentation import box_segmentation
from mammo_monai.dicom.results.cad_report import cad_report
from mammo_monai.dicom.results.headers import ResultFacts
from mammo_monai.dicom.results.identity import ModelIdentity
from mammo_monai.dicom.results.marked_image import CheckedImage, MarkedImage, checked_image
from mammo_monai.dicom.results.measurement_report import measurement_report
from mammo_monai.dicom.results.presentation_state import presentation_state
from mammo_monai.dicom.results.secondary_capture import LONGER_SIDE_PX, secondary_capture

RESULT_KINDS: tuple[str, ...] = ("sr", "cad", "gsps", "sc", "seg")


def build_result(
    kind: str,
    images: Sequence[MarkedImage],
    model: ModelIdentity,
    *,
    reviewed: bool = False,
    observer: str | None = None,
    created: datetime | None = None,
    longer_side_px: int | None = LONGER_SIDE_PX,
) -> Dataset:
    """A result, ready for `save_as(enforce_file_format=True)` or C-STORE.

    Its SOP Instance UID is `result_uid` of the kind, the sources and the model; where reviewed, also of the
    marks, for a person's next edit is another object; of a Secondary Capture also of a size of its own.

    Args:
        kind: "sr" (Comprehensive SR, TID 1500), "cad" (Mammography CAD SR, TID 4000), "gsps", "sc"
            (Secondary Capture) or "seg". images: one; for "cad" all images of one study.
        reviewed: a person has edited the marks; a score may then be NaN. observer: their name as
            `Family^Given`: the report is then VERIFIED by them; without a name it stays UNVERIFIED.
        created: local time to note; None is now.
        longer_side_px: of a Secondary Capture; None keeps the size of the image.

    Raises:
        DicomError: the object cannot be made of these images; the message says why.
        ValueError: another kind, no image, several where one is asked for, or an observer of unreviewed
            marks.
    """
    _check_call(kind, images, reviewed=reviewed, observer=observer)
    checked = [checked_image(each, are_scores_needed=not reviewed) for each in images]
    content = _content(checked, observer) if reviewed else ""
    if kind == "sc":
        content += _size_text(checked[0], longer_side_px)
    facts = ResultFacts(kind, model, created or datetime.now(), reviewed, observer, content)
    with header_refused(checked[0].name):
        if kind == "cad":
            return cad_report(checked, facts)
        if kind == "sc":
            return secondary_capture(checked[0], images[0].source, facts, longer_side_px=longer_side_px)
        builders = {"sr": measurement_report, "gsps": presentation_state, "seg": box_segmentation}
        return builders[kind](checked[0], facts)


def header_refused(name: str) -> AbstractContextManager[None]:
    """Turns what pydicom raises on elements that are taken over from the image into a DicomError."""
    expected = "patient, study, LUTs and windows that a result can take over, got some that cannot be read"
    return damage_refused(Path(name), expected, "Correct the tag, or export the image again.")


def _check_call(kind: str, images: Sequence[MarkedImage], *, reviewed: bool, observer: str | None) -> None:
    if kind not in RESULT_KINDS:
        raise ValueError(f"kind must be {', '.join(RESULT_KINDS)}, got {kind!r}.")
    if not images or (kind != "cad" and len(images) > 1):
        expected = "at least one image" if kind == "cad" else "one image"
        raise ValueError(f"{kind} is made of {expected}, got {len(images)}.")
    if observer is not None and not reviewed:
        raise ValueError("an observer verifies marks they have reviewed: pass reviewed=True with observer.")


def _size_text(image: CheckedImage, longer_side_px: int | None) -> str:
    """Tells a picture of a size of its own from the usual one; "" where both are the same."""
    longest = max(image.attributes.rows, image.attributes.columns)
    side = min(longer_side_px or longest, longest)
    return "" if side == min(LONGER_SIDE_PX, longest) else f" longer side {side} px"


def _content(images: list[CheckedImage], observer: str | None) -> str:
    """A digest of what a person made of the marks."""
    marks = [
        [each.uid, each.boxes.tolist(), each.labels.tolist(), str(each.scores.tolist())] for each in images
    ]
    return hashlib.sha256(json.dumps([marks, observer or ""]).encode("utf-8")).hexdigest()
