"""What a sweep file may say, and what is refused before anything is trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mammo_monai.experiments import ExperimentError, read_experiment
from mammo_monai.experiments.sweeps import is_sweep, read_sweep
from tests.experiments.conftest import write_experiment
from tests.experiments.sweeps.conftest import PARAMETERS, write_sweep_file


def test_the_base_run_gets_the_values_of_each_trial(tmp_path: Path) -> None:
    sweep = read_sweep(write_sweep_file(tmp_path))
    experiment = sweep.experiment({"trial_0003": {"augment": "light", "learning_rate": 0.1}})
    (run,) = experiment.runs
    assert run.name == "trial_0003"
    assert run.overrides == {"init": "none", "epochs": 4, "augment": "light", "learning_rate": 0.1}
    assert run.description == "augment 'light', learning_rate 0.1"
    assert run.data.is_once
    assert run.data.test_split.value == "validation"


def test_runs_that_the_base_starts_from_are_kept_and_others_left_out(tmp_path: Path) -> None:
    runs = [
        {"name": "first", "manifest": "A"},
        {"name": "second", "manifest": "A", "overrides": {"init": "run:first"}},
        {"name": "other", "manifest": "A"},
    ]
    sweep = read_sweep(write_sweep_file(tmp_path, runs=runs, sweep={"run": "second"}))
    assert sweep.parents == ("first",)
    names = [each.name for each in sweep.experiment({"trial_0000": {}, "trial_0001": {}}).runs]
    assert names == ["first", "trial_0000", "trial_0001"]


def test_trust_is_the_commands_and_holds_for_every_trial(tmp_path: Path) -> None:
    sweep = read_sweep(write_sweep_file(tmp_path))
    for is_trusted in (False, True):
        found = replace(sweep, is_trusted=is_trusted).experiment({"trial_0000": {}, "trial_0001": {}})
        assert {each.is_trusted for each in found.runs} == {is_trusted}


def test_folds_are_made_of_what_is_not_test(tmp_path: Path) -> None:
    sweep = read_sweep(write_sweep_file(tmp_path, folds={"n_folds": 3}))
    (run,) = sweep.experiment({"t": {}}).runs
    assert not run.data.is_once
    assert run.data.folds is not None


def test_only_a_file_with_a_sweep_is_one(tmp_path: Path) -> None:
    assert is_sweep(write_sweep_file(tmp_path))
    plain = write_experiment(tmp_path)
    assert not is_sweep(plain)
    with pytest.raises(ExperimentError, match=r"holds no sweep: .* docs/how-to/sweeps\.md"):
        read_sweep(plain)
    with pytest.raises(ExperimentError, match="do it with `mammo-monai experiment sweep`"):
        read_experiment(tmp_path / "sweep.json")


@pytest.mark.parametrize(
    ("sweep", "message"),
    [
        ({"objective": {"split": "test"}}, "split test: a sweep that looks at the test list chooses by it"),
        ({"objective": {"split": "training"}}, "split must be validation, got 'training'"),
        ({"objective": {"metric": "accuracy"}}, "metric must be mean_sensitivity, sensitivity, auc"),
        ({"objective": {"metric": "sensitivity"}}, "fppi belongs to the metric sensitivity"),
        ({"objective": {"metric": "sensitivity", "fppi": 0.7}}, r"measures \(0\.25, .*got 0\.7"),
        ({"objective": {"fppi": 0.5}}, "got 0.5 with mean_sensitivity"),
        ({"objective": {"metric": "auc", "level": "pixel"}}, "level must be image, breast, patient"),
        ({"objective": {"direction": "up"}}, "direction must be maximize or minimize"),
        ({"objective": "auc"}, "objective must be an object"),
        ({"sampler": "magic"}, "sampler must be tpe, random, grid"),
        ({"sampler": "grid"}, "learning_rate: the sampler grid takes some numbers .* with points"),
        ({"pruner": "hyperband"}, "pruner must be none, median"),
        ({"trials": 0}, "trials must be a whole number of at least 1"),
        ({"seed": -1}, "seed must be a whole number of at least 0"),
        ({"budget": 3}, 'unknown "budget"'),
        ({"run": "weak"}, "run must say which run is varied: trial; got 'weak'"),
        ({"parameters": {}}, "parameters must be an object of ids"),
        ({"parameters": {"a": {"type": "normal"}}}, "a: type must be float, int or categorical"),
        ({"parameters": {"a": {"type": "float", "low": 1, "high": 1}}}, "a: low must be below high"),
        ({"parameters": {"a": {"type": "float", "low": "x", "high": 1}}}, "low and high must be floats"),
        ({"parameters": {"a": {"type": "int", "low": 0.5, "high": 2}}}, "low and high must be ints"),
        ({"parameters": {"a": {"type": "float", "low": 0, "high": 1, "log": True}}}, "begins above 0"),
        ({"parameters": {"a": {"type": "int", "low": 1, "high": 8, "log": True, "step": 2}}}, "log and step"),
        (
            {"parameters": {"a": {"type": "int", "low": 1, "high": 8, "step": 0}}},
            "step must be a whole number",
        ),
        ({"parameters": {"a": {"type": "categorical", "choices": [1]}}}, "at least two values"),
        ({"parameters": {"a": {"type": "categorical", "choices": [[1], [1]]}}}, "holds a value twice"),
        ({"parameters": {"a": {"type": "float", "low": 1, "high": 2, "choices": [1]}}}, 'unknown "choices"'),
    ],
)
def test_a_wrong_section_is_refused_with_its_place(
    tmp_path: Path, sweep: dict[str, Any], message: str
) -> None:
    with pytest.raises(ExperimentError, match=message) as told:
        read_sweep(write_sweep_file(tmp_path, sweep=sweep))
    assert "sweep.json, sweep" in str(told.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"folds": "folds.json"}, "folds of a file have test lists, which a sweep may not see"),
        ({"runs": [{"name": "a", "folds": "once", "test_split": "test"}]}, "run a: test_split test"),
        ({"runs": [{"name": "a", "manifest": "other.json"}]}, "name manifests for the whole experiment"),
        ({"runs": [{"name": "a", "manifest": "AB"}]}, "name manifests for the whole experiment"),
        ({"runs": [{"name": "a", "manifest": 5}]}, "run a: manifest must be a path or a list of paths"),
        ({"runs": [{"name": "a", "manifest": ["A", 5]}]}, "run a: manifest must be a path or a list"),
        ({"runs": [{"name": "a", "fuse": ["b", "c"]}]}, "take the ensemble out"),
        ({"runs": [{"name": "a", "train": False}], "sweep": {"run": "a"}}, "is not trained"),
        ({"runs": [{"name": "a"}, {"name": "b"}]}, "run must say which run is varied: a, b; got None"),
        ({"runs": "a"}, "runs must be a list"),
    ],
)
def test_whatever_could_show_a_test_list_or_varies_nothing_is_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    path = write_sweep_file(tmp_path, **changes)
    with pytest.raises(ExperimentError, match=message):
        read_sweep(path)


def test_a_section_that_is_no_object_is_refused(tmp_path: Path) -> None:
    (tmp_path / "sweep.json").write_text('{"schema": "mammo-monai/experiment/1", "sweep": 3}')
    with pytest.raises(ExperimentError, match="holds no sweep: an object with parameters"):
        read_sweep(tmp_path / "sweep.json")


def test_a_parameter_may_not_be_what_the_runner_sets(tmp_path: Path) -> None:
    sweep = {"parameters": {**PARAMETERS, "split": {"type": "categorical", "choices": ["test", "training"]}}}
    read = read_sweep(write_sweep_file(tmp_path, sweep=sweep))
    with pytest.raises(ExperimentError, match="may not set split: the runner sets it"):
        read.experiment({"t": {"split": "test"}})
