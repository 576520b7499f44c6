"""Lesions as polygons in the pixels of a prepared image: what lies inside, and how much a window holds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mammo_monai.geometry import ImageFrame
from mammo_monai.geometry.contours import contour_area_px
from mammo_monai.records import Box, ImageRecord, Lesion

ELLIPSE_POINTS = 64  # the polygon's area is 0.2 % below the ellipse's
Points = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LesionRegion:
    """A lesion where it lies in the prepared image.

    Attributes:
        polygon: points `(x, y)`, shape (K, 2), pixels of the prepared image; the last joins the first.
        number: of the lesion in its record.
    """

    lesion: Lesion
    number: int
    polygon: Points

    @property
    def box(self) -> Box:
        """Smallest box around the polygon."""
        (x_min, y_min), (x_max, y_max) = self.polygon.min(axis=0), self.polygon.max(axis=0)
        return float(x_min), float(y_min), float(x_max), float(y_max)


def lesion_regions(record: ImageRecord, frame: ImageFrame) -> tuple[LesionRegion, ...]:
    """The record's lesions in the frame's pixels, without those that were cropped away.

    The contour where there is one of at least three points; else the ellipse inscribed in the box, since a
    mass is round and a manifest keeps no mask.

    Source: P3 asks the annotation; the ellipse: no source known.
    """
    width, height = frame.size
    regions = [
        LesionRegion(lesion, number, _moved(_outline(lesion), frame))
        for number, lesion in enumerate(record.lesions)
    ]
    return tuple(each for each in regions if area_within(each.polygon, (0, 0, width, height)) > 0)


def is_inside(polygon: Points, points: Points) -> NDArray[np.bool_]:
    """Whether each point lies inside the polygon, by the even-odd rule; shape (N,).

    Args:
        polygon: shape (K, 2). points: shape (N, 2).

    Source: Shimrat, 1962 (crossings of a ray).

    >>> square = np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 2.0], [0.0, 2.0]])
    >>> is_inside(square, np.array([[1.0, 1.0], [1.0, 3.0]])).tolist()
    [True, False]
    """
    inside = np.zeros(len(points), dtype=bool)
    x, y = points[:, 0], points[:, 1]
    for (x1, y1), (x2, y2) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if y1 == y2:
            continue
        crosses = (y1 > y) != (y2 > y)
        inside ^= crosses & (x < x1 + (y - y1) * (x2 - x1) / (y2 - y1))
    return inside


def area_within(polygon: Points, box: Box) -> float:
    """Area of the part of a polygon that lies in a box, px².

    Source: Sutherland & Hodgman, 1974; parts of a concave polygon are joined along the box's edge, which adds
    no area.

    >>> area_within(np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 2.0], [0.0, 2.0]]), (1.0, 1.0, 9.0, 9.0))
    3.0
    """
    x_min, y_min, x_max, y_max = box
    clipped = polygon
    for axis, limit, side in ((0, x_min, 1.0), (0, x_max, -1.0), (1, y_min, 1.0), (1, y_max, -1.0)):
        clipped = _cut_at(clipped, axis, limit, side)
        if not len(clipped):
            return 0.0
    return contour_area_px(clipped)


def _cut_at(polygon: Points, axis: int, limit: float, side: float) -> Points:
    """The part of a polygon on one side of an axis-parallel line."""
    kept: list[Points] = []
    distances = side * (polygon[:, axis] - limit)
    for number, point in enumerate(polygon):
        before, here = distances[number - 1], distances[number]
        if (before < 0) != (here < 0):
            share = before / (before - here)
            kept.append(polygon[number - 1] + share * (point - polygon[number - 1]))
        if here >= 0:
            kept.append(point)
    return np.array(kept, dtype=np.float64).reshape(-1, 2)


def _outline(lesion: Lesion) -> Points:
    if lesion.contour is not None and not lesion.is_dot:
        return np.array(lesion.contour, dtype=np.float64)
    x_min, y_min, x_max, y_max = lesion.box
    angles = np.linspace(0, 2 * np.pi, ELLIPSE_POINTS, endpoint=False)
    half = np.array([x_max - x_min, y_max - y_min]) / 2
    return np.asarray(
        np.array([x_min, y_min]) + half * (1 + np.stack([np.cos(angles), np.sin(angles)], axis=1))
    )


def _moved(points: Points, frame: ImageFrame) -> Points:
    return np.asarray(frame.to_model(np.concatenate([points, points], axis=1))[:, :2])
