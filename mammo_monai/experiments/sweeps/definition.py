"""An experiment file with a `sweep` section: what is varied, what is made large, and how it is searched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from mammo_monai.errors import ManifestError
from mammo_monai.experiments.data_request import ONCE, PHANTOMS_PREFIX, is_letter, manifest_names
from mammo_monai.experiments.definition import EXPERIMENT_SCHEMA, Experiment, experiment_of, trusted
from mammo_monai.experiments.field_checks import ExperimentError, Json, read_text, reject_unknown
from mammo_monai.experiments.sweeps.objective import Objective, objective_of
from mammo_monai.experiments.sweeps.space import Parameter, check_grid, parameters_of
from mammo_monai.schema.fields import load_json

SamplerName = Literal["tpe", "random", "grid"]
PrunerName = Literal["none", "median"]
BASE = "trial"
_FIELDS = {"parameters", "objective", "sampler", "pruner", "seed", "trials", "run"}


@dataclass(frozen=True)
class Sweep:
    """The content of a sweep file.

    Attributes:
        content: the experiment without its sweep, as JSON: the run that is varied, and those it starts from.
        folder: relative paths in it start here.
        base: the run that every trial is a copy of.
        manifests: as the file names them, absolute; empty where it names none.
        n_trials: how many are done; None for a grid: all of it.
        is_trusted: see `RunSpec`.
    """

    name: str
    where: str
    folder: Path
    content: Json
    base: str
    parameters: tuple[Parameter, ...]
    objective: Objective
    manifests: tuple[str, ...] = ()
    sampler: SamplerName = "tpe"
    pruner: PrunerName = "none"
    seed: int = 0
    n_trials: int | None = 20
    is_trusted: bool = False

    def experiment(self, trials: Mapping[str, Mapping[str, Any]]) -> Experiment:
        """The experiment of some trials: each the base run with other values; and the runs it starts from.

        Args:
            trials: values by the trial's name.
        """
        rows = [row for row in self.content["runs"] if row["name"] != self.base]
        base = next(row for row in self.content["runs"] if row["name"] == self.base)
        for name, values in trials.items():
            told = ", ".join(f"{each} {value!r}" for each, value in values.items())
            rows.append(
                {
                    **base,
                    "name": name,
                    "description": told or "no values",
                    "overrides": {**base.get("overrides", {}), **values},
                }
            )
        found = experiment_of({**self.content, "runs": rows}, self.where, self.folder, self.name)
        return trusted(found) if self.is_trusted else found

    @property
    def parents(self) -> tuple[str, ...]:
        """The runs that every trial starts from; they are done once."""
        return tuple(row["name"] for row in self.content["runs"] if row["name"] != self.base)


def is_sweep(path: Path) -> bool:
    """Whether an experiment file holds a sweep.

    Raises:
        ExperimentError: it is no experiment file.
    """
    return "sweep" in _content(Path(path))


def read_sweep(path: Path) -> Sweep:
    """The sweep at `path`.

    Raises:
        ExperimentError: no `sweep` section, a wrong field in it or in the experiment, folds from a file,
            or a run that is scored on a test list; the message names file and field.
    """
    path = Path(path)
    content = deepcopy(dict(_content(path)))
    section, where = content.pop("sweep", None), f"{path}, sweep"
    if not isinstance(section, dict):
        raise ExperimentError(
            f"{path}: holds no sweep: an object with parameters. See docs/how-to/sweeps.md."
        )
    reject_unknown(where, section, _FIELDS)
    content.setdefault("runs", [{"name": BASE}])
    rows = content["runs"]
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ExperimentError(f"{path}: runs must be a list of objects, got {rows!r:.80}.")
    content["runs"] = [_held_back(f"{path}, run {row.get('name')}", row, content) for row in rows]
    content.pop("folds", None)  # each run now says its own
    experiment = experiment_of(content, str(path), path.absolute().parent, path.stem)
    base = _base(where, section, experiment)
    kept = _chain(experiment, base)
    content["runs"] = [row for row in content["runs"] if row["name"] in kept]
    parameters = parameters_of(where, section.get("parameters"))
    sampler: SamplerName = _one_of(where, section, "sampler", get_args(SamplerName), "tpe")
    if sampler == "grid":
        check_grid(where, parameters)
    default = None if sampler == "grid" else 20
    return Sweep(
        name=experiment.name,
        where=str(path),
        folder=path.absolute().parent,
        content=content,
        base=base,
        parameters=parameters,
        objective=objective_of(f"{where}, objective", section.get("objective"), experiment.rule),
        manifests=experiment.manifests,
        sampler=sampler,
        pruner=_one_of(where, section, "pruner", get_args(PrunerName), "none"),
        seed=_whole(where, section, "seed", 0, 0) or 0,
        n_trials=_whole(where, section, "trials", 1, default),
    )


def _content(path: Path) -> Json:
    try:
        return load_json(path, EXPERIMENT_SCHEMA, unique_keys=True)
    except ManifestError as error:
        raise ExperimentError(str(error)) from error


def _held_back(where: str, row: Json, content: Json) -> dict[str, Any]:
    """A run's row with folds of its own, refused where an image of a test list could be scored."""
    if "fuse" in row:
        raise ExperimentError(f"{where}: a sweep varies one model; take the ensemble out.")
    if row.get("test_split") == "test":
        raise ExperimentError(
            f"{where}: test_split test: a sweep is scored on validation images; the test list is looked at "
            "once, afterwards. Take it out."
        )
    for each in manifest_names(where, row.get("manifest"), Path()):
        if not is_letter(each) and not each.startswith(PHANTOMS_PREFIX):
            raise ExperimentError(
                f"{where}: manifest {each!r:.80}: name manifests for the whole experiment, and here their "
                "letters (A is the first): a sweep leaves their test lists out."
            )
    folds = row.get("folds", content.get("folds", ONCE))
    if isinstance(folds, str) and folds != ONCE:
        raise ExperimentError(
            f"{where}: folds of a file have test lists, which a sweep may not see. Say how to make folds of "
            'the training and validation images, such as {"n_folds": 3}, or "once" for its own lists.'
        )
    return {**row, "folds": folds}


def _base(where: str, section: Json, experiment: Experiment) -> str:
    names = [each.name for each in experiment.runs]
    asked = read_text(where, section, "run")
    if asked is None and len(names) == 1:
        return names[0]
    if asked not in names:
        raise ExperimentError(
            f"{where}: run must say which run is varied: {', '.join(names)}; got {asked!r:.80}."
        )
    if not next(each for each in experiment.runs if each.name == asked).is_trained:
        raise ExperimentError(
            f"{where}: run {asked} is not trained, so its overrides of training do nothing."
        )
    return asked


def _chain(experiment: Experiment, base: str) -> set[str]:
    """The base and all runs that it starts from."""
    runs = {each.name: each for each in experiment.runs}
    found, name = set[str](), base
    while name not in found:
        found.add(name)
        name = runs[name].parent or name
    return found


def _one_of(where: str, section: Json, field: str, known: Sequence[Any], default: Any) -> Any:
    value = section.get(field, default)
    if value not in known:
        raise ExperimentError(f"{where}: {field} must be {', '.join(known)}, got {value!r:.80}.")
    return value


def _whole(where: str, section: Json, field: str, least: int, default: int | None) -> int | None:
    value = section.get(field, default)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
        raise ExperimentError(
            f"{where}: {field} must be a whole number of at least {least}, got {value!r:.80}."
        )
    return value
