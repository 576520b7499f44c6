"""What a node marks, and why not the rest: pure, from a header to a reason."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from pydicom.dataset import Dataset
from pydicom.uid import (
    DigitalMammographyXRayImageStorageForPresentation,
    DigitalMammographyXRayImageStorageForProcessing,
    DigitalXRayImageStorageForPresentation,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    SecondaryCaptureImageStorage,
)

from mammo_monai.dicom.reading import first_text, presentation_intent
from mammo_monai.service.node.settings import Rules

# Scanned films are secondary captures; whether one frame and grey is for the reader to say.
MARKABLE_CLASSES = frozenset(
    {
        DigitalMammographyXRayImageStorageForPresentation,
        DigitalMammographyXRayImageStorageForProcessing,
        DigitalXRayImageStorageForPresentation,
        SecondaryCaptureImageStorage,
        MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
        MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    }
)


def why_unwanted(
    header: Dataset, rules: Rules, *, is_own_result: Callable[[Dataset], bool] = lambda _: False
) -> str | None:
    """Why an image is not marked, in words without patient data; None where it is.

    Args:
        is_own_result: knows results of this node that come back.
    """
    if is_own_result(header):
        return "a result of this software that came back"
    if first_text(header, "SOPClassUID") not in MARKABLE_CLASSES:
        return "its SOP class is no mammogram's"
    said = (
        (rules.modalities, first_text(header, "Modality"), "modality"),
        (rules.intents, presentation_intent(header) or "", "presentation intent"),
        (rules.body_parts, first_text(header, "BodyPartExamined"), "body part"),
        (rules.institutions, first_text(header, "InstitutionName"), "institution"),
    )
    for allowed, value, name in said:
        if allowed is not None and value.upper() not in {each.strip().upper() for each in allowed}:
            return f"its {name} is not among those wanted" if value else f"it names no {name}"
    if rules.study_not_before is not None:
        day = _day(first_text(header, "StudyDate"))
        if day is not None and day < date.fromisoformat(rules.study_not_before):
            return "its study is older than those wanted"
    return None


def _day(text: str) -> date | None:
    """A DICOM date, YYYYMMDD or the old YYYY.MM.DD; None where it is none."""
    digits = text.replace(".", "")
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:8]))
    except ValueError:
        return None
