"""Which run × fold has to be done in which folder, checked as far as it can be without training."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mammo_monai.experiments.configuration import (
    Config,
    check_same_network,
    config_hash,
    prediction_config,
    rule_values,
    start_of,
    training_config,
)
from mammo_monai.experiments.data_request import ONCE
from mammo_monai.experiments.definition import Experiment, ExperimentError
from mammo_monai.experiments.ensembles import data_of_runs, ensemble_config, fused_config
from mammo_monai.experiments.run_data import DataSets, RunData
from mammo_monai.experiments.run_spec import RunSpec, in_order_of_start
from mammo_monai.files import sha256_of
from mammo_monai.records import ImageRecord, Split
from mammo_monai.schema import Manifest

RUN_SCHEMA = "mammo-monai/experiment-run/1"
Key = tuple[str, str]


@dataclass(frozen=True)
class PlannedRun:
    """One run on one fold.

    Attributes:
        fold: its name; "once" for a run that is not done per fold.
        config: everything that decides the result, without paths: bundle, fold, configurations of training
            and prediction with their overrides, rule, and the hashes of what is read.
        parent: name and fold of the run whose weights it starts from.
        test_split: the list that is scored.
        members: of an ensemble: names and fold of the runs that it fuses.
    """

    spec: RunSpec
    fold: str
    config: Config
    parent: Key | None = None
    test_split: Split = Split.TEST
    members: tuple[Key, ...] = ()

    @property
    def needs(self) -> tuple[Key, ...]:
        """What must be finished before it can begin."""
        return self.members if self.parent is None else (self.parent, *self.members)

    @property
    def key(self) -> Key:
        """Name and fold."""
        return self.spec.name, self.fold

    @property
    def sha256(self) -> str:
        """The hash that tells whether a folder holds this very run."""
        return config_hash(self.config)

    @property
    def label(self) -> str:
        """How messages call it."""
        return label_of(self.key)

    def started(self, weights_sha256: str) -> PlannedRun:
        """The run with the hash of its parent's weights in its configuration: other weights, another run."""
        inputs = {**self.config["inputs"], "init_sha256": weights_sha256}
        return replace(self, config={**self.config, "inputs": inputs})

    def fused(self, members: Mapping[str, Mapping[str, Any]]) -> PlannedRun:
        """The ensemble with the hashes of what its members' done.json tell, by their names."""
        return replace(self, config=fused_config(self.config, members))


@dataclass(frozen=True)
class Plan:
    """All of an experiment that was asked for: runs done once, then fold by fold, parents first.

    Attributes:
        manifest_names: as they were asked for, such as `phantoms:LAYOUT`.
        data: the images of every run of the file, by its name.
    """

    experiment: Experiment
    manifest_names: tuple[str, ...]
    data: Mapping[str, RunData]
    runs: tuple[PlannedRun, ...]

    def manifest(self, planned: PlannedRun) -> Manifest:
        """The manifest whose lists are those of a run on its fold."""
        return self.data[planned.spec.name].manifest(planned.fold)

    def planned(self, key: Key) -> PlannedRun:
        """The run of a name on a fold."""
        return next(each for each in self.runs if each.key == key)


@dataclass(frozen=True)
class Choice:
    """What of an experiment to do, and on what, where the file's own words are replaced.

    Attributes:
        folds: names; None takes all. only: names of runs; empty takes all. What they start from, or fuse, is
            done too. manifests: instead of the file's. folds_file: instead of the file's.
    """

    folds: tuple[str, ...] | None = None
    only: tuple[str, ...] = ()
    manifests: tuple[str, ...] = ()
    folds_file: Path | None = None


def label_of(key: Key) -> str:
    """How messages call a run on a fold.

    >>> label_of(("two_stage", "1")), label_of(("stage_one", "once"))
    ('run two_stage, fold 1', 'run stage_one')
    """
    name, fold = key
    return f"run {name}" if fold == ONCE else f"run {name}, fold {fold}"


