"""The ways to fuse the candidates of several models on one image, by name, with their settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, get_args

import numpy as np

from mammo_monai.geometry import box_area
from mammo_monai.inference.fusion import (
    MIN_IOU_P2,
    MIN_IOU_PASSES,
    Candidates,
    concatenate,
    merge_boxes_p2,
)
from mammo_monai.inference.fusion_clustering import weighted_box_clustering
from mammo_monai.inference.fusion_pool import corners_of, iou_with, pool_models
from mammo_monai.inference.fusion_weighted_boxes import weighted_box_fusion

FusionMethod = Literal["wbf", "clustering", "merge", "nms"]
FUSION_METHODS: tuple[FusionMethod, ...] = get_args(FusionMethod)
MIN_IOU_NMS = 0.5  # of torchvision's detectors
DEFAULT_MIN_IOU: Mapping[str, float] = MappingProxyType(
    {"wbf": MIN_IOU_PASSES, "clustering": MIN_IOU_P2, "merge": MIN_IOU_P2, "nms": MIN_IOU_NMS}
)
_WEIGHTED = ("wbf", "clustering")


@dataclass(frozen=True)
class FusionRule:
    """How candidates of several models become one list.

    Attributes:
        method: `wbf` (weighted box fusion) or `clustering` (weighted box clustering), where models must agree
            for a high score; `merge` (P2's: the largest box with the highest score) or `nms` (the best box),
            where the highest score counts and agreement nothing.
        min_iou: in [0, 1); None takes the method's own: .55, .2, .2, .5.
        weights: of the models, above 0, for `wbf`, `clustering` and the mean of image scores; empty: alike.
        labels: only these classes are fused; empty: all there are, which all models must mark.

    Raises:
        ValueError: another method, `min_iou` outside [0, 1), weights that are not above 0, weights for a
            method that has none, or a label below 0.
    """

    method: FusionMethod = "wbf"
    min_iou: float | None = None
    weights: tuple[float, ...] = ()
    labels: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.method not in FUSION_METHODS:
            raise ValueError(f"the fusion method must be {', '.join(FUSION_METHODS)}, got {self.method!r}.")
        if not 0 <= self.overlap < 1:
            raise ValueError(f"the IoU to fuse at must be in [0, 1), got {self.overlap}.")
        if any(not (np.isfinite(each) and each > 0) for each in self.weights):
            raise ValueError(f"weights of models must be above 0, got {list(self.weights)}.")
        if any(each < 0 for each in self.labels):
            raise ValueError(f"labels to fuse must be 0 or more, got {list(self.labels)}.")
        if self.weights and self.method not in _WEIGHTED:
            raise ValueError(
                f"{self.method} takes the highest score, whatever the models' weights: leave them out, or "
                f"fuse by {' or '.join(_WEIGHTED)}."
            )

    @property
    def overlap(self) -> float:
        """The IoU above which boxes belong together."""
        return DEFAULT_MIN_IOU[self.method] if self.min_iou is None else self.min_iou

    def check_models(self, number: int) -> None:
        """Refuses what is no ensemble, or weights for another number of models.

        Raises:
            ValueError: fewer than two models, or another number of weights than of models.
        """
        if number < 2:
            raise ValueError(f"an ensemble needs at least two models, got {number}.")
        if self.weights and len(self.weights) != number:
            raise ValueError(
                f"expected one weight for each of {number} models, in their order, got {list(self.weights)}."
            )


def fuse_models(models: Sequence[Candidates], rule: FusionRule) -> Candidates:
    """One list of candidates from those of several models on one image, highest score first.

    Args:
        models: in one frame, scores in [0, 1]; the order of models and candidates decides nothing.

    Raises:
        ValueError: no model, another number of weights than of models, or a score outside [0, 1].

    >>> a, b = (Candidates.of([[0, 0, 10, 8]], [score], [0]) for score in (0.9, 0.5))
    >>> [fuse_models([a, b], FusionRule(name)).scores.round(2).tolist() for name in FUSION_METHODS]
    [[0.7], [0.7], [0.9], [0.9]]
    """
    weights = rule.weights or None
    if rule.method == "wbf":
        return weighted_box_fusion(models, weights=weights, min_iou=rule.overlap)
    if rule.method == "clustering":
        return weighted_box_clustering(models, weights=weights, min_iou=rule.overlap)
    pooled = pool_models(models)
    found = pooled.ordered(pooled.candidates.scores).candidates
    if rule.method == "merge":
        return merge_boxes_p2(found.boxes, found.scores, found.labels, min_iou=rule.overlap)
    parts = [
        _suppressed(found.take(found.labels == label), rule.overlap) for label in np.unique(found.labels)
    ]
    return concatenate(parts).best()


def _suppressed(found: Candidates, min_iou: float) -> Candidates:
    """Candidates of one label, highest score first, that no better kept one overlaps by more than an IoU."""
    areas, corners = box_area(found.boxes), corners_of(found.boxes)
    left, kept = np.arange(len(areas)), []
    while len(left):
        seed, left = left[0], left[1:]
        kept.append(seed)
        if areas[seed] > 0:
            iou = iou_with(corners[:, seed, None], float(areas[seed]), corners[:, left], areas[left])
            left = left[iou <= min_iou]
    return found.take(np.array(kept, dtype=np.int64))
