"""Slow, obvious geometry: boxes on a grid of quarter pixels are sets of cells, and cells are counted."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

Box = Sequence[float]


def cells(box: Box) -> set[tuple[int, int]]:
    """The quarter-pixel cells `(column, row)` a box covers."""
    x_min, y_min, x_max, y_max = (round(each * 4) for each in box)
    return {(x, y) for x in range(x_min, x_max) for y in range(y_min, y_max)}


def area_by_counting(box: Box) -> float:
    """Area in px²: sixteen cells are one pixel."""
    return len(cells(box)) / 16


def iou_by_counting(box: Box, other: Box) -> float:
    """Shared cells over all cells."""
    return len(cells(box) & cells(other)) / len(cells(box) | cells(other))


def groups_by_relabelling(boxes: Sequence[Box], min_iou: float) -> list[list[int]]:
    """Every box starts alone; while two overlapping boxes differ in label, both take the smaller one."""
    label = list(range(len(boxes)))
    pairs = [(a, b) for a in label for b in label if iou_by_counting(boxes[a], boxes[b]) > min_iou]
    while any(label[a] != label[b] for a, b in pairs):
        for a, b in pairs:
            label[a] = label[b] = min(label[a], label[b])
    return [[n for n in range(len(boxes)) if label[n] == each] for each in sorted(set(label))]


def area_by_triangles(points: Sequence[tuple[float, float]]) -> float:
    """Area of a convex outline as a fan of triangles from its first point (Heron's formula)."""
    first, total = points[0], 0.0
    for b, c in pairwise(points[1:]):
        sides = [
            ((p[0] - q[0]) ** 2 + (p[1] - q[1]) ** 2) ** 0.5 for p, q in ((first, b), (b, c), (c, first))
        ]
        s = sum(sides) / 2
        total += max(s * (s - sides[0]) * (s - sides[1]) * (s - sides[2]), 0.0) ** 0.5
    return total
