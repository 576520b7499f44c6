"""Which run × fold has to be done in which folder, checked as far as it can be without training."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mammo_monai.errors import ManifestError
from mammo_monai.experiments.configuration import (
    Config,
    config_hash,
    prediction_config,
    rule_values,
    start_of,
    training_config,
)
from mammo_monai.experiments.definition import (
    PHANTOMS_PREFIX,
    Experiment,
    ExperimentError,
    FoldsRequest,
    RunSpec,
)
from mammo_monai.files import sha256_of
from mammo_monai.readers import splits
from mammo_monai.schema import Manifest, read_manifest
from mammo_monai.schema.folds import Folds, FoldStage, read_folds

logger = logging.getLogger(__name__)

RUN_SCHEMA = "mammo-monai/experiment-run/1"


@dataclass(frozen=True)
class PlannedRun:
    """One run on one fold.

    Attributes:
        config: everything that decides the result, without paths: bundle, fold, configurations of training
            and prediction with their overrides, rule, and the hashes of what is read.
    """

    spec: RunSpec
    fold: str
    config: Config

    @property
    def sha256(self) -> str:
        """The hash that tells whether a folder holds this very run."""
        return config_hash(self.config)

    @property
    def label(self) -> str:
        """How messages call it."""
        return f"run {self.spec.name}, fold {self.fold}"


@dataclass(frozen=True)
class Plan:
    """All of an experiment that was asked for: fold by fold, in each the runs in the file's order.

    Attributes:
        manifest_names: as they were asked for, such as `phantoms:LAYOUT`.
    """

    experiment: Experiment
    manifest_names: tuple[str, ...]
    manifests: tuple[Manifest, ...]
    folds: Folds
    runs: tuple[PlannedRun, ...]

    def fold_manifest(self, fold: str) -> Manifest:
        """The manifest whose lists are those of a fold."""
        stage = self.experiment.stage
        return splits.apply_folds(self.folds, self.manifests, fold=fold, stage=stage)


@dataclass(frozen=True)
class Choice:
    """What of an experiment to do, and on what, where the file's own words are replaced.

    Attributes:
        folds: names; None takes all. only: names of runs; empty takes all.
        manifests: instead of the file's. folds_file: instead of the file's.
    """

    folds: tuple[str, ...] | None = None
    only: tuple[str, ...] = ()
    manifests: tuple[str, ...] = ()
    folds_file: Path | None = None


def make_plan(experiment: Experiment, choice: Choice | None = None) -> Plan:
    """The plan of an experiment; nothing is written, nothing is trained.

    Raises:
        ExperimentError: a bundle, id, run, fold, or start weights that are not there; folds without a list
            for what the bundle validates on. ManifestError: files that break their format, or folds of
            another manifest.
    """
    choice = choice or Choice()
    names = choice.manifests or experiment.manifests
    manifests = _manifests(names)
    folds = _folds(choice.folds_file or experiment.folds, manifests)
    stages = {name: _stage(folds, name, experiment.stage) for name in _fold_names(folds, choice.folds)}
    splits.apply_folds(folds, manifests, fold=next(iter(stages)), stage=experiment.stage)  # they fit
    inputs = {
        "manifest_sha256": [sha256_of(each.path) for each in manifests if each.path],
        "folds_sha256": folds.sha256,
    }
    parts = [(spec, _config_of(spec, experiment, inputs)) for spec in _chosen(experiment, choice.only)]
    for spec, config in parts:
        _check_validation(spec, config, stages)
    runs = tuple(
        PlannedRun(spec, fold, {**config, "fold": fold}) for fold in stages for spec, config in parts
    )
    return Plan(experiment, names, tuple(manifests), folds, runs)


def fold_selection(text: str) -> tuple[str, ...]:
    """Names of folds: `1-3,5` counts, other words stand for themselves.

    Raises:
        ExperimentError: a range that runs backwards, or an empty name.

    >>> fold_selection("1-3,5")
    ('1', '2', '3', '5')
    """
    names: list[str] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if dash and first.isdecimal() and last.isdecimal():
            if int(last) < int(first):
                raise ExperimentError(f"folds {part.strip()}: a range counts upwards, such as 1-5.")
            names += [str(n) for n in range(int(first), int(last) + 1)]
        elif part.strip():
            names.append(part.strip())
        else:
            raise ExperimentError(f"folds {text!r}: expected names such as 1-5 or 1,3.")
    return tuple(dict.fromkeys(names))


def _config_of(spec: RunSpec, experiment: Experiment, inputs: Mapping[str, Any]) -> Config:
    where = f"run {spec.name}"
    training = training_config(spec, where)
    init, init_sha256 = start_of(spec, training, where)
    prediction = prediction_config(spec, where)
    training["init"] = init  # its hash says which file; the folder it lies in decides nothing
    if experiment.budget_iterations is not None or not spec.is_trained:
        for config in (training, prediction):
            config.pop("epochs", None)  # the bundle's own decide nothing
    return {
        "schema": RUN_SCHEMA,
        "bundle": Path(spec.bundle).name,
        "is_trained": spec.is_trained,
        "stage": experiment.stage,
        "budget_iterations": experiment.budget_iterations if spec.is_trained else None,
        "training": training,
        # The base file stands above: what prediction adds to it is enough.
        "prediction": {name: each for name, each in prediction.items() if training.get(name, ...) != each},
        "rule": rule_values(experiment.rule),
        "inputs": {**inputs, "init": init, "init_sha256": init_sha256},
    }


def _check_validation(spec: RunSpec, config: Config, stages: Mapping[str, FoldStage]) -> None:
    """Refuses a training that validates on an empty list: it would end at its first image."""
    validate = config["training"].get("validate") or {}
    samples = (validate.get("dataset") or {}).get("samples") or {}
    if not spec.is_trained or samples.get("split") != "validation":
        return
    empty = [fold for fold, stage in stages.items() if not stage.validation]
    if empty:
        raise ExperimentError(
            f"run {spec.name}: it validates on the validation list, which is empty in fold "
            f"{', '.join(empty)}. Make folds with --validation-fraction above 0, or let it look at another "
            'list: override "validate#dataset#samples#split" (only where the weights of the last epoch are '
            "kept: none may be chosen by the test list)."
        )


def _manifests(names: Sequence[str]) -> list[Manifest]:
    if not names:
        raise ExperimentError("no manifest: name one in the experiment file, or give --manifest FILE.")
    return [read_manifest(_manifest_path(name)) for name in names]


def _manifest_path(name: str) -> Path:
    if not name.startswith(PHANTOMS_PREFIX):
        return Path(name)
    from mammo_monai.data import manifest_path  # noqa: PLC0415  # generated only where asked for

    return Path(manifest_path(name))


def _folds(asked: Path | FoldsRequest | None, manifests: Sequence[Manifest]) -> Folds:
    if asked is None:
        raise ExperimentError(
            "no folds: name a file of `mammo-monai folds make` in the experiment, or give --folds-file FILE."
        )
    if isinstance(asked, FoldsRequest):
        return splits.make_folds(manifests, asked.scheme, seed=asked.seed)
    return read_folds(asked)


def _fold_names(folds: Folds, asked: Collection[str] | None) -> list[str]:
    known = [fold.name for fold in folds.folds]
    missing = [name for name in asked or () if name not in known]
    if missing:
        raise ExperimentError(f"no fold {', '.join(missing)}: the folds are {', '.join(known)}.")
    return known if asked is None else [name for name in known if name in asked]


def _stage(folds: Folds, fold: str, stage: str | None) -> FoldStage:
    stages = next(each for each in folds.folds if each.name == fold).stages
    found = stages[-1] if stage is None else next((each for each in stages if each.name == stage), None)
    if found is None:
        names = ", ".join(each.name for each in stages)
        raise ExperimentError(f"no stage {stage} in fold {fold}: its stages are {names}.")
    if not found.test:
        raise ManifestError(
            f"fold {fold}, stage {found.name}: the test list is empty, so nothing can be measured. Choose "
            "another stage."
        )
    return found


def _chosen(experiment: Experiment, only: Collection[str]) -> list[RunSpec]:
    known = [run.name for run in experiment.runs]
    missing = [name for name in only if name not in known]
    if missing:
        raise ExperimentError(f"no run {', '.join(missing)}: the runs are {', '.join(known)}.")
    return [run for run in experiment.runs if not only or run.name in only]
