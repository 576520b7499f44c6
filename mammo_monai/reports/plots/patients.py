"""Draws the area under the ROC curve against the number of patients a model was fine-tuned on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mammo_monai.reports.plots.style import Draw, Palette, plain_axes, save_plot, share_axis, themed_svg
from mammo_monai.reports.runs import Json, Run
from mammo_monai.reports.tables.image_tables import auc_of

if TYPE_CHECKING:  # matplotlib takes a second to import, and pages of data have no plot
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def patients_svg(
    runs: Mapping[int, Run], *, size_in: tuple[float, float], salt: str, level: str = "image"
) -> str:
    """The plot as an `<svg>` element, themed as `froc_svg`; "" where no run has an area.

    Args:
        runs: by the number of patients each was fine-tuned on, scored on the same images.
        level: image, breast or patient.

    Raises:
        ValueError: a number below 1.
    """
    points = _points(runs, level)
    return themed_svg(_patients(points, level), size_in=size_in, salt=salt) if points else ""


def save_patients_plot(path: Path, runs: Mapping[int, Run], *, level: str = "image") -> None:
    """Writes the plot as PNG, SVG or PDF, by the suffix of `path`; see `patients_svg`.

    Raises:
        ValueError: another suffix, a number below 1, or no run has an area at that level.

    Source: P4, § 5, after Shen et al., 2019: a model of films needs few patients of another set.
    """
    points = _points(runs, level)
    if not points:
        raise ValueError(
            f"no run has an area under the ROC curve per {level} (`roc` in metrics.json): it takes positive "
            "and negative ones."
        )
    save_plot(path, _patients(points, level), size_in=(5.6, 4.1), salt="patients")


def _points(runs: Mapping[int, Run], level: str) -> dict[int, Json]:
    """The areas by number of patients, ascending."""
    if wrong := [n for n in runs if n < 1]:
        raise ValueError(f"a number of patients must be at least 1, got {wrong[0]}.")
    found = {n: auc_of(runs[n], level) for n in sorted(runs)}
    return {n: each for n, each in found.items() if each is not None}


def _patients(points: Mapping[int, Json], level: str) -> Draw:
    def draw(figure: Figure, palette: Palette) -> None:
        axes = figure.add_subplot()
        share_axis(axes, f"AUC per {level}", palette)
        plain_axes(axes, palette)
        _number_axis(axes, list(points), palette)
        axes.axhline(0.5, color=palette.faint, linewidth=0.9, linestyle=(0, (4, 3)))  # chance
        colour = palette.of_run(0)
        axes.plot(
            list(points), [each["auc"] for each in points.values()], color=colour, marker="o", linewidth=1.4
        )
        for n, each in points.items():
            if each.get("low") is not None:
                axes.plot([n, n], [each["low"], each["high"]], color=colour, linewidth=1.1)

    return draw


def _number_axis(axes: Axes, numbers: list[int], palette: Palette) -> None:
    """Numbers of patients in octaves, each measured one named."""
    from matplotlib.ticker import FixedLocator, NullLocator  # noqa: PLC0415  # see above

    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator(numbers))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([str(n) for n in numbers])
    axes.set_xlabel("patients it was fine-tuned on", color=palette.ink)
