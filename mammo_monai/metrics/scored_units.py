"""One score per image, breast or patient from the boxes a detector marked, and whether it holds a lesion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mammo_monai.errors import UndefinedMetricError
from mammo_monai.metrics.pooling import PooledImages, patient_numbers
from mammo_monai.records import ImageRecord, Laterality

UnitLevel = Literal["image", "breast", "patient"]
Pool = Literal["max", "mean"]
UNIT_LEVELS: tuple[UnitLevel, ...] = get_args(UnitLevel)
_NAMED = 5  # ids spelled out in an error; the rest are counted


@dataclass(frozen=True, eq=False)
class UnitScores:
    """Scores of the units of one level, ready for a ROC curve.

    Attributes:
        scores: shape (N,); -infinity, below every score, where nothing was marked in any of its images.
        is_positive: whether any of its images holds a lesion of the scored label, shape (N,).
        patient: number of each unit's patient, shape (N,), from 0.
    """

    level: UnitLevel
    scores: NDArray[np.float64]
    is_positive: NDArray[np.bool_]
    patient: NDArray[np.int64]


def unit_scores(
    records: Sequence[ImageRecord],
    images: PooledImages,
    *,
    level: UnitLevel = "image",
    pool: Pool = "max",
    pool_breasts: Pool = "max",
) -> UnitScores:
    """Scores and truth of every image, breast or patient.

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
    _check_options(records, images, level, (pool, pool_breasts))
    scores = np.full(images.n_images, -np.inf)
    np.maximum.at(scores, images.image, images.scores)
    is_positive = np.bincount(images.lesion_image, minlength=images.n_images) > 0
    patient = patient_numbers(records)
    if level == "image":
        return UnitScores(level, scores, is_positive, patient)
    unmarked = float(images.scores.min(initial=0.0))
    if level == "breast" or "mean" in (pool, pool_breasts):
        sides = np.array([record.laterality is Laterality.RIGHT for record in records])
        _check_laterality(records, level)
        breasts, of = np.unique(2 * patient + sides, return_inverse=True)
        scores, is_positive = _pooled(scores, of, pool, unmarked), _any(is_positive, of)
        patient = breasts // 2
    if level == "breast":
        return UnitScores(level, scores, is_positive, patient)
    return UnitScores(
        level,
        _pooled(scores, patient, pool_breasts, unmarked),
        _any(is_positive, patient),
        np.arange(int(patient.max()) + 1),
    )


def _check_options(
    records: Sequence[ImageRecord], images: PooledImages, level: str, pools: Sequence[str]
) -> None:
    if len(records) != images.n_images:
        raise ValueError(f"expected one record per image, got {len(records)} for {images.n_images} images.")
    if not records:
        raise UndefinedMetricError("there is no image to score.")
    if level not in UNIT_LEVELS:
        raise ValueError(f"level must be {', '.join(UNIT_LEVELS)}, got {level!r}.")
    for each in pools:
        if each not in get_args(Pool):
            raise ValueError(f"scores are pooled by max or mean, got {each!r}.")


def _check_laterality(records: Sequence[ImageRecord], level: str) -> None:
    unknown = [record.record_id for record in records if record.laterality is None]
    if unknown:
        named = ", ".join(unknown[:_NAMED]) + (", …" if len(unknown) > _NAMED else "")
        raise UndefinedMetricError(
            f"scores per {level} need to know the breast, and {len(unknown)} images have no laterality: "
            f"{named}. Name it in the manifest."
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