def make_plan(experiment: Experiment, choice: Choice | None = None) -> Plan:
    """The plan of an experiment; nothing is written, nothing is trained.

    Raises:
        ExperimentError: a bundle, id, run, fold, or start weights that are not there; folds without a list
            for what the bundle validates on; a run scored on patients that it or a run it starts from has
            learnt from. ManifestError: files that break their format, or folds of another manifest.
    """
    choice = choice or Choice()
    sets = DataSets(
        choice.manifests or experiment.manifests, choice.folds_file or experiment.folds, experiment.stage
    )
    data = data_of_runs(experiment.runs, sets)
    specs = _chosen(experiment, choice.only)
    _check_folds_file(specs, data, choice)
    folds = _fold_names(specs, data, choice.folds)
    configs = _configs(specs, experiment, data)
    _check_networks(specs, configs)
    planned = tuple(_planned(specs, data, folds, configs))
    for each in planned:
        _check_validation(each, data[each.spec.name])
    _check_leaks(specs, planned, data, sets)
    return Plan(experiment, sets.names, data, planned)


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


def _planned(
    specs: Sequence[RunSpec],
    data: Mapping[str, RunData],
    folds: Sequence[str],
    configs: Mapping[str, Config],
) -> Iterator[PlannedRun]:
    for fold in (ONCE, *folds):
        for spec in specs:
            own = data[spec.name]
            if fold in own.names:
                parent = None if spec.parent is None else _parent_key(spec, spec.parent, fold, data)
                config = {**configs[spec.name], "fold": fold}
                members = tuple((name, fold) for name in spec.members)
                yield PlannedRun(spec, fold, config, parent, own.test_split, members)


def _parent_key(spec: RunSpec, parent: str, fold: str, data: Mapping[str, RunData]) -> Key:
    if data[parent].is_once:
        return parent, ONCE
    if fold not in data[parent].names:
        found = f"runs on folds {', '.join(data[parent].names)}"
        raise ExperimentError(
            f"{label_of((spec.name, fold))}: it starts from run {parent}, which {found}: there is none to "
            f'start from. Do {parent} once ("folds": "once"), or both on the same folds.'
        )
    return parent, fold


def _configs(
    specs: Sequence[RunSpec], experiment: Experiment, data: Mapping[str, RunData]
) -> dict[str, Config]:
    configs: dict[str, Config] = {}
    for spec in specs:  # members stand before their ensemble
        common = _common_config(experiment, data[spec.name])
        configs[spec.name] = (
            ensemble_config(spec, configs, common) if spec.members else _config_of(spec, experiment, common)
        )
    return configs


def _common_config(experiment: Experiment, data: RunData) -> Config:
    """What decides the result of a run whatever it does: images, rule, scored list."""
    inputs = {
        "manifest_sha256": [sha256_of(each.path) for each in data.manifests.values() if each.path],
        "folds_sha256": data.folds.sha256 if data.folds else None,
    }
    # Only where a run asks for images of its own: the configuration of all others stays what it always was.
    own_data = {} if data.is_common else {"scored_sha256": data.scored_sha256}
    return {
        "schema": RUN_SCHEMA,
        "stage": data.stage,
        "rule": rule_values(experiment.rule),
        "inputs": {**inputs, **own_data},
        **({"test_split": data.test_split.value} if data.is_once else {}),
    }


def _config_of(spec: RunSpec, experiment: Experiment, common: Config) -> Config:
    where = f"run {spec.name}"
    training = training_config(spec, where)
    init, init_sha256 = start_of(spec, training, where)
    prediction = prediction_config(spec, where)
    training["init"] = init  # its hash says which file; the folder it lies in decides nothing
    if experiment.budget_iterations is not None or not spec.is_trained:
        for config in (training, prediction):
            config.pop("epochs", None)  # the bundle's own decide nothing
    return {
        **common,
        "bundle": Path(spec.bundle).name,
        "is_trained": spec.is_trained,
        "budget_iterations": experiment.budget_iterations if spec.is_trained else None,
        "training": training,
        # The base file stands above: what prediction adds to it is enough.
        "prediction": {name: each for name, each in prediction.items() if training.get(name, ...) != each},
        "inputs": {**common["inputs"], "init": init, "init_sha256": init_sha256},
    }


def _check_networks(specs: Sequence[RunSpec], configs: Mapping[str, Config]) -> None:
    for spec in specs:
        if spec.parent is not None:
            child, parent = (configs[name]["training"] for name in (spec.name, spec.parent))
            check_same_network(child, parent, f"run {spec.name}", spec.parent)


