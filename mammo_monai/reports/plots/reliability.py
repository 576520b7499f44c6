"""Draws reliability diagrams: the share of detections that hit a lesion, by their score."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mammo_monai.reports.plots.style import (
    LINES,
    MARKERS,
    SMALL_TEXT,
    Draw,
    Palette,
    add_key,
    plain_axes,
    save_plot,
    share_axis,
    themed_svg,
)
from mammo_monai.reports.runs import Json, Run

if TYPE_CHECKING:  # matplotlib takes a second to import, and pages of data have no plot
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def reliability_of(run: Run) -> Json | None:
    """The reliability of a run's raw scores: bins that hold detections, expected error, Brier score.

    None where the run has none, or no detection.
    """
    found = run.metrics.get("reliability") or {}
    bins = [each for each in found.get("bins") or () if each.get("n")]
    return {**found, "bins": bins} if bins else None


def reliability_svg(runs: Sequence[Run], *, size_in: tuple[float, float], salt: str) -> str:
    """The plot as an `<svg>` element, themed as `froc_svg`; "" where no run has such figures."""
    has_bins = any(map(reliability_of, runs))
    return themed_svg(_reliability(runs), size_in=size_in, salt=salt) if has_bins else ""


def save_reliability_plot(path: Path, runs: Sequence[Run]) -> None:
    """Writes the plot as PNG, SVG or PDF, by the suffix of `path`.

    Raises:
        ValueError: another suffix, or no run has a reliability.
    """
    if not any(map(reliability_of, runs)):
        raise ValueError("no run has the reliability of its scores (`reliability` in metrics.json).")
    save_plot(path, _reliability(runs), size_in=(5.2, 5.6), salt="reliability")


def draw_diagram(axes: Axes, bins: Sequence[Json], number: int, palette: Palette) -> None:
    """The share of hits of each bin at its mean score, with Wilson's 95 % interval over detections."""
    from mammo_monai.metrics import wilson_interval  # noqa: PLC0415  # scipy takes long to import

    shares = np.array([each["hit_rate"] for each in bins], dtype=np.float64)
    intervals = [wilson_interval(round(each["hit_rate"] * each["n"]), each["n"]) for each in bins]
    reach = [
        shares - [each.low for each in intervals],
        np.array([each.high for each in intervals]) - shares,
    ]
    axes.errorbar(
        [each["mean_score"] for each in bins],
        shares,
        yerr=np.maximum(reach, 0.0),
        color=palette.of_run(number),
        linewidth=1.6,
        linestyle=LINES[number % len(LINES)],
        elinewidth=1.0,
        marker=MARKERS[number % len(MARKERS)],
        markersize=4.6,
    )


def draw_diagonal(axes: Axes, label: str, palette: Palette) -> None:
    """Axes of a diagram from 0 to 1, and the line on which score and share agree."""
    plain_axes(axes, palette)
    share_axis(axes, label, palette)
    axes.set_xlim(-0.02, 1.02)
    axes.tick_params(labelbottom=False)
    axes.plot([0, 1], [0, 1], color=palette.faint, linewidth=0.9, linestyle=(0, (4, 3)))


def draw_counts(axes: Axes, bins: Sequence[Json], number: int, palette: Palette, *, label: str) -> None:
    """How many detections stand behind each bin, as bars on a logarithmic axis."""
    axes.bar(
        [each["low"] for each in bins],
        [each["n"] for each in bins],
        width=[each["high"] - each["low"] for each in bins],
        align="edge",
        color=palette.of_run(number),
        alpha=0.35,
        edgecolor=palette.grid,
        log=True,
    )
    prepare_counts(axes, palette, label=label)


def prepare_counts(axes: Axes, palette: Palette, *, label: str) -> None:
    """Axes of the number of detections by score."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator  # noqa: PLC0415  # see above

    plain_axes(axes, palette)
    axes.set_yscale("log")
    axes.set_ylim(bottom=0.7)
    axes.yaxis.set_major_locator(LogLocator(numticks=4))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(label, color=palette.ink)
    axes.set_ylabel("detections", color=palette.ink)


def _reliability(runs: Sequence[Run]) -> Draw:
    def draw(figure: Figure, palette: Palette) -> None:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
        draw_diagonal(upper, "share that hit a lesion", palette)
        found = [(number, each) for number, run in enumerate(runs) if (each := reliability_of(run))]
        for number, each in found:
            draw_diagram(upper, each["bins"], number, palette)
            if len(found) == 1:
                draw_counts(lower, each["bins"], number, palette, label="score")
            else:
                _draw_outline(lower, each["bins"], number, palette)
        _write_errors(upper, found, palette)
        prepare_counts(lower, palette, label="score")
        add_key(figure, runs, palette)

    return draw


def _draw_outline(axes: Axes, bins: Sequence[Json], number: int, palette: Palette) -> None:
    """Counts as steps, so that several runs can be seen at once."""
    axes.stairs(
        [each["n"] for each in bins],
        [*(each["low"] for each in bins), bins[-1]["high"]],
        baseline=None,
        color=palette.of_run(number),
        linewidth=1.4,
        linestyle=LINES[number % len(LINES)],
    )


def _write_errors(axes: Axes, found: Sequence[tuple[int, Json]], palette: Palette) -> None:
    """Expected calibration error and Brier score of each run in its colour, at the upper left."""
    shown = [(number, each) for number, each in found if each.get("expected_calibration_error") is not None]
    for place, (number, each) in enumerate(shown):
        brier = f", Brier {each['brier']:.3f}" if each.get("brier") is not None else ""
        axes.annotate(
            f"ECE {each['expected_calibration_error']:.3f}{brier}",
            (0.02, 0.97),
            xycoords="axes fraction",
            xytext=(0, -place * 1.45 * SMALL_TEXT),
            textcoords="offset points",
            va="top",
            fontsize=SMALL_TEXT,
            color=palette.of_run(number),
        )
