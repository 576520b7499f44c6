"""Runs for a report: a scored folder, an experiment, or one run of it, joined over folds with histories."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from mammo_monai.errors import ManifestError
from mammo_monai.experiments import ExperimentError, read_results
from mammo_monai.experiments.report_runs import experiment_runs, read_runs, runs_at
from mammo_monai.files import sha256_of
from mammo_monai.reports.runs import EpochPoint
from mammo_monai.reports.tables.run_tables import scored_on


def test_an_experiment_is_all_its_runs_with_a_result(
    finished_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    runs = runs_at(finished_folder)
    assert [run.name for run in runs] == ["none", "light", "strong"]
    assert "run light, fold 2 has no result: not begun" in caplog.text
    assert "run broken is left out of the report: no fold of it is finished." in caplog.text


def test_a_run_is_joined_over_its_folds_each_of_which_is_a_run_too(finished_folder: Path) -> None:
    strong = experiment_runs(finished_folder, only="strong")[0]
    assert strong.metrics["n_images"] == 24
    assert [fold.metrics["n_images"] for fold in strong.folds] == [8, 8, 8]
    assert {fold.name for fold in strong.folds} == {"strong"}
    assert set(strong.detections) == set(strong.metrics["images"])
    folder = finished_folder / "strong" / "fold-1"
    assert strong.files[0].name == "fold 1: metrics.json"
    assert strong.files[1].sha256 == sha256_of(folder / "detections.json")
    result = next(run for run in read_results(finished_folder).runs if run.name == "strong")
    assert result.metrics is not None
    assert strong.metrics["mean_sensitivity"] == result.metrics["mean_sensitivity"]


def test_histories_are_those_of_the_trainings(copied: Path) -> None:
    log = copied / "strong" / "fold-1" / "training.log"
    log.write_text("training: epoch 1/2, loss 0.5000, mean_sensitivity 0.25, 3 s per epoch, 0:03 left\n")
    strong = experiment_runs(copied, only="strong")[0]
    assert strong.histories["1"] == (EpochPoint(1, 0.5, 0.25),)


def test_the_published_table_its_row_and_that_images_are_synthetic_are_kept(copied: Path) -> None:
    head = json.loads((copied / "experiment.json").read_text())
    next(run for run in head["runs"] if run["name"] == "strong").update(table="P0-VI", row="0.00001")
    (copied / "experiment.json").write_text(json.dumps({**head, "is_phantom": True}))
    none, _, strong = experiment_runs(copied)
    assert none.is_synthetic
    assert strong.is_synthetic
    assert (strong.table, strong.row) == ("P0-VI", "0.00001")
    assert (none.table, none.row) == ("", "")


def test_a_run_done_once_says_which_list_its_figures_are_of(finished_chain: Path) -> None:
    stage_one, one_stage, _ = experiment_runs(finished_chain)
    assert scored_on(stage_one).endswith("patients, validation list")
    assert scored_on(one_stage).endswith("patients")


def test_a_runs_folder_is_that_run_and_a_folds_folder_that_fold(
    finished_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [run.name for run in runs_at(finished_folder / "strong")] == ["strong"]
    fold = runs_at(finished_folder / "strong" / "fold-2")
    assert [run.metrics["n_images"] for run in fold] == [8]
    monkeypatch.chdir(finished_folder / "strong")
    assert [run.name for run in runs_at(Path())] == ["strong"]


def test_a_run_without_a_result_is_named(finished_folder: Path) -> None:
    with pytest.raises(
        ExperimentError, match=r"broken: no fold of it is finished\. Runs with a result: none"
    ):
        runs_at(finished_folder / "broken")
    with pytest.raises(ExperimentError, match=r"gone: the experiment has no such run\."):
        experiment_runs(finished_folder, only="gone")


def test_folds_of_different_manifests_are_not_mixed(copied: Path) -> None:
    config = copied / "strong" / "fold-2" / "config.json"
    content = json.loads(config.read_text())
    content["inputs"]["manifest_sha256"] = ["0" * 64]
    config.write_text(json.dumps(content))
    with pytest.raises(ExperimentError, match=r"run strong, fold 2, differs .* manifest_sha256"):
        experiment_runs(copied)


def test_a_result_on_other_images_than_the_experiment_now_has_is_refused(
    finished_chain: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(finished_chain, tmp_path / "chain"))
    head = json.loads((folder / "experiment.json").read_text())
    head["runs"][0]["scored_sha256"] = "0" * 64
    (folder / "experiment.json").write_text(json.dumps(head))
    with pytest.raises(ExperimentError, match=r"run stage_one: it was scored on other images .*--redo"):
        experiment_runs(folder)


def test_a_folder_that_is_neither_is_named(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"metrics\.json: no such file"):
        runs_at(tmp_path)


def test_names_are_given_once_per_run_and_equal_ones_are_told_apart(finished_folder: Path) -> None:
    fold = finished_folder / "strong" / "fold-1"
    names = [run.name for run in read_runs([fold, fold])]
    assert names[0] != names[1]
    assert names[0].endswith(" (1)")
    renamed = read_runs([finished_folder / "strong"], names=["mine"])[0]
    assert (renamed.name, renamed.folds[0].name) == ("mine", "mine")
    with pytest.raises(ValueError, match=r"1 run, 2 names\. Runs: strong\."):
        read_runs([finished_folder / "strong"], names=["a", "b"])
