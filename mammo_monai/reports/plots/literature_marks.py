"""Published points on a plot: small grey marks, each with the letter of its source, no letter on another."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_lowercase
from typing import TYPE_CHECKING

from mammo_monai.reports.literature.points import LiteraturePoint
from mammo_monai.reports.plots.style import Palette

if TYPE_CHECKING:  # matplotlib takes a second to import, and pages of data have no plot
    from matplotlib.axes import Axes

_TEXT = 8.0  # points
_LETTER = (5.5, 8.5)  # width and height of a letter's box, points
_MARK = 3.6
# Where a letter may stand beside its mark, from the most to the least wanted: directions, then farther out.
_DIRECTIONS = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1))
_REACHES = (1.0, 1.7, 2.5)
Place = tuple[float, float]


def letters(points: Sequence[LiteraturePoint]) -> dict[str, str]:
    """A letter for each label, in the order of first appearance.

    >>> letters([LiteraturePoint("P", 1, 0.9), LiteraturePoint("Q", 1, 0.8), LiteraturePoint("P", 2, 0.9)])
    {'P': 'a', 'Q': 'b'}
    """
    return dict(zip(dict.fromkeys(point.label for point in points), ascii_lowercase, strict=False))


def draw_literature(
    axes: Axes, points: Sequence[LiteraturePoint], palette: Palette, size_pt: tuple[float, float]
) -> None:
    """Marks, the SD over folds as a thin bar where printed, and letters; scales and limits are set before.

    Args:
        size_pt: about how large the axes are, in points, for keeping letters apart.
    """
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    shown = [each for each in points if left <= each.fppi <= right and low <= each.sensitivity <= high]
    for point in shown:
        if point.sd is not None:
            ends = (max(point.sensitivity - point.sd, low), min(point.sensitivity + point.sd, 1.0))
            axes.plot([point.fppi] * 2, ends, color=palette.faint, linewidth=0.6, alpha=0.35, zorder=1.5)
    axes.plot(
        [point.fppi for point in shown],
        [point.sensitivity for point in shown],
        linestyle="none",
        marker="o",
        markersize=_MARK,
        markeredgewidth=0,
        color=palette.faint,
        clip_on=False,
        zorder=1.8,
    )
    named = letters(points)
    places = [_place(axes, point, size_pt) for point in shown]
    for point, offset in zip(shown, letter_offsets(places), strict=True):
        axes.annotate(
            named[point.label],
            (point.fppi, point.sensitivity),
            xytext=offset,
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=_TEXT,
            color=palette.faint,
            zorder=1.9,
        )


def letter_offsets(places: Sequence[Place]) -> list[Place]:
    """Where each letter stands from its mark, in points: off every mark, and off the letters before it.

    The nearest free place of 24; the one with the least overlap where none is free.

    Args:
        places: of the marks, in points.
    """
    taken = [_box(place, (_MARK, _MARK)) for place in places]
    offsets: list[Place] = []
    for x, y in places:
        tried = [
            (dx * reach * (_LETTER[0] / 2 + 3), dy * reach * (_LETTER[1] / 2 + 2))
            for reach in _REACHES
            for dx, dy in _DIRECTIONS
        ]
        costs = [sum(_overlap(_box((x + dx, y + dy), _LETTER), each) for each in taken) for dx, dy in tried]
        best = tried[costs.index(min(costs))]
        taken.append(_box((x + best[0], y + best[1]), _LETTER))
        offsets.append(best)
    return offsets


def _place(axes: Axes, point: LiteraturePoint, size_pt: tuple[float, float]) -> Place:
    """A point in points from the lower left of the axes, by their scales and limits."""
    shares = []
    for axis, value in ((axes.xaxis, point.fppi), (axes.yaxis, point.sensitivity)):
        low, high, here = axis.get_transform().transform([*axis.get_view_interval(), value])
        shares.append(float((here - low) / (high - low)))
    return shares[0] * size_pt[0], shares[1] * size_pt[1]


def _box(middle: Place, size: tuple[float, float]) -> tuple[float, float, float, float]:
    return (
        middle[0] - size[0] / 2,
        middle[1] - size[1] / 2,
        middle[0] + size[0] / 2,
        middle[1] + size[1] / 2,
    )


def _overlap(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(width, 0.0) * max(height, 0.0)
