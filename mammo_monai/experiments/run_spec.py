"""One row of an experiment file: a bundle with overrides, the images it sees, and where it starts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mammo_monai.experiments.data_request import DataRequest, data_request
from mammo_monai.experiments.field_checks import (
    ExperimentError,
    Json,
    read_flag,
    read_name,
    read_text,
    reject_unknown,
)
from mammo_monai.experiments.fuse_spec import FuseSpec, fuse_spec

FROM_RUN = "run:"
_FIELDS = {"name", "description", "bundle", "overrides", "predict_overrides", "train"}
_FIELDS |= {"manifest", "folds", "stage", "test_split", "table", "row"}
_ENSEMBLE_FIELDS = {"name", "description", "fuse", "table", "row"}
# What the runner itself decides: another value would break what a run's folder promises.
_RESERVED = ("bundle_root", "dataset_dir", "manifest", "output_dir", "resume", "eval_dir", "weights", "split")
_WEIGHTS_ENDINGS = (".safetensors", ".pt", ".pth")


@dataclass(frozen=True)
class RunSpec:
    """One row of an experiment: a bundle with overrides.

    Attributes:
        name: of its folder: letters, digits, `_ . -`.
        bundle: empty for an ensemble.
        overrides: ids of train.json and values, those of the whole experiment first.
        predict_overrides: ids of train.json with evaluate.json over it, for prediction alone.
        is_trained: False predicts with the weights that `init` names, as they are.
        data: the images it sees, where they are others than the experiment's.
        table, row: which row of which published table it reproduces, such as "P0-VI" and "0.00001".
        fuse: the runs whose detections it fuses; None for a run of a bundle. An ensemble sees the images of
            its members and is not trained.
        is_trusted: its bundle runs though it does more than is known; said on the command line, never by the
            file, and no part of what decides the result.
    """

    name: str
    bundle: str
    description: str = ""
    overrides: Json = field(default_factory=dict)
    predict_overrides: Json = field(default_factory=dict)
    is_trained: bool = True
    data: DataRequest = field(default_factory=DataRequest)
    table: str = ""
    row: str = ""
    fuse: FuseSpec | None = None
    is_trusted: bool = False

    @property
    def members(self) -> tuple[str, ...]:
        """Names of the runs that it fuses; none for a run of a bundle."""
        return () if self.fuse is None else self.fuse.runs

    @property
    def parent(self) -> str | None:
        """The run of the same experiment whose weights it starts from; None where it starts elsewhere.

        >>> RunSpec("two_stage", "a_bundle", overrides={"init": "run:stage_one"}).parent
        'stage_one'
        """
        init = self.overrides.get("init")
        is_run = isinstance(init, str) and init.startswith(FROM_RUN)
        return str(init).removeprefix(FROM_RUN) if is_run else None


def run_spec(where: str, row: object, content: Json, common: Json, folder: Path) -> RunSpec:
    """The run of a row.

    Args:
        where: stands before every message. content: the whole file, for its bundle and predict_overrides.
        common: overrides of all runs. folder: relative paths start here.

    Raises:
        ExperimentError: an unknown or wrong field, or an override of what the runner decides.
    """
    if not isinstance(row, dict):
        raise ExperimentError(f"{where}: expected an object with name and overrides, got {row!r:.80}.")
    name = read_name(where, row.get("name"))
    where = f"{where} ({name})"
    if "fuse" in row:
        return _ensemble(where, row, name)
    reject_unknown(where, row, _FIELDS)
    bundle = read_text(where, row, "bundle") or read_text(where, content, "bundle")
    if bundle is None:
        raise ExperimentError(f"{where}: bundle must be named, here or for the whole experiment.")
    shared = overrides_of(where, content, "predict_overrides")
    run = RunSpec(
        name=name,
        bundle=bundle,
        description=read_text(where, row, "description") or "",
        overrides={**common, **overrides_of(where, row, "overrides")},
        predict_overrides={**shared, **overrides_of(where, row, "predict_overrides")},
        is_trained=read_flag(where, row, "train", True),
        data=data_request(where, row, folder),
        table=read_text(where, row, "table") or "",
        row=read_text(where, row, "row") or "",
    )
    _check_row(where, run)
    return _in_folder(run, folder)


def _ensemble(where: str, row: Json, name: str) -> RunSpec:
    """The run of a row that fuses others; it has no bundle, images and overrides of its own."""
    reject_unknown(where, row, _ENSEMBLE_FIELDS)
    run = RunSpec(
        name=name,
        bundle="",
        description=read_text(where, row, "description") or "",
        is_trained=False,
        table=read_text(where, row, "table") or "",
        row=read_text(where, row, "row") or "",
        fuse=fuse_spec(where, row["fuse"]),
    )
    _check_row(where, run)
    return run


def _check_row(where: str, run: RunSpec) -> None:
    if run.row and not run.table:
        raise ExperimentError(f"{where}: row {run.row} says which row, table must say of which table.")


def overrides_of(where: str, item: Json, name: str) -> dict[str, Any]:
    """Ids and values of a field.

    Raises:
        ExperimentError: no object, or an id that the runner sets itself.
    """
    overrides = item.get(name, {})
    if not isinstance(overrides, dict):
        raise ExperimentError(f"{where}: {name} must be an object of ids and values, got {overrides!r:.80}.")
    for each in overrides:
        if each in _RESERVED:
            raise ExperimentError(f"{where}: {name} may not set {each}: the runner sets it for every fold.")
    return dict(overrides)


def in_order_of_start(runs: Mapping[str, RunSpec]) -> list[RunSpec]:
    """The runs in their order, but each after the one it starts from, and an ensemble after its members.

    Raises:
        ExperimentError: one starts from a run that is not there or is not trained, or from itself by detours;
            or an ensemble fuses a run that is not there, itself, or another ensemble.
    """
    ordered: dict[str, RunSpec] = {}
    for run in _with_members_first(runs):
        chain = [run]
        while (parent := chain[-1].parent) is not None and parent not in ordered:
            _check_parent(chain, parent, runs)
            chain.append(runs[parent])
        for each in reversed(chain):
            if each.parent is not None:
                _check_parent([each], each.parent, runs)
            ordered.setdefault(each.name, each)
    return list(ordered.values())


def _with_members_first(runs: Mapping[str, RunSpec]) -> Iterator[RunSpec]:
    for run in runs.values():
        for member in run.members:
            if member not in runs:
                raise ExperimentError(
                    f"run {run.name}: fuse names {member}, which is no run: the runs are {', '.join(runs)}."
                )
            if runs[member].members:
                raise ExperimentError(
                    f"run {run.name}: it fuses {member}, which is an ensemble itself. Name the runs that "
                    "predict; weights say how much each counts."
                )
            yield runs[member]
        yield run


def _check_parent(chain: list[RunSpec], parent: str, runs: Mapping[str, RunSpec]) -> None:
    child = chain[-1].name
    if parent not in runs:
        raise ExperimentError(
            f"run {child}: init {FROM_RUN}{parent} names no run: the runs are {', '.join(runs)}."
        )
    names = [each.name for each in chain]
    if parent in names:
        circle = " → ".join([*names[names.index(parent) :], parent])
        raise ExperimentError(
            f"run {child}: the runs start from each other in a circle ({circle}); one of them must start "
            "from coco, imagenet, none, a bundle or a file."
        )
    if runs[parent].members:
        raise ExperimentError(f"run {child}: it starts from run {parent}, an ensemble, which has no weights.")
    if not runs[parent].is_trained:
        raise ExperimentError(
            f"run {child}: it starts from run {parent}, which is not trained and so has no weights of its "
            f"own. Start from what {parent} starts from."
        )


def _in_folder(run: RunSpec, folder: Path) -> RunSpec:
    """The run with its bundle and start, where they are written as paths, beginning at a folder."""

    def path_or_name(value: Any) -> Any:
        is_path = isinstance(value, str) and ("/" in value or value.endswith(_WEIGHTS_ENDINGS))
        return str((folder / value).absolute()) if is_path else value

    if run.parent is not None or "init" not in run.overrides:
        return replace(run, bundle=path_or_name(run.bundle))
    init = path_or_name(run.overrides["init"])
    return replace(run, bundle=path_or_name(run.bundle), overrides={**run.overrides, "init": init})
