"""Runs for a report from what is on disk: a scored run, one run of an experiment, or all of them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from mammo_monai.experiments.data_request import ONCE
from mammo_monai.experiments.field_checks import ExperimentError
from mammo_monai.experiments.head import HEAD_NAME
from mammo_monai.experiments.results import Results, RunResult, read_results
from mammo_monai.reports.runs import EpochPoint, Run, SourceFile, read_run
from mammo_monai.words import counted

logger = logging.getLogger(__name__)


def read_runs(paths: Sequence[Path], *, names: Sequence[str] | None = None) -> tuple[Run, ...]:
    """The runs that all paths stand for, in order; see `runs_at`.

    Args:
        names: one for each run; None leaves them their own, told apart by a number where two are the same.

    Raises:
        ValueError: not as many names as runs. ExperimentError, ManifestError: as `runs_at`.
    """
    runs = [run for path in paths for run in runs_at(path)]
    if names is None:
        own = [run.name for run in runs]
        given = [
            f"{name} ({own[: n + 1].count(name)})" if own.count(name) > 1 else name
            for n, name in enumerate(own)
        ]
    else:
        given = list(names)
    if len(given) != len(runs):
        raise ValueError(
            f"--name must be given once per run: {counted(len(runs), 'run')}, {counted(len(given), 'name')}. "
            f"Runs: {', '.join(run.name for run in runs)}."
        )
    return tuple(_renamed(run, name) for run, name in zip(runs, given, strict=True))


def runs_at(path: Path) -> tuple[Run, ...]:
    """The runs a path stands for.

    A metrics.json or a folder that holds one is one run. The folder of `mammo-monai experiment run` is all
    its runs with a result, each joined over its finished folds; a run's folder in it is that run.

    Raises:
        ExperimentError: nothing finished there, or results that cannot stand together.
        ManifestError: no metrics, fields missing, or a detections.json that is not the one scored.
    """
    path = Path(path)
    if (path / HEAD_NAME).is_file():
        return experiment_runs(path)
    parent = path.absolute().parent
    if path.is_dir() and (parent / HEAD_NAME).is_file() and not (path / "metrics.json").exists():
        return experiment_runs(parent, only=path.absolute().name)
    return (read_run(path),)


def experiment_runs(folder: Path, *, only: str | None = None) -> tuple[Run, ...]:
    """The runs of an experiment, in its order, each joined over its finished folds.

    A run without a finished fold is left out with a warning; one with some is kept, and the warning names the
    folds it lacks.

    Args:
        only: the name of one run.

    Raises:
        ExperimentError: as `read_results`; or the run asked for has no finished fold.
        ManifestError: a fold's metrics or detections, as `read_run`.
    """
    results = read_results(folder)
    runs = []
    for result in results.runs if only is None else _named(folder, results, only):
        for fold, why in result.missing.items():
            logger.warning("run %s, fold %s has no result: %s", result.name, fold, why)
        if result.metrics is not None:
            runs.append(_joined_run(folder, result, results))
        else:
            logger.warning("run %s is left out of the report: no fold of it is finished.", result.name)
    return tuple(runs)


def _renamed(run: Run, name: str) -> Run:
    return replace(run, name=name, folds=tuple(replace(fold, name=name) for fold in run.folds))


def _named(folder: Path, results: Results, name: str) -> list[RunResult]:
    """The one run of that name, which must have a finished fold."""
    found = [result for result in results.runs if result.name == name]
    if not found or found[0].metrics is None:
        names = ", ".join(result.name for result in results.runs if result.metrics is not None)
        why = "no fold of it is finished" if found else "the experiment has no such run"
        raise ExperimentError(f"{folder / name}: {why}. Runs with a result: {names}.")
    return found


def _joined_run(folder: Path, result: RunResult, results: Results) -> Run:
    """One run with the detections of all its finished folds, and each fold alone."""
    folds = {
        fold: read_run(folder / result.name / f"fold-{fold}", name=result.name) for fold in result.finished
    }
    head = next(each for each in results.head.runs if each.name == result.name)
    manifests = {
        sha256 for each in result.finished.values() for sha256 in each.config["inputs"]["manifest_sha256"]
    }
    # The manifest the folds were cut from, where it is one: their own hold the lists of one fold each.
    inputs = {"manifest_sha256": manifests.pop() if len(manifests) == 1 else None}
    if tuple(folds) == (ONCE,):  # one list of it; folds test all of them
        inputs["split"] = folds[ONCE].inputs.get("split")
    return Run(
        name=result.name,
        metrics={**(result.metrics or {}), "inputs": inputs},
        detections={each.record_id: each for fold in folds.values() for each in fold.detections.values()},
        model=next(iter(folds.values())).model,
        files=tuple(_files(folds)),
        folds=tuple(folds.values()),
        histories={
            fold: tuple(EpochPoint(each.epoch, each.loss, each.figure) for each in epochs)
            for fold, epochs in result.histories.items()
        },
        table=head.table,
        row=head.row,
        is_synthetic=results.head.is_phantom,
    )


def _files(folds: dict[str, Run]) -> Iterator[SourceFile]:
    for fold, run in folds.items():
        yield from (SourceFile(f"fold {fold}: {file.name}", file.sha256) for file in run.files)
