"""Draws ROC curves, a panel per level, with the area under each and its interval."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mammo_monai.reports.plots.style import (
    LINES,
    SMALL_TEXT,
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
from mammo_monai.reports.runs import Json, Run
from mammo_monai.reports.tables.image_tables import positive_words

if TYPE_CHECKING:  # matplotlib takes a second to import, and pages of data have no plot
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LEVELS = ("image", "breast", "patient")


def roc_levels(runs: Sequence[Run]) -> tuple[str, ...]:
    """The levels at which some run has a ROC curve, from image to patient."""
    return tuple(level for level in _LEVELS if any(roc_of(run, level) for run in runs))


def roc_of(run: Run, level: str) -> Json | None:
    """The ROC curve of a run at a level: auc, low, high, fpr, tpr and counts; None where it has none."""
    every = (each for each in run.metrics.get("roc") or () if each.get("level") == level and each.get("fpr"))
    return next(every, None)


def roc_svg(runs: Sequence[Run], *, size_in: tuple[float, float], salt: str) -> str:
    """The plot as an `<svg>` element, themed as `froc_svg`; "" where no run has a ROC curve."""
    return themed_svg(_roc(runs), size_in=size_in, salt=salt) if roc_levels(runs) else ""


def save_roc_plot(path: Path, runs: Sequence[Run]) -> None:
    """Writes the plot as PNG, SVG or PDF, by the suffix of `path`; narrower where there is one level alone.

    Raises:
        ValueError: another suffix, or no run has a ROC curve.
    """
    if not roc_levels(runs):
        raise ValueError(
            "no run has a ROC curve (`roc` in metrics.json): it takes images, breasts or patients "
            "with a lesion and without."
        )
    width_in = 8.6 if len(roc_levels(runs)) > 1 else 4.8
    save_plot(path, _roc(runs), size_in=(width_in, 4.4), salt="roc")


def auc_text(curve: Json) -> str:
    """`0.91 (0.86–0.95)`: area under the curve with its interval, where it has one.

    >>> auc_text({"auc": 0.914, "low": 0.86, "high": 0.95})
    '0.91 (0.86–0.95)'
    """
    if curve.get("low") is None:
        return f"{curve['auc']:.2f}"
    return f"{curve['auc']:.2f} ({curve['low']:.2f}–{curve['high']:.2f})"


def _roc(runs: Sequence[Run]) -> Draw:
    def draw(figure: Figure, palette: Palette) -> None:
        levels = roc_levels(runs)
        for panel, level in zip(panels(figure, len(levels)), levels, strict=True):
            curves = [roc_of(run, level) for run in runs]
            _prepare(panel, _title(level, curves, positive_words(runs)), palette)
            for number, curve in enumerate(curves):
                if curve:
                    _draw_curve(panel, curve, number, palette)
            _write_areas(panel, curves, palette)
        figure.axes[0].set_ylabel("sensitivity", color=palette.ink)
        add_key(figure, runs, palette)

    return draw


def _title(level: str, curves: Sequence[Json | None], words: tuple[str, str]) -> str:
    """The level and its numbers, where all runs have the same."""
    counts = {(each["n_positive"], each["n_negative"]) for each in curves if each}
    if len(counts) > 1:
        return f"per {level}"
    positive, negative = counts.pop()
    return f"per {level}\n{positive} {words[0]}, {negative} {words[1]}"


def _prepare(axes: Axes, title: str, palette: Palette) -> None:
    share_axis(axes, "sensitivity", palette)
    plain_axes(axes, palette)
    axes.set_xlim(-0.02, 1.02)
    axes.set_xticks([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
    axes.set_box_aspect(1)
    axes.set_xlabel("1 − specificity", color=palette.ink)
    panel_title(axes, title, palette)
    axes.plot([0, 1], [0, 1], color=palette.faint, linewidth=0.9, linestyle=(0, (4, 3)))


def _draw_curve(axes: Axes, curve: Json, number: int, palette: Palette) -> None:
    axes.plot(
        curve["fpr"],
        curve["tpr"],
        color=palette.of_run(number),
        linewidth=1.8,
        linestyle=LINES[number % len(LINES)],
    )


def _write_areas(axes: Axes, curves: Sequence[Json | None], palette: Palette) -> None:
    """The areas in the runs' colours at the lower right, where a curve worth showing does not pass."""
    shown = [(number, curve) for number, curve in enumerate(curves) if curve]
    for place, (number, curve) in enumerate(reversed(shown)):
        axes.annotate(
            f"AUC {auc_text(curve)}",
            (0.98, 0.03),
            xycoords="axes fraction",
            xytext=(0, place * 1.45 * SMALL_TEXT),
            textcoords="offset points",
            ha="right",
            fontsize=SMALL_TEXT,
            color=palette.of_run(number),
        )
