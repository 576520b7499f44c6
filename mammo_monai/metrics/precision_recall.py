"""Precision, recall and F1 of detections at a score, and the score of the best F1."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mammo_monai.errors import UndefinedMetricError
from mammo_monai.metrics.bootstrap import Interval, wilson_interval
from mammo_monai.metrics.froc import FrocCurve, cumulative_counts, score_at_fppi
from mammo_monai.metrics.matching import Matches
from mammo_monai.metrics.resampling import patient_draws, percentile_bounds
from mammo_monai.metrics.rule import FrocRule
from mammo_monai.words import counted

Json = dict[str, Any]


@dataclass(frozen=True)
class PrecisionRecall:
    """Counts among detections of at least `score`, over all images, and what follows from them.

    Attributes:
        score: infinity where nothing is marked.
        true_positives: lesions found. false_negatives: lesions missed. false_positives: by the rule.
        precision_interval, recall_interval: Wilson's where resampling says nothing. f1_interval: None there.
            All hold the score fixed. None where the figure is undefined.
    """

    score: float
    true_positives: int
    false_positives: int
    false_negatives: int
    precision_interval: Interval | None = None
    recall_interval: Interval | None = None
    f1_interval: Interval | None = None

    @property
    def precision(self) -> float:
        """Share of the marks that hit a lesion; NaN where nothing is marked."""
        return _ratio(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> float:
        """Lesion sensitivity; NaN without any lesion."""
        return _ratio(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def f1(self) -> float:
        """Harmonic mean of both, 0 where both are 0; NaN where one of them is undefined.

        >>> [PrecisionRecall(0.5, *counts).f1 for counts in [(1, 2, 0), (0, 3, 2), (0, 0, 2)]]
        [0.5, 0.0, nan]
        """
        if math.isnan(self.precision) or math.isnan(self.recall):
            return math.nan
        return _ratio(
            2 * self.true_positives, 2 * self.true_positives + self.false_positives + self.false_negatives
        )


def precision_recall_at(
    matches: Matches, scores: Sequence[float], patient: NDArray[np.int64], rule: FrocRule
) -> tuple[PrecisionRecall, ...]:
    """Precision, recall and F1 at each score, with a bootstrap over patients.

    A detection is a hit or a false positive by the rule of the FROC; double hits are neither unless the rule
    counts them. False positives are those of all images.

    Args:
        scores: lowest score that is marked; infinity marks nothing.
        patient: number of each image's patient, shape (n_images,), from 0.
        rule: double hits, confidence, resamples and seed.

    Source: P1 (precision, recall and F1 at a score); van Rijsbergen, 1979 (F); Efron & Tibshirani, 1993
    (percentile interval); the patient as the unit: protocol §2.
    """
    least = np.asarray(scores, dtype=np.float64)
    is_false = matches.is_false_positive(count_double_hits=rule.count_double_hits)
    n_patients = int(patient.max(initial=-1)) + 1
    hits = _counts_at(matches, patient, matches.is_hit, least, n_patients)
    false = _counts_at(matches, patient, is_false, least, n_patients)
    lesions = np.bincount(patient[matches.lesion_image], minlength=n_patients)
    bounds = _resampled_bounds(hits, false, lesions, rule)
    return tuple(
        _with_intervals(PrecisionRecall(float(score), n, wrong, matches.n_lesions - n), each, rule)
        for score, n, wrong, each in zip(
            least, hits.sum(axis=0).tolist(), false.sum(axis=0).tolist(), bounds, strict=True
        )
    )


def best_f1_score(matches: Matches, *, count_double_hits: bool = False) -> float:
    """The score at which F1 is highest; of equals the highest score.

    On the images it is measured on it is chosen too well: take it from validation images, as any threshold.

    Raises:
        UndefinedMetricError: there is no lesion, or no detection that counts.

    >>> from mammo_monai.metrics.matching import match_detections
    >>> from mammo_monai.records import Detections, Lesion
    >>> found = Detections("a", np.array([[0.0, 0, 10, 10], [40, 0, 50, 10]]),
    ...     scores=np.array([0.6, 0.9]), labels=np.zeros(2, dtype=np.int64))
    >>> best_f1_score(match_detections(found, [Lesion(box=(0.0, 0.0, 10.0, 10.0))]))
    0.6
    """
    is_false = matches.is_false_positive(count_double_hits=count_double_hits)
    scores, hits, false_positives = cumulative_counts(matches, is_false)
    if not matches.n_lesions or not len(scores):
        raise UndefinedMetricError(
            f"the best F1 is undefined: {counted(matches.n_lesions, 'lesion')} and "
            f"{counted(len(matches.scores), 'detection')} of the scored label; it needs at least one of each."
        )
    # 2 TP + FP + FN = TP + FP + lesions.
    f1 = 2 * hits / (hits + false_positives + matches.n_lesions)
    return float(scores[np.argmax(f1)])


def precision_recall_entry(
    matches: Matches, curve: FrocCurve, patient: NDArray[np.int64], rule: FrocRule
) -> Json:
    """`precision_recall` of metrics.json: at the score of each operating point, and at the best F1.

    Undefined figures are None; so is `best_f1` without a lesion or a detection.

    Args:
        matches: of lesions, whatever the rule's level, with the false positives of all images.
        curve: the FROC curve by the whole rule, which operating points and their scores are read from.
        patient: as `precision_recall_at`.
    """
    fppi, scores = list(rule.fppi), [score_at_fppi(curve, each) for each in rule.fppi]
    try:
        best = best_f1_score(matches, count_double_hits=rule.count_double_hits)
    except UndefinedMetricError:
        pass
    else:
        scores.append(best)
        fppi.append(float(curve.fppi[curve.score >= best].max()))
    points = precision_recall_at(matches, scores, patient, rule)
    rows = [_row(each, point) for each, point in zip(fppi, points, strict=True)]
    return {
        "n_bootstrap": rule.n_bootstrap,
        "points": rows[: len(rule.fppi)],
        "best_f1": rows[-1] if len(rows) > len(rule.fppi) else None,
    }


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else math.nan


def _counts_at(
    matches: Matches,
    patient: NDArray[np.int64],
    is_counted: NDArray[np.bool_],
    least: NDArray[np.float64],
    n_patients: int,
) -> NDArray[np.int64]:
    """Counted detections of at least each score, by patient, shape (P, scores)."""
    scores, owner = matches.scores[is_counted], patient[matches.image[is_counted]]
    columns = [np.bincount(owner[scores >= each], minlength=n_patients) for each in least]
    return np.array(columns, dtype=np.int64).reshape(len(least), n_patients).T


def _resampled_bounds(
    hits: NDArray[np.int64], false: NDArray[np.int64], lesions: NDArray[np.int64], rule: FrocRule
) -> NDArray[np.float64]:
    """Bounds of precision, recall and F1 at each score, shape (scores, 3, 2); NaN where draws say nothing."""
    n_scores = hits.shape[1]
    blocks = [np.zeros((0, 3, n_scores))]
    for weights in patient_draws(len(lesions), rule, width=3 * n_scores):
        drawn = weights.astype(np.float64)  # a product of float matrices is BLAS's, one of integers is not
        tp, fp, n_lesions = drawn @ hits, drawn @ false, (drawn @ lesions)[:, None]
        with np.errstate(invalid="ignore", divide="ignore"):
            precision, recall = tp / (tp + fp), tp / n_lesions
            f1 = 2 * tp / (tp + fp + n_lesions) + 0 * precision * recall  # NaN where one of them is
        blocks.append(np.stack([precision, recall, f1], axis=1))
    draws = np.concatenate(blocks).reshape(-1, 3 * n_scores)
    return percentile_bounds(draws, rule.confidence).reshape(3, n_scores, 2).swapaxes(0, 1)


def _with_intervals(point: PrecisionRecall, bounds: NDArray[np.float64], rule: FrocRule) -> PrecisionRecall:
    tp, marks = point.true_positives, point.true_positives + point.false_positives
    lesions = point.true_positives + point.false_negatives
    precision, recall, f1 = (
        None if math.isnan(low) else Interval(low, high, "bootstrap") for low, high in bounds.tolist()
    )
    return PrecisionRecall(
        point.score,
        tp,
        point.false_positives,
        point.false_negatives,
        _interval(precision, tp, marks, rule),
        _interval(recall, tp, lesions, rule),
        None if math.isnan(point.f1) else f1,
    )


def _interval(drawn: Interval | None, part: int, whole: int, rule: FrocRule) -> Interval | None:
    if not whole:
        return None
    return drawn or wilson_interval(part, whole, confidence=rule.confidence)


def _row(fppi: float, point: PrecisionRecall) -> Json:
    figures = {"precision": point.precision, "recall": point.recall, "f1": point.f1}
    intervals = {
        "precision": point.precision_interval,
        "recall": point.recall_interval,
        "f1": point.f1_interval,
    }
    return {
        "fppi": fppi,
        "score": point.score if math.isfinite(point.score) else None,
        **{name: None if math.isnan(value) else value for name, value in figures.items()},
        "true_positives": point.true_positives,
        "false_positives": point.false_positives,
        "false_negatives": point.false_negatives,
        "intervals": {
            name: each and {"low": each.low, "high": each.high, "interval": each.method}
            for name, each in intervals.items()
        },
    }
