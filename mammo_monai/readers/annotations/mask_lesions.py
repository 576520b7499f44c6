"""Turns a drawn mask into lesions: each connected component of each value is one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mammo_monai.geometry import scale_boxes
from mammo_monai.readers.annotations.annotated import Target
from mammo_monai.readers.audit import InvalidRecordError
from mammo_monai.readers.roi_masks import MAX_ASPECT_DIFFERENCE
from mammo_monai.records import MASS_LABEL, Lesion, label_of
from mammo_monai.schema import Action

MAX_VALUES = 32
"""A mask with more values besides zero is a picture."""
MAX_MARKED_SHARE = 0.75
"""No lesion fills more of an image: of 1376 true masses none fills more than 8 %."""
MAX_MASSES = 20
"""More on one image are noise, or an outline in pieces: of 1283 true films none has more than 6."""
MAX_SCALE = 4
"""A mask may be this many times larger than its image; beyond it a small file could fill the memory."""
# Strokes of the pen: parts below this share of the largest part of the same value, and below this area,
# are left out. No source known: a 3 × 3 px part of a mass drawn over 30 × 30 px is a slip.
SPECK_SHARE, SPECK_AREA_PX = 0.01, 9

_DIAGONALS_TOUCH = np.ones((3, 3), dtype=bool)


@dataclass(frozen=True)
class _Part:
    box: tuple[float, float, float, float]
    area_px: int


def lesions_of_mask(
    mask: NDArray[np.integer],
    target: Target,
    where: str,
    *,
    type_of_value: Callable[[int], str | None] | None = None,
) -> list[Lesion]:
    """The lesions that a mask marks, in pixels of the image.

    Parts of one value that touch, diagonally too, are one lesion. A mask without any marked pixel has none.
    A mask of another size is scaled per axis if both axes scale alike within 1 %.

    Args:
        mask: shape (H, W), 0 outside lesions. type_of_value: the type of each other value, None for what
            is no lesion; without it, `Target.types` knows.

    Raises:
        InvalidRecordError: another aspect ratio than the image, more values than a mask has, or a part that
            reaches all four borders or fills more than `MAX_MARKED_SHARE`: no lesion does, but a mask with
            its background marked.
    """
    check_mask_size((mask.shape[1], mask.shape[0]), target, where)
    _note_scaled((mask.shape[1], mask.shape[0]), target)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return []
    top, left = int(rows[0]), int(columns[0])
    marked = mask[top : rows[-1] + 1, left : columns[-1] + 1]
    values = [int(value) for value in np.unique(marked) if value]
    if len(values) > MAX_VALUES:
        found = f"expected a mask with at most {MAX_VALUES} values besides 0, got {len(values)}"
        raise InvalidRecordError("mask-values", where, found, "It looks like a picture.")
    kind_of = type_of_value or partial(target.types.type_of_mask_value, is_only=len(values) == 1)
    types = {value: kind_of(value) for value in values}
    lesions = []
    for value, kind in types.items():
        if kind is None:
            continue
        for number, part in enumerate(_parts(marked == value, (left, top), target), start=1):
            share = part.area_px / mask.size
            if part.box == (0.0, 0.0, *map(float, mask.shape[::-1])) or share > MAX_MARKED_SHARE:
                found = (
                    "the mask marks an area that reaches all four borders of the image, or nearly fills it"
                )
                remedy = "Is it inverted? Mark the lesions, and leave the background 0."
                raise InvalidRecordError("mask-full", where, found, remedy)
            lesions.append(_lesion(part, mask, target, f"{value}.{number}", kind))
    _note_many(lesions, target)
    return lesions


def _note_many(lesions: Sequence[Lesion], target: Target) -> None:
    masses = sum(lesion.label == MASS_LABEL for lesion in lesions)
    if masses > MAX_MASSES:
        found = f"a mask marks {masses} separate masses: is it noise, or an outline in pieces?"
        target.audit.note("mask-parts", target.record_id, found)


def check_mask_size(mask_size: tuple[int, int], target: Target, where: str) -> None:
    """Refuses a mask that cannot show the image's field; call it before decoding where the size is known.

    Args:
        mask_size: width, height of the mask in pixels.

    Raises:
        InvalidRecordError: the scales along columns and rows differ, or the mask is larger than plausible.
    """
    size = (target.header.width, target.header.height)
    if mask_size == size:
        return
    scale_x, scale_y = mask_size[0] / size[0], mask_size[1] / size[1]
    fits = min(mask_size) > 0 and abs(scale_x / scale_y - 1) <= MAX_ASPECT_DIFFERENCE
    if not fits or max(scale_x, scale_y) > MAX_SCALE:
        turned = " Its axes may be swapped." if mask_size == size[::-1] else ""
        found = (
            f"a mask of {mask_size[0]} × {mask_size[1]} px cannot belong to an image of "
            f"{size[0]} × {size[1]} px (width × height)"
        )
        raise InvalidRecordError("mask-aspect", where, found, f"Export it in the image's own size.{turned}")


def _note_scaled(mask_size: tuple[int, int], target: Target) -> None:
    size = (target.header.width, target.header.height)
    if mask_size != size:
        found = f"a mask of {mask_size[0]} × {mask_size[1]} px was scaled to {size[0]} × {size[1]} px"
        target.audit.note("mask-rescaled", target.record_id, found, Action.REPAIRED)


def without_grey(pixels: NDArray[np.integer]) -> NDArray[np.integer] | None:
    """A mask whose edges were smoothed or JPEG-compressed, cut at half its maximum; None if it is none.

    Smoothed edges give many values, but nearly all pixels lie at either end.

    >>> without_grey(np.array([[0, 3, 120], [0, 255, 252], [0, 255, 255]])).tolist()
    [[0, 0, 0], [0, 1, 1], [0, 1, 1]]
    """
    high = int(pixels.max())
    values = np.unique(pixels)
    if high < 128 or len(values) <= 4:
        return None
    inside = pixels > high / 2
    between = np.count_nonzero((pixels > high / 8) & (pixels < high - high / 8))
    return inside.astype(np.uint8) if between <= np.count_nonzero(inside) / 2 else None


def _parts(is_marked: NDArray[np.bool_], offset: tuple[int, int], target: Target) -> Iterator[_Part]:
    labels, _ = ndimage.label(is_marked, structure=_DIAGONALS_TOUCH)
    areas = np.bincount(labels.ravel())[1:]
    parts = [
        _Part(
            (
                float(columns.start + offset[0]),
                float(rows.start + offset[1]),
                float(columns.stop + offset[0]),
                float(rows.stop + offset[1]),
            ),
            int(area),
        )
        for (rows, columns), area in zip(ndimage.find_objects(labels), areas, strict=True)
    ]
    limit = min(SPECK_AREA_PX, SPECK_SHARE * max(areas))
    specks = [part for part in parts if part.area_px < limit]
    if specks:
        found = f"{len(specks)} specks of less than {SPECK_AREA_PX} px beside a drawn lesion are left out"
        target.audit.note("mask-specks", target.record_id, found)
    yield from (part for part in parts if part.area_px >= limit)


def _lesion(part: _Part, mask: NDArray[np.integer], target: Target, lesion_id: str, kind: str) -> Lesion:
    scale_x = target.header.width / mask.shape[1]
    scale_y = target.header.height / mask.shape[0]
    x_min, y_min, x_max, y_max = scale_boxes(np.array([part.box]), scale_x, scale_y)[0].tolist()
    spacing = target.header.pixel_spacing_mm
    area_mm2 = part.area_px * scale_x * scale_y * spacing[0] * spacing[1] if spacing else None
    return Lesion(
        box=(x_min, y_min, x_max, y_max), id=lesion_id, type=kind, label=label_of(kind), area_mm2=area_mm2
    )
