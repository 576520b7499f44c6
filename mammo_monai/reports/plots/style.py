"""How every plot looks and is written: colours, axes, keys; a file for print, or an `<svg>` for a page."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mammo_monai.files import atomic_path
from mammo_monai.reports.runs import Run

if TYPE_CHECKING:  # matplotlib takes a second to import, and pages of data have no plot
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe & Ito, 2008: told apart by colour-blind readers; markers and line styles repeat the distinction.
RUN_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8c6d00", "#56565c")
RUN_COLOURS_DARK = ("#5db5ee", "#ff9457", "#35c99b", "#e7a3c8", "#e0b93b", "#b5b5bd")
MARKERS = ("o", "s", "D", "^", "v", "P")
LINES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)))
BAND_ALPHA = 0.12
SMALL_TEXT = 8.5
_SUFFIXES = (".png", ".svg", ".pdf")


@dataclass(frozen=True)
class Palette:
    """The colours of one plot: text, lesser text, grid lines, and the runs in order."""

    ink: str
    faint: str
    grid: str
    runs: tuple[str, ...]

    def of_run(self, number: int) -> str:
        """The colour of a run by its place among the runs."""
        return self.runs[number % len(self.runs)]


PRINT = Palette("#1d1d1f", "#6e6e73", "#dcdce0", RUN_COLOURS)
# Stand-ins that `themed_svg` turns into CSS variables, so that the page's theme colours the plot.
STAND_INS = Palette(
    "#010101", "#020202", "#030303", tuple(f"#0401{n:02x}" for n in range(1, len(RUN_COLOURS) + 1))
)
Draw = Callable[["Figure", Palette], None]


def check_plot_path(path: Path) -> None:
    """Refuses a name that no plot can have.

    Raises:
        ValueError: the suffix is none of .png, .svg and .pdf.
    """
    if Path(path).suffix.lower() not in _SUFFIXES:
        raise ValueError(f"a plot is written as .png, .svg or .pdf, got {Path(path).name!r}.")


def save_plot(path: Path, draw: Draw, *, size_in: tuple[float, float], salt: str) -> None:
    """Writes a plot in print colours as PNG (200 dpi), SVG or PDF, by the suffix of `path`.

    The same plot gives the same bytes. Text stays text, in SVG and in PDF.

    Args:
        size_in: width and height in inches. salt: makes the ids inside an SVG its own.

    Raises:
        ValueError: another suffix.
    """
    path = Path(path)
    check_plot_path(path)
    from matplotlib import rc_context  # noqa: PLC0415  # see above

    kind = path.suffix[1:].lower()
    with rc_context(_settings(salt)), atomic_path(path) as part:
        _drawn(draw, PRINT, size_in).savefig(part, format=kind, dpi=200, metadata=_metadata(kind))


def themed_svg(draw: Draw, *, size_in: tuple[float, float], salt: str) -> str:
    """A plot as an `<svg>` element for a page that sets `--ink`, `--faint`, `--grid`, `--run-1` …

    It carries no ids but those of its own marks and clips, which `salt` makes unique on the page, and no
    style sheet, which would reach beyond it.
    """
    from matplotlib import rc_context  # noqa: PLC0415  # see above

    stream = StringIO()
    with rc_context(_settings(salt)):
        figure = _drawn(draw, STAND_INS, size_in)
        figure.savefig(stream, format="svg", transparent=True, metadata=_metadata("svg"))
    svg = stream.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style[^>]*>.*?</style>|<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    svg = svg.replace("<svg ", '<svg style="stroke-linejoin: round; stroke-linecap: butt" ', 1)
    names = {STAND_INS.ink: "ink", STAND_INS.faint: "faint", STAND_INS.grid: "grid"}
    names |= {colour: f"run-{n}" for n, colour in enumerate(STAND_INS.runs, start=1)}
    for colour, name in names.items():
        svg = svg.replace(colour, f"var(--{name})")
    svg = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", svg)
    return re.sub(
        r"(?<=fill: )var\(--(run-\d)\)(?=[^>]*>[^<]+</text>)", lambda each: text_colour(each[1]), svg
    )


def text_colour(run: str) -> str:
    """The colour of text that stands for `run-1` …: its own leaves too little contrast for letters.

    >>> text_colour("run-2")
    'color-mix(in srgb, var(--run-2) 60%, var(--ink))'
    """
    return f"color-mix(in srgb, var(--{run}) 60%, var(--ink))"


def plain_axes(axes: Axes, palette: Palette) -> None:
    """A grid below, a line at the foot, nothing else."""
    axes.grid(color=palette.grid, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", colors=palette.faint, length=0, pad=6)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(palette.faint)
    axes.spines["bottom"].set_linewidth(0.8)


def share_axis(axes: Axes, label: str, palette: Palette, *, low: float = 0.0) -> None:
    """The vertical axis of a share such as sensitivity, from `low` to 1."""
    from matplotlib.ticker import MultipleLocator  # noqa: PLC0415  # see above

    reach = 1.0 - low
    axes.set_ylim(low - 0.02 * reach, 1.0 + 0.03 * reach)
    axes.yaxis.set_major_locator(MultipleLocator(0.2 if reach > 0.5 else 0.1 if reach > 0.25 else 0.05))
    axes.set_ylabel(label, color=palette.ink)


def panel_title(axes: Axes, text: str, palette: Palette) -> None:
    """What one panel of several shows, at its upper left."""
    axes.set_title(text, loc="left", fontsize=10.5, color=palette.ink, pad=8)


def panels(figure: Figure, n: int, **options: Any) -> list[Axes]:
    """`n` panels beside each other where the figure is wider than high, else one above the other."""
    from matplotlib.layout_engine import ConstrainedLayoutEngine  # noqa: PLC0415  # see above

    width, height = figure.get_size_inches()
    rows, columns = (1, n) if width >= height else (n, 1)
    engine = figure.get_layout_engine()
    if isinstance(engine, ConstrainedLayoutEngine):
        engine.set(wspace=0.06, hspace=0.04)  # the last tick of a panel keeps off the first of the next
    return list(figure.subplots(rows, columns, squeeze=False, **options).ravel())


def add_key(figure: Figure, runs: Sequence[Run], palette: Palette) -> None:
    """Line and marker of every run below the plot; nothing for a single run without a name."""
    from matplotlib.lines import Line2D  # noqa: PLC0415  # see above

    named = [(number, run.name) for number, run in enumerate(runs) if run.name]
    if palette is STAND_INS or not named:
        return  # a page has its own key
    handles = [
        Line2D([], [], **line_style(number, palette), label=without_formulas(name)) for number, name in named
    ]
    widest = max(len(name) + 7 for _, name in named)
    columns = max(1, min(len(named), int(figure.get_size_inches()[0] * 11 / widest)))
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=columns,
        frameon=False,
        fontsize=9.5,
        labelcolor=palette.ink,
        handlelength=2.6,
    )


def without_formulas(text: str) -> str:
    """A user's words for matplotlib: a dollar sign would begin a formula, and a bad one stops the plot."""
    return text.replace("$", r"\$")


