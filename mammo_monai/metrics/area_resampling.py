"""How sure an area of ratings is, and the difference of two: bootstrap, permutation, a bound at 0 and 1."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mammo_monai.metrics.ratings import Ratings, check_same_cases, rank_area, resampled_areas
from mammo_monai.metrics.resampling import (
    patient_draws,
    patient_swaps,
    percentile_bounds,
    permutation_p_value,
    why_no_bounds,
)
from mammo_monai.metrics.rule import FrocRule

Method = Literal["bootstrap", "delong", "exact", "none"]


@dataclass(frozen=True)
class AreaInterval:
    """Bounds of an area, and how they were made.

    Attributes:
        low, high: NaN where no interval can be given. method: "none" there.
        note: why not; "" where there is one.
    """

    low: float
    high: float
    method: Method
    note: str = ""


@dataclass(frozen=True)
class AreaDifference:
    """Areas of two detectors on the same cases, second minus first, and how sure that is.

    Attributes:
        low, high: interval of the difference; NaN where none can be given.
        p_value: two-sided, at most 1; NaN where none can be given.
        method: "delong" (normal interval and test) or "bootstrap" (percentiles, and a permutation p-value).
        z: DeLong's statistic; NaN for the bootstrap.
        note: why a figure is NaN, or that the two are the same; "" otherwise.
    """

    first: float
    second: float
    difference: float
    low: float
    high: float
    p_value: float
    method: Method
    z: float = float("nan")
    note: str = ""


def bootstrap_area_interval(ratings: Ratings, rule: FrocRule) -> AreaInterval:
    """Percentile interval of the area, patients drawn with replacement with all that is theirs.

    Draws without positives or negatives are left out. Where the area is 0 or 1, `separated_interval`. NaN
    with a note where resampling says nothing: no draw, fewer than two patients, or both percentiles alike.

    Source: Efron & Tibshirani, 1993 (percentile interval); the patient as the unit: protocol §2.
    """
    if ratings.is_separated:
        return separated_interval(ratings, rule.confidence)
    drawn = _bootstrapped(
        lambda weights: resampled_areas(ratings, weights), ratings.n_patients, _levels(ratings), rule
    )
    low, high, note = _percentiles(drawn, rule)
    return AreaInterval(low, high, "none" if note else "bootstrap", note)


def separated_interval(ratings: Ratings, confidence: float) -> AreaInterval:
    """Exact bound of an area measured as 1 or 0, where variance and resampling see no spread.

    If the true area is A, k pairs of different patients are all in order with a probability of at most A^k.
    So an area below α^(1/k) would show this result less often than α. As in Clopper & Pearson's interval of k
    out of k, α is half of 1 − confidence; the other bound is the area itself.

    Source: the argument is ours, on Clopper & Pearson, 1934.

    >>> of = np.arange(4)
    >>> ratings = Ratings(np.array([0.9, 0.8]), np.array([0.2, 0.1]), of[:2], of[2:], n_patients=4)
    >>> interval = separated_interval(ratings, 0.95)
    >>> round(interval.low, 3), interval.high, interval.method  # 0.025 ** (1 / 2)
    (0.158, 1.0, 'exact')
    """
    n_pairs = ratings.n_disjoint_pairs
    if not n_pairs:
        return AreaInterval(np.nan, np.nan, "none", "no interval: all are of one patient")
    bound = float(((1 - confidence) / 2) ** (1 / n_pairs))
    if ratings.positive.min() > ratings.negative.max():
        return AreaInterval(bound, 1.0, "exact")
    return AreaInterval(0.0, 1 - bound, "exact")


def bootstrap_area_difference(
    first: Ratings, second: Ratings, rule: FrocRule, *, n_permutations: int = 1000
) -> AreaDifference:
    """Difference of the areas of two detectors on the same cases, over patients.

    Interval: patients are drawn with replacement, the same for both. p-value: the detectors are swapped
    patient by patient, by the toss of a coin; it counts the swaps with a difference at least as large in
    size, and the measured one with them.

    Raises:
        ValueError: the two are not of the same cases, or `n_permutations` is negative.

    Source: Efron & Tibshirani, 1993; Phipson & Smyth, 2010 (add one to both counts).
    """
    if n_permutations < 0:
        raise ValueError(f"n_permutations must be 0 or more, got {n_permutations}.")
    check_same_cases(first, second)
    levels = _levels(first) + _levels(second)
    a, b = rank_area(first), rank_area(second)
    drawn = _bootstrapped(
        lambda weights: resampled_areas(second, weights) - resampled_areas(first, weights),
        first.n_patients,
        levels,
        rule,
    )
    low, high, why = _percentiles(drawn, rule)
    p_value, why_not = permutation_p_value(b - a, _swapped(first, second, rule, n_permutations))
    note = "; ".join(filter(None, (why, why_not)))
    return AreaDifference(a, b, b - a, low, high, p_value, "bootstrap", note=note)


def swapped_difference(first: Ratings, second: Ratings, is_swapped: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Second area minus first when the detectors are swapped in patient p where `is_swapped[b, p]`, (B,).

    Ratings of two detectors are not on one scale, so each is first replaced by its mid-rank among that
    detector's negatives, which leaves both areas as they are.

    Source: ranks before exchange as Venkatraman & Begg, 1996; among negatives: ours.
    """
    n_patients = first.n_patients
    scaled = [_ranked_among_negatives(each) for each in (first, second)]
    # Each patient stands twice, with the first detector's ratings and with the second's; a weight picks one.
    both = Ratings(
        np.concatenate([each.positive for each in scaled]),
        np.concatenate([each.negative for each in scaled]),
        np.concatenate([first.positive_patient, second.positive_patient + n_patients]),
        np.concatenate([first.negative_patient, second.negative_patient + n_patients]),
        2 * n_patients,
        None if first.weight is None else np.concatenate([first.weight, first.weight]),
    )
    kept, taken = (~is_swapped).astype(np.int64), is_swapped.astype(np.int64)
    new_first = resampled_areas(both, np.concatenate([kept, taken], axis=1))
    return resampled_areas(both, np.concatenate([taken, kept], axis=1)) - new_first


