"""The free-response ROC curve: lesion sensitivity against false positives per image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mammo_monai.errors import UndefinedMetricError
from mammo_monai.metrics.matching import Matches
from mammo_monai.words import counted

# Doubling steps between .25 and 4, as the CAMELYON16 score (1/4, 1/2, 1, 2, 4, 8) without its last.
MEAN_FPPI = (0.25, 0.5, 1.0, 2.0, 4.0)


@dataclass(frozen=True, eq=False)
class FrocCurve:
    """A FROC curve as measured: one point per distinct score, never fewer false positives nor fewer hits.

    Attributes:
        fppi: false positives per image, shape (K,), ascending, from 0.
        sensitivity: per lesion, in [0, 1], shape (K,), ascending, from 0; all NaN when there was no lesion.
        score: every detection of at least this score is counted, shape (K,), descending from infinity;
            NaN when not given. Lists are taken as well and kept as float64 arrays.

    Raises:
        ValueError: the arrays differ in length, are empty, or do not ascend.
    """

    fppi: NDArray[np.float64]
    sensitivity: NDArray[np.float64]
    score: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        """Makes float64 arrays of all three, and refuses what no curve can be."""
        fppi, sensitivity = np.array(self.fppi, dtype=float), np.array(self.sensitivity, dtype=float)
        score = np.array(self.score, dtype=float) if len(self.score) else np.full(fppi.shape, np.nan)
        if fppi.ndim != 1 or not len(fppi) or not fppi.shape == sensitivity.shape == score.shape:
            raise ValueError(
                "fppi, sensitivity and score must be lists of equal length, at least one point; "
                f"got shapes {fppi.shape}, {sensitivity.shape} and {score.shape}."
            )
        if not (np.diff(fppi) >= 0).all() or (np.diff(sensitivity) < 0).any():
            raise ValueError("fppi and sensitivity of a FROC curve must not fall from one point to the next.")
        for name, values in (("fppi", fppi), ("sensitivity", sensitivity), ("score", score)):
            object.__setattr__(self, name, values)

    @property
    def points(self) -> NDArray[np.float64]:
        """Columns FPPI, sensitivity and score, shape (K, 3)."""
        return np.stack([self.fppi, self.sensitivity, self.score], axis=1)

    @property
    def is_defined(self) -> bool:
        """Whether there was a lesion to find."""
        return not bool(np.isnan(self.sensitivity).any())

    def corners(self) -> FrocCurve:
        """The same steps with only the points where sensitivity rises, and the last: at most M + 2 points."""
        points = self.points
        rises = np.diff(points[:, 1], prepend=-1.0) > 0
        rises[[0, -1]] = True
        return FrocCurve(*points[rises].T)


def froc_curve(matches: Matches, *, count_double_hits: bool = False) -> FrocCurve:
    """The FROC curve of matched detections.

    False positives are per image over all images, normal ones included, or over those the matches count them
    on. Starts at (0, 0); equal scores enter together. Without any lesion the sensitivities are NaN.

    Raises:
        UndefinedMetricError: there is not a single image, or none whose false positives count.

    Source: Bunch et al., 1977; counting as protocol §5.

    >>> from mammo_monai.metrics.matching import match_detections
    >>> from mammo_monai.records import Detections, Lesion
    >>> found = Detections("a", np.array([[0.0, 0, 10, 10], [40, 0, 50, 10]]),
    ...     scores=np.array([0.6, 0.9]), labels=np.zeros(2, dtype=np.int64))
    >>> froc_curve(match_detections(found, [Lesion(box=(0.0, 0.0, 10.0, 10.0))])).points.tolist()
    [[0.0, 0.0, inf], [1.0, 0.0, 0.9], [1.0, 1.0, 0.6]]
    """
    if not matches.n_images:
        raise UndefinedMetricError("a FROC curve needs at least one image, got none.")
    n_counted = int(matches.is_counted.sum())
    if not n_counted:
        raise UndefinedMetricError(
            "false positives per image are undefined: they count on none of "
            f"{counted(matches.n_images, 'image')}. Count them on all."
        )
    is_false = matches.is_false_positive(count_double_hits=count_double_hits)
    scores, hits, false_positives = cumulative_counts(matches, is_false)
    n_lesions = matches.n_lesions or np.nan
    return FrocCurve(
        fppi=np.concatenate([[0.0], false_positives / n_counted]),
        sensitivity=np.concatenate([[0.0], hits]) / n_lesions,
        score=np.concatenate([[np.inf], scores]),
    )


def cumulative_counts(
    matches: Matches, is_false: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Distinct scores, descending, and the hits and false positives of at least each, shape (K,) each."""
    is_hit = matches.is_hit
    rows = np.flatnonzero(is_hit | is_false)
    rows = rows[np.argsort(-matches.scores[rows], kind="stable")]
    scores = matches.scores[rows]
    is_last = np.append(scores[1:] != scores[:-1], True)[: len(scores)]
    hits, false_positives = np.cumsum(is_hit[rows]), np.cumsum(is_false[rows])
    return scores[is_last], hits[is_last], false_positives[is_last]


def sensitivity_at_fppi(curve: FrocCurve, fppi: float) -> float:
    """Lesion sensitivity at a mean number of false positives per image.

    Steps, does not interpolate: the highest value measured at or below `fppi`.

    Raises:
        UndefinedMetricError: the curve was made without any lesion.
        ValueError: `fppi` is below the curve's first.

    Source: Bunch et al., 1977 (FROC); protocol §5.

    >>> sensitivity_at_fppi(FrocCurve(fppi=[0.0, 1.0], sensitivity=[0.5, 0.8]), 0.5)
    0.5
    """
    if not curve.is_defined:
        raise UndefinedMetricError("sensitivity is undefined: the images hold no lesion of the scored label.")
    return float(curve.sensitivity[_last_at(curve, fppi)])


def score_at_fppi(curve: FrocCurve, fppi: float) -> float:
    """Lowest score that may be shown with at most `fppi` false positives per image; infinity if none may.

    Defined without lesions too: false positives alone decide.

    Raises:
        ValueError: `fppi` is below the curve's first.

    >>> score_at_fppi(FrocCurve(fppi=[0.0, 1.0], sensitivity=[0.0, 0.8], score=[float("inf"), 0.7]), 2.0)
    0.7
    """
    return float(curve.score[_last_at(curve, fppi)])


def mean_sensitivity(curve: FrocCurve, fppi: Sequence[float] = MEAN_FPPI) -> float:
    """Mean of the sensitivities at the given operating points, .25 .5 1 2 4 by default.

    Raises:
        UndefinedMetricError, ValueError: see `sensitivity_at_fppi`.

    Source: Ehteshami Bejnordi et al., 2017 (CAMELYON16), without its last point, 8.

    >>> mean_sensitivity(FrocCurve(fppi=[0.0, 1.0], sensitivity=[0.5, 1.0]), [0.5, 2.0])
    0.75
    """
    return float(np.mean([sensitivity_at_fppi(curve, each) for each in fppi]))


def _last_at(curve: FrocCurve, fppi: float) -> int:
    """Row of the last point at or below `fppi`."""
    row = int(np.searchsorted(curve.fppi, fppi, side="right")) - 1
    if not row >= 0:
        raise ValueError(f"fppi must be at least the curve's first, {curve.fppi[0]:g}, got {fppi}.")
    return row
