"""Averages, schedules, metric and evaluator, each alone."""

from __future__ import annotations

import math
import random
import threading
from contextlib import ExitStack, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from ignite.engine import Engine
from numpy.testing import assert_allclose
from torch import nn

from mammo_monai.engines import (
    DetectionEvaluator,
    FrocMetric,
    TensorBoardHandler,
    WeightAverage,
    make_optimizer,
    make_schedule,
)
from mammo_monai.engines.random_state import random_state, random_state_kept, restore_random_state
from mammo_monai.networks import training_settings
from tests.engines.conftest import HEIGHT, WIDTH, make_sample


def test_the_average_follows_the_network_and_gives_it_back() -> None:
    network = nn.Linear(2, 1)
    average = WeightAverage(network, decay=0.9)
    start = network.weight.detach().clone()
    with torch.no_grad():
        network.weight.add_(1.0)
    average.update(network)
    share = 1 - 2 / 11  # first update: decay (1 + 1) / (10 + 1)
    with average.applied_to(network):
        assert_allclose(network.weight.detach(), start + share, rtol=1e-6)
    assert_allclose(network.weight.detach(), start + 1.0)


def test_the_average_counts_batches_of_a_batch_norm_without_averaging_them() -> None:
    network = nn.BatchNorm1d(3)
    average = WeightAverage(network)
    network(torch.randn(4, 3))
    average.update(network)
    with average.applied_to(network):
        assert network.num_batches_tracked == 1


def test_a_decay_outside_its_range_is_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        WeightAverage(nn.Linear(1, 1), decay=1.0)


@pytest.mark.parametrize(
    ("kind", "at_start", "at_half", "at_end"),
    [("constant", 1.0, 1.0, 1.0), ("cosine", 1.0, 0.505, 0.01), ("step", 1.0, 1.0, 0.1)],
)
def test_schedules_start_full_and_end_as_named(
    kind: Any, at_start: float, at_half: float, at_end: float
) -> None:
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0)
    schedule = make_schedule(optimizer, kind=kind, iterations=100)
    rates = []
    for _ in range(101):
        rates.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    assert_allclose([rates[0], rates[50], rates[100]], [at_start, at_half, at_end], atol=1e-9)


def test_warm_up_rises_linearly() -> None:
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0)
    schedule = make_schedule(optimizer, warmup_iterations=4)
    assert schedule.get_last_lr() == [0.25]


def test_random_numbers_drawn_in_a_block_are_given_back_even_after_an_error() -> None:
    def draw() -> tuple[float, float, float]:
        return random.random(), float(np.random.rand()), float(torch.rand(()))

    def draw_and_fail() -> None:
        with random_state_kept():
            drawn.append(draw())
            raise KeyError

    before, drawn = random_state(), [draw()]
    restore_random_state(before)
    with pytest.raises(KeyError):
        draw_and_fail()
    assert drawn == [draw()] * 2


def test_an_unknown_schedule_or_optimizer_is_refused(make_detector: Any) -> None:
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0)
    with pytest.raises(ValueError, match="constant, cosine or step"):
        make_schedule(optimizer, kind="linear")  # type: ignore[arg-type]  # the fault under test
    with pytest.raises(ValueError, match="schedule cosine needs iterations, the batches of the whole run"):
        make_schedule(optimizer, kind="cosine")
    with pytest.raises(ValueError, match="adam, adamw or sgd"):
        make_optimizer(make_detector().network, training_settings("coco", "all", 1e-5), name="lion")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_the_optimizer_holds_only_what_the_policy_trains(make_detector: Any, name: Any) -> None:
    network = make_detector().network
    optimizer = make_optimizer(network, training_settings("coco", "classifier", 1e-5), name=name)
    held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    assert held == {id(parameter) for parameter in network.classification_head.parameters()}
    assert optimizer.param_groups[0]["lr"] == 1e-5


class _Oracle:
    """Finds every bright square exactly, in the frame it is shown."""

    min_area_mm2 = None

    def __call__(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        rows, cols = np.nonzero(image[0].numpy() > 0.5)
        box = [] if not len(rows) else [[rows.min(), cols.min(), rows.max() + 1, cols.max() + 1]]
        boxes = torch.tensor(box, dtype=torch.float32).reshape(-1, 4)
        return {
            "box": boxes,
            "label": torch.zeros(len(box), dtype=torch.int64),
            "label_scores": torch.ones(len(box)),
        }


def test_the_evaluator_scores_in_original_pixels(make_detector: Any) -> None:
    samples = [make_sample(0), make_sample(1), make_sample(2, is_normal=True)]
    evaluator = DetectionEvaluator(
        detector=make_detector(), inferer=_Oracle(), val_data_loader=[samples], device="cpu"
    )
    evaluator.run()
    assert evaluator.state.metrics == {"mean_sensitivity": 1.0}
    record, found = evaluator.state.output[0]
    assert (record.width, record.height) == (WIDTH, HEIGHT)
    assert_allclose(found.boxes, record.boxes)
    assert_allclose(found.boxes[0], samples[0]["box_original"][0])


def test_the_metric_is_nan_without_lesions_and_any_figure_beats_it(make_detector: Any) -> None:
    evaluator = DetectionEvaluator(
        detector=make_detector(),
        inferer=_Oracle(),
        val_data_loader=[[make_sample(0, is_normal=True)]],
        device="cpu",
    )
    evaluator.run()
    assert math.isnan(evaluator.state.metrics["mean_sensitivity"])
    evaluator.data_loader = [[make_sample(0)]]
    evaluator.run(2)
    assert (evaluator.state.best_metric, evaluator.state.best_metric_epoch) == (1.0, 2)


def test_the_metric_forgets_between_epochs() -> None:
    metric = FrocMetric()
    assert math.isnan(metric.compute())


@pytest.mark.parametrize("fails", [False, True])
def test_curves_are_whole_and_their_thread_ended_when_a_run_is(tmp_path: Path, fails: bool) -> None:
    def step(engine: Engine, _: object) -> dict[str, float]:
        if fails and engine.state.iteration == 2:
            raise RuntimeError("the second batch")
        return {"loss": 1.0}

    trainer, before = Engine(step), set(threading.enumerate())
    trainer.while_running = ExitStack()
    TensorBoardHandler(str(tmp_path)).attach(trainer)
    assert set(threading.enumerate()) > before
    with pytest.raises(RuntimeError) if fails else nullcontext(), trainer.while_running:
        trainer.run([0, 1], max_epochs=1)
    assert set(threading.enumerate()) == before
    (file,) = tmp_path.iterdir()
    assert file.read_bytes().count(b"loss") == (1 if fails else 2)


def test_a_full_disk_at_the_end_of_the_curves_takes_no_training_with_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    full = SimpleNamespace(close=Mock(side_effect=OSError(28, "No space left on device")))
    TensorBoardHandler(str(tmp_path))._end(full)
    assert f"{tmp_path}: the last points of the curves could not be written" in caplog.text
