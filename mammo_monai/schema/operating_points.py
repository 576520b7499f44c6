"""operating_points.json: thresholds for a number of false positives per image, and what a score is worth."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from mammo_monai.errors import ManifestError
from mammo_monai.files import write_json_atomic
from mammo_monai.records import MASS_LABEL
from mammo_monai.schema.fields import (
    Json,
    class_index,
    count_of_at_least_1,
    finite_number,
    list_,
    list_of_finite_numbers,
    list_of_numbers_from_0_to_1,
    load_json,
    mapping,
    number_from_0_to_1,
    read_field,
    sha256,
)

OPERATING_POINTS_SCHEMA = "mammo-monai/operating-points/1"
CalibrationMethod = Literal["platt", "isotonic", "temperature"]


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold, and what it gave on the images it was chosen on.

    Attributes:
        fppi: false positives per image that were aimed at. threshold: boxes of at least this score are shown.
        sensitivity: per lesion, in [0, 1]. low, high: its confidence interval.
        fppi_reached: false positives per image of all detections together, where they are fewer than aimed
            at: the threshold is then the lowest score, and a lower one shows nothing more. None otherwise.
    """

    fppi: float
    threshold: float
    sensitivity: float
    low: float
    high: float
    fppi_reached: float | None = None


@dataclass(frozen=True)
class ReliabilityBin:
    """Detections whose probability lies in `[low, high)`, the last bin with its end.

    Attributes:
        mean_score: mean of their calibrated probabilities. hit_rate: share that hit a lesion.
        n: how many there are, at least 1.
    """

    low: float
    high: float
    mean_score: float
    hit_rate: float
    n: int


@dataclass(frozen=True)
class PlattCurve:
    """Probability = 1 / (1 + exp(−(slope · logit(score) + intercept)))."""

    slope: float
    intercept: float


@dataclass(frozen=True)
class TemperatureCurve:
    """Probability = 1 / (1 + exp(−logit(score) / temperature)); above 1 it draws scores towards one half."""

    temperature: float


@dataclass(frozen=True)
class IsotonicCurve:
    """Probability between ascending `scores`, interpolated; constant beyond them. It never falls."""

    scores: tuple[float, ...]
    probabilities: tuple[float, ...]


Curve = PlattCurve | TemperatureCurve | IsotonicCurve


@dataclass(frozen=True)
class Calibration:
    """The share of detections of a score that hit a lesion, and how well that holds.

    Attributes:
        brier: mean squared distance of probability and truth. expected_error: mean distance of probability
            and hit rate over the bins, weighted by n. Both, and the bins, on patients not fitted on.
        min_score: only detections of at least this score were fitted and judged; below, nothing is claimed.
    """

    curve: Curve
    brier: float
    expected_error: float
    bins: tuple[ReliabilityBin, ...]
    min_score: float = 0.0

    @property
    def method(self) -> CalibrationMethod:
        """The word for the curve in the file."""
        return METHOD_OF[type(self.curve)]


METHOD_OF: Mapping[type[Curve], CalibrationMethod] = {
    PlattCurve: "platt",
    TemperatureCurve: "temperature",
    IsotonicCurve: "isotonic",
}


@dataclass(frozen=True)
class OperatingPoints:
    """Operating points of a model, what they were chosen on, and which weights they hold for.

    Attributes:
        points: ascending by fppi, at least one; thresholds never rise.
        rule: as `metrics.rule.FrocRule.describe` states it.
        n_images, n_lesions, n_patients: that the points were chosen on.
        weights_sha256: of the model behind each detections file, None where a file does not say.
        for_weights_sha256: of the weights that are shipped with the points, None before that.
        inference: how images were shown to the detector, as `model.inference` of all detections files states
            it; None where they do not say or differ.
    """

    points: tuple[OperatingPoint, ...]
    calibration: Calibration | None
    rule: Mapping[str, Any]
    n_images: int
    n_lesions: int
    n_patients: int
    manifest_sha256: str
    weights_sha256: tuple[str | None, ...]
    for_weights_sha256: str | None = None
    inference: Mapping[str, Any] | None = None

    @property
    def label(self) -> int:
        """The class that the points are for."""
        return int(self.rule.get("label", MASS_LABEL))

    def holds_for(self, weights_sha256: str | None) -> bool:
        """Whether the points are for these weights.

        That is the file they are shipped with; before shipping, the one file that made all detections.
        """
        if self.for_weights_sha256 is not None:
            return self.for_weights_sha256 == weights_sha256
        return weights_sha256 is not None and set(self.weights_sha256) == {weights_sha256}


def read_operating_points(path: Path) -> OperatingPoints:
    """The operating points at `path`.

    Raises:
        ManifestError: not JSON, another schema, a missing or wrong field, or points or bins that cannot be:
            none, in no order, an interval or a bin that is reversed.
    """
    path = Path(path)
    content = load_json(path, OPERATING_POINTS_SCHEMA)
    where = str(path)
    rule = read_field(where, content, "rule", mapping)
    read_field(f"{where}, rule", rule, "label", class_index, MASS_LABEL)
    calibration = read_field(where, content, "calibration", mapping, None)
    return OperatingPoints(
        points=_points(where, content),
        calibration=None if calibration is None else _calibration(f"{where}, calibration", calibration),
        rule=rule,
        n_images=read_field(where, content, "n_images", count_of_at_least_1),
        n_lesions=read_field(where, content, "n_lesions", count_of_at_least_1),
        n_patients=read_field(where, content, "n_patients", count_of_at_least_1),
        manifest_sha256=read_field(where, content, "manifest_sha256", sha256),
        weights_sha256=tuple(read_field(where, content, "weights_sha256", _list_of_hashes)),
        for_weights_sha256=read_field(where, content, "for_weights_sha256", sha256, None),
        inference=read_field(where, content, "inference", mapping, None),
    )


