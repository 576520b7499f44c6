"""The result of each run over its folds: detections of all test lists joined, each image once, and scored."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mammo_monai.errors import ManifestError, UndefinedMetricError
from mammo_monai.experiments.data_request import ONCE
from mammo_monai.experiments.field_checks import ExperimentError
from mammo_monai.experiments.folder import RunFolder
from mammo_monai.experiments.head import Head, HeadRun, read_head
from mammo_monai.experiments.history import Epoch, read_history
from mammo_monai.experiments.mean_interval import mean_sensitivity_interval
from mammo_monai.experiments.step_request import TRAINING
from mammo_monai.files import sha256_of
from mammo_monai.metrics import (
    FrocRule,
    Interval,
    PairedDifference,
    evaluate_detections,
    pair_detections,
    paired_differences,
)
from mammo_monai.records import Detections, ImageRecord, Split
from mammo_monai.schema import read_detections, read_manifest, read_metrics
from mammo_monai.schema.json_text import json_value

POINTS = (0.25, 0.5, 1.0, 2.0)
N_PERMUTATIONS = 1000


@dataclass(frozen=True, eq=False)
class FoldResult:
    """A finished run on one fold.

    Attributes:
        config: its config.json. done: its done.json. environment: of its steps.
        mean_sensitivity: over .25–4 FPPI on this fold alone; None without a lesion.
        model: of its detections: bundle, version, weights, operating point.
    """

    fold: str
    config: Mapping[str, Any]
    done: Mapping[str, Any]
    environment: Mapping[str, Any]
    records: tuple[ImageRecord, ...]
    detections: tuple[Detections, ...]
    mean_sensitivity: float | None
    model: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class RunResult:
    """A run over all its folds.

    Attributes:
        finished: by fold. missing: folds without a result, and why.
        histories: epochs by fold, unfinished trainings too.
        metrics: content of metrics.json for the joined detections; None where no fold is finished.
        interval: of the mean sensitivity; None where it is undefined.
        difference: to the first run that is scored on the same images, on the folds both have finished; None
            for the first, or without any.
        folds: all it is done on. scored_on: in words. group: runs with the same one are scored on the same
            images. table, row: of the published table it reproduces; empty for none.
    """

    name: str
    description: str
    finished: Mapping[str, FoldResult] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)
    histories: Mapping[str, Sequence[Epoch]] = field(default_factory=dict)
    metrics: Mapping[str, Any] | None = None
    interval: Interval | None = None
    difference: PairedDifference | None = None
    folds: tuple[str, ...] = ()
    scored_on: str = ""
    group: str = ""
    table: str = ""
    row: str = ""

    @property
    def marks_places(self) -> bool:
        """Whether it is a detector's result, which may find nothing; a classifier scores images alone."""
        found = [each for fold in self.finished.values() for each in fold.detections]
        return any(len(each.boxes) or each.image_score is None for each in found) or not found

    def area_at(self, level: str) -> Mapping[str, Any] | None:
        """The ROC entry of a level (image, breast, patient) with `auc`, `low`, `high`; None without one."""
        entries = (self.metrics or {}).get("roc") or ()
        return next((each for each in entries if each["level"] == level), None)

    @property
    def fold_means(self) -> list[float]:
        """Mean sensitivity of each finished fold that defines one."""
        if not self.marks_places:
            return []
        means = (each.mean_sensitivity for each in self.finished.values())
        return [each for each in means if each is not None]

    def median_of(self, name: str) -> float | None:
        """Median over folds of a number in done.json; None where no fold has it."""
        values = [each.done[name] for each in self.finished.values() if each.done.get(name) is not None]
        return float(statistics.median(values)) if values else None


