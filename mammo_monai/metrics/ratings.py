"""The share of pairs in which a positive is rated above a negative: the area under ROC and AFROC curves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from mammo_monai.errors import UndefinedMetricError


@dataclass(frozen=True, eq=False)
class Ratings:
    """Ratings of positives and of negatives, each of a patient: all that an area under a curve needs.

    The area under a ROC curve is that of the scores of units with and without a lesion; JAFROC's figure of
    merit is that of lesions and of the highest false positives of images.

    Attributes:
        positive, negative: ratings, shape (P,) and (N,); -infinity is one, below all others.
        positive_patient, negative_patient: number of the patient of each, from 0.
        n_patients: patients in all, those with neither included.
        weight: what each positive counts, shape (P,), above 0; 1 each where not given.

    Raises:
        ValueError: lengths differ, a rating is NaN, a weight is not above 0, or a patient is out of range.
        UndefinedMetricError: there is no positive or no negative.
    """

    positive: NDArray[np.float64]
    negative: NDArray[np.float64]
    positive_patient: NDArray[np.int64]
    negative_patient: NDArray[np.int64]
    n_patients: int
    weight: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        """Refuses what has no area."""
        patient = np.concatenate([self.positive_patient, self.negative_patient])
        if len(self.positive) != len(self.positive_patient) or len(self.negative) != len(
            self.negative_patient
        ):
            raise ValueError(
                f"expected one patient per rating, got {len(self.positive)} positives of "
                f"{len(self.positive_patient)} and {len(self.negative)} negatives of "
                f"{len(self.negative_patient)} patients."
            )
        if np.isnan(self.positive).any() or np.isnan(self.negative).any():
            raise ValueError("a rating must be a number, got NaN. A unit without one is rated -infinity.")
        if len(patient) and not (patient.min() >= 0 and patient.max() < self.n_patients):
            raise ValueError(f"patients must be numbered from 0 to {self.n_patients - 1}.")
        if self.weight is not None and (
            len(self.weight) != len(self.positive) or not (self.weight > 0).all()
        ):
            raise ValueError("expected one weight above 0 per positive.")
        if not len(self.positive) or not len(self.negative):
            raise UndefinedMetricError(
                f"an area is undefined: it needs positives and negatives, got {len(self.positive)} and "
                f"{len(self.negative)}."
            )

    @property
    def is_separated(self) -> bool:
        """Whether every positive is rated above every negative, or every one below: the area is 1 or 0."""
        return bool(self.positive.min() > self.negative.max() or self.positive.max() < self.negative.min())

    @property
    def n_disjoint_pairs(self) -> int:
        """Most pairs of a patient with a positive and another with a negative, each patient used once."""
        has_positive = np.bincount(self.positive_patient, minlength=self.n_patients) > 0
        has_negative = np.bincount(self.negative_patient, minlength=self.n_patients) > 0
        n_either = int((has_positive | has_negative).sum())
        return min(int(has_positive.sum()), int(has_negative.sum()), n_either // 2)


def rank_area(ratings: Ratings) -> float:
    """Weighted share of the pairs whose positive is rated above the negative; equal ratings count one half.

    Source: Mann & Whitney, 1947; that it is the area under the empirical curve: Bamber, 1975.

    >>> of = np.zeros(2, dtype=np.int64)
    >>> rank_area(Ratings(np.array([0.9, 0.4]), np.array([0.4, 0.1]), of, of, n_patients=1))
    0.875
    """
    return float(resampled_areas(ratings, np.ones((1, ratings.n_patients), dtype=np.int64))[0])


def resampled_areas(ratings: Ratings, weights: NDArray[np.int64]) -> NDArray[np.float64]:
    """The area when patient p counts `weights[b, p]` times, shape (B,); NaN where either kind is left out."""
    split = len(ratings.positive)
    distinct, level = np.unique(np.concatenate([ratings.positive, ratings.negative]), return_inverse=True)
    positives = _per_level(_weights(ratings), ratings.positive_patient, level[:split], weights, len(distinct))
    ones = np.ones(len(ratings.negative))
    negatives = _per_level(ones, ratings.negative_patient, level[split:], weights, len(distinct))
    beaten = np.cumsum(negatives, axis=0) - negatives / 2
    with np.errstate(invalid="ignore"):
        return np.asarray((positives * beaten).sum(axis=0) / (positives.sum(axis=0) * negatives.sum(axis=0)))


def check_same_cases(first: Ratings, second: Ratings) -> None:
    """Refuses two that do not rate the same cases of the same patients.

    Raises:
        ValueError: they differ.
    """
    is_pair = (
        first.n_patients == second.n_patients
        and np.array_equal(first.positive_patient, second.positive_patient)
        and np.array_equal(first.negative_patient, second.negative_patient)
        and np.array_equal(_weights(first), _weights(second))
    )
    if not is_pair:
        raise ValueError(
            "both detectors must rate the same cases of the same patients: got "
            f"{len(first.positive)} positives and {len(first.negative)} negatives, and "
            f"{len(second.positive)} and {len(second.negative)}."
        )


def _weights(ratings: Ratings) -> NDArray[np.float64]:
    return np.ones(len(ratings.positive)) if ratings.weight is None else ratings.weight


def _per_level(
    values: NDArray[np.float64],
    patient: NDArray[np.int64],
    level: NDArray[np.int64],
    weights: NDArray[np.int64],
    n_levels: int,
) -> NDArray[np.float64]:
    """Sum of `values` on each level with patient p counted `weights[b, p]` times, shape (levels, B)."""
    table = sparse.csr_matrix((values, (level, patient)), shape=(n_levels, weights.shape[1]))
    return np.asarray(table @ weights.T)
