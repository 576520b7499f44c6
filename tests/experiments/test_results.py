"""Results join the folds of a run, each image once, and never mix what cannot be compared."""

from __future__ import annotations

import json
import shutil
import statistics
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mammo_monai.experiments import Choice, ExperimentError, Results, read_results
from mammo_monai.experiments.folder import RunFolder
from mammo_monai.metrics import FrocRule, evaluate_detections, pair_detections, paired_differences
from mammo_monai.schema import Manifest, write_manifest
from tests.experiments.conftest import films, run_here


@pytest.fixture(scope="module")
def results(finished_folder: Path) -> Results:
    return read_results(finished_folder)


def change(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_the_folds_of_a_run_are_scored_as_one_set(results: Results) -> None:
    none, _, strong, _ = results.runs
    assert none.metrics is not None
    assert strong.metrics is not None
    assert (strong.metrics["n_images"], strong.metrics["n_lesions"], strong.metrics["n_patients"]) == (
        24,
        12,
        12,
    )
    records = [each for fold in strong.finished.values() for each in fold.records]
    marks = [each for fold in strong.finished.values() for each in fold.detections]
    rule = FrocRule(fppi=(0.25, 0.5, 1.0, 2.0), n_bootstrap=100)
    direct = evaluate_detections(records, marks, rule=rule)
    assert strong.metrics["mean_sensitivity"] == direct["mean_sensitivity"]
    assert strong.metrics["mean_sensitivity"]["value"] > none.metrics["mean_sensitivity"]["value"]
    assert {each.record_id for each in records} == {each.record_id for each in films()}


def test_each_fold_has_a_mean_of_its_own(results: Results) -> None:
    strong = results.runs[2]
    each = [fold.mean_sensitivity for fold in strong.finished.values()]
    assert strong.fold_means == each
    assert len(each) == 3
    assert min(strong.fold_means) <= statistics.mean(strong.fold_means) <= max(strong.fold_means)


def test_the_difference_is_to_the_first_run_on_the_folds_both_have(results: Results) -> None:
    none, light, strong, _ = results.runs
    assert none.difference is None
    for run, folds in ((strong, "123"), (light, "1")):
        records = [each for fold in folds for each in none.finished[fold].records]
        before, after = (
            [each for fold in folds for each in side.finished[fold].detections] for side in (none, run)
        )
        rule = FrocRule(fppi=(0.25,), n_bootstrap=100)
        pair = pair_detections(records, before, after, rule=rule, names=("none", run.name))
        assert run.difference is not None
        assert run.difference.difference == paired_differences(pair, rule, n_permutations=0)[0].difference
        assert 0 < run.difference.p_value <= 1
    assert strong.difference is not None
    assert strong.difference.difference > 0


def test_what_is_missing_is_said_without_a_path(results: Results, finished_folder: Path) -> None:
    _, light, strong, broken = results.runs
    assert light.missing == {"2": "not begun", "3": "not begun"}
    assert strong.missing == {}
    assert broken.missing["1"] == "failed (its failed.json says why)"
    assert str(finished_folder) in (finished_folder / "broken/fold-1/failed.json").read_text()


def test_lengths_are_medians_over_folds(results: Results) -> None:
    strong, broken = results.runs[2:]
    assert strong.median_of("n_parameters") == 5_000_000
    assert broken.median_of("n_parameters") is None


def test_an_unfinished_training_has_its_curve_already(copied: Path) -> None:
    (copied / "strong/fold-3/done.json").unlink()
    strong = read_results(copied).runs[2]
    assert strong.missing == {"3": "unfinished"}
    assert [each.epoch for each in strong.histories["3"]] == [1, 2, 3, 4]
    assert strong.metrics is not None
    assert strong.metrics["n_images"] == 16


def test_without_the_first_run_nothing_is_compared(copied: Path) -> None:
    shutil.rmtree(copied / "none")
    runs = read_results(copied).runs
    assert [each.difference for each in runs] == [None] * 4
    assert runs[0].metrics is None
    assert runs[2].metrics is not None


def test_runs_without_a_fold_in_common_are_not_compared(copied: Path) -> None:
    (copied / "none/fold-1/done.json").unlink()
    assert read_results(copied).runs[1].difference is None


def test_films_without_any_lesion_have_no_figure_and_no_difference(tmp_path: Path) -> None:
    normal = tuple(replace(each, lesions=()) for each in films())
    write_manifest(tmp_path / "manifest.json", Manifest(training=normal))
    first, second, *_ = read_results(run_here(tmp_path, choice=Choice(("1",), ("none", "light")))).runs
    assert first.metrics is not None
    assert first.metrics["mean_sensitivity"]["value"] is None
    assert (second.interval, second.difference, second.fold_means) == (None, None, [])


def test_a_folder_without_a_finished_run_is_refused(copied: Path) -> None:
    for each in copied.rglob("done.json"):
        each.unlink()
    with pytest.raises(ExperimentError, match=r"no run is finished yet.*failed\.json"):
        read_results(copied)


@pytest.mark.parametrize("name", ["detections.json", "metrics.json", "manifest.json", "environment.json"])
def test_a_finished_run_with_a_broken_file_is_refused(copied: Path, name: str) -> None:
    (copied / "light/fold-1" / name).write_text("{")
    with pytest.raises(ExperimentError, match=r"fold-1: .*Do the run again"):
        read_results(copied)


def test_detections_that_are_not_those_of_the_run_are_refused(copied: Path) -> None:
    folder = RunFolder(copied / "light/fold-1")
    folder.detections.write_text(folder.detections.read_text() + "\n")
    with pytest.raises(ExperimentError, match=r"detections\.json: not the detections that done\.json"):
        read_results(copied)


def test_truth_that_is_not_that_of_the_run_is_refused(copied: Path) -> None:
    folder = RunFolder(copied / "light/fold-1")
    content = json.loads(folder.manifest.read_text())
    next(each for each in content["test"] if each["box"]).update(box=[], label=[], lesions=[])
    folder.manifest.write_text(json.dumps(content))
    with pytest.raises(ExperimentError, match=r"manifest\.json: not the lesions and lists that done\.json"):
        read_results(copied)


def test_runs_on_other_folds_or_by_another_rule_do_not_stand_in_one_table(copied: Path) -> None:
    config = copied / "light/fold-1/config.json"
    content = json.loads(config.read_text())
    change(
        config, inputs={**content["inputs"], "folds_sha256": "0"}, rule={**content["rule"], "min_iou": 0.5}
    )
    with pytest.raises(
        ExperimentError, match="run light, fold 1, differs from run none in folds_sha256, rule"
    ):
        read_results(copied)


def test_runs_on_other_images_are_a_group_of_their_own_with_its_own_first(finished_chain: Path) -> None:
    results = read_results(finished_chain)
    assert [[run.name for run in each.runs] for each in results.scored_groups] == [
        ["stage_one"],
        ["one_stage", "two_stage"],
    ]
    assert [each.scored_on for each in results.scored_groups] == [
        "validation list of B",
        "test lists of 3 folds of A",
    ]
    assert results.scored_on == ""
    stage_one, one_stage, two_stage = results.runs
    assert (stage_one.difference, one_stage.difference) == (None, None)
    records = [each for fold in "12" for each in one_stage.finished[fold].records]
    before, after = (
        [each for fold in "12" for each in run.finished[fold].detections] for run in (one_stage, two_stage)
    )
    rule = FrocRule(fppi=(0.25,), n_bootstrap=100)
    pair = pair_detections(records, before, after, rule=rule, names=("one_stage", "two_stage"))
    assert two_stage.difference is not None
    assert two_stage.difference.difference == paired_differences(pair, rule, n_permutations=0)[0].difference
    assert [(run.table, run.folds) for run in results.runs] == [
        ("", ("once",)),
        ("P0-I", ("1", "2", "3")),
        ("P0-II", ("1", "2", "3")),
    ]
    assert stage_one.metrics is not None
    assert stage_one.metrics["n_images"] == 6
    assert stage_one.histories["once"][-1].epoch == 4


def test_results_of_a_group_that_are_on_other_images_are_refused(
    finished_chain: Path, tmp_path: Path
) -> None:
    copied = Path(shutil.copytree(finished_chain, tmp_path / "copied"))
    shutil.rmtree(copied / "two_stage/fold-1")
    shutil.copytree(copied / "two_stage/fold-2", copied / "two_stage/fold-1")
    shutil.rmtree(copied / "two_stage/fold-2")
    with pytest.raises(ExperimentError, match="run two_stage, fold 1, differs from run one_stage in images"):
        read_results(copied)


def test_one_rule_holds_for_all_groups(finished_chain: Path, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(finished_chain, tmp_path / "copied"))
    config = copied / "stage_one/fold-once/config.json"
    change(config, rule={**json.loads(config.read_text())["rule"], "min_iou": 0.5})
    with pytest.raises(ExperimentError, match=r"run one_stage, fold 1, differs from run stage_one in rule"):
        read_results(copied)


def test_an_image_tested_in_two_folds_is_refused(copied: Path) -> None:
    for name in ("none", "light"):
        shutil.rmtree(copied / name)
    shutil.rmtree(copied / "strong/fold-2")
    shutil.copytree(copied / "strong/fold-1", copied / "strong/fold-2")
    with pytest.raises(ExperimentError, match=r"run strong: record \w+ is tested in two folds"):
        read_results(copied)
