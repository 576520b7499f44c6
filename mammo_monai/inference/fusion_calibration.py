"""What makes scores of different models comparable before they are fused: each model's own calibration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mammo_monai.errors import ManifestError, WeightsError
from mammo_monai.files import sha256_of
from mammo_monai.inference.operating_point import differing_settings
from mammo_monai.metrics.calibration import hit_probabilities
from mammo_monai.records import Detections
from mammo_monai.schema import (
    Calibration,
    IsotonicCurve,
    OperatingPoints,
    read_operating_points,
)


@dataclass(frozen=True)
class MemberCalibration:
    """From the scores of one model to the probability that a box hits a lesion.

    Attributes:
        label: the one class that it speaks of.
        source: where it comes from, for detections.json: hashes and numbers, no path.
    """

    calibration: Calibration
    label: int
    source: dict[str, Any] = field(default_factory=dict)

    def __call__(self, detections: Detections) -> NDArray[np.float64]:
        """The probability of each box, shape (N,).

        Below the lowest score that an isotonic curve was fitted on it is flat: all those boxes would be worth
        as much as the best of them. There the probability falls with the score, to 0 at 0.

        Raises:
            ValueError: a score outside [0, 1].
        """
        curve = self.calibration.curve
        found = hit_probabilities(curve, detections.scores)
        if isinstance(curve, IsotonicCurve) and curve.scores[0] > 0:
            return np.asarray(found * np.minimum(detections.scores / curve.scores[0], 1.0))
        return found

    def describe(self) -> dict[str, Any]:
        """What detections.json says of it."""
        curve = asdict(self.calibration.curve)
        shown = {} if isinstance(self.calibration.curve, IsotonicCurve) else curve
        fitted = {"method": self.calibration.method, **shown, "min_score": self.calibration.min_score}
        return {**fitted, "label": self.label, **self.source}


def points_calibration(points: OperatingPoints, source: dict[str, Any]) -> MemberCalibration:
    """The calibration that operating points hold.

    Raises:
        ManifestError: they hold none.
    """
    if points.calibration is None:
        raise ManifestError(
            "the operating points hold no calibration. Make them with `mammo-monai calibrate`."
        )
    counts = {name: getattr(points, name) for name in ("n_images", "n_lesions", "n_patients")}
    return MemberCalibration(points.calibration, points.label, {**source, "learned_on": counts})


def calibration_for(path: Path, model: Mapping[str, Any], *, detections: Path) -> MemberCalibration:
    """The calibration of an operating_points.json for the model behind detections.

    Args:
        path: of the operating points. model: what the detections say of it. detections: their path, for
            messages.

    Raises:
        WeightsError: the points are for other weights, or the detections do not say which made them.
        ManifestError: no calibration there, or images were shown to the model in another way.
    """
    points = read_operating_points(path)
    weights = model.get("weights_sha256")
    if not points.holds_for(weights if isinstance(weights, str) else None):
        raise WeightsError(
            f"{path}: its calibration is for other weights than those behind {detections} "
            f"({str(weights)[:16] if weights else 'weights without a known SHA-256'}…): the scores of one "
            "model say nothing of another's. Calibrate these weights with `mammo-monai calibrate`."
        )
    told = model.get("inference")
    told = told if isinstance(told, dict) else {}
    if differing := differing_settings(points, told):
        raise ManifestError(
            f"{path}: it was calibrated with another inference than that of {detections}: "
            f"{', '.join(differing)}. Scores differ between them. Predict as it was calibrated, or calibrate "
            "these detections with `mammo-monai calibrate`."
        )
    try:
        return points_calibration(points, {"operating_points_sha256": sha256_of(path)})
    except ManifestError as error:
        raise ManifestError(f"{path}: {error}") from error
