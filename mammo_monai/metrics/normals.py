"""False positives on images without a lesion: per normal image, at the thresholds of operating points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from mammo_monai.errors import UndefinedMetricError
from mammo_monai.metrics.matching import Matches
from mammo_monai.metrics.resampling import patient_draws, percentile_bounds
from mammo_monai.metrics.rule import FrocRule


@dataclass(frozen=True)
class NormalPoint:
    """False positives per normal image among detections of at least `score`.

    Attributes:
        fppi: the operating point the score stands for. score: infinity where nothing may be shown.
        low, high: confidence interval of the mean. interval: how it was made.
    """

    fppi: float
    score: float
    false_positives_per_image: float
    low: float
    high: float
    interval: Literal["bootstrap", "poisson"]


def false_positives_on_normals(
    matches: Matches,
    is_normal: NDArray[np.bool_],
    patient: NDArray[np.int64],
    thresholds: Mapping[float, float],
    rule: FrocRule,
) -> tuple[NormalPoint, ...]:
    """False positives per normal image at each threshold, with a bootstrap over the patients of those images.

    Where resampling says nothing (no draws asked for, fewer than two patients, both percentiles alike, as
    with no false positive at all) the interval is Poisson's of the count.

    Args:
        is_normal: which images hold no lesion of the scored label, shape (n_images,).
        patient: number of each image's patient, shape (n_images,).
        thresholds: lowest score shown, by FPPI: of these images' own curve, or chosen on others.
        rule: confidence, resamples and seed.

    Raises:
        UndefinedMetricError: no image is normal.

    Source: P2 (Jung et al., 2018) gives false positives per normal image at two scores; the patient as the
    unit of resampling: protocol §2; Garwood, 1936 (Poisson interval).
    """
    if not is_normal.any():
        raise UndefinedMetricError(
            "false positives per normal image are undefined: every image has a lesion."
        )
    _, owner = np.unique(patient[is_normal], return_inverse=True)
    images = np.bincount(owner)
    number = np.cumsum(is_normal) - 1  # of each image among the normal ones
    rows = is_normal[matches.image] & ~matches.is_hit
    of_patient, scores = owner[number[matches.image[rows]]], matches.scores[rows]
    counts = np.stack(
        [np.bincount(of_patient[scores >= least], minlength=len(images)) for least in thresholds.values()],
        axis=1,
    )
    drawn = _resampled(counts, images, rule)
    return tuple(
        _point(fppi, least, counts[:, column], int(images.sum()), drawn[:, column], rule.confidence)
        for column, (fppi, least) in enumerate(thresholds.items())
    )


def poisson_interval(count: int, n: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Bounds of the mean per image when `count` were seen on `n` images.

    Raises:
        UndefinedMetricError: `n` is 0.

    Source: Garwood, 1936.

    >>> low, high = poisson_interval(0, 100)
    >>> low, round(high, 4)
    (0.0, 0.0369)
    """
    if not n:
        raise UndefinedMetricError("a mean over 0 images is undefined.")
    tail = (1 - confidence) / 2
    low = float(chi2.ppf(tail, 2 * count)) / 2 if count else 0.0
    return low / n, float(chi2.ppf(1 - tail, 2 * count + 2)) / 2 / n


def _point(
    fppi: float,
    least: float,
    counts: NDArray[np.int64],
    n_images: int,
    drawn: NDArray[np.float64],
    confidence: float,
) -> NormalPoint:
    mean = float(counts.sum() / n_images)
    low, high = percentile_bounds(drawn[:, None], confidence)[0].tolist()
    if low < high:
        return NormalPoint(fppi, least, mean, low, high, "bootstrap")
    low, high = poisson_interval(int(counts.sum()), n_images, confidence=confidence)
    return NormalPoint(fppi, least, mean, low, high, "poisson")


def _resampled(counts: NDArray[np.int64], images: NDArray[np.int64], rule: FrocRule) -> NDArray[np.float64]:
    """Mean counts per image when patients are drawn with replacement, shape (B, points)."""
    draws = [weights @ counts / (weights @ images)[:, None] for weights in patient_draws(len(images), rule)]
    return np.concatenate([np.zeros((0, counts.shape[1])), *draws])
