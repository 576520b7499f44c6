"""Draws what trainings logged: loss and validation figure by epoch, a thin line per fold."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mammo_monai.reports.plots.style import (
    LINES,
    Draw,
    Palette,
    add_key,
    panel_title,
    panels,
    plain_axes,
    save_plot,
    share_axis,
    themed_svg,
)
from mammo_monai.reports.runs import EpochPoint, Run

if TYPE_CHECKING:  # matplotlib takes a second to import, and pages of data have no plot
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# A diverged training must not flatten the others: the loss axis ends at this multiple of the median.
LOSS_CEILING = 3.0
ValueOf = Callable[[EpochPoint], float | None]


def has_history(runs: Sequence[Run]) -> bool:
    """Whether some training of some run has logged an epoch."""
    return any(len(history) for run in runs for history in run.histories.values())


def training_svg(runs: Sequence[Run], *, size_in: tuple[float, float], salt: str) -> str:
    """The plot as an `<svg>` element, themed as `froc_svg`; "" where no run brings a history."""
    return themed_svg(_training(runs), size_in=size_in, salt=salt) if has_history(runs) else ""


def save_training_plot(path: Path, runs: Sequence[Run]) -> None:
    """Writes the plot as PNG, SVG or PDF, by the suffix of `path`.

    Raises:
        ValueError: another suffix, or no run brings a history.
    """
    if not has_history(runs):
        raise ValueError("no run brings the history of a training: read it from an experiment's folder.")
    save_plot(path, _training(runs), size_in=(8.6, 3.8), salt="training")


def loss_axis_end(losses: Sequence[float]) -> float:
    """Where the loss axis ends: the largest loss, but no more than three times the median.

    >>> loss_axis_end([1.0, 1.0, 2.0]), loss_axis_end([1.0, 1.0, 50.0])
    (2.0, 3.0)
    """
    finite = sorted(each for each in losses if math.isfinite(each))
    if not finite:
        return 1.0
    return min(finite[-1], LOSS_CEILING * finite[len(finite) // 2]) or 1.0


def _training(runs: Sequence[Run]) -> Draw:
    """Losses; beside them figures, where some training was validated."""

    def draw(figure: Figure, palette: Palette) -> None:
        epochs = [each for run in runs for history in run.histories.values() for each in history]
        has_figure = any(each.figure is not None for each in epochs)
        axes = panels(figure, 2 if has_figure else 1, sharex=True)
        _draw_panel(axes[0], "training loss", runs, lambda each: each.loss, palette)
        axes[0].set_ylim(0.0, 1.04 * loss_axis_end([each.loss for each in epochs]))
        if has_figure:
            _draw_panel(axes[1], "validation figure", runs, lambda each: each.figure, palette)
            share_axis(axes[1], "", palette)
        for panel in axes:
            panel.set_xlabel("epoch", color=palette.ink)
        add_key(figure, runs, palette)

    return draw


def _draw_panel(axes: Axes, title: str, runs: Sequence[Run], value_of: ValueOf, palette: Palette) -> None:
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415  # see above

    plain_axes(axes, palette)
    panel_title(axes, title, palette)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    for number, run in enumerate(runs):
        for history in run.histories.values():
            _draw_history(axes, history, value_of, number, palette)


def _draw_history(
    axes: Axes, history: Sequence[EpochPoint], value_of: ValueOf, number: int, palette: Palette
) -> None:
    """A line over the epochs that have a value; dots where some were left out between them."""
    points = [
        (each.epoch, value)
        for each in history
        if (value := value_of(each)) is not None and math.isfinite(value)
    ]
    axes.plot(
        [epoch for epoch, _ in points],
        [value for _, value in points],
        color=palette.of_run(number),
        linewidth=1.0,
        linestyle=LINES[number % len(LINES)],
        alpha=0.8,
        marker="o" if len(points) < len(history) or len(points) == 1 else None,
        markersize=3.0,
    )
