"""YOLO: one text file per image, a line per lesion, centre and size as shares of the image."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from mammo_monai.geometry import contour_area_px
from mammo_monai.readers.annotations.annotated import AnnotatedImage, Target, name_below, without_repeats
from mammo_monai.readers.annotations.boxes import box_inside
from mammo_monai.readers.annotations.yolo_names import NAME_FILES, ClassNames
from mammo_monai.readers.audit import Audit, InvalidRecordError
from mammo_monai.records import Lesion, label_of

_BOX_NUMBERS, _SCORED_BOX_NUMBERS, _MIN_POLYGON_NUMBERS = 5, 6, 7


def is_yolo(path: Path) -> bool:
    """Whether a file may hold boxes, by its name."""
    return path.suffix.lower() == ".txt" and path.name.lower() not in NAME_FILES


def read_yolo(files: Sequence[Path], base: Path, audit: Audit) -> list[AnnotatedImage]:
    """One annotation per text file, read when its image is; an empty file says that the image is normal.

    `class centre_x centre_y width height`, or `class` and three or more points of a polygon, all shares of
    the image's width and height. Class names stand one a line in classes.txt or obj.names, or in data.yaml,
    beside the labels or in a folder above, up to the one that holds `base`.

    Raises:
        ManifestError: two files of class names beside one another that differ, or one that cannot be read.
    """
    names = ClassNames(base)
    return [
        AnnotatedImage(
            (name_below(path, base),),
            str(path),
            partial(_lesions, path, names.of(path.parent)),
        )
        for path in files
    ]


def _lesions(path: Path, names: Mapping[int, str], target: Target) -> list[Lesion]:
    where = str(path)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        found = "the labels are no UTF-8 text"
        raise InvalidRecordError("annotation-unreadable", where, found, f"{error}.") from error
    rows = [(number, line.split()) for number, line in enumerate(lines, start=1) if line.strip()]
    found_lesions = [_lesion(cells, f"line {number}", names, target, where) for number, cells in rows]
    return without_repeats([lesion for lesion in found_lesions if lesion is not None], target)


def _lesion(
    cells: Sequence[str], what: str, names: Mapping[int, str], target: Target, where: str
) -> Lesion | None:
    number, shares = _numbers(cells, what, where)
    if names and number not in names:
        found = f"{what}: class {number} is none of the {len(names)} class names"
        raise InvalidRecordError("class-unknown", where, found, "Give the classes.txt of these labels.")
    kind = target.types.type_of(names[number]) if names else target.types.type_of_number(number)
    if kind is None:
        return None
    width, height = target.header.width, target.header.height
    if len(cells) == _BOX_NUMBERS:
        x, y, half_width, half_height = shares[0] * width, shares[1] * height, shares[2] * width / 2, 0.0
        half_height = shares[3] * height / 2
        corners = (x - half_width, y - half_height, x + half_width, y + half_height)
        box = box_inside(corners, target.header, where, what, clip=target.clip)
        return Lesion(box, what.removeprefix("line "), kind, label_of(kind))
    points = np.array(shares).reshape(-1, 2) * (width, height)
    corners = (*points.min(axis=0), *points.max(axis=0))
    spacing = target.header.pixel_spacing_mm
    return Lesion(
        box=box_inside(corners, target.header, where, what, clip=target.clip),
        id=what.removeprefix("line "),
        type=kind,
        label=label_of(kind),
        area_mm2=contour_area_px(points) * spacing[0] * spacing[1] if spacing else None,
        contour=tuple((float(x), float(y)) for x, y in points),
    )


def _numbers(cells: Sequence[str], what: str, where: str) -> tuple[int, list[float]]:
    """The class and the shares of one line."""
    if len(cells) == _SCORED_BOX_NUMBERS:
        found = f"{what}: six numbers are a prediction with its confidence, not a label"
        raise InvalidRecordError("box-invalid", where, found, "Give the labels people drew.")
    is_polygon = len(cells) >= _MIN_POLYGON_NUMBERS and len(cells) % 2
    try:
        number, shares = int(cells[0]), [float(cell) for cell in cells[1:]]
    except ValueError:
        number, shares = -1, []
    is_whole = len(cells) == _BOX_NUMBERS or is_polygon
    if number < 0 or not is_whole or not all(math.isfinite(share) for share in shares):
        # The line stays out of the finding: it may be a report, with a name in it.
        found = f"{what}: expected a class and 4 numbers, or the points of a polygon"
        remedy = f"Got {' '.join(cells)!r:.80}: is it a YOLO label file, and whole?"
        raise InvalidRecordError("box-invalid", where, found, remedy)
    if max(map(abs, shares)) > 2:
        found = f"{what}: expected shares of the image from 0 to 1, got {max(shares):g}"
        raise InvalidRecordError("box-invalid", where, found, "Export normalised coordinates.")
    return number, shares
