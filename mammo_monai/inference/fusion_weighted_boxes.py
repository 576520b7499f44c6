"""Weighted box fusion: a cluster of boxes becomes their mean by score; models must agree for a high score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from mammo_monai.geometry import box_area
from mammo_monai.inference.fusion import MIN_IOU_PASSES, Candidates, check_min_iou, concatenate
from mammo_monai.inference.fusion_pool import PooledModels, iou_with, pool_models
from mammo_monai.records import Boxes

ConfType = Literal["min", "count"]


def weighted_box_fusion(
    models: Sequence[Candidates],
    *,
    weights: Sequence[float] | None = None,
    min_iou: float = MIN_IOU_PASSES,
    conf_type: ConfType = "min",
) -> Candidates:
    """One candidate per cluster of boxes of several models, per label: weighted box fusion.

    Candidates are taken by score × model weight, highest first. Each joins the cluster whose **fused** box it
    overlaps most, if by an IoU above `min_iou`, and moves that box; else it begins a cluster. A fused box
    is the mean of its boxes weighted by score × model weight; where all scores are 0 the plain mean. Its
    score is the mean of the cluster's T scores × min(T, N) / N, N being the number of models: what one model
    of N marks alone keeps an N-th of its score. With unequal weights the sums of weights stand for T and N,
    so that a score stays within 1 (the authors' program counts boxes, and may exceed it).

    The order of models and of their candidates decides nothing.

    Args:
        models: candidates of each model, in one frame, scores in [0, 1]; a model that found nothing counts.
        weights: of the models, above 0; None weighs all alike.
        min_iou: in [0, 1); an IoU equal to it does not join.
        conf_type: `min` as above; `count` takes T / N: clusters of more boxes than models may exceed 1.

    Returns:
        Candidates, highest score first.

    Raises:
        ValueError: as `pool_models`; `min_iou` outside [0, 1); another `conf_type`.

    Source: Solovyev, Wang, Gabruseva, 2021 (Image and Vision Computing 107): IoU 0.55, min(T, N) / N.

    >>> a = Candidates.of([[0, 0, 10, 8], [40, 0, 50, 8]], [0.9, 0.6], [0, 0])
    >>> b = Candidates.of([[0, 0, 10, 10]], [0.3], [0])
    >>> fused = weighted_box_fusion([a, b])
    >>> fused.boxes.round(3).tolist(), fused.scores.round(3).tolist()
    ([[0.0, 0.0, 10.0, 8.5], [40.0, 0.0, 50.0, 8.0]], [0.6, 0.3])
    """
    check_min_iou(min_iou)
    if conf_type not in ("min", "count"):
        raise ValueError(f"conf_type must be min or count, got {conf_type!r}.")
    pooled = pool_models(models, weights)
    parts = [_fused(each, label, min_iou, conf_type) for label, each in pooled.by_label()]
    return concatenate(parts).best()


def _fused(pooled: PooledModels, label: int, min_iou: float, conf_type: ConfType) -> Candidates:
    pooled = pooled.ordered(pooled.candidates.scores * pooled.weight_of_each)
    confidence = pooled.candidates.scores * pooled.weight_of_each
    clusters = _Clusters(len(confidence), min_iou)
    boxes = pooled.candidates.boxes
    rows = zip(boxes.tolist(), confidence.tolist(), box_area(boxes).tolist(), strict=True)
    cluster = np.array([clusters.add(*row) for row in rows], dtype=np.int64)
    joined = np.bincount(cluster, weights=pooled.weight_of_each)
    total = float(pooled.weights.sum())
    scores = np.bincount(cluster, weights=confidence) / (joined if conf_type == "min" else total)
    if conf_type == "min":
        scores = np.minimum(scores * np.minimum(joined, total) / total, 1.0)  # 1 but for rounding
    return Candidates(clusters.boxes, scores, np.full(len(scores), label, dtype=np.int64))


class _Clusters:
    """Running fused boxes of up to `limit` clusters, kept as columns so that one box meets all at once.

    Scalars of single boxes are Python's: numpy takes several times as long for so few.
    """

    def __init__(self, limit: int, min_iou: float) -> None:
        self.min_iou = min_iou
        # −x_min, −y_min, x_max, y_max: one minimum gives the intersection's corners.
        self._corners = np.empty((4, limit))
        self._areas = np.empty(limit)
        self._first: list[list[float]] = []
        # Of each cluster the sum of weight × (box − first box), and of the weights.
        self._shift: list[list[float]] = []
        self._weight: list[float] = []
        self._has_no_score: list[bool] = []

    @property
    def boxes(self) -> Boxes:
        """The fused boxes, shape (K, 4), in the order the clusters began."""
        corners = self._corners[:, : len(self._first)]
        return np.concatenate([-corners[:2], corners[2:]]).T

    def add(self, box: list[float], confidence: float, area: float) -> int:
        """Puts a box into the cluster it matches, or into a new one; the cluster's number."""
        # A box without area overlaps nothing, and its union with another may be 0.
        cluster = self._best_match(box, area) if area > 0 and self._first else -1
        if cluster < 0:
            self._first.append(box)
            self._shift.append([0.0, 0.0, 0.0, 0.0])
            # Boxes come by confidence: where the first has none, no other has, and the mean is a plain one.
            self._has_no_score.append(confidence == 0)
            self._weight.append(confidence or 1.0)
            self._place(len(self._first) - 1, *box)
            return len(self._first) - 1
        weight = 1.0 if self._has_no_score[cluster] else confidence
        self._weight[cluster] += weight
        total, shift, first = self._weight[cluster], self._shift[cluster], self._first[cluster]
        for n in range(4):
            shift[n] += weight * (box[n] - first[n])
        # As a shift from the first box: equal boxes give that box, to the last bit.
        self._place(cluster, *(start + moved / total for start, moved in zip(first, shift, strict=True)))
        return cluster

    def _best_match(self, box: list[float], area: float) -> int:
        """The cluster whose fused box has the highest IoU with a box, the oldest of equals; −1 for none."""
        count = len(self._first)
        x_min, y_min, x_max, y_max = box
        column = np.array([[-x_min], [-y_min], [x_max], [y_max]])
        iou = iou_with(column, area, self._corners[:, :count], self._areas[:count])
        best = int(iou.argmax())
        return best if iou[best] > self.min_iou else -1

    def _place(self, cluster: int, x_min: float, y_min: float, x_max: float, y_max: float) -> None:
        self._corners[:, cluster] = -x_min, -y_min, x_max, y_max
        self._areas[cluster] = (x_max - x_min) * (y_max - y_min)
