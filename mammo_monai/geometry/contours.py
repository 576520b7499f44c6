"""Boxes and areas of contours `(x, y)` and of masks, in the frame these are given in."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammo_monai.errors import GeometryError
from mammo_monai.records import Box


def contour_box(points: ArrayLike) -> Box:
    """Smallest box around contour points: from the least to the largest point, as protocol and papers do.

    Args:
        points: shape (K, 2), `(x, y)`.

    Raises:
        GeometryError: no points, a shape other than (K, 2), or a point that is no number or not finite.

    >>> contour_box([(3, 4), (10, 6), (5, 9)])
    (3.0, 4.0, 10.0, 9.0)
    """
    array = _points(points)
    low, high = array.min(axis=0), array.max(axis=0)
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def contour_area_px(points: ArrayLike) -> float:
    """Area inside a closed contour in px², by the shoelace formula; the last point joins the first.

    Raises:
        GeometryError: not points `(x, y)`, or none.

    >>> contour_area_px([(0, 0), (4, 0), (4, 3), (0, 3)])
    12.0
    """
    x, y = _points(points).T
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)


def mask_box(mask: NDArray[np.generic]) -> Box:
    """Half-open box of a mask's non-zero pixels: the largest index + 1.

    Args:
        mask: shape (H, W).

    Raises:
        GeometryError: not two-dimensional, or all zero.

    >>> mask_box(np.array([[0, 0, 0], [0, 1, 1]]))
    (1.0, 1.0, 3.0, 2.0)
    """
    if mask.ndim != 2:
        raise GeometryError(f"a mask must have shape (H, W), got {mask.shape}.")
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    if not len(columns):
        raise GeometryError("a mask must mark at least one pixel, this one is all zero.")
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def _points(points: ArrayLike) -> NDArray[np.float64]:
    try:
        array = np.asarray(points, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise GeometryError(f"a contour must hold points of two numbers (x, y); {error}.") from error
    if array.ndim != 2 or array.shape[1] != 2 or not len(array):
        raise GeometryError(f"a contour must have shape (K, 2) with K >= 1: (x, y); got {array.shape}.")
    if not np.isfinite(array).all():
        raise GeometryError("a contour must hold finite points (x, y), this one has NaN or infinity.")
    return array
