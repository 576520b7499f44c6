"""Learning curves as small SVG drawings: one card per run, a thin line per fold, one scale for all runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from mammo_monai.experiments.history import Epoch
from mammo_monai.experiments.results import Results, RunResult
from mammo_monai.reports.plots.training import loss_axis_end

WIDTH, HEIGHT = 300, 130
LEFT, RIGHT, TOP, BOTTOM = 34, 8, 10, 22

CURVES_CSS = """
.curves { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(19rem, 100%), 1fr)); gap: 1rem; }
.curve { margin: 0; padding: 0.75rem 0.875rem; border-radius: 0.5rem; background: var(--panel); }
.curve { break-inside: avoid; }
.curve h3 { margin: 0; overflow-wrap: anywhere; }
.curve p { margin: 0.25rem 0 0; font-size: 0.8125rem; color: var(--faint); }
.curve svg { display: block; width: 100%; height: auto; }
.curve text { fill: var(--faint); font-size: 10px; }
.curve .grid { stroke: var(--grid); stroke-width: 1; }
.curve .line { fill: none; stroke: var(--accent); stroke-width: 1.5; stroke-linejoin: round; opacity: 0.75; }
.curve .dot { fill: var(--accent); }
"""


@dataclass(frozen=True)
class Scale:
    """The axes of one kind of drawing: epochs 1 … `epochs`, values `low` … `high`."""

    epochs: int
    low: float
    high: float

    def x(self, epoch: float) -> float:
        """Horizontal place of an epoch, SVG units."""
        share = (epoch - 1) / max(1, self.epochs - 1)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        """Vertical place of a value, SVG units; values beyond the axis stop at its end."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)


def curves_section(results: Results) -> str:
    """The section of the page; empty where no training has logged an epoch."""
    trained = [run for run in results.runs if run.histories]
    if not trained:
        return ""
    epochs = [each for run in trained for history in run.histories.values() for each in history]
    last = max(each.epoch for each in epochs)
    loss_scale = Scale(last, 0.0, loss_axis_end([each.loss for each in epochs]))
    # One validation, at the end, is no curve: the note below says it.
    has_curve = any(
        sum(each.figure is not None for each in history) > 1
        for run in trained
        for history in run.histories.values()
    )
    figure_scale = Scale(last, 0.0, 1.0) if has_curve else None
    cards = "".join(_card(run, loss_scale, figure_scale) for run in trained)
    return (
        f'<section><h2>Learning curves</h2><div class="curves">{cards}</div><p class="quiet">A line per '
        "fold. Loss: mean over the epoch's batches. Sensitivity: mean over 0.25, 0.5, 1, 2 and 4 FPPI on the "
        "list the training validates on, dots where it was measured. One scale for all runs.</p></section>"
    )


def _card(run: RunResult, loss_scale: Scale, figure_scale: Scale | None) -> str:
    drawings = _drawing("loss", run.histories, lambda each: each.loss, loss_scale)
    if figure_scale:
        drawings += _drawing("sensitivity", run.histories, lambda each: each.figure, figure_scale)
    ends = [history[-1] for history in run.histories.values()]
    shown = ", ".join(f"{each.figure:.2f}" for each in ends if each.figure is not None)
    note = (
        f"sensitivity after the last epoch: {shown}" if shown else f"epoch {max(each.epoch for each in ends)}"
    )
    return f'<article class="curve"><h3>{escape(run.name)}</h3>{drawings}<p>{note}</p></article>'


def _drawing(
    name: str,
    histories: Mapping[str, Sequence[Epoch]],
    value_of: Callable[[Epoch], float | None],
    scale: Scale,
) -> str:
    lines = []
    for history in histories.values():
        points = [
            (scale.x(each.epoch), scale.y(value))
            for each in history
            if (value := value_of(each)) is not None and math.isfinite(value)
        ]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        lines.append(f'<polyline class="line" points="{path}"/>')
        if len(points) < len(history) or len(points) == 1:
            lines += [f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="2.2"/>' for x, y in points]
    ticks = "".join(
        f'<path class="grid" d="M{LEFT} {scale.y(each):.1f}H{WIDTH - RIGHT}"/>'
        f'<text x="{LEFT - 5}" y="{scale.y(each) + 3:.1f}" text-anchor="end">{each:.2g}</text>'
        for each in (scale.low, (scale.low + scale.high) / 2, scale.high)
    )
    foot = (
        f'<text x="{LEFT}" y="{HEIGHT - 6}">epoch 1</text>'
        f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 6}" text-anchor="end">{scale.epochs}</text>'
        f'<text x="{(LEFT + WIDTH) / 2}" y="{HEIGHT - 6}" text-anchor="middle">{name}</text>'
    )
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{name} by epoch">'
        f"{ticks}{''.join(lines)}{foot}</svg>"
    )
