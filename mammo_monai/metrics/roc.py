"""The ROC curve of scored units (images, breasts, patients), its area, and sensitivity at a specificity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammo_monai.errors import UndefinedMetricError
from mammo_monai.metrics.bootstrap import Interval, wilson_interval
from mammo_monai.metrics.ratings import Ratings, rank_area
from mammo_monai.metrics.resampling import patient_draws, percentile_bounds
from mammo_monai.metrics.rule import FrocRule


@dataclass(frozen=True, eq=False)
class RocCurve:
    """A ROC curve as measured: one point per distinct score, counts of units called positive.

    Attributes:
        true_positives, false_positives: shape (K,), from 0 up to all positives and all negatives.
        score: every unit of at least this score is called positive, shape (K,), descending from infinity.
    """

    true_positives: NDArray[np.int64]
    false_positives: NDArray[np.int64]
    score: NDArray[np.float64]

    @property
    def n_positive(self) -> int:
        """Positive units."""
        return int(self.true_positives[-1])

    @property
    def n_negative(self) -> int:
        """Negative units."""
        return int(self.false_positives[-1])

    @property
    def tpr(self) -> NDArray[np.float64]:
        """Sensitivity, in [0, 1], shape (K,)."""
        return np.asarray(self.true_positives / self.n_positive)

    @property
    def fpr(self) -> NDArray[np.float64]:
        """1 − specificity, in [0, 1], shape (K,)."""
        return np.asarray(self.false_positives / self.n_negative)

    @property
    def specificity(self) -> NDArray[np.float64]:
        """In [0, 1], shape (K,); from counts, so that 9 of 10 is 0.9 and not a rounding below it."""
        return np.asarray((self.n_negative - self.false_positives) / self.n_negative)

    def corners(self) -> RocCurve:
        """The same line with only the points where it turns, and both ends."""
        steps = np.stack([np.diff(self.true_positives), np.diff(self.false_positives)])
        turns = steps[0, 1:] * steps[1, :-1] != steps[0, :-1] * steps[1, 1:]
        is_kept = np.concatenate([[True], turns, [True]])
        return RocCurve(self.true_positives[is_kept], self.false_positives[is_kept], self.score[is_kept])


@dataclass(frozen=True)
class SensitivityAtSpecificity:
    """Sensitivity per unit where at least so many of the negatives are called negative.

    Attributes:
        specificity: as asked for. score: lowest that is called positive; infinity where none may be.
        low, high: confidence interval of the sensitivity. interval: how it was made.
    """

    specificity: float
    sensitivity: float
    score: float
    low: float
    high: float
    interval: Literal["bootstrap", "wilson"]


def roc_curve(scores: ArrayLike, is_positive: ArrayLike) -> RocCurve:
    """The ROC curve from (0, 0) to (1, 1); equal scores enter together.

    Args:
        scores: shape (N,), higher means more suspicious; -infinity is below all others.
        is_positive: shape (N,), whether the unit has a lesion, or what else counts (`FrocRule.positive`).

    Raises:
        UndefinedMetricError: there is no positive or no negative unit.
        ValueError: a score is NaN, or the two differ in length.

    Source: Metz, 1978 (ROC analysis); no interpolation, no convex hull.

    >>> curve = roc_curve([0.9, 0.4, 0.4, 0.1], [True, True, False, False])
    >>> curve.tpr.tolist(), curve.fpr.tolist(), curve.score.tolist()
    ([0.0, 0.5, 1.0, 1.0], [0.0, 0.0, 0.5, 1.0], [inf, 0.9, 0.4, 0.1])
    """
    values, truth = _checked(scores, is_positive)
    order = np.argsort(-values, kind="stable")
    values, truth = values[order], truth[order]
    is_last = np.append(values[1:] != values[:-1], True)
    return RocCurve(
        np.concatenate([[0], np.cumsum(truth)[is_last]]),
        np.concatenate([[0], np.cumsum(~truth)[is_last]]),
        np.concatenate([[np.inf], values[is_last]]),
    )


def roc_auc(scores: ArrayLike, is_positive: ArrayLike) -> float:
    """Area under the ROC curve: the chance that a positive unit scores above a negative one, ties one half.

    Raises:
        UndefinedMetricError: there is no positive or no negative unit.
        ValueError: a score is NaN, or the two differ in length.

    Source: Hanley & McNeil, 1982; Mann & Whitney, 1947.

    >>> roc_auc([0.9, 0.4, 0.4, 0.1], [True, True, False, False])
    0.875
    """
    return rank_area(ratings_of(scores, is_positive))


def sensitivity_at_specificity(
    scores: ArrayLike,
    is_positive: ArrayLike,
    specificity: float,
    *,
    patient: ArrayLike | None = None,
    rule: FrocRule | None = None,
) -> SensitivityAtSpecificity:
    """The highest sensitivity measured at or above a specificity, with the score that gives it.

    Steps, does not interpolate. Interval: patients are drawn with replacement, and each draw finds its own
    score again. Where resampling says nothing (no draws asked for, fewer than two patients, both percentiles
    alike, as with no or all positives found) it is Wilson's over positive units at the measured score.

    Args:
        specificity: above 0, at most 1.
        patient: number of each unit's patient, shape (N,), from 0; None: each unit is a patient of its own.
        rule: confidence, resamples and seed.

    Raises:
        UndefinedMetricError: there is no positive or no negative unit.
        ValueError: a value out of range, or of the wrong length.

    Source: Efron & Tibshirani, 1993 (percentiles); Wilson, 1927; the patient as the unit: protocol §2.

    >>> at = sensitivity_at_specificity([0.9, 0.4, 0.4, 0.1], [True, True, False, False], 0.9)
    >>> at.sensitivity, at.score
    (0.5, 0.9)
    """
    if not 0 < specificity <= 1:
        raise ValueError(f"specificity must be above 0 and at most 1, got {specificity}.")
    rule = rule or FrocRule()
    curve = roc_curve(scores, is_positive)
    row = int((curve.specificity >= specificity).sum()) - 1
    found = int(curve.true_positives[row])
    ratings = ratings_of(scores, is_positive, patient)
    drawn = _resampled_sensitivity(ratings, specificity, rule)
    low, high = percentile_bounds(drawn[:, None], rule.confidence)[0].tolist()
    interval = (
        Interval(low, high, "bootstrap")
        if low < high
        else wilson_interval(found, curve.n_positive, confidence=rule.confidence)
    )
    return SensitivityAtSpecificity(
        specificity,
        found / curve.n_positive,
        float(curve.score[row]),
        interval.low,
        interval.high,
        interval.method,
    )


def ratings_of(scores: ArrayLike, is_positive: ArrayLike, patient: ArrayLike | None = None) -> Ratings:
    """Scores of units as ratings of positives and negatives; without patients each unit is one of its own.

    Raises:
        UndefinedMetricError: there is no positive or no negative unit.
        ValueError: a score is NaN, or lengths differ.
    """
    values, truth = _checked(scores, is_positive)
    of = np.arange(len(values)) if patient is None else np.asarray(patient, dtype=np.int64)
    if of.shape != values.shape:
        raise ValueError(f"expected one patient per score, got {len(of)} for {len(values)} scores.")
    return Ratings(values[truth], values[~truth], of[truth], of[~truth], int(of.max()) + 1)


def _checked(scores: ArrayLike, is_positive: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    values, truth = np.asarray(scores, dtype=np.float64), np.asarray(is_positive, dtype=bool)
    if values.ndim != 1 or values.shape != truth.shape:
        raise ValueError(
            f"expected one score and one truth per unit, got shapes {values.shape} and {truth.shape}."
        )
    if np.isnan(values).any():
        raise ValueError("a score must be a number, got NaN. A unit without one is scored -infinity.")
    if truth.all() or not truth.any():
        raise UndefinedMetricError(
            f"a ROC curve is undefined: it needs positive and negative units, got {int(truth.sum())} "
            f"positive and {int((~truth).sum())} negative."
        )
    return values, truth


def _resampled_sensitivity(ratings: Ratings, specificity: float, rule: FrocRule) -> NDArray[np.float64]:
    """Sensitivity at the specificity in every draw of patients that has positives and negatives, (B,)."""
    levels = np.unique(np.concatenate([ratings.positive, ratings.negative]))[::-1]
    at_level = [np.searchsorted(-levels, -each) for each in (ratings.positive, ratings.negative)]
    owners = ratings.positive_patient, ratings.negative_patient
    blocks = [np.zeros(0)]
    for weights in patient_draws(ratings.n_patients, rule, width=len(levels)):
        tp, fp = (
            _counts_from_above(weights[:, owner], level, len(levels))
            for owner, level in zip(owners, at_level, strict=True)
        )
        with np.errstate(invalid="ignore"):
            is_allowed = (fp[:, -1:] - fp) / fp[:, -1:] >= specificity
            row = np.maximum(is_allowed.sum(axis=1) - 1, 0)
            values = tp[np.arange(len(tp)), row] / tp[:, -1]
        blocks.append(values[fp[:, -1] > 0])
    drawn = np.concatenate(blocks)
    return drawn[~np.isnan(drawn)]


def _counts_from_above(
    weights: NDArray[np.int64], level: NDArray[np.int64], n_levels: int
) -> NDArray[np.int64]:
    """Weighted units of at least each level, shape (B, levels + 1), after a column of none."""
    counts = np.zeros((len(weights), n_levels + 1), dtype=np.int64)
    order = np.argsort(level, kind="stable")
    first = np.flatnonzero(np.diff(level[order], prepend=-1))
    counts[:, level[order][first] + 1] = np.add.reduceat(weights[:, order], first, axis=1)
    return np.cumsum(counts, axis=1)
