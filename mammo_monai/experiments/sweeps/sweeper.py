"""Does a sweep: each trial an ordinary run of the runner, several at a time, resumable after a kill."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from mammo_monai.errors import ManifestError
from mammo_monai.experiments.configuration import changes_between
from mammo_monai.experiments.field_checks import ExperimentError
from mammo_monai.experiments.folder import RunFolder
from mammo_monai.experiments.plan import Choice, Plan, make_plan
from mammo_monai.experiments.runner import Runner
from mammo_monai.experiments.schedule import Finished
from mammo_monai.experiments.sweeps.definition import Sweep
from mammo_monai.experiments.sweeps.held_back import hashes_of, manifest_files, without_test_lists
from mammo_monai.experiments.sweeps.pruning import Watch
from mammo_monai.experiments.sweeps.study import Study, Trial
from mammo_monai.experiments.workers import gpu_count, worker_variables
from mammo_monai.files import write_json_atomic
from mammo_monai.schema import read_metrics
from mammo_monai.schema.fields import load_json

logger = logging.getLogger(__name__)

SWEEP_SCHEMA = "mammo-monai/sweep/1"
SWEEP_FILE, DATA_FOLDER = "sweep.json", "data"
HOPELESS = 3  # trials that fail before any is complete: the sweep is at fault, not its values


class Sweeper:
    """Does the trials of a sweep that are not done, in a folder that `experiment table` reads too.

    Args:
        sweep: what to do. out: `out/trial_NNNN/fold-K` holds each run, `out/study.db` what was tried.
        manifests: instead of the file's. n_trials: instead of the file's.
        workers: trials at a time; see `worker_variables`.

    Raises:
        ValueError: less than one worker or one trial.
    """

    def __init__(
        self,
        sweep: Sweep,
        out: Path,
        *,
        manifests: Sequence[str] = (),
        n_trials: int | None = None,
        workers: int = 1,
    ) -> None:
        if workers < 1:
            raise ValueError(f"workers must be at least 1, got {workers}.")
        if n_trials is not None and n_trials < 1:
            raise ValueError(f"trials must be at least 1, got {n_trials}.")
        self.sweep = sweep
        self.out = Path(out)
        self.names = tuple(manifests) or sweep.manifests
        self.n_trials = n_trials or sweep.n_trials
        self.workers = workers
        self.stopping = threading.Event()
        self._runners: list[Runner] = []
        self._files: list[Path] = []
        self._variables: SimpleQueue[dict[str, str]] = SimpleQueue()
        for each in worker_variables(workers, os.environ, gpu_count):
            self._variables.put(each)

    def run(self) -> list[Trial]:
        """Does what is not done; all trials, by number.

        Raises:
            ExperimentError: the folder holds another sweep, a run that trials start from failed, or the first
                trials all fail. OSError: the folder cannot be written.
        """
        with RunFolder(self.out).locked():
            sources = manifest_files(self.names)
            self._refuse_other(hashes_of(sources))
            self._files = without_test_lists(sources, self.out / DATA_FOLDER)
            self._do_parents()
            study = Study(self.out, self.sweep)
            try:
                self._do_trials(study)
                return study.trials()
            finally:
                study.close()

    def plan(self, trials: Mapping[str, Mapping[str, Any]], only: Sequence[str]) -> Plan:
        """The plan of some trials, on manifests without test lists.

        Raises:
            ExperimentError, ManifestError: see `make_plan`.
        """
        manifests = tuple(str(each) for each in self._files)
        made = make_plan(self.sweep.experiment(trials), Choice(only=tuple(only), manifests=manifests))
        return replace(made, manifest_names=self.names)  # whether they are phantoms is told by the name

    def _do_parents(self) -> None:
        if not self.sweep.parents:
            return
        plan = self.plan({}, self.sweep.parents)
        failed = [each for each in self._runner(plan, self.workers).run() if not each.is_done]
        if failed:
            raise ExperimentError(f"what every trial starts from is not done: {failed[0].as_line()}")

    def _do_trials(self, study: Study) -> None:
        with ThreadPoolExecutor(self.workers) as pool:
            futures = [pool.submit(self._work, study) for _ in range(self.workers)]
            try:
                for future in futures:
                    future.result()
            except BaseException:
                self._stop()
                raise
        trials = study.trials()
        if trials:
            told = {each.name: each.values for each in trials}
            self._runner(self.plan(told, [trials[-1].name]), 1).write_head()  # threads may have missed some

    def _work(self, study: Study) -> None:
        """One thread: trial after trial until there are enough."""
        try:
            while not self.stopping.is_set() and (trial := study.next(self.n_trials)) is not None:
                logger.info("%s: %s", trial.name, json.dumps(dict(trial.values)))
                self._do(study, trial)
                self._refuse_hopeless(study.trials())
        except BaseException:
            self._stop()
            raise

    def _do(self, study: Study, trial: Trial) -> None:
        start = time.monotonic()
        plan = self.plan({each.name: each.values for each in study.trials()}, [trial.name])
        variables = self._variables.get()
        runner = self._runner(plan, 1, [variables])
        folders = [runner.folder(each.key) for each in plan.runs if each.spec.name == trial.name]
        watch = Watch(study, trial.number, folders, runner.stopping)
        try:
            with watch.watching(self.sweep.pruner != "none"):
                finished = [each for each in runner.run() if each.name == trial.name]
        finally:
            self._variables.put(variables)
            self._runners.remove(runner)
        if not self.stopping.is_set():
            self._note(
                study, trial, finished, folders, is_pruned=watch.is_pruned, seconds=time.monotonic() - start
            )

    def _note(
        self,
        study: Study,
        trial: Trial,
        finished: Sequence[Finished],
        folders: Sequence[RunFolder],
        *,
        is_pruned: bool,
        seconds: float,
    ) -> None:
        left = next((each for each in finished if not each.is_done), None)
        if left is not None and is_pruned:
            study.prune(trial.number, seconds)
            logger.info("%s: given up, below the median of the others", trial.name)
        elif left is None:
            try:
                value = self.sweep.objective.value([dict(read_metrics(each.metrics)) for each in folders])
            except (ExperimentError, ManifestError) as error:
                study.fail(trial.number, seconds, str(error))
                logger.error("%s: %s", trial.name, error)
                return
            study.finish(trial.number, value, seconds)
            logger.info("%s: %s %.4f", trial.name, self.sweep.objective.text, value)
        elif left.outcome == "busy":
            raise ExperimentError(left.message)
        else:
            study.fail(trial.number, seconds, left.message)

    def _runner(self, plan: Plan, workers: int, variables: Sequence[dict[str, str]] | None = None) -> Runner:
        runner = Runner(plan, self.out, workers=workers, variables=variables)
        self._runners.append(runner)
        return runner

    def _refuse_hopeless(self, trials: Sequence[Trial]) -> None:
        failed = [each for each in trials if each.state == "failed"]
        if len(failed) >= HOPELESS and not any(each.state in ("complete", "pruned") for each in trials):
            raise ExperimentError(
                f"{self.out}: the first {len(failed)} trials failed, the last with: {failed[-1].why} Mend "
                "it, then sweep into another --out."
            )

    def _stop(self) -> None:
        """Lets every process under way end; their trials go on with the next command."""
        self.stopping.set()
        for each in list(self._runners):
            each.stopping.set()

    def _refuse_other(self, manifest_sha256: Sequence[str]) -> None:
        """Notes which sweep the folder is of, or refuses another one's.

        Raises:
            ExperimentError: names what differs.
        """
        definition = {
            "content": {name: each for name, each in self.sweep.content.items() if name != "description"},
            "run": self.sweep.base,
            "parameters": [asdict(each) for each in self.sweep.parameters],
            "objective": asdict(self.sweep.objective),
            **{name: getattr(self.sweep, name) for name in ("sampler", "pruner", "seed")},
            "manifest_sha256": list(manifest_sha256),
        }
        asked = json.loads(json.dumps({"schema": SWEEP_SCHEMA, **definition}))
        path = self.out / SWEEP_FILE
        if not path.is_file():
            write_json_atomic(path, asked)
            return
        try:
            there = dict(load_json(path, SWEEP_SCHEMA))
        except ManifestError as error:
            raise ExperimentError(f"{error} Move the folder away, or give another --out.") from error
        if changes := changes_between(there, asked):
            raise ExperimentError(
                f"{self.out}: holds another sweep ({'; '.join(changes[:4])}). Trials of two sweeps do not "
                "compare: choose another --out. Only the number of trials may change."
            )
