"""Turns a COCO annotation (x, y, width, height) into a lesion with a checked box."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mammo_monai.geometry import contour_area_px
from mammo_monai.readers.annotations.annotated import Target
from mammo_monai.readers.annotations.boxes import box_inside
from mammo_monai.readers.audit import InvalidRecordError
from mammo_monai.readers.categories import birads_category
from mammo_monai.readers.coco.file import CocoAnnotation
from mammo_monai.records import Lesion, label_of

# Exports round to whole pixels, each side by itself, and may count the last pixel or not.
_ROUNDING_PX = 2.0
_MAX_OUTSIDE = 0.25


def lesion_of(
    annotation: CocoAnnotation, target: Target, where: str, *, image_birads: int | None
) -> Lesion | None:
    """The lesion of an annotation; its contour where `segmentation` is one polygon; None for no lesion.

    Args:
        target: the image the box must lie in. where: file and image, for messages.
        image_birads: for annotations that have no `birads` of their own.

    Raises:
        InvalidRecordError: an unknown category, an id used before, a box without area or outside the image.
    """
    item, row = annotation.item, f"annotations row {annotation.row}"
    if annotation.category is None:
        found = f"category_id {item.get('category_id')!r} is none of the categories"
        raise InvalidRecordError("category-unknown", where, f"{row}: {found}")
    if annotation.is_repeated:
        found = f"{row}: id {item.get('id')!r} stood on an annotation before"
        raise InvalidRecordError("annotation-repeated", where, found, "Is the lesion there twice?")
    kind = target.types.type_of(annotation.category)
    if kind is None:
        return None
    contour = _contour(item.get("segmentation"))
    spacing = target.header.pixel_spacing_mm
    corners = _corners(item, where, row)
    outline = _outline(item.get("segmentation"))
    if outline and _are_corners(item["bbox"], outline):
        found = f"{row}: bbox holds x_min, y_min, x_max, y_max, as its segmentation shows"
        remedy = "COCO has x, y, width, height: export the annotations again."
        raise InvalidRecordError("box-invalid", where, found, remedy)
    if outline and _is_elsewhere(outline, corners):
        found = f"{row}: bbox and segmentation mark different places"
        raise InvalidRecordError("box-invalid", where, found, "Export the annotations again.")
    return Lesion(
        box=box_inside(corners, target.header, where, row, clip=target.clip),
        id=str(item.get("id", annotation.row)),
        type=kind,
        label=label_of(kind),
        area_mm2=contour_area_px(contour) * spacing[0] * spacing[1] if contour and spacing else None,
        contour=contour,
        pathology=str(item["pathology"]) if item.get("pathology") else None,
        birads=_birads(item, where) if item.get("birads") is not None else image_birads,
        subtlety=_subtlety(item.get("subtlety")),
    )


def _subtlety(value: Any) -> int | None:
    """1 to 5; what else others write there is not known to mean that."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 5 else None


def _corners(item: Mapping[str, Any], where: str, row: str) -> tuple[float, float, float, float]:
    bbox = item.get("bbox")
    try:
        if not isinstance(bbox, list) or any(isinstance(number, bool) for number in bbox):
            raise TypeError
        x, y, width, height = (float(number) for number in bbox)
    except (TypeError, ValueError, OverflowError):
        width = height = 0.0
    if not (width > 0 and height > 0):
        found = f"{row}: bbox must be x, y, width, height with an area, got {bbox!r:.120}"
        is_drawn = item.get("segmentation") or item.get("keypoints")
        remedy = "Export boxes too: polygons, masks and points alone are not read." if is_drawn else ""
        raise InvalidRecordError("box-invalid", where, found, remedy)
    return x, y, x + width, y + height


def _contour(segmentation: Any) -> tuple[tuple[float, float], ...] | None:
    """The points of a segmentation that is one polygon; None for none, several, or a run-length mask."""
    is_one = isinstance(segmentation, list) and len(segmentation) == 1
    return _points(segmentation[0]) if is_one else None


def _outline(segmentation: Any) -> list[tuple[float, float]]:
    """The points of all polygons of a segmentation; none of a run-length mask."""
    polygons = segmentation if isinstance(segmentation, list) else []
    return [point for polygon in polygons for point in _points(polygon) or ()]


def _points(numbers: Any) -> tuple[tuple[float, float], ...] | None:
    if not isinstance(numbers, list):
        return None
    if len(numbers) < 6 or len(numbers) % 2:
        return None
    if not all(isinstance(n, int | float) and math.isfinite(n) for n in numbers):
        return None
    return tuple((float(x), float(y)) for x, y in zip(numbers[::2], numbers[1::2], strict=True))


def _is_elsewhere(contour: Sequence[tuple[float, float]], corners: tuple[float, float, float, float]) -> bool:
    """Whether the box around a contour leaves the bbox by a quarter of itself; rounding does not count."""
    columns, rows = [x for x, _ in contour], [y for _, y in contour]
    around = (min(columns), min(rows), max(columns), max(rows))
    overhang = max(
        corners[0] - around[0], corners[1] - around[1], around[2] - corners[2], around[3] - corners[3]
    )
    sides = [min(around[n + 2], corners[n + 2]) - max(around[n], corners[n]) for n in (0, 1)]
    area = (around[2] - around[0]) * (around[3] - around[1])
    inside = max(sides[0], 0.0) * max(sides[1], 0.0)
    return min(sides) < 0 or (overhang > _ROUNDING_PX and inside < (1 - _MAX_OUTSIDE) * area)


def _are_corners(bbox: Sequence[Any], contour: Sequence[tuple[float, float]]) -> bool:
    """Whether the numbers of a bbox are the corners around its contour, not a corner and a size."""
    x, y, width, height = (float(number) for number in bbox)
    columns, rows = [column for column, _ in contour], [row for _, row in contour]
    around = (min(columns), min(rows), max(columns), max(rows))
    as_corners = max(abs(a - b) for a, b in zip((x, y, width, height), around, strict=True))
    as_sizes = max(abs(a - b) for a, b in zip((x, y, x + width, y + height), around, strict=True))
    return as_corners <= _ROUNDING_PX < as_sizes


def _birads(item: Mapping[str, Any], where: str) -> int | None:
    try:
        return birads_category(str(item["birads"]))
    except ValueError as error:
        raise InvalidRecordError("grade-unknown", where, str(error)) from None
