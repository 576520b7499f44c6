"""Joins the candidates of several passes over one image, and drops those too small to be a mass.

Boxes are `(x_min, y_min, x_max, y_max)`, float64. Merging is blind to the frame; the size filter is not:
it measures boxes of the original image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammo_monai.geometry import box_area, box_iou, check_boxes
from mammo_monai.records import Boxes
from mammo_monai.words import counted

MIN_IOU_P2 = 0.2
MIN_IOU_PASSES = 0.55  # Solovyev et al., 2021
# 5000 px at 0.07 mm, the smallest mass P2 keeps, as a physical area.
MIN_AREA_MM2_P2 = 24.5
# The same 5000 px as a part of a digital mammogram of 4084 × 3328 px, for images without spacing.
MIN_IMAGE_FRACTION_P2 = 0.00037


@dataclass(frozen=True, eq=False)
class Candidates:
    """Boxes shape (N, 4), scores shape (N,), labels shape (N,): what a model marked in some frame."""

    boxes: Boxes
    scores: NDArray[np.float64]
    labels: NDArray[np.int64]

    @classmethod
    def of(cls, boxes: ArrayLike, scores: ArrayLike, labels: ArrayLike) -> Candidates:
        """Candidates from anything numpy reads.

        Raises:
            GeometryError: boxes that are not (N, 4), not finite, or reversed.
            ValueError: lengths differ, or a score is not finite.
        """
        candidates = cls(
            check_boxes(boxes, allow_empty=True),
            np.asarray(scores, dtype=np.float64).reshape(-1),
            np.asarray(labels, dtype=np.int64).reshape(-1),
        )
        lengths = len(candidates.boxes), len(candidates.scores), len(candidates.labels)
        if len(set(lengths)) != 1:
            raise ValueError(
                "expected one score and one label per box, "
                f"got {counted(lengths[0], 'box')}, {counted(lengths[1], 'score')}, "
                f"{counted(lengths[2], 'label')}."
            )
        if not (is_finite := np.isfinite(candidates.scores)).all():
            raise ValueError(
                f"expected scores that are finite numbers, {int((~is_finite).sum())} of {lengths[1]} are not "
                "(NaN or infinite): the image's pixels or the network's weights are damaged."
            )
        return candidates

    def take(self, rows: ArrayLike) -> Candidates:
        """The candidates of these rows (indices or a mask), in their order."""
        index = np.asarray(rows)
        index = index if index.dtype == np.bool_ else index.astype(np.int64)
        return Candidates(self.boxes[index], self.scores[index], self.labels[index])

    def best(self, limit: int | None = None) -> Candidates:
        """Highest score first, at most `limit`; equal scores keep their order."""
        return self.take(np.argsort(-self.scores, kind="stable")[:limit])


def concatenate(parts: list[Candidates]) -> Candidates:
    """All candidates of the parts, in order; no parts give none."""
    return Candidates(
        np.concatenate([np.zeros((0, 4)), *(part.boxes for part in parts)]),
        np.concatenate([np.zeros(0), *(part.scores for part in parts)]),
        np.concatenate([np.zeros(0, dtype=np.int64), *(part.labels for part in parts)]),
    )


def merge_boxes_p2(
    boxes: ArrayLike, scores: ArrayLike, labels: ArrayLike, *, min_iou: float = MIN_IOU_P2
) -> Candidates:
    """One candidate per group of overlapping ones: the largest box with the highest score.

    The paper leaves the grouping open; here it is greedy. Of the candidates that remain, the one with the
    highest score is the seed; all that remain with the same label and an IoU above `min_iou` *with the seed*
    join it and leave the list. So a chain of overlaps does not grow one box over the breast. Equal scores are
    taken in input order, equal areas in order of score.

    Args:
        boxes: shape (N, 4). scores: shape (N,). labels: shape (N,); different labels never merge.
        min_iou: in [0, 1); an IoU equal to it does not merge.

    Returns:
        Candidates, highest score first.

    Raises:
        GeometryError: boxes that are not (N, 4), not finite, or reversed.
        ValueError: lengths differ, a score is not finite, or `min_iou` lies outside [0, 1).

    Source: P2 (Jung et al., 2018), "Training and inference procedure".

    >>> merged = merge_boxes_p2([[0, 0, 10, 10], [0, 0, 12, 20], [50, 0, 60, 10]], [0.9, 0.6, 0.7], [0, 0, 0])
    >>> merged.boxes.tolist(), merged.scores.tolist()
    ([[0.0, 0.0, 12.0, 20.0], [50.0, 0.0, 60.0, 10.0]], [0.9, 0.7])
    """
    check_min_iou(min_iou)
    remaining = Candidates.of(boxes, scores, labels).best()
    areas = box_area(remaining.boxes)
    left = np.arange(len(areas))
    rows: list[tuple[int, int]] = []
    while len(left):
        seed = left[0]
        iou = box_iou(remaining.boxes[seed : seed + 1], remaining.boxes[left])[0]
        joins = (iou > min_iou) & (remaining.labels[left] == remaining.labels[seed])
        joins[0] = True  # a box without area overlaps not even itself
        group = left[joins]
        rows.append((seed, group[np.argmax(areas[group])]))
        left = left[~joins]
    seeds, largest = np.array(rows, dtype=np.int64).reshape(-1, 2).T
    return Candidates(remaining.boxes[largest], remaining.scores[seeds], remaining.labels[seeds])


def fuse_passes(passes: Sequence[Candidates], *, min_iou: float = MIN_IOU_PASSES) -> Candidates:
    """One candidate per group that several passes over the whole image agree on: weighted box fusion.

    Greedy: of the candidates that remain, the one with the highest score is the seed; from every other pass
    joins the one of its label that overlaps it most, if by an IoU above `min_iou`. At most one of a pass, so
    neighbours that a pass keeps apart stay apart. The box is the mean of the group weighted by score, the
    score is the mean over **all** passes: one that does not see the candidate counts 0. Passes that agree
    exactly give back their candidates exactly.

    Args:
        passes: the candidates of each pass, in one frame; all passes show the whole image.
        min_iou: in [0, 1); an IoU equal to it does not join.

    Returns:
        Candidates, highest score first.

    Raises:
        ValueError: no pass, or `min_iou` outside [0, 1).

    Source: Solovyev, Wang, Gabruseva, 2021 (weighted box fusion; IoU 0.55). It lets a group take several
    boxes of a pass and compares with the group's mean, which a chain of overlaps can carry along.

    >>> passes = [Candidates.of([[0, 0, 10, 8]], [0.9], [0]), Candidates.of([[0, 0, 10, 8.5]], [0.3], [0])]
    >>> fused = fuse_passes(passes)
    >>> fused.boxes.round(3).tolist(), fused.scores.round(3).tolist()
    ([[0.0, 0.0, 10.0, 8.125]], [0.6])
    """
    if not passes:
        raise ValueError("expected the candidates of at least one pass, got none.")
    check_min_iou(min_iou)
    found = concatenate(list(passes))
    order = np.argsort(-found.scores, kind="stable")
    remaining = found.take(order)
    origin = np.repeat(np.arange(len(passes)), [len(each.scores) for each in passes])[order]
    left = np.arange(len(order))
    parts: list[Candidates] = []
    while len(left):
        group = _agreeing(remaining, origin, left, min_iou)
        scores, boxes = remaining.scores[group], remaining.boxes[group]
        # As a shift from the seed: equal boxes give that box, to the last bit.
        weights = scores if scores[0] > 0 else np.ones(len(group))
        shift = weights @ (boxes - boxes[0]) / weights.sum()
        parts.append(
            Candidates.of([boxes[0] + shift], scores.sum() / len(passes), remaining.labels[group[0]])
        )
        left = np.setdiff1d(left, group, assume_unique=True)
    return concatenate(parts).best()


def drop_small(
    boxes: ArrayLike,
    scores: ArrayLike,
    labels: ArrayLike,
    *,
    min_area_mm2: float = MIN_AREA_MM2_P2,
    pixel_spacing_mm: tuple[float, float] | None,
    image_area_px: float,
) -> Candidates:
    """Candidates at least as large as the smallest mass looked for, in the original image.

    Args:
        boxes: shape (N, 4), **original** pixels. scores: shape (N,). labels: shape (N,).
        min_area_mm2: boxes below it go; 24.5 mm² = 5000 px at 0.07 mm.
        pixel_spacing_mm: `(row, column)`; None if unknown. Then the limit is 0.037 % of the image, in
            proportion for another `min_area_mm2`.
        image_area_px: width × height of the original image.

    Raises:
        GeometryError, ValueError: as `Candidates.of`.

    Source: P2 (Jung et al., 2018) drops boxes under 5000 px on 0.07-mm images; protocol §4 for the units.

    >>> kept = drop_small([[0, 0, 70, 70], [0, 0, 70, 72]], [0.9, 0.8], [0, 0],
    ...                   pixel_spacing_mm=(0.07, 0.07), image_area_px=4084 * 3328)
    >>> kept.scores.tolist()   # 4900 and 5040 px
    [0.8]
    """
    candidates = Candidates.of(boxes, scores, labels)
    limit = min_area_px(min_area_mm2, pixel_spacing_mm, image_area_px)
    # A box of exactly the limit stays, whatever the rounding of spacing × spacing.
    return candidates.take(box_area(candidates.boxes) >= limit * (1 - 1e-9))


def min_area_px(
    min_area_mm2: float, pixel_spacing_mm: tuple[float, float] | None, image_area_px: float
) -> float:
    """The size limit of `drop_small` in px² of the original image.

    >>> round(min_area_px(24.5, (0.07, 0.07), 1.0)), round(min_area_px(24.5, None, 800 * 800), 1)
    (5000, 236.8)
    """
    if pixel_spacing_mm is None:
        return MIN_IMAGE_FRACTION_P2 * image_area_px * (min_area_mm2 / MIN_AREA_MM2_P2)
    return min_area_mm2 / (pixel_spacing_mm[0] * pixel_spacing_mm[1])


def _agreeing(
    candidates: Candidates, origin: NDArray[np.int64], left: NDArray[np.int64], min_iou: float
) -> NDArray[np.int64]:
    """The rows of the seed `left[0]` and of its best partner from every other pass."""
    seed = left[0]
    iou = box_iou(candidates.boxes[seed : seed + 1], candidates.boxes[left])[0]
    joins = (iou > min_iou) & (candidates.labels[left] == candidates.labels[seed])
    rows = left[joins][np.argsort(-iou[joins], kind="stable")]
    rows = rows[origin[rows] != origin[seed]]
    _, first = np.unique(origin[rows], return_index=True)
    return np.concatenate([[seed], rows[first]])


def check_min_iou(min_iou: float) -> None:
    """Refuses an overlap at which boxes never join, or that is none.

    Raises:
        ValueError: outside [0, 1).
    """
    if not 0 <= min_iou < 1:
        raise ValueError(f"min_iou must be in [0, 1), got {min_iou}.")
