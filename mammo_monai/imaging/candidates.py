"""Candidate regions without training: bright blobs of many sizes, ranked by contrast to what is around."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from mammo_monai.errors import GeometryError
from mammo_monai.geometry import box_iou, clip_boxes, mask_box
from mammo_monai.imaging.checks import check_image, check_region
from mammo_monai.imaging.working_copy import working_copy
from mammo_monai.records import Boxes

_Grey = NDArray[np.float32]

# Blobs are sought on a copy of the breast of about this many pixels along its longer side.
_WORKING_PX = 200
# Sides of boxes where no spacing is known, of the breast's longer side: 98 of 100 training masses lie within.
_SIZE_SHARES = (0.035, 0.24)
_SIZE_STEP = 1.35
# The numbers below were chosen on training films alone (docs/explanation/preprocessing.md).
_SIDE_SDS = 3.5  # side of a box in standard deviations of the inner Gaussian
_OUTER = 1.6  # of the inner standard deviation; so near, the difference is about a Laplacian
_CONTEXT = 2.0
_LEAST_SPREAD = 0.02  # of [0, 1]; where tissue is flatter, noise would be ranked as blobs
_LEAST_RISE = 1e-4  # of [0, 1]; less is rounding, so a flat image has no candidates
_MOST_PEAKS = 1000
_MAX_IOU = 0.3
_LEAST_WEIGHT = 1e-3


def candidate_regions(
    image: NDArray[np.generic],
    region: NDArray[np.bool_] | None = None,
    *,
    pixel_spacing_mm: tuple[float, float] | None = None,
    size_range: tuple[float, float] | None = None,
    max_regions: int = 50,
) -> tuple[Boxes, NDArray[np.float64]]:
    """Square regions that may hold a mass: peaks of a difference of Gaussians over place and size.

    The difference is divided by the standard deviation of grey values around, so a faint mass in fat ranks
    beside a bright one in gland. What lies outside the region does not count, so the skin line is no blob.
    Blobs are sought on a small copy: boxes are exact to a 200th of the breast's longer side. Equal input
    gives equal output; nothing is trained.

    Args:
        image: shape (H, W), grey values in [0, 1]; dense tissue is bright.
        region: boolean mask of the breast, shape (H, W); None takes all of the image.
        pixel_spacing_mm: `(row, column)`, where known; boxes are then square in mm.
        size_range: smallest and largest side of a box, in mm with `pixel_spacing_mm`, else in pixels; None
            takes 3.5 % to 24 % of the longer side of the region's box.
        max_regions: at most as many are returned; of two that overlap by more than IoU 0.3, the weaker goes.

    Returns:
        Boxes `(x_min, y_min, x_max, y_max)` in pixels of the image, cut at its edges, shape (N, 4), and
        scores, shape (N,), above 0, descending: contrast in standard deviations. None on a flat image.

    Raises:
        GeometryError: not a grey image, grey values outside [0, 1], or an empty region.
        ValueError: sizes out of order, a spacing not above 0, or `max_regions` below 1.

    Source: difference of Gaussians over scales, Lindeberg, 1998; Lowe, 2004. P4 generates candidate regions
    and does not say how. Numbers and normalisation are ours, measured in docs/explanation/preprocessing.md.
    """
    check_image(image)
    if image.min() < 0 or image.max() > 1:
        raise GeometryError(
            f"expected grey values in [0, 1], got {image.min():g} to {image.max():g}. Use scale_range first."
        )
    if max_regions < 1:
        raise ValueError(f"max_regions must be at least 1, got {max_regions}.")
    whole = np.ones(image.shape, dtype=np.bool_) if region is None else region
    check_region(image, whole)
    x_min, y_min, x_max, y_max = (int(edge) for edge in mask_box(whole))
    part = slice(y_min, y_max), slice(x_min, x_max)
    share = working_copy(whole[part], _WORKING_PX).pixels
    small = working_copy(np.where(whole[part], image[part], 0), _WORKING_PX)
    inside = share > 0.5
    if not inside.any():  # a region thinner than half a pixel of the copy
        return np.zeros((0, 4)), np.zeros(0)
    step_px = small.step_px
    sizes, ratio = _sides(image[part].shape, pixel_spacing_mm, size_range)
    means = np.divide(small.pixels, np.maximum(share, np.float32(0.5)), dtype=np.float32)
    boxes, scores = _peaks(means, inside, sizes / step_px, ratio)
    boxes = clip_boxes(boxes * step_px + [x_min, y_min, x_min, y_min], image.shape[1], image.shape[0])
    kept = _without_overlap(boxes, max_regions)
    return boxes[kept], scores[kept]


def _sides(
    shape: tuple[int, ...],
    spacing_mm: tuple[float, float] | None,
    size_range: tuple[float, float] | None,
) -> tuple[NDArray[np.float64], float]:
    """Heights of boxes in pixels, ascending, and width over height in pixels."""
    if spacing_mm is not None and not min(spacing_mm) > 0:
        raise ValueError(f"pixel_spacing_mm must be above 0, got {spacing_mm}.")
    row_mm, column_mm = (1.0, 1.0) if spacing_mm is None else spacing_mm
    longer = max(shape[0] * row_mm, shape[1] * column_mm)
    low, high = (share * longer for share in _SIZE_SHARES) if size_range is None else size_range
    if not 0 < low <= high < np.inf:
        raise ValueError(f"size_range must be (smallest, largest), both above 0, got {size_range}.")
    count = 1 + int(np.ceil(np.log(high / low) / np.log(_SIZE_STEP) - 1e-9))
    return np.geomspace(low, high, count) / row_mm, row_mm / column_mm


def _peaks(
    pixels: _Grey, inside: NDArray[np.bool_], heights: NDArray[np.float64], ratio: float
) -> tuple[Boxes, NDArray[np.float64]]:
    """Boxes on the copy around local maxima over place and size, and their contrast, descending."""
    blurred = _Blurred(pixels, inside, _CONTEXT * heights[-1] * max(1.0, ratio) / _SIDE_SDS)
    contrast = np.stack([_contrast(blurred, (side, side * ratio)) for side in heights])
    is_peak = (contrast > 0) & (contrast == ndimage.maximum_filter(contrast, (3, 5, 5), mode="constant"))
    index, row, column = np.nonzero(is_peak)
    scores = contrast[index, row, column].astype(np.float64)
    best = np.argsort(-scores, kind="stable")[:_MOST_PEAKS]
    half = heights[index[best]] / 2
    x, y = column[best] + 0.5, row[best] + 0.5
    return np.stack([x - half * ratio, y - half, x + half * ratio, y + half], axis=1), scores[best]


def _contrast(blurred: _Blurred, sides: tuple[float, float]) -> _Grey:
    """Difference of Gaussians over the spread around, at one size; 0 outside and where nothing rises."""
    sds = np.array(sides) / _SIDE_SDS
    (inner, _), (outer, _), (_, spread) = (blurred.by(sds * factor) for factor in (1.0, _OUTER, _CONTEXT))
    rise = inner - outer
    contrast = rise / np.sqrt(np.square(spread) + np.float32(_LEAST_SPREAD**2))
    return np.where(blurred.inside & (rise > _LEAST_RISE), contrast, np.float32(0))


class _Blurred:
    """Gaussian means of grey values inside a region; by Fourier transform, whose time no size lengthens.

    All sizes of a film take 30 ms on a copy of 200 × 150.
    """

    def __init__(self, pixels: _Grey, inside: NDArray[np.bool_], widest_sd: float) -> None:
        self.inside = inside
        beyond = min(int(np.ceil(3 * widest_sd)), max(inside.shape))
        self._padded = [fft.next_fast_len(side + beyond, real=True) for side in inside.shape]
        self._rows = np.fft.fftfreq(self._padded[0])[:, None]
        self._columns = np.fft.rfftfreq(self._padded[1])[None]
        weight = inside.astype(np.float32)
        self._spectra = [
            fft.rfft2(each, self._padded) for each in (weight, weight * pixels, weight * np.square(pixels))
        ]

    def by(self, sds: NDArray[np.float64]) -> tuple[_Grey, _Grey]:
        """Mean and standard deviation under a Gaussian of deviations (rows, columns), in pixels."""
        exponent = np.square(sds[0] * self._rows) + np.square(sds[1] * self._columns)
        window = np.exp(-2 * np.pi**2 * exponent).astype(np.float32)
        height, width = self.inside.shape
        weight, total, squares = (
            fft.irfft2(each * window, self._padded)[:height, :width] for each in self._spectra
        )
        # Where hardly any of the Gaussian lies in the region there is nothing to compare with: brighter than
        # any grey value, so that nothing rises above it.
        is_known = weight > _LEAST_WEIGHT
        mean = np.where(is_known, total / np.where(is_known, weight, 1), np.float32(2))
        variance = np.where(is_known, squares / np.where(is_known, weight, 1) - np.square(mean), 0)
        return mean, np.sqrt(np.maximum(variance, 0))


def _without_overlap(boxes: Boxes, max_regions: int) -> NDArray[np.intp]:
    """Rows of the first boxes that overlap none before them by more."""
    kept: list[int] = []
    for row in range(len(boxes)):
        if len(kept) == max_regions:
            break
        if not kept or float(box_iou(boxes[row : row + 1], boxes[kept]).max()) <= _MAX_IOU:
            kept.append(row)
    return np.array(kept, dtype=np.intp)
