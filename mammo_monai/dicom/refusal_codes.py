"""Why an image is not marked, or is marked with a warning: one stable code, reason and remedy each."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from mammo_monai.errors import UnsuitableImageError

Effect = Literal["refused", "refused unless accepted", "warned"]


@dataclass(frozen=True)
class Reason:
    """One reason.

    Attributes:
        expected: what an image must be, with the attribute and its tag.
        why: what makes the marks of other images untrustworthy.
        remedy: what the reader of the message can do.
    """

    effect: Effect
    expected: str
    why: str
    remedy: str


_ACCEPT: Effect = "refused unless accepted"
_NOT_FULL = "the model was trained on full standard views and has seen no such image"
_LEAVE_OUT = "Leave it out"
_MARKED_ANYWAY = "Read the marks with that in mind, or leave the image out"

REASONS: Mapping[str, Reason] = MappingProxyType(
    {
        "modality": Reason(
            "refused",
            "Modality (0008,0060) MG",
            "CT, MR, ultrasound, reports and results are no mammograms",
            "Leave this file out, or correct the tag if it is a mammogram",
        ),
        "several-frames": Reason(
            "refused",
            "one frame (Number of Frames (0028,0008))",
            "slices and projections of tomosynthesis look unlike a mammogram",
            "Use the 2-D mammogram or the synthesised view of the same breast",
        ),
        "colour": Reason(
            "refused",
            "Photometric Interpretation (0028,0004) MONOCHROME1 or MONOCHROME2",
            "colour is a screen copy or a report without the detector's grey values",
            "Use the original image",
        ),
        "no-image": Reason(
            "refused", "Rows (0028,0010) and Columns (0028,0011)", "it has no pixels", _LEAVE_OUT
        ),
        "for-processing": Reason(
            "refused",
            "Presentation Intent Type (0008,0068) FOR PRESENTATION, or none",
            "raw detector values look unlike what models are trained on",
            "Use the FOR PRESENTATION image of the same view",
        ),
        "tomosynthesis-projection": Reason(
            _ACCEPT,
            "Image Type (0008,0008) without TOMO_PROJ or TOMO_SCOUT",
            "one projection of a sweep has a fraction of a mammogram's dose",
            "Use the 2-D mammogram or the synthesised view of the same breast",
        ),
        "implant": Reason(
            _ACCEPT,
            "Breast Implant Present (0028,1300) NO, or none",
            "an implant hides tissue and looks like a large mass; the model has seen none",
            "Use the implant-displaced view of the same breast",
        ),
        "specimen": Reason(
            _ACCEPT,
            "a breast, not a specimen (View Code (0054,0220), Specimen Description (0040,0560))",
            "tissue that was cut out has no breast around it",
            _LEAVE_OUT,
        ),
        "quality-control": Reason(
            _ACCEPT,
            "Quality Control Image (0028,0300) NO, or none",
            "it shows a phantom or a flat field, no breast",
            _LEAVE_OUT,
        ),
        "marked-up": Reason(
            _ACCEPT,
            "an image without marks drawn into it (Burned In Annotation (0028,0301), overlays (60xx,3000))",
            "marks that somebody drew in would be marked again, and hide what is under them",
            "Use the original image",
        ),
        "implant-displaced": Reason(
            "warned",
            "no View Modifier Implant Displaced (0054,0222)",
            "the model has seen no breast with an implant",
            _MARKED_ANYWAY,
        ),
        "other-modality": Reason(
            "warned",
            "Modality (0008,0060) MG",
            "a secondary capture of a breast is read as a scanned film, and may be none",
            "Correct the tag if it is a mammogram",
        ),
        "generated-2d": Reason(
            "warned",
            "Image Type (0008,0008) without GENERATED_2D",
            "a view computed from tomosynthesis has other noise and edges than a mammogram",
            "Use the 2-D mammogram of the same breast where there is one",
        ),
        "contrast-enhanced": Reason(
            "warned",
            "Image Type (0008,0008) without a contrast enhanced kind",
            "images with contrast medium, of one energy or subtracted, were not trained on",
            _MARKED_ANYWAY,
        ),
        "biopsy": Reason(
            "warned",
            "Image Type (0008,0008) without a stereotactic or biopsy kind",
            _NOT_FULL,
            _MARKED_ANYWAY,
        ),
        "magnification": Reason(
            "warned", "no View Modifier Magnification (0054,0222)", _NOT_FULL, _MARKED_ANYWAY
        ),
        "spot-compression": Reason(
            "warned", "no View Modifier Spot Compression (0054,0222)", _NOT_FULL, _MARKED_ANYWAY
        ),
        "partial-view": Reason(
            "warned",
            "Partial View (0028,1350) NO, or none",
            "the parts of a breast on other images are not looked at together",
            "Mark the other parts, too",
        ),
        "unlikely-spacing": Reason(
            "warned",
            "a pixel spacing from 0.02 to 0.5 mm",
            "sizes in mm, and what is left out for its size, follow from it",
            "Check Imager Pixel Spacing (0018,1164) and Pixel Spacing (0028,0030)",
        ),
        "small-image": Reason(
            "warned",
            "a shorter side of at least 400 px",
            "masses of some millimetres are a few pixels",
            "Use the original, not a thumbnail",
        ),
        "untypical": Reason(
            "warned",
            "an image like those the model was trained on",
            "the model's figures were measured on such images",
            "Look whether it is inverted, turned, cut, of another window or kind",
        ),
    }
)
"""By code; `accepted-…` of a reason that was accepted is a warning, too."""

ACCEPTABLE = tuple(code for code, reason in REASONS.items() if reason.effect == _ACCEPT)

REDUCED_COPIES = frozenset({"small-image", "unlikely-spacing"})
"""What copies of reduced size have, of which data sets are full."""


def refused(path: Path, code: str, came: str) -> UnsuitableImageError:
    """The error that says why a file is not marked, in one sentence, and what to do.

    Args:
        came: what the file is instead; no value of an element that may name a patient.
    """
    reason = REASONS[code]
    accept = f", or mark it all the same with --accept {code}" if code in ACCEPTABLE else ""
    text = f"{path}: expected {reason.expected}, got {came}: {reason.why}. {reason.remedy}{accept}."
    return UnsuitableImageError(text, code)


def warning_text(code: str, came: str) -> str:
    """A warning as it stands in the detections: the code, a colon, what came and why it matters.

    >>> warning_text("partial-view", "Partial View YES")[:31]
    'partial-view: Partial View YES:'
    """
    reason = REASONS[code.removeprefix("accepted-")]
    return f"{code}: {came}: {reason.why}. {reason.remedy}."


def check_accepted(codes: Sequence[str]) -> tuple[str, ...]:
    """The codes of refusals that a caller may set aside.

    Raises:
        ValueError: a code that is unknown, or that nobody can accept.

    >>> check_accepted(["implant"])
    ('implant',)
    """
    for code in codes:
        if code not in ACCEPTABLE:
            near = difflib.get_close_matches(code, ACCEPTABLE, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise ValueError(f"accept: expected of {', '.join(ACCEPTABLE)}, got {code!r}.{hint}")
    return tuple(codes)
