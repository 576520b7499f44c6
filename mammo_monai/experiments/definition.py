"""An experiment file: which runs of which bundles, on which folds of which manifests, at which budget."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from mammo_monai.errors import MammoError, ManifestError
from mammo_monai.metrics import FrocRule
from mammo_monai.schema.fields import load_json
from mammo_monai.schema.folds import FoldScheme

EXPERIMENT_SCHEMA = "mammo-monai/experiment/1"
PHANTOMS_PREFIX = "phantoms:"
Json = Mapping[str, Any]

_TOP = {
    "schema",
    "name",
    "description",
    "bundle",
    "manifest",
    "folds",
    "stage",
    "epochs",
    "budget_iterations",
}
_TOP |= {"overrides", "predict_overrides", "evaluate", "runs"}
_RUN = {"name", "description", "bundle", "overrides", "predict_overrides", "train"}
_FOLDS = {"scheme", "n_folds", "validation_fraction", "seed"}
# What the runner itself decides: another value would break what a run's folder promises.
_RESERVED = ("bundle_root", "dataset_dir", "manifest", "output_dir", "resume", "eval_dir", "weights", "split")
_WEIGHTS_ENDINGS = (".safetensors", ".pt", ".pth")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,79}")


class ExperimentError(MammoError):
    """An experiment file, or the folder of its runs, does not hold what it must."""


@dataclass(frozen=True)
class RunSpec:
    """One row of an experiment: a bundle with overrides.

    Attributes:
        name: of its folder: letters, digits, `_ . -`.
        overrides: ids of train.json and values, those of the whole experiment first.
        predict_overrides: ids of train.json with evaluate.json over it, for prediction alone.
        is_trained: False predicts with the weights that `init` names, as they are.
    """

    name: str
    bundle: str
    description: str = ""
    overrides: Json = field(default_factory=dict)
    predict_overrides: Json = field(default_factory=dict)
    is_trained: bool = True


@dataclass(frozen=True)
class FoldsRequest:
    """Folds to be made when the experiment runs, as `mammo-monai folds make` would."""

    scheme: FoldScheme
    seed: int = 0


@dataclass(frozen=True)
class Experiment:
    """The content of an experiment file; paths absolute, those in the file from the file's folder.

    Attributes:
        manifests: paths, or one `phantoms:LAYOUT[:PATIENTS]`; empty where the file names none.
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


def read_experiment(path: Path) -> Experiment:
    """The experiment at `path`.

    Raises:
        ExperimentError: not JSON, unknown or missing fields, a run's name twice or no folder name, a budget
            that is not equal for all runs, or an override of what the runner decides; the message names file,
            run and field. Whether ids and bundles exist is asked when it is planned.
    """
    path = Path(path)
    try:
        content = load_json(path, EXPERIMENT_SCHEMA)
    except ManifestError as error:
        raise ExperimentError(str(error)) from error
    return experiment_of(content, str(path), path.absolute().parent, path.stem)


def experiment_of(content: Json, where: str, folder: Path, name: str = "experiment") -> Experiment:
    """The experiment of a file's content; see `read_experiment`.

    Args:
        where: stands before every message. folder: relative paths start here. name: where it names none.
    """
    _reject_unknown(where, content, _TOP)
    common = _overrides(where, content, "overrides")
    budget = _budget(where, content)
    rows = content.get("runs")
    if not isinstance(rows, list) or not rows:
        raise ExperimentError(f"{where}: runs must be a list of at least one run, got {rows!r:.80}.")
    if budget is None:
        common = {**common, "epochs": content["epochs"]} if "epochs" in content else common
    runs = tuple(
        _in_folder(_run(f"{where}, runs row {n}", row, content, common), folder) for n, row in enumerate(rows)
    )
    _reject_repeats(where, [run.name for run in runs])
    _reject_own_budget(where, runs, content)
    return Experiment(
        name=_name(where, content.get("name", name)),
        runs=runs,
        manifests=_manifests(where, content.get("manifest"), folder),
        folds=_folds(where, content.get("folds"), folder),
        stage=_text(where, content, "stage"),
        budget_iterations=budget,
        description=_text(where, content, "description") or "",
        rule=_rule(where, content.get("evaluate", {})),
    )


def _run(where: str, row: object, content: Json, common: Json) -> RunSpec:
    if not isinstance(row, dict):
        raise ExperimentError(f"{where}: expected an object with name and overrides, got {row!r:.80}.")
    name = _name(where, row.get("name"))
    where = f"{where} ({name})"
    _reject_unknown(where, row, _RUN)
    bundle = _text(where, row, "bundle") or _text(where, content, "bundle")
    if bundle is None:
        raise ExperimentError(f"{where}: bundle must be named, here or for the whole experiment.")
    is_trained = row.get("train", True)
    if not isinstance(is_trained, bool):
        raise ExperimentError(f"{where}: train must be true or false, got {is_trained!r:.80}.")
    shared = _overrides(where, content, "predict_overrides")
    return RunSpec(
        name=name,
        bundle=bundle,
        description=_text(where, row, "description") or "",
        overrides={**common, **_overrides(where, row, "overrides")},
        predict_overrides={**shared, **_overrides(where, row, "predict_overrides")},
        is_trained=is_trained,
    )


