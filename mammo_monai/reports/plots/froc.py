"""Draws FROC curves: steps over a logarithmic FPPI axis with operating points; the mean over folds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mammo_monai.reports.literature.points import LiteraturePoint
from mammo_monai.reports.plots.folds import FPPI_RANGE, fold_band, has_band, has_curve
from mammo_monai.reports.plots.literature_marks import draw_literature
from mammo_monai.reports.plots.style import (
    BAND_ALPHA,
    LINES,
    MARKERS,
    Draw,
    Palette,
    add_key,
    numbers,
    plain_axes,
    save_plot,
    sensitivity_label,
    share_axis,
    themed_svg,
)
from mammo_monai.reports.runs import Run

if TYPE_CHECKING:  # matplotlib takes a second to import, and pages of data have no plot
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from mammo_monai.metrics.fold_summary import FoldSummary

_TICKS = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0)
_MARGINS = (62.0, 50.0)  # what labels take of width and height, about, in points


def froc_svg(
    runs: Sequence[Run],
    *,
    size_in: tuple[float, float],
    salt: str,
    literature: Sequence[LiteraturePoint] = (),
) -> str:
    """The FROC plot as an `<svg>` element for a page that sets `--ink`, `--faint`, `--grid`, `--run-1` …

    Args:
        salt: makes the ids inside unique on the page.
        literature: published points, as grey marks with letters (`literature_marks.letters`); the sensitivity
            axis then begins where there is something to see.
    """
    return themed_svg(_froc(runs, literature), size_in=size_in, salt=salt)


def save_froc_plot(
    path: Path,
    runs: Sequence[Run],
    *,
    size_in: tuple[float, float] = (7.0, 4.6),
    literature: Sequence[LiteraturePoint] = (),
) -> None:
    """Writes the FROC plot of all runs as PNG, SVG or PDF, by the suffix of `path`.

    Raises:
        ValueError: another suffix.
    """
    save_plot(path, _froc(runs, literature), size_in=size_in, salt="froc")


def fold_froc_svg(runs: Sequence[Run], *, size_in: tuple[float, float], salt: str) -> str:
    """The mean FROC curves over folds with their 95 % bands; "" where no run has two folds with lesions."""
    return themed_svg(_fold_froc(runs), size_in=size_in, salt=salt) if has_band(runs) else ""


def save_fold_froc_plot(path: Path, runs: Sequence[Run]) -> None:
    """Writes the mean FROC curves over folds as PNG, SVG or PDF, by the suffix of `path`.

    Raises:
        ValueError: another suffix, or no run has two folds with lesions.
    """
    if not has_band(runs):
        raise ValueError("a mean over folds needs a run with two folds or more that hold lesions; none has.")
    save_plot(path, _fold_froc(runs), size_in=(8.6, 4.9), salt="fold_froc")


def froc_axes(axes: Axes, palette: Palette, *, label: str = "lesion sensitivity", low: float = 0.0) -> None:
    """Axes of a FROC plot: FPPI from .1 to 5 in octaves, sensitivity from `low` to 1."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator  # noqa: PLC0415  # see above

    axes.set_xscale("log", base=2)
    axes.set_xlim(*FPPI_RANGE)
    axes.xaxis.set_major_locator(FixedLocator(_TICKS))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlabel("false positives per image", color=palette.ink)
    share_axis(axes, label, palette, low=low)
    plain_axes(axes, palette)


def draw_run(axes: Axes, run: Run, number: int, palette: Palette) -> None:
    """Steps as far as measured, a thin line at the last value beyond, and points with intervals."""
    colour = palette.of_run(number)
    fppi = np.array([0.0, *run.metrics["froc"]["fppi"]])
    sensitivity = np.array([0.0, *numbers(run.metrics["froc"]["sensitivity"])])
    left, right = FPPI_RANGE
    is_inside = (fppi > left) & (fppi < right)
    xs = np.concatenate([[left], fppi[is_inside]])
    ys = np.concatenate([sensitivity[fppi <= left][-1:], sensitivity[is_inside]])
    end = min(max(float(fppi[-1]), left), right)
    axes.plot(
        np.append(xs, end),
        np.append(ys, ys[-1]),
        drawstyle="steps-post",
        color=colour,
        linewidth=1.8,
        linestyle=LINES[number % len(LINES)],
    )
    axes.plot([end, right], [ys[-1], ys[-1]], color=colour, linewidth=0.9, alpha=0.5)
    draw_points(axes, run.points, number, palette)


