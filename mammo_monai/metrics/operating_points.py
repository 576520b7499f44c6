"""Operating points: the thresholds that show at most so many false positives per image."""

from __future__ import annotations

import logging

import numpy as np
from numpy.typing import NDArray

from mammo_monai.errors import UndefinedMetricError
from mammo_monai.metrics.bootstrap import sensitivity_intervals
from mammo_monai.metrics.froc import FrocCurve, froc_curve
from mammo_monai.metrics.matching import Matches
from mammo_monai.metrics.rule import FrocRule
from mammo_monai.schema import OperatingPoint
from mammo_monai.words import counted

logger = logging.getLogger(__name__)

CALIBRATED_FPPI = (0.25, 0.5, 1.0, 2.0)


def choose_points(matches: Matches, patient: NDArray[np.int64], rule: FrocRule) -> tuple[OperatingPoint, ...]:
    """A threshold for each number of false positives per image of the rule, ascending.

    Each is the lowest that the target allows: halfway between the highest score that may not be shown and
    the next above it. Where all detections together stay at or below the target, it is the lowest score.

    False positives per image are those of the matches: on the images where the rule counts them, while the
    threshold holds on all.

    Choose them on validation images: on those a model was trained on it marks fewer wrong places, and the
    thresholds come out too low. The sensitivity is that of the FROC curve, measured on the same images; its
    interval chooses the threshold anew in every resample, so it holds the choice's own uncertainty.

    A point that no threshold reaches, because already the detections of the highest score hold more false
    positives, is left out with a warning.

    Args:
        patient: number of each image's patient, shape (n_images,), from 0.

    Raises:
        UndefinedMetricError: there is no image, lesion or detection, none that is a hit or counts as a false
            positive, or not a single point can be reached.
    """
    if not matches.n_lesions:
        raise UndefinedMetricError(
            f"operating points are undefined: {counted(matches.n_images, 'image')} without a lesion of label "
            f"{rule.label}. Choose them on images with annotated lesions."
        )
    curve = froc_curve(matches, count_double_hits=rule.count_double_hits)
    if len(curve.fppi) == 1:
        raise UndefinedMetricError(_why_no_score(matches, rule))
    intervals = sensitivity_intervals(matches, patient, rule)
    points = []
    for fppi, interval in zip(rule.fppi, intervals, strict=True):
        row = _last_row_at(curve, fppi)
        if not row:
            _warn_unreached(curve, fppi)
            continue
        is_last = row == len(curve.fppi) - 1
        points.append(
            OperatingPoint(
                fppi=fppi,
                threshold=_threshold_above(matches.scores, -np.inf if is_last else curve.score[row + 1]),
                sensitivity=float(curve.sensitivity[row]),
                low=interval.low,
                high=interval.high,
                fppi_reached=float(curve.fppi[-1]) if is_last and curve.fppi[-1] < fppi else None,
            )
        )
    if not points:
        raise UndefinedMetricError(
            f"no threshold gives {rule.fppi[-1]:g} false positives per image or fewer: the detections of the "
            f"highest score, {curve.score[1]:g}, hold {curve.fppi[1]:g}. Scores must tell detections apart."
        )
    return tuple(points)


def threshold_between(higher: float, lower: float) -> float:
    """Halfway between two neighbouring scores; `higher` itself where no number lies between.

    At or above it stands everything of at least `higher`, and nothing of `lower`.

    >>> threshold_between(0.75, 0.25), threshold_between(5e-324, 0.0)
    (0.5, 5e-324)
    """
    middle = higher / 2 + lower / 2  # halved first: the sum of two large scores is infinite
    return middle if lower < middle <= higher else higher


def _threshold_above(scores: NDArray[np.float64], too_low: float) -> float:
    """The threshold that shows every score above one that is too low; the lowest of all above -infinity."""
    lowest = float(scores[scores > too_low].min())
    return threshold_between(lowest, float(too_low)) if np.isfinite(too_low) else lowest


def _last_row_at(curve: FrocCurve, fppi: float) -> int:
    """Row of the last point at or below `fppi`; 0 is the start, where nothing is shown."""
    return int(np.searchsorted(curve.fppi, fppi, side="right")) - 1


def _why_no_score(matches: Matches, rule: FrocRule) -> str:
    if not len(matches.scores):
        return (
            f"operating points are undefined: there is no detection of label {rule.label} on "
            f"{counted(matches.n_images, 'image')}, so there is no score to choose from."
        )
    return (
        f"operating points are undefined: none of {counted(len(matches.scores), 'detection')} hits a "
        f"lesion, or is a false positive where false_positives_on {rule.false_positives_on} counts them. "
        "Count them on all."
    )


def _warn_unreached(curve: FrocCurve, fppi: float) -> None:
    logger.warning(
        "no threshold gives %g false positives per image: the detections of the highest score, %g, hold %g. "
        "The point is left out; more images, or scores that differ more, would give it.",
        fppi,
        curve.score[1],
        curve.fppi[1],
    )
