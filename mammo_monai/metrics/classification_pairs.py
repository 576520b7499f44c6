"""Whether one classifier is better than another on the same patches: over patients, and McNemar's test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from mammo_monai.errors import UndefinedMetricError
from mammo_monai.metrics.area_resampling import swapped_difference
from mammo_monai.metrics.classification import ClassifiedUnits, FigureName, Ratio, per_patient, ratio_counts
from mammo_monai.metrics.ratings import Ratings, resampled_areas
from mammo_monai.metrics.resampling import (
    patient_draws,
    patient_swaps,
    percentile_bounds,
    permutation_p_value,
    why_no_bounds,
)
from mammo_monai.metrics.roc import ratings_of
from mammo_monai.metrics.rule import FrocRule

Weights = NDArray[np.int64]
Values = NDArray[np.float64]
RATIOS: tuple[FigureName, ...] = ("accuracy", "sensitivity", "specificity", "precision", "f1")


@dataclass(frozen=True)
class PairedFigure:
    """A figure of two classifiers on the same units, means over their runs, second minus first.

    Attributes:
        low, high: percentile interval of the difference; NaN where resampling says nothing.
        p_value: two-sided, by permutation; NaN where none was asked for, or the figure is undefined.
        note: why something is NaN; "" where nothing is.
    """

    name: FigureName
    first: float
    second: float
    difference: float
    low: float
    high: float
    p_value: float
    note: str = ""


@dataclass(frozen=True)
class McNemar:
    """Units that one of two classifiers alone got right, and the exact two-sided p-value."""

    first_alone: int
    second_alone: int
    p_value: float


def mcnemar_test(first_right: NDArray[np.bool_], second_right: NDArray[np.bool_]) -> McNemar:
    """McNemar's exact test of equal accuracy; it takes the units for independent.

    Patches of one patient are not: where patients repeat, the permutation over patients is the test to read.

    Raises:
        ValueError: lengths differ.

    Source: McNemar, 1947; the binomial form: Mosteller, 1952.

    >>> right = np.array([True] * 6 + [False])
    >>> mcnemar_test(~right, right).p_value  # 6 to 1: 2 · (1 + 7) / 2**7
    0.125
    """
    if first_right.shape != second_right.shape:
        raise ValueError(f"expected as many units of both, got {len(first_right)} and {len(second_right)}.")
    first, second = int((first_right & ~second_right).sum()), int((~first_right & second_right).sum())
    tail = 2 * float(binom.cdf(min(first, second), first + second, 0.5))
    return McNemar(first, second, min(1.0, tail))


def paired_figures(
    first: Sequence[ClassifiedUnits],
    second: Sequence[ClassifiedUnits],
    rule: FrocRule | None = None,
    *,
    n_permutations: int = 1000,
) -> tuple[PairedFigure, ...]:
    """Differences in accuracy, AUC, sensitivity, specificity, precision and F1, second minus first.

    A figure is the mean over a classifier's runs. Interval: patients are drawn with replacement, the same for
    all runs. p-value: in each patient the toss of a coin swaps the classifiers, run by run; it counts the
    swaps with a difference at least as large in size, and the measured one with them. For AUC, scores are
    ranked before they are swapped, see `area_resampling`. Not corrected for the number of figures.

    Args:
        first, second: the runs of each, of the same units in the same order, as many of both.

    Raises:
        ValueError: other units, another number of runs, no run, or a negative number of permutations.

    Source: Efron & Tibshirani, 1993 (percentile interval); Phipson & Smyth, 2010 (add one to both counts);
    Venkatraman & Begg, 1996 (ranks); the patient as the unit: protocol §2.
    """
    rule = rule or FrocRule()
    _check(first, second, n_permutations)
    pairs: list[tuple[FigureName, _Pair]] = [("auc", _AreaPair.of(first, second))]
    pairs += [(name, _RatioPair.of(first, second, name)) for name in RATIOS]
    n_patients = len(np.unique(first[0].patients))
    ordered = sorted(pairs, key=lambda each: each[0] != "accuracy")
    return tuple(_paired(name, pair, n_patients, rule, n_permutations) for name, pair in ordered)


class _Pair:
    """Both classifiers' figure when patients are weighted, and their difference when patients are swapped."""

    width = 1  # numbers that one draw needs at once

    def means(self, weights: Weights) -> tuple[Values, Values]:
        """Mean over runs of the first's and of the second's figure, shape (B,) each."""
        raise NotImplementedError

    def swapped(self, is_swapped: NDArray[np.bool_]) -> Values:
        """Second minus first where patient p is swapped if `is_swapped[b, p]`, shape (B,)."""
        raise NotImplementedError


