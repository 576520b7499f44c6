"""A run may fuse others: planned after them, calibrated on validation lists, redone where they are."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from mammo_monai.experiments import (
    Choice,
    ExperimentError,
    Runner,
    make_plan,
    read_experiment,
    read_results,
    runs_table,
    write_table,
)
from mammo_monai.experiments.configuration import check_same_network
from mammo_monai.experiments.folder import RunFolder
from mammo_monai.experiments.step import iterations_per_epoch
from mammo_monai.schema import Manifest, read_detections, write_detections, write_manifest
from tests.experiments import fake_step
from tests.experiments.conftest import StepsHere, films, write_experiment, write_film

MEMBERS: list[dict[str, Any]] = [
    {"name": "light", "overrides": {"augment": "light"}},
    {"name": "strong", "overrides": {"augment": "strong"}},
]
RAW = {"name": "raw", "fuse": {"runs": ["light", "strong"], "method": "wbf", "calibrated": False}}
CALIBRATED = {"name": "ensemble", "fuse": {"runs": ["light", "strong"], "min_iou": 0.5, "weights": [1, 2]}}
ONE_FOLD = Choice(("1",))


class CountedSteps(StepsHere):
    """The fake steps, which note what they did; predictions of validation lists can be made to fail."""

    done: ClassVar[list[str]] = []
    fails_on_validation = False

    def run(self, line: str, log: Path) -> None:
        step = json.loads(line)
        split = step["overrides"].get("split", "")
        if self.fails_on_validation and split == "validation":
            raise OSError("the disk is full")
        self.done.append(f"{step['kind']} {split}".strip())
        super().run(line, log)


@pytest.fixture(autouse=True)
def steps(monkeypatch: pytest.MonkeyPatch) -> type[CountedSteps]:
    monkeypatch.setattr("mammo_monai.experiments.runner.Processes", CountedSteps)
    monkeypatch.setattr(CountedSteps, "done", [])
    return CountedSteps


def runner_of(folder: Path, choice: Choice | None = ONE_FOLD, /, **changes: Any) -> Runner:
    options = {name: changes.pop(name) for name in ("redo", "workers") if name in changes}
    if not (folder / "manifest.json").exists():
        folder.mkdir(exist_ok=True)
        write_manifest(folder / "manifest.json", Manifest(training=films(30)))
    changes = {"runs": [*MEMBERS, CALIBRATED, RAW], **changes}
    plan = make_plan(read_experiment(write_experiment(folder, **changes)), choice)
    return Runner(plan, folder / "out", **options)


def came_out(runner: Runner) -> list[str]:
    return [each.as_line() for each in runner.run()]


def folder_of(root: Path, name: str, fold: str = "1") -> RunFolder:
    return RunFolder(root / "out" / name / f"fold-{fold}")


def test_an_ensemble_trains_nothing_and_fuses_what_its_members_found(
    tmp_path: Path, steps: type[CountedSteps]
) -> None:
    assert came_out(runner_of(tmp_path)) == [
        f"{name}, fold 1: done" for name in ("light", "strong", "ensemble", "raw")
    ]
    assert steps.done == ["training", "prediction test"] * 2 + ["prediction validation"] * 2
    for name, is_calibrated in (("ensemble", True), ("raw", False)):
        folder = folder_of(tmp_path, name)
        content, done = read_detections(folder.detections), folder.read_done()
        told = content.model["fusion"]
        assert told["calibrated"] is done["calibrated"] is is_calibrated
        assert [each["name"] for each in told["members"]] == ["light", "strong"]
        assert (told["members"][0]["calibration"] is not None) is is_calibrated
        assert done["n_parameters"] == 10_000_000
        assert done["seconds_per_image"] == 0.5
        members = [read_detections(folder_of(tmp_path, each).detections) for each in ("light", "strong")]
        assert {each.record_id for each in content.detections} == {
            each.record_id for each in members[0].detections
        }
        # Both members mark the corner of every image: one fused box each, not two.
        assert all(each.boxes.tolist().count([0, 0, 9, 9]) == 1 for each in content.detections)
    assert str(tmp_path) not in folder_of(tmp_path, "ensemble").config.read_text()


def test_an_ensemble_may_be_written_before_its_members_and_brings_them(tmp_path: Path) -> None:
    runner = runner_of(tmp_path, Choice(("1",), ("raw",)), runs=[RAW, *MEMBERS, {"name": "other"}])
    assert came_out(runner) == ["light, fold 1: done", "strong, fold 1: done", "raw, fold 1: done"]


def test_a_finished_ensemble_is_not_done_again_and_comes_out_the_same_elsewhere(
    tmp_path: Path, steps: type[CountedSteps]
) -> None:
    runner_of(tmp_path / "a").run()
    before = len(steps.done)
    assert came_out(runner_of(tmp_path / "a"))[2:] == [
        "ensemble, fold 1: done before",
        "raw, fold 1: done before",
    ]
    assert len(steps.done) == before
    runner_of(tmp_path / "b", workers=2).run()
    one, other = (
        read_detections(folder_of(tmp_path / each, "ensemble").detections).detections for each in "ab"
    )
    for a, b in zip(one, other, strict=True):
        assert a.boxes.tolist() == b.boxes.tolist()
        assert a.scores.tolist() == b.scores.tolist()


def test_a_stopped_ensemble_goes_on_where_it_was(tmp_path: Path, steps: type[CountedSteps]) -> None:
    steps.fails_on_validation = True
    try:
        lines = came_out(runner_of(tmp_path))
    finally:
        steps.fails_on_validation = False
    assert lines[2].startswith("ensemble, fold 1: failed: the disk is full")
    assert lines[3] == "raw, fold 1: done"
    (folder_of(tmp_path, "ensemble").path / "calibration" / "light").mkdir(parents=True, exist_ok=True)
    steps.done.clear()
    assert came_out(runner_of(tmp_path))[2] == "ensemble, fold 1: done"
    assert steps.done == ["prediction validation"] * 2
    folder_of(tmp_path, "ensemble").done.unlink()  # as a kill before the last write leaves it
    steps.done.clear()
    assert came_out(runner_of(tmp_path))[2] == "ensemble, fold 1: done"
    assert steps.done == []


def test_a_failed_member_skips_its_ensemble_and_no_other_run(tmp_path: Path) -> None:
    broken = {**MEMBERS[0], "overrides": {"seed": 13}}
    lines = came_out(runner_of(tmp_path, runs=[broken, MEMBERS[1], RAW]))
    assert lines[1:] == [
        "strong, fold 1: done",
        "raw, fold 1: skipped: member failed (run light, fold 1)",
    ]


def test_a_member_that_is_redone_makes_its_ensemble_another_run(tmp_path: Path) -> None:
    runner_of(tmp_path).run()
    other = [{**MEMBERS[0], "overrides": {"augment": "none"}}, MEMBERS[1], RAW]
    with pytest.raises(ExperimentError, match=r"run light, fold 1: .*another configuration"):
        runner_of(tmp_path, runs=other).run()
    folder_of(tmp_path, "light").done.unlink()
    with pytest.raises(
        ExperimentError, match=r"run raw, fold 1: .*fused from detections of run light, fold 1"
    ):
        runner_of(tmp_path, runs=[*MEMBERS, RAW]).run()
    before = folder_of(tmp_path, "raw").read_done()["detections_sha256"]
    assert came_out(runner_of(tmp_path, runs=other, redo=True)) == [
        "light, fold 1: done",
        "strong, fold 1: done before",
        "raw, fold 1: done",
    ]
    assert folder_of(tmp_path, "raw").read_done()["detections_sha256"] != before


def test_detections_that_are_not_the_members_own_are_refused(tmp_path: Path) -> None:
    runner_of(tmp_path, Choice(("1",), ("light", "strong"))).run()
    write_detections(folder_of(tmp_path, "light").detections, [], {"name": "another"})
    line = came_out(runner_of(tmp_path, runs=[*MEMBERS, RAW]))[2]
    assert "not the detections that the member's done.json tells of" in line


def test_scores_that_cannot_be_calibrated_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_manifest(tmp_path / "manifest.json", Manifest(training=films(6)))
    line = came_out(runner_of(tmp_path))[2]
    assert "ensemble, fold 1: failed" in line
    assert "cannot be calibrated on the validation list" in line
    assert line.endswith('"calibrated": false.')


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"runs": [*MEMBERS, {"name": "e", "fuse": {"runs": ["light", "x"]}}]},
            "fuse names x, which is no run",
        ),
        (
            {"runs": [*MEMBERS, {"name": "e", "fuse": {"runs": ["light", "e"]}}]},
            "e, which is an ensemble itself",
        ),
        (
            {"runs": [*MEMBERS, RAW, {"name": "e", "fuse": {"runs": ["light", "raw"]}}]},
            "raw, which is an ensemble itself",
        ),
        ({"runs": [*MEMBERS, {"name": "e", "fuse": {"runs": ["light"]}}]}, "at least two models, got 1"),
        ({"runs": [*MEMBERS, {"name": "e", "fuse": {"runs": ["light", "light"]}}]}, "named twice"),
        ({"runs": [*MEMBERS, {"name": "e", "fuse": {"runs": "light"}}]}, "runs must be a list of names"),
        ({"runs": [*MEMBERS, {"name": "e", "fuse": "light"}]}, "expected an object with runs and method"),
        ({"runs": [*MEMBERS, {**RAW, "overrides": {}}]}, 'unknown "overrides"'),
        ({"runs": [*MEMBERS, {**RAW, "row": "1"}]}, "table must say of which table"),
        (
            {"runs": [*MEMBERS, {"name": "e", "fuse": {"runs": ["light", "strong"], "method": "mean"}}]},
            "must be wbf, clustering, merge, nms",
        ),
        (
            {"runs": [*MEMBERS, {"name": "e", "fuse": {"runs": ["light", "strong"], "weights": [True, 1]}}]},
            "weights must be a list of numbers",
        ),
        (
            {"runs": [*MEMBERS, {"name": "e", "fuse": {"runs": ["light", "strong"], "weights": [1]}}]},
            "one weight for each of 2 models",
        ),
        (
            {"runs": [*MEMBERS, RAW, {"name": "child", "overrides": {"init": "run:raw"}}]},
            "starts from run raw, an ensemble",
        ),
        (
            {"runs": [MEMBERS[0], {**MEMBERS[1], "folds": {"n_folds": 4}}, RAW]},
            "light, done on folds 1, 2, 3 .* strong, done on folds 1, 2, 3, 4",
        ),
        (
            {"runs": [MEMBERS[0], {**MEMBERS[1], "folds": {"n_folds": 3, "seed": 5}}, RAW]},
            "light and strong are scored on different images",
        ),
        (
            {"folds": {"n_folds": 3, "validation_fraction": 0.0}},
            r'fold 1 of light has no validation image .*"calibrated": false',
        ),
    ],
)
def test_an_ensemble_that_cannot_be_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ExperimentError, match=message):
        runner_of(tmp_path, **changes)


def test_calibrating_on_the_scored_list_is_refused(tmp_path: Path) -> None:
    write_film(tmp_path)
    once = [{**each, "folds": "once", "manifest": "film.json"} for each in MEMBERS]
    with pytest.raises(ExperimentError, match="scored on its validation list, on which its scores would be"):
        runner_of(tmp_path, None, runs=[*once, CALIBRATED])
    tested = [{**each, "test_split": "test"} for each in once]
    assert [each.fold for each in runner_of(tmp_path, None, runs=[*tested, CALIBRATED]).plan.runs] == [
        "once"
    ] * 3


def test_ensembles_stand_in_the_table_with_their_difference(tmp_path: Path) -> None:
    runner_of(tmp_path, Choice(("1", "2")), description="Two and their ensembles.").run()
    results = read_results(tmp_path / "out")
    rows = {row[0]: row for row in runs_table(results).rows}
    assert list(rows) == ["light", "strong", "ensemble", "raw"]
    assert all(row[3] != "–" for name, row in rows.items() if name != "light")
    write_table(tmp_path / "table.html", results)
    page = (tmp_path / "table.html").read_text(encoding="utf-8")
    assert "fuse#runs: " in page or "fuse: not there" in page


def image_scores_alone(record_id: str, has_lesion: bool) -> float:
    noise = int(record_id, 16) % 7 / 20
    return min(1.0, 0.3 + noise + 0.3 * has_lesion)


def test_runs_that_score_images_alone_have_an_area_and_no_sensitivity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predict = fake_step.predict

    def classify(step: fake_step.Step) -> dict[str, object]:
        report = predict(step)
        path = Path(str(step.overrides["eval_dir"])) / "detections.json"
        content = read_detections(path)
        empty = [
            replace(
                each,
                boxes=np.zeros((0, 4)),
                scores=np.zeros(0),
                labels=np.zeros(0, dtype=np.int64),
                image_score=image_scores_alone(each.record_id, int(each.record_id, 16) % 2 == 1),
            )
            for each in content.detections
        ]
        if step.overrides.get("augment") == "strong":
            write_detections(path, empty, content.model)
        return report

    monkeypatch.setattr(fake_step, "predict", classify)
    mixed = {"name": "mixed", "fuse": {"runs": ["light", "strong"]}}
    runner_of(tmp_path, runs=[*MEMBERS, mixed]).run()
    results = read_results(tmp_path / "out")
    light, strong, both = runs_table(results).rows
    header = runs_table(results).header
    area = header.index("AUC per image")
    assert set(strong[2:area]) == {"–"}
    assert strong[area].startswith("0.9") or strong[area].startswith("1.0")
    assert light[2] != "–"
    assert both[2] != "–"
    write_table(tmp_path / "table.csv", results)
    columns, *rows = (tmp_path / "table.csv").read_text().splitlines()
    numbers = dict(zip(columns.split(","), rows[1].split(","), strict=True))
    assert numbers["mean_sensitivity"] == numbers["sensitivity_0.25"] == ""
    assert 0.9 < float(numbers["image_auc"]) <= 1
    # The classifier has no say about boxes: one model of one keeps its scores.
    told = read_detections(folder_of(tmp_path, "mixed").detections)
    assert [each["marks_places"] for each in told.model["fusion"]["members"]] == [True, False]
    assert all(each.image_score is not None for each in told.detections)


def test_a_whole_image_network_may_start_from_a_patch_network_of_its_backbone() -> None:
    def config(factory: str, backbone: str) -> dict[str, Any]:
        return {"network_def": {"_target_": f"mammo_monai.networks.{factory}", "backbone": backbone}}

    patch = config("patch_network", "vgg16")
    check_same_network(config("whole_image_network", "vgg16"), patch, "run whole", "patch")
    for child in (config("whole_image_network", "resnet50"), config("retinanet_network", "vgg16")):
        with pytest.raises(
            ExperimentError, match="run other: it starts from run patch, which trains another"
        ):
            check_same_network(child, patch, "run other", "patch")


def test_a_data_set_without_a_cache_counts_its_iterations(tmp_path: Path) -> None:
    configs = tmp_path / "plain" / "configs"
    configs.mkdir(parents=True)
    loader = {
        "_target_": "torch.utils.data.DataLoader",
        "dataset": "@train#dataset",
        "batch_size": "@batch_size",
    }
    content = {"batch_size": 2, "train": {"dataset": "$list(range(7))", "dataloader": loader}}
    (configs / "train.json").write_text(json.dumps(content))
    assert iterations_per_epoch(str(tmp_path / "plain"), {"batch_size": 3}) == 3
