"""An experiment file: which runs of which bundles, on which folds of which manifests, at which budget."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from mammo_monai.errors import ManifestError
from mammo_monai.experiments.data_request import (
    PHANTOMS_PREFIX,
    FoldsRequest,
    folds_request,
    manifest_names,
)
from mammo_monai.experiments.field_checks import (
    ExperimentError,
    Json,
    read_name,
    read_text,
    reject_unknown,
)
from mammo_monai.experiments.run_spec import RunSpec, in_order_of_start, overrides_of, run_spec
from mammo_monai.metrics import FrocRule
from mammo_monai.schema.fields import load_json

__all__ = [
    "EXPERIMENT_SCHEMA",
    "PHANTOMS_PREFIX",
    "Experiment",
    "ExperimentError",
    "FoldsRequest",
    "RunSpec",
    "experiment_of",
    "read_experiment",
]

EXPERIMENT_SCHEMA = "mammo-monai/experiment/1"
_FIELDS = {"schema", "name", "description", "bundle", "manifest", "folds", "stage", "epochs"}
_FIELDS |= {"budget_iterations", "overrides", "predict_overrides", "evaluate", "runs"}


@dataclass(frozen=True)
class Experiment:
    """The content of an experiment file; paths absolute, those in the file from the file's folder.

    Attributes:
        manifests: paths or `phantoms:LAYOUT[:PATIENTS]`, called A, B, … by the runs; empty where the file
            names none.
        folds: of `mammo-monai folds make`, or how to make some; None where the file names none.
        stage: of the folds; None is the last.
        budget_iterations: batches that every trained run sees, to the nearest whole epoch; None where the
            epochs are set.
    """

    name: str
    runs: tuple[RunSpec, ...]
    manifests: tuple[str, ...] = ()
    folds: Path | FoldsRequest | None = None
    stage: str | None = None
    budget_iterations: int | None = None
    description: str = ""
    rule: FrocRule = field(default_factory=FrocRule)


def trusted(experiment: Experiment) -> Experiment:
    """The experiment with all its bundles trusted for this once; expressions in its overrides are not."""
    return replace(experiment, runs=tuple(replace(each, is_trusted=True) for each in experiment.runs))


def read_experiment(path: Path) -> Experiment:
    """The experiment at `path`.

    Raises:
        ExperimentError: not JSON, unknown or missing fields, a run's name twice or no folder name, runs that
            start from each other, a budget that is not equal for all runs, or an override of what the runner
            decides; the message names file, run and field. Whether ids and bundles exist is asked when it is
            planned.
    """
    path = Path(path)
    try:
        content = load_json(path, EXPERIMENT_SCHEMA, unique_keys=True)
    except ManifestError as error:
        raise ExperimentError(str(error)) from error
    return experiment_of(content, str(path), path.absolute().parent, path.stem)


def experiment_of(content: Json, where: str, folder: Path, name: str = "experiment") -> Experiment:
    """The experiment of a file's content; see `read_experiment`, also for what it raises.

    Args:
        where: stands before every message. folder: relative paths start here. name: where it names none.
    """
    if "sweep" in content:
        raise ExperimentError(f"{where}: holds a sweep; do it with `mammo-monai experiment sweep`.")
    reject_unknown(where, content, _FIELDS)
    common = overrides_of(where, content, "overrides")
    budget = _budget(where, content)
    rows = content.get("runs")
    if not isinstance(rows, list) or not rows:
        raise ExperimentError(f"{where}: runs must be a list of at least one run, got {rows!r:.80}.")
    if budget is None:
        common = {**common, "epochs": content["epochs"]} if "epochs" in content else common
    runs = tuple(
        run_spec(f"{where}, runs row {n}", row, content, common, folder) for n, row in enumerate(rows)
    )
    _reject_repeats(where, [run.name for run in runs])
    _reject_own_budget(where, runs, content)
    _reject_broken_chains(where, runs)
    return Experiment(
        name=read_name(where, content.get("name", name)),
        runs=runs,
        manifests=manifest_names(where, content.get("manifest"), folder),
        folds=folds_request(where, content.get("folds"), folder),
        stage=read_text(where, content, "stage"),
        budget_iterations=budget,
        description=read_text(where, content, "description") or "",
        rule=_rule(where, content.get("evaluate", {})),
    )


def _budget(where: str, content: Json) -> int | None:
    for name in ("epochs", "budget_iterations"):
        value = content.get(name)
        if name in content and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise ExperimentError(f"{where}: {name} must be a whole number of at least 1, got {value!r:.80}.")
    if "epochs" in content and "budget_iterations" in content:
        raise ExperimentError(f"{where}: give epochs or budget_iterations, not both.")
    return content.get("budget_iterations")


def _reject_own_budget(where: str, runs: tuple[RunSpec, ...], content: Json) -> None:
    for run, row in zip(runs, content["runs"], strict=True):
        if run.members:
            continue  # it trains nothing
        has_own = "epochs" in row.get("overrides", {})
        is_common = "epochs" in content or "budget_iterations" in content
        if is_common and (has_own or "epochs" in content.get("overrides", {})):
            raise ExperimentError(
                f"{where}, run {run.name}: the budget is equal for all runs (epochs or budget_iterations of "
                "the experiment); take epochs out of the overrides, or take the common budget out."
            )


def _reject_broken_chains(where: str, runs: tuple[RunSpec, ...]) -> None:
    try:
        in_order_of_start({run.name: run for run in runs})
    except ExperimentError as error:
        raise ExperimentError(f"{where}, {error}") from None


def _rule(where: str, options: object) -> FrocRule:
    known = [each.name for each in fields(FrocRule)]
    if not isinstance(options, dict):
        raise ExperimentError(f"{where}: evaluate must be an object of rule options, got {options!r:.80}.")
    reject_unknown(f"{where}, evaluate", options, set(known))
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in options.items()
    }
    try:
        return FrocRule(**values)
    except (ValueError, TypeError) as error:
        raise ExperimentError(f"{where}, evaluate: {error}") from error


def _reject_repeats(where: str, names: list[str]) -> None:
    seen: dict[str, str] = {}
    for name in names:
        # Folders whose names differ in case alone are one folder on some systems.
        if name.casefold() in seen:
            raise ExperimentError(
                f"{where}: run {name} has the same folder as {seen[name.casefold()]}; give each its own name."
            )
        seen[name.casefold()] = name