def _check_validation(planned: PlannedRun, data: RunData) -> None:
    """Refuses a training that validates on an empty list: it would end at its first image."""
    validate = planned.config["training"].get("validate") or {}
    samples = (validate.get("dataset") or {}).get("samples") or {}
    asked: Any = samples.get("split")
    if planned.spec.is_trained and asked in [each.value for each in Split]:
        if data.manifest(planned.fold).images(asked):
            return
        raise ExperimentError(
            f"{planned.label}: it validates on the {asked} list, which is empty. Make folds or manifest with "
            "--validation-fraction above 0, or let it look at another list: override "
            '"validate#dataset#samples#split" (only where the weights of the last epoch are kept: none may '
            "be chosen by the test list)."
        )


def _check_leaks(
    specs: Sequence[RunSpec], planned: Sequence[PlannedRun], data: Mapping[str, RunData], sets: DataSets
) -> None:
    """Refuses a run that is scored on a patient whom it, or a run it starts from, has learnt from."""
    by_key = {each.key: each for each in planned}
    for each in planned:
        lists = data[each.spec.name].manifest(each.fold)
        scored = lists.images(each.test_split)
        # The list that is scored may be the one that chooses the epoch: a figure too good, but no training.
        own = [*lists.training, *(lists.validation if each.test_split is Split.TEST else ())]
        leak = _known(scored, own, sets) if each.spec.is_trained else None
        if leak is not None:
            raise ExperimentError(
                f"{each.label}: it is scored on record {leak.record_id}, whose patient stands in a list it "
                "learns from too. Make manifest or folds again, by patient (`mammo-monai folds make`)."
            )
        parent = each.parent
        while parent is not None:
            ancestor = by_key[parent]
            learnt = data[ancestor.spec.name].manifest(ancestor.fold)
            leak = _known(scored, [*learnt.training, *learnt.validation], sets)
            if leak is not None:
                raise ExperimentError(
                    f"{each.label}: it is scored on record {leak.record_id}, whose patient "
                    f"{ancestor.label} learns from. Let {ancestor.spec.name} run on the same folds, or on "
                    "other images."
                )
            parent = ancestor.parent


def _known(
    scored: Sequence[ImageRecord], learnt: Sequence[ImageRecord], sets: DataSets
) -> ImageRecord | None:
    """The first image that is scored and shares a patient, or its file, with those learnt from."""
    known = sets.people(learnt)
    return next((record for record in scored if known & sets.people([record])), None)


def _check_folds_file(specs: Sequence[RunSpec], data: Mapping[str, RunData], choice: Choice) -> None:
    if choice.folds_file is not None and all(
        each.data.folds is not None or data[each.name].folds is None for each in specs if not each.members
    ):
        raise ExperimentError(
            f"{choice.folds_file}: no run would use these folds: each names its own. Take --folds-file out, "
            "or the folds of the runs."
        )


def _fold_names(
    specs: Sequence[RunSpec], data: Mapping[str, RunData], asked: Collection[str] | None
) -> list[str]:
    known = [*dict.fromkeys(name for each in specs for name in data[each.name].names if name != ONCE)]
    if not known:  # all are done once: no fold to choose
        return []
    missing = [name for name in asked or () if name not in known]
    if missing:
        counted = " They count from 1." if "0" in missing and "1" in known else ""
        raise ExperimentError(f"no fold {', '.join(missing)}: the folds are {', '.join(known)}.{counted}")
    return known if asked is None else [name for name in known if name in asked]


def _chosen(experiment: Experiment, only: Collection[str]) -> list[RunSpec]:
    """The runs asked for, and those that they fuse or start from, each after those."""
    runs = {run.name: run for run in experiment.runs}
    missing = [name for name in only if name not in runs]
    if missing:
        raise ExperimentError(f"no run {', '.join(missing)}: the runs are {', '.join(runs)}.")
    wanted = set(only) or set(runs)
    in_order = in_order_of_start(runs)  # refuses members that are not there
    wanted |= {member for name in wanted for member in runs[name].members}
    for name in [*wanted]:
        parent = runs[name].parent
        while parent is not None:
            wanted.add(parent)
            parent = runs[parent].parent
    return [each for each in in_order if each.name in wanted]
