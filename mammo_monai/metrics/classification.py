"""Figures of classifiers: accuracy, AUC, sensitivity, specificity, precision, F1, with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammo_monai.errors import UndefinedMetricError
from mammo_monai.metrics.bootstrap import wilson_interval
from mammo_monai.metrics.delong import auc_interval
from mammo_monai.metrics.resampling import patient_draws, percentile_bounds, why_no_bounds
from mammo_monai.metrics.roc import roc_auc
from mammo_monai.metrics.rule import FrocRule

FigureName = Literal["accuracy", "auc", "sensitivity", "specificity", "precision", "f1"]
Ratio = tuple[NDArray[np.int64], NDArray[np.int64]]
# Shares of counts: each the number of units counted above, of those counted below. F1 is none.
PROPORTIONS = ("accuracy", "sensitivity", "specificity", "precision")


@dataclass(frozen=True, eq=False)
class ClassifiedUnits:
    """Patches or images with their true class and a classifier's answer.

    Attributes:
        probabilities: of each class, shape (N, K), rows of sum 1; class 0 is background.
        class_index: the true class, shape (N,).
        patient: number of each unit's patient, from 0, shape (N,); None: each unit has a patient of its own.

    Raises:
        ValueError: shapes that do not belong together, fewer than two classes, a probability that is NaN, or
            a class or patient out of range.
    """

    probabilities: NDArray[np.float64]
    class_index: NDArray[np.int64]
    patient: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        """Refuses what has no figures."""
        shape = self.probabilities.shape
        if len(shape) != 2 or shape[1] < 2 or self.class_index.shape != shape[:1]:
            raise ValueError(
                "expected probabilities (N, K) of K >= 2 classes and N true classes, got shapes "
                f"{shape} and {self.class_index.shape}."
            )
        if np.isnan(self.probabilities).any():
            raise ValueError("a probability must be a number, got NaN.")
        if shape[0] and not (self.class_index.min() >= 0 and self.class_index.max() < shape[1]):
            raise ValueError(f"true classes must be from 0 to {shape[1] - 1}.")
        if self.patient is not None and (
            self.patient.shape != shape[:1] or (shape[0] and self.patient.min() < 0)
        ):
            raise ValueError("expected one patient number of at least 0 per unit.")

    @property
    def patients(self) -> NDArray[np.int64]:
        """Number of each unit's patient, without gaps."""
        if self.patient is None:
            return np.arange(len(self.class_index))
        return np.asarray(np.unique(self.patient, return_inverse=True)[1], dtype=np.int64).reshape(-1)

    @property
    def predicted(self) -> NDArray[np.int64]:
        """The most probable class; of equal ones the first, so background at one half."""
        return np.asarray(self.probabilities.argmax(axis=1), dtype=np.int64)

    @property
    def scores(self) -> NDArray[np.float64]:
        """Probability that it is not background: the sum of the others, which keeps small ones apart."""
        return np.asarray(self.probabilities[:, 1:].sum(axis=1))


@dataclass(frozen=True)
class Figure:
    """A figure with its interval.

    Attributes:
        value: NaN where undefined. low, high: NaN where no interval can be given.
        method: how the interval was made. note: why something is NaN; "" where nothing is.
    """

    value: float
    low: float
    high: float
    method: Literal["bootstrap", "wilson", "delong", "exact", "none"]
    note: str = ""


@dataclass(frozen=True, eq=False)
class ClassificationFigures:
    """All figures of one classifier.

    Attributes:
        figures: of "anything but background" against background; accuracy is that of all classes.
        per_class: of each class against all others, background included.
        confusion: units of true class i that were called j, shape (K, K).
    """

    n_units: int
    n_patients: int
    figures: Mapping[FigureName, Figure]
    per_class: tuple[Mapping[FigureName, Figure], ...]
    confusion: NDArray[np.int64]


