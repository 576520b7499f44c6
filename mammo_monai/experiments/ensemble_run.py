"""One ensemble on one fold: its members' scores calibrated, their detections fused and scored."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mammo_monai.errors import UndefinedMetricError
from mammo_monai.experiments.attempts import Attempts
from mammo_monai.experiments.environment import environment
from mammo_monai.experiments.field_checks import ExperimentError
from mammo_monai.experiments.fold_run import FoldRun
from mammo_monai.experiments.folder import DONE_SCHEMA, RunFolder
from mammo_monai.experiments.fuse_spec import FuseSpec
from mammo_monai.experiments.plan import Plan, PlannedRun
from mammo_monai.experiments.step_request import PREDICTION
from mammo_monai.files import sha256_of, write_json_atomic
from mammo_monai.inference import Member, fuse_members
from mammo_monai.inference.fusion_calibration import MemberCalibration, points_calibration
from mammo_monai.metrics import CALIBRATED_FPPI, calibrate_files, score_files
from mammo_monai.records import Split
from mammo_monai.schema import read_detections, write_detections, write_manifest

logger = logging.getLogger(__name__)
FUSION = "fusion"


@dataclass(frozen=True)
class EnsembleRun:
    """An ensemble on one fold, in a folder that holds its configuration and is locked.

    Attributes:
        start: runs a step's line in a process, its output into a log; raises where it fails.
        members: the finished runs that it fuses, by name.
    """

    plan: Plan
    planned: PlannedRun
    folder: RunFolder
    start: Callable[[str, Path], None]
    members: Mapping[str, FoldRun]

    def run(self) -> None:
        """Does what is missing: calibrations that are learned are not learned again.

        Raises:
            MammoError, OSError, ValueError: a step or the fusion failed, or a file cannot be written; what is
                finished is kept.
        """
        attempts = Attempts(self.folder.attempts)
        attempts.close_killed()
        if not self.folder.manifest.is_file():
            write_manifest(self.folder.manifest, self.plan.manifest(self.planned))
        members = [self._member(name, attempts) for name in self.members]
        with attempts.timed(FUSION):
            fused = fuse_members(members, self._fuse.rule, is_calibrated=self._fuse.is_calibrated)
            write_detections(self.folder.detections, fused.detections, fused.model)
        write_json_atomic(self.folder.environment, {FUSION: environment()})
        metrics = score_files(
            self.folder.detections,
            self.folder.manifest,
            self.folder.metrics,
            split=self.planned.test_split.value,
            rule=self.plan.experiment.rule,
        )
        told = {**self._summary(attempts, metrics), "calibrated": fused.model["fusion"]["calibrated"]}
        write_json_atomic(self.folder.done, told)
        logger.info("%s: done", self.planned.label)

    @property
    def _fuse(self) -> FuseSpec:
        if self.planned.spec.fuse is None:
            raise ExperimentError(f"{self.planned.label}: expected an ensemble, got a run of a bundle.")
        return self.planned.spec.fuse

    def _member(self, name: str, attempts: Attempts) -> Member:
        """A member with its detections of the scored list, which must be those its done.json tells of."""
        folder = self.members[name].folder
        expected = self.planned.config["inputs"]["members"][name]["detections_sha256"]
        found = sha256_of(folder.detections) if folder.detections.is_file() else "missing"
        if found != expected:
            raise ExperimentError(
                f"{folder.detections}: not the detections that the member's done.json tells of (SHA-256 "
                f"{expected[:16]}…, found {found[:16]}). Do the member again: remove its folder, and give "
                "--redo."
            )
        member = Member(name, read_detections(folder.detections), str(folder.detections), found)
        if not self._fuse.is_calibrated or not member.marks_places:
            return member
        return replace(member, calibration=self._calibration(name, attempts))

    def _calibration(self, name: str, attempts: Attempts) -> MemberCalibration:
        """Of a member's scores, learned on the validation list of the fold."""
        member, folder = self.members[name], self.folder.path / "calibration" / name
        step = member.prediction(folder, Split.VALIDATION)
        detections = folder / "detections.json"
        if not Path(step.report).is_file():
            logger.info("%s: %s predicts the validation list", self.planned.label, name)
            folder.mkdir(parents=True, exist_ok=True)
            with attempts.timed(f"{PREDICTION} {name}"):
                self.start(step.as_line(), self.folder.log(f"calibration-{name}"))
        rule = replace(self.plan.experiment.rule, fppi=CALIBRATED_FPPI)
        try:
            found = calibrate_files([detections], member.folder.manifest, split=Split.VALIDATION, rule=rule)
        except UndefinedMetricError as error:
            raise ExperimentError(
                f"{self.planned.label}: the scores of {name} cannot be calibrated on the validation list: "
                f'{error} Or fuse the raw scores on purpose: "calibrated": false.'
            ) from error
        return points_calibration(found.points, {"split": Split.VALIDATION.value})

    def _summary(self, attempts: Attempts, metrics: Mapping[str, Any]) -> dict[str, Any]:
        """done.json: parameters and seconds per image are the sums of the members'."""
        done = [each.folder.read_done() for each in self.members.values()]
        inputs = self.planned.config["inputs"]
        return {
            "schema": DONE_SCHEMA,
            "config_sha256": self.planned.sha256,
            "weights_sha256": None,
            "detections_sha256": sha256_of(self.folder.detections),
            "fold_manifest_sha256": sha256_of(self.folder.manifest),
            **{name: inputs[name] for name in ("manifest_sha256", "folds_sha256", "init", "init_sha256")},
            "seed": None,
            "epochs": None,
            "iterations": None,
            "training_s": None,
            "prediction_s": attempts.seconds(FUSION),
            "seconds_per_image": _sum(done, "seconds_per_image"),
            "n_parameters": _sum(done, "n_parameters"),
            "mean_sensitivity": metrics["mean_sensitivity"]["value"],
        }


def _sum(done: list[dict[str, Any]], name: str) -> Any:
    """Over the members; None where one does not say."""
    values = [each.get(name) for each in done]
    return None if None in values else sum(value for value in values if value is not None)
