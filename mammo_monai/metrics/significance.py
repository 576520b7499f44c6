"""Whether one detector finds more lesions than another: paired bootstrap and permutation over patients."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mammo_monai.metrics.bootstrap import resampled_sensitivity
from mammo_monai.metrics.froc import MEAN_FPPI
from mammo_monai.metrics.matching import NOTHING, Matches
from mammo_monai.metrics.pairing import PairedMatches
from mammo_monai.metrics.resampling import (
    patient_draws,
    patient_swaps,
    percentile_bounds,
    permutation_p_value,
    why_no_bounds,
)
from mammo_monai.metrics.rule import FrocRule


@dataclass(frozen=True)
class PairedDifference:
    """Sensitivity of two detectors on the same images, second minus first, and how sure that is.

    Attributes:
        fppi: the operating point; several where the figure is the mean over them.
        first, second: sensitivity of each, per lesion. difference: second − first.
        low, high: percentile interval of the difference; NaN where resampling says nothing.
        p_value: two-sided, above 0 and at most 1; NaN where no permutation was asked for.
        note: why a figure is NaN; "" where none is.
    """

    fppi: tuple[float, ...]
    first: float
    second: float
    difference: float
    low: float
    high: float
    p_value: float
    note: str = ""


@dataclass(frozen=True, eq=False)
class DifferenceCurve:
    """Difference in sensitivity, second minus first, over FPPI, with its pointwise interval.

    Attributes:
        fppi, difference, low, high: shape (K,); low and high are NaN where resampling says nothing.
    """

    fppi: NDArray[np.float64]
    difference: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def paired_differences(
    pair: PairedMatches, rule: FrocRule, *, n_permutations: int = 1000
) -> tuple[PairedDifference, ...]:
    """Differences in mean sensitivity over .25–4 FPPI, first, and at each operating point of the rule.

    Interval: patients are drawn with replacement, the same for both detectors, and each finds its own
    thresholds again in every draw. p-value: the detectors' labels are swapped patient by patient, by the
    toss of a coin; it counts the swaps with a difference at least as large in size, and the measured one with
    them. p-values are not corrected for their number.

    Raises:
        ValueError: `n_permutations` is negative.

    Source: Efron & Tibshirani, 1993 (percentile interval); Phipson & Smyth, 2010 (add one to both counts);
    the patient as the unit: protocol §2.
    """
    if n_permutations < 0:
        raise ValueError(f"n_permutations must be 0 or more, got {n_permutations}.")
    wide = replace(rule, fppi=tuple(sorted({*rule.fppi, *MEAN_FPPI})))
    whole = np.ones((1, pair.n_patients), dtype=np.int64)
    first, second = (
        _figures(resampled_sensitivity(each, pair.patient, whole, wide), wide, rule)[0]
        for each in (pair.first, pair.second)
    )
    drawn = _figures(_bootstrapped(pair, wide), wide, rule)
    swapped = _figures(_permuted(pair, wide, n_permutations), wide, rule)
    rows = zip((MEAN_FPPI, *((each,) for each in rule.fppi)), first, second, drawn.T, swapped.T, strict=True)
    return tuple(
        _paired_difference(fppi, (float(a), float(b)), draws, swaps, rule)
        for fppi, a, b, draws, swaps in rows
    )


def difference_curve(pair: PairedMatches, rule: FrocRule) -> DifferenceCurve:
    """Difference and pointwise percentile interval at each FPPI of the rule, as many as a plot needs."""
    whole = np.ones((1, pair.n_patients), dtype=np.int64)
    difference = resampled_difference(pair, whole, rule)[0]
    drawn = _bootstrapped(pair, rule)
    bounds = percentile_bounds(drawn, rule.confidence)
    return DifferenceCurve(np.array(rule.fppi), difference, bounds[:, 0], bounds[:, 1])


def resampled_difference(
    pair: PairedMatches, weights: NDArray[np.int64], rule: FrocRule
) -> NDArray[np.float64]:
    """Second minus first at each operating point, shape (B, points), with patients counted `weights` times.

    NaN where the weights leave no lesion, or no image whose false positives count.
    """
    first, second = (
        resampled_sensitivity(each, pair.patient, weights, rule) for each in (pair.first, pair.second)
    )
    return second - first


def swapped_difference(
    pair: PairedMatches, is_swapped: NDArray[np.bool_], rule: FrocRule
) -> NDArray[np.float64]:
    """Second minus first when the detectors are swapped in patient p where `is_swapped[b, p]`, (B, points).

    Scores of two detectors are not on one scale, so they are put on one before anything is swapped: the
    number of false positives the detector makes, on all images where they count, from that score on. This
    leaves both FROC curves as they are, and any growing function of one detector's scores gives the same
    result.

    Source: ranks before exchange as Venkatraman & Begg, 1996, for ROC curves; by false positives: ours.
    """
    both = _stacked(_on_false_positive_scale(pair.first, rule), _on_false_positive_scale(pair.second, rule))
    patient = np.concatenate([pair.patient, pair.patient + pair.n_patients])
    # Each patient stands twice, with the first detector's marks and with the second's; a weight picks one.
    kept, taken = (~is_swapped).astype(np.int64), is_swapped.astype(np.int64)
    first = resampled_sensitivity(both, patient, np.concatenate([kept, taken], axis=1), rule)
    second = resampled_sensitivity(both, patient, np.concatenate([taken, kept], axis=1), rule)
    return second - first


def _figures(at_points: NDArray[np.float64], wide: FrocRule, rule: FrocRule) -> NDArray[np.float64]:
    """Mean over `MEAN_FPPI`, then the rule's points, shape (B, 1 + points), of values at `wide`'s points."""
    column = {fppi: n for n, fppi in enumerate(wide.fppi)}
    mean = at_points[:, [column[each] for each in MEAN_FPPI]].mean(axis=1, keepdims=True)
    return np.concatenate([mean, at_points[:, [column[each] for each in rule.fppi]]], axis=1)


def _paired_difference(
    fppi: tuple[float, ...],
    sensitivities: tuple[float, float],
    draws: NDArray[np.float64],
    swaps: NDArray[np.float64],
    rule: FrocRule,
) -> PairedDifference:
    first, second = sensitivities
    low, high = percentile_bounds(draws[:, None], rule.confidence)[0].tolist()
    why = why_no_bounds(draws, rule, figure="difference", needs="a lesion") if np.isnan(low) else ""
    p_value, why_not = permutation_p_value(second - first, swaps)
    note = "; ".join(filter(None, (why, why_not)))
    return PairedDifference(fppi, first, second, second - first, low, high, p_value, note)


def _bootstrapped(pair: PairedMatches, rule: FrocRule) -> NDArray[np.float64]:
    """Differences of `rule.n_bootstrap` draws of patients, shape (B, points); none without a lesion.

    The draws are those of `sensitivity_intervals` with the same seed.
    """
    blocks = [np.zeros((0, len(rule.fppi)))]
    for weights in patient_draws(pair.n_patients, rule, width=2 * max(pair.n_patients, pair.n_lesions)):
        blocks.append(resampled_difference(pair, weights, rule))
    drawn = np.concatenate(blocks)
    return drawn[~np.isnan(drawn).any(axis=1)]


def _permuted(pair: PairedMatches, rule: FrocRule, n_permutations: int) -> NDArray[np.float64]:
    """Differences with the detectors swapped in each patient by the toss of a coin, shape (B, points)."""
    tosses = patient_swaps(pair.n_patients, rule, n_permutations, width=2 * pair.n_lesions)
    swapped = [swapped_difference(pair, each, rule) for each in tosses]
    return np.concatenate([np.zeros((0, len(rule.fppi))), *swapped])


def _on_false_positive_scale(matches: Matches, rule: FrocRule) -> Matches:
    """Scores replaced by minus the number of false positives of at least that score: the same FROC curve."""
    is_false = matches.is_false_positive(count_double_hits=rule.count_double_hits)
    false = np.sort(matches.scores[is_false])
    at_least = len(false) - np.searchsorted(false, matches.scores, side="left")
    return replace(matches, scores=-at_least.astype(np.float64))


def _stacked(first: Matches, second: Matches) -> Matches:
    """Both as if of twice as many images, those of the second after those of the first."""

    def after(numbers: NDArray[np.int64], count: int) -> NDArray[np.int64]:
        return np.where(numbers == NOTHING, NOTHING, numbers + count)

    def joined(name: str, own: NDArray[Any]) -> NDArray[Any]:
        return np.concatenate([getattr(first, name), own])

    return Matches(
        n_images=first.n_images + second.n_images,
        scores=np.concatenate([first.scores, second.scores]),
        image=joined("image", second.image + first.n_images),
        index=joined("index", second.index),
        lesion=joined("lesion", after(second.lesion, first.n_lesions)),
        overlap=np.concatenate([first.overlap, second.overlap]),
        is_double_hit=np.concatenate([first.is_double_hit, second.is_double_hit]),
        lesion_image=joined("lesion_image", second.lesion_image + first.n_images),
        lesion_index=joined("lesion_index", second.lesion_index),
        detection=joined("detection", after(second.detection, len(first.scores))),
        counted_images=joined("is_counted", second.is_counted),
    )
