"""Finds the place in a film that a crop was cut from, by its content: the proof of where a lesion lies.

Boxes are `(x_min, y_min, x_max, y_max)` in original pixels, half-open.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from mammo_monai.records import Box

Grey = NDArray[np.float64]

# A crop of a film correlates with its own place by 1, a JPEG copy by more than this; another place of a
# mammogram, which is noise at this resolution, by far less. Grey values may be stretched linearly.
MIN_CORRELATION = 0.95
_SEARCHED_SIDE_PX = 24  # the crop's shorter side while it is searched for
_MIN_SIDE_PX = 16
_PLACES = 3  # coarse maxima that are looked at in full resolution


def locate_crop(image: NDArray[np.generic], crop: NDArray[np.generic]) -> Box | None:
    """The box of a crop in the image it was cut from, original pixels; None unless content proves one.

    A coarse search over the whole image by normalised cross-correlation, then an exact one around its best
    places. Crops under 16 px or without contrast prove nothing.

    Args:
        image: shape (H, W). crop: shape (h, w), not larger.

    >>> grey = np.random.default_rng(0).normal(size=(90, 60)).cumsum(axis=1)
    >>> locate_crop(grey, grey[20:50, 10:45])
    (10.0, 20.0, 45.0, 50.0)
    """
    (height, width), (crop_height, crop_width) = image.shape, crop.shape
    if crop_height > height or crop_width > width or min(crop.shape) < _MIN_SIDE_PX:
        return None
    factor = max(1, min(crop.shape) // _SEARCHED_SIDE_PX)
    coarse = _correlation(_reduced(image, factor), _reduced(crop, factor))
    best: tuple[float, int, int] = (0.0, 0, 0)
    for row, column in _maxima(coarse):
        best = max(best, _exact(image, crop, row * factor, column * factor, 2 * factor))
    correlation, row, column = best
    if correlation < MIN_CORRELATION:
        return None
    return float(column), float(row), float(column + crop_width), float(row + crop_height)


def locate_near(image: NDArray[np.generic], crop: NDArray[np.generic], near: Box) -> Box | None:
    """As `locate_crop`, where the crop overlaps the box `near`: a search of a small part of the image."""
    height, width = crop.shape
    top, left = max(int(near[1]) - height, 0), max(int(near[0]) - width, 0)
    window = image[top : int(near[3]) + height, left : int(near[2]) + width]
    box = locate_crop(window, crop)
    return None if box is None else (box[0] + left, box[1] + top, box[2] + left, box[3] + top)


def is_provable(crop: NDArray[np.generic]) -> bool:
    """Whether a crop has the size and the contrast to prove a place: then finding none says something."""
    return min(crop.shape) >= _MIN_SIDE_PX and bool(crop.min() != crop.max())


def is_apart(box: Box, other: Box) -> bool:
    """Whether two boxes share less than half of the smaller one; neighbours in a film overlap by chance.

    >>> is_apart((0, 0, 2, 2), (2, 0, 4, 2)), is_apart((0, 0, 9, 9), (1, 1, 3, 3))
    (True, False)
    """
    sides = [min(box[n + 2], other[n + 2]) - max(box[n], other[n]) for n in (0, 1)]
    smaller = min((b[2] - b[0]) * (b[3] - b[1]) for b in (box, other))
    return max(sides[0], 0.0) * max(sides[1], 0.0) < 0.5 * smaller


def agrees(box: Box, crop_box: Box) -> bool:
    """Whether a lesion's box is what the crop shows: nine tenths of it inside, and a twentieth of the crop.

    >>> agrees((10, 10, 20, 20), (8, 8, 24, 24)), agrees((40, 40, 50, 50), (8, 8, 24, 24))
    (True, False)
    """
    sides = [min(box[n + 2], crop_box[n + 2]) - max(box[n], crop_box[n]) for n in (0, 1)]
    inside = max(sides[0], 0.0) * max(sides[1], 0.0)
    area, crop_area = ((b[2] - b[0]) * (b[3] - b[1]) for b in (box, crop_box))
    return inside >= 0.9 * area and inside >= 0.05 * crop_area


def _reduced(image: NDArray[np.generic], factor: int) -> Grey:
    """Means over squares of `factor` pixels; what is left at the right and the bottom is dropped."""
    rows, columns = (length // factor for length in image.shape)
    cut = image[: rows * factor, : columns * factor].astype(np.float32)
    means = cut.reshape(rows, factor, columns, factor).mean(axis=(1, 3))
    return np.asarray(means, dtype=np.float64)


def _correlation(image: Grey, pattern: Grey) -> Grey:
    """Normalised cross-correlation wherever the pattern fits, in [-1, 1]; 0 without contrast."""
    centred = pattern - pattern.mean()
    image = image - image.mean()  # keeps the sums of squares small
    ones = np.ones_like(pattern)
    products = signal.fftconvolve(image, centred[::-1, ::-1], mode="valid")
    sums = signal.fftconvolve(image, ones, mode="valid")
    squares = signal.fftconvolve(image**2, ones, mode="valid")
    variance = squares - sums**2 / pattern.size
    norm = np.sqrt(np.maximum(variance, 0) * np.sum(centred**2))
    # What rounding leaves of a flat place must not look like contrast.
    is_flat = norm <= 1e-6 * max(float(norm.max()), 1e-30)
    return np.asarray(np.divide(products, norm, out=np.zeros_like(products), where=~is_flat))


def _maxima(coarse: Grey) -> list[tuple[int, int]]:
    best = np.argsort(coarse, axis=None)[::-1][:_PLACES]
    rows, columns = np.unravel_index(best, coarse.shape)
    return [*zip(rows.tolist(), columns.tolist(), strict=True)]


def _exact(
    image: NDArray[np.generic], crop: NDArray[np.generic], row: int, column: int, reach: int
) -> tuple[float, int, int]:
    """The best correlation within `reach` pixels of a place, with its row and column."""
    top, left = max(row - reach, 0), max(column - reach, 0)
    window = image[top : row + reach + crop.shape[0], left : column + reach + crop.shape[1]]
    fine = _correlation(window.astype(np.float64), crop.astype(np.float64))
    found_row, found_column = np.unravel_index(int(np.argmax(fine)), fine.shape)
    return float(fine.max()), top + int(found_row), left + int(found_column)
