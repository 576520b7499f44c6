"""Weighted box clustering: large boxes that overlap the best one decide its cluster's box and score."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mammo_monai.geometry import box_area
from mammo_monai.inference.fusion import MIN_IOU_P2, Candidates, check_min_iou, concatenate
from mammo_monai.inference.fusion_pool import PooledModels, corners_of, iou_with, pool_models
from mammo_monai.records import Boxes


def weighted_box_clustering(
    models: Sequence[Candidates],
    *,
    weights: Sequence[float] | None = None,
    min_iou: float = MIN_IOU_P2,
) -> Candidates:
    """One candidate per cluster of boxes of several models, per label: weighted box clustering.

    Greedy as non-maximum suppression: of the candidates that remain, the one with the highest score is the
    seed, and all that overlap *it* by an IoU above `min_iou` join and leave the list. With w = IoU with the
    seed × area × model weight, the score is Σ s·w / (Σ w + n_missing · mean w), where n_missing is the number
    of models without a box in the cluster, and the box is the mean weighted by s·w. So a large box counts
    more than a small one, and a model that sees nothing as one that gives the mean weight a score of 0.

    The order of models and of their candidates decides nothing.

    Args:
        models: candidates of each model, in one frame, scores in [0, 1]; a model that found nothing counts.
        weights: of the models, above 0; None weighs all alike.
        min_iou: in [0, 1); an IoU equal to it does not join. The authors' settings join at any overlap
            (1e-5), for lesions that never touch; here the default is the overlap that makes a hit.

    Returns:
        Candidates, highest score first.

    Raises:
        ValueError: as `pool_models`, or `min_iou` outside [0, 1).

    Source: Jaeger et al., 2020 (Retina U-Net, Machine Learning for Health, section 2.2), whose weight of a
    patch's centre the model's weight stands for; each model gives one prediction per place.

    >>> a = Candidates.of([[0, 0, 10, 8], [40, 0, 50, 8]], [0.9, 0.6], [0, 0])
    >>> b = Candidates.of([[0, 0, 10, 10]], [0.3], [0])
    >>> fused = weighted_box_clustering([a, b])
    >>> fused.boxes.round(3).tolist(), fused.scores.round(3).tolist()
    ([[0.0, 0.0, 10.0, 8.5], [40.0, 0.0, 50.0, 8.0]], [0.6, 0.3])
    """
    check_min_iou(min_iou)
    pooled = pool_models(models, weights)
    return concatenate([_clustered(each, label, min_iou) for label, each in pooled.by_label()]).best()


def _clustered(pooled: PooledModels, label: int, min_iou: float) -> Candidates:
    pooled = pooled.ordered(pooled.candidates.scores)
    boxes, scores = pooled.candidates.boxes, pooled.candidates.scores
    areas, corners = box_area(boxes), corners_of(boxes)
    # Area × model weight: what is the same for every seed.
    fixed = areas * pooled.weight_of_each
    n_models, model = len(pooled.weights), pooled.model
    left = np.arange(len(scores))
    rows: list[tuple[Boxes, float]] = []
    while len(left):
        seed = left[0]
        if areas[seed] > 0:
            overlap = iou_with(corners[:, seed, None], float(areas[seed]), corners[:, left], areas[left])
            joins = overlap > min_iou
        else:  # it overlaps nothing, not even itself
            overlap, joins = np.ones(len(left)), left == seed
        group, left = left[joins], left[~joins]
        n_missing = n_models - len(set(model[group].tolist()))
        if len(group) == 1:
            rows.append((boxes[seed], float(scores[seed]) / (1 + n_missing)))
        else:
            rows.append(_mean(boxes[group], scores[group], overlap[joins] * fixed[group], n_missing))
    return Candidates(
        np.array([box for box, _ in rows]),
        np.array([score for _, score in rows]),
        np.full(len(rows), label, dtype=np.int64),
    )


def _mean(
    boxes: Boxes, scores: NDArray[np.float64], weights: NDArray[np.float64], n_missing: int
) -> tuple[Boxes, float]:
    """Box and score of a cluster of boxes with areas; without any score the weights alone place the box."""
    score = scores @ weights / (weights.sum() + n_missing * weights.mean())
    by_score = scores * weights if (scores * weights).any() else weights
    # As a shift from the seed: equal boxes give that box, to the last bit.
    return boxes[0] + by_score @ (boxes - boxes[0]) / by_score.sum(), min(float(score), 1.0)
