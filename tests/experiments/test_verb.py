"""The verb experiment, run in this process."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from mammo_monai.bundle import find_bundle, trusted_bundles
from mammo_monai.cli.main import main
from mammo_monai.experiments.step_request import Step
from tests.experiments.conftest import BUNDLE, StepsHere, write_empty_films, write_experiment


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mammo_monai.experiments.runner.Processes", StepsHere)
    return write_experiment(tmp_path)


def test_run_says_how_each_run_came_out_and_goes_on(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["experiment", "run", str(path), "--folds", "1", "--only", "none", "light", "--out", "out"]
    assert main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "none, fold 1: done",
        "light, fold 1: done",
        "table: mammo-monai experiment table out -o out/table.html",
    ]
    assert main(words) == 0
    assert capsys.readouterr().out.startswith("none, fold 1: done before\n")


def test_a_failed_run_makes_the_exit_code_1(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = json.loads(path.read_text())
    content["runs"] = [{"name": "broken", "overrides": {"seed": 13}}, {"name": "light"}]
    path.write_text(json.dumps(content))
    assert main(["experiment", "run", str(path), "--folds", "1"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("broken, fold 1: failed: the loss is not finite. See runs")
    assert lines[1] == "light, fold 1: done"
    assert (path.parent / "runs" / "augmentation" / "light" / "fold-1" / "done.json").is_file()


def test_check_trains_nothing_and_says_that_nothing_is_wrong(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_empty_films(path.parent)
    assert main(["experiment", "check", str(path), "--only", "none"]) == 0
    assert capsys.readouterr().out == f"{path}: 3 trainings or predictions, nothing wrong\n"
    assert not (path.parent / "runs").exists()


def test_a_strangers_bundle_runs_only_if_it_is_trusted(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stranger = shutil.copytree(find_bundle(BUNDLE) / "configs", path.parent / "stranger" / "configs").parent
    (stranger / "scripts.py").write_text("")
    write_experiment(path.parent, bundle="./stranger")
    asked, before = list[bool](), trusted_bundles()
    monkeypatch.setattr(StepsHere, "run", lambda _, line, log: asked.append(Step.of_line(line).is_trusted))
    words = ["experiment", "run", str(path), "--folds", "1", "--only", "light"]
    for action in ("check", "run"):
        assert main(["experiment", action, *words[2:]]) == 2
        assert "run light: stranger: would run what is not known" in capsys.readouterr().err
    main([*words, "--trust"])
    assert asked == [True, True]  # training and prediction
    assert trusted_bundles() == before
    write_experiment(path.parent, bundle="./stranger", overrides={"init": "$open('x', 'w')"})
    assert main([*words, "--trust"]) == 2  # it is the bundle that is trusted, not the file
    assert "overrides, init: $open" in capsys.readouterr().err


def test_check_names_what_is_wrong(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["experiment", "check", str(path), "--only", "weak"]) == 2
    assert "no run weak: the runs are none, light, strong" in capsys.readouterr().err


def test_table_prints_what_there_is_and_writes_it(
    finished_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shutil.copytree(finished_folder, tmp_path / "out")
    for name in ("table.html", "table.md", "table.csv"):
        assert main(["experiment", "table", str(folder), "-o", str(tmp_path / name)]) == 0
        assert (tmp_path / name).stat().st_size > 500
    out = capsys.readouterr().out
    assert out.count("difference to none") == 3
    assert "broken  2, 3   not begun" in out


def test_table_of_another_folder_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["experiment", "table", str(tmp_path)]) == 2
    assert "Give the folder that `mammo-monai experiment run` wrote" in capsys.readouterr().err
