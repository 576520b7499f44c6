"""One score per image, breast or patient, and whether it is positive: from boxes, or from images' scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mammo_monai.errors import UndefinedMetricError
from mammo_monai.metrics.pooling import PooledImages, patient_numbers
from mammo_monai.records import ImageRecord, Laterality, Positive
from mammo_monai.words import counted

UnitLevel = Literal["image", "breast", "patient"]
Pool = Literal["max", "mean"]
ScoredBy = Literal["image_score", "highest_detection"]
UNIT_LEVELS: tuple[UnitLevel, ...] = get_args(UnitLevel)
_NAMED = 5  # ids spelled out in an error; the rest are counted


@dataclass(frozen=True, eq=False)
class UnitScores:
    """Scores of the units of one level, ready for a ROC curve.

    Attributes:
        scores: shape (N,); -infinity, below every score, where nothing was marked in any of its images.
        is_positive: whether any of its images is, shape (N,).
        patient: number of each unit's patient, shape (N,), from 0.
    """

    level: UnitLevel
    scores: NDArray[np.float64]
    is_positive: NDArray[np.bool_]
    patient: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ImageRatings:
    """Score and truth of images, and how those of a breast and of a patient are joined.

    Attributes:
        records: the images, each of a known class.
        scores: shape (N,); -infinity where nothing was marked. is_positive: shape (N,).
        unmarked: what an image of score -infinity counts in a mean.
        over_views, over_breasts: how the images of a breast, and the breasts of a patient, are pooled.
        score: what the scores are. positive: what is positive. n_left_out: images of unknown class.
    """

    records: tuple[ImageRecord, ...]
    scores: NDArray[np.float64]
    is_positive: NDArray[np.bool_]
    unmarked: float = 0.0
    over_views: Pool = "max"
    over_breasts: Pool = "max"
    score: ScoredBy = "highest_detection"
    positive: Positive = "lesion"
    n_left_out: int = 0


def unit_scores(
    records: Sequence[ImageRecord],
    images: PooledImages,
    *,
    level: UnitLevel = "image",
    pool: Pool = "max",
    pool_breasts: Pool = "max",
) -> UnitScores:
    """Scores and truth of every image, breast or patient, by what a detector marked.

    An image scores as its highest detection. A breast scores as the maximum or mean over its images, a
    patient as the maximum or mean over the breasts. In a mean an image without any mark counts 0, or the
    lowest score of the set where that is negative; a unit without any mark at all is scored -infinity.

    Args:
        records: of the pooled images, in their order.
        images: detections and lesions of the scored label, as `pool_images` gives them.
        pool: over the images of a breast. pool_breasts: over the breasts of a patient.

    Raises:
        UndefinedMetricError: breasts are asked for and an image's laterality is unknown: never guessed.
        ValueError: records and images differ in number, or an option is unknown.

    Source: the mean over CC and MLO: P4, after Shen et al., 2019; the maximum: no source known.
    """
    ratings = detector_ratings(records, images)
    return rate_units(replace(ratings, over_views=pool, over_breasts=pool_breasts), level)


def detector_ratings(records: Sequence[ImageRecord], images: PooledImages) -> ImageRatings:
    """Images as a detector rates them: by the highest detection of each, positive if they hold a lesion.

    Raises:
        ValueError: records and images differ in number.
    """
    if len(records) != images.n_images:
        n_images = counted(images.n_images, "image")
        raise ValueError(f"expected one record per image, got {len(records)} for {n_images}.")
    scores = np.full(images.n_images, -np.inf)
    np.maximum.at(scores, images.image, images.scores)
    unmarked = float(images.scores.min(initial=0.0))
    return ImageRatings(tuple(records), scores, images.has_lesion, unmarked)


def rate_units(ratings: ImageRatings, level: UnitLevel) -> UnitScores:
    """Scores and truth of every image, breast or patient; one with a positive image is positive.

    Raises:
        UndefinedMetricError: there is no image; or breasts are asked for, or averaged over, and an image's
            laterality is unknown: never guessed.
        ValueError: an option is unknown.
    """
    pool, pool_breasts = ratings.over_views, ratings.over_breasts
    _check_options(ratings, level)
    scores, is_positive, patient = ratings.scores, ratings.is_positive, patient_numbers(ratings.records)
    if level == "image":
        return UnitScores(level, scores, is_positive, patient)
    if level == "breast" or "mean" in (pool, pool_breasts):
        sides = np.array([record.laterality is Laterality.RIGHT for record in ratings.records])
        _check_laterality(ratings.records, level)
        breasts, of = np.unique(2 * patient + sides, return_inverse=True)
        scores, is_positive = _pooled(scores, of, pool, ratings.unmarked), _any(is_positive, of)
        patient = breasts // 2
    if level == "breast":
        return UnitScores(level, scores, is_positive, patient)
    return UnitScores(
        level,
        _pooled(scores, patient, pool_breasts, ratings.unmarked),
        _any(is_positive, patient),
        np.arange(int(patient.max()) + 1),
    )


def _check_options(ratings: ImageRatings, level: str) -> None:
    if not ratings.records:
        raise UndefinedMetricError("there is no image to score.")
    if level not in UNIT_LEVELS:
        raise ValueError(f"level must be {', '.join(UNIT_LEVELS)}, got {level!r}.")
    for each in (ratings.over_views, ratings.over_breasts):
        if each not in get_args(Pool):
            raise ValueError(f"scores are pooled by max or mean, got {each!r}.")


def _check_laterality(records: Sequence[ImageRecord], level: str) -> None:
    unknown = [record.record_id for record in records if record.laterality is None]
    if unknown:
        named = ", ".join(unknown[:_NAMED]) + (", …" if len(unknown) > _NAMED else "")
        raise UndefinedMetricError(
            f"scores per {level} need to know the breast; without a laterality: "
            f"{counted(len(unknown), 'image')}, {named}. Name it in the manifest."
        )


def _pooled(
    scores: NDArray[np.float64], of: NDArray[np.int64], pool: Pool, unmarked: float
) -> NDArray[np.float64]:
    """Scores of members pooled by the number of their unit."""
    n_units = int(of.max()) + 1
    highest = np.full(n_units, -np.inf)
    np.maximum.at(highest, of, scores)
    if pool == "max":
        return highest
    # Below the highest, not from 0: equal scores then give exactly that score, and ties stay ties. Sorted, so
    # that the order of images changes no rounding.
    order = np.lexsort((scores, of))
    members = np.where(np.isneginf(scores), unmarked, scores)[order]
    is_marked = ~np.isneginf(highest)
    below = np.bincount(of[order], np.where(is_marked, highest, 0.0)[of[order]] - members, minlength=n_units)
    mean = highest - below / np.bincount(of, minlength=n_units)
    return np.asarray(np.where(is_marked, mean, -np.inf))


def _any(is_positive: NDArray[np.bool_], of: NDArray[np.int64]) -> NDArray[np.bool_]:
    return np.asarray(np.bincount(of[is_positive], minlength=int(of.max()) + 1) > 0)