def classification_figures(units: ClassifiedUnits, rule: FrocRule | None = None) -> ClassificationFigures:
    """The figures of a classifier.

    A unit is called the most probable class. Positive is what is not background: sensitivity is the share of
    positives called any class but background, AUC that of the probability of not being background.
    Intervals: where patients have several units, percentiles of draws of patients, since patches of one
    patient are not independent; else Wilson's, and DeLong's for AUC. Wilson's too where resampling says
    nothing; it then takes units for independent.

    Args:
        rule: confidence, resamples and seed of the intervals.

    Source: P3 and P4 report accuracy, AUC, sensitivity, specificity and F1; Wilson, 1927; DeLong et al.,
    1988; Efron & Tibshirani, 1993; the patient as the unit: protocol §2.

    >>> figures = classification_figures(ClassifiedUnits(
    ...     np.array([[0.9, 0.1], [0.4, 0.6], [0.3, 0.7], [0.8, 0.2]]), np.array([0, 0, 1, 1])))
    >>> figures.figures["accuracy"].value, figures.figures["auc"].value, figures.confusion.tolist()
    (0.5, 0.75, [[1, 1], [1, 1]])
    """
    rule = rule or FrocRule()
    n, k = units.probabilities.shape
    truth, called, patients = units.class_index, units.predicted, units.patients
    confusion = np.zeros((k, k), dtype=np.int64)
    np.add.at(confusion, (truth, called), 1)
    main = _binary(truth > 0, called > 0, units.scores, patients, rule)
    accuracy = _ratio_figure("accuracy", (truth == called, np.ones(n, dtype=bool)), patients, rule)
    per_class = tuple(
        _binary(truth == each, called == each, units.probabilities[:, each], patients, rule)
        for each in range(k)
    )
    return ClassificationFigures(
        n, len(np.unique(patients)), {**main, "accuracy": accuracy}, per_class, confusion
    )


def ratio_counts(is_positive: NDArray[np.bool_], is_called: NDArray[np.bool_]) -> dict[FigureName, Ratio]:
    """Of each figure that is a ratio of counts, what each unit adds above and below, shape (N,)."""
    hit = is_positive & is_called
    whole = np.ones(len(is_positive), dtype=bool)
    parts = {
        "accuracy": (is_positive == is_called, whole),
        "sensitivity": (hit, is_positive),
        "specificity": (~is_positive & ~is_called, ~is_positive),
        "precision": (hit, is_called),
    }
    counts: dict[FigureName, Ratio] = {
        name: (above.astype(np.int64), below.astype(np.int64))  # type: ignore[misc]  # names as listed
        for name, (above, below) in parts.items()
    }
    counts["f1"] = (2 * hit.astype(np.int64), is_positive.astype(np.int64) + is_called.astype(np.int64))
    return counts


def per_patient(values: NDArray[np.int64], patients: NDArray[np.int64], n_patients: int) -> NDArray[np.int64]:
    """Sum over each patient's units, shape (P,)."""
    return np.bincount(patients, weights=values, minlength=n_patients).astype(np.int64)


def _binary(
    is_positive: NDArray[np.bool_],
    is_called: NDArray[np.bool_],
    scores: ArrayLike,
    patients: NDArray[np.int64],
    rule: FrocRule,
) -> dict[FigureName, Figure]:
    ratios = ratio_counts(is_positive, is_called)
    figures = {name: _ratio_figure(name, ratio, patients, rule) for name, ratio in ratios.items()}
    return {**figures, "auc": _auc_figure(scores, is_positive, patients, rule)}


def _auc_figure(
    scores: ArrayLike, is_positive: NDArray[np.bool_], patients: NDArray[np.int64], rule: FrocRule
) -> Figure:
    try:
        value = roc_auc(scores, is_positive)
    except UndefinedMetricError as error:
        return Figure(np.nan, np.nan, np.nan, "none", str(error))
    interval = auc_interval(scores, is_positive, patient=patients, rule=rule)
    return Figure(value, interval.low, interval.high, interval.method, interval.note)


def _ratio_figure(
    name: FigureName,
    ratio: tuple[NDArray[np.generic], NDArray[np.generic]],
    patients: NDArray[np.int64],
    rule: FrocRule,
) -> Figure:
    n_patients = int(patients.max()) + 1 if len(patients) else 0
    above, below = (per_patient(each.astype(np.int64), patients, n_patients) for each in ratio)
    if not below.sum():
        return Figure(np.nan, np.nan, np.nan, "none", f"{name} is undefined: no unit to divide by")
    value = int(above.sum()) / int(below.sum())
    if name in PROPORTIONS and n_patients == len(patients):
        return _wilson(value, above, below, rule)
    draws = [np.zeros(0)]
    for weights in patient_draws(n_patients, rule):
        with np.errstate(invalid="ignore"):
            draws.append((weights @ above) / (weights @ below))
    drawn = np.concatenate(draws)
    drawn = drawn[~np.isnan(drawn)]
    low, high = percentile_bounds(drawn[:, None], rule.confidence)[0].tolist()
    if low < high:
        return Figure(value, low, high, "bootstrap")
    if name in PROPORTIONS:
        return _wilson(value, above, below, rule)
    return Figure(value, np.nan, np.nan, "none", why_no_bounds(drawn, rule, figure=name, needs="a positive"))


def _wilson(value: float, above: NDArray[np.int64], below: NDArray[np.int64], rule: FrocRule) -> Figure:
    interval = wilson_interval(int(above.sum()), int(below.sum()), confidence=rule.confidence)
    return Figure(value, interval.low, interval.high, "wilson")
