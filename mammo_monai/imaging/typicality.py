"""How typical an image is of those a model was trained on: its statistics' distance from theirs.

Source: Mahalanobis' distance on robustly scaled figures; its limit is a quantile of the distances of training
images from the others, patient by patient, which holds for any new image of the same kind (split-conformal
prediction, Vovk et al., 2005).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mammo_monai.imaging.image_statistics import named_values
from mammo_monai.schema.training_statistics import TrainingStatistics
from mammo_monai.words import counted

FALSE_ALARM_RATE = 0.01
N_PARTS = 10
MIN_IMAGES = 100
_N_QUANTILES = 201
_SMALLEST_SCALE = 1e-3
_LEVELS = (0.01, 0.16, 0.5, 0.84, 0.99)
_SD_OF_LAST = 2.326  # standard deviations from the median to the 99th percentile of a normal distribution
# A figure a hundred times as far out as usual says no more than one 25 times as far out.
_FARTHEST = 25.0
# Keeps directions in which training images hardly differ from deciding alone.
_RIDGE = 0.05
_TOLD = 3


@dataclass(frozen=True)
class Judgement:
    """What the statistics say of an image.

    Attributes:
        typicality: share of training images that lie farther out, in (0, 1].
        is_untypical: farther out than the limit.
        outside: statistics outside the training's 1st to 99th percentile, farthest first, in words.
    """

    typicality: float
    is_untypical: bool
    outside: tuple[str, ...]


def fit_statistics(
    rows: Sequence[Mapping[str, float]],
    patients: Sequence[str],
    *,
    false_alarm_rate: float = FALSE_ALARM_RATE,
) -> TrainingStatistics:
    """The distribution of training images' statistics; recipe and hashes are left to the caller.

    A statistic that some image lacks is left out. Distances are taken from a fit without the patient's tenth
    of the patients, so that they are those of images not fitted on.

    Args:
        rows: statistics of each image. patients: of each image, as long.

    Raises:
        ValueError: fewer than 100 images, lists of different lengths, or a rate that is not in (0, 1).

    Source: the limit is the ⌈(n + 1)(1 − rate)⌉-th of n distances.
    """
    if len(rows) != len(patients):
        raise ValueError(
            f"expected the patient of each image, got {counted(len(rows), 'image')} and "
            f"{counted(len(patients), 'entry')}."
        )
    if len(rows) < MIN_IMAGES:
        raise ValueError(
            f"expected at least {MIN_IMAGES} images to tell what is usual, got {len(rows)} of "
            f"{counted(len(set(patients)), 'patient')}. Name a larger manifest, or another list (--split)."
        )
    if not 0 < false_alarm_rate < 1:
        raise ValueError(f"false_alarm_rate must lie between 0 and 1, got {false_alarm_rate}.")
    names = tuple(name for name in rows[0] if all(name in row for row in rows))
    values = np.array([named_values(row, names) for row in rows])
    part_of = {patient: n % N_PARTS for n, patient in enumerate(sorted(set(patients)))}
    part = np.array([part_of[patient] for patient in patients])
    distances = np.empty(len(rows))
    for each in sorted(set(part.tolist())):
        inside = part == each
        others = _fitted(values[~inside] if (~inside).any() else values)
        distances[inside] = _distances(values[inside], others)
    distances.sort()
    rank = min(len(rows), math.ceil((len(rows) + 1) * (1 - false_alarm_rate)))
    fit = _fitted(values)
    low, high = np.quantile(values, [0.01, 0.99], axis=0)
    return TrainingStatistics(
        names,
        _rounded(fit.median),
        _rounded(fit.below),
        _rounded(fit.above),
        _rounded(low),
        _rounded(high),
        tuple(_rounded(row) for row in fit.precision),
        _rounded(np.quantile(distances, np.linspace(0, 1, _N_QUANTILES))),
        float(_rounded(distances[rank - 1 : rank])[0]),
        false_alarm_rate,
        len(rows),
        len(part_of),
        {},
    )


def judge(training: TrainingStatistics, statistics: Mapping[str, float]) -> Judgement:
    """How typical an image's statistics are; one that is missing counts as the training's median."""
    values = named_values(statistics, training.names)
    fit = _Fit(
        np.array(training.median),
        np.array(training.scale_below),
        np.array(training.scale_above),
        np.array(training.precision),
    )
    values = np.where(np.isfinite(values), values, fit.median)
    distance = float(_distances(values[None], fit)[0])
    quantiles = np.array(training.distances)
    below = float(np.interp(distance, quantiles, np.linspace(0, 1, len(quantiles))))
    # A share of n images is never known to be smaller than 1 / (n + 1).
    typicality = max(1 - below, 1 / (training.n_images + 1))
    return Judgement(typicality, distance > training.limit, _outside(training, values))


def _outside(training: TrainingStatistics, values: NDArray[np.float64]) -> tuple[str, ...]:
    low, high = np.array(training.low), np.array(training.high)
    beyond = np.maximum(
        (low - values) / np.array(training.scale_below), (values - high) / np.array(training.scale_above)
    )
    farthest = [int(n) for n in np.argsort(-beyond, kind="stable")[:_TOLD] if beyond[n] > 0]
    return tuple(
        f"{training.names[n]} {values[n]:.3g} (training {low[n]:.3g} to {high[n]:.3g})" for n in farthest
    )


@dataclass(frozen=True, eq=False)
class _Fit:
    """Median and scales of each figure, shape (N,), and the inverse covariance in scales, shape (N, N)."""

    median: NDArray[np.float64]
    below: NDArray[np.float64]
    above: NDArray[np.float64]
    precision: NDArray[np.float64]


def _fitted(values: NDArray[np.float64]) -> _Fit:
    """Scales from the 16th and 1st percentile and their like above; both are the SD of normal figures."""
    first, low, median, high, last = np.asarray(np.quantile(values, _LEVELS, axis=0), dtype=np.float64)
    below = np.maximum.reduce(
        [median - low, (median - first) / _SD_OF_LAST, np.full_like(median, _SMALLEST_SCALE)]
    )
    above = np.maximum.reduce(
        [high - median, (last - median) / _SD_OF_LAST, np.full_like(median, _SMALLEST_SCALE)]
    )
    fit = _Fit(median, below, above, np.eye(len(median)))
    scaled = _scaled(values, fit)
    covariance = scaled.T @ scaled / len(scaled) + _RIDGE * np.eye(len(median))
    return replace(fit, precision=np.asarray(np.linalg.inv(covariance), dtype=np.float64))


def _scaled(values: NDArray[np.float64], fit: _Fit) -> NDArray[np.float64]:
    off = values - fit.median
    return np.asarray(np.clip(off / np.where(off < 0, fit.below, fit.above), -_FARTHEST, _FARTHEST))


def _distances(values: NDArray[np.float64], fit: _Fit) -> NDArray[np.float64]:
    scaled = _scaled(values, fit)
    squared = np.einsum("ij,jk,ik->i", scaled, fit.precision, scaled)
    return np.asarray(np.sqrt(np.maximum(squared, 0)), dtype=np.float64)


def _rounded(values: NDArray[np.float64]) -> tuple[float, ...]:
    """Seven digits: the file stays readable, and the same on every machine."""
    return tuple(float(f"{value:.7g}") for value in values)
