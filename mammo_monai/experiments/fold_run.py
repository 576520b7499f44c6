"""One run on one fold, from its configuration to done.json: training, prediction, scoring."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mammo_monai.bundle.find import find_bundle
from mammo_monai.bundle.lineage import resolve_init
from mammo_monai.bundle.run import path_value
from mammo_monai.experiments.attempts import Attempts
from mammo_monai.experiments.configuration import prediction_overrides
from mammo_monai.experiments.field_checks import ExperimentError
from mammo_monai.experiments.folder import DONE_SCHEMA, RunFolder
from mammo_monai.experiments.plan import Plan, PlannedRun
from mammo_monai.experiments.step_request import PREDICTION, TRAINING, Step
from mammo_monai.files import sha256_of, write_json_atomic
from mammo_monai.metrics import score_files
from mammo_monai.records import Split
from mammo_monai.schema import write_manifest
from mammo_monai.schema.json_text import read_json

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FoldRun:
    """One run on one fold, in a folder that holds its configuration and is locked.

    Attributes:
        start: runs a step's line in a process, its output into a log; raises where it fails.
        parent: the folder of the finished run whose weights it starts from.
    """

    plan: Plan
    planned: PlannedRun
    folder: RunFolder
    start: Callable[[str, Path], None]
    parent: RunFolder | None = None

    def run(self) -> None:
        """Does what is missing; a finished training is not repeated, an unfinished one resumes by itself.

        Raises:
            MammoError, OSError: a step failed, or a file cannot be written; what is finished is kept.
        """
        self._check_parent()
        attempts = Attempts(self.folder.attempts)
        attempts.close_killed()
        if not self.folder.manifest.is_file():
            write_manifest(self.folder.manifest, self.plan.manifest(self.planned))
        if self.planned.spec.is_trained and not self.folder.report(TRAINING).is_file():
            self._do(self._training(), attempts)
        if not self.folder.report(PREDICTION).is_file():
            self._do(self.prediction(self.folder.path, self.planned.test_split), attempts)
        metrics = score_files(
            self.folder.detections,
            self.folder.manifest,
            self.folder.metrics,
            split=self.planned.test_split.value,
            rule=self.plan.experiment.rule,
        )
        # Three times the weights, and never needed again; after done.json nobody would come by to remove it.
        self.folder.checkpoint.unlink(missing_ok=True)
        write_json_atomic(self.folder.done, self._summary(attempts, metrics))
        logger.info("%s: done", self.planned.label)

    @property
    def weights(self) -> Path:
        """What predicts: the trained weights, or those that a run without training names."""
        if self.planned.spec.is_trained:
            return self.folder.weights
        if self.parent is not None:
            return self.parent.weights
        init = self.planned.spec.overrides.get("init", self.planned.config["training"]["init"])
        return Path(resolve_init(str(init), find_bundle(self.planned.spec.bundle)))

    def _check_parent(self) -> None:
        """Refuses weights that are not those the parent was finished with: the configuration names them."""
        if self.parent is None:
            return
        expected = self.planned.config["inputs"]["init_sha256"]
        found = sha256_of(self.parent.weights) if self.parent.weights.is_file() else "missing"
        if found != expected:
            raise ExperimentError(
                f"{self.parent.weights}: not the weights that the parent's done.json tells of (SHA-256 "
                f"{expected[:16]}…, found {found[:16]}). Do the parent again: remove its folder, "
                "and give --redo."
            )

    def _do(self, step: Step, attempts: Attempts) -> None:
        logger.info("%s: %s", self.planned.label, step.kind)
        with attempts.timed(step.kind):
            self.start(step.as_line(), self.folder.log(step.kind))

    def _training(self) -> Step:
        overrides = {**self.planned.spec.overrides, **self._common()}
        init = self.planned.spec.overrides.get("init")
        if self.parent is not None:
            overrides["init"] = path_value(self.parent.weights)
        elif isinstance(init, str) and Path(init).exists():
            overrides["init"] = path_value(init)
        budget = self.plan.experiment.budget_iterations
        return replace(self._step(TRAINING, overrides), budget_iterations=budget)

    def prediction(self, folder: Path, split: Split) -> Step:
        """The step that predicts a list of the fold with this run's weights, into a folder."""
        overrides = {
            **prediction_overrides(self.planned.spec, self.planned.label),
            **self._common(),
            "eval_dir": path_value(folder),
            "weights": path_value(self.weights),
            "split": split.value,
        }
        step = self._step(PREDICTION, overrides)
        if folder == self.folder.path:
            return step
        return replace(
            step, report=str(folder / "prediction.json"), environment=str(folder / "environment.json")
        )

    def _step(self, kind: str, overrides: Mapping[str, Any]) -> Step:
        spec = self.planned.spec
        places = str(self.folder.report(kind)), str(self.folder.environment)
        return Step(kind, str(find_bundle(spec.bundle)), overrides, *places, is_trusted=spec.is_trusted)

    def _common(self) -> dict[str, Any]:
        return {
            "manifest": path_value(self.folder.manifest),
            "output_dir": path_value(self.folder.weights_folder),
        }

    def _summary(self, attempts: Attempts, metrics: Mapping[str, Any]) -> dict[str, Any]:
        training, prediction = (_report(self.folder.report(kind)) for kind in (TRAINING, PREDICTION))
        inputs = self.planned.config["inputs"]
        return {
            "schema": DONE_SCHEMA,
            "config_sha256": self.planned.sha256,
            "weights_sha256": sha256_of(self.weights),
            "detections_sha256": sha256_of(self.folder.detections),
            "fold_manifest_sha256": sha256_of(self.folder.manifest),
            **{name: inputs[name] for name in ("manifest_sha256", "folds_sha256", "init", "init_sha256")},
            "seed": self.planned.config["training"].get("seed"),
            "epochs": training.get("epochs"),
            "iterations": training.get("iterations"),
            "training_s": attempts.seconds(TRAINING) if training else None,
            "prediction_s": attempts.seconds(PREDICTION),
            "seconds_per_image": prediction.get("seconds_per_image"),
            "n_parameters": prediction.get("n_parameters"),
            "mean_sensitivity": metrics["mean_sensitivity"]["value"],
        }


def _report(path: Path) -> dict[str, Any]:
    return dict(read_json(path, "what a step reported", ExperimentError)) if path.is_file() else {}
