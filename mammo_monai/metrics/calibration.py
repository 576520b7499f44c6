"""Calibration: which share of the detections of a score hit a lesion, and how well that figure holds."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import expit, logit

from mammo_monai.errors import UndefinedMetricError
from mammo_monai.metrics.matching import Matches
from mammo_monai.metrics.rule import FrocRule
from mammo_monai.schema.operating_points import (
    Calibration,
    CalibrationMethod,
    Curve,
    IsotonicCurve,
    PlattCurve,
    ReliabilityBin,
    TemperatureCurve,
)

logger = logging.getLogger(__name__)

N_BINS = 10
N_FOLDS = 5
_EDGE = 1e-6  # scores nearer to 0 or 1 count as this far away: their logit would be infinite
_MAX_STEPS = 100
MAX_TEMPERATURE = 100.0  # and 1 / 100: beyond, every probability of a score is one half, or 0 and 1
_RIDGE = 1e-9  # keeps the Hessian invertible where all scores are equal


def calibrate(
    matches: Matches,
    patient: NDArray[np.int64],
    rule: FrocRule,
    *,
    method: CalibrationMethod = "platt",
    min_score: float = 0.0,
) -> Calibration:
    """The curve from scores to probabilities, fitted on all patients, and its errors on patients left out.

    A detection is a hit by the rule of the FROC. Further detections on a hit lesion are left out, or are
    misses where the rule counts them as false positives. Brier score, expected error and bins come from
    curves fitted without the patient they judge (five folds of patients), so that a curve with many steps
    does not praise itself. The probability holds for images like these: where fewer have lesions, fewer
    detections hit.

    Args:
        patient: number of each image's patient, shape (n_images,), from 0.
        min_score: lower detections are left out. A detector gives hundreds of them per image that no
            operating point shows; they would bend the curve to their range, and make any error look small.

    Raises:
        UndefinedMetricError: no hit or no miss, in all or in the patients of all folds but one.
        ValueError: a score outside [0, 1], or another method.
    """
    if method not in _FITS:
        raise ValueError(f"method must be {', '.join(_FITS)}, got {method!r}.")
    is_judged = _is_judged(matches, rule, min_score)
    scores, is_hit = matches.scores[is_judged], matches.is_hit[is_judged]
    curve = _FITS[method](scores, is_hit)
    if isinstance(curve, TemperatureCurve) and curve.temperature == MAX_TEMPERATURE:
        logger.warning(
            "higher scores hit no more often, so the temperature stands at its bound, %g, and every "
            "probability near one half. Calibrate by platt or isotonic instead.",
            MAX_TEMPERATURE,
        )
    fold = _folds(patient[matches.image[is_judged]], is_hit, rule.seed)
    left_out = np.zeros(len(scores))
    for number in range(N_FOLDS):
        is_out = fold == number
        if is_out.any():
            left_out[is_out] = hit_probabilities(_fit_without(method, scores, is_hit, is_out), scores[is_out])
    bins = reliability_bins(left_out, is_hit)
    return Calibration(
        curve, brier_score(left_out, is_hit), expected_calibration_error(bins), bins, min_score
    )


def fit_platt(scores: ArrayLike, is_hit: ArrayLike) -> PlattCurve:
    """A logistic curve over the logit of the scores, fitted by maximum likelihood.

    Targets are (n hits + 1) / (n hits + 2) for a hit and 1 / (n misses + 2) for a miss instead of 1 and 0, so
    that the slope stays finite where scores tell hits from misses perfectly.

    Args:
        scores: in [0, 1], shape (N,). is_hit: shape (N,).

    Raises:
        UndefinedMetricError: no hit, or no miss. ValueError: a score outside [0, 1].

    Source: Platt, 1999; Newton steps with halving after Lin, Lin & Weng, 2007.

    >>> curve = fit_platt([0.2, 0.2, 0.8, 0.8], [False, True, False, True])
    >>> abs(curve.slope) < 1e-9, abs(curve.intercept) < 1e-9
    (True, True)
    """
    score, hit = _checked(scores, is_hit)
    n_hits = int(hit.sum())
    target = np.where(hit, (n_hits + 1) / (n_hits + 2), 1 / (len(hit) - n_hits + 2))
    features = np.stack([_safe_logit(score), np.ones(len(score))], axis=1)
    weights = np.array([0.0, np.log((n_hits + 1) / (len(hit) - n_hits + 1))])
    loss = _loss(features @ weights, target)
    for _ in range(_MAX_STEPS):
        chance = expit(features @ weights)
        gradient = features.T @ (chance - target)
        hessian = (features * (chance * (1 - chance))[:, None]).T @ features + _RIDGE * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        while (trial := _loss(features @ (weights - step), target)) > loss and np.abs(step).max() > _RIDGE:
            step = step / 2
        if trial >= loss:
            break
        weights, loss = weights - step, trial
    return PlattCurve(float(weights[0]), float(weights[1]))


def fit_temperature(scores: ArrayLike, is_hit: ArrayLike) -> TemperatureCurve:
    """The temperature that the logits of the scores are divided by, fitted by maximum likelihood.

    One parameter: it spreads scores or draws them together about one half, and cannot move their mean as
    Platt's intercept does. It keeps to 1/100 … 100: the lower bound is where scores above one half are hits
    and those below are misses without exception, the upper where higher scores hit no more often.

    Args:
        scores: in [0, 1], shape (N,). is_hit: shape (N,).

    Raises:
        UndefinedMetricError: no hit, or no miss. ValueError: a score outside [0, 1].

    Source: Guo et al., 2017.

    >>> curve = fit_temperature([0.2, 0.2, 0.8, 0.8, 0.8], [False, True, False, True, True])
    >>> round(curve.temperature, 3), hit_probabilities(curve, [0.8]).round(3).tolist()
    (3.419, [0.6])
    """
    score, hit = _checked(scores, is_hit)
    logits = _safe_logit(score)

    def rise(slope: float) -> float:
        """Derivative of the negative log-likelihood by 1 / temperature; it never falls."""
        return float(logits @ (expit(slope * logits) - hit))

    slope, steepest = 1 / MAX_TEMPERATURE, MAX_TEMPERATURE
    if rise(slope) >= 0:
        return TemperatureCurve(MAX_TEMPERATURE)
    if rise(steepest) <= 0:
        return TemperatureCurve(1 / MAX_TEMPERATURE)
    return TemperatureCurve(1 / float(brentq(rise, slope, steepest, xtol=1e-14)))


def fit_isotonic(scores: ArrayLike, is_hit: ArrayLike) -> IsotonicCurve:
    """The never falling curve nearest to the hits, by pooling adjacent violators.

    It follows any shape; with less than about a thousand detections Platt's curve errs less.

    Args:
        scores: in [0, 1], shape (N,). is_hit: shape (N,).

    Raises:
        UndefinedMetricError: no hit, or no miss. ValueError: a score outside [0, 1].

    Source: Zadrozny & Elkan, 2002; the thousand: Niculescu-Mizil & Caruana, 2005.

    >>> fit_isotonic([0.1, 0.2, 0.3, 0.4], [False, True, False, True])
    IsotonicCurve(scores=(0.1, 0.2, 0.3, 0.4), probabilities=(0.0, 0.5, 0.5, 1.0))
    """
    from sklearn.isotonic import IsotonicRegression  # noqa: PLC0415  # half a second, for this option alone

    score, hit = _checked(scores, is_hit)
    fitted = IsotonicRegression(y_min=0.0, y_max=1.0).fit(score, hit.astype(np.float64))
    knots = (fitted.X_thresholds_.tolist(), fitted.y_thresholds_.tolist())
    return IsotonicCurve(*(tuple(float(each) for each in values) for values in knots))


def hit_probabilities(curve: Curve, scores: ArrayLike) -> NDArray[np.float64]:
    """The probability that detections of these scores hit a lesion, in [0, 1], shape (N,).

    Raises:
        ValueError: a score outside [0, 1].

    >>> hit_probabilities(PlattCurve(1.0, 0.0), [0.25, 0.5]).round(6).tolist()
    [0.25, 0.5]
    """
    values = np.asarray(scores, dtype=np.float64)
    _check_range(values)
    if isinstance(curve, PlattCurve):
        return np.asarray(expit(curve.slope * _safe_logit(values) + curve.intercept))
    if isinstance(curve, TemperatureCurve):
        return np.asarray(expit(_safe_logit(values) / curve.temperature))
    return np.asarray(np.interp(values, curve.scores, curve.probabilities))


def reliability_bins(
    probabilities: ArrayLike, is_hit: ArrayLike, *, n_bins: int = N_BINS
) -> tuple[ReliabilityBin, ...]:
    """Mean probability and share of hits in bins of equal width over [0, 1]; empty bins are left out.

    A probability at a border belongs to the upper bin, 1 to the last.

    Raises:
        UndefinedMetricError: there is no detection.

    Source: DeGroot & Fienberg, 1983.

    >>> [(each.low, each.n, each.hit_rate) for each in reliability_bins([0.1, 0.9, 1.0], [0, 1, 0], n_bins=2)]
    [(0.0, 1, 0.0), (0.5, 2, 0.5)]
    """
    chance, hit = _judged(probabilities, is_hit)
    edges = np.arange(n_bins + 1) / n_bins
    place = np.minimum(np.searchsorted(edges, chance, side="right") - 1, n_bins - 1)
    return tuple(
        ReliabilityBin(
            low=float(edges[number]),
            high=float(edges[number + 1]),
            mean_score=float(chance[place == number].mean()),
            hit_rate=float(hit[place == number].mean()),
            n=int((place == number).sum()),
        )
        for number in np.unique(place)
    )


def expected_calibration_error(bins: Sequence[ReliabilityBin]) -> float:
    """Distance of mean probability and share of hits over the bins, weighted by their detections.

    Raises:
        UndefinedMetricError: there is no bin.

    Source: Naeini et al., 2015.

    >>> bins = [ReliabilityBin(0.0, 0.5, 0.25, 0.0, 3), ReliabilityBin(0.5, 1.0, 0.75, 1.0, 1)]
    >>> expected_calibration_error(bins)
    0.25
    """
    if not bins:
        raise UndefinedMetricError("the calibration error of no detection is undefined.")
    distances = [abs(each.mean_score - each.hit_rate) for each in bins]
    return float(np.average(distances, weights=[each.n for each in bins]))


def brier_score(probabilities: ArrayLike, is_hit: ArrayLike) -> float:
    """Mean squared distance of probability and truth, 0 (perfect) to 1.

    Raises:
        UndefinedMetricError: there is no detection.

    Source: Brier, 1950, with one class instead of both, as is usual.

    >>> brier_score([0.5, 1.0], [True, True])
    0.125
    """
    chance, hit = _judged(probabilities, is_hit)
    return float(np.mean((chance - hit) ** 2))


def reliability_entry(matches: Matches, rule: FrocRule, *, min_score: float = 0.0) -> dict[str, Any] | None:
    """`reliability` of metrics.json: how far the raw scores are from the share of detections that hit.

    Judged as in `calibrate`, without a fit. None where no detection of at least `min_score` is left, or where
    the scores are no shares: one lies outside [0, 1].

    Source: DeGroot & Fienberg, 1983 (bins); Naeini et al., 2015 (error); Brier, 1950.
    """
    is_judged = _is_judged(matches, rule, min_score)
    scores, is_hit = matches.scores[is_judged], matches.is_hit[is_judged]
    if not len(scores) or not ((scores >= 0) & (scores <= 1)).all():
        return None
    bins = reliability_bins(scores, is_hit)
    return {
        "min_score": min_score,
        "bins": [asdict(each) for each in bins],
        "expected_calibration_error": expected_calibration_error(bins),
        "brier": brier_score(scores, is_hit),
    }


_FITS: Mapping[str, Callable[[ArrayLike, ArrayLike], Curve]] = {
    "platt": fit_platt,
    "temperature": fit_temperature,
    "isotonic": fit_isotonic,
}


def _is_judged(matches: Matches, rule: FrocRule, min_score: float) -> NDArray[np.bool_]:
    """Hits and misses of at least a score, shape (N,); double hits only where the rule counts them."""
    is_miss = matches.is_false_positive(count_double_hits=rule.count_double_hits)
    return np.asarray((matches.is_hit | is_miss) & (matches.scores >= min_score))


def _fit_without(
    method: str, scores: NDArray[np.float64], is_hit: NDArray[np.bool_], is_out: NDArray[np.bool_]
) -> Curve:
    try:
        return _FITS[method](scores[~is_out], is_hit[~is_out])
    except UndefinedMetricError as error:
        raise UndefinedMetricError(
            f"calibration is judged on patients left out of the fit, and hits and misses stand in too few "
            f"patients for that: {error}"
        ) from error


def _folds(patient: NDArray[np.int64], is_hit: NDArray[np.bool_], seed: int) -> NDArray[np.int64]:
    """The fold of each detection; patients with hits and patients without are dealt out in turn."""
    patients, places = np.unique(patient, return_inverse=True)
    has_hit = np.bincount(places, weights=is_hit, minlength=len(patients)) > 0
    shuffled = np.random.default_rng(seed).permutation(len(patients))
    order = shuffled[np.argsort(~has_hit[shuffled], kind="stable")]
    fold_of = np.empty(len(patients), dtype=np.int64)
    fold_of[order] = np.arange(len(patients)) % N_FOLDS
    return np.asarray(fold_of[places])


def _loss(z: NDArray[np.float64], target: NDArray[np.float64]) -> float:
    """Negative log-likelihood of the logistic of `z`, without overflow."""
    return float(np.sum(np.logaddexp(0.0, z) - target * z))


def _safe_logit(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(logit(np.clip(scores, _EDGE, 1 - _EDGE)))


def _checked(scores: ArrayLike, is_hit: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    score, hit = np.asarray(scores, dtype=np.float64), np.asarray(is_hit, dtype=bool)
    _check_range(score)
    n_hits = int(hit.sum())
    if not 0 < n_hits < len(hit):
        raise UndefinedMetricError(
            f"calibration needs detections that hit a lesion and detections that do not, got {n_hits} hits "
            f"and {len(hit) - n_hits} misses. Take more images, or detections down to lower scores."
        )
    return score, hit


def _check_range(scores: NDArray[np.float64]) -> None:
    is_outside = ~((scores >= 0) & (scores <= 1))
    if is_outside.any():
        raise ValueError(
            f"calibration needs scores from 0 to 1, got {scores[is_outside][0]:g} "
            f"({int(is_outside.sum())} of {len(scores)} lie outside). Give the detector's sigmoid or softmax."
        )


def _judged(probabilities: ArrayLike, is_hit: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    chance = np.asarray(probabilities, dtype=np.float64)
    if not len(chance):
        raise UndefinedMetricError("the calibration of no detection is undefined.")
    return chance, np.asarray(is_hit, dtype=np.float64)
