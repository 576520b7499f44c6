"""Confidence intervals of sensitivity: a bootstrap over patients, and Wilson's for plain proportions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.stats import norm

from mammo_monai.errors import UndefinedMetricError
from mammo_monai.metrics.froc import froc_curve, sensitivity_at_fppi
from mammo_monai.metrics.matching import Matches
from mammo_monai.metrics.resampling import patient_draws, percentile_bounds
from mammo_monai.metrics.rule import FrocRule


@dataclass(frozen=True)
class Interval:
    """Bounds of a proportion, and how they were made."""

    low: float
    high: float
    method: Literal["bootstrap", "wilson"]


def wilson_interval(hits: int, n: int, *, confidence: float = 0.95) -> Interval:
    """Wilson's score interval of `hits` out of `n` independent cases.

    Raises:
        UndefinedMetricError: `n` is 0.

    Source: Wilson, 1927. 110 of 112: protocol §6.

    >>> interval = wilson_interval(110, 112)
    >>> round(interval.low, 3), round(interval.high, 3)
    (0.937, 0.995)
    """
    if not n:
        raise UndefinedMetricError("an interval of 0 cases is undefined.")
    z = float(norm.ppf((1 + confidence) / 2))
    share, spread = hits / n, z * z / n
    middle = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / n + spread / (4 * n)) / (1 + spread)
    # At 0 and n hits the bound is 0 or 1 exactly; rounding must not step over it.
    return Interval(0.0 if not hits else middle - half, 1.0 if hits == n else middle + half, "wilson")


def sensitivity_intervals(
    matches: Matches, patient: NDArray[np.int64], rule: FrocRule
) -> tuple[Interval, ...]:
    """Interval of the sensitivity at each operating point of the rule.

    Patients are drawn with replacement, with all their images: views of one breast are not independent.
    Draws without any lesion, or without an image whose false positives count, are left out. Where resampling
    says nothing (no draws asked for, fewer than two patients, both percentiles alike, as with no or all
    lesions found) the interval is Wilson's over lesions, or over what the matches are grouped to.

    Args:
        patient: number of each image's patient, shape (n_images,), from 0.

    Raises:
        UndefinedMetricError: there is no lesion.

    Source: Efron & Tibshirani, 1993 (percentile interval); the patient as the unit: protocol §2.
    """
    curve = froc_curve(matches, count_double_hits=rule.count_double_hits)
    hits = [round(sensitivity_at_fppi(curve, each) * matches.n_lesions) for each in rule.fppi]
    drawn = np.concatenate(
        [
            resampled_sensitivity(matches, patient, weights, rule)
            for weights in patient_draws(int(patient.max()) + 1, rule, width=matches.n_lesions)
        ]
        or [np.zeros((0, len(rule.fppi)))]
    )
    drawn = drawn[~np.isnan(drawn).any(axis=1)]
    return tuple(
        Interval(float(low), float(high), "bootstrap")
        if low < high
        else wilson_interval(n, matches.n_lesions, confidence=rule.confidence)
        for (low, high), n in zip(percentile_bounds(drawn, rule.confidence), hits, strict=True)
    )


def resampled_sensitivity(
    matches: Matches, patient: NDArray[np.int64], weights: NDArray[np.int64], rule: FrocRule
) -> NDArray[np.float64]:
    """Sensitivity at each operating point when patient p counts `weights[b, p]` times, shape (B, points).

    NaN where the weights leave no lesion, or no image whose false positives count. The curve rises only at
    scores of hits, so false positives are counted into the gaps between those and the rest is one sparse
    product.
    """
    is_false = matches.is_false_positive(count_double_hits=rule.count_double_hits)
    hit_scores = np.unique(matches.scores[matches.is_hit])[::-1]
    n_patients = weights.shape[1]
    false = _per_gap(matches, patient, is_false, hit_scores, n_patients)
    hits = _per_gap(matches, patient, matches.is_hit, hit_scores, n_patients)
    images = weights @ np.bincount(patient[matches.is_counted], minlength=n_patients)
    lesions = weights @ np.bincount(patient[matches.lesion_image], minlength=n_patients)
    with np.errstate(invalid="ignore"):
        fppi = np.cumsum((false.T @ weights.T), axis=0) / images
    found = np.concatenate([np.zeros((1, len(weights))), np.cumsum(hits.T @ weights.T, axis=0)])
    columns = np.arange(len(weights))
    at_points = [found[(fppi <= limit).sum(axis=0), columns] for limit in rule.fppi]
    with np.errstate(invalid="ignore"):
        return np.asarray(np.stack(at_points, axis=1) / np.where(images > 0, lesions, np.nan)[:, None])


def _per_gap(
    matches: Matches,
    patient: NDArray[np.int64],
    is_counted: NDArray[np.bool_],
    hit_scores: NDArray[np.float64],
    n_patients: int,
) -> sparse.csr_matrix:
    """Counted detections per patient and gap: column j holds scores at or above hit j and below hit j − 1."""
    gap = np.searchsorted(-hit_scores, -matches.scores[is_counted], side="left")
    owner = patient[matches.image[is_counted]]
    is_reached = gap < len(hit_scores)
    cells = (np.ones(int(is_reached.sum())), (owner[is_reached], gap[is_reached]))
    return sparse.csr_matrix(cells, shape=(n_patients, len(hit_scores)))