def _bootstrapped(
    figure: Callable[[NDArray[np.int64]], NDArray[np.float64]], n_patients: int, width: int, rule: FrocRule
) -> NDArray[np.float64]:
    """The figure of every draw that defines it, shape (B,)."""
    drawn = [figure(weights) for weights in patient_draws(n_patients, rule, width=width)]
    values = np.concatenate([np.zeros(0), *drawn])
    return np.asarray(values[~np.isnan(values)])


def _percentiles(drawn: NDArray[np.float64], rule: FrocRule) -> tuple[float, float, str]:
    """Bounds, and why there are none."""
    low, high = percentile_bounds(drawn[:, None], rule.confidence)[0].tolist()
    if low < high:
        return low, high, ""
    return np.nan, np.nan, why_no_bounds(drawn, rule, figure="figure", needs="both kinds")


def _swapped(first: Ratings, second: Ratings, rule: FrocRule, n_permutations: int) -> NDArray[np.float64]:
    """Differences with the detectors swapped in each patient by the toss of a coin, shape (B,)."""
    width = 2 * (_levels(first) + _levels(second))
    tosses = patient_swaps(first.n_patients, rule, n_permutations, width=width)
    return np.concatenate([np.zeros(0), *(swapped_difference(first, second, each) for each in tosses)])


def _ranked_among_negatives(ratings: Ratings) -> Ratings:
    """Every rating replaced by twice its mid-rank among the negatives: order and ties with those stay."""
    negative = np.sort(ratings.negative)

    def ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
        both = np.searchsorted(negative, values, "left") + np.searchsorted(negative, values, "right")
        return both.astype(np.float64)

    return Ratings(
        ranks(ratings.positive),
        ranks(ratings.negative),
        ratings.positive_patient,
        ratings.negative_patient,
        ratings.n_patients,
        ratings.weight,
    )


def _levels(ratings: Ratings) -> int:
    """At most so many distinct ratings."""
    return len(ratings.positive) + len(ratings.negative)
