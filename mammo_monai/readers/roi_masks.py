"""Tells an ROI mask from a crop by content, and gives its box in the pixels of the full image."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mammo_monai.geometry import scale_boxes
from mammo_monai.readers.audit import InvalidRecordError
from mammo_monai.readers.dicom_candidates import is_lossy, size_of, stored_values_of
from mammo_monai.records import Box

Size = tuple[int, int]
Bright = NDArray[np.bool_]

# The scales along columns and rows may differ by this much, and by one pixel of rounding per axis, before
# mask and image are held to show different fields. Among the pairs of sizes users have published
# (github.com/fjeg/ddsm_tools, issue 5) true enlargements differ by 0.0001 to 0.0003, masks of another cut of
# the film by 0.0033 and more.
MAX_ASPECT_DIFFERENCE = 0.001

# A part of a mask smaller than this share of its largest part is a stray speck: about 9 × 9 px beside a mass
# of 300 × 300 px. No source: chosen far below the size of any annotated lesion.
SPECK_SHARE = 0.001

# Lossy masks: pixels nearer to half than to black or white may lie along the outline only, this many per
# pixel of outline.
_SMEARED_PER_OUTLINE_PIXEL = 3


@dataclass(frozen=True)
class RoiMask:
    """A mask that marks one lesion.

    Attributes:
        box: original pixels of the full image, around all parts but the specks.
        width, height: pixels of the mask itself. path: the file it was found in.
        digest: the same for two masks that mark the same pixels.
        parts: separate areas, specks not counted.
        specks: stray areas that would have made the box larger.
        marked_px: pixels of the mask that are marked.
    """

    box: Box
    width: int
    height: int
    path: Path
    digest: str = ""
    parts: int = 1
    specks: int = 0
    marked_px: int = 0


def find_roi_masks(candidates: Sequence[Path], width: int, height: int) -> list[RoiMask]:
    """The masks among the candidates: binary, and of the full image's size or, per axis, a scale of it.

    Crops fail on either count. One candidate is decoded at a time, and none whose size rules it out. JPEG
    masks are cut at half of their brightest value. Of several files that mark the same pixels each is
    returned, with the same digest.

    Args:
        width, height: pixels of the full image.

    Raises:
        InvalidRecordError: the only candidates that could be masks mark nothing or everything
            ("mask-empty", "mask-full"), cannot be decoded ("mask-unreadable"), or have another aspect ratio
            ("mask-aspect").
    """
    masks: list[RoiMask] = []
    unfit: dict[str, tuple[Path, str]] = {}
    for path in candidates:
        size = size_of(path)
        if size is not None and not shows_same_field(size, (width, height)):
            continue
        pixels = stored_values_of(path)
        if pixels is None:
            unfit.setdefault("mask-unreadable", (path, "a file that may be the ROI mask cannot be read"))
            continue
        bright = marked_pixels(pixels, lossy=is_lossy(path))
        if bright is None:
            continue
        if bright.any() and not bright.all():
            masks.append(_mask(path, bright, width, height))
        elif pixels.any():
            unfit.setdefault("mask-full", (path, "the ROI mask is all one value, it marks every pixel"))
        else:
            unfit.setdefault("mask-empty", (path, "the ROI mask is all zero, it marks no pixel"))
    if not masks:
        _explain(candidates, unfit, (width, height))
    return masks


def is_binary(pixels: NDArray[np.integer]) -> bool:
    """Whether a 2-D image holds at most one value besides zero; signed pixels may have it below zero.

    >>> is_binary(np.array([[0, 255], [255, 0]])), is_binary(np.array([[0, 255], [254, 0]]))
    (True, False)
    """
    low, high = pixels.min(), pixels.max()
    return bool(np.all((pixels == 0) | (pixels == (high or low))))


def marked_pixels(pixels: NDArray[np.integer], *, lossy: bool = False) -> Bright | None:
    """The pixels a mask marks, shape (H, W); None if the image is no mask.

    Args:
        lossy: accept grey along the outline of what is marked, and cut at half of the brightest value.
    """
    if is_binary(pixels):
        return np.asarray(pixels != 0, dtype=np.bool_)
    if not lossy:
        return None
    quarter = int(pixels.max()) // 4
    grey = pixels[_span(pixels > quarter)]  # erosion of a whole film would take most of the time
    bright = grey > 2 * quarter
    smeared = np.count_nonzero((grey > quarter) & (grey < 3 * quarter))
    outline = np.count_nonzero(bright ^ ndimage.binary_erosion(bright))
    is_mask = smeared <= _SMEARED_PER_OUTLINE_PIXEL * outline
    return np.asarray(pixels > 2 * quarter, dtype=np.bool_) if is_mask else None


def shows_same_field(mask_size: Size, image_size: Size) -> bool:
    """Whether one of two sizes `(width, height)` is a scale of the other, the same along both axes.

    >>> shows_same_field((2056, 5041), (1789, 4386)), shows_same_field((3056, 4624), (3088, 4688))
    (True, False)
    """
    scale_x, scale_y = image_size[0] / mask_size[0], image_size[1] / mask_size[1]
    rounding = sum(1 / length for length in (*mask_size, *image_size)) / 2
    return mask_size == image_size or abs(scale_x / scale_y - 1) <= MAX_ASPECT_DIFFERENCE + rounding


def _mask(path: Path, bright: Bright, width: int, height: int) -> RoiMask:
    mask_height, mask_width = bright.shape
    box, parts, specks = _box_of_parts(bright)
    boxes = scale_boxes(np.array([box], dtype=np.float64), width / mask_width, height / mask_height)
    x_min, y_min, x_max, y_max = boxes[0].tolist()
    digest = hashlib.sha256(np.packbits(bright).tobytes()).hexdigest()
    place = (x_min, y_min, x_max, y_max)
    marked_px = int(np.count_nonzero(bright))
    return RoiMask(place, mask_width, mask_height, path, digest, parts, specks, marked_px)


def _box_of_parts(bright: Bright) -> tuple[Box, int, int]:
    """Box around all parts but specks; how many parts; how many specks lie outside that box."""
    span = _span(bright)
    top, left = span[0].start, span[1].start
    labels, _ = ndimage.label(bright[span], np.ones((3, 3)))
    areas = np.bincount(labels.ravel())[1:]
    is_part = areas >= SPECK_SHARE * areas.max()
    edges = np.array([(s[1].start, s[0].start, s[1].stop, s[0].stop) for s in ndimage.find_objects(labels)])
    low, high = edges[is_part, :2].min(axis=0), edges[is_part, 2:].max(axis=0)
    outside = ~is_part & ((edges[:, :2] < low).any(axis=1) | (edges[:, 2:] > high).any(axis=1))
    box = (low[0] + left, low[1] + top, high[0] + left, high[1] + top)
    return (
        (float(box[0]), float(box[1]), float(box[2]), float(box[3])),
        int(is_part.sum()),
        int(outside.sum()),
    )


def _span(bright: Bright) -> tuple[slice, slice]:
    """Rows and columns from the first to the last pixel that is marked; at least one must be."""
    rows, columns = np.flatnonzero(bright.any(axis=1)), np.flatnonzero(bright.any(axis=0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _explain(candidates: Sequence[Path], unfit: dict[str, tuple[Path, str]], image_size: Size) -> None:
    """Raises what is wrong with the candidates that could have been masks, if there are any."""
    remedy = "Download that series again."
    for code in ("mask-empty", "mask-full", "mask-unreadable"):
        if code in unfit:
            path, found = unfit[code]
            raise InvalidRecordError(code, str(path), found, remedy)
    for path in candidates:
        size = size_of(path)
        if size is None or shows_same_field(size, image_size) or not _is_foreign_mask(path):
            continue
        found = (
            f"a mask of {size[0]} × {size[1]} px cannot belong to an image of {image_size[0]} × "
            f"{image_size[1]} px (width × height): the aspect ratios differ"
        )
        raise InvalidRecordError("mask-aspect", str(path), found, remedy)


def _is_foreign_mask(path: Path) -> bool:
    pixels = stored_values_of(path)
    bright = None if pixels is None else marked_pixels(pixels, lossy=is_lossy(path))
    return bright is not None and bool(bright.any()) and not bool(bright.all())