@dataclass(frozen=True, eq=False)
class Results:
    """All runs of an experiment as far as they are finished, in the experiment's order."""

    head: Head
    runs: tuple[RunResult, ...]

    @property
    def groups(self) -> tuple[Results, ...]:
        """The runs by what they are scored on, in the order of the first of each; within one they compare."""
        names = dict.fromkeys(each.group for each in self.runs)
        return tuple(
            Results(self.head, tuple(each for each in self.runs if each.group == name)) for name in names
        )

    @property
    def scored_groups(self) -> tuple[Results, ...]:
        """Those groups that have a result."""
        return tuple(each for each in self.groups if any(run.metrics is not None for run in each.runs))

    @property
    def scored_on(self) -> str:
        """What the runs of a group are scored on, in words; empty for runs of several groups."""
        return self.runs[0].scored_on if len({run.group for run in self.runs}) == 1 else ""


def read_results(folder: Path) -> Results:
    """The results in the folder of `mammo-monai experiment run`.

    Raises:
        ExperimentError: no experiment there, nothing finished, a result that is not the one its done.json
            names, or results by another rule, or on other images, than the runs they stand beside.
    """
    folder = Path(folder)
    head = read_head(folder)
    runs = [_read_run(folder / each.name, each, head.folds_of(each)) for each in head.runs]
    finished = [each for run in runs for each in run.finished.values()]
    if not finished:
        raise ExperimentError(
            f"{folder}: no run is finished yet. Run it (`mammo-monai experiment run`); what failed stands in "
            "failed.json of its fold."
        )
    _reject_older_images(runs)
    unscored = Results(head, tuple(runs))
    for group in unscored.groups:
        _reject_mixed(group.runs)
    options = {**finished[0].config["rule"], "fppi": tuple(finished[0].config["rule"]["fppi"])}
    rule = FrocRule(**options)
    rule = replace(rule, fppi=tuple(sorted({*rule.fppi, *POINTS})))
    _reject_other_rules(runs)
    scored = Results(head, tuple(_scored(run, rule) for run in runs))
    first = {group.runs[0].group: group.runs[0] for group in scored.groups}
    compared = (
        run if run is first[run.group] else _compared(first[run.group], run, rule) for run in scored.runs
    )
    return Results(head, tuple(compared))


def _read_run(folder: Path, told: HeadRun, folds: Sequence[str]) -> RunResult:
    finished, missing, histories = {}, {}, {}
    for fold in folds:
        each = RunFolder(folder / f"fold-{fold}")
        if history := read_history(each.log(TRAINING)):
            histories[fold] = history
        if each.done.is_file():
            finished[fold] = _read_fold(each, fold)
        else:
            missing[fold] = _why_missing(each)
    run = RunResult(told.name, told.description, finished, missing, histories)
    return replace(
        run,
        folds=tuple(folds),
        scored_on=told.scored_on,
        group=told.scored_sha256,
        table=told.table,
        row=told.row,
    )


def _read_fold(folder: RunFolder, fold: str) -> FoldResult:
    done = folder.read_done()
    config = folder.stored_config()
    try:
        detections = read_detections(folder.detections)
        metrics = read_metrics(folder.metrics)
        scored = Split((config or {}).get("test_split", Split.TEST.value))
        records = read_manifest(folder.manifest).images(scored)
        environment = json_value(folder.environment.read_bytes())
    except (ManifestError, OSError, ValueError) as error:
        raise ExperimentError(f"{folder.path}: {error} Do the run again: remove done.json.") from error
    if config is None or sha256_of(folder.detections) != done.get("detections_sha256"):
        raise _not_as_told(folder.detections, "detections")
    if sha256_of(folder.manifest) != done.get("fold_manifest_sha256"):
        raise _not_as_told(folder.manifest, "lesions and lists")
    return FoldResult(
        fold,
        config,
        done,
        environment,
        records,
        detections.detections,
        metrics["mean_sensitivity"]["value"],
        detections.model,
    )


def _not_as_told(file: Path, what: str) -> ExperimentError:
    return ExperimentError(
        f"{file}: not the {what} that done.json tells of. Do the run again: remove the folder."
    )


def _why_missing(folder: RunFolder) -> str:
    """Without the reason of a failure: it may name a path, and a path a patient."""
    if folder.failed.is_file():
        return "failed (its failed.json says why)"
    return "unfinished" if folder.config.is_file() else "not begun"


