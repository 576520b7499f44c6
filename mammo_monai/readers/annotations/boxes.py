"""Boxes as annotated, checked against the image they must lie in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mammo_monai.errors import GeometryError
from mammo_monai.geometry import check_boxes, clip_boxes
from mammo_monai.readers.audit import InvalidRecordError
from mammo_monai.readers.image_header import ImageHeader
from mammo_monai.records import Box

# Exports round, or count pixels from 1: so much may a box leave its image and be cut without being asked.
BORDER_TOLERANCE_PX = 1.0


def box_inside(
    corners: Sequence[Any], header: ImageHeader, where: str, what: str, *, clip: bool = False
) -> Box:
    """The box of four corner numbers, cut at the image border where it leaves it by a rounding.

    Args:
        corners: x_min, y_min, x_max, y_max, original pixels, half-open.
        header: of the image the box must lie in.
        where: file and image, for messages. what: the annotation within it, "row 3".
        clip: cut a box at the border however far it reaches out.

    Raises:
        InvalidRecordError: not four finite numbers with an area, or outside the image.
    """
    try:
        if any(isinstance(number, str | bool) for number in corners):
            raise TypeError("no number")  # a reader made numbers of what it takes for one
        box = check_boxes([[float(number) for number in corners]])
    except (GeometryError, TypeError, ValueError, OverflowError):
        found = f"{what}: a box must be x_min, y_min, x_max, y_max with an area, got {list(corners)!r:.120}"
        has_comma = any(isinstance(number, str) and "," in number for number in corners)
        remedy = "Write numbers with a decimal point." if has_comma else ""
        raise InvalidRecordError("box-invalid", where, found, remedy) from None
    inside = clip_boxes(box, header.width, header.height)
    overhang = float(np.abs(box - inside).max())
    has_area = bool(np.all(inside[0, 2:] > inside[0, :2]))
    if not has_area or (overhang > BORDER_TOLERANCE_PX and not clip):
        found = (
            f"{what}: box {box[0].tolist()} (x_min, y_min, x_max, y_max) lies "
            f"{overhang:g} px outside the image of {header.width} × {header.height} px (width × height)"
        )
        remedy = (
            "Cut such boxes with --clip-boxes."
            if has_area
            else "Nothing of it is inside: mend the annotation."
        )
        turned = box[:, [1, 0, 3, 2]]
        if np.array_equal(turned, clip_boxes(turned, header.width, header.height)):
            remedy += " With x and y swapped it would lie inside: are they named right?"
        raise InvalidRecordError("box-outside", where, found, remedy)
    x_min, y_min, x_max, y_max = inside[0].tolist()
    return x_min, y_min, x_max, y_max


def check_stated_size(stated: tuple[Any, Any], header: ImageHeader, where: str, what: str) -> None:
    """Refuses annotations made on another size of the image; a size that is not stated passes.

    Args:
        stated: width, height in pixels; None or 0 where unknown. what: who says so, "the JSON".

    Raises:
        InvalidRecordError: another size than the file's.
    """
    actual = (header.width, header.height)
    said = tuple(
        number if number not in (None, 0) else own
        for number, own in zip(map(_pixels, stated), actual, strict=True)
    )
    if said != actual:
        found = f"{what} says {said[0]} × {said[1]} px, the file has {actual[0]} × {actual[1]} px"
        remedy = "The boxes may belong to another size of the image: export both again."
        raise InvalidRecordError("size-differs", where, found, remedy)


def _pixels(stated: Any) -> Any:
    """A number that was written as text; other text stays as it is, for the message."""
    try:
        return float(stated) if isinstance(stated, str) else stated
    except ValueError:
        return stated
