"""The outline of a mask as a polygon with few corners, to draw over a picture of any size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Point = tuple[float, float]
# Directions along pixel edges, clockwise: right, down, left, up; each with the pixels (row, column offsets)
# ahead of it on its right and on its left.
_STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))
_AHEAD_RIGHT = ((0, 0), (0, -1), (-1, -1), (-1, 0))
_AHEAD_LEFT = ((-1, 0), (0, 0), (0, -1), (-1, -1))


def outline_of(mask: NDArray[np.bool_], *, tolerance: float = 1.2) -> tuple[Point, ...]:
    """Corners of the outer outline of a mask's topmost part, clockwise, `(x, y)` along pixel edges.

    Args:
        mask: shape (H, W). tolerance: pixels a corner may lie off the line that replaces it; above 1, the
            stairs of a slanted line go.

    Returns:
        An empty tuple for an empty mask.

    >>> outline_of(np.array([[False, False, False], [False, True, True]]), tolerance=0)
    ((1.0, 1.0), (3.0, 1.0), (3.0, 2.0), (1.0, 2.0))
    """
    marked = np.argwhere(mask)
    if not len(marked):
        return ()
    row, column = (int(each) for each in marked[0])
    corners = _corners(np.pad(mask, 1), (column, row))
    # Simplified in two halves: a closed line has no ends to hold on to.
    far = max(range(len(corners)), key=lambda n: _distance_squared(corners[0], corners[n]))
    first, second = corners[: far + 1], [*corners[far:], corners[0]]
    return (*_simplified(first, tolerance)[:-1], *_simplified(second, tolerance)[:-1])


def _corners(padded: NDArray[np.bool_], start: tuple[int, int]) -> list[Point]:
    """Where the walk along the pixel edges turns, with the mask always on its right."""

    def is_inside(x: int, y: int, offset: tuple[int, int]) -> bool:
        return bool(padded[y + offset[0] + 1, x + offset[1] + 1])

    corners: list[Point] = [(float(start[0]), float(start[1]))]
    (x, y), direction = start, 0
    while True:
        x, y = x + _STEPS[direction][0], y + _STEPS[direction][1]
        if (x, y) == start:
            return corners
        turned = direction
        if is_inside(x, y, _AHEAD_LEFT[direction]) and is_inside(x, y, _AHEAD_RIGHT[direction]):
            turned = (direction - 1) % 4
        elif not is_inside(x, y, _AHEAD_RIGHT[direction]):
            turned = (direction + 1) % 4
        if turned != direction:
            corners.append((float(x), float(y)))
            direction = turned


def _simplified(points: list[Point], tolerance: float) -> list[Point]:
    """Ramer's and Douglas and Peucker's reduction of an open line; both ends stay."""
    kept, open_parts = {0, len(points) - 1}, [(0, len(points) - 1)]
    line = np.array(points)
    while open_parts:
        first, last = open_parts.pop()
        if last - first < 2:
            continue
        along = line[last] - line[first]
        offsets = line[first + 1 : last] - line[first]
        across = np.abs(offsets[:, 0] * along[1] - offsets[:, 1] * along[0]) / (np.hypot(*along) or 1.0)
        worst = int(np.argmax(across))
        if across[worst] > tolerance:
            middle = first + 1 + worst
            kept.add(middle)
            open_parts += [(first, middle), (middle, last)]
    return [points[n] for n in sorted(kept)]


def _distance_squared(a: Point, b: Point) -> float:
    return (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2
