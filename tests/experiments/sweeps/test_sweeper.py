"""Sweeps whose steps train nothing: trials, resumption, what the objective sees, and what is refused."""

from __future__ import annotations

import builtins
import json
from pathlib import Path
from typing import Any

import pytest

from mammo_monai.experiments import ExperimentError, read_experiment, read_results
from mammo_monai.experiments.sweeps import Study, Sweeper, best_trial, read_sweep, study, write_best
from mammo_monai.experiments.sweeps.study import Trial
from mammo_monai.schema import read_detections, read_manifest, read_metrics
from tests.experiments.conftest import CHAIN, write_film
from tests.experiments.sweeps.conftest import RECORDS, Run, write_sweep_file

TEST_IDS = {each.record_id for each in RECORDS[50:]}
VALIDATION_IDS = {each.record_id for each in RECORDS[30:50]}


def told(trials: list[Trial]) -> list[tuple[Any, ...]]:
    return [(each.number, each.state, each.value, dict(each.values)) for each in trials]


def test_every_trial_is_a_run_that_a_table_compares(run: Run, tmp_path: Path) -> None:
    sweep, trials = run(sweep={"trials": 3})
    assert [each.state for each in trials] == ["complete"] * 3
    assert len({json.dumps(dict(each.values)) for each in trials}) == 3
    results = read_results(tmp_path / "out")
    assert [each.name for each in results.runs] == [each.name for each in trials]
    assert results.runs[0].scored_on == "validation list"
    for trial, result in zip(trials, results.runs, strict=True):
        assert result.interval is not None
        metrics = read_metrics(tmp_path / "out" / trial.name / "fold-once" / "metrics.json")
        assert trial.value == metrics["mean_sensitivity"]["value"]
    best = best_trial(sweep, trials)
    assert best is not None
    assert best.value == max(each.value or 0.0 for each in trials)


def test_no_image_of_the_test_list_is_predicted_or_even_listed(run: Run, tmp_path: Path) -> None:
    run(sweep={"trials": 1})
    scored = read_detections(tmp_path / "out" / "trial_0000" / "fold-once" / "detections.json")
    assert {each.record_id for each in scored.detections} == VALIDATION_IDS
    for path in [tmp_path / "out" / "data" / "A.json", *tmp_path.glob("out/trial_*/*/manifest.json")]:
        assert not TEST_IDS & {each.record_id for each in read_manifest(path).images()}


def test_folds_score_every_image_but_the_test_list_once(run: Run, tmp_path: Path) -> None:
    _, (trial,) = run(folds={"n_folds": 3, "validation_fraction": 0.2}, sweep={"trials": 1})
    (result,) = read_results(tmp_path / "out").runs
    scored = [each.record_id for fold in result.finished.values() for each in fold.records]
    assert sorted(scored) == sorted(each.record_id for each in RECORDS[:50])
    assert trial.value == pytest.approx(sum(result.fold_means) / 3)


def test_more_trials_go_on_and_finished_ones_are_not_done_again(run: Run, tmp_path: Path) -> None:
    _, first = run(sweep={"trials": 2})
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.glob("out/trial_*/*/done.json")}
    _, more = run(sweep={"trials": 2}, options={"n_trials": 3})
    assert told(more)[:2] == told(first)
    assert len(more) == 3
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps


@pytest.mark.parametrize(
    ("sampler", "when"),
    [
        ("tpe", "before the figure"),
        ("random", "at its note"),
        ("tpe", "half drawn"),
        ("random", "half drawn"),
    ],
)
def test_a_killed_sweep_goes_on_as_if_it_had_not_been(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sampler: str, when: str
) -> None:
    sweep = {"sampler": sampler, "trials": 3}
    _, whole = run(sweep=sweep, out="whole")
    places = {
        "before the figure": (Sweeper, "_note"),
        "at its note": (Study, "finish"),
        "half drawn": (study, "_suggested"),
    }
    place, fatal = places[when], 5 if when == "half drawn" else 2  # of the second trial's three values
    original, calls = getattr(*place), [0]

    def killed(*given: Any, **named: Any) -> Any:
        calls[0] += 1
        if calls[0] == fatal:
            raise KeyboardInterrupt  # nothing after it is written, as after kill -9
        return original(*given, **named)

    with monkeypatch.context() as patch:
        patch.setattr(*place, killed)
        with pytest.raises(KeyboardInterrupt):
            run(sweep=sweep)
    _, after = run(sweep=sweep)
    assert told(after) == told(whole)


def test_a_grid_is_done_once_and_no_further(run: Run) -> None:
    parameters = {
        "augment": {"type": "categorical", "choices": ["none", "strong"]},
        "learning_rate": {"type": "float", "low": 0.001, "high": 0.1, "log": True, "points": 2},
    }
    _, trials = run(sweep={"parameters": parameters, "sampler": "grid", "trials": None})
    found = [(each.values["augment"], each.values["learning_rate"]) for each in trials]
    assert found == [(a, rate) for a in ("none", "strong") for rate in (0.001, 0.1)]
    _, again = run(
        sweep={"parameters": parameters, "sampler": "grid", "trials": None}, options={"n_trials": 50}
    )
    assert told(again) == told(trials)


def test_values_that_are_no_numbers_or_texts_can_be_chosen(run: Run) -> None:
    choices = [None, [0.0, 1.0], True]
    parameters = {"lesion_fraction": {"type": "categorical", "choices": choices}}
    _, trials = run(sweep={"parameters": parameters, "sampler": "grid", "trials": None})
    assert [each.values["lesion_fraction"] for each in trials] == choices


