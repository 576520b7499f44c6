"""Trials that fall behind are given up while they train, by the figures in the training's own log."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from mammo_monai.experiments import ExperimentError
from mammo_monai.experiments.processes import StepError
from mammo_monai.experiments.sweeps import Sweeper, read_sweep, sweep_page, trials_csv, trials_table
from tests.experiments import fake_step
from tests.experiments.sweeps.conftest import write_sweep_file

EPOCHS, BAD_FROM = 5, 0.3


class SlowSteps:
    """Trainings of five epochs with a figure each: low for large learning rates. They end when told to."""

    def __init__(self, lock: int, stopping: threading.Event, *_: object) -> None:
        self.stopping = stopping

    def run(self, line: str, log: Path) -> None:
        step = fake_step.Step(**json.loads(line))
        fake_step.note_environment(step)
        if step.kind == fake_step.TRAINING:
            is_bad = float(str(step.overrides["learning_rate"])) > BAD_FROM
            for epoch in range(1, EPOCHS + 1):
                figure = 0.1 if is_bad else 0.7
                with log.open("a") as stream:
                    stream.write(
                        f"training: epoch {epoch}/{EPOCHS}, loss 0.5, mean_sensitivity {figure}, 1 s\n"
                    )
                deadline = time.monotonic() + (5.0 if is_bad else 0.0)
                while time.monotonic() < deadline:
                    if self.stopping.is_set():
                        raise StepError("stopped; the same command goes on from its last checkpoint.")
                    time.sleep(0.01)
        fake_step.perform(step)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mammo_monai.experiments.runner.Processes", SlowSteps)
    monkeypatch.setattr("mammo_monai.experiments.sweeps.pruning.POLL_S", 0.02)


def test_a_trial_below_the_median_is_given_up_and_stays_so(tmp_path: Path, slow: None) -> None:
    choices = [0.01, 0.02, 0.03, 0.04, 0.5]
    parameters: dict[str, Any] = {"learning_rate": {"type": "categorical", "choices": choices}}
    section = {"parameters": parameters, "sampler": "grid", "trials": None, "pruner": "median"}
    sweep = read_sweep(write_sweep_file(tmp_path, sweep=section))
    trials = Sweeper(sweep, tmp_path / "out").run()
    assert [each.state for each in trials] == ["complete"] * 4 + ["pruned"]
    assert dict(trials[0].figures) == dict.fromkeys(range(1, EPOCHS + 1), 0.7)
    assert set(trials[4].figures.values()) == {0.1}
    assert len(trials[4].figures) < EPOCHS
    assert [each.state for each in Sweeper(sweep, tmp_path / "out").run()] == [each.state for each in trials]
    assert trials_table(sweep, trials).rows[-1][-1] == "given up"
    assert "trial_0004,pruned,,0.5," in trials_csv(sweep, trials)
    page = sweep_page(sweep, trials)
    assert "Crosses: trials that were given up" in page
    assert "below the median of the others" in page


def test_a_trial_that_another_process_works_on_ends_the_sweep(
    tmp_path: Path, slow: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mammo_monai.experiments.folder import RunFolder

    monkeypatch.setattr("mammo_monai.experiments.folder.PATIENCE_S", 0.0)
    sweep = read_sweep(write_sweep_file(tmp_path))
    with (
        RunFolder(tmp_path / "out" / "trial_0000" / "fold-once").locked(),
        pytest.raises(ExperimentError, match="another process works there"),
    ):
        Sweeper(sweep, tmp_path / "out").run()