def draw_points(axes: Axes, points: Sequence[Mapping[str, Any]], number: int, palette: Palette) -> None:
    """Operating points within the axes, and the band of their intervals."""
    left, right = FPPI_RANGE
    inside = [point for point in points if left <= point["fppi"] <= right]
    if not inside:
        return
    fppi, sensitivity, low, high = (
        numbers([point[name] for point in inside]) for name in ("fppi", "sensitivity", "low", "high")
    )
    axes.fill_between(fppi, low, high, color=palette.of_run(number), alpha=BAND_ALPHA, linewidth=0)
    axes.plot(
        fppi,
        sensitivity,
        linestyle="none",
        marker=MARKERS[number % len(MARKERS)],
        markersize=4.6,
        color=palette.of_run(number),
    )


def lowest_shown(runs: Sequence[Run], literature: Sequence[LiteraturePoint]) -> float:
    """Where the sensitivity axis begins: 0, with published points the tenth below all that is compared."""
    if not literature:
        return 0.0
    points = [point for run in runs for point in run.points if point["fppi"] >= 0.25]
    values = [each for point in points for each in (point["low"], point["sensitivity"]) if each is not None]
    lowest: float = min([*values, *(point.sensitivity for point in literature)])
    return max(0.0, min(0.8, math.floor(10 * lowest - 1e-9) / 10))


def _froc(runs: Sequence[Run], literature: Sequence[LiteraturePoint]) -> Draw:
    def draw(figure: Figure, palette: Palette) -> None:
        axes = figure.add_subplot()
        froc_axes(axes, palette, label=sensitivity_label(runs), low=lowest_shown(runs, literature))
        for number, run in enumerate(runs):
            if has_curve(run):
                draw_run(axes, run, number, palette)
        if literature:
            width, height = (72 * each for each in figure.get_size_inches())
            draw_literature(axes, literature, palette, (width - _MARGINS[0], height - _MARGINS[1]))
        if any(has_curve(run) for run in runs):
            add_key(figure, runs, palette)
        else:
            _say_undefined(axes, palette)

    return draw


def _fold_froc(runs: Sequence[Run]) -> Draw:
    def draw(figure: Figure, palette: Palette) -> None:
        axes = figure.add_subplot()
        froc_axes(axes, palette, label=sensitivity_label(runs))
        bands = [fold_band(run) for run in runs]
        for number, band in enumerate(bands):
            if band:
                _draw_band(axes, band, number, palette, has_folds=sum(map(bool, bands)) == 1)
        add_key(figure, runs, palette)

    return draw


def _draw_band(axes: Axes, band: FoldSummary, number: int, palette: Palette, *, has_folds: bool) -> None:
    """Mean and band; the folds' own curves, thin, where there is one run alone."""
    colour = palette.of_run(number)
    if band.low is not None and band.high is not None:
        axes.fill_between(
            band.fppi, band.low, band.high, color=colour, alpha=BAND_ALPHA, linewidth=0, step="post"
        )
    for fold in band.sensitivity if has_folds else ():
        axes.plot(band.fppi, fold, drawstyle="steps-post", color=colour, linewidth=0.7, alpha=0.45)
    axes.plot(
        band.fppi,
        band.mean,
        drawstyle="steps-post",
        color=colour,
        linewidth=1.8,
        linestyle=LINES[number % len(LINES)],
    )


def _say_undefined(axes: Axes, palette: Palette) -> None:
    axes.text(
        0.5,
        0.5,
        "no lesions: sensitivity is undefined",
        transform=axes.transAxes,
        ha="center",
        color=palette.faint,
    )
