"""A plot as matplotlib lays it out, and which of its texts lie on each other."""

from __future__ import annotations

from itertools import combinations

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from mammo_monai.reports.plots.style import PRINT, Draw, _drawn, _settings

WIDE, HALF, NARROW = (9.8, 4.6), (5.6, 4.8), (4.4, 5.6)
SLACK = 1.0  # pixels at 100 dpi: boxes of text hold some air


def figure_of(draw: Draw, size_in: tuple[float, float] = WIDE) -> Figure:
    with rc_context(_settings("test")):
        figure = _drawn(draw, PRINT, size_in)
        FigureCanvasAgg(figure).draw()
    return figure


def overlapping_texts(figure: Figure) -> list[tuple[str, str]]:
    """Pairs of visible texts whose boxes share more than a pixel's width and height."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    hidden = undrawn_labels(figure)
    texts = [
        each
        for each in figure.findobj(Text)
        if each.get_text().strip() and each.get_visible() and id(each) not in hidden
    ]
    boxes = [(each.get_text(), each.get_window_extent(renderer)) for each in texts]
    return [
        (one, other)
        for (one, a), (other, b) in combinations(boxes, 2)
        if min(a.x1, b.x1) - max(a.x0, b.x0) > SLACK and min(a.y1, b.y1) - max(a.y0, b.y0) > SLACK
    ]


def undrawn_labels(figure: Figure) -> set[int]:
    """Labels of ticks beyond the limits of their axis: laid out, but never drawn."""
    hidden = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            drawn = axis._update_ticks()
            every = (*axis.get_major_ticks(), *axis.get_minor_ticks())
            undrawn = [each for each in every if each not in drawn]
            hidden |= {id(label) for each in undrawn for label in (each.label1, each.label2)}
    return hidden