def line_style(number: int, palette: Palette) -> Mapping[str, Any]:
    """Colour, line and marker of a run by its place among the runs, for `Line2D`."""
    return {
        "color": palette.of_run(number),
        "linestyle": LINES[number % len(LINES)],
        "linewidth": 1.8,
        "marker": MARKERS[number % len(MARKERS)],
        "markersize": 4.6,
    }


def sensitivity_label(runs: Sequence[Run]) -> str:
    """What a sensitivity of these runs counts, for an axis: lesions, unless their rule says otherwise."""
    levels = {str(run.metrics["rule"].get("level") or "lesion") for run in runs}
    return f"{levels.pop()} sensitivity" if len(levels) == 1 else "sensitivity"


def numbers(values: Sequence[float | None]) -> NDArray[np.float64]:
    """JSON numbers as an array of float64, null as NaN; shape (N,)."""
    return np.array([math.nan if value is None else value for value in values], dtype=np.float64)


def _drawn(draw: Draw, palette: Palette, size_in: tuple[float, float]) -> Figure:
    from matplotlib.figure import Figure  # noqa: PLC0415  # see above

    figure = Figure(figsize=size_in, layout="constrained")
    draw(figure, palette)
    return figure


def _settings(salt: str) -> dict[str, Any]:
    return {
        "svg.fonttype": "none",
        "svg.hashsalt": salt,
        "pdf.fonttype": 42,
        "font.family": "sans-serif",
        "font.size": 10.5,
    }


def _metadata(kind: str) -> dict[str, Any]:
    return {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind, {})
