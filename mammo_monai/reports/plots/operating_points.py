"""Draws chosen operating points with their thresholds, beside the reliability of calibrated probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammo_monai.reports.plots.froc import draw_points, draw_run, froc_axes
from mammo_monai.reports.plots.reliability import draw_counts, draw_diagonal, draw_diagram
from mammo_monai.reports.plots.style import SMALL_TEXT, Palette, save_plot
from mammo_monai.reports.runs import Run

if TYPE_CHECKING:  # matplotlib takes a second to import, and pages of data have no plot
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from mammo_monai.metrics import FrocCurve
    from mammo_monai.schema import OperatingPoints


def save_points_plot(path: Path, points: OperatingPoints, curve: FrocCurve | None = None) -> None:
    """Writes operating points with their intervals, and the reliability diagram beside them where calibrated.

    The diagram shows the share of hits of each bin at its mean probability, with Wilson's 95 % interval over
    detections, above the number of detections in the bin; on the diagonal the two agree.

    Args:
        curve: of the images the points were chosen on; without it the points stand alone.

    Raises:
        ValueError: the suffix of `path` is none of .png, .svg and .pdf.
    """

    def draw(figure: Figure, palette: Palette) -> None:
        draw_chosen_points(figure, points, curve, palette)

    save_plot(path, draw, size_in=(9.6, 4.6), salt="points")


def draw_chosen_points(
    figure: Figure, points: OperatingPoints, curve: FrocCurve | None, palette: Palette
) -> None:
    """Draws the points on the left; on the right, where they are calibrated, diagram above counts."""
    if points.calibration is None:
        _draw_chosen(figure.add_subplot(), points, curve, palette)
        return
    grid = figure.add_gridspec(2, 2, height_ratios=(4, 1), width_ratios=(5, 4), wspace=0.08)
    _draw_chosen(figure.add_subplot(grid[:, 0]), points, curve, palette)
    bins = [asdict(each) for each in points.calibration.bins]
    diagram = figure.add_subplot(grid[0, 1])
    draw_diagonal(diagram, "share that hit a lesion", palette)
    draw_diagram(diagram, bins, 0, palette)
    draw_counts(figure.add_subplot(grid[1, 1], sharex=diagram), bins, 0, palette, label="probability")


def _draw_chosen(axes: Axes, points: OperatingPoints, curve: FrocCurve | None, palette: Palette) -> None:
    """The curve with the chosen points, each with its threshold."""
    froc_axes(axes, palette)
    marked: Sequence[dict[str, Any]] = [
        {
            "fppi": each.fppi if each.fppi_reached is None else each.fppi_reached,
            "sensitivity": each.sensitivity,
            "low": each.low,
            "high": each.high,
        }
        for each in points.points
    ]
    if curve is None:
        draw_points(axes, marked, 0, palette)
    else:
        froc = {"fppi": curve.fppi, "sensitivity": curve.sensitivity, "points": marked}
        draw_run(axes, Run("", {"froc": froc}), 0, palette)
    for place, each in zip(marked, points.points, strict=True):
        axes.annotate(
            f"score ≥ {each.threshold:#.2g}",
            (place["fppi"], place["sensitivity"]),
            xytext=(7, -11),
            textcoords="offset points",
            fontsize=SMALL_TEXT,
            color=palette.ink,
        )
