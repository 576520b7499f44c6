"""Grey-value scaling: to a known range, to percentiles, and the recipe from 16 to 8 bits."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mammo_monai.errors import GeometryError
from mammo_monai.imaging.checks import check_image, check_region

Grey = NDArray[np.float32]
Region = NDArray[np.bool_]


def scale_range(image: NDArray[np.generic], output_range: tuple[float, float]) -> Grey:
    """Grey values in [0, 1] from a known range, such as a mammogram's `output_range`; outside is clipped.

    Independent of content: equal grey values stay equal over all images of that range.

    Args:
        image: shape (H, W).
        output_range: `(lo, hi)`, lo < hi, in the image's unit.

    Raises:
        GeometryError: not a grey image. ValueError: the range is empty or reversed.

    >>> scale_range(np.array([[0, 50, 200]]), (0, 100)).tolist()
    [[0.0, 0.5, 1.0]]
    """
    check_image(image)
    low, high = (float(end) for end in output_range)
    if not (np.isfinite([low, high]).all() and low < high):
        raise ValueError(f"output_range must be (lo, hi) with lo < hi, got ({low}, {high}).")
    return _scaled(image, low, high)


def scale_percentile(
    image: NDArray[np.generic], low: float = 0.5, high: float = 99.5, region: Region | None = None
) -> Grey:
    """Grey values in [0, 1] between two percentiles; outside is clipped.

    Args:
        image: shape (H, W); all of it is scaled.
        low, high: percentiles, 0 <= low < high <= 100.
        region: pixels the percentiles are taken from, shape (H, W); None takes all.

    Raises:
        GeometryError: not a grey image, an empty region, or percentiles that coincide (a blank film).
        ValueError: percentiles out of order.

    >>> scale_percentile(np.array([[0, 1, 2, 3, 4]]), low=25, high=75).tolist()
    [[0.0, 0.0, 0.5, 1.0, 1.0]]
    """
    check_image(image)
    if not 0 <= low < high <= 100:
        raise ValueError(f"percentiles must be 0 <= low < high <= 100, got {low} and {high}.")
    ends = np.percentile(_pixels_of(image, region), [low, high])
    return _scaled(image, *_distinct(float(ends[0]), float(ends[1])))


def to_eight_bit(
    image: NDArray[np.generic],
    method: Literal["range", "min_max", "percentile"] = "range",
    *,
    output_range: tuple[float, float] | None = None,
    percentiles: tuple[float, float] = (0.5, 99.5),
    region: Region | None = None,
) -> NDArray[np.uint8]:
    """Grey values 0–255: linear, clipped, rounded half up.

    Public releases of scanned mammograms often come as 8-bit JPG. How they were made is rarely written down:
    no source is known for the choice between these three, and JPG adds its own loss. In one such release the
    brightest pixel is 255 in most films but below 200 in some, which a per-image stretch would not leave.
    So a model trained on such a release should be fed by the method that matches it best by eye and figures,
    and the choice belongs in its metadata.

    Args:
        image: shape (H, W).
        method: "range": from `output_range`, the same for all images (16 bits: value / 257). "min_max": from
            the image's own lowest and highest value, white borders and labels included. "percentile": from
            `percentiles` over `region`.
        output_range: for "range": `(lo, hi)` in the image's unit; None takes the dtype's range.
        percentiles: for "percentile".
        region: for "min_max" and "percentile": pixels looked at, shape (H, W); None takes all.

    Raises:
        GeometryError: not a grey image, an empty region, or no contrast to stretch.
        ValueError: unknown method, or no range given for a floating-point image.

    >>> to_eight_bit(np.array([[0, 257, 65535]], dtype=np.uint16)).tolist()
    [[0, 1, 255]]
    """
    check_image(image)
    if method == "range":
        grey = scale_range(image, output_range or _dtype_range(image))
    elif method == "min_max":
        grey = scale_percentile(image, 0, 100, region)
    elif method == "percentile":
        grey = scale_percentile(image, *percentiles, region)
    else:
        raise ValueError(f"method must be 'range', 'min_max' or 'percentile', got {method!r}.")
    return np.asarray(np.floor(grey * np.float32(255) + np.float32(0.5)), dtype=np.uint8)


def _dtype_range(image: NDArray[np.generic]) -> tuple[float, float]:
    if not np.issubdtype(image.dtype, np.integer):
        raise ValueError(
            f"output_range must be given for dtype {image.dtype}: a float has no range of its own. "
            "Use the output_range of read_mammogram."
        )
    limits = np.iinfo(image.dtype.name)
    return float(limits.min), float(limits.max)


def _pixels_of(image: NDArray[np.generic], region: Region | None) -> Grey:
    if region is None:
        return image.astype(np.float32)
    check_region(image, region)
    return image[region].astype(np.float32)


def _distinct(low: float, high: float) -> tuple[float, float]:
    if not low < high:
        raise GeometryError(
            f"expected grey values to differ, got {low:g} throughout: a blank film has no contrast to scale. "
            "Scale it by its known range (scale_range), or leave it out."
        )
    return low, high


def _scaled(image: NDArray[np.generic], low: float, high: float) -> Grey:
    grey = (image.astype(np.float32) - np.float32(low)) / np.float32(high - low)
    return np.clip(grey, 0, 1, out=grey)
