"""MLflow is told of every finished run once, of no path and no patient; what fails stops nothing."""

from __future__ import annotations

import builtins
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from mammo_monai.cli.main import main
from mammo_monai.experiments import Choice, ExperimentError, MlflowTracker, Runner, make_plan, read_experiment
from mammo_monai.experiments.folder import RunFolder
from mammo_monai.experiments.mlflow_tracker import logged_value
from tests.experiments.conftest import CHAIN, write_experiment, write_film

mlflow = pytest.importorskip("mlflow")
NAME = "augmentation"
pytestmark = pytest.mark.usefixtures("steps_here")


def run_with(tracker: MlflowTracker, folder: Path, **changes: Any) -> list[str]:
    if not (folder / "film.json").exists():
        write_film(folder)
    experiment = read_experiment(write_experiment(folder, **{**CHAIN, **changes}))
    runner = Runner(make_plan(experiment, Choice(("1",))), folder / "out", tracker=tracker)
    return [each.outcome for each in runner.run()]


def logged(store: Path) -> dict[str, Any]:
    """All runs of the store by name."""
    client = mlflow.MlflowClient(tracking_uri=store.as_uri())
    experiment = client.get_experiment_by_name(NAME)
    runs = client.search_runs([experiment.experiment_id])
    assert len({run.info.run_name for run in runs}) == len(runs)
    return {run.info.run_name: run for run in runs}


def test_each_run_is_nested_in_the_experiment_with_its_figures_and_hashes(tmp_path: Path) -> None:
    store = tmp_path / "store"
    outcomes = run_with(MlflowTracker(store.as_uri(), NAME), tmp_path)
    assert outcomes == ["done", "done", "done"]
    runs = logged(store)
    assert set(runs) == {NAME, "stage_one", "one_stage, fold 1", "two_stage, fold 1"}
    whole, two = runs[NAME], runs["two_stage, fold 1"]
    assert {each.data.tags.get("mlflow.parentRunId") for each in runs.values()} == {None, whole.info.run_id}
    done = RunFolder(tmp_path / "out/two_stage/fold-1").read_done()
    for name in ("config_sha256", "weights_sha256", "detections_sha256"):
        assert two.data.tags[f"mammo_monai.{name}"] == done[name]
    assert (two.data.params["init"], two.data.params["augment"]) == ("run:stage_one", "strong")
    assert two.data.metrics["mean_sensitivity"] == pytest.approx(done["mean_sensitivity"])
    assert two.data.metrics["sensitivity_1"] >= two.data.metrics["sensitivity_0.25"]
    client = mlflow.MlflowClient(tracking_uri=store.as_uri())
    losses = client.get_metric_history(two.info.run_id, "loss")
    assert sorted((each.step, each.value) for each in losses) == [(1, 2.0), (2, 1.0), (3, 0.6667), (4, 0.5)]
    assert [each.step for each in client.get_metric_history(two.info.run_id, "validation")] == [2, 4]
    assert [each.path for each in client.list_artifacts(two.info.run_id)] == ["metrics.json"]
    tables = [each.path for each in client.list_artifacts(whole.info.run_id)]
    assert sorted(tables) == ["table.csv", "table.html"]
    assert {run.info.status for run in runs.values()} == {"FINISHED"}


def test_a_run_is_logged_once_and_one_that_was_missed_is_made_up_for(tmp_path: Path) -> None:
    store = tmp_path / "store"
    run_with(MlflowTracker(store.as_uri(), NAME), tmp_path)
    first = logged(store)
    client = mlflow.MlflowClient(tracking_uri=store.as_uri())
    client.delete_run(first["one_stage, fold 1"].info.run_id)
    assert set(run_with(MlflowTracker(store.as_uri(), NAME), tmp_path)) == {"done before"}
    again = logged(store)
    assert set(again) == set(first)
    kept = {name for name in first if first[name].info.run_id == again[name].info.run_id}
    assert kept == set(first) - {"one_stage, fold 1"}


def test_neither_paths_nor_patients_are_logged(tmp_path: Path) -> None:
    store, weights = tmp_path / "store", tmp_path / "start.safetensors"
    weights.write_text("weights")
    runs = [{"name": "a", "manifest": "A", "overrides": {"init": "start.safetensors"}}]
    run_with(MlflowTracker(store.as_uri(), NAME), tmp_path, runs=runs, overrides={})
    client = mlflow.MlflowClient(tracking_uri=store.as_uri())
    (run,) = [each for name, each in logged(store).items() if name != NAME]
    assert run.data.params["init"] == "start.safetensors"
    told = json.dumps([run.data.params, run.data.tags])
    (tmp_path / "down").mkdir()
    metrics = client.download_artifacts(run.info.run_id, "metrics.json", str(tmp_path / "down"))
    text = told + Path(metrics).read_text()
    assert str(tmp_path) not in text
    assert "/films" not in text
    assert "patient 0" not in text


def test_of_an_override_that_names_a_file_only_its_name_is_logged() -> None:
    value = {"path": "../people/Mary Smith/a.json", "n": [1, "C:\\people\\b.json", None], "augment": "p2"}
    assert logged_value(value) == "{'path': 'a.json', 'n': [1, 'b.json', None], 'augment': 'p2'}"
    assert logged_value("films/a.json") == "a.json"
    assert (logged_value("light"), logged_value(0.5)) == ("light", "0.5")


def test_a_failed_run_is_not_logged_and_the_others_are(tmp_path: Path) -> None:
    runs = [*CHAIN["runs"][:2], {"name": "broken", "manifest": "A", "overrides": {"seed": 13}}]
    outcomes = run_with(MlflowTracker((tmp_path / "store").as_uri(), NAME), tmp_path, runs=runs)
    assert outcomes == ["done", "done", "failed"]
    assert set(logged(tmp_path / "store")) == {NAME, "stage_one", "one_stage, fold 1"}


def test_a_store_that_fails_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "store").write_text("a file where a folder should be")
    with caplog.at_level(logging.WARNING):
        outcomes = run_with(MlflowTracker((tmp_path / "store").as_uri(), NAME), tmp_path)
    assert outcomes == ["done", "done", "done"]
    assert "MLflow: run stage_one is not logged: " in caplog.text
    assert "the same command logs what is missing" in caplog.text


def test_a_missing_package_is_an_error_that_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    original = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "mlflow":
            raise ImportError(name)
        return original(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ExperimentError, match=r"pip install 'mammo-monai\[mlflow\]', or leave --mlflow out"):
        MlflowTracker("file:store", NAME)
    path = write_experiment(tmp_path)
    assert main(["experiment", "run", str(path), "--folds", "1", "--mlflow", "file:store"]) == 2
    assert "mlflow-skinny" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_the_verb_logs_where_it_is_asked_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = write_experiment(tmp_path)
    words = ["experiment", "run", str(path), "--folds", "1", "--only", "light"]
    assert main([*words, "--mlflow", (tmp_path / "store").as_uri()]) == 0
    assert set(logged(tmp_path / "store")) == {NAME, "light, fold 1"}
