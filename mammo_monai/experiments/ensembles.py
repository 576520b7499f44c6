"""What a plan says of its ensembles: their images, and everything that decides their result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mammo_monai.experiments.configuration import Config
from mammo_monai.experiments.field_checks import ExperimentError
from mammo_monai.experiments.run_data import DataSets, RunData
from mammo_monai.experiments.run_spec import RunSpec
from mammo_monai.records import Split


def data_of_runs(runs: Sequence[RunSpec], sets: DataSets) -> dict[str, RunData]:
    """The images of every run by its name; an ensemble's are those of its members.

    Raises:
        ExperimentError: members on other folds or images than the first; an ensemble that would be calibrated
            on no image, or on those it is scored on; and as `DataSets.of`.
    """
    data = {run.name: sets.of(run.data, f"run {run.name}") for run in runs if not run.members}
    for run in runs:
        if run.members:
            _check_members(run, data)
            data[run.name] = data[run.members[0]]
    return data


def _check_members(run: RunSpec, data: Mapping[str, RunData]) -> None:
    first, *others = run.members
    own = data[first]
    for other in others:
        theirs = data[other]
        if theirs.names != own.names or theirs.test_split is not own.test_split:
            raise ExperimentError(
                f"run {run.name}: it fuses {first}, done on {_told(own)}, with {other}, done on "
                f"{_told(theirs)}. Fuse runs on the same folds."
            )
        if theirs.scored_sha256 != own.scored_sha256:
            raise ExperimentError(
                f"run {run.name}: {first} and {other} are scored on different images, so their detections "
                "cannot be fused. Give both the same manifest and folds."
            )
    if run.fuse is not None and run.fuse.is_calibrated:
        _check_calibration(run, data)


def _check_calibration(run: RunSpec, data: Mapping[str, RunData]) -> None:
    for member in run.members:
        own = data[member]
        if own.test_split is Split.VALIDATION:
            raise ExperimentError(
                f"run {run.name}: {member} is scored on its validation list, on which its scores would be "
                'calibrated too. Score the test list ("test_split": "test"), or say "calibrated": false.'
            )
        empty = [fold for fold in own.names if not own.manifest(fold).images(Split.VALIDATION)]
        if empty:
            raise ExperimentError(
                f"run {run.name}: fold {empty[0]} of {member} has no validation image to calibrate its "
                "scores on. Make the folds with a validation fraction above 0, or fuse the raw scores on "
                'purpose: "calibrated": false.'
            )


def _told(data: RunData) -> str:
    return f"folds {', '.join(data.names)} ({data.test_split.value} list)"


def ensemble_config(spec: RunSpec, members: Mapping[str, Config], base: Config) -> Config:
    """Everything that decides the result of an ensemble but its members' detections; see `fused_config`.

    Args:
        members: configurations of its members, for the bundles' names.
        base: rule, stage and inputs, as every run has them.
    """
    fuse = {} if spec.fuse is None else spec.fuse.describe()
    bundles = dict.fromkeys(str(members[name]["bundle"]) for name in spec.members)
    inputs = {**base["inputs"], "init": "", "init_sha256": ""}
    return {
        **base,
        "bundle": f"ensemble of {', '.join(bundles)}",
        "is_trained": False,
        "budget_iterations": None,
        "training": {},
        "prediction": {},
        "fuse": fuse,
        "inputs": inputs,
    }


def fused_config(config: Config, members: Mapping[str, Mapping[str, Any]]) -> Config:
    """The configuration with the hashes of its members' results: other detections, another ensemble.

    Args:
        members: content of done.json by the member's name.
    """
    kept = ("config_sha256", "weights_sha256", "detections_sha256")
    hashes = {name: {key: done.get(key) for key in kept} for name, done in members.items()}
    return {**config, "inputs": {**config["inputs"], "members": hashes}}
