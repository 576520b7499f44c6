"""Turns a COCO annotation (x, y, width, height) into a lesion with a checked box."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mammo_monai.errors import GeometryError
from mammo_monai.geometry import check_boxes, clip_boxes, contour_area_px
from mammo_monai.readers.audit import InvalidRecordError
from mammo_monai.readers.categories import birads_category
from mammo_monai.readers.coco_file import CocoAnnotation
from mammo_monai.readers.image_header import ImageHeader
from mammo_monai.records import Box, Lesion

# Exports round, or count pixels from 1: so much may a box leave its image and be cut without being asked.
BORDER_TOLERANCE_PX = 1.0


def lesion_of(
    annotation: CocoAnnotation, header: ImageHeader, where: str, *, clip: bool, image_birads: int | None
) -> Lesion:
    """The lesion of an annotation; its contour where `segmentation` is one polygon.

    Args:
        header: of the image the box must lie in. where: file and image, for messages.
        clip: cut a box at the border however far it reaches out.
        image_birads: for annotations that have no `birads` of their own.

    Raises:
        InvalidRecordError: an unknown category, an id used before, a box without area or outside the image.
    """
    item = annotation.item
    if annotation.category is None:
        found = f"category_id {item.get('category_id')!r} is none of the categories"
        raise InvalidRecordError("category-unknown", where, f"annotations row {annotation.row}: {found}")
    if annotation.is_repeated:
        found = f"annotations row {annotation.row}: id {item.get('id')!r} stood on an annotation before"
        raise InvalidRecordError("annotation-repeated", where, found, "Is the lesion there twice?")
    contour = _contour(item.get("segmentation"))
    spacing = header.pixel_spacing_mm
    area_mm2 = contour_area_px(contour) * spacing[0] * spacing[1] if contour and spacing else None
    return Lesion(
        box=_box(annotation, header, where, clip),
        id=str(item.get("id", annotation.row)),
        type=annotation.category,
        label=annotation.label,
        area_mm2=area_mm2,
        contour=contour,
        pathology=str(item["pathology"]) if item.get("pathology") else None,
        birads=_birads(item, where) if item.get("birads") is not None else image_birads,
        subtlety=item["subtlety"] if isinstance(item.get("subtlety"), int) else None,
    )


def _box(annotation: CocoAnnotation, header: ImageHeader, where: str, clip: bool) -> Box:
    bbox = annotation.item.get("bbox")
    try:
        x, y, width, height = (float(number) for number in bbox or ())
        box = check_boxes([[x, y, x + width, y + height]])
    except (GeometryError, TypeError, ValueError):
        found = (
            f"annotations row {annotation.row}: bbox must be x, y, width, height with an area, got {bbox!r}"
        )
        raise InvalidRecordError("box-invalid", where, found) from None
    inside = clip_boxes(box, header.width, header.height)
    overhang = float(np.abs(box - inside).max())
    has_area = bool(np.all(inside[0, 2:] > inside[0, :2]))
    if not has_area or (overhang > BORDER_TOLERANCE_PX and not clip):
        found = (
            f"annotations row {annotation.row}: box {box[0].tolist()} (x_min, y_min, x_max, y_max) lies "
            f"{overhang:g} px outside the image of {header.width} × {header.height} px (width × height)"
        )
        remedy = (
            "Cut such boxes with --clip-boxes." if has_area else "Nothing of it is inside: mend the JSON."
        )
        raise InvalidRecordError("box-outside", where, found, remedy)
    x_min, y_min, x_max, y_max = inside[0].tolist()
    return x_min, y_min, x_max, y_max


def _contour(segmentation: Any) -> tuple[tuple[float, float], ...] | None:
    """The points of a segmentation that is one polygon; None for none, several, or a run-length mask."""
    if not isinstance(segmentation, list) or len(segmentation) != 1 or not isinstance(segmentation[0], list):
        return None
    numbers = segmentation[0]
    if len(numbers) < 6 or len(numbers) % 2 or not all(isinstance(n, int | float) for n in numbers):
        return None
    return tuple((float(x), float(y)) for x, y in zip(numbers[::2], numbers[1::2], strict=True))


def _birads(item: Mapping[str, Any], where: str) -> int | None:
    try:
        return birads_category(str(item["birads"]))
    except ValueError as error:
        raise InvalidRecordError("grade-unknown", where, str(error)) from None
