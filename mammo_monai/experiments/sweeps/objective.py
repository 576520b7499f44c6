"""What a sweep makes large: one figure of a run's metrics.json, measured on validation images."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from mammo_monai.experiments.field_checks import ExperimentError, reject_unknown
from mammo_monai.metrics import FrocRule
from mammo_monai.reports import Run

Metric = Literal["mean_sensitivity", "sensitivity", "auc"]
METRICS: tuple[Metric, ...] = get_args(Metric)
LEVELS = ("image", "breast", "patient")
DIRECTIONS = ("maximize", "minimize")
_FIELDS = {"metric", "fppi", "level", "split", "direction"}


@dataclass(frozen=True)
class Objective:
    """A figure of metrics.json, averaged over the folds that define it.

    Attributes:
        metric: "mean_sensitivity" over .25–4 FPPI, "sensitivity" at `fppi`, or "auc" per `level`.
        is_maximised: whether more is better.
    """

    metric: Metric = "mean_sensitivity"
    fppi: float | None = None
    level: str = "image"
    is_maximised: bool = True

    @property
    def text(self) -> str:
        """The figure in words.

        >>> Objective("sensitivity", 0.5).text
        'sensitivity at 0.5 FPPI'
        """
        if self.metric == "auc":
            return f"AUC per {self.level}"
        return (
            f"sensitivity at {self.fppi:g} FPPI" if self.fppi is not None else "mean sensitivity, .25–4 FPPI"
        )

    def value(self, folds: Sequence[Mapping[str, Any]]) -> float:
        """The mean over folds of the figure in each one's metrics.json.

        Raises:
            ExperimentError: no fold defines it, as without a lesion.
        """
        found = [each for each in map(self._of, folds) if each is not None and math.isfinite(each)]
        if not found:
            raise ExperimentError(
                f"{self.text} is undefined: no lesion, or only one class, in any scored list."
            )
        return statistics.mean(found)

    def _of(self, metrics: Mapping[str, Any]) -> float | None:
        if self.metric == "mean_sensitivity":
            value: float | None = metrics["mean_sensitivity"]["value"]
            return value
        if self.metric == "auc":
            entries = metrics.get("roc") or ()
            return next((each["auc"] for each in entries if each["level"] == self.level), None)
        point = Run("trial", dict(metrics)).point_at(float(self.fppi or 0.0))
        return None if point is None else point["sensitivity"]


def objective_of(where: str, value: object, rule: FrocRule) -> Objective:
    """The objective of a sweep's section.

    Args:
        rule: of the experiment; a sensitivity is asked for at one of its FPPI.

    Raises:
        ExperimentError: an unknown metric, a figure that the rule does not measure, or the test list.
    """
    item = {} if value is None else value
    if not isinstance(item, dict):
        raise ExperimentError(f"{where}: objective must be an object with metric, got {value!r:.80}.")
    reject_unknown(where, item, _FIELDS)
    _check_split(where, item.get("split", "validation"))
    metric = item.get("metric", "mean_sensitivity")
    if metric not in METRICS:
        raise ExperimentError(f"{where}: metric must be {', '.join(METRICS)}, got {metric!r:.80}.")
    fppi, level = item.get("fppi"), item.get("level", "image")
    if (metric == "sensitivity") != (fppi is not None) or (fppi is not None and fppi not in rule.fppi):
        raise ExperimentError(
            f"{where}: fppi belongs to the metric sensitivity and must be one that the experiment's evaluate "
            f"measures ({', '.join(f'{each:g}' for each in rule.fppi)}), got {fppi!r:.40} with {metric}."
        )
    if level not in LEVELS:
        raise ExperimentError(f"{where}: level must be {', '.join(LEVELS)}, got {level!r:.80}.")
    direction = item.get("direction", "maximize")
    if direction not in DIRECTIONS:
        raise ExperimentError(f"{where}: direction must be {' or '.join(DIRECTIONS)}, got {direction!r:.80}.")
    return Objective(metric, None if fppi is None else float(fppi), level, direction == "maximize")


def _check_split(where: str, split: object) -> None:
    if split == "test":
        raise ExperimentError(
            f"{where}: split test: a sweep that looks at the test list chooses by it, and its figures there "
            "mean nothing afterwards. Leave split out (validation), and score the test list once, with the "
            "best parameters."
        )
    if split != "validation":
        raise ExperimentError(f"{where}: split must be validation, got {split!r:.80}.")
