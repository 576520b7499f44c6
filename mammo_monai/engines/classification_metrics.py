"""AUC, accuracy and cross-entropy as Ignite metrics: answers of all processes, scored once per epoch."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from ignite.metrics import Metric
from ignite.metrics.metric import reinit__is_reduced

from mammo_monai.engines.distributed import gather_lists
from mammo_monai.errors import UndefinedMetricError
from mammo_monai.metrics import ClassifiedUnits, roc_auc
from mammo_monai.schema import ClassScore

LEAST_PROBABILITY = 1e-12  # a float32 softmax answers 0 for less, and one such would make the mean infinite


class ClassScoresMetric(Metric):  # type: ignore[misc]  # ignite's base is untyped
    """A figure of the evaluator's answers; under distributed evaluation all processes get that of the whole.

    NaN where it is undefined, or the network answers NaN.
    """

    def __init__(self) -> None:
        self._own: list[ClassScore] = []
        super().__init__()

    @reinit__is_reduced  # type: ignore[untyped-decorator]  # ignite's is untyped
    def reset(self) -> None:
        """Forgets the answers seen."""
        self._own = []

    @reinit__is_reduced  # type: ignore[untyped-decorator]  # ignite's is untyped
    def update(self, output: Sequence[ClassScore]) -> None:
        """Adds the answers of one iteration."""
        self._own.extend(output)

    def compute(self) -> float:
        """The figure over the answers of all processes."""
        # Processes are dealt equally many, some of them twice: each counts once.
        scores = list({(each.record_id, each.site): each for each in gather_lists(self._own)}.values())
        if not scores or any(math.isnan(value) for each in scores for value in each.probabilities):
            return math.nan
        return self.figure(units_of(scores))

    def figure(self, units: ClassifiedUnits) -> float:
        """What this metric makes of the answers."""
        raise NotImplementedError


class AucMetric(ClassScoresMetric):
    """Area under the ROC curve of the probability of not being background; NaN where one kind is missing."""

    def figure(self, units: ClassifiedUnits) -> float:
        """The area."""
        try:
            return roc_auc(units.scores, units.class_index > 0)
        except UndefinedMetricError:
            return math.nan


class AccuracyMetric(ClassScoresMetric):
    """Share of answers whose most probable class is the true one."""

    def figure(self, units: ClassifiedUnits) -> float:
        """The share."""
        return float((units.predicted == units.class_index).mean())


class LossMetric(ClassScoresMetric):
    """Mean cross-entropy, −ln of the true class's probability, without class weights or smoothing."""

    def figure(self, units: ClassifiedUnits) -> float:
        """The mean."""
        of_truth = units.probabilities[np.arange(len(units.class_index)), units.class_index]
        return float(-np.log(np.maximum(of_truth, LEAST_PROBABILITY)).mean())


def units_of(scores: Sequence[ClassScore]) -> ClassifiedUnits:
    """The answers as arrays; at least one."""
    return ClassifiedUnits(
        np.array([each.probabilities for each in scores], dtype=np.float64),
        np.array([each.class_index for each in scores], dtype=np.int64),
        np.array([each.patient for each in scores], dtype=np.int64),
    )
