"""False positives per normal image against the lowest score shown, with a band: a curve over all scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mammo_monai.metrics.matching import Matches
from mammo_monai.metrics.normals import marks_on_normals, poisson_interval, resampled_means
from mammo_monai.metrics.resampling import percentile_bounds
from mammo_monai.metrics.rule import FrocRule

EVEN_SCORES = tuple(n / 100 for n in range(1, 100))
MAX_POINTS = 200
Json = dict[str, Any]


@dataclass(frozen=True, eq=False)
class NormalCurve:
    """False positives per normal image among detections of at least each score.

    Attributes:
        score: ascending, shape (K,). false_positives_per_image: never rises, shape (K,).
        low, high: pointwise confidence interval of the mean, shape (K,).
        is_poisson: where the interval is Poisson's of the count, because resampling says nothing, shape (K,).
        n_images: normal images.
    """

    score: NDArray[np.float64]
    false_positives_per_image: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    is_poisson: NDArray[np.bool_]
    n_images: int


def normal_images_curve(
    matches: Matches, is_normal: NDArray[np.bool_], patient: NDArray[np.int64], rule: FrocRule
) -> NormalCurve:
    """The curve at scores .01 … .99 and at those where the measured curve steps, 200 points at most.

    With more steps than fit, they are taken evenly from the ordered scores, the highest and the lowest among
    them. The interval is that of `false_positives_on_normals` at every score: patients of normal images are
    drawn with replacement; Poisson's of the count where that says nothing.

    Args:
        is_normal: which images hold no lesion of the scored label, shape (n_images,).
        patient: number of each image's patient, shape (n_images,).
        rule: confidence, resamples and seed.

    Raises:
        UndefinedMetricError: no image is normal.

    Source: P2 (Jung et al., 2018), Fig. 5.
    """
    marks = marks_on_normals(matches, is_normal, patient)
    images, least = marks.images, _scores_shown(marks.scores)
    counts = _counts_at_least(marks.patient, marks.scores, least, len(images))
    totals, n_images = counts.sum(axis=0), int(images.sum())
    bounds = percentile_bounds(resampled_means(counts, images, rule), rule.confidence)
    is_poisson = np.isnan(bounds[:, 0])
    for place in np.flatnonzero(is_poisson):
        bounds[place] = poisson_interval(int(totals[place]), n_images, confidence=rule.confidence)
    return NormalCurve(least, totals / n_images, bounds[:, 0], bounds[:, 1], is_poisson, n_images)


def normal_curve_entry(
    matches: Matches, is_normal: NDArray[np.bool_], patient: NDArray[np.int64], rule: FrocRule
) -> Json | None:
    """`normal_images.curve` of metrics.json; None without a normal image."""
    if not is_normal.any():
        return None
    curve = normal_images_curve(matches, is_normal, patient, rule)
    return {
        "n_bootstrap": rule.n_bootstrap,
        "score": curve.score.tolist(),
        "false_positives_per_image": curve.false_positives_per_image.tolist(),
        "low": curve.low.tolist(),
        "high": curve.high.tolist(),
        "interval": ["poisson" if each else "bootstrap" for each in curve.is_poisson.tolist()],
    }


def _scores_shown(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    measured = np.unique(scores)
    room = MAX_POINTS - len(EVEN_SCORES)
    if len(measured) > room:
        measured = measured[np.linspace(0, len(measured) - 1, room).round().astype(np.int64)]
    return np.union1d(measured, EVEN_SCORES)


def _counts_at_least(
    owner: NDArray[np.int64], scores: NDArray[np.float64], least: NDArray[np.float64], n_patients: int
) -> NDArray[np.int64]:
    """False positives of at least each score, by patient, shape (P, scores); `least` ascends."""
    # A detection counts at every score up to its own: the number of those is the column it falls into.
    reached = np.searchsorted(least, scores, side="right")
    width = len(least) + 1
    cells = np.bincount(owner * width + reached, minlength=n_patients * width).reshape(n_patients, width)
    return np.asarray(np.cumsum(cells[:, ::-1], axis=1)[:, ::-1][:, 1:])
