"""False positives per image of some images, normal ones foremost, at the thresholds of operating points."""

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
class FalsePositivePoint:
    """False positives per image, of the images asked for, among detections of at least `score`.

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


@dataclass(frozen=True, eq=False)
class MarksOnImages:
    """False positives on some of the images, and the patients of these images, numbered from 0.

    Attributes:
        scores, patient: of each false positive, shape (N,).
        images: how many of the images each patient has, shape (P,).
    """

    scores: NDArray[np.float64]
    patient: NDArray[np.int64]
    images: NDArray[np.int64]


def false_positives_on_normals(
    matches: Matches,
    is_normal: NDArray[np.bool_],
    patient: NDArray[np.int64],
    thresholds: Mapping[float, float],
    rule: FrocRule,
) -> tuple[FalsePositivePoint, ...]:
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
    return false_positive_rates(marks_on_normals(matches, is_normal, patient), thresholds, rule)


def false_positive_rates(
    marks: MarksOnImages, thresholds: Mapping[float, float], rule: FrocRule
) -> tuple[FalsePositivePoint, ...]:
    """As `false_positives_on_normals`, of any images whose false positives are at hand."""
    images, shown = marks.images, (marks.scores >= least for least in thresholds.values())
    counts = np.stack([np.bincount(marks.patient[each], minlength=len(images)) for each in shown], axis=1)
    drawn = resampled_means(counts, images, rule)
    return tuple(
        _point(fppi, least, counts[:, column], int(images.sum()), drawn[:, column], rule.confidence)
        for column, (fppi, least) in enumerate(thresholds.items())
    )


def marks_on_normals(
    matches: Matches, is_normal: NDArray[np.bool_], patient: NDArray[np.int64]
) -> MarksOnImages:
    """The false positives on images without a lesion; arguments as of `false_positives_on_normals`.

    Raises:
        UndefinedMetricError: no image is normal.
    """
    if not is_normal.any():
        raise UndefinedMetricError(
            "false positives per normal image are undefined: every image has a lesion."
        )
    return marks_on_images(matches, ~matches.is_hit, is_normal, patient)


def marks_on_images(
    matches: Matches, is_false: NDArray[np.bool_], is_member: NDArray[np.bool_], patient: NDArray[np.int64]
) -> MarksOnImages:
    """The false positives on some images.

    Args:
        is_false: which detections are false positives, shape (N,).
        is_member: which images are asked for, shape (n_images,); at least one.
        patient: number of each image's patient, shape (n_images,).
    """
    _, owner = np.unique(patient[is_member], return_inverse=True)
    number = np.cumsum(is_member) - 1  # of each image among those asked for
    rows = is_member[matches.image] & is_false
    return MarksOnImages(matches.scores[rows], owner[number[matches.image[rows]]], np.bincount(owner))


def resampled_means(
    counts: NDArray[np.int64], images: NDArray[np.int64], rule: FrocRule
) -> NDArray[np.float64]:
    """Mean counts per image when patients are drawn with replacement, shape (B, columns).

    Args:
        counts: by patient, shape (P, columns). images: of each patient, shape (P,).
    """
    blocks = [np.zeros((0, counts.shape[1]))]
    for weights in patient_draws(len(images), rule, width=counts.shape[1]):
        drawn = weights.astype(np.float64)  # a product of float matrices is BLAS's, one of integers is not
        blocks.append((drawn @ counts) / (drawn @ images)[:, None])
    return np.concatenate(blocks)


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
) -> FalsePositivePoint:
    mean = float(counts.sum() / n_images)
    low, high = percentile_bounds(drawn[:, None], confidence)[0].tolist()
    if low < high:
        return FalsePositivePoint(fppi, least, mean, low, high, "bootstrap")
    low, high = poisson_interval(int(counts.sum()), n_images, confidence=confidence)
    return FalsePositivePoint(fppi, least, mean, low, high, "poisson")
