"""Draws sensitivity against the minimum IoU of a hit, a panel for each FPPI."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mammo_monai.reports.plots.style import (
    BAND_ALPHA,
    Draw,
    Palette,
    add_key,
    line_style,
    numbers,
    panel_title,
    panels,
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


def overlap_fppi(runs: Sequence[Run]) -> tuple[float, ...]:
    """The FPPIs at which some run has its sensitivity by minimum IoU, ascending; none without lesions."""
    return tuple(sorted({row["fppi"] for run in runs for row in overlap_rows(run)}))


def overlap_rows(run: Run) -> list[Mapping[str, Any]]:
    """The curves of a run that hold a number: fppi, min_iou, sensitivity, low, high."""
    overlap = run.metrics.get("overlap") or {}
    every, min_iou = overlap.get("fppi") or (), overlap.get("min_iou") or ()
    blank = [[None] * len(min_iou)] * len(every)
    columns = [overlap.get(name) or blank for name in ("sensitivity", "low", "high")]
    return [
        {"fppi": fppi, "min_iou": min_iou, "sensitivity": sensitivity, "low": low, "high": high}
        for fppi, sensitivity, low, high in zip(every, *columns, strict=True)
        if any(value is not None for value in sensitivity)
    ]


def overlap_svg(runs: Sequence[Run], *, size_in: tuple[float, float], salt: str) -> str:
    """The plot as an `<svg>` element, themed as `froc_svg`; "" where no run has such figures."""
    return themed_svg(_overlap(runs), size_in=size_in, salt=salt) if overlap_fppi(runs) else ""


def save_overlap_plot(path: Path, runs: Sequence[Run]) -> None:
    """Writes the plot as PNG, SVG or PDF, by the suffix of `path`.

    Raises:
        ValueError: another suffix, or no run has sensitivities by minimum IoU.
    """
    if not overlap_fppi(runs):
        raise ValueError(
            "no run has sensitivities by minimum IoU (`overlap` in metrics.json): "
            "evaluate again, on images with lesions."
        )
    save_plot(path, _overlap(runs), size_in=(8.6, 3.6), salt="overlap")


def _overlap(runs: Sequence[Run]) -> Draw:
    """Panels beside each other in a wide figure, one above the other in a high one."""

    def draw(figure: Figure, palette: Palette) -> None:
        every = overlap_fppi(runs)
        axes = panels(figure, len(every), sharex=True, sharey=True)
        for panel, fppi in zip(axes, every, strict=True):
            _prepare(panel, fppi, sensitivity_label(runs), palette)
            for number, run in enumerate(runs):
                for row in overlap_rows(run):
                    if row["fppi"] == fppi:
                        _draw_row(panel, row, number, palette)
            _mark_rule(panel, runs, palette)
        for panel in axes:
            panel.label_outer()
        add_key(figure, runs, palette)

    return draw


def _prepare(axes: Axes, fppi: float, label: str, palette: Palette) -> None:
    from matplotlib.ticker import FixedLocator  # noqa: PLC0415  # see above

    share_axis(axes, label, palette)
    plain_axes(axes, palette)
    axes.set_xlim(0.0, 1.0)
    axes.xaxis.set_major_locator(FixedLocator([0.0, 0.2, 0.4, 0.6, 0.8, 1.0]))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("minimum IoU of a hit", color=palette.ink)
    panel_title(axes, f"{fppi:g} FPPI", palette)


def _draw_row(axes: Axes, row: Mapping[str, Any], number: int, palette: Palette) -> None:
    min_iou = np.asarray(row["min_iou"], dtype=np.float64)
    low, high = numbers(row["low"]), numbers(row["high"])
    axes.fill_between(min_iou, low, high, color=palette.of_run(number), alpha=BAND_ALPHA, linewidth=0)
    axes.plot(min_iou, numbers(row["sensitivity"]), **{**line_style(number, palette), "markersize": 3.2})


def _mark_rule(axes: Axes, runs: Sequence[Run], palette: Palette) -> None:
    """A thin line at the minimum IoU the other figures are scored by, where it is one."""
    limits = {run.metrics["rule"].get("min_iou") for run in runs}
    if len(limits) == 1 and (limit := limits.pop()) is not None:
        axes.axvline(limit, color=palette.faint, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
