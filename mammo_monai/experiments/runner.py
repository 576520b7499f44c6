"""Runs an experiment: what is not finished, in processes, each in its folder; a failed run stops no other."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Protocol

from mammo_monai.errors import MammoError
from mammo_monai.experiments.data_request import ONCE, PHANTOMS_PREFIX
from mammo_monai.experiments.ensemble_run import EnsembleRun
from mammo_monai.experiments.field_checks import ExperimentError
from mammo_monai.experiments.fold_run import FoldRun
from mammo_monai.experiments.folder import BusyError, RunFolder, State
from mammo_monai.experiments.head import HEAD_NAME, Head, HeadRun, read_head, write_head
from mammo_monai.experiments.plan import Key, Plan, PlannedRun, label_of
from mammo_monai.experiments.processes import COMMAND, Processes
from mammo_monai.experiments.schedule import Finished, Outcome, Schedule
from mammo_monai.experiments.workers import gpu_count, worker_variables
from mammo_monai.files import in_words, write_json_atomic
from mammo_monai.schema.folds import Folds, write_folds

logger = logging.getLogger(__name__)

FOLDS_NAME = "folds.json"
NAMED_CHANGES = 4


class ChangedError(ExperimentError):
    """A folder holds the run with another configuration."""


class Tracker(Protocol):
    """Is told of runs as they come out; it may never raise."""

    def log_run(self, planned: PlannedRun, folder: RunFolder) -> None:
        """Notes a finished run."""

    def close(self, out: Path) -> None:
        """Ends the log; `out` holds all runs."""


class Runner:
    """Runs a plan in a folder, resumable: finished runs are never done again, unfinished ones go on.

    Args:
        plan: what to do. out: `out/NAME/fold-K` holds each run.
        workers: runs at a time; see `worker_variables`.
        redo: a folder that holds another configuration of the run is cleared instead of refused.
        command: the program of a step.
        tracker: is told of every finished run.
        variables: of the environment that steps get, one set per worker; None: see `worker_variables`.

    Raises:
        ValueError: less than one worker.
    """

    def __init__(
        self,
        plan: Plan,
        out: Path,
        *,
        workers: int = 1,
        redo: bool = False,
        command: Sequence[str] = COMMAND,
        tracker: Tracker | None = None,
        variables: Sequence[dict[str, str]] | None = None,
    ) -> None:
        if workers < 1:
            raise ValueError(f"workers must be at least 1, got {workers}.")
        self.plan = plan
        self.out = Path(out)
        self.workers = workers
        self.redo = redo
        self.command = command
        self.tracker = tracker
        self.stopping = threading.Event()
        self._variables: SimpleQueue[dict[str, str]] = SimpleQueue()
        for each in worker_variables(workers, os.environ, gpu_count) if variables is None else variables:
            self._variables.put(each)

    def folder(self, key: Key) -> RunFolder:
        """The folder of a run on a fold."""
        name, fold = key
        return RunFolder(self.out / name / f"fold-{fold}")

    def run(self) -> list[Finished]:
        """Does what is not done, in the plan's order; each run after the one it starts from.

        Raises:
            ExperimentError: a folder holds another configuration and `redo` is False, or no run at all;
                nothing is begun then. OSError: the folder cannot be written.
        """
        self._refuse_changed()
        self._warn_of_another()
        self.write_head()
        schedule = Schedule(self._finish, self._tell, self.stopping.set)
        finished = schedule.perform(self.plan.runs, workers=self.workers)
        if self.tracker is not None:
            self.tracker.close(self.out)
        return finished

    def _refuse_changed(self) -> None:
        unfinished: set[Key] = set()
        for planned in self.plan.runs:
            folder = self.folder(planned.key)
            missing = [key for key in planned.needs if key in unfinished]
            if missing:
                unfinished.add(planned.key)
                self._refuse_without(planned, folder, missing[0])
                continue
            started = self._started(planned)
            state = folder.state(started.config)
            if state is not State.DONE:
                unfinished.add(planned.key)
            if state is State.CHANGED and not self.redo:
                raise _changed(started, folder)

    def _warn_of_another(self) -> None:
        """Says that the folder told of another experiment, whose runs no table of it will show."""
        with suppress(ExperimentError):  # none there, or one that cannot be read
            before, now = read_head(self.out).name, self.plan.experiment.name
            if before != now:
                logger.warning(
                    "%s held the experiment %s: its runs stay, but %s now tells of %s alone, and so do table "
                    "and report. Give each experiment its own --out.",
                    self.out,
                    before,
                    HEAD_NAME,
                    now,
                )

    def _refuse_without(self, planned: PlannedRun, folder: RunFolder, missing: Key) -> None:
        """A run begun from weights or detections that are to be made anew would be another one afterwards."""
        if folder.stored_config() is not None and not self.redo:
            what = "fused from detections of" if planned.members else "started from weights of"
            raise ChangedError(
                f"{planned.label}: {folder.path} holds this run, {what} {label_of(missing)} that are no "
                "longer finished there. Put them back, choose another --out, or do both afresh with --redo."
            )

    def _started(self, planned: PlannedRun) -> PlannedRun:
        """The run with the hash of its parent's weights, or of its members' results; they are finished."""
        if planned.members:
            return planned.fused({key[0]: self.folder(key).read_done() for key in planned.members})
        if planned.parent is None:
            return planned
        return planned.started(self.folder(planned.parent).read_done()["weights_sha256"])

    def write_head(self) -> None:
        """Writes what a table needs to name and order the runs, and the folds."""
        experiment, data = self.plan.experiment, self.plan.data
        n_manifests = len(self.plan.manifest_names)
        runs = tuple(
            HeadRun(
                run.name,
                run.description,
                data[run.name].names,
                data[run.name].scored_text(n_manifests),
                data[run.name].scored_sha256,
                run.table,
                run.row,
            )
            for run in experiment.runs
        )
        folds = dict.fromkeys(name for each in runs for name in each.folds if name != ONCE)
        is_phantom = any(each.startswith(PHANTOMS_PREFIX) for each in self.plan.manifest_names) or any(
            manifest.is_phantom for each in data.values() for manifest in each.manifests.values()
        )
        head = Head(experiment.name, experiment.description, runs, tuple(folds), is_phantom=is_phantom)
        write_head(self.out, head)
        for name, made in self._folds_by_file():
            write_folds(self.out / name, made)

    def _folds_by_file(self) -> list[tuple[str, Folds]]:
        """Each kind of folds with its file: folds.json, or one per kind, called after its first run."""
        first: dict[str, tuple[str, Folds]] = {}
        for name, data in self.plan.data.items():
            if data.folds is not None:
                first.setdefault(data.folds.sha256, (name, data.folds))
        if len(first) == 1:
            return [(FOLDS_NAME, made) for _, made in first.values()]
        return [(f"folds-{name}.json", made) for name, made in first.values()]

    def _tell(self, planned: PlannedRun, finished: Finished) -> None:
        if self.tracker is not None and finished.is_done:
            self.tracker.log_run(planned, self.folder(planned.key))

    def _finish(self, planned: PlannedRun) -> Finished:
        """One run, its failure turned into an outcome."""
        folder = self.folder(planned.key)
        try:
            outcome, message = self._outcome(planned, folder), ""
        except BusyError as error:
            logger.warning("%s: passed over; %s", planned.label, error)
            outcome, message = "busy", str(error)
        except (MammoError, OSError, ValueError) as error:
            outcome, message = ("stopped" if self.stopping.is_set() else "failed"), in_words(error)
            logger.error("%s: %s: %s", planned.label, outcome, message)
            if outcome == "failed" and not isinstance(error, ChangedError):
                _note_failure(folder, error)
        return Finished(*planned.key, outcome, message)

    def _outcome(self, planned: PlannedRun, folder: RunFolder) -> Outcome:
        if self.stopping.is_set():
            return "stopped"
        planned = self._started(planned)
        if folder.state(planned.config) is State.DONE:
            return "done before"
        with folder.locked() as lock:
            state = folder.state(planned.config)  # again: another process may have finished it meanwhile
            if state is State.DONE:
                return "done before"
            if state is State.CHANGED:
                if not self.redo:  # its parent has been trained anew meanwhile
                    raise _changed(planned, folder)
                folder.clear()
            if state is not State.BEGUN:
                folder.begin(planned.config)
            folder.remove_leftovers()
            folder.failed.unlink(missing_ok=True)
            self._do(planned, folder, lock)
        return "done"

    def _do(self, planned: PlannedRun, folder: RunFolder, lock: int) -> None:
        parent = None if planned.parent is None else self.folder(planned.parent)
        variables = self._variables.get()
        try:
            start = Processes(lock, self.stopping, variables, self.command).run
            if planned.members:
                EnsembleRun(self.plan, planned, folder, start, self._members(planned)).run()
            else:
                FoldRun(self.plan, planned, folder, start, parent).run()
        finally:
            self._variables.put(variables)

    def _members(self, planned: PlannedRun) -> dict[str, FoldRun]:
        """The finished runs that an ensemble fuses, by name; nothing starts through them."""
        found = {}
        for key in planned.members:
            member = self.plan.planned(key)
            parent = None if member.parent is None else self.folder(member.parent)
            found[key[0]] = FoldRun(self.plan, self._started(member), self.folder(key), _not_started, parent)
        return found


def _not_started(line: str, log: Path) -> None:
    raise ExperimentError(f"{log}: a finished member is not run again; its ensemble asked for it.")


def _changed(planned: PlannedRun, folder: RunFolder) -> ChangedError:
    changes = folder.changes(planned.config)
    named = "; ".join(changes[:NAMED_CHANGES]) + ("; …" if len(changes) > NAMED_CHANGES else "")
    return ChangedError(
        f"{planned.label}: {folder.path} holds this run with another configuration "
        f"({named or 'done.json belongs to another one'}). Give the run another name, choose "
        "another --out, or do it afresh with --redo."
    )


def _note_failure(folder: RunFolder, error: Exception) -> None:
    try:
        if folder.config.is_file():  # else the folder is not ours
            write_json_atomic(folder.failed, {"reason": in_words(error)})
    except OSError as unwritten:
        logger.error("%s", in_words(unwritten))
