"""Marks as labelling clients take them: plain JSON in pixels, and 3D Slicer's Markups ROIs in millimetres."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from mammo_monai.dicom.reading import MAMMOGRAPHY_CLASSES
from mammo_monai.readers.image_header import elements_of
from mammo_monai.records import LESION_LABELS, Detections

MARKUPS_SCHEMA = (
    "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/"
    "markups-schema-v1.0.3.json#"
)
# An image is one pixel deep to Slicer: 1 mm, about z = 0.
_DEPTH_MM = 1.0
_NAMES = {number: name for name, number in LESION_LABELS.items()}


def marks_json(detections: Detections, model: Mapping[str, object]) -> dict[str, Any]:
    """The marks of one image: `box` and `label` as a saved label has them, `scores`, and whose they are.

    Returns:
        `box` [[x_min, y_min, x_max, y_max], …] in original pixels, half-open; `label`, names; `scores`;
        `probabilities` or None; `model` as detections.json has it; `label_names` as clients of MONAI Label
        look it up. Nothing else of the image: no path, no patient.
    """
    probabilities = detections.probabilities
    return {
        "box": detections.boxes.tolist(),
        "label": [label_name(each) for each in detections.labels.tolist()],
        "scores": detections.scores.tolist(),
        "probabilities": None if probabilities is None else probabilities.tolist(),
        "image_score": detections.image_score,
        "model": dict(model),
        "label_names": {label_name(each): each for each in sorted({0, *detections.labels.tolist()})},
    }


def label_name(label: int) -> str:
    """The lesion type of a class index; `class N` for one that has none.

    >>> label_name(0), label_name(17)
    ('mass', 'class 17')
    """
    return _NAMES.get(label, f"class {label}")


def slicer_markups(detections: Detections, spacing_mm: tuple[float, float]) -> dict[str, Any]:
    """The marks as a Markups file (`.mrk.json`) of 3D Slicer: one ROI box each, in LPS.

    Slicer lays an image without orientation so that the centre of pixel (column, row) is at LPS
    (column, row) · spacing, so the outer corner of the first pixel is at −½ pixel. The reader of
    `readers.annotations.slicer` returns the same pixels.

    Args:
        spacing_mm: (row, column), as `slicer_spacing_mm` tells it.

    Source: Slicer's markups schema 1.0.3; names of fields as MONAI Label's own writer has them.
    """
    return {
        "@schema": MARKUPS_SCHEMA,
        "markups": [
            _roi(box, f"{label_name(label)}-{number}", label_name(label), score, spacing_mm)
            for number, (box, label, score) in enumerate(
                zip(
                    detections.boxes.tolist(),
                    detections.labels.tolist(),
                    detections.scores.tolist(),
                    strict=True,
                ),
                start=1,
            )
        ],
    }


def roi_mm(
    box: list[float], spacing_mm: tuple[float, float]
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Centre and size in mm, LPS, of a box in original pixels.

    Args:
        box: x_min, y_min, x_max, y_max.
        spacing_mm: (row, column).

    >>> roi_mm([0.0, 0.0, 10.0, 20.0], (0.5, 0.1))
    ((0.45, 4.75, 0.0), (1.0, 10.0, 1.0))
    """
    x_min, y_min, x_max, y_max = box
    row_mm, column_mm = spacing_mm
    centre = (((x_min + x_max) / 2 - 0.5) * column_mm, ((y_min + y_max) / 2 - 0.5) * row_mm, 0.0)
    return centre, ((x_max - x_min) * column_mm, (y_max - y_min) * row_mm, _DEPTH_MM)


def slicer_spacing_mm(path: Path) -> tuple[float, float] | None:
    """(row, column) spacing in mm that Slicer gives an image file; None where that cannot be told.

    ITK reads files for Slicer: mammography objects take Imager Pixel Spacing alone, other objects Pixel
    Spacing, else Nominal Scanned Pixel Spacing; without it, and for PNG, 1 mm. Other pictures may carry a
    resolution that Slicer takes.

    Source: measured with ITK 5.4, see `readers.annotations.slicer`.
    """
    header = elements_of(
        path, "SOPClassUID", "ImagerPixelSpacing", "PixelSpacing", "NominalScannedPixelSpacing"
    )
    if header is None:
        with Image.open(path) as picture:
            return (1.0, 1.0) if picture.format == "PNG" or "dpi" not in picture.info else None
    is_mammogram = header.get("SOPClassUID") in MAMMOGRAPHY_CLASSES
    names = ("ImagerPixelSpacing",) if is_mammogram else ("PixelSpacing", "NominalScannedPixelSpacing")
    for name in names:
        value = header.get(name)
        if value is not None and len(value) == 2:
            return float(value[0]), float(value[1])
    return 1.0, 1.0


def _roi(
    box: list[float], name: str, kind: str, score: float, spacing_mm: tuple[float, float]
) -> dict[str, Any]:
    centre, size = roi_mm(box, spacing_mm)
    axes = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    point = {"id": "1", "label": kind, "description": f"score {score:.3f}", "position": list(centre)}
    return {
        "type": "ROI",
        "coordinateSystem": "LPS",
        "coordinateUnits": "mm",
        "locked": False,
        "fixedNumberOfControlPoints": False,
        "labelFormat": "%N-%d",
        "lastUsedControlPointNumber": 1,
        "roiType": "Box",
        "name": name,
        "label": {"value": kind},
        "center": list(centre),
        "orientation": axes,
        "size": list(size),
        "insideOut": False,
        "controlPoints": [
            {
                **point,
                "orientation": axes,
                "selected": True,
                "locked": False,
                "visibility": True,
                "positionStatus": "defined",
            }
        ],
    }
