"""An experiment file is read whole or refused with its file, run and field named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mammo_monai.experiments.definition import ExperimentError, FoldsRequest, read_experiment
from mammo_monai.experiments.sweeps import is_sweep
from mammo_monai.records import Split

ROOT = Path(__file__).parents[2]
SHIPPED = [path for path in sorted((ROOT / "experiments").glob("*.json")) if not is_sweep(path)]


def content(**changes: Any) -> dict[str, Any]:
    whole = {
        "schema": "mammo-monai/experiment/1",
        "bundle": "a_bundle",
        "manifest": "data/manifest.json",
        "folds": "folds.json",
        "overrides": {"size_px": 512, "freeze": "all"},
        "runs": [{"name": "first"}, {"name": "second", "overrides": {"size_px": 768}}],
    }
    return {name: value for name, value in {**whole, **changes}.items() if value is not ...}


def written(folder: Path, **changes: Any) -> Path:
    path = folder / "sizes.json"
    path.write_text(json.dumps(content(**changes)), encoding="utf-8")
    return path


def test_a_runs_overrides_replace_those_of_the_experiment(tmp_path: Path) -> None:
    experiment = read_experiment(written(tmp_path))
    assert [run.overrides for run in experiment.runs] == [
        {"size_px": 512, "freeze": "all"},
        {"size_px": 768, "freeze": "all"},
    ]


def test_paths_begin_at_the_experiment_files_folder_and_names_stay(tmp_path: Path) -> None:
    runs = [
        {"name": "a", "bundle": "../site/bundle", "overrides": {"init": "weights/x.safetensors"}},
        {"name": "b", "overrides": {"init": "imagenet"}},
    ]
    experiment = read_experiment(written(tmp_path, runs=runs))
    assert experiment.manifests == (str(tmp_path / "data/manifest.json"),)
    assert experiment.folds == tmp_path / "folds.json"
    assert Path(experiment.runs[0].bundle).resolve() == (tmp_path.parent / "site/bundle").resolve()
    assert experiment.runs[0].overrides["init"] == str(tmp_path / "weights/x.safetensors")
    assert (experiment.runs[1].bundle, experiment.runs[1].overrides["init"]) == ("a_bundle", "imagenet")


def test_the_name_is_the_files_unless_it_names_itself(tmp_path: Path) -> None:
    assert read_experiment(written(tmp_path)).name == "sizes"
    assert read_experiment(written(tmp_path, name="other")).name == "other"


def test_common_epochs_become_an_override_of_every_run(tmp_path: Path) -> None:
    experiment = read_experiment(written(tmp_path, epochs=7))
    assert [run.overrides["epochs"] for run in experiment.runs] == [7, 7]
    assert experiment.budget_iterations is None
    assert read_experiment(written(tmp_path, budget_iterations=900)).budget_iterations == 900


def test_folds_can_be_asked_for_in_place(tmp_path: Path) -> None:
    folds = read_experiment(written(tmp_path, folds={"n_folds": 3, "seed": 4})).folds
    assert isinstance(folds, FoldsRequest)
    assert (folds.scheme.name, folds.scheme.n_folds, folds.seed) == ("kfold", 3, 4)


def test_the_rule_takes_the_options_of_evaluate(tmp_path: Path) -> None:
    rule = read_experiment(written(tmp_path, evaluate={"min_iou": 0.1, "fppi": [0.5, 1]})).rule
    assert (rule.min_iou, rule.fppi) == (0.1, (0.5, 1))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema": "x"}, "expected schema"),
        ({"runs": ...}, "runs must be a list of at least one run"),
        ({"runs": []}, "at least one run"),
        ({"runs": ["first"]}, r"runs row 0: expected an object with name"),
        ({"runs": [{"overrides": {}}]}, "name must be of letters"),
        ({"runs": [{"name": "../up"}]}, "name must be of letters"),
        ({"runs": [{"name": "a"}, {"name": "A"}]}, "run A has the same folder as a"),
        ({"runs": [{"name": "a", "overides": {}}]}, r'row 0 \(a\): unknown "overides"; known are bundle'),
        ({"runs": [{"name": "a", "overrides": []}]}, "overrides must be an object"),
        ({"runs": [{"name": "a", "train": "no"}]}, "train must be true or false"),
        ({"runs": [{"name": "a", "description": 3}]}, "description must be a text"),
        ({"bundle": ...}, r"\(first\): bundle must be named"),
        ({"overrides": {"output_dir": "x"}}, "may not set output_dir: the runner sets it"),
        ({"epochs": 0}, "epochs must be a whole number of at least 1, got 0"),
        ({"budget_iterations": True}, "budget_iterations must be a whole number"),
        ({"epochs": 2, "budget_iterations": 9}, "not both"),
        ({"epochs": 2, "runs": [{"name": "a", "overrides": {"epochs": 3}}]}, "run a: the budget is equal"),
        ({"epochs": 2, "overrides": {"epochs": 3}}, "the budget is equal"),
        ({"manifest": 3}, "manifest must be a path"),
        ({"folds": 5}, "folds must be the path"),
        ({"folds": {"folds": 5}}, 'folds: unknown "folds"'),
        ({"folds": {"n_folds": 1}}, "folds: folds must be a whole number of 2 or more"),
        ({"folds": {"n_folds": 2.5}}, "folds: folds must be a whole number of 2 or more, got 2.5"),
        ({"folds": {"n_folds": "5"}}, "folds: folds must be a whole number of 2 or more, got '5'"),
        ({"folds": {"validation_fraction": "0.2"}}, "folds: validation_fraction must be at least 0"),
        ({"evaluate": {"n_bootstrap": 10.5}}, "evaluate: n_bootstrap must be a whole number"),
        ({"folds": {"seed": -1}}, "seed must be a whole number"),
        ({"evaluate": {"min_iou": 2}}, "evaluate: min_iou must be"),
        ({"evaluate": {"iou": 0.2}}, 'evaluate: unknown "iou"'),
        ({"evaluate": []}, "evaluate must be an object"),
        ({"extra": 1}, 'unknown "extra"'),
        ({"runs": [{"name": "a", "row": "0.1"}]}, r"\(a\): row 0.1 says which row, table must say"),
        ({"runs": [{"name": "a", "table": 6}]}, "table must be a text"),
        ({"runs": [{"name": "a", "manifest": 3}]}, r"\(a\): manifest must be a path"),
        (
            {"runs": [{"name": "a", "folds": "once", "test_split": "training"}]},
            "test_split must be validation",
        ),
        ({"runs": [{"name": "a", "test_split": "test"}]}, 'test_split is for runs with "folds": "once"'),
        ({"runs": [{"name": "a", "folds": {"once": 1}}]}, "folds: once must be true or false"),
        ({"runs": [{"name": "a", "folds": {"once": True}}]}, "folds with once need stage"),
        (
            {"runs": [{"name": "a", "overrides": {"init": "run:b"}}]},
            "sizes.json, run a: init run:b names no run",
        ),
    ],
)
def test_a_fault_is_named_with_its_file_and_field(tmp_path: Path, changes: Any, message: str) -> None:
    with pytest.raises(ExperimentError, match=message) as raised:
        read_experiment(written(tmp_path, **changes))
    assert "sizes.json" in str(raised.value)


@pytest.mark.parametrize("text", ["{", "[1]", "", "\x00"])
def test_a_file_that_is_no_json_object_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ExperimentError, match=r"x\.json"):
        read_experiment(path)
    with pytest.raises(ExperimentError, match="no such file"):
        read_experiment(tmp_path / "none.json")


def test_a_run_may_ask_for_images_of_its_own_and_say_what_it_reproduces(tmp_path: Path) -> None:
    runs = [
        {"name": "a", "manifest": ["B", "c.json", "phantoms:inbreast:4"], "table": "P0-VI", "row": "0.1"},
        {"name": "b", "folds": "once", "overrides": {"init": "none"}},
        {
            "name": "c",
            "folds": {"scheme": "s6", "once": True},
            "stage": "pretraining-b",
            "test_split": "test",
        },
        {"name": "d", "overrides": {"init": "run:b"}},
    ]
    a, b, c, d = read_experiment(written(tmp_path, runs=runs)).runs
    assert a.data.manifests == ("B", str(tmp_path / "c.json"), "phantoms:inbreast:4")
    assert (a.table, a.row, a.data.is_once, a.data.test_split) == ("P0-VI", "0.1", False, Split.TEST)
    assert (b.data.is_once, b.data.folds, b.data.test_split) == (True, None, Split.VALIDATION)
    assert isinstance(c.data.folds, FoldsRequest)
    assert (c.data.is_once, c.data.stage, c.data.test_split) == (True, "pretraining-b", Split.TEST)
    assert (d.parent, d.data.is_common, d.overrides["init"]) == ("b", True, "run:b")


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_experiment_is_read(path: Path) -> None:
    experiment = read_experiment(path)
    assert experiment.name == path.stem
    assert experiment.description
    assert all(run.description for run in experiment.runs)


def test_a_field_that_stands_twice_is_refused(tmp_path: Path) -> None:
    text = json.dumps(content(epochs=4))
    (tmp_path / "twice.json").write_text(text[:-1] + ', "epochs": 8}')
    with pytest.raises(ExperimentError, match="an object names 'epochs' twice"):
        read_experiment(tmp_path / "twice.json")
    with pytest.raises(ExperimentError, match="an object names 'epochs' twice"):
        is_sweep(tmp_path / "twice.json")
