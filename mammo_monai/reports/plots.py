"""Draws FROC curves, steps over a logarithmic FPPI axis with operating points, and reliability diagrams."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mammo_monai.files import atomic_path
from mammo_monai.reports.runs import Run

if TYPE_CHECKING:  # matplotlib takes a second to import, and pages of data have no plot
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from mammo_monai.metrics import FrocCurve
    from mammo_monai.schema import Calibration, OperatingPoints

# Okabe & Ito, 2008: told apart by colour-blind readers; markers and line styles repeat the distinction.
RUN_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8c6d00", "#56565c")
RUN_COLOURS_DARK = ("#5db5ee", "#ff9457", "#35c99b", "#e7a3c8", "#e0b93b", "#b5b5bd")
_MARKERS = ("o", "s", "D", "^", "v", "P")
_LINES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)))
_FPPI_RANGE = (0.1, 5.0)
_TICKS = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0)


@dataclass(frozen=True)
class _Palette:
    ink: str
    faint: str
    grid: str
    runs: tuple[str, ...]


_PRINT = _Palette("#1d1d1f", "#6e6e73", "#dcdce0", RUN_COLOURS)
# Stand-ins that `froc_svg` turns into CSS variables, so that the page's theme colours the plot.
_STAND_INS = _Palette(
    "#010101", "#020202", "#030303", tuple(f"#0401{n:02x}" for n in range(1, len(RUN_COLOURS) + 1))
)


def save_froc_plot(path: Path, runs: Sequence[Run], *, size_in: tuple[float, float] = (7.0, 4.6)) -> None:
    """Writes the FROC plot of all runs as PNG or SVG, by the suffix of `path`.

    Raises:
        ValueError: another suffix.
    """
    _save(path, "froc", lambda: _figure(runs, size_in, _PRINT, has_legend=True))


def save_points_plot(
    path: Path,
    points: OperatingPoints,
    curve: FrocCurve | None = None,
    *,
    size_in: tuple[float, float] = (9.6, 4.6),
) -> None:
    """Writes operating points with their intervals, and the reliability diagram beside them where calibrated.

    The diagram shows the share of hits of each bin at its mean probability, with Wilson's 95 % interval over
    detections, above the number of detections in the bin; on the diagonal the two agree.

    Args:
        curve: of the images the points were chosen on; without it the points stand alone.

    Raises:
        ValueError: the suffix of `path` is neither .png nor .svg.
    """
    _save(path, "points", lambda: _points_figure(points, curve, size_in))


def check_plot_path(path: Path) -> None:
    """Refuses a name that no plot can have.

    Raises:
        ValueError: the suffix is neither .png nor .svg.
    """
    if Path(path).suffix.lower() not in (".png", ".svg"):
        raise ValueError(f"a plot is written as .png or .svg, got {Path(path).name!r}.")


def froc_svg(runs: Sequence[Run], *, size_in: tuple[float, float], salt: str) -> str:
    """The FROC plot as an `<svg>` element for a page that sets `--ink`, `--faint`, `--grid`, `--run-1` …

    Args:
        salt: makes the ids inside unique on the page.
    """
    stream = StringIO()
    from matplotlib import rc_context  # noqa: PLC0415  # see above

    with rc_context(_style(salt)):
        figure = _figure(runs, size_in, _STAND_INS, has_legend=False)
        figure.savefig(stream, format="svg", transparent=True, metadata=_metadata(".svg"))
    svg = stream.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    names = {_STAND_INS.ink: "ink", _STAND_INS.faint: "faint", _STAND_INS.grid: "grid"}
    names |= {colour: f"run-{n}" for n, colour in enumerate(_STAND_INS.runs, start=1)}
    for colour, name in names.items():
        svg = svg.replace(colour, f"var(--{name})")
    return re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", svg)


def _save(path: Path, salt: str, make: Callable[[], Figure]) -> None:
    path = Path(path)
    check_plot_path(path)
    from matplotlib import rc_context  # noqa: PLC0415  # see above

    with rc_context(_style(salt)), atomic_path(path) as part:
        make().savefig(part, format=path.suffix[1:].lower(), dpi=200, metadata=_metadata(path.suffix))


def _style(salt: str) -> dict[str, Any]:
    return {"svg.fonttype": "none", "svg.hashsalt": salt, "font.family": "sans-serif", "font.size": 10.5}


def _metadata(suffix: str) -> dict[str, Any]:
    return {"Date": None} if suffix.lower() == ".svg" else {}


def _figure(
    runs: Sequence[Run], size_in: tuple[float, float], palette: _Palette, *, has_legend: bool
) -> Figure:
    from matplotlib.figure import Figure  # noqa: PLC0415  # see above

    figure = Figure(figsize=size_in, layout="constrained")
    axes = figure.add_subplot()
    _prepare_axes(axes, palette)
    for number, run in enumerate(runs):
        if run.metrics["n_lesions"]:
            _draw_run(axes, run, number, palette)
    if not any(run.metrics["n_lesions"] for run in runs):
        axes.text(
            0.5,
            0.5,
            "no lesions: sensitivity is undefined",
            transform=axes.transAxes,
            ha="center",
            color=palette.faint,
        )
    elif has_legend:
        axes.legend(frameon=False, loc="best", fontsize=9.5, labelcolor=palette.ink)
    return figure


def _prepare_axes(axes: Axes, palette: _Palette) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator  # noqa: PLC0415  # see above

    axes.set_xscale("log", base=2)
    axes.set_xlim(*_FPPI_RANGE)
    axes.set_ylim(-0.02, 1.03)
    axes.xaxis.set_major_locator(FixedLocator(_TICKS))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_major_locator(FixedLocator([0.0, 0.2, 0.4, 0.6, 0.8, 1.0]))
    axes.set_xlabel("false positives per image", color=palette.ink)
    axes.set_ylabel("lesion sensitivity", color=palette.ink)
    axes.grid(color=palette.grid, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=palette.faint, length=0, pad=6)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(palette.faint)
    axes.spines["bottom"].set_linewidth(0.8)


def _draw_run(axes: Axes, run: Run, number: int, palette: _Palette) -> None:
    """Steps as far as measured, a thin line at the last value beyond, and points with intervals."""
    colour = palette.runs[number % len(palette.runs)]
    fppi = np.array([0.0, *run.metrics["froc"]["fppi"]])
    sensitivity = np.array([0.0, *run.metrics["froc"]["sensitivity"]])
    left, right = _FPPI_RANGE
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
        linestyle=_LINES[number % len(_LINES)],
        label=run.name,
    )
    axes.plot([end, right], [ys[-1], ys[-1]], color=colour, linewidth=0.9, alpha=0.5)
    points = [point for point in run.points if left <= point["fppi"] <= right]
    _draw_points(axes, points, number, colour)


def _draw_points(axes: Axes, points: Sequence[Mapping[str, Any]], number: int, colour: str) -> None:
    if not points:
        return
    fppi, sensitivity, low, high = (
        np.array([point[name] for point in points], dtype=float)
        for name in ("fppi", "sensitivity", "low", "high")
    )
    axes.fill_between(fppi, low, high, color=colour, alpha=0.11, linewidth=0)
    axes.plot(
        fppi,
        sensitivity,
        linestyle="none",
        marker=_MARKERS[number % len(_MARKERS)],
        markersize=4.6,
        color=colour,
    )


def _points_figure(points: OperatingPoints, curve: FrocCurve | None, size_in: tuple[float, float]) -> Figure:
    from matplotlib.figure import Figure  # noqa: PLC0415  # see above

    figure = Figure(figsize=size_in, layout="constrained")
    if points.calibration is None:
        _draw_chosen(figure.add_subplot(), points, curve)
        return figure
    grid = figure.add_gridspec(2, 2, height_ratios=(4, 1), width_ratios=(5, 4), wspace=0.08)
    _draw_chosen(figure.add_subplot(grid[:, 0]), points, curve)
    diagram = figure.add_subplot(grid[0, 1])
    _draw_reliability(diagram, points.calibration)
    _draw_counts(figure.add_subplot(grid[1, 1], sharex=diagram), points.calibration)
    return figure


def _draw_chosen(axes: Axes, points: OperatingPoints, curve: FrocCurve | None) -> None:
    """The curve with the chosen points, each with its threshold."""
    _prepare_axes(axes, _PRINT)
    marked = [
        {
            "fppi": each.fppi if each.fppi_reached is None else each.fppi_reached,
            "sensitivity": each.sensitivity,
            "low": each.low,
            "high": each.high,
        }
        for each in points.points
    ]
    if curve is None:
        _draw_points(axes, marked, 0, RUN_COLOURS[0])
    else:
        froc = {"fppi": curve.fppi, "sensitivity": curve.sensitivity, "points": marked}
        _draw_run(axes, Run("", {"froc": froc}), 0, _PRINT)
    for place, each in zip(marked, points.points, strict=True):
        axes.annotate(
            f"score ≥ {each.threshold:#.2g}",
            (place["fppi"], place["sensitivity"]),
            xytext=(7, -11),
            textcoords="offset points",
            fontsize=8.5,
            color=_PRINT.ink,
        )


def _draw_reliability(axes: Axes, calibration: Calibration) -> None:
    from mammo_monai.metrics import wilson_interval  # noqa: PLC0415  # scipy: see above

    _plain_axes(axes)
    axes.set_ylim(-0.02, 1.02)
    axes.set_ylabel("share that hit a lesion", color=_PRINT.ink)
    axes.tick_params(labelbottom=False)
    axes.plot([0, 1], [0, 1], color=_PRINT.faint, linewidth=0.9, linestyle=(0, (4, 3)))
    bins = calibration.bins
    shares = np.array([each.hit_rate for each in bins])
    intervals = [wilson_interval(round(each.hit_rate * each.n), each.n) for each in bins]
    reach = [
        shares - [each.low for each in intervals],
        np.array([each.high for each in intervals]) - shares,
    ]
    axes.errorbar(
        [each.mean_score for each in bins],
        shares,
        yerr=np.maximum(reach, 0.0),
        color=RUN_COLOURS[0],
        linewidth=1.6,
        elinewidth=1.0,
        marker="o",
        markersize=4.6,
    )


def _draw_counts(axes: Axes, calibration: Calibration) -> None:
    """How many detections stand behind each bin, on a logarithmic axis."""
    from matplotlib.ticker import FuncFormatter, NullLocator  # noqa: PLC0415  # see above

    _plain_axes(axes)
    bins = calibration.bins
    axes.bar(
        [each.low for each in bins],
        [each.n for each in bins],
        width=[each.high - each.low for each in bins],
        align="edge",
        color=RUN_COLOURS[0],
        alpha=0.35,
        edgecolor="white",
        log=True,
    )
    axes.set_ylim(bottom=0.7)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("probability", color=_PRINT.ink)
    axes.set_ylabel("detections", color=_PRINT.ink)


def _plain_axes(axes: Axes) -> None:
    axes.set_xlim(-0.02, 1.02)
    axes.grid(color=_PRINT.grid, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=_PRINT.faint, which="both", length=0, pad=6)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(_PRINT.faint)
