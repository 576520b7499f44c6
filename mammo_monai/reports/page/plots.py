"""A plot on a report page: drawn for wide and narrow screens, with its key and its caption."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

from mammo_monai.reports.literature.points import LiteraturePoint
from mammo_monai.reports.page.tables import own_colour
from mammo_monai.reports.plots.literature_marks import letters
from mammo_monai.reports.runs import Run

Size = tuple[float, float]
Drawing = Callable[[Size, str], str]
WIDE: Size = (9.8, 4.6)
NARROW: Size = (4.4, 4.0)

# As plots/style.py draws the runs, in the same order: -, --, -., :, long dashes, dash-dot-dot; o s D ^ v P.
_DASHES = ("none", "6 3", "8 2 2 2", "2 3", "10 2", "6 2 2 2 2 2")
_SHAPES = (
    "M13 6a4 4 0 1 0 8 0a4 4 0 1 0 -8 0",
    "M13.5 2.5h7v7h-7z",
    "M17 1.5l4.5 4.5l-4.5 4.5l-4.5 -4.5z",
    "M17 2l4.5 8h-9z",
    "M17 10l4.5 -8h-9z",
    "M15.5 2h3v2.500h2.500v3h-2.500v2.500h-3v-2.500h-2.500v-3h2.500z",
)


def plot_figure(
    name: str,
    drawing: Drawing,
    *,
    label: str,
    caption: str,
    key: str = "",
    sizes: tuple[Size, Size] = (WIDE, NARROW),
) -> str:
    """The figure in two shapes, of which the page shows the one that fits; "" where nothing is drawn.

    Args:
        name: makes ids inside unique on the page; both shapes add to it.
        drawing: gives the `<svg>` for a size in inches and a salt, "" where there is nothing to draw.
        label: the figure in words, for those who do not see it. caption: HTML.
        key: HTML. sizes: wide and narrow.
    """
    drawn = []
    for shape, size in zip(("wide", "narrow"), sizes, strict=True):
        svg = drawing(size, f"{name}-{shape}")
        if not svg:
            return ""
        drawn.append(f'<div class="{shape}" role="img" aria-label="{escape(label)}">{svg}</div>')
    return f'<figure class="plot froc">{"".join(drawn)}\n{key}\n<figcaption>{caption}</figcaption></figure>'


def key_of(runs: Sequence[Run]) -> str:
    """Line and marker of each run as the plots draw them."""
    keys = "".join(f"<li>{_swatch(number)} {escape(run.name)}</li>" for number, run in enumerate(runs))
    return f'<ul class="key">{keys}</ul>'


def several_key(runs: Sequence[Run]) -> str:
    """The key where there are several runs to tell apart."""
    return key_of(runs) if len(runs) > 1 else ""


def literature_key(points: Sequence[LiteraturePoint]) -> str:
    """The letters of published points, each with its method, where it is printed, and what hinders."""
    named = letters(points)
    first = {point.label: point for point in reversed(points)}
    items = "".join(
        f"<li><b>{letter}</b> {escape(label)} <span>({escape(_origin(first[label]))})</span></li>"
        for label, letter in named.items()
    )
    return f'<ul class="key letters">{items}</ul>'


def _origin(point: LiteraturePoint) -> str:
    return "; ".join(part for part in (point.source, point.caveat) if part)


def _swatch(run: int) -> str:
    dash = _DASHES[run % len(_DASHES)]
    return (
        f'<svg width="34" height="12" viewBox="0 0 34 12" aria-hidden="true" style="{own_colour(run)}">'
        f'<path d="M1 6H33" stroke="var(--own)" stroke-width="2" stroke-dasharray="{dash}" fill="none"/>'
        f'<path d="{_SHAPES[run % len(_SHAPES)]}" fill="var(--own)"/></svg>'
    )