class _AreaPair(_Pair):
    def __init__(self, ratings: Sequence[tuple[Ratings, Ratings]]) -> None:
        self.ratings = ratings
        units = [len(each.positive) + len(each.negative) for pair in ratings for each in pair]
        self.width = 2 * max(units, default=0)  # a swap ranks both classifiers' units together

    @classmethod
    def of(cls, first: Sequence[ClassifiedUnits], second: Sequence[ClassifiedUnits]) -> _AreaPair:
        try:
            return cls([(_ratings(a), _ratings(b)) for a, b in zip(first, second, strict=True)])
        except UndefinedMetricError:
            return cls([])

    def means(self, weights: Weights) -> tuple[Values, Values]:
        if not self.ratings:
            return np.full(len(weights), np.nan), np.full(len(weights), np.nan)
        runs = [[resampled_areas(each, weights) for each in pair] for pair in self.ratings]
        first, second = np.mean(runs, axis=0)
        return first, second

    def swapped(self, is_swapped: NDArray[np.bool_]) -> Values:
        return np.asarray(np.mean([swapped_difference(*pair, is_swapped) for pair in self.ratings], axis=0))


class _RatioPair(_Pair):
    def __init__(self, counts: Sequence[tuple[Ratio, Ratio]]) -> None:
        self.counts = counts

    @classmethod
    def of(
        cls, first: Sequence[ClassifiedUnits], second: Sequence[ClassifiedUnits], name: FigureName
    ) -> _RatioPair:
        return cls([(_counts(a, name), _counts(b, name)) for a, b in zip(first, second, strict=True)])

    def means(self, weights: Weights) -> tuple[Values, Values]:
        runs = [[_ratio(weights @ above, weights @ below) for above, below in pair] for pair in self.counts]
        first, second = np.mean(runs, axis=0)
        return first, second

    def swapped(self, is_swapped: NDArray[np.bool_]) -> Values:
        kept, taken = (~is_swapped).astype(np.int64), is_swapped.astype(np.int64)
        runs = []
        for (above_1, below_1), (above_2, below_2) in self.counts:
            new_first = _ratio(kept @ above_1 + taken @ above_2, kept @ below_1 + taken @ below_2)
            new_second = _ratio(taken @ above_1 + kept @ above_2, taken @ below_1 + kept @ below_2)
            runs.append(new_second - new_first)
        return np.asarray(np.mean(runs, axis=0))


def _paired(
    name: FigureName, pair: _Pair, n_patients: int, rule: FrocRule, n_permutations: int
) -> PairedFigure:
    a, b = (float(each[0]) for each in pair.means(np.ones((1, n_patients), dtype=np.int64)))
    if np.isnan(a) or np.isnan(b):
        return PairedFigure(
            name, a, b, np.nan, np.nan, np.nan, np.nan, f"{name} is undefined for these units"
        )
    draws = [np.zeros(0)]
    for weights in patient_draws(n_patients, rule, width=pair.width):
        first, second = pair.means(weights)
        draws.append(second - first)
    drawn = np.concatenate(draws)
    drawn = drawn[~np.isnan(drawn)]
    low, high = percentile_bounds(drawn[:, None], rule.confidence)[0].tolist()
    why = "" if low < high else why_no_bounds(drawn, rule, figure="difference", needs="both kinds")
    p_value, why_not = permutation_p_value(b - a, _swaps(pair, n_patients, rule, n_permutations))
    return PairedFigure(name, a, b, b - a, low, high, p_value, "; ".join(filter(None, (why, why_not))))


def _swaps(pair: _Pair, n_patients: int, rule: FrocRule, n_permutations: int) -> Values:
    """Differences with the classifiers swapped by the toss of a coin, those that are defined, shape (B,)."""
    tosses = patient_swaps(n_patients, rule, n_permutations, width=pair.width)
    swaps = np.concatenate([np.zeros(0), *map(pair.swapped, tosses)])
    return np.asarray(swaps[~np.isnan(swaps)])


def _ratings(units: ClassifiedUnits) -> Ratings:
    return ratings_of(units.scores, units.class_index > 0, units.patients)


def _counts(units: ClassifiedUnits, name: FigureName) -> Ratio:
    """Per patient what the figure counts above and below the line."""
    patients = units.patients
    n_patients = len(np.unique(patients))
    if name == "accuracy":
        right = (units.predicted == units.class_index).astype(np.int64)
        above, below = right, np.ones_like(right)
    else:
        above, below = ratio_counts(units.class_index > 0, units.predicted > 0)[name]
    return per_patient(above, patients, n_patients), per_patient(below, patients, n_patients)


def _ratio(above: Weights, below: Weights) -> Values:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(above / np.where(below > 0, below, np.nan))


def _check(first: Sequence[ClassifiedUnits], second: Sequence[ClassifiedUnits], n_permutations: int) -> None:
    if n_permutations < 0:
        raise ValueError(f"n_permutations must be 0 or more, got {n_permutations}.")
    if not first or len(first) != len(second):
        raise ValueError(
            f"expected as many runs of both classifiers, at least one, got {len(first)} and {len(second)}."
        )
    truth, patients = first[0].class_index, first[0].patients
    for each in (*first, *second):
        if not (np.array_equal(each.class_index, truth) and np.array_equal(each.patients, patients)):
            raise ValueError("the runs must be of the same units of the same patients, in the same order.")
    if not len(truth):
        raise ValueError("expected at least one unit, got none.")
