"""Accuracy, sensitivity, specificity, precision and F1 of images, breasts and patients at a threshold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammo_monai.errors import UndefinedMetricError
from mammo_monai.metrics.bootstrap import Interval, wilson_interval
from mammo_monai.metrics.resampling import patient_draws, percentile_bounds
from mammo_monai.metrics.roc import roc_curve
from mammo_monai.metrics.rule import FrocRule
from mammo_monai.metrics.scored_units import UnitScores

FIGURES = ("accuracy", "sensitivity", "specificity", "precision", "f1")


@dataclass(frozen=True)
class ImageFigures:
    """Units called positive at `threshold` or above against those that are, and what follows from them.

    Attributes:
        intervals: by the names of `FIGURES`; they hold the threshold fixed. None where the figure is
            undefined, and for F1 where resampling says nothing.
    """

    threshold: float
    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int
    intervals: Mapping[str, Interval | None] = field(default_factory=dict)

    @property
    def values(self) -> dict[str, float]:
        """Each figure, NaN where its denominator is 0: no unit, no positive, no negative, none called so.

        F1 is undefined without any positive, and without any unit called so, as precision then is.

        >>> ImageFigures(0.5, 3, 1, 1, 3).values
        {'accuracy': 0.75, 'sensitivity': 0.75, 'specificity': 0.75, 'precision': 0.75, 'f1': 0.75}
        """
        shares = {name: part / whole if whole else math.nan for name, (part, whole) in self.shares.items()}
        twice = 2 * self.true_positives
        f1 = twice / max(1, twice + self.false_positives + self.false_negatives)
        is_undefined = math.isnan(shares["sensitivity"]) or math.isnan(shares["precision"])
        return {**shares, "f1": math.nan if is_undefined else f1}

    @property
    def shares(self) -> dict[str, tuple[int, int]]:
        """Part and whole of each figure that is a share of units."""
        called = self.true_positives + self.false_positives
        positive = self.true_positives + self.false_negatives
        negative = self.false_positives + self.true_negatives
        right = self.true_positives + self.true_negatives
        return {
            "accuracy": (right, positive + negative),
            "sensitivity": (self.true_positives, positive),
            "specificity": (self.true_negatives, negative),
            "precision": (self.true_positives, called),
        }


def image_figures(units: UnitScores, threshold: float, rule: FrocRule) -> ImageFigures:
    """The figures of units at a threshold, with intervals over patients.

    Percentiles of draws of patients; Wilson's interval over units where resampling says nothing.

    Args:
        rule: confidence, resamples and seed.

    Raises:
        ValueError: the threshold is NaN.

    Source: Efron & Tibshirani, 1993; Wilson, 1927; the patient as the unit: protocol §2; the figures: P4.
    """
    if math.isnan(threshold):
        raise ValueError("a threshold must be a number, got NaN.")
    is_called, n_patients = units.scores >= threshold, int(units.patient.max(initial=-1)) + 1
    kinds = (
        is_called & units.is_positive,
        is_called & ~units.is_positive,
        ~is_called & units.is_positive,
        ~is_called & ~units.is_positive,
    )
    counts = np.stack([np.bincount(units.patient[each], minlength=n_patients) for each in kinds], axis=1)
    tp, fp, fn, tn = counts.sum(axis=0).tolist()
    plain = ImageFigures(threshold, tp, fp, fn, tn)
    bounds = percentile_bounds(_resampled(counts, rule), rule.confidence)
    drawn = {
        name: None if math.isnan(low) else Interval(low, high, "bootstrap")
        for name, (low, high) in zip(FIGURES, bounds.tolist(), strict=True)
    }
    intervals: dict[str, Interval | None] = {
        name: (drawn[name] or wilson_interval(part, whole, confidence=rule.confidence)) if whole else None
        for name, (part, whole) in plain.shares.items()
    }
    intervals["f1"] = None if math.isnan(plain.values["f1"]) else drawn["f1"]
    return replace(plain, intervals=intervals)


def youden_threshold(scores: ArrayLike, is_positive: ArrayLike) -> float:
    """The threshold where sensitivity + specificity − 1 is highest; of equals the highest.

    On the cases it is chosen on it is too good: choose it on validation images and state it for others.

    Raises:
        UndefinedMetricError: there is no positive or no negative, or no score separates any of them: then no
            threshold is better than calling nothing positive.
        ValueError: a score is NaN, or the two differ in length.

    Source: Youden, 1950.

    >>> youden_threshold([0.9, 0.6, 0.4, 0.1], [True, True, False, False])
    0.6
    """
    curve = roc_curve(scores, is_positive)
    # In whole numbers: differences of shares that are equal must not differ by rounding.
    gain = curve.true_positives * curve.n_negative - curve.false_positives * curve.n_positive
    best = int(np.argmax(gain))
    if not best:
        raise UndefinedMetricError(
            "Youden's threshold is undefined: at none sensitivity and specificity together exceed 1."
        )
    return float(curve.score[best])


def _resampled(counts: NDArray[np.int64], rule: FrocRule) -> NDArray[np.float64]:
    """The figures of every draw of patients, shape (B, figures); NaN where a draw leaves one undefined.

    Args:
        counts: of each patient, shape (P, 4): true and false positives, false and true negatives.
    """
    blocks = [np.zeros((0, len(FIGURES)))]
    for weights in patient_draws(len(counts), rule, width=len(FIGURES)):
        tp, fp, fn, tn = (weights.astype(np.float64) @ counts).T
        with np.errstate(invalid="ignore", divide="ignore"):
            sensitivity, precision = tp / (tp + fn), tp / (tp + fp)
            accuracy, specificity = (tp + tn) / (tp + fp + fn + tn), tn / (tn + fp)
            f1 = 2 * tp / (2 * tp + fp + fn) + 0 * sensitivity * precision  # NaN where one of them is
        blocks.append(np.stack([accuracy, sensitivity, specificity, precision, f1], axis=1))
    return np.concatenate(blocks)
