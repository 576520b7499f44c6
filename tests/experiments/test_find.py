"""Experiments are found as bundles are: by path, in the working folder, among those shipped."""

from __future__ import annotations

from pathlib import Path

import pytest

from mammo_monai.cli.main import main
from mammo_monai.experiments import ExperimentError, experiment_names, find, find_experiment


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder beside an installed wheel that carries one experiment."""
    wheel = tmp_path / "site-packages" / "_experiments"
    wheel.mkdir(parents=True)
    (wheel / "shipped.json").write_text("{}")
    monkeypatch.setattr(find, "SHIPPED", (wheel, tmp_path / "nowhere"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return wheel


def test_a_name_is_looked_for_here_and_then_among_the_shipped(here: Path) -> None:
    assert find_experiment("shipped") == find_experiment("shipped.json") == here / "shipped.json"
    Path("experiments").mkdir()
    for name in ("shipped", "own.v2"):
        (Path("experiments") / f"{name}.json").write_text("{}")
    assert find_experiment("shipped") == Path("experiments/shipped.json")
    assert find_experiment("own.v2") == Path("experiments/own.v2.json")
    Path("shipped").write_text("{}")
    assert find_experiment(Path("shipped")) == Path("shipped")
    assert experiment_names() == ["own.v2", "shipped"]


def test_a_path_stays_a_path(here: Path) -> None:
    assert find_experiment(Path("experiments/gone.json")) == Path("experiments/gone.json")


def test_a_name_that_is_nowhere_is_told_with_those_there_are(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ExperimentError, match=r"'gone' not found: expected a file, or one of shipped\."):
        find_experiment("gone")
    for action in ("run", "check", "sweep"):
        assert main(["experiment", action, "gone"]) == 2
        assert "one of shipped." in capsys.readouterr().err


def test_every_experiment_of_this_repository_is_found_by_name_and_names_no_file_of_its_own() -> None:
    names = experiment_names()
    assert "phantom_smoke" in names
    for name in names:
        text = find_experiment(name).read_text(encoding="utf-8")
        assert '.json"' not in text, f"{name} leads to a file that a wheel would not carry"
