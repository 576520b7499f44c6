"""Tells an ROI mask from a crop by content, and gives its box in the pixels of the full image."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mammo_monai.geometry import mask_box, scale_boxes
from mammo_monai.readers.audit import InvalidRecordError
from mammo_monai.readers.dicom_candidates import size_of, stored_values_of
from mammo_monai.records import Box

Size = tuple[int, int]

# The scales along columns and rows may differ by this much before mask and image are held to show
# different fields. No source known; a row or column of padding on a film of 2000 px is 0.05 %.
MAX_ASPECT_DIFFERENCE = 0.01


@dataclass(frozen=True)
class RoiMask:
    """A mask that marks one lesion.

    Attributes:
        box: original pixels of the full image. width, height: pixels of the mask itself.
        path: the file it was found in.
    """

    box: Box
    width: int
    height: int
    path: Path


def find_roi_masks(candidates: Sequence[Path], width: int, height: int) -> list[RoiMask]:
    """The masks among the candidates: binary, and of the full image's size or, per axis, a scale of it.

    Crops fail on either count; files that cannot be read are no masks.

    Args:
        width, height: pixels of the full image.

    Raises:
        InvalidRecordError: the only binary candidates mark nothing, or have another aspect ratio.
    """
    sizes = {path: size for path in candidates if (size := size_of(path)) is not None}
    fitting = [path for path, size in sizes.items() if _shows_same_field(size, (width, height))]
    binary = {path: pixels for path in fitting if (pixels := _binary_pixels(path)) is not None}
    masks = [_mask(path, pixels, width, height) for path, pixels in binary.items() if pixels.any()]
    if not masks:
        _explain(sizes, binary, width, height)
    return masks


def is_binary(pixels: NDArray[np.integer]) -> bool:
    """Whether a 2-D image holds at most one value besides zero.

    >>> is_binary(np.array([[0, 255], [255, 0]])), is_binary(np.array([[0, 255], [254, 0]]))
    (True, False)
    """
    return bool(np.all((pixels == 0) | (pixels == pixels.max())))


def _shows_same_field(mask_size: Size, image_size: Size) -> bool:
    scale_x, scale_y = image_size[0] / mask_size[0], image_size[1] / mask_size[1]
    return abs(scale_x / scale_y - 1) <= MAX_ASPECT_DIFFERENCE


def _binary_pixels(path: Path) -> NDArray[np.integer] | None:
    pixels = stored_values_of(path)
    return pixels if pixels is not None and is_binary(pixels) else None


def _mask(path: Path, pixels: NDArray[np.integer], width: int, height: int) -> RoiMask:
    mask_height, mask_width = pixels.shape
    boxes = scale_boxes(np.array([mask_box(pixels)]), width / mask_width, height / mask_height)
    x_min, y_min, x_max, y_max = boxes[0].tolist()
    return RoiMask((x_min, y_min, x_max, y_max), mask_width, mask_height, path)


def _explain(sizes: Mapping[Path, Size], binary: Collection[Path], width: int, height: int) -> None:
    """Raises what is wrong with the binary candidates, if there are any."""
    for path, size in sizes.items():
        where, remedy = str(path), "Download that series again."
        if path in binary:
            found = "the ROI mask is all zero, it marks no pixel"
            raise InvalidRecordError("mask-empty", where, found, remedy)
        if not _shows_same_field(size, (width, height)) and _binary_pixels(path) is not None:
            found = (
                f"a mask of {size[0]} × {size[1]} px cannot belong to an image of {width} × {height} px "
                "(width × height): the aspect ratios differ"
            )
            raise InvalidRecordError("mask-aspect", where, found, remedy)
