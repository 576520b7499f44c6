"""The only file that knows Optuna: which values a sweep tries next, kept in a file that outlives a kill."""

from __future__ import annotations

import itertools
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import RLock
from typing import Any, Literal

import numpy as np

from mammo_monai.experiments.field_checks import ExperimentError
from mammo_monai.experiments.sweeps.definition import Sweep
from mammo_monai.experiments.sweeps.space import Parameter

State = Literal["running", "complete", "pruned", "failed"]
STUDY_FILE = "study.db"
MIN_TRIALS_TO_PRUNE = 4
_SECONDS, _WHY = "seconds", "why"


@dataclass(frozen=True)
class Trial:
    """One trial as far as it is.

    Attributes:
        number: from 0. values: by parameter. value: of the objective; None unless complete.
        figures: validation figure by step; a step is an epoch, the folds' one after the other.
        seconds: since it was last begun. why: it failed.
    """

    number: int
    values: Mapping[str, Any]
    state: State = "running"
    value: float | None = None
    figures: Mapping[int, float] = field(default_factory=dict)
    seconds: float | None = None
    why: str = ""

    @property
    def name(self) -> str:
        """Of its run and folder.

        >>> Trial(7, {}).name
        'trial_0007'
        """
        return trial_name(self.number)


class Study:
    """The trials of a sweep in `FOLDER/study.db`; threads wait for each other.

    Values follow from the seed, the trial's number and the trials before it alone, so that a sweep goes on
    after a kill as it would have gone on without.

    Raises:
        ExperimentError: Optuna is not installed.
    """

    def __init__(self, folder: Path, sweep: Sweep) -> None:
        self._optuna = _imported()
        self._sweep = sweep
        self._lock = RLock()
        self._open: dict[int, Any] = {}
        pruner = (
            self._optuna.pruners.MedianPruner(n_startup_trials=MIN_TRIALS_TO_PRUNE)
            if sweep.pruner == "median"
            else self._optuna.pruners.NopPruner()
        )
        folder.mkdir(parents=True, exist_ok=True)
        self._study = self._optuna.create_study(
            storage=f"sqlite:///{(folder / STUDY_FILE).absolute()}",
            study_name=sweep.name,
            direction="maximize" if sweep.objective.is_maximised else "minimize",
            sampler=self._sampler(0, 0),
            pruner=pruner,
            load_if_exists=True,
        )
        self._grid = _grid(sweep.parameters) if sweep.sampler == "grid" else []

    def next(self, n_trials: int | None) -> Trial | None:
        """A trial to do: first those that a killed sweep left unfinished; None when there are enough.

        Args:
            n_trials: how many there shall be in all; None: the whole grid.
        """
        with self._lock:
            states = self._optuna.trial.TrialState
            trials = self._study.get_trials(deepcopy=False)
            left = [each for each in trials if each.state == states.RUNNING and each.number not in self._open]
            if left:
                trial = self._optuna.trial.Trial(self._study, left[0]._trial_id)
            else:
                waiting = sum(each.state == states.WAITING for each in trials)
                number = len(trials) - waiting
                if number >= self._wanted(n_trials):
                    return None
                if self._grid and not waiting:
                    self._study.enqueue_trial(self._grid[number])
                trial = self._study.ask()
            values = {}
            for place, each in enumerate(self._sweep.parameters):
                # A seed for each: one that was killed half drawn gets the other half it would have had.
                self._study.sampler = self._sampler(trial.number, place)
                values[each.name] = _suggested(trial, each)
            self._open[trial.number] = trial
            return Trial(trial.number, values)

    def report(self, number: int, step: int, figure: float) -> bool:
        """Notes a validation figure of an epoch; whether the trial is to be given up."""
        with self._lock, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a step told again, after a kill, is the same figure
            trial = self._open[number]
            trial.report(figure, step)
            return bool(trial.should_prune())

    def finish(self, number: int, value: float, seconds: float) -> None:
        """Ends a trial with its objective."""
        self._told(number, seconds, value=value)

    def prune(self, number: int, seconds: float) -> None:
        """Ends a trial that was given up."""
        self._told(number, seconds, state=self._optuna.trial.TrialState.PRUNED)

    def fail(self, number: int, seconds: float, why: str) -> None:
        """Ends a trial that has no figure; it is not done again."""
        with self._lock:
            self._open[number].set_user_attr(_WHY, why)
        self._told(number, seconds, state=self._optuna.trial.TrialState.FAIL)

    def trials(self) -> list[Trial]:
        """All trials that were begun, by number."""
        with self._lock:
            found = self._study.get_trials(deepcopy=False)
            return [self._as_trial(each) for each in found if each.state.name != "WAITING"]

    def close(self) -> None:
        """Lets go of the file."""
        self._study._storage.remove_session()

    def _wanted(self, n_trials: int | None) -> int:
        """How many trials there shall be; a grid has no more than its points."""
        if not self._grid:
            return n_trials or 0
        return len(self._grid) if n_trials is None else min(n_trials, len(self._grid))

    def _sampler(self, number: int, place: int) -> Any:
        """What draws the value of one parameter of one trial."""
        seeds = [self._sweep.seed, number, *([place] if place else [])]
        seed = int(np.random.SeedSequence(seeds).generate_state(1)[0])
        samplers = self._optuna.samplers
        return (
            samplers.TPESampler(seed=seed)
            if self._sweep.sampler == "tpe"
            else samplers.RandomSampler(seed=seed)
        )

    def _told(self, number: int, seconds: float, **outcome: Any) -> None:
        outcome = {"values": outcome["value"]} if "value" in outcome else outcome
        with self._lock:
            trial = self._open.pop(number)
            trial.set_user_attr(_SECONDS, seconds)
            self._study.tell(trial, **outcome)

    def _as_trial(self, frozen: Any) -> Trial:
        names = {"RUNNING": "running", "COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}
        state: Any = names[frozen.state.name]
        given = {
            p.name: _given(p, frozen.params[p.name])
            for p in self._sweep.parameters
            if p.name in frozen.params
        }
        value = frozen.value if state == "complete" else None
        attributes = frozen.user_attrs
        figures = dict(sorted(frozen.intermediate_values.items()))
        return Trial(
            frozen.number, given, state, value, figures, attributes.get(_SECONDS), attributes.get(_WHY, "")
        )


def _grid(parameters: Sequence[Parameter]) -> list[dict[str, Any]]:
    """All combinations, the last parameter fastest, as Optuna keeps them."""
    values = [[_stored(x) if each.choices else x for x in each.grid()] for each in parameters]
    names = [each.name for each in parameters]
    return [dict(zip(names, each, strict=True)) for each in itertools.product(*values)]


def trial_name(number: int) -> str:
    """Of a trial's run and folder."""
    return f"trial_{number:04d}"


def _imported() -> Any:
    try:
        import optuna  # noqa: PLC0415  # an extra
    except ImportError as error:
        raise ExperimentError(
            "experiment sweep needs Optuna, which is not installed: pip install 'mammo-monai[optuna]'."
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _suggested(trial: Any, parameter: Parameter) -> Any:
    """The value of a parameter; the one the trial has already, where a killed sweep had drawn it."""
    low, high = parameter.low, parameter.high
    if parameter.kind == "float":
        return trial.suggest_float(parameter.name, low, high, log=parameter.is_log)
    if parameter.kind == "int":
        return trial.suggest_int(
            parameter.name, int(low), int(high), step=parameter.step, log=parameter.is_log
        )
    return json.loads(
        trial.suggest_categorical(parameter.name, [_stored(each) for each in parameter.choices])
    )


def _given(parameter: Parameter, stored: Any) -> Any:
    return json.loads(stored) if parameter.kind == "categorical" else stored


def _stored(value: Any) -> str:
    """A choice as Optuna keeps it: text, so that lists and null can be chosen too."""
    return json.dumps(value, sort_keys=True)