def _reject_mixed(runs: Sequence[RunResult]) -> None:
    """Refuses runs that say they are scored on the same images, and are not."""
    first: dict[bool, tuple[str, Mapping[str, Any]]] = {}
    scored: dict[str, tuple[str, Sequence[str]]] = {}
    for run in runs:
        for each in run.finished.values():
            has_own, basis = _basis(each)
            name, expected = first.setdefault(has_own, (run.name, basis))
            other = [key for key, value in basis.items() if expected[key] != value]
            record_ids = [record.record_id for record in each.records]
            named, known = scored.setdefault(each.fold, (run.name, record_ids))
            if sorted(known) != sorted(record_ids):
                name, other = named, [*other, "images"]
            if other:
                raise _mixed(run, each, name, other)


def _reject_older_images(runs: Sequence[RunResult]) -> None:
    """Refuses a result of a run on images of its own that are not those experiment.json tells of now."""
    for run in runs:
        for each in run.finished.values():
            scored = each.config["inputs"].get("scored_sha256")
            if run.group and scored not in (None, run.group):
                raise ExperimentError(
                    f"run {run.name}: it was scored on other images than the experiment has for it now. Do "
                    "it afresh (--redo), or run the experiment into another --out."
                )


def _reject_other_rules(runs: Sequence[RunResult]) -> None:
    results = [(run, each) for run in runs for each in run.finished.values()]
    first, known = results[0]
    for run, each in results:
        if each.config["rule"] != known.config["rule"]:
            raise _mixed(run, each, first.name, ["rule"])


def _basis(result: FoldResult) -> tuple[bool, Mapping[str, Any]]:
    """What a result rests on, and whether its run asks for images of its own, in other words then."""
    inputs, rule = result.config["inputs"], result.config["rule"]
    if "scored_sha256" in inputs:
        return True, {"scored_sha256": inputs["scored_sha256"], "rule": rule}
    named = {name: inputs.get(name) for name in ("manifest_sha256", "folds_sha256")}
    return False, {**named, "rule": rule, "stage": result.config["stage"]}


def _mixed(run: RunResult, result: FoldResult, first: str, other: Sequence[str]) -> ExperimentError:
    where = f"run {run.name}" if result.fold == ONCE else f"run {run.name}, fold {result.fold}"
    return ExperimentError(
        f"{where}, differs from run {first} in {', '.join(other)}: they cannot stand in one table. Do the "
        "older ones afresh (--redo), or run them into another --out."
    )


def _scored(run: RunResult, rule: FrocRule) -> RunResult:
    if not run.finished:
        return run
    records, detections = _joined(run, tuple(run.finished))
    metrics = evaluate_detections(records, detections, rule=rule)
    interval = mean_sensitivity_interval(records, detections, rule) if run.marks_places else None
    return replace(run, metrics=metrics, interval=interval)


def _compared(first: RunResult, run: RunResult, rule: FrocRule) -> RunResult:
    common = tuple(fold for fold in run.finished if fold in first.finished)
    if not common or not (first.marks_places and run.marks_places):
        return run
    (records, before), (_, after) = (_joined(each, common) for each in (first, run))
    try:
        pair = pair_detections(records, before, after, rule=rule, names=(first.name, run.name))
    except UndefinedMetricError:
        return run
    narrow = replace(rule, fppi=POINTS[:1])  # of the differences only the first is shown, that of the mean
    return replace(run, difference=paired_differences(pair, narrow, n_permutations=N_PERMUTATIONS)[0])


def _joined(run: RunResult, folds: Sequence[str]) -> tuple[list[ImageRecord], list[Detections]]:
    records = [each for fold in folds for each in run.finished[fold].records]
    seen: set[str] = set()
    for record in records:
        if record.record_id in seen:
            raise ExperimentError(
                f"run {run.name}: record {record.record_id} is tested in two folds; joined, each image "
                "counts once. Make folds that test each image once (kfold)."
            )
        seen.add(record.record_id)
    return records, [each for fold in folds for each in run.finished[fold].detections]
