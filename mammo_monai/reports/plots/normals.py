"""Draws false positives per normal image against the score from which boxes are shown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mammo_monai.reports.literature.points import LiteratureNormals
from mammo_monai.reports.plots.style import (
    BAND_ALPHA,
    LINES,
    SMALL_TEXT,
    Draw,
    Palette,
    add_key,
    numbers,
    plain_axes,
    save_plot,
    themed_svg,
)
from mammo_monai.reports.runs import Json, Run

if TYPE_CHECKING:  # matplotlib takes a second to import, and pages of data have no plot
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TICKS = (0.0, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
_LINEAR_BELOW = 0.1


def normals_curve(run: Run) -> Json | None:
    """Score and false positives per normal image of a run, with its band where there is one; None without.

    Files of before the curve hold ten scores without a band: these are taken.
    """
    found = run.metrics.get("normal_images") or {}
    curve = found.get("curve") or found
    if not found.get("n_images") or not curve.get("score"):
        return None
    return curve if any(each is not None for each in curve["false_positives_per_image"]) else None


def normals_svg(
    runs: Sequence[Run],
    *,
    size_in: tuple[float, float],
    salt: str,
    literature: Sequence[LiteratureNormals] = (),
) -> str:
    """The plot as an `<svg>` element, themed as `froc_svg`; "" where no run holds a normal image.

    Args:
        literature: published points, as grey marks.
    """
    has_curve = any(map(normals_curve, runs))
    return themed_svg(_normals(runs, literature), size_in=size_in, salt=salt) if has_curve else ""


def save_normals_plot(
    path: Path,
    runs: Sequence[Run],
    *,
    literature: Sequence[LiteratureNormals] = (),
) -> None:
    """Writes the plot as PNG, SVG or PDF, by the suffix of `path`.

    Raises:
        ValueError: another suffix, or no run holds a normal image.
    """
    if not any(map(normals_curve, runs)):
        raise ValueError("no run holds a normal image: evaluate on a list with images without lesions.")
    save_plot(path, _normals(runs, literature), size_in=(7.0, 4.2), salt="normals")


def _normals(runs: Sequence[Run], literature: Sequence[LiteratureNormals]) -> Draw:
    def draw(figure: Figure, palette: Palette) -> None:
        axes = figure.add_subplot()
        _prepare(axes, palette)
        for number, run in enumerate(runs):
            if curve := normals_curve(run):
                _draw_curve(axes, curve, number, palette)
        _draw_literature(axes, literature, palette)
        axes.set_ylim(bottom=-0.004)
        add_key(figure, runs, palette)

    return draw


def _prepare(axes: Axes, palette: Palette) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator  # noqa: PLC0415  # see above

    axes.set_yscale("symlog", linthresh=_LINEAR_BELOW, linscale=0.4)
    axes.yaxis.set_major_locator(FixedLocator(_TICKS))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlim(0.0, 1.0)
    axes.set_xlabel("boxes shown from this score on", color=palette.ink)
    axes.set_ylabel("false positives per normal image", color=palette.ink)
    plain_axes(axes, palette)


def _draw_curve(axes: Axes, curve: Json, number: int, palette: Palette) -> None:
    score = np.asarray(curve["score"], dtype=np.float64)
    colour = palette.of_run(number)
    if curve.get("low") and curve.get("high"):
        axes.fill_between(
            score,
            numbers(curve["low"]),
            numbers(curve["high"]),
            color=colour,
            alpha=BAND_ALPHA,
            linewidth=0,
        )
    axes.plot(
        score,
        numbers(curve["false_positives_per_image"]),
        color=colour,
        linewidth=1.8,
        linestyle=LINES[number % len(LINES)],
    )


def _draw_literature(axes: Axes, literature: Sequence[LiteratureNormals], palette: Palette) -> None:
    for point in literature:
        axes.plot(point.score, point.false_positives_per_image, "o", markersize=4.2, color=palette.faint)
    if literature:
        first = min(literature, key=lambda point: point.score)
        axes.annotate(
            first.label,
            (first.score, first.false_positives_per_image),
            xytext=(-7, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            fontsize=SMALL_TEXT,
            color=palette.faint,
        )
