"""JAFROC's figure of merit: the chance that a lesion outranks the highest false positive of an image."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mammo_monai.errors import UndefinedMetricError
from mammo_monai.metrics.area_resampling import (
    AreaDifference,
    Method,
    bootstrap_area_difference,
    bootstrap_area_interval,
)
from mammo_monai.metrics.matching import Matches
from mammo_monai.metrics.pairing import PairedMatches
from mammo_monai.metrics.ratings import Ratings, rank_area
from mammo_monai.metrics.rule import FrocRule
from mammo_monai.words import counted

Variant = Literal["JAFROC1", "JAFROC2"]
Weighting = Literal["lesion", "image"]


@dataclass(frozen=True)
class JafrocFigure:
    """The figure of merit and its interval.

    Attributes:
        low, high: NaN where no interval can be given. interval: how it was made.
        n_normal_images: without a lesion of the scored label.
        note: why there is no interval; "" where there is one.
    """

    figure_of_merit: float
    low: float
    high: float
    interval: Method
    variant: Variant
    weighting: Weighting
    n_lesions: int
    n_normal_images: int
    note: str = ""


def jafroc_figure(
    matches: Matches,
    patient: NDArray[np.int64],
    rule: FrocRule,
    *,
    variant: Variant | None = None,
    weighting: Weighting = "lesion",
) -> JafrocFigure:
    """Share of the pairs of a lesion and an image whose lesion is rated above the image's false positives.

    A lesion is rated as the detection that hit it, an image as its highest false positive; -infinity where
    there is none, and equal ratings count one half. The interval is over patients.

    Args:
        matches: of `match_lesions`: of lesions, not units, and with the false positives of all images.
        patient: number of each image's patient, shape (n_images,), from 0.
        rule: whether double hits are false positives; confidence, resamples and seed.
        variant: "JAFROC2" compares with normal images, "JAFROC1" with all. None: JAFROC2, without normal
            images JAFROC1.
        weighting: "lesion": every lesion counts the same; "image": the lesions of an image share one weight.

    Raises:
        UndefinedMetricError: there is no lesion, or JAFROC2 was asked for without a normal image.
        ValueError: an option is unknown, false positives do not count on all images, or `patient` is not of
            these images.

    Source: Chakraborty & Berbaum, 2004 (JAFROC2, there JAFROC, and the weights); Chakraborty, 2008 (JAFROC1);
    unmarked as -infinity: both. The bootstrap stands in for their jackknife.

    >>> from mammo_monai.metrics.matching import match_pooled
    >>> from mammo_monai.metrics.pooling import pool_images
    >>> from mammo_monai.records import Detections, Lesion
    >>> found = Detections("a", np.array([[0.0, 0, 10, 10]]), np.array([0.6]), np.zeros(1, dtype=np.int64))
    >>> lesions = [Lesion(box=(0.0, 0.0, 10.0, 10.0)), Lesion(box=(20.0, 0.0, 30.0, 10.0))]
    >>> matches = match_pooled(pool_images([found, Detections("b")], [lesions, []]))
    >>> jafroc_figure(matches, np.arange(2), FrocRule()).figure_of_merit  # one above, one as unmarked
    0.75
    """
    variant = variant or ("JAFROC2" if _is_normal(matches).any() else "JAFROC1")
    ratings = jafroc_ratings(matches, patient, rule, variant=variant, weighting=weighting)
    interval = bootstrap_area_interval(ratings, rule)
    return JafrocFigure(
        figure_of_merit=rank_area(ratings),
        low=interval.low,
        high=interval.high,
        interval=interval.method,
        variant=variant,
        weighting=weighting,
        n_lesions=matches.n_lesions,
        n_normal_images=int(_is_normal(matches).sum()),
        note=interval.note,
    )


def jafroc_difference(
    pair: PairedMatches,
    rule: FrocRule,
    *,
    variant: Variant | None = None,
    weighting: Weighting = "lesion",
    n_permutations: int = 1000,
) -> AreaDifference:
    """Difference of two detectors' figures of merit, second minus first: bootstrap interval, permutation p.

    Raises:
        UndefinedMetricError: JAFROC2 was asked for without a normal image.
        ValueError: an option is unknown, or `n_permutations` is negative.

    Source: as `jafroc_figure`; the swap of detectors patient by patient: as `significance`.
    """
    variant = variant or ("JAFROC2" if _is_normal(pair.first).any() else "JAFROC1")
    first, second = (
        jafroc_ratings(each, pair.patient, rule, variant=variant, weighting=weighting)
        for each in (pair.first, pair.second)
    )
    return bootstrap_area_difference(first, second, rule, n_permutations=n_permutations)


def jafroc_ratings(
    matches: Matches,
    patient: NDArray[np.int64],
    rule: FrocRule,
    *,
    variant: Variant,
    weighting: Weighting = "lesion",
) -> Ratings:
    """Ratings of lesions, as positives, and of the images they are compared with, as negatives.

    Raises:
        UndefinedMetricError: there is no lesion, or no image to compare with.
        ValueError: an option is unknown, or `patient` not of these images.
    """
    _check(matches, patient, variant, weighting)
    is_false = matches.is_false_positive(count_double_hits=rule.count_double_hits)
    highest = np.full(matches.n_images, -np.inf)
    np.maximum.at(highest, matches.image[is_false], matches.scores[is_false])
    is_compared = _is_normal(matches) if variant == "JAFROC2" else np.ones(matches.n_images, dtype=bool)
    lesions_in = np.bincount(matches.lesion_image, minlength=matches.n_images)
    return Ratings(
        # -1, missed, reads the last entry: unmarked.
        positive=np.append(matches.scores, -np.inf)[matches.detection],
        negative=highest[is_compared],
        positive_patient=patient[matches.lesion_image],
        negative_patient=patient[is_compared],
        n_patients=int(patient.max()) + 1,
        weight=1 / lesions_in[matches.lesion_image] if weighting == "image" else None,
    )


def jafroc_entry(matches: Matches, patient: NDArray[np.int64], rule: FrocRule) -> dict[str, Any] | None:
    """`jafroc` of metrics.json: the figure with every lesion alike; None where it is undefined."""
    if not matches.n_lesions:
        return None
    figure = jafroc_figure(matches, patient, rule)
    return {
        "figure_of_merit": figure.figure_of_merit,
        "low": None if math.isnan(figure.low) else figure.low,
        "high": None if math.isnan(figure.high) else figure.high,
        "interval": figure.interval,
        "note": figure.note,
        "variant": figure.variant,
        "weighting": figure.weighting,
        "n_lesions": figure.n_lesions,
        "n_normal_images": figure.n_normal_images,
    }


def _check(matches: Matches, patient: NDArray[np.int64], variant: str, weighting: str) -> None:
    for name, value, choices in (("variant", variant, Variant), ("weighting", weighting, Weighting)):
        if value not in get_args(choices):
            raise ValueError(f"{name} must be {' or '.join(get_args(choices))}, got {value!r}.")
    if len(patient) != matches.n_images:
        n_images = counted(matches.n_images, "image")
        raise ValueError(f"expected a patient for each image, got {len(patient)} for {n_images}.")
    if not matches.is_counted.all():
        raise ValueError(
            f"JAFROC needs the false positives of all {counted(matches.n_images, 'image')}, got matches that "
            f"count them on {int(matches.is_counted.sum())}. Match with false_positives_on all."
        )
    if not matches.n_lesions:
        raise UndefinedMetricError("JAFROC is undefined: the images hold no lesion of the scored label.")
    if variant == "JAFROC2" and not _is_normal(matches).any():
        raise UndefinedMetricError(
            "JAFROC2 is undefined: every image has a lesion. JAFROC1 compares with all images."
        )


def _is_normal(matches: Matches) -> NDArray[np.bool_]:
    return np.asarray(np.bincount(matches.lesion_image, minlength=matches.n_images) == 0)
