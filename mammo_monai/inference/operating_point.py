"""Shows what one operating point shows: boxes at or above its threshold, with their probabilities."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from mammo_monai.errors import BundleError, WeightsError
from mammo_monai.metrics.calibration import hit_probabilities
from mammo_monai.records import Detections
from mammo_monai.schema import OperatingPoint, OperatingPoints, read_operating_points

OPERATING_POINTS = "models/operating_points.json"
_FREE = {"execution"}  # speed and memory: may differ from what the points were chosen with


@dataclass(frozen=True)
class ShownAt:
    """One operating point of a file, ready to be applied to detections."""

    path: Path
    file: OperatingPoints
    point: OperatingPoint

    def __call__(self, detections: Detections) -> Detections:
        """The boxes of the points' class with at least the threshold; probabilities where calibrated.

        Boxes of other classes are left out: the point says nothing of their false positives.
        """
        is_shown = (detections.scores >= self.point.threshold) & (detections.labels == self.file.label)
        scores = detections.scores[is_shown]
        calibration = self.file.calibration
        return replace(
            detections,
            boxes=detections.boxes[is_shown],
            scores=scores,
            labels=detections.labels[is_shown],
            probabilities=None if calibration is None else hit_probabilities(calibration.curve, scores),
        )

    def describe(self) -> dict[str, object]:
        """What detections.json says of the point, and of the images it was chosen on."""
        rule = {name: self.file.rule.get(name) for name in ("min_iou", "label", "confidence")}
        chosen_on = {name: getattr(self.file, name) for name in ("n_images", "n_lesions", "n_patients")}
        point = {name: value for name, value in asdict(self.point).items() if value is not None}
        return {**point, **rule, "chosen_on": chosen_on}

    def check_model(self, weights_sha256: object) -> None:
        """Refuses weights that the points were not chosen for.

        Raises:
            WeightsError: other weights, or unknown ones.
        """
        found = weights_sha256 if isinstance(weights_sha256, str) else None
        if self.file.holds_for(found):
            return
        meant = self.file.for_weights_sha256
        expected = (
            f"the weights of SHA-256 {meant}"
            if meant
            else f"the weights behind its detections ({_named(self.file.weights_sha256)})"
        )
        raise WeightsError(
            f"{self.path}: the operating points are for {expected}, but loaded are "
            f"{found or 'weights without a known SHA-256'}: a threshold of one model says nothing of the "
            "scores of another. Predict with the bundle's own weights, leave --fppi out, or choose points "
            "for these weights with `mammo-monai calibrate`."
        )

    def check_inference(self, settings: Mapping[str, object]) -> None:
        """Refuses images shown to the detector in another way than where the points were chosen.

        Settings that only one side knows are not compared: other versions have others.

        Raises:
            BundleError: a setting differs.
        """
        if differing := differing_settings(self.file, settings):
            raise BundleError(
                f"{self.path}: the operating points were chosen with another inference: "
                f"{', '.join(differing)}. Scores differ between them. Take the settings back (--mode is "
                "one), or leave --fppi out."
            )


def shown_at(bundle: Path, fppi: float) -> ShownAt:
    """The operating point of a bundle for a number of false positives per image.

    Raises:
        BundleError: the bundle has no operating points, or none for this number; the message names those.
        ManifestError: its file is not what its format promises.
    """
    path = Path(bundle) / OPERATING_POINTS
    if not path.is_file():
        raise BundleError(
            f"{path}: no such file: the bundle has no operating points. Leave --fppi out, or choose some on "
            "validation images with `mammo-monai calibrate`."
        )
    file = read_operating_points(path)
    for point in file.points:
        if math.isclose(point.fppi, fppi, rel_tol=1e-9):
            return ShownAt(path, file, point)
    there = ", ".join(f"{each.fppi:g}" for each in file.points)
    raise BundleError(
        f"{path}: no operating point for {fppi:g} false positives per image; there are {there}. "
        "Ask for one of these."
    )


def differing_settings(chosen_with: OperatingPoints, settings: Mapping[str, object]) -> list[str]:
    """In words, the settings of an inference that are not those the points were chosen with.

    Settings that only one side knows are not compared: other versions have others. Engines and precisions
    count as the same but int8, whose scores are off by more than .1 here and there (docs/how-to/engines.md).
    """
    chosen = chosen_with.inference or {}
    is_int8, was_int8 = _is_int8(settings), _is_int8(chosen)
    of_integers = [f"precision {'int8' if is_int8 else 'of floating point'} instead of the other"]
    return (of_integers if chosen and is_int8 != was_int8 else []) + [
        f"{name} {settings[name]} instead of {chosen[name]}"
        for name in chosen
        if name in settings and name not in _FREE and _plain(settings[name]) != _plain(chosen[name])
    ]


def _is_int8(settings: Mapping[str, object]) -> bool:
    execution = settings.get("execution")
    return isinstance(execution, Mapping) and execution.get("precision") == "int8"


def _named(hashes: tuple[str | None, ...]) -> str:
    named = sorted({each or "unknown" for each in hashes})
    return ", ".join(named) if len(named) == 1 else f"{len(named)} models: {', '.join(named)}"


def _plain(value: object) -> str:
    """Equal for what is equal in JSON: tuples and lists, numbers."""
    return json.dumps(value, sort_keys=True, default=str)
