"""Runs are done once, go on after a kill, fail alone, and are never mixed with another configuration."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from mammo_monai.experiments import Choice, ExperimentError
from mammo_monai.experiments.folder import BusyError, RunFolder, State
from mammo_monai.files import sha256_of
from mammo_monai.schema import read_detections, read_manifest, read_metrics
from tests.experiments.conftest import CHAIN, FROM_STAGE_ONE, STAGE_ONE, Make, StepsHere, write_film

ONE = {"choice": Choice(("1",), ("light",))}


def outcomes(finished: Any) -> list[tuple[str, str, str]]:
    return [(each.name, each.fold, each.outcome) for each in finished]


def folder_of(tmp_path: Path, name: str = "light", fold: str = "1") -> RunFolder:
    return RunFolder(tmp_path / "out" / name / f"fold-{fold}")


def test_every_chosen_run_is_done_on_every_chosen_fold_fold_by_fold(make_runner: Make) -> None:
    finished = make_runner(choice=Choice(("1", "3"), ("none", "light")), options={"workers": 2}).run()
    assert outcomes(finished) == [(name, fold, "done") for fold in "13" for name in ("none", "light")]


def test_a_runs_folder_holds_all_that_its_result_rests_on(make_runner: Make, tmp_path: Path) -> None:
    make_runner(**ONE).run()
    folder = folder_of(tmp_path)
    config, done = json.loads(folder.config.read_text()), folder.read_done()
    assert (config["fold"], config["training"]["augment"], config["training"]["epochs"]) == ("1", "light", 4)
    assert config["inputs"]["manifest_sha256"] == [sha256_of(tmp_path / "manifest.json")]
    assert done["weights_sha256"] == sha256_of(folder.weights)
    assert (done["epochs"], done["n_parameters"], done["seconds_per_image"]) == (4, 5_000_000, 0.25)
    assert done["training_s"] > 0
    assert (done["seed"], done["init"]) == (0, "none")
    assert json.loads(folder.environment.read_text())["prediction"]["cpu"] == "a processor"
    tested = {record.record_id for record in read_manifest(folder.manifest).images("test")}
    assert {each.record_id for each in read_detections(folder.detections).detections} == tested
    assert read_metrics(folder.metrics)["rule"]["n_bootstrap"] == 100
    assert not folder.checkpoint.exists()


def test_no_file_of_a_run_but_the_three_names_a_path(make_runner: Make, tmp_path: Path) -> None:
    make_runner(**ONE).run()
    may = {"manifest.json", "detections.json", "model.safetensors"}
    files = [each for each in (tmp_path / "out").rglob("*.json") if each.name not in may]
    assert len(files) > 6
    assert [each.name for each in files if str(tmp_path) in each.read_text()] == []


def test_a_finished_run_is_never_done_again(make_runner: Make, tmp_path: Path) -> None:
    make_runner(**ONE).run()
    before = {each: each.stat().st_mtime_ns for each in folder_of(tmp_path).path.rglob("*")}
    assert outcomes(make_runner(**ONE).run()) == [("light", "1", "done before")]
    assert {each: each.stat().st_mtime_ns for each in folder_of(tmp_path).path.rglob("*")} == before


def test_a_changed_configuration_is_refused_before_anything_runs(make_runner: Make, tmp_path: Path) -> None:
    make_runner(**ONE).run()
    with pytest.raises(ExperimentError, match=r"run light, fold 1: .*training#epochs: 4 → 5.*--redo"):
        make_runner(epochs=5).run()
    assert not (tmp_path / "out" / "none").exists()


def test_redo_does_a_changed_run_afresh_and_leaves_equal_ones(make_runner: Make, tmp_path: Path) -> None:
    choice = {"choice": Choice(("1",), ("none", "light"))}
    make_runner(**choice).run()
    runs = [
        {"name": "none", "overrides": {"augment": "none"}},
        {"name": "light", "overrides": {"augment": "p2"}},
    ]
    finished = make_runner(runs=runs, options={"redo": True}, **choice).run()
    assert outcomes(finished) == [("none", "1", "done before"), ("light", "1", "done")]
    assert json.loads(folder_of(tmp_path).config.read_text())["training"]["augment"] == "p2"


def test_a_run_that_was_half_cleared_is_never_taken_for_begun(
    make_runner: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_runner(**ONE).run()
    removed: list[Path] = []

    def killed(path: Path, **_: object) -> None:
        if len(removed) == 2:
            raise KeyboardInterrupt  # nothing after it is removed, as after kill -9
        removed.append(path)
        os.unlink(path)  # noqa: PTH108  # `Path.unlink` is what is replaced

    folder = folder_of(tmp_path)
    changed = {"runs": [{"name": "light", "overrides": {"augment": "p2"}}], "options": {"redo": True}, **ONE}
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", killed)
        with pytest.raises(KeyboardInterrupt):
            folder.clear()
    assert len(removed) == 2
    # Neither as the run it was, nor as the one it was to be.
    for options in ({}, {key: each for key, each in changed.items() if key != "options"}):
        with pytest.raises(ExperimentError, match=r"holds this run with another configuration.*--redo"):
            make_runner(**{**ONE, **options}).run()
    assert outcomes(make_runner(**changed).run()) == [("light", "1", "done")]


def test_who_takes_the_folder_of_another_experiment_is_told(
    make_runner: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mammo_monai.experiments.runner.Processes", StepsHere)
    make_runner(**ONE).run()
    make_runner(**ONE).run()
    assert "held the experiment" not in caplog.text
    other = {"name": "other", "runs": [{"name": "second"}]}
    make_runner(choice=Choice(("1",)), **other).run()
    assert "held the experiment augmentation: its runs stay, but experiment.json now tells of other" in (
        caplog.text
    )
    assert folder_of(tmp_path).done.is_file()


def test_a_failed_run_is_named_and_the_rest_go_on(make_runner: Make, tmp_path: Path) -> None:
    runs = [{"name": f"seed-{seed}", "overrides": {"seed": seed}} for seed in (13, 14, 15, 0)]
    finished = make_runner(choice=Choice(("1",)), runs=runs).run()
    assert [each.outcome for each in finished] == ["failed", "failed", "failed", "done"]
    assert "the loss is not finite. See " in finished[0].message
    assert "prediction.log" in finished[1].message
    assert "killed by signal 9 (9 is often the system, out of memory)" in finished[2].message
    reason = json.loads(folder_of(tmp_path, "seed-13").failed.read_text())["reason"]
    assert "not finite" in reason


def test_a_failed_run_is_tried_again(
    make_runner: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The training of the second attempt must not be repeated: only prediction had failed.
    runs = [{"name": "light", "overrides": {"seed": 14}}]
    make_runner(runs=runs, choice=Choice(("1",))).run()
    training = folder_of(tmp_path).log("training").read_text()
    monkeypatch.setenv("FAKE_STEP_MENDED", "yes")
    again = make_runner(runs=runs, choice=Choice(("1",))).run()
    assert outcomes(again) == [("light", "1", "done")]
    assert folder_of(tmp_path).log("training").read_text() == training
    assert not folder_of(tmp_path).failed.exists()


def test_a_process_that_cannot_start_is_a_failure_of_its_run(make_runner: Make) -> None:
    options = {"command": (sys.executable, "-c", "raise KeyError('gone')")}
    (finished,) = make_runner(options=options, **ONE).run()
    assert finished.outcome == "failed"
    assert "KeyError: 'gone'" in finished.message


def test_a_killed_experiment_leaves_no_process_and_goes_on_where_it_stopped(
    make_runner: Make, tmp_path: Path
) -> None:
    runs = [{"name": f"seed-{seed}", "overrides": {"seed": seed}} for seed in (21, 22)]
    runner = make_runner(runs=runs, choice=Choice(("1",)), options={"workers": 2})
    hung = [tmp_path / "out" / f"seed-{seed}" / "fold-1" / "hung" for seed in (21, 22)]
    # Forked, not started anew: a fresh interpreter spends most of a test's time importing torch.
    killed = multiprocessing.get_context("fork").Process(target=runner.run)
    killed.start()
    _wait_for(lambda: all(each.is_file() and each.read_text() for each in hung))
    killed.kill()
    killed.join()
    assert killed.exitcode == -signal.SIGKILL
    pids = [int(each.read_text()) for each in hung]
    _wait_for(lambda: not any(_is_alive(pid) for pid in pids))
    trained = folder_of(tmp_path, "seed-22").log("training").stat().st_mtime_ns
    folder_of(tmp_path, "seed-21").path.joinpath(".done.json.0123abcd.part.json").write_text("{")
    finished = make_runner(runs=runs, choice=Choice(("1",))).run()
    assert [each.outcome for each in finished] == ["done", "done"]
    assert folder_of(tmp_path, "seed-22").log("training").stat().st_mtime_ns == trained
    assert not list(folder_of(tmp_path, "seed-21").path.glob(".*part*"))
    attempts = json.loads(folder_of(tmp_path, "seed-21").attempts.read_text())
    assert [each["step"] for each in attempts] == ["training", "training", "prediction"]
    assert all(each["seconds"] is not None for each in attempts)


def test_a_run_that_cannot_say_that_it_is_done_keeps_no_checkpoint(
    make_runner: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: object) -> None:
        raise ExperimentError("stands for a kill")

    monkeypatch.setattr("mammo_monai.experiments.fold_run.FoldRun._summary", dies)
    assert outcomes(make_runner(**ONE).run()) == [("light", "1", "failed")]
    assert not folder_of(tmp_path).checkpoint.exists()


def test_a_chain_that_was_killed_goes_on_where_it_stopped(make_runner: Make, tmp_path: Path) -> None:
    write_film(tmp_path)
    # Seed 21 hangs in its first training: the child's, after the parent has been done.
    child = {**CHAIN["runs"][2], "overrides": {**FROM_STAGE_ONE, "seed": 21}}
    chain = {**CHAIN, "runs": [STAGE_ONE, child], "choice": Choice(("1",))}
    runner = make_runner(**chain)
    hung = folder_of(tmp_path, "two_stage").path / "hung"
    killed = multiprocessing.get_context("fork").Process(target=runner.run)
    killed.start()
    _wait_for(lambda: hung.is_file() and hung.read_text())
    killed.kill()
    killed.join()
    assert killed.exitcode == -signal.SIGKILL
    parent = folder_of(tmp_path, "stage_one", "once").path
    written = {each: each.stat().st_mtime_ns for each in parent.rglob("*")}
    assert outcomes(make_runner(**chain).run()) == [
        ("stage_one", "once", "done before"),
        ("two_stage", "1", "done"),
    ]
    assert {each: each.stat().st_mtime_ns for each in parent.rglob("*")} == written
    attempts = json.loads(folder_of(tmp_path, "two_stage").attempts.read_text())
    assert [each["step"] for each in attempts] == ["training", "training", "prediction"]


def _wait_for(is_so: Any, seconds: float = 120.0) -> None:
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.05)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().split(")")[1][:3]


def test_a_folder_another_process_works_in_is_passed_over(
    make_runner: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mammo_monai.experiments.folder.PATIENCE_S", 0.2)
    runner = make_runner(choice=Choice(("1",), ("light", "none")))
    with folder_of(tmp_path).locked():
        finished = runner.run()
    assert outcomes(finished) == [("none", "1", "done"), ("light", "1", "busy")]
    assert f"started by process {os.getpid()}" in finished[1].message
    assert outcomes(runner.run()) == [("none", "1", "done before"), ("light", "1", "done")]


def test_a_run_that_another_process_finished_meanwhile_is_not_done_again(
    make_runner: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = make_runner(**ONE)
    states = iter([State.NEW, State.NEW, State.DONE])
    monkeypatch.setattr(RunFolder, "state", lambda folder, config: next(states))
    assert outcomes(runner.run()) == [("light", "1", "done before")]


def test_a_full_disk_is_a_failure_of_the_run_that_meets_it(
    make_runner: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mammo_monai.experiments.fold_run.write_manifest", full)
    (finished,) = make_runner(**ONE).run()
    assert finished.outcome == "failed"
    assert "No space left" in finished.message


def test_a_folder_with_other_files_is_left_alone(make_runner: Make, tmp_path: Path) -> None:
    folder = folder_of(tmp_path).path
    folder.mkdir(parents=True)
    (folder / "thesis.txt").write_text("mine")
    with pytest.raises(ExperimentError, match=r"found thesis\.txt without one"):
        make_runner(**ONE, options={"redo": True}).run()
    assert (folder / "thesis.txt").read_text() == "mine"


def test_a_broken_configuration_in_a_folder_is_named(make_runner: Make, tmp_path: Path) -> None:
    make_runner(**ONE).run()
    folder_of(tmp_path).config.write_text("{")
    with pytest.raises(ExperimentError, match=r"config\.json: expected JSON.*Move the folder away"):
        make_runner(**ONE).run()


def test_interrupting_ends_the_processes_and_says_what_is_left(
    make_runner: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [{"name": "hangs", "overrides": {"seed": 21}}, {"name": "later"}]
    runner = make_runner(runs=runs, choice=Choice(("1",)))
    hung = folder_of(tmp_path, "hangs").path / "hung"
    original = runner._finish  # the seam that runs in a thread

    def interrupted(planned: Any) -> Any:
        if planned.spec.name == "later":
            return original(planned)

        def stop() -> None:
            _wait_for(lambda: hung.is_file() and hung.read_text())
            runner.stopping.set()

        threading.Thread(target=stop).start()
        return original(planned)

    monkeypatch.setattr(runner, "_finish", interrupted)
    assert [each.outcome for each in runner.run()] == ["stopped", "stopped"]
    assert not _is_alive(int(hung.read_text()))
    assert not folder_of(tmp_path, "hangs").failed.exists()


def test_a_run_without_training_predicts_with_the_weights_it_names(make_runner: Make, tmp_path: Path) -> None:
    weights = tmp_path / "stage_one.safetensors"
    weights.write_text("weights")
    runs = [{"name": "as-is", "train": False, "overrides": {"init": "stage_one.safetensors"}}]
    assert outcomes(make_runner(runs=runs, choice=Choice(("1",)), overrides={}).run()) == [
        ("as-is", "1", "done")
    ]
    done = folder_of(tmp_path, "as-is").read_done()
    assert done["weights_sha256"] == done["init_sha256"] == sha256_of(weights)
    assert done["training_s"] is None
    weights.write_text("other weights")
    with pytest.raises(ExperimentError, match="init_sha256"):
        make_runner(runs=runs, choice=Choice(("1",)), overrides={}).run()


def test_workers_must_be_one_or_more(make_runner: Make) -> None:
    with pytest.raises(ValueError, match="workers must be at least 1, got 0"):
        make_runner(options={"workers": 0})


def test_the_lock_is_free_once_it_is_given_back(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    with folder.locked(), pytest.raises(BusyError), RunFolder(tmp_path / "run").locked(patience_s=0):
        pass
    with folder.locked(patience_s=0):
        assert (tmp_path / "run").is_dir()
    shutil.rmtree(tmp_path / "run")