def write_operating_points(path: Path, points: OperatingPoints) -> None:
    """Writes operating points under their schema name; what is not known of them is null or left out."""
    content = asdict(points)
    for point in content["points"]:
        if point["fppi_reached"] is None:
            del point["fppi_reached"]
    if points.calibration is not None:
        curve = content["calibration"].pop("curve")
        content["calibration"] = {"method": points.calibration.method, **curve, **content["calibration"]}
    write_json_atomic(Path(path), {"schema": OPERATING_POINTS_SCHEMA, **content})


def _points(where: str, content: Json) -> tuple[OperatingPoint, ...]:
    points = tuple(_point(at, item) for at, item in _objects(where, content, "points"))
    fppi, thresholds = [each.fppi for each in points], [each.threshold for each in points]
    _require(bool(points), where, "points must be a list of at least one, got none")
    _require(
        fppi == sorted(set(fppi)) and fppi[0] > 0, where, f"fppi must be positive and ascending, got {fppi}"
    )
    _require(
        thresholds == sorted(thresholds, reverse=True),
        where,
        f"thresholds must not rise from one point to the next, got {thresholds}",
    )
    return points


def _point(where: str, item: Json) -> OperatingPoint:
    point = OperatingPoint(
        fppi=read_field(where, item, "fppi", finite_number),
        threshold=read_field(where, item, "threshold", finite_number),
        sensitivity=read_field(where, item, "sensitivity", number_from_0_to_1),
        low=read_field(where, item, "low", number_from_0_to_1),
        high=read_field(where, item, "high", number_from_0_to_1),
        fppi_reached=read_field(where, item, "fppi_reached", finite_number, None),
    )
    _require(
        point.low <= point.high, where, f"low must be at most high, got {point.low:g} and {point.high:g}"
    )
    return point


def _calibration(where: str, item: Json) -> Calibration:
    bins = tuple(_bin(at, each) for at, each in _objects(where, item, "bins"))
    _require(
        all(one.high <= other.low for one, other in itertools.pairwise(bins)),
        where,
        "bins must be ascending and apart",
    )
    return Calibration(
        curve=_curve(where, item),
        brier=read_field(where, item, "brier", number_from_0_to_1),
        expected_error=read_field(where, item, "expected_error", number_from_0_to_1),
        bins=bins,
        min_score=read_field(where, item, "min_score", finite_number, 0.0),
    )


def _curve(where: str, item: Json) -> Curve:
    method = item.get("method")
    if method == "platt":
        return PlattCurve(
            slope=read_field(where, item, "slope", finite_number),
            intercept=read_field(where, item, "intercept", finite_number),
        )
    if method == "temperature":
        temperature = read_field(where, item, "temperature", finite_number)
        _require(temperature > 0, where, f"temperature must be above 0, got {temperature:g}")
        return TemperatureCurve(temperature)
    _require(method == "isotonic", where, f"method must be {', '.join(METHOD_OF.values())}, got {method!r}")
    scores = read_field(where, item, "scores", list_of_finite_numbers)
    probabilities = read_field(where, item, "probabilities", list_of_numbers_from_0_to_1)
    _require(
        bool(scores) and scores == sorted(set(scores)) and probabilities == sorted(probabilities),
        where,
        "scores must ascend, probabilities must not fall, and neither may be empty",
    )
    _require(
        len(scores) == len(probabilities),
        where,
        f"expected one probability per score, got {len(probabilities)} for {len(scores)}",
    )
    return IsotonicCurve(tuple(scores), tuple(probabilities))


def _bin(where: str, item: Json) -> ReliabilityBin:
    found = ReliabilityBin(
        low=read_field(where, item, "low", number_from_0_to_1),
        high=read_field(where, item, "high", number_from_0_to_1),
        mean_score=read_field(where, item, "mean_score", number_from_0_to_1),
        hit_rate=read_field(where, item, "hit_rate", number_from_0_to_1),
        n=read_field(where, item, "n", count_of_at_least_1),
    )
    _require(found.low < found.high, where, f"low must be below high, got {found.low:g} and {found.high:g}")
    return found


def _objects(where: str, content: Json, name: str) -> list[tuple[str, Json]]:
    """The objects of a list, each with its place for messages."""
    found = []
    for row, each in enumerate(read_field(where, content, name, list_)):
        at = f"{where}, {name} row {row}"
        _require(isinstance(each, dict), at, f"expected an object, got {type(each).__name__}")
        found.append((at, each))
    return found


def _list_of_hashes(value: Any) -> list[str | None]:
    """A list of SHA-256 hashes or nulls, at least one."""
    return [None if each is None else sha256(each) for each in list_(value) or [""]]


def _require(is_met: bool, where: str, fault: str) -> None:
    if not is_met:
        raise ManifestError(f"{where}: {fault}. Mend the file or make it again with `mammo-monai calibrate`.")