def _in_folder(run: RunSpec, folder: Path) -> RunSpec:
    """The run with its bundle and start, where they are written as paths, beginning at a folder."""

    def path_or_name(value: Any) -> Any:
        is_path = isinstance(value, str) and ("/" in value or value.endswith(_WEIGHTS_ENDINGS))
        return str((folder / value).absolute()) if is_path else value

    init = {"init": path_or_name(run.overrides["init"])} if "init" in run.overrides else {}
    return replace(run, bundle=path_or_name(run.bundle), overrides={**run.overrides, **init})


def _overrides(where: str, item: Json, name: str) -> dict[str, Any]:
    overrides = item.get(name, {})
    if not isinstance(overrides, dict):
        raise ExperimentError(f"{where}: {name} must be an object of ids and values, got {overrides!r:.80}.")
    for each in overrides:
        if each in _RESERVED:
            raise ExperimentError(f"{where}: {name} may not set {each}: the runner sets it for every fold.")
    return dict(overrides)


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
        has_own = "epochs" in row.get("overrides", {})
        is_common = "epochs" in content or "budget_iterations" in content
        if is_common and (has_own or "epochs" in content.get("overrides", {})):
            raise ExperimentError(
                f"{where}, run {run.name}: the budget is equal for all runs (epochs or budget_iterations of "
                "the experiment); take epochs out of the overrides, or take the common budget out."
            )


def _manifests(where: str, value: object, folder: Path) -> tuple[str, ...]:
    names = [value] if isinstance(value, str) else [] if value is None else value
    if not isinstance(names, list) or not all(isinstance(each, str) and each for each in names):
        raise ExperimentError(f"{where}: manifest must be a path or a list of paths, got {value!r:.80}.")
    return tuple(
        each if each.startswith(PHANTOMS_PREFIX) else str((folder / each).absolute()) for each in names
    )


def _folds(where: str, value: object, folder: Path) -> Path | FoldsRequest | None:
    if value is None:
        return None
    if isinstance(value, str) and value:
        return folder / value
    if not isinstance(value, dict):
        raise ExperimentError(
            f"{where}: folds must be the path of a folds.json, or an object with scheme, n_folds, "
            f"validation_fraction, seed; got {value!r:.80}."
        )
    where = f"{where}, folds"
    _reject_unknown(where, value, _FOLDS)
    seed = value.get("seed", 0)
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ExperimentError(f"{where}: seed must be a whole number of at least 0, got {seed!r:.80}.")
    try:
        scheme = FoldScheme(
            value.get("scheme", "kfold"), value.get("n_folds", 5), value.get("validation_fraction", 0.2)
        )
    except (ManifestError, TypeError) as error:
        raise ExperimentError(f"{where}: {error}") from error
    return FoldsRequest(scheme, seed)


def _rule(where: str, options: object) -> FrocRule:
    known = [each.name for each in fields(FrocRule)]
    if not isinstance(options, dict):
        raise ExperimentError(f"{where}: evaluate must be an object of rule options, got {options!r:.80}.")
    _reject_unknown(f"{where}, evaluate", options, set(known))
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in options.items()
    }
    try:
        return FrocRule(**values)
    except (ValueError, TypeError) as error:
        raise ExperimentError(f"{where}, evaluate: {error}") from error


def _name(where: str, value: object) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ExperimentError(
            f"{where}: name must be of letters, digits and _ . - (it names a folder), got {value!r:.80}."
        )
    return value


def _text(where: str, item: Json, name: str) -> str | None:
    value = item.get(name)
    if value is not None and (not isinstance(value, str) or not value):
        raise ExperimentError(f"{where}: {name} must be a text, got {value!r:.80}.")
    return value


def _reject_unknown(where: str, item: Json, known: set[str]) -> None:
    unknown = sorted(set(item) - known)
    if unknown:
        raise ExperimentError(
            f"{where}: unknown {', '.join(map(json.dumps, unknown))}; known are {', '.join(sorted(known))}."
        )


def _reject_repeats(where: str, names: list[str]) -> None:
    seen: dict[str, str] = {}
    for name in names:
        # Folders whose names differ in case alone are one folder on some systems.
        if name.casefold() in seen:
            raise ExperimentError(
                f"{where}: run {name} has the same folder as {seen[name.casefold()]}; give each its own name."
            )
        seen[name.casefold()] = name
