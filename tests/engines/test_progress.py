"""What a run tells without a terminal: a line now and then, with means, and a time left that comes true."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest
from ignite.engine import Engine, Events

from mammo_monai.engines import ProgressHandler

LOGGER = "mammo_monai.engines.progress"


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def run(
    clock: Clock, *, epochs: int = 2, length: int = 10, before: tuple[int, int] = (0, 0), **options: Any
) -> None:
    """Iterations of 25 s, their loss is their number; validation takes 100 s."""

    def step(engine: Engine, batch: object) -> dict[str, float]:
        clock.now += 25
        return {"loss": float(engine.state.iteration)}

    trainer = Engine(step)

    @trainer.on(Events.STARTED)
    def resume() -> None:
        trainer.state.epoch, trainer.state.iteration = before

    @trainer.on(Events.EPOCH_COMPLETED)
    def validate() -> None:
        clock.now += 100

    ProgressHandler(clock=clock, **{"show_bar": False, **options}).attach(trainer)
    trainer.run(range(length), max_epochs=epochs)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.name == LOGGER]


def test_a_line_comes_after_a_minute_with_means_since_the_last(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger=LOGGER)
    run(Clock(), epochs=1, length=7)
    assert lines(caplog) == [
        "training: epoch 1/1, iteration 3/7, loss 2.0000, 25.00 s per iteration, 01:40 left",
        "training: epoch 1/1, iteration 6/7, loss 5.0000, 25.00 s per iteration, 00:25 left",
        "training: epoch 1/1, loss 4.0000, 275 s per epoch, 00:00 left",
    ]


def test_validation_counts_for_the_time_left_and_not_for_an_iteration(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, logger=LOGGER)
    run(Clock(), epochs=3, length=2, log_every_s=30)
    assert lines(caplog) == [
        "training: epoch 1/3, iteration 2/6, loss 1.5000, 25.00 s per iteration, 01:40 left",
        "training: epoch 1/3, loss 1.5000, 150 s per epoch, 05:00 left",
        # 200 s for 4 iterations and one validation: 50 s each.
        "training: epoch 2/3, iteration 4/6, loss 3.5000, 25.00 s per iteration, 01:40 left",
        "training: epoch 2/3, loss 3.5000, 150 s per epoch, 02:30 left",
        "training: epoch 3/3, iteration 6/6, loss 5.5000, 25.00 s per iteration, 00:00 left",
        "training: epoch 3/3, loss 5.5000, 150 s per epoch, 00:00 left",
    ]


def test_an_epoch_line_starts_the_minute_anew(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger=LOGGER)
    run(Clock(), epochs=5, length=2)
    assert [line.split(",")[1] for line in lines(caplog)] == [" loss 1.5000", " loss 3.5000"] + [
        f" loss {epoch * 2 - 0.5:.4f}" for epoch in (3, 4, 5)
    ]


def test_a_resumed_run_tells_time_from_its_own_iterations(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger=LOGGER)
    run(Clock(), epochs=4, length=4, before=(2, 8))
    assert lines(caplog)[0] == (
        "training: epoch 3/4, iteration 11/16, loss 10.0000, 25.00 s per iteration, 02:05 left"
    )
    assert lines(caplog)[1].startswith("training: epoch 3/4, loss 10.5000, 200 s per epoch, 03:20 left")


@pytest.mark.parametrize("options", [{"log_every_s": None}, {"show_bar": True}, {"log_every_s": 1e9}])
def test_epoch_lines_alone_where_asked_or_where_a_bar_shows_the_rest(
    caplog: pytest.LogCaptureFixture, options: dict[str, Any]
) -> None:
    caplog.set_level(logging.INFO, logger=LOGGER)
    run(Clock(), epochs=2, length=8, **options)
    assert [line.partition(", iteration")[1] for line in lines(caplog)] == ["", ""]


@pytest.mark.parametrize(("is_terminal", "count"), [(True, 1), (False, 3)])
def test_a_terminal_gets_a_bar_and_a_file_gets_lines(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, is_terminal: bool, count: int
) -> None:
    stream = SimpleNamespace(isatty=lambda: is_terminal, write=lambda text: None, flush=lambda: None)
    monkeypatch.setattr("sys.stderr", stream)
    caplog.set_level(logging.INFO, logger=LOGGER)
    run(Clock(), epochs=1, length=7, show_bar=None)
    assert len(lines(caplog)) == count


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan")])
def test_an_interval_that_is_none_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="log_every_s must be above 0 seconds, or null for none, got"):
        ProgressHandler(log_every_s=seconds)