def test_two_workers_do_as_many_trials_as_one(run: Run, tmp_path: Path) -> None:
    _, trials = run(sweep={"trials": 3}, options={"workers": 2})
    assert [each.number for each in trials] == [0, 1, 2]
    assert len(read_results(tmp_path / "out").runs) == 3


def test_a_failed_trial_counts_and_is_not_done_again(run: Run, tmp_path: Path) -> None:
    parameters = {"seed": {"type": "categorical", "choices": [1, 13]}}
    sweep = {"parameters": parameters, "sampler": "grid", "trials": None}
    _, trials = run(sweep=sweep)
    assert [each.state for each in trials] == ["complete", "failed"]
    assert "the loss is not finite" in trials[1].why
    log = tmp_path / "out" / "trial_0001" / "fold-once" / "attempts.json"
    before = log.read_text()
    run(sweep=sweep)
    assert log.read_text() == before


def test_a_sweep_of_failures_ends_itself(run: Run, tmp_path: Path) -> None:
    with pytest.raises(
        ExperimentError, match="the first 3 trials failed, the last with: the loss is not finite"
    ):
        run(overrides={"init": "none", "seed": 13}, sweep={"trials": 9})
    assert len(list((tmp_path / "out").glob("trial_*"))) == 3


def test_a_metric_without_a_lesion_is_undefined_and_fails_the_trial(run: Run) -> None:
    objective = {"metric": "auc", "level": "patient"}
    _, trials = run(sweep={"objective": objective, "trials": 1})  # every patient has a lesion
    assert trials[0].state == "failed"
    assert "AUC per patient is undefined" in trials[0].why


def test_another_sweep_in_the_folder_is_refused(run: Run) -> None:
    run(sweep={"trials": 1})
    with pytest.raises(
        ExperimentError, match=r"holds another sweep \(seed: 3 → 4\).*Only the number of trials"
    ):
        run(sweep={"trials": 1, "seed": 4})


def test_changed_manifests_are_another_sweep(run: Run, tmp_path: Path) -> None:
    run(sweep={"trials": 1})
    path = tmp_path / "manifest.json"
    path.write_text(path.read_text().replace("patient 3", "patient 33"))
    with pytest.raises(ExperimentError, match=r"holds another sweep .manifest_sha256"):
        run(sweep={"trials": 1})


def test_what_trials_start_from_is_done_once(run: Run, tmp_path: Path) -> None:
    write_film(tmp_path)
    runs = [{**CHAIN["runs"][0], "test_split": "validation"}, {**CHAIN["runs"][2], "folds": "once"}]
    parameters = {"augment": {"type": "categorical", "choices": ["none", "strong"]}}
    changes = {"manifest": CHAIN["manifest"], "runs": runs}
    sweep = {"run": "two_stage", "parameters": parameters, "sampler": "grid", "trials": None}
    read, trials = run(sweep=sweep, **changes)
    assert [each.state for each in trials] == ["complete", "complete"]
    attempts = json.loads((tmp_path / "out/stage_one/fold-once/attempts.json").read_text())
    assert len(attempts["attempts"] if isinstance(attempts, dict) else attempts) == 2  # training, prediction
    assert write_best(tmp_path, read, trials) is not None
    best = read_experiment(tmp_path / "best.json")
    assert [each.name for each in best.runs] == ["stage_one", "best"]
    assert best.runs[1].parent == "stage_one"


def test_a_parent_that_fails_ends_the_sweep(run: Run, tmp_path: Path) -> None:
    write_film(tmp_path)
    first = {"name": "stage_one", "manifest": "B", "overrides": {"seed": 13}}
    runs = [first, {"name": "two", "manifest": "A", "overrides": {"init": "run:stage_one"}}]
    with pytest.raises(ExperimentError, match="what every trial starts from is not done: stage_one: failed"):
        run(manifest=CHAIN["manifest"], runs=runs, sweep={"run": "two"})


def test_a_set_without_a_test_list_is_remarked_on(
    run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_sweep_file(tmp_path)
    content = json.loads((tmp_path / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps({**content, "test": []}))
    Sweeper(read_sweep(path), tmp_path / "out", n_trials=1).run()
    assert "manifest A has no test list: all its images take part in the choice" in caplog.text


@pytest.mark.parametrize("options", [{"workers": 0}, {"n_trials": 0}])
def test_numbers_below_one_are_refused(tmp_path: Path, options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be at least 1, got 0"):
        Sweeper(read_sweep(write_sweep_file(tmp_path)), tmp_path / "out", **options)


@pytest.mark.parametrize(
    ("changes", "manifests", "message"),
    [({"manifest": None}, (), "no manifest: name one"), ({}, ("/nowhere/m.json",), "no such manifest")],
)
def test_a_sweep_needs_its_manifest(
    tmp_path: Path, changes: dict[str, Any], manifests: tuple[str, ...], message: str
) -> None:
    sweep = read_sweep(write_sweep_file(tmp_path, **changes))
    with pytest.raises(ExperimentError, match=message):
        Sweeper(sweep, tmp_path / "out", manifests=manifests).run()


def test_without_optuna_the_extra_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    importing = builtins.__import__

    def without(name: str, *rest: Any, **named: Any) -> Any:
        if name == "optuna":
            raise ImportError("No module named 'optuna'")
        return importing(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ExperimentError, match=r"pip install 'mammo-monai\[optuna\]'"):
        run()
