"""A plan holds what was asked for, fold by fold, or says what is missing before anything is trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mammo_monai.errors import ManifestError
from mammo_monai.experiments import Choice, ExperimentError, Plan, fold_selection, make_plan, read_experiment
from mammo_monai.experiments.sweeps.held_back import without_test_lists
from mammo_monai.records import Split
from mammo_monai.schema import Manifest, write_manifest
from mammo_monai.schema.folds import Folds, write_folds
from tests.experiments.conftest import films, write_experiment, write_film


def planned(folder: Path, choice: Choice | None = None, **changes: Any) -> Plan:
    return make_plan(read_experiment(write_experiment(folder, **changes)), choice)


def folds_of(plan: Plan) -> Folds:
    folds = plan.data["none"].folds
    assert folds is not None
    return folds


def names(plan: Plan) -> list[tuple[str, str]]:
    return [(each.fold, each.spec.name) for each in plan.runs]


def test_all_runs_of_a_fold_stand_before_those_of_the_next(tmp_path: Path) -> None:
    assert names(planned(tmp_path)) == [(fold, run) for fold in "123" for run in ("none", "light", "strong")]


def test_a_choice_keeps_the_files_order(tmp_path: Path) -> None:
    choice = Choice(("3", "1"), ("strong", "none"))
    assert names(planned(tmp_path, choice)) == [
        ("1", "none"),
        ("1", "strong"),
        ("3", "none"),
        ("3", "strong"),
    ]


def test_each_image_is_tested_in_one_fold(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    tested = [
        each.record_id for fold in "123" for each in plan.data["none"].manifest(fold).images(Split.TEST)
    ]
    assert sorted(tested) == sorted(each.record_id for each in films())


def test_a_common_budget_makes_the_bundles_epochs_decide_nothing(tmp_path: Path) -> None:
    by_epochs = planned(tmp_path).runs[0].config
    assert by_epochs["training"]["epochs"] == 4
    path = write_experiment(tmp_path)
    path.write_text(path.read_text().replace('"epochs": 4', '"budget_iterations": 90'))
    by_budget = make_plan(read_experiment(path)).runs[0].config
    assert by_budget["budget_iterations"] == 90
    assert "epochs" not in by_budget["training"].keys() | by_budget["prediction"].keys()


def test_the_configuration_is_of_the_content_not_of_the_folder(tmp_path: Path) -> None:
    first, second = (planned(tmp_path / name).runs[0] for name in ("a", "b"))
    assert first.sha256 == second.sha256
    assert first.label == "run none, fold 1"
    assert str(tmp_path) not in str(first.config)


def test_folds_of_a_file_and_manifests_of_a_choice_replace_the_files_own(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    write_folds(tmp_path / "folds.json", folds_of(plan))
    manifest = tmp_path / "manifest.json"
    choice = Choice(("2",), ("none",), (str(manifest),), tmp_path / "folds.json")
    other = planned(tmp_path, choice, manifest="gone.json", folds={"n_folds": 2})
    assert other.runs[0].config["inputs"]["folds_sha256"] == folds_of(plan).sha256


def test_folds_of_another_manifest_are_refused(tmp_path: Path) -> None:
    write_folds(tmp_path / "folds.json", folds_of(planned(tmp_path)))
    other = tmp_path / "other.json"
    write_manifest(other, Manifest(training=films(12, first=50)))
    with pytest.raises(ManifestError, match="folds"):
        planned(tmp_path, Choice(manifests=(str(other),), folds_file=tmp_path / "folds.json"))


def test_phantoms_are_made_where_they_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def made(name: str) -> str:
        asked.append(name)
        return str(tmp_path / "manifest.json")

    monkeypatch.setattr("mammo_monai.data.manifest_path", made)
    plan = planned(tmp_path, manifest="phantoms:inbreast:12")
    assert asked == list(plan.manifest_names) == ["phantoms:inbreast:12"]


@pytest.mark.parametrize(
    ("choice", "changes", "message"),
    [
        (Choice(("9",)), {}, "no fold 9: the folds are 1, 2, 3"),
        (Choice(only=("weak",)), {}, "no run weak: the runs are none, light, strong"),
        (Choice(), {"manifest": None}, "no manifest: name one"),
        (Choice(), {"folds": None}, "no folds: name a file"),
        (Choice(), {"stage": "second"}, "no stage second in fold 1: its stages are"),
        (
            Choice(("1", "3")),
            {"folds": {"n_folds": 3, "validation_fraction": 0.0}},
            r"run none, fold 1: it validates on the validation list, which is empty\.",
        ),
    ],
)
def test_what_is_not_there_is_named(tmp_path: Path, choice: Choice, changes: Any, message: str) -> None:
    with pytest.raises(ExperimentError, match=message):
        planned(tmp_path, choice, **changes)


def test_a_run_that_is_not_trained_needs_no_validation_list(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"weights")
    runs = [{"name": "as-is", "train": False, "overrides": {"init": "a.safetensors"}}]
    plan = planned(
        tmp_path, runs=runs, overrides={}, epochs=4, folds={"n_folds": 3, "validation_fraction": 0}
    )
    assert len(plan.runs) == 3


def test_other_tools_count_folds_from_0_and_are_told(tmp_path: Path) -> None:
    with pytest.raises(ExperimentError, match=r"no fold 0: the folds are 1, 2, 3\. They count from 1\."):
        planned(tmp_path, Choice(fold_selection("0-2")))


def test_the_configuration_of_a_plain_run_is_what_it_always_was(tmp_path: Path) -> None:
    # Another key would make every finished run of an older version another run.
    config = planned(tmp_path).runs[0].config
    assert set(config) == {
        *("schema", "bundle", "is_trained", "stage", "budget_iterations", "training", "prediction", "rule"),
        *("inputs", "fold"),
    }
    assert set(config["inputs"]) == {"manifest_sha256", "folds_sha256", "init", "init_sha256"}
    first = {"min_iou", "count_double_hits", "label", "fppi", "n_bootstrap", "seed", "confidence"}
    assert set(config["rule"]) == first


def test_a_letter_and_the_manifest_it_stands_for_are_the_same_images(tmp_path: Path) -> None:
    film = write_film(tmp_path)
    runs = [{"name": "a", "manifest": "B"}, {"name": "b", "manifest": "film.json"}]
    plan = planned(tmp_path, manifest=["manifest.json", "film.json"], runs=runs)
    assert plan.data["a"] == plan.data["b"]
    assert [*plan.data["a"].manifests] == ["B"]
    assert plan.data["a"].manifests["B"].path == film
    # A manifest that a run alone names gets the next letter.
    plan = planned(tmp_path, runs=[{"name": "c"}, {"name": "b", "manifest": "film.json"}])
    assert [[*each.manifests] for each in plan.data.values()] == [["A"], ["B"]]


def test_more_manifests_than_letters_are_refused_not_dropped(tmp_path: Path) -> None:
    files = tuple(f"{n}.json" for n in range(27))
    with pytest.raises(ExperimentError, match="at most 26 manifests, A to Z, got 27"):
        planned(tmp_path, Choice(manifests=files))
    with pytest.raises(ExperimentError, match="at most 26 manifests"):
        without_test_lists([Path(each) for each in files], tmp_path)


def test_setups_of_one_set_are_scored_on_the_same_images(tmp_path: Path) -> None:
    write_film(tmp_path)

    def folds(name: str, **more: Any) -> dict[str, Any]:
        return {"scheme": name, "n_folds": 3, "validation_fraction": 0.2, **more}

    runs = [{"name": name, "folds": folds(name)} for name in ("s1", "s2", "s3", "s5", "s6")]
    before = {"name": "before", "folds": folds("s6", once=True), "stage": "pretraining-b"}
    plan = planned(tmp_path, manifest=["manifest.json", "film.json"], folds=None, runs=[before, *runs])
    scored = {name: data.scored_sha256 for name, data in plan.data.items()}
    assert scored["s1"] == scored["s3"] == scored["s6"]
    assert len({scored[name] for name in ("s1", "s2", "s5", "before")}) == 4
    assert plan.data["s6"].scored_text(2) == "test lists of 3 folds of A"
    assert plan.data["s5"].scored_text(2) == "test lists of 3 folds of A and B"
    assert plan.data["before"].scored_text(2) == "validation list of B"
    # The stage before is whole: all of B, with a validation list carved from it.
    lists = plan.data["before"].manifest("once")
    assert len(lists.training) + len(lists.validation) == 24
    assert names(plan)[0] == ("once", "before")
    assert {name for fold, name in names(plan) if fold == "once"} == {"before"}


@pytest.mark.parametrize(
    ("run", "message"),
    [
        ({"manifest": "C"}, "manifest C is the experiment's 3., but it has 2"),
        ({"manifest": ["A", "B"], "folds": "once"}, "trains on the lists of one manifest, got 2"),
        ({"manifest": "A", "folds": "once"}, "the validation list is empty, so nothing can be measured"),
        (
            {"folds": {"scheme": "s6", "n_folds": 3, "validation_fraction": 0.2}, "stage": "pretraining-b"},
            "fold 1, stage pretraining-b: the test list is empty",
        ),
        (
            {"folds": {"scheme": "kfold", "n_folds": 3, "once": True}, "stage": "training"},
            "stage training is not the same in all folds",
        ),
        (
            {"folds": {"scheme": "s6", "once": True}, "stage": "pretraining-c"},
            "no stage pretraining-c in fold 1",
        ),
    ],
)
def test_images_that_cannot_be_had_are_named(tmp_path: Path, run: dict[str, Any], message: str) -> None:
    write_film(tmp_path)
    with pytest.raises(ExperimentError, match=message):
        planned(tmp_path, manifest=["manifest.json", "film.json"], runs=[{"name": "a", **run}])


def test_a_run_scored_on_a_patient_it_learns_from_is_refused(tmp_path: Path) -> None:
    first, *others = films(6)
    follow_up = replace(first, record_id="f" * 16, image=Path("/films/later.png"))
    run = {"name": "a", "folds": "once"}
    (tmp_path / "a.safetensors").write_text("weights")
    for test_split, lists in (
        ("validation", Manifest(training=(first, *others[:3]), validation=(follow_up, *others[3:]))),
        ("test", Manifest((first, *others[1:3]), tuple(others[3:5]), (follow_up, *others[5:]))),
        ("test", Manifest(tuple(others[1:3]), (first, *others[3:5]), (follow_up, *others[5:]))),
    ):
        write_manifest(tmp_path / "manifest.json", lists)
        with pytest.raises(ExperimentError, match=r"run a: it is scored on record f{16}, whose patient"):
            planned(tmp_path, folds=None, runs=[{**run, "test_split": test_split}])
        as_it_is = {"train": False, "overrides": {"init": "a.safetensors"}}  # it learns from no list
        assert planned(tmp_path, folds=None, runs=[{**run, "test_split": test_split, **as_it_is}]).runs


def test_folds_of_a_file_that_no_run_would_use_are_refused(tmp_path: Path) -> None:
    write_folds(tmp_path / "folds.json", folds_of(planned(tmp_path)))
    runs = [{"name": "none", "folds": {"n_folds": 2}}]
    with pytest.raises(ExperimentError, match=r"folds\.json: no run would use these folds"):
        planned(tmp_path, Choice(folds_file=tmp_path / "folds.json"), runs=runs)


@pytest.mark.parametrize(
    ("text", "expected"), [("2", ("2",)), ("1-3, 2", ("1", "2", "3")), ("a,b-c", ("a", "b-c"))]
)
def test_folds_are_counted_or_named(text: str, expected: tuple[str, ...]) -> None:
    assert fold_selection(text) == expected


@pytest.mark.parametrize("text", ["3-1", "1,,2", ""])
def test_folds_that_are_no_names_are_refused(text: str) -> None:
    with pytest.raises(ExperimentError, match="folds"):
        fold_selection(text)
