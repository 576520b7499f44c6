"""The candidates of several models on one image, pooled in an order that does not depend on theirs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mammo_monai.inference.fusion import Candidates, concatenate
from mammo_monai.records import Boxes


@dataclass(frozen=True, eq=False)
class PooledModels:
    """Candidates of all models with the weight of the model behind each, in one frame.

    Attributes:
        candidates: of one label or several, N in all.
        model: number of the model behind each, shape (N,), from 0.
        weights: of the models, shape (M,), finite and above 0.
    """

    candidates: Candidates
    model: NDArray[np.int64]
    weights: NDArray[np.float64]

    @property
    def weight_of_each(self) -> NDArray[np.float64]:
        """The weight of the model behind each candidate, shape (N,)."""
        return self.weights[self.model]

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> PooledModels:
        """These candidates, in this order; all models stay."""
        return PooledModels(self.candidates.take(rows), self.model[rows], self.weights)

    def by_label(self) -> Iterator[tuple[int, PooledModels]]:
        """The candidates of each label, labels ascending."""
        for label in np.unique(self.candidates.labels):
            yield int(label), self.take(self.candidates.labels == label)

    def ordered(self, key: NDArray[np.float64]) -> PooledModels:
        """Highest `key` first; equal ones by their boxes, then by score and weight."""
        boxes = self.candidates.boxes
        # The last key is the first that np.lexsort looks at.
        keys = (self.weight_of_each, self.candidates.scores, *boxes.T[::-1], -key)
        return self.take(np.lexsort(keys))


def pool_models(models: Sequence[Candidates], weights: Sequence[float] | None = None) -> PooledModels:
    """All candidates of all models, with weights; None weighs all alike.

    Raises:
        ValueError: no model, not one weight per model, a weight that is not finite and above 0, or a score
            outside [0, 1].

    >>> one, other = Candidates.of([[0, 0, 4, 3]], [0.5], [0]), Candidates.of([], [], [])
    >>> pool_models([one, other], [1, 3]).weight_of_each.tolist()
    [1.0]
    """
    if not models:
        raise ValueError("expected the candidates of at least one model, got none.")
    given = np.ones(len(models)) if weights is None else np.asarray(weights, dtype=np.float64).reshape(-1)
    if len(given) != len(models) or not (np.isfinite(given) & (given > 0)).all():
        raise ValueError(
            f"expected one weight above 0 for each of {len(models)} models, got {given.tolist()}. Leave a "
            "model out that is to count nothing."
        )
    pooled = concatenate(list(models))
    is_outside = ~((pooled.scores >= 0) & (pooled.scores <= 1))
    if is_outside.any():
        raise ValueError(
            f"fusion needs scores from 0 to 1, got {pooled.scores[is_outside][0]:g} ({int(is_outside.sum())} "
            f"of {len(pooled.scores)} lie outside). Give probabilities, or the models' sigmoid or softmax."
        )
    return PooledModels(
        pooled, np.repeat(np.arange(len(models)), [len(each.scores) for each in models]), given
    )


def corners_of(boxes: Boxes) -> NDArray[np.float64]:
    """Columns −x_min, −y_min, x_max, y_max of boxes, shape (4, N): one minimum of two gives what both cover.

    >>> corners_of(np.array([[1.0, 2, 5, 7]])).tolist()
    [[-1.0], [-2.0], [5.0], [7.0]]
    """
    return np.concatenate([-boxes[:, :2], boxes[:, 2:]], axis=1).T


def iou_with(
    corner: NDArray[np.float64], area: float, corners: NDArray[np.float64], areas: NDArray[np.float64]
) -> NDArray[np.float64]:
    """IoU of one box of an area above 0 with K others, shape (K,), in half the time of `geometry.box_iou`.

    Args:
        corner: of the one, shape (4, 1), see `corners_of`. corners: of the others, shape (4, K). areas: (K,).
    """
    sides = np.minimum(corners, corner)
    width, height = sides[:2] + sides[2:]
    intersection = np.maximum(width, 0.0, out=width)
    intersection *= np.maximum(height, 0.0, out=height)
    union = areas + area
    union -= intersection
    return np.asarray(np.divide(intersection, union, out=union))
