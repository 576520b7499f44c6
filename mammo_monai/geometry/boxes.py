"""Functions of axis-aligned boxes `(x_min, y_min, x_max, y_max)`, float64, pixels, half-open."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammo_monai.errors import GeometryError
from mammo_monai.records import Boxes


def check_boxes(
    boxes: ArrayLike,
    *,
    width: float | None = None,
    height: float | None = None,
    allow_empty: bool = False,
) -> Boxes:
    """Boxes as a float64 array of shape (N, 4), verified.

    Args:
        boxes: anything numpy reads as N rows of four numbers; an empty sequence gives shape (0, 4).
        width, height: if both are given, every box must lie inside this image.
        allow_empty: whether a box may have no width or no height (a detection clipped at the border).

    Raises:
        GeometryError: not numbers, wrong shape, not finite, no area, or outside the image; the first bad
            row is named.

    >>> check_boxes([[0, 0, 10, 5]], width=10, height=5).shape
    (1, 4)
    """
    try:
        array = np.asarray(boxes, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise GeometryError(
            f"boxes must be rows of four numbers: x_min, y_min, x_max, y_max; {error}."
        ) from error
    if array.size == 0:
        return np.zeros((0, 4))
    if array.ndim != 2 or array.shape[1] != 4:
        raise GeometryError(f"boxes must have shape (N, 4): x_min, y_min, x_max, y_max; got {array.shape}.")
    _reject(array, np.any(~np.isfinite(array), axis=1), "is not finite")
    sides = array[:, 2:] - array[:, :2]
    has_no_area = np.any(sides < 0 if allow_empty else sides <= 0, axis=1)
    _reject(array, has_no_area, "is reversed or has no area: expected x_max > x_min and y_max > y_min")
    if width is not None and height is not None:
        outside = np.any(array != clip_boxes(array, width, height), axis=1)
        _reject(array, outside, f"lies outside the image of {width:g} × {height:g} px (width × height)")
    return array


def box_area(boxes: Boxes) -> NDArray[np.float64]:
    """Areas in px², shape (N,); 0 where a box is reversed."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0.0)
    return np.asarray(sides[:, 0] * sides[:, 1])


def box_iou(boxes: Boxes, others: Boxes) -> NDArray[np.float64]:
    """Intersection over union of every pair, shape (N, M), in [0, 1]; 0 where both areas are 0.

    >>> box_iou(np.array([[0.0, 0, 2, 2]]), np.array([[1.0, 0, 3, 2]])).round(4).tolist()
    [[0.3333]]
    """
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    sides = np.maximum(high - low, 0.0)
    intersection = sides[..., 0] * sides[..., 1]
    union = box_area(boxes)[:, None] + box_area(others)[None, :] - intersection
    return np.asarray(np.divide(intersection, union, out=np.zeros_like(intersection), where=union > 0))


def clip_boxes(boxes: Boxes, width: float, height: float) -> Boxes:
    """Boxes cut at the borders of an image; a box wholly outside keeps no area.

    >>> clip_boxes(np.array([[-5.0, 2, 20, 30]]), 10, 8).tolist()
    [[0.0, 2.0, 10.0, 8.0]]
    """
    return np.clip(boxes, 0.0, np.array([width, height, width, height], dtype=np.float64))


def scale_boxes(boxes: Boxes, scale_x: float, scale_y: float) -> Boxes:
    """Boxes after the image is stretched by `scale_x` along columns and `scale_y` along rows."""
    return boxes * np.array([scale_x, scale_y, scale_x, scale_y], dtype=np.float64)


def flip_boxes(boxes: Boxes, width: float) -> Boxes:
    """Boxes after a left-right mirroring of an image `width` pixels wide.

    >>> flip_boxes(np.array([[1.0, 2, 4, 5]]), 10).tolist()
    [[6.0, 2.0, 9.0, 5.0]]
    """
    return np.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], axis=1)


def enlarge_boxes(boxes: Boxes, fraction: float) -> Boxes:
    """Boxes whose width and height grow by `fraction` about their centres.

    Source: P2 (Jung et al., 2018), 10 % for training targets.

    >>> enlarge_boxes(np.array([[0.0, 0, 10, 20]]), 0.1).tolist()
    [[-0.5, -1.0, 10.5, 21.0]]
    """
    half = (boxes[:, 2:] - boxes[:, :2]) * (fraction / 2)
    return np.concatenate([boxes[:, :2] - half, boxes[:, 2:] + half], axis=1)


def merge_overlapping_boxes(boxes: Boxes, min_iou: float = 0.0) -> tuple[Boxes, list[list[int]]]:
    """Enclosing boxes of the groups of annotations that overlap, and the members of each group.

    Two boxes belong together when their IoU exceeds `min_iou`, or when a chain of such pairs links them.
    Groups come in the order of their first member.

    Source: P3 (Agarwal et al., 2019) merges overlapping annotations; it names no limit: any overlap counts.

    >>> merged, groups = merge_overlapping_boxes(np.array([[0.0, 0, 4, 4], [8, 8, 9, 9], [2, 2, 6, 6]]))
    >>> merged.tolist(), groups
    ([[0.0, 0.0, 6.0, 6.0], [8.0, 8.0, 9.0, 9.0]], [[0, 2], [1]])
    """
    groups = _connected(box_iou(boxes, boxes) > min_iou)
    merged = [[*boxes[group, :2].min(axis=0), *boxes[group, 2:].max(axis=0)] for group in groups]
    return np.array(merged, dtype=np.float64).reshape(-1, 4), groups


def _connected(touches: NDArray[np.bool_]) -> list[list[int]]:
    groups: list[list[int]] = []
    seen: set[int] = set()
    for start in range(len(touches)):
        if start in seen:
            continue
        group, pending = {start}, [start]
        while pending:
            near = set(np.flatnonzero(touches[pending.pop()]).tolist()) - group
            group |= near
            pending.extend(near)
        seen |= group
        groups.append(sorted(group))
    return groups


def _reject(boxes: Boxes, is_bad: ArrayLike, reason: str) -> None:
    rows: Sequence[int] = np.flatnonzero(is_bad).tolist()
    if rows:
        raise GeometryError(
            f"box {rows[0]} {boxes[rows[0]].tolist()} {reason} ({len(rows)} of {len(boxes)} boxes)."
        )
