"""How well two sets of detections of one image agree: which boxes pair, and how far their scores differ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mammo_monai.geometry.boxes import box_iou, check_boxes
from mammo_monai.records import Detections


@dataclass(frozen=True, eq=False)
class Agreement:
    """Pairs of detections, one of each set, and those without a partner; all rows into the sets as given.

    Attributes:
        first, second: rows of each pair, shape (P,), best overlap first.
        iou: of each pair, shape (P,). score_difference: second minus first, shape (P,).
        only_first, only_second: rows without a partner, shapes (Q,) and (R,).
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    iou: NDArray[np.float64]
    score_difference: NDArray[np.float64]
    only_first: NDArray[np.int64]
    only_second: NDArray[np.int64]

    @property
    def n_unmatched(self) -> int:
        """Detections of either set without a partner."""
        return len(self.only_first) + len(self.only_second)


def detection_agreement(
    first: Detections, second: Detections, *, min_iou: float = 0.5, from_score: float = 0.0
) -> Agreement:
    """Pairs each detection with the one of the other set it overlaps most.

    Pairs are taken by IoU, highest first, equal ones in file order, among those of one label with IoU of at
    least `min_iou`; a detection has one partner at most. All detections look for a partner, then those below
    `from_score` are left out: a pair counts when either of its scores reaches it, so a box that one set has
    just below the threshold shows as a difference of scores, not as a box the other set lacks.

    Args:
        first, second: of the same image, boxes in the same frame.
        min_iou: in (0, 1]. from_score: lowest score that counts.

    Raises:
        GeometryError: a box is reversed or not finite. ValueError: `min_iou` out of range, or sets of
            different images.

    Source: no source known; greedy pairing as in non-maximum suppression.

    >>> a = Detections("x", np.array([[0.0, 0, 10, 10]]), np.array([0.8]), np.zeros(1, dtype=np.int64))
    >>> b = Detections("x", np.array([[50.0, 0, 60, 10], [0, 0, 10, 8]]), np.array([0.4, 0.7]),
    ...     np.zeros(2, dtype=np.int64))
    >>> found = detection_agreement(a, b, from_score=0.5)
    >>> found.second.tolist(), found.iou.tolist(), found.score_difference.round(2).tolist(), found.n_unmatched
    ([1], [0.8], [-0.1], 0)
    """
    if not 0 < min_iou <= 1:
        raise ValueError(f"min_iou must be in (0, 1], got {min_iou}.")
    if first.record_id != second.record_id:
        raise ValueError(f"expected two sets of one image, got {first.record_id} and {second.record_id}.")
    overlaps = box_iou(
        check_boxes(first.boxes, allow_empty=True), check_boxes(second.boxes, allow_empty=True)
    )
    overlaps[first.labels[:, None] != second.labels[None, :]] = 0
    rows, columns = _best_pairs(overlaps, min_iou)
    counts = np.maximum(first.scores[rows], second.scores[columns]) >= from_score
    shown = rows[counts], columns[counts]
    return Agreement(
        *shown,
        iou=overlaps[shown],
        score_difference=second.scores[shown[1]] - first.scores[shown[0]],
        only_first=_without_partner(first, rows, from_score),
        only_second=_without_partner(second, columns, from_score),
    )


def _best_pairs(overlaps: NDArray[np.float64], min_iou: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of the pairs, each used once, highest overlap first."""
    rows, columns = np.nonzero(overlaps >= min_iou)
    order = np.argsort(-overlaps[rows, columns], kind="stable")
    rows, columns = rows[order], columns[order]
    taken: list[int] = []
    free_rows, free_columns = (np.ones(length, dtype=bool) for length in overlaps.shape)
    for n, (row, column) in enumerate(zip(rows.tolist(), columns.tolist(), strict=True)):
        if free_rows[row] and free_columns[column]:
            free_rows[row] = free_columns[column] = False
            taken.append(n)
    return rows[taken].astype(np.int64), columns[taken].astype(np.int64)


def _without_partner(
    detections: Detections, paired: NDArray[np.int64], from_score: float
) -> NDArray[np.int64]:
    alone = np.setdiff1d(np.arange(len(detections.scores)), paired)
    return alone[detections.scores[alone] >= from_score]
