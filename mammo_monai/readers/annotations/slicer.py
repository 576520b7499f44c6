"""3D Slicer: Markups ROI boxes (`.mrk.json`), in millimetres of the volume Slicer loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pydicom.uid import (
    DigitalMammographyXRayImageStorageForPresentation,
    DigitalMammographyXRayImageStorageForProcessing,
)

from mammo_monai.readers.annotations.annotated import AnnotatedImage, Target, fault_of, name_below
from mammo_monai.readers.annotations.boxes import box_inside
from mammo_monai.readers.annotations.png import image_names
from mammo_monai.readers.audit import Audit, InvalidRecordError
from mammo_monai.readers.image_header import elements_of
from mammo_monai.records import Lesion, label_of
from mammo_monai.schema.json_text import json_value

_TO_LPS: Mapping[str, int] = {"LPS": 1, "0": -1, "RAS": -1, "1": 1}
_MAMMOGRAPHY = (
    DigitalMammographyXRayImageStorageForPresentation,
    DigitalMammographyXRayImageStorageForProcessing,
)
_SPACINGS = ("ImagerPixelSpacing", "PixelSpacing", "NominalScannedPixelSpacing")
_TURNED_TOLERANCE = 1e-3


def is_slicer(path: Path) -> bool:
    """Whether a file is Slicer's by its name."""
    return path.name.lower().endswith((".mrk.json", ".seg.nrrd", ".nrrd"))


def read_slicer(files: Sequence[Path], base: Path, audit: Audit) -> list[AnnotatedImage]:
    """One annotation per file, for the image of the same name (`left.mrk.json`, `left_ROI.mrk.json`).

    Read are ROI boxes without rotation. Slicer and ITK lay an image without orientation so that the centre
    of pixel (column, row) is at LPS (column, row) · spacing, and use one spacing tag per kind of DICOM
    object, 1 mm where that is missing; where an image's tags leave a doubt which spacing a reader took,
    the image is quarantined. NRRD segmentations are not read: their images are quarantined.
    """
    return [_read(path, base) for path in files]


def _read(path: Path, base: Path) -> AnnotatedImage:
    where, names = str(path), image_names(name_below(path, base))
    if path.suffix.lower() == ".nrrd":
        found = "NRRD segmentations are not read"
        remedy = "In Slicer export the segmentation as a NIfTI label map, or as DICOM SEG."
        return fault_of(names, InvalidRecordError("nrrd-unread", where, found, remedy), where)
    try:
        markups = markups_in(json_value(path.read_bytes()))
    except (OSError, ValueError, LookupError, TypeError) as error:
        found = "the markups cannot be read as JSON with markups"
        fault = InvalidRecordError("annotation-unreadable", where, found, f"{error}. Save them again.")
        return fault_of(names, fault, where)
    return AnnotatedImage(names, where, partial(markup_lesions, markups, where), is_part=True)


