"""Draws a sweep: the objective of each trial in order with the best so far, and against each varied value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from mammo_monai.reports.plots.style import Draw, Palette, plain_axes, themed_svg, without_formulas

if TYPE_CHECKING:  # matplotlib takes a second to import, and pages of data have no plot
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_TICKS = 12


@dataclass(frozen=True)
class SweepPoint:
    """A trial as a plot needs it.

    Attributes:
        number: of the trial. value: its objective; None where it was given up or failed.
        last: the last validation figure of one that was given up; None without.
    """

    number: int
    value: float | None
    last: float | None = None


@dataclass(frozen=True)
class VariedAxis:
    """One varied id.

    Attributes:
        values: of each point, numbers, or indices into `names`.
        names: of a categorical's choices, else empty.
    """

    title: str
    values: tuple[float, ...]
    is_log: bool = False
    names: tuple[str, ...] = ()


def best_so_far(values: Sequence[float], *, is_maximised: bool) -> list[float]:
    """The best of the values up to each.

    >>> best_so_far([0.3, 0.5, 0.4], is_maximised=True), best_so_far([0.3, 0.5, 0.2], is_maximised=False)
    ([0.3, 0.5, 0.5], [0.3, 0.3, 0.2])
    """
    return list(accumulate(values, max if is_maximised else min))


def sweep_history_svg(
    points: Sequence[SweepPoint], *, label: str, is_maximised: bool, size_in: tuple[float, float], salt: str
) -> str:
    """The objective by trial as an `<svg>` element, themed as `froc_svg`; "" where no trial is complete.

    Args:
        label: the objective in words.
    """
    if all(each.value is None for each in points):
        return ""

    def draw(figure: Figure, palette: Palette) -> None:
        from matplotlib.ticker import MaxNLocator  # noqa: PLC0415  # see above

        axes = _axes(figure, palette, label)
        complete = [(each.number, each.value) for each in points if each.value is not None]
        numbers, values = [n for n, _ in complete], [value for _, value in complete]
        _given_up(axes, [(each.number, each.last) for each in points if each.value is None], palette)
        axes.plot(
            numbers, values, color=palette.of_run(0), marker="o", markersize=4.5, linestyle="", zorder=3
        )
        best = best_so_far(values, is_maximised=is_maximised)
        axes.step(numbers, best, where="post", color=palette.of_run(1), linewidth=1.3)
        axes.annotate(
            "best so far", (numbers[-1], best[-1]), (0, 5), textcoords="offset points",
            ha="right", fontsize=8.5, color=palette.of_run(1),
        )  # fmt: skip
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("trial", color=palette.ink)

    return themed_svg(draw, size_in=size_in, salt=salt)


def sweep_value_svg(
    points: Sequence[SweepPoint], varied: VariedAxis, *, label: str, size_in: tuple[float, float], salt: str
) -> str:
    """The objective against one varied value, themed as `froc_svg`; "" where no trial is complete.

    Args:
        varied: its values in the order of `points`.
    """
    if all(each.value is None for each in points):
        return ""
    return themed_svg(_against(points, varied, label), size_in=size_in, salt=salt)


def _against(points: Sequence[SweepPoint], varied: VariedAxis, label: str) -> Draw:
    def draw(figure: Figure, palette: Palette) -> None:
        from matplotlib.ticker import MaxNLocator  # noqa: PLC0415  # see above

        axes = _axes(figure, palette, label)
        if varied.is_log:
            axes.set_xscale("log")
        aside = [_aside(each) if varied.names else 0.0 for each in points]
        pairs = list(zip([x + by for x, by in zip(varied.values, aside, strict=True)], points, strict=True))
        _given_up(axes, [(x, each.last) for x, each in pairs if each.value is None], palette)
        complete = [(x, each.value) for x, each in pairs if each.value is not None]
        axes.plot(
            *zip(*complete, strict=True), color=palette.of_run(0), marker="o", markersize=4.5, linestyle=""
        )
        if varied.names:
            shown = range(len(varied.names)) if len(varied.names) <= MAX_TICKS else [0, len(varied.names) - 1]
            axes.set_xticks(list(shown), [without_formulas(_short(varied.names[n])) for n in shown])
            axes.set_xlim(-0.5, len(varied.names) - 0.5)
        elif not varied.is_log and all(float(each).is_integer() for each in varied.values):
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel(without_formulas(varied.title), color=palette.ink)

    return draw


def _axes(figure: Figure, palette: Palette, label: str) -> Axes:
    axes: Axes = figure.add_subplot()
    plain_axes(axes, palette)
    axes.margins(x=0.06, y=0.12)
    axes.set_ylabel(without_formulas(label), color=palette.ink, fontsize=9)
    return axes


def _given_up(axes: Axes, points: Sequence[tuple[float, float | None]], palette: Palette) -> None:
    """Crosses at the last figure of trials that were given up."""
    found = [(x, value) for x, value in points if value is not None]
    if found:
        axes.plot(*zip(*found, strict=True), color=palette.faint, marker="x", markersize=4.5, linestyle="")


def _aside(point: SweepPoint) -> float:
    """How far beside its choice a trial stands, so that equal ones do not hide each other."""
    return 0.07 * (point.number % 7 - 3)


def _short(text: str) -> str:
    return text if len(text) <= 14 else f"{text[:13]}…"
