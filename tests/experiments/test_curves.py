"""Learning curves: what a log tells of each epoch, drawn on one scale for all runs."""

from __future__ import annotations

import math
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from mammo_monai.experiments.curves import HEIGHT, WIDTH, Scale, curves_section
from mammo_monai.experiments.head import Head
from mammo_monai.experiments.history import Epoch, epochs_of, read_history
from mammo_monai.experiments.results import Results, RunResult
from mammo_monai.reports.plots.training import loss_axis_end


def line(epoch: int, loss: str = "0.5", figure: str = "") -> str:
    return f"INFO x: training: epoch {epoch}/4, loss {loss}{figure}, 1 s per epoch, 00:03 left\n"


def test_epochs_are_read_with_and_without_a_validation() -> None:
    lines = [
        line(1, "2.5"),
        "12:00:01 INFO x: training: epoch 2/4, iteration 3/9, loss 0.7, 1.8 s per",
        line(2, "1e-3", ", mean_sensitivity 0.713"),
    ]
    assert epochs_of(lines) == [Epoch(1, 4, 2.5), Epoch(2, 4, 0.001, 0.713)]


def test_epochs_done_again_replace_all_from_there_on() -> None:
    lines = [line(1), line(2, "0.4"), line(3, "0.3"), line(2, "0.45")]
    assert [(each.epoch, each.loss) for each in epochs_of(lines)] == [(1, 0.5), (2, 0.45)]


def test_an_undefined_figure_is_none_and_an_undefined_loss_stays() -> None:
    (epoch,) = epochs_of([line(1, "nan", ", mean_sensitivity nan")])
    assert epoch.figure is None
    assert math.isnan(epoch.loss)


def test_a_log_is_read_whatever_else_stands_in_it(tmp_path: Path) -> None:
    log = tmp_path / "training.log"
    assert read_history(log) == []
    log.write_bytes(b"\xff\xfe broken\n" + line(1).encode())
    assert read_history(log) == [Epoch(1, 4, 0.5)]


def run(name: str, *histories: list[Epoch]) -> RunResult:
    return RunResult(name, "", histories={str(n): each for n, each in enumerate(histories, start=1)})


def drawn(*runs: RunResult) -> str:
    return curves_section(Results(Head("x", ""), runs))


def polylines(section: str) -> list[list[tuple[float, float]]]:
    svgs = re.findall(r"<svg.*?</svg>", section)
    lines = [each for svg in svgs for each in ElementTree.fromstring(svg).iter("polyline")]
    pairs = [each.attrib["points"].split() for each in lines]
    return [[(float(x), float(y)) for x, y in (pair.split(",") for pair in each)] for each in pairs]


def test_each_fold_is_a_line_and_all_runs_share_the_scale() -> None:
    short = [Epoch(1, 4, 1.0), Epoch(2, 4, 0.5)]
    long = [*short, Epoch(3, 4, 0.4, 0.6), Epoch(4, 4, 0.2, 0.8)]
    loss_a1, loss_a2, *_, loss_b, _ = polylines(drawn(run("a", short, long), run("b", short)))
    assert loss_a1 == loss_b == loss_a2[:2]
    assert loss_a2[0][1] < loss_a2[-1][1]
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in loss_a2)


def test_epochs_without_a_validation_leave_dots_where_there_is_one() -> None:
    section = drawn(run("a", [Epoch(1, 3, 1.0, 0.2), Epoch(2, 3, 0.5, 0.4), Epoch(3, 3, 0.4)]))
    assert section.count("<circle") == 2
    assert "<p>epoch 3</p>" in section


def test_a_single_validation_at_the_end_is_said_and_not_drawn() -> None:
    section = drawn(run("a", [Epoch(1, 2, 1.0), Epoch(2, 2, 0.5, 0.45)]))
    assert section.count("<svg") == 1
    assert "sensitivity after the last epoch: 0.45" in section


def test_a_loss_that_is_no_number_draws_nothing_of_itself() -> None:
    section = drawn(run("a", [Epoch(1, 2, math.nan), Epoch(2, 2, math.inf)]))
    assert "nan" not in section
    assert "inf" not in section


def test_without_any_epoch_there_is_no_section() -> None:
    assert drawn(run("a")) == ""


def test_names_cannot_break_the_page() -> None:
    assert "<b>" not in drawn(run("<b>", [Epoch(1, 1, 1.0)]))


@pytest.mark.parametrize(
    ("losses", "end"),
    [([2.0, 1.0, 0.5], 2.0), ([900.0, 1.0, 1.0], 3.0), ([math.nan], 1.0), ([0.0, 0.0], 1.0)],
)
def test_the_loss_axis_holds_all_but_a_divergence(losses: list[float], end: float) -> None:
    assert loss_axis_end(losses) == end


def test_values_beyond_the_axis_stop_at_its_end() -> None:
    scale = Scale(5, 0.0, 2.0)
    assert scale.y(900.0) == scale.y(2.0) < scale.y(0.0) == scale.y(-1.0)
