"""Runs an experiment: what is not finished, in processes, each in its folder; a failed run stops no other."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Literal

from mammo_monai.errors import MammoError
from mammo_monai.experiments.definition import PHANTOMS_PREFIX, ExperimentError
from mammo_monai.experiments.fold_run import FoldRun
from mammo_monai.experiments.folder import BusyError, RunFolder, State
from mammo_monai.experiments.head import Head, write_head
from mammo_monai.experiments.plan import Plan, PlannedRun
from mammo_monai.experiments.processes import COMMAND, Processes
from mammo_monai.files import write_json_atomic
from mammo_monai.schema.folds import write_folds

logger = logging.getLogger(__name__)

Outcome = Literal["done", "done before", "failed", "busy", "stopped"]
FOLDS_NAME = "folds.json"
NAMED_CHANGES = 4


@dataclass(frozen=True)
class Finished:
    """How one run on one fold came out; `message` says why where it is not done."""

    name: str
    fold: str
    outcome: Outcome
    message: str = ""


class Runner:
    """Runs a plan in a folder, resumable: finished runs are never done again, unfinished ones go on.

    Args:
        plan: what to do. out: `out/NAME/fold-K` holds each run.
        workers: runs at a time; see `worker_variables`.
        redo: a folder that holds another configuration of the run is cleared instead of refused.
        command: the program of a step.
    """

    def __init__(
        self,
        plan: Plan,
        out: Path,
        *,
        workers: int = 1,
        redo: bool = False,
        command: Sequence[str] = COMMAND,
    ) -> None:
        if workers < 1:
            raise ValueError(f"workers must be at least 1, got {workers}.")
        self.plan = plan
        self.out = Path(out)
        self.workers = workers
        self.redo = redo
        self.command = command
        self.stopping = threading.Event()
        self._variables: SimpleQueue[dict[str, str]] = SimpleQueue()
        for variables in worker_variables(workers, os.environ):
            self._variables.put(variables)

    def folder(self, planned: PlannedRun) -> RunFolder:
        """The folder of a run."""
        return RunFolder(self.out / planned.spec.name / f"fold-{planned.fold}")

    def run(self) -> list[Finished]:
        """Does what is not done, in the plan's order.

        Raises:
            ExperimentError: a folder holds another configuration and `redo` is False, or no run at all;
                nothing is begun then. OSError: the folder cannot be written.
        """
        self._refuse_changed()
        self._write_head()
        with ThreadPoolExecutor(self.workers) as pool:
            try:
                return list(pool.map(self._finish, self.plan.runs))
            except BaseException:  # Ctrl-C among them: the processes end before this one does
                self.stopping.set()
                pool.shutdown(cancel_futures=True)
                raise

    def _refuse_changed(self) -> None:
        for planned in self.plan.runs:
            folder = self.folder(planned)
            if folder.state(planned.config) is State.CHANGED and not self.redo:
                changes = folder.changes(planned.config)
                named = "; ".join(changes[:NAMED_CHANGES]) + ("; …" if len(changes) > NAMED_CHANGES else "")
                raise ExperimentError(
                    f"{planned.label}: {folder.path} holds this run with another configuration "
                    f"({named or 'done.json belongs to another one'}). Give the run another name, choose "
                    "another --out, or do it afresh with --redo."
                )

    def _write_head(self) -> None:
        experiment, folds = self.plan.experiment, self.plan.folds
        head = Head(
            experiment.name,
            experiment.description,
            {run.name: run.description for run in experiment.runs},
            tuple(fold.name for fold in folds.folds),
            is_phantom=any(each.startswith(PHANTOMS_PREFIX) for each in self.plan.manifest_names),
        )
        write_head(self.out, head)
        write_folds(self.out / FOLDS_NAME, folds)

    def _finish(self, planned: PlannedRun) -> Finished:
        """One run, its failure turned into an outcome."""
        folder = self.folder(planned)
        try:
            outcome, message = self._outcome(planned, folder), ""
        except BusyError as error:
            logger.warning("%s: passed over; %s", planned.label, error)
            outcome, message = "busy", str(error)
        except (MammoError, OSError, ValueError) as error:
            outcome, message = ("stopped" if self.stopping.is_set() else "failed"), str(error)
            logger.error("%s: %s: %s", planned.label, outcome, error)
            if outcome == "failed":
                _note_failure(folder, error)
        return Finished(planned.spec.name, planned.fold, outcome, message)

    def _outcome(self, planned: PlannedRun, folder: RunFolder) -> Outcome:
        if self.stopping.is_set():
            return "stopped"
        if folder.state(planned.config) is State.DONE:
            return "done before"
        with folder.locked() as lock:
            state = folder.state(planned.config)  # again: another process may have finished it meanwhile
            if state is State.DONE:
                return "done before"
            if state is State.CHANGED:
                folder.clear()  # only with --redo: `run` has refused it else
            if state is not State.BEGUN:
                folder.begin(planned.config)
            folder.remove_leftovers()
            folder.failed.unlink(missing_ok=True)
            variables = self._variables.get()
            try:
                processes = Processes(lock, self.stopping, variables, self.command)
                FoldRun(self.plan, planned, folder, processes.run).run()
            finally:
                self._variables.put(variables)
        return "done"


def worker_variables(workers: int, variables: Mapping[str, str]) -> list[dict[str, str]]:
    """What each worker's processes get: one GPU of CUDA_VISIBLE_DEVICES where it lists several, in turn, and
    an equal share of the processors' threads unless OMP_NUM_THREADS is set.

    >>> worker_variables(2, {"CUDA_VISIBLE_DEVICES": "0,1", "OMP_NUM_THREADS": "4"})
    [{'CUDA_VISIBLE_DEVICES': '0'}, {'CUDA_VISIBLE_DEVICES': '1'}]
    """
    given: list[dict[str, str]] = [{} for _ in range(workers)]
    if workers == 1:
        return given
    devices = [each for each in variables.get("CUDA_VISIBLE_DEVICES", "").split(",") if each]
    for n, each in enumerate(given):
        if "OMP_NUM_THREADS" not in variables:
            each["OMP_NUM_THREADS"] = str(max(1, (os.cpu_count() or 1) // workers))
        if len(devices) > 1:
            each["CUDA_VISIBLE_DEVICES"] = devices[n % len(devices)]
    return given


def _note_failure(folder: RunFolder, error: Exception) -> None:
    try:
        if folder.config.is_file():  # else the folder is not ours
            write_json_atomic(folder.failed, {"reason": str(error)})
    except OSError as unwritten:
        logger.error("%s", unwritten)
