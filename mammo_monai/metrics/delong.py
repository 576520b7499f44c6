"""How sure the area under a ROC curve is: DeLong's variance and paired test, else over patients."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit
from scipy.stats import norm

from mammo_monai.errors import UndefinedMetricError
from mammo_monai.metrics.area_resampling import (
    AreaDifference,
    AreaInterval,
    bootstrap_area_difference,
    bootstrap_area_interval,
    separated_interval,
)
from mammo_monai.metrics.ratings import Ratings, rank_area
from mammo_monai.metrics.roc import ratings_of
from mammo_monai.metrics.rule import FrocRule


def delong_variance(scores: ArrayLike, is_positive: ArrayLike) -> float:
    """Variance of the area under the ROC curve of independent cases.

    0 where the area is 0 or 1, or all scores are equal: no spread was seen, which is not the same as none.

    Raises:
        UndefinedMetricError: there are fewer than two positives or two negatives.
        ValueError: a score is NaN, or the two differ in length.

    Source: DeLong, DeLong & Clarke-Pearson, 1988; by sorting, O(n log n), as Sun & Xu, 2014.

    >>> delong_variance([3.0, 4.0, 1.0, 3.0], [True, True, False, False])
    0.03125
    """
    ratings = ratings_of(scores, is_positive)
    if _is_too_small(ratings):
        raise UndefinedMetricError(
            "DeLong's variance is undefined: it needs two positives and two negatives, got "
            f"{len(ratings.positive)} and {len(ratings.negative)}."
        )
    return _variance(ratings, *_half_wins(ratings))


def auc_interval(
    scores: ArrayLike,
    is_positive: ArrayLike,
    *,
    patient: ArrayLike | None = None,
    rule: FrocRule | None = None,
) -> AreaInterval:
    """Confidence interval of the area under the ROC curve; `method` says how it was made.

    - "delong" where every case is of a patient of its own: normal on the logit scale, so inside 0 to 1.
    - "bootstrap" where patients have several cases, which DeLong's variance would take for independent:
      percentiles of draws of patients.
    - "exact" where the area is 0 or 1, of which both make an interval of no width: see `separated_interval`.
    - "none", NaN with a note, where nothing can be said: one positive, one negative, one patient, all scores
      equal, or no draws asked for.

    Args:
        patient: number of each case's patient, shape (N,), from 0; None: each case is a patient of its own.
        rule: confidence, resamples and seed.

    Raises:
        UndefinedMetricError: there is no positive or no negative.
        ValueError: a score is NaN, or lengths differ.

    Source: DeLong et al., 1988; the logit scale: Pepe, 2003; the patient as the unit: protocol §2.

    >>> interval = auc_interval([3.0, 4.0, 1.0, 3.0], [True, True, False, False])
    >>> round(interval.low, 3), round(interval.high, 3), interval.method
    (0.228, 0.994, 'delong')
    """
    rule = rule or FrocRule()
    ratings = ratings_of(scores, is_positive, patient)
    if ratings.is_separated:
        return separated_interval(ratings, rule.confidence)
    if _repeats_patients(ratings):
        return bootstrap_area_interval(ratings, rule)
    if _is_too_small(ratings):
        return AreaInterval(np.nan, np.nan, "none", f"no interval: {_TOO_SMALL}")
    variance = _variance(ratings, *_half_wins(ratings))
    if not variance:
        return AreaInterval(np.nan, np.nan, "none", "no interval: every score is the same")
    area = rank_area(ratings)
    half = float(norm.ppf((1 + rule.confidence) / 2)) * math.sqrt(variance) / (area * (1 - area))
    low, high = (float(expit(logit(area) + side * half)) for side in (-1, 1))
    return AreaInterval(low, high, "delong")


def auc_difference(
    first: ArrayLike,
    second: ArrayLike,
    is_positive: ArrayLike,
    *,
    patient: ArrayLike | None = None,
    rule: FrocRule | None = None,
    n_permutations: int = 1000,
) -> AreaDifference:
    """Difference of two areas under ROC curves of the same cases, second minus first, with a paired test.

    DeLong's where every case is of a patient of its own; the interval is normal and cut at −1 and 1. Over
    patients (bootstrap interval, permutation p-value) where they have several cases. Scores that rank all
    cases alike give a difference of 0 and p = 1, with a note and without interval. Where no variance is seen
    though the areas differ, interval and p are NaN, with a note.

    Args:
        first, second: scores of the two, shape (N,); each may be on a scale of its own.
        patient: number of each case's patient, shape (N,), from 0; None: each case is a patient of its own.
        n_permutations: swaps behind the p-value over patients.

    Raises:
        UndefinedMetricError: there is no positive or no negative.
        ValueError: a score is NaN, lengths differ, or `n_permutations`, where patients repeat, is negative.

    Source: DeLong et al., 1988 (paired test); permutation as in `significance`.

    >>> both = auc_difference([1, 2, 3, 4, 5, 6], [2, 1, 6, 3, 5, 4], [0, 1, 0, 1, 0, 1])
    >>> round(both.difference, 3), both.method, 0 < both.p_value <= 1
    (-0.444, 'delong', True)
    """
    rule = rule or FrocRule()
    a, b = (ratings_of(each, is_positive, patient) for each in (first, second))
    if _repeats_patients(a):
        return bootstrap_area_difference(a, b, rule, n_permutations=n_permutations)
    areas = rank_area(a), rank_area(b)
    plain = AreaDifference(*areas, areas[1] - areas[0], np.nan, np.nan, np.nan, "delong")
    shift = [theirs - ours for ours, theirs in zip(_half_wins(a), _half_wins(b), strict=True)]
    if not any(each.any() for each in shift):
        return replace(plain, p_value=1.0, note="no interval: both rank all cases alike")
    if _is_too_small(a):
        return replace(plain, note=f"no interval, no p-value: {_TOO_SMALL}")
    variance = _variance(a, *shift)
    if not variance:
        return replace(plain, note="no interval, no p-value: every case gave the same difference")
    z = plain.difference / math.sqrt(variance)
    half = float(norm.ppf((1 + rule.confidence) / 2)) * math.sqrt(variance)
    return replace(
        plain,
        low=max(-1.0, plain.difference - half),
        high=min(1.0, plain.difference + half),
        z=z,
        p_value=float(2 * norm.sf(abs(z))),
    )


_TOO_SMALL = "DeLong's variance needs two positives and two negatives"


def _half_wins(ratings: Ratings) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of each positive twice the negatives it is above, of each negative twice the positives above it.

    Ties count 1. Whole numbers: DeLong's placements times 2N and 2P, so that equal ones are equal exactly.
    """
    positive, negative = np.sort(ratings.positive), np.sort(ratings.negative)
    above = sum(np.searchsorted(negative, ratings.positive, side) for side in ("left", "right"))
    not_below = sum(np.searchsorted(positive, ratings.negative, side) for side in ("left", "right"))
    return np.asarray(above, dtype=np.float64), np.asarray(2 * len(positive) - not_below, dtype=np.float64)


def _variance(
    ratings: Ratings, of_positives: NDArray[np.float64], of_negatives: NDArray[np.float64]
) -> float:
    """Variance of an area from half wins, or of a difference of areas from their differences."""
    n_positive, n_negative = len(ratings.positive), len(ratings.negative)
    from_positives = np.var(of_positives, ddof=1) / (2 * n_negative) ** 2 / n_positive
    return float(from_positives + np.var(of_negatives, ddof=1) / (2 * n_positive) ** 2 / n_negative)


def _is_too_small(ratings: Ratings) -> bool:
    return min(len(ratings.positive), len(ratings.negative)) < 2


def _repeats_patients(ratings: Ratings) -> bool:
    of = np.concatenate([ratings.positive_patient, ratings.negative_patient])
    return len(np.unique(of)) < len(of)
