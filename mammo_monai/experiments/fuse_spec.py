"""A run that fuses others: which, by which rule, and whether their scores are calibrated first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mammo_monai.experiments.field_checks import ExperimentError, Json, read_flag, reject_unknown
from mammo_monai.inference import FusionRule

_FIELDS = {"runs", "method", "min_iou", "weights", "calibrated"}


@dataclass(frozen=True)
class FuseSpec:
    """What `fuse` of a run says.

    Attributes:
        runs: names of the members, in the order of the rule's weights.
        is_calibrated: whether each member's scores become probabilities, learned on the validation list of
            the fold, before they are fused.
    """

    runs: tuple[str, ...]
    rule: FusionRule
    is_calibrated: bool = True

    def describe(self) -> dict[str, Any]:
        """Plain JSON that decides the result."""
        rule = {"method": self.rule.method, "min_iou": self.rule.overlap, "weights": list(self.rule.weights)}
        return {"runs": list(self.runs), **rule, "calibrated": self.is_calibrated}


def fuse_spec(where: str, value: object) -> FuseSpec:
    """The ensemble that a run's `fuse` describes.

    Raises:
        ExperimentError: no object, an unknown or wrong field, fewer than two runs or one of them twice.
    """
    where = f"{where}, fuse"
    if not isinstance(value, Mapping):
        raise ExperimentError(f"{where}: expected an object with runs and method, got {value!r:.80}.")
    reject_unknown(where, value, _FIELDS)
    runs = value.get("runs")
    if not isinstance(runs, list) or not all(isinstance(each, str) and each for each in runs):
        raise ExperimentError(f"{where}: runs must be a list of names of runs, got {runs!r:.80}.")
    if len(set(runs)) < len(runs):
        raise ExperimentError(
            f"{where}: a run is named twice among {', '.join(runs)}; give it a weight of 2."
        )
    try:
        rule = FusionRule(value.get("method", "wbf"), value.get("min_iou"), _weights(where, value))
        rule.check_models(len(runs))
    except (ValueError, TypeError) as error:
        raise ExperimentError(f"{where}: {error}") from error
    return FuseSpec(tuple(runs), rule, read_flag(where, value, "calibrated", True))


def _weights(where: str, item: Json) -> tuple[float, ...]:
    weights = item.get("weights", [])
    if not isinstance(weights, list) or not all(
        isinstance(each, int | float) and not isinstance(each, bool) for each in weights
    ):
        raise ExperimentError(f"{where}: weights must be a list of numbers, got {weights!r:.80}.")
    return tuple(float(each) for each in weights)