def markups_in(content: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The markups of a `.mrk.json`.

    Raises:
        LookupError, TypeError: there is no list of objects under `markups`.
    """
    markups = content["markups"]
    if not isinstance(markups, list) or not all(isinstance(each, dict) for each in markups):
        raise TypeError("markups must be a list of objects")
    return markups


def markup_lesions(markups: Sequence[Mapping[str, Any]], where: str, target: Target) -> list[Lesion]:
    """The lesions of a list of markups, by their names; a name such as R or R_1 says nothing.

    Raises:
        InvalidRecordError: no axis-aligned ROI box, or a spacing that cannot be told.
    """
    spacing = _spacing(target, where) if markups else (1.0, 1.0)
    lesions = []
    for number, item in enumerate(markups, start=1):
        what = f"markup {number}"
        kind = _type_of(item, target)
        if kind is None:
            continue
        corners = _corners_px(item, spacing, where, what)
        box = box_inside(corners, target.header, where, what, clip=target.clip)
        lesions.append(Lesion(box, str(number), kind, label_of(kind)))
    return lesions


def _type_of(item: Mapping[str, Any], target: Target) -> str | None:
    """By the ROI's name, where it is a known class; Slicer's own names (R, R_1) tell nothing."""
    name = str(item.get("name") or "")
    label = item.get("label")
    if isinstance(label, Mapping) and isinstance(label.get("value"), str):
        name = label["value"]
    word = name.split("_")[0].split("-")[0].strip()
    for each in (name, word):
        if target.types.explains(each):
            return target.types.type_of(each)
    return "mass"


def _corners_px(
    item: Mapping[str, Any], spacing: tuple[float, float], where: str, what: str
) -> tuple[float, float, float, float]:
    """x_min, y_min, x_max, y_max of a box given by centre and size in mm.

    Pixel centres lie at whole multiples of the spacing, so the outer corner of the first is at −½.
    """
    try:
        sign = _TO_LPS[str(item.get("coordinateSystem", "LPS")).upper()]
        points = item.get("controlPoints") or [{}]
        centre = np.array(item.get("center", points[0].get("position")), dtype=np.float64)[:2] * sign
        size = np.array(item["size"], dtype=np.float64)
        axes = np.array(item.get("orientation") or np.eye(3).ravel(), dtype=np.float64).reshape(3, 3)
        is_box = item.get("type") == "ROI" and item.get("roiType", "Box") in ("Box", "BoundingBox")
        if not is_box or size.shape != (3,) or centre.shape != (2,) or item.get("insideOut"):
            raise ValueError("expected type ROI, roiType Box, a center, and a size of three numbers")
        if not np.isclose(np.abs(axes).max(axis=0), 1, atol=_TURNED_TOLERANCE).all():
            raise ValueError("the box is turned against the image")
        half = (np.abs(axes) @ size)[:2] / 2
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        remedy = "Draw upright ROI boxes in Slicer and save them as .mrk.json."
        raise InvalidRecordError(
            "markup-unusable", where, f"{what} is no upright ROI box", f"{error}. {remedy}"
        ) from None
    row_mm, column_mm = spacing
    low, high = (centre - half) / (column_mm, row_mm) + 0.5, (centre + half) / (column_mm, row_mm) + 0.5
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def _spacing(target: Target, where: str) -> tuple[float, float]:
    """`(row, column)` spacing in mm that ITK gives the image, if its tags allow no other answer.

    Measured with ITK 5.4: mammography objects take Imager Pixel Spacing alone, undivided by magnification,
    other objects Pixel Spacing, else Nominal Scanned Pixel Spacing; without it, and for PNG, 1 mm; JPG and
    TIFF take the resolution written in them.
    """
    header = elements_of(target.path, "SOPClassUID", *_SPACINGS)
    if header is None:
        with Image.open(target.path) as picture:
            if picture.format == "PNG" or "dpi" not in picture.info:
                return 1.0, 1.0
        found = "the picture carries a resolution that readers may or may not take for its spacing"
        raise InvalidRecordError("spacing-ambiguous", where, found, "Export the boxes in pixels (CSV).")
    stated = {
        name: (float(header[name].value[0]), float(header[name].value[1]))
        for name in _SPACINGS
        if header.get(name) and len(header[name].value) == 2
    }
    is_mammogram = header.get("SOPClassUID") in _MAMMOGRAPHY
    taken = (
        [stated.get("ImagerPixelSpacing")]
        if is_mammogram
        else [stated.get("PixelSpacing"), stated.get("NominalScannedPixelSpacing")]
    )
    spacing = next((each for each in taken if each is not None), (1.0, 1.0))
    if any(each != spacing for each in stated.values()):
        found = "the DICOM file states several pixel spacings, or one that readers do not agree on"
        raise InvalidRecordError("spacing-ambiguous", where, found, "Export the boxes in pixels (CSV).")
    return spacing
