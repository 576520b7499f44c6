"""A run may start from another's weights: a failed parent skips its children, a new one redoes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mammo_monai.experiments import Choice, ExperimentError, Runner, make_plan, read_experiment
from mammo_monai.experiments.folder import RunFolder
from mammo_monai.files import sha256_of
from mammo_monai.records import Split
from mammo_monai.schema import read_detections, read_manifest
from tests.experiments.conftest import (
    CHAIN,
    FROM_STAGE_ONE,
    STAGE_ONE,
    write_experiment,
    write_film,
)

ONE_FOLD = Choice(("1",))
pytestmark = pytest.mark.usefixtures("steps_here")


def runner_of(folder: Path, choice: Choice | None = ONE_FOLD, /, **changes: Any) -> Runner:
    options = {name: changes.pop(name) for name in ("redo", "workers") if name in changes}
    if not (folder / "film.json").exists():
        write_film(folder)
    plan = make_plan(read_experiment(write_experiment(folder, **{**CHAIN, **changes})), choice)
    return Runner(plan, folder / "out", **options)


def came_out(runner: Runner) -> list[str]:
    return [each.as_line().split(" (")[0].split(": the loss")[0] for each in runner.run()]


def folder_of(root: Path, name: str, fold: str = "1") -> RunFolder:
    return RunFolder(root / "out" / name / f"fold-{fold}")


def with_seed(seed: int) -> list[dict[str, Any]]:
    """The chain, its stage one with another seed; see fake_step."""
    return [{**STAGE_ONE, "overrides": {"seed": seed}}, *CHAIN["runs"][1:]]


def test_a_run_done_once_comes_first_and_each_fold_starts_from_its_weights(tmp_path: Path) -> None:
    lines = came_out(runner_of(tmp_path, None))
    assert lines == [
        "stage_one: done",
        *(f"{name}, fold {fold}: done" for fold in "123" for name in ("one_stage", "two_stage")),
    ]
    weights = folder_of(tmp_path, "stage_one", "once").weights
    for fold in "123":
        child = folder_of(tmp_path, "two_stage", fold)
        config, trained = json.loads(child.config.read_text()), json.loads(child.weights.read_text())
        assert config["inputs"]["init_sha256"] == child.read_done()["init_sha256"] == sha256_of(weights)
        assert (config["training"]["init"], trained["init"]) == ("run:stage_one", str(weights))
    assert str(tmp_path) not in folder_of(tmp_path, "two_stage").config.read_text()


def test_a_run_on_folds_gives_each_fold_its_own_weights(tmp_path: Path) -> None:
    runs = [{"name": "first"}, {"name": "second", "overrides": {"init": "run:first"}}]
    runner_of(tmp_path, Choice(("1", "2")), runs=runs, manifest="manifest.json").run()
    for fold in "12":
        started = json.loads(folder_of(tmp_path, "second", fold).weights.read_text())["init"]
        assert started == str(folder_of(tmp_path, "first", fold).weights)


def test_a_run_may_be_written_before_the_one_it_starts_from(tmp_path: Path) -> None:
    assert came_out(runner_of(tmp_path, runs=CHAIN["runs"][::-1])) == [
        "stage_one: done",
        "two_stage, fold 1: done",
        "one_stage, fold 1: done",
    ]


def test_choosing_a_run_chooses_those_it_starts_from(tmp_path: Path) -> None:
    assert came_out(runner_of(tmp_path, Choice(("1",), ("two_stage",)))) == [
        "stage_one: done",
        "two_stage, fold 1: done",
    ]


def test_weights_of_another_run_can_be_predicted_with_as_they_are(tmp_path: Path) -> None:
    runs = [STAGE_ONE, {"name": "as_is", "manifest": "A", "train": False, "overrides": FROM_STAGE_ONE}]
    assert came_out(runner_of(tmp_path, runs=runs)) == ["stage_one: done", "as_is, fold 1: done"]
    done = folder_of(tmp_path, "as_is").read_done()
    assert done["weights_sha256"] == sha256_of(folder_of(tmp_path, "stage_one", "once").weights)
    assert not folder_of(tmp_path, "as_is").weights.exists()


def test_by_itself_a_run_done_once_never_reads_the_test_list(tmp_path: Path) -> None:
    runner_of(tmp_path, Choice(("1",), ("stage_one",))).run()
    folder, film = folder_of(tmp_path, "stage_one", "once"), read_manifest(tmp_path / "film.json")
    own = read_manifest(folder.manifest)
    assert own.test == ()
    assert [each.record_id for each in own.training] == [each.record_id for each in film.training]
    scored = {each.record_id for each in read_detections(folder.detections).detections}
    assert scored == {each.record_id for each in film.validation}
    assert json.loads(folder.config.read_text())["test_split"] == "validation"


def test_the_test_list_is_scored_where_it_is_asked_for(tmp_path: Path) -> None:
    runner_of(tmp_path, runs=[{**STAGE_ONE, "test_split": "test"}]).run()
    folder = folder_of(tmp_path, "stage_one", "once")
    scored = {each.record_id for each in read_detections(folder.detections).detections}
    assert scored == {each.record_id for each in read_manifest(tmp_path / "film.json").images(Split.TEST)}


def test_a_failed_parent_skips_its_children_and_nothing_else(tmp_path: Path) -> None:
    runner = runner_of(
        tmp_path,
        runs=[*with_seed(13), {"name": "third", "manifest": "A", "overrides": {"init": "run:two_stage"}}],
    )
    finished = {each.name: each for each in runner.run()}
    assert [each.outcome for each in finished.values()] == ["failed", "done", "skipped", "skipped"]
    assert finished["two_stage"].message == "parent failed (run stage_one)"
    assert finished["third"].message == "parent skipped (run two_stage, fold 1)"
    assert not folder_of(tmp_path, "two_stage").path.exists()


def test_finished_chains_are_never_done_again_and_a_lost_child_is_done_alone(tmp_path: Path) -> None:
    runner_of(tmp_path).run()
    trained = folder_of(tmp_path, "stage_one", "once").weights.stat().st_mtime_ns
    assert {line.split(": ")[1] for line in came_out(runner_of(tmp_path))} == {"done before"}
    folder_of(tmp_path, "two_stage").clear()
    assert came_out(runner_of(tmp_path))[-1] == "two_stage, fold 1: done"
    assert folder_of(tmp_path, "stage_one", "once").weights.stat().st_mtime_ns == trained


def test_a_changed_parent_is_refused_and_redone_with_its_children_alone(tmp_path: Path) -> None:
    runner_of(tmp_path).run()
    before = {name: folder_of(tmp_path, name).done.stat().st_mtime_ns for name in ("one_stage", "two_stage")}
    with pytest.raises(ExperimentError, match=r"run stage_one: .*training#seed: 0 → 7.*--redo"):
        runner_of(tmp_path, runs=with_seed(7)).run()
    lines = came_out(runner_of(tmp_path, runs=with_seed(7), redo=True))
    assert lines == ["stage_one: done", "one_stage, fold 1: done before", "two_stage, fold 1: done"]
    assert folder_of(tmp_path, "one_stage").done.stat().st_mtime_ns == before["one_stage"]
    sha256 = sha256_of(folder_of(tmp_path, "stage_one", "once").weights)
    assert folder_of(tmp_path, "two_stage").read_done()["init_sha256"] == sha256


def test_a_child_of_weights_that_are_gone_is_refused_before_anything_runs(tmp_path: Path) -> None:
    runner_of(tmp_path).run()
    folder_of(tmp_path, "stage_one", "once").clear()
    with pytest.raises(ExperimentError, match=r"two_stage, fold 1: .*weights of run stage_one that are no"):
        runner_of(tmp_path).run()
    assert not folder_of(tmp_path, "stage_one", "once").config.exists()
    assert came_out(runner_of(tmp_path, redo=True))[0] == "stage_one: done"


def test_a_child_whose_parent_was_redone_meanwhile_is_refused_and_left_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner_of(tmp_path).run()
    folder_of(tmp_path, "stage_one", "once").clear()
    runner = runner_of(tmp_path, runs=with_seed(7))
    monkeypatch.setattr(runner, "_refuse_changed", lambda: None)  # as if it had been there at the start
    finished = runner.run()
    assert [each.outcome for each in finished] == ["done", "done before", "failed"]
    assert "inputs#init_sha256" in finished[-1].message
    assert folder_of(tmp_path, "two_stage").done.is_file()
    assert not folder_of(tmp_path, "two_stage").failed.exists()


def test_weights_that_are_not_those_of_the_finished_parent_are_refused(tmp_path: Path) -> None:
    runner_of(tmp_path, Choice(("1",), ("stage_one",))).run()
    folder_of(tmp_path, "stage_one", "once").weights.write_text("others")
    finished = runner_of(tmp_path).run()[-1]
    assert finished.outcome == "failed"
    assert "not the weights that the parent's done.json tells of" in finished.message


@pytest.mark.parametrize("workers", [2, 4])
def test_workers_wait_for_parents_and_do_others_meanwhile(tmp_path: Path, workers: int) -> None:
    runner = runner_of(tmp_path, None, workers=workers)
    began: list[str] = []
    work = runner._finish

    def noted(planned: Any) -> Any:
        began.append(planned.label)
        return work(planned)

    runner._finish = noted  # type: ignore[method-assign]  # the seam that runs in threads
    assert all(each.outcome == "done" for each in runner.run())
    done = {name: folder_of(tmp_path, *name).done.stat().st_mtime_ns for name in (("stage_one", "once"),)}
    for fold in "123":
        config = folder_of(tmp_path, "two_stage", fold).config
        assert config.stat().st_mtime_ns >= done["stage_one", "once"]
    assert began[0] == "run stage_one"
    assert began[1] == "run one_stage, fold 1"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"runs": [{"name": "a", "overrides": {"init": "run:b"}}]},
            "run a: init run:b names no run: .* are a",
        ),
        ({"runs": [{"name": "a", "overrides": {"init": "run:a"}}]}, r"in a circle \(a → a\)"),
        (
            {
                "runs": [
                    {"name": name, "overrides": {"init": f"run:{start}"}}
                    for name, start in ("ab", "bc", "cb")
                ]
            },
            r"in a circle \(b → c → b\); one of them must start from coco",
        ),
        (
            {
                "overrides": {},
                "runs": [
                    {"name": "a", "train": False, "overrides": {"init": "coco"}},
                    {"name": "b", "overrides": {"init": "run:a"}},
                ],
            },
            "run b: it starts from run a, which is not trained",
        ),
        (
            {
                "runs": [
                    {"name": "a"},
                    {"name": "b", "folds": "once", "manifest": "B", "overrides": {"init": "run:a"}},
                ]
            },
            "run b: it starts from run a, which runs on folds 1, 2, 3: there is none to start from",
        ),
        (
            {
                "runs": [
                    STAGE_ONE,
                    {**CHAIN["runs"][2], "overrides": {**FROM_STAGE_ONE, "network_def#backbone": "resnet50"}},
                ]
            },
            "run two_stage: it starts from run stage_one, which trains another network .*backbone",
        ),
        (
            {"manifest": ["manifest.json"], "runs": CHAIN["runs"]},
            r"run stage_one: manifest B is the experiment's 2\., but it has 1\. Give --manifest 2 times",
        ),
    ],
)
def test_a_chain_that_cannot_be_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ExperimentError, match=message):
        runner_of(tmp_path, **changes)


def test_scoring_on_patients_that_a_parent_has_learnt_from_is_refused(tmp_path: Path) -> None:
    # The film's own lists train on patients whom its folds test.
    runs = [STAGE_ONE, {"name": "two_stage", "manifest": "B", "overrides": FROM_STAGE_ONE}]
    with pytest.raises(
        ExperimentError, match=r"two_stage, fold 1: .*record \w+, whose patient run stage_one"
    ):
        runner_of(tmp_path, runs=runs)
    third = {"name": "third", "manifest": "B", "overrides": {"init": "run:two_stage"}}
    runs = [STAGE_ONE, CHAIN["runs"][2], third]
    with pytest.raises(ExperimentError, match=r"run third, fold 1: .*run stage_one learns from"):
        runner_of(tmp_path, runs=runs)
