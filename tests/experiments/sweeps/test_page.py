"""What a sweep leaves: best.json that runs, a table, and a page that fetches nothing and warns."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mammo_monai.cli.main import main
from mammo_monai.experiments import build_parts, make_plan, read_experiment
from mammo_monai.experiments.sweeps import Trial, read_sweep, sweep_page, trials_table, write_sweep
from mammo_monai.reports.plots.sweeps import SweepPoint, VariedAxis, sweep_history_svg, sweep_value_svg
from mammo_monai.reports.runs import SYNTHETIC
from tests.experiments.conftest import write_empty_films
from tests.experiments.sweeps.conftest import write_sweep_file

TRIALS = [
    Trial(0, {"learning_rate": 1e-4, "augment": "none", "batch_size": 1}, "complete", 0.3, seconds=61.0),
    Trial(1, {"learning_rate": 1e-3, "augment": "light", "batch_size": 4}, "complete", 0.8, seconds=5.0),
    Trial(2, {"learning_rate": 1e-2, "augment": "strong", "batch_size": 2}, "failed", why="see /x/y.log"),
    Trial(3, {"learning_rate": 2e-2, "augment": "none", "batch_size": 2}, "running"),
]


def test_the_best_trial_stands_first_and_those_without_a_figure_last(tmp_path: Path) -> None:
    table = trials_table(read_sweep(write_sweep_file(tmp_path)), TRIALS)
    assert table.header == (
        "trial", "mean sensitivity, .25–4 FPPI", "learning_rate", "augment", "batch_size", "time", "state",
    )  # fmt: skip
    assert table.rows[0] == ("trial_0001", "0.8000", "0.001", "light", "4", "5 s", "done")
    assert [row[-1] for row in table.rows] == ["done", "done", "failed", "unfinished"]


def test_less_is_best_where_the_direction_says_so(tmp_path: Path) -> None:
    sweep = read_sweep(write_sweep_file(tmp_path, sweep={"objective": {"direction": "minimize"}}))
    assert trials_table(sweep, TRIALS).rows[0][0] == "trial_0000"
    assert "<strong>trial_0000</strong>" in sweep_page(sweep, TRIALS)


def test_the_page_warns_fetches_nothing_and_names_no_path(tmp_path: Path) -> None:
    page = sweep_page(read_sweep(write_sweep_file(tmp_path)), TRIALS)
    assert "The best of 2 trials is optimistic" in page
    assert "Which &lt;augmentation&gt;." in page
    assert page.count("<svg") == 5  # the history in two shapes, of which the page shows one
    assert not re.search(r'(?:src|href)="(?!#)', page)
    assert "/x/y.log" not in page
    assert SYNTHETIC not in page


def test_phantoms_are_named_as_such(tmp_path: Path) -> None:
    sweep = read_sweep(write_sweep_file(tmp_path, manifest="phantoms:inbreast:4"))
    assert SYNTHETIC in sweep_page(sweep, TRIALS, is_phantom=True)
    written = write_sweep(tmp_path / "out", sweep, TRIALS)
    assert SYNTHETIC in (tmp_path / "out" / "sweep.html").read_text()
    assert [each.name for each in written] == ["best.json", "trials.csv", "sweep.html"]


def test_best_is_an_experiment_that_can_be_built_from_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_empty_films(tmp_path)
    sweep = read_sweep(write_sweep_file(tmp_path, folds={"n_folds": 2}))
    write_sweep(tmp_path / "deep" / "out", sweep, TRIALS)
    monkeypatch.chdir("/")
    best = read_experiment(tmp_path / "deep" / "out" / "best.json")
    (run,) = best.runs
    assert best.name == "search_best"
    assert "trial_0001 of sweep search. The best of 2 trials is optimistic" in best.description
    assert run.overrides == {
        "epochs": 4, "init": "none", "learning_rate": 1e-3, "augment": "light", "batch_size": 4,
    }  # fmt: skip
    plan = make_plan(best)
    build_parts(plan)
    assert [each.fold for each in plan.runs] == ["1", "2"]


def test_without_a_finished_trial_there_is_no_best_and_no_plot(tmp_path: Path) -> None:
    sweep = read_sweep(write_sweep_file(tmp_path))
    written = write_sweep(tmp_path / "out", sweep, TRIALS[2:])
    assert [each.name for each in written] == ["trials.csv", "sweep.html"]
    assert "<svg" not in (tmp_path / "out" / "sweep.html").read_text()
    point = [SweepPoint(0, None)]
    given = {"label": "x", "size_in": (3.0, 2.0), "salt": "s"}
    assert sweep_history_svg(point, is_maximised=True, **given) == ""  # type: ignore[arg-type]  # by name
    assert sweep_value_svg(point, VariedAxis("a", (1.0,)), **given) == ""  # type: ignore[arg-type]  # by name


def test_many_choices_are_named_at_the_ends_alone() -> None:
    names = tuple(f"a choice of many {n}" for n in range(20))
    points = [SweepPoint(n, n / 20) for n in range(20)]
    varied = VariedAxis("which", tuple(map(float, range(20))), names=names)
    svg = sweep_value_svg(points, varied, label="figure", size_in=(4.0, 3.0), salt="s")
    assert svg.count("a choice of m…") == 2


@pytest.mark.usefixtures("steps_here")
def test_the_verb_prints_trials_files_and_the_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    path = write_sweep_file(tmp_path)
    assert main(["experiment", "sweep", str(path), "--trials", "2"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("trial       mean sensitivity, .25–4 FPPI")
    assert "wrote runs/search/best.json\nwrote runs/search/trials.csv\nwrote runs/search/sweep.html\n" in out
    assert "table: mammo-monai experiment table runs/search -o runs/search/table.html" in out
    assert "The best of 2 trials is optimistic" in out
    failing = {
        "parameters": {"seed": {"type": "categorical", "choices": [1, 13]}},
        "sampler": "grid",
        "trials": 2,
    }
    write_sweep_file(tmp_path, sweep=failing)
    assert main(["experiment", "sweep", str(path), "--out", "other"]) == 1


def test_check_builds_both_ends_of_every_range(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_empty_films(tmp_path)
    path = write_sweep_file(tmp_path, folds={"n_folds": 2})
    assert main(["experiment", "check", str(path)]) == 0
    told = "4 trials, 2 trainings or predictions for the first, nothing wrong"
    assert capsys.readouterr().out == f"{path}: {told}\n"
    assert main(["experiment", "check", str(path), "--only", "trial"]) == 2
    assert "leave out --folds and --only" in capsys.readouterr().err
    wrong = {"augment": {"type": "categorical", "choices": ["none", "weird"]}}
    write_sweep_file(tmp_path, folds={"n_folds": 2}, sweep={"parameters": wrong})
    assert main(["experiment", "check", str(path)]) == 2
    assert "run last_values" in capsys.readouterr().err


def test_check_names_an_id_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_sweep_file(
        tmp_path, sweep={"parameters": {"learning_rat": {"type": "int", "low": 1, "high": 2}}}
    )
    assert main(["experiment", "check", str(path)]) == 2
    assert "learning_rat" in capsys.readouterr().err
