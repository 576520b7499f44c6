"""Finding the pectoral muscle on a mediolateral oblique (MLO) view: the bright corner above the breast."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from mammo_monai.imaging.checks import check_image, check_region
from mammo_monai.imaging.orientation import Side, chest_wall_side
from mammo_monai.imaging.working_copy import working_copy

Mask = NDArray[np.bool_]
_Numbers = NDArray[np.float64]

# Work is done on a copy of about this many pixels along its longer side. Lengths are shares of the height;
# grey values the square root of [0, 1] over the breast; edges their fall per percent of the height.
_WORKING_PX = 240
_SMOOTHING = 2 / 240
_SKIN = 0.02  # as near to the background no edge counts: the skin's is stronger than the muscle's
_EDGE_LIMIT = 0.1  # steeper ones count as this: labels and folds are
_LENGTH_POWER = 0.3  # 0 prefers short strong edges; the higher, the longer and weaker
_CORRIDOR = 0.03  # how far the outline may leave the straight line
_BEND = 0.03  # price of a step sideways, in the unit of edges
_LEAST_SCORE = 0.005  # the faintest of 26 digital MLO views has 0.006, of 165 films 0.013
_LEAST_STEEPNESS = 0.7  # rows per column; on 33 films 1.6 to 5.6, and less where a picture was stretched
_STARTS_WITHIN = 0.1  # the muscle leaves the picture at its top
_LOWEST_END = 0.85  # on 33 films it ends above 0.81; further down run strips along the film's edge
_LARGEST_SHARE = 0.5  # of the region; on 33 films the muscle takes 0.36 of it at most
_LINE_POINTS = 96


def pectoral_muscle(image: NDArray[np.generic], region: Mask, *, chest_wall: Side | None = None) -> Mask:
    """Marks the pectoral muscle of an MLO view: what lies between chest wall and its edge, from the top down.

    First the straight line from the region's top to the chest wall across which brightness falls most, over
    its whole length; then the outline that follows the edge in a corridor along that line. Ask it of MLO
    views only: on others dense tissue in the upper corner may pass for the muscle.

    Args:
        image: shape (H, W), any real dtype, the top of the breast up; dense tissue is bright (MONOCHROME2).
        region: boolean mask of `breast_region`, shape (H, W).
        chest_wall: the side of the picture that the chest wall lies on; None finds it (`chest_wall_side`).

    Returns:
        Boolean mask, shape (H, W), inside the region. All False where no edge is found (no muscle in the
        picture, or dense tissue in front of it), or what was found is more than half the region.

    Raises:
        GeometryError: not a grey image, or an empty region.
        ValueError: another side.

    Source: the muscle's edge as a straight line, then refined: Karssemeijer, 1998; Kwok et al., 2004. Search
    and numbers are ours, measured in docs/explanation/breast-region.md.
    """
    check_image(image)
    check_region(image, region)
    if chest_wall not in (None, "left", "right"):
        raise ValueError(f"chest_wall must be 'left', 'right' or None, got {chest_wall!r}.")
    is_right = (chest_wall or chest_wall_side(region) or _fuller_side(region)) == "right"
    turn = slice(None, None, -1 if is_right else 1)
    small = working_copy(image[:, turn], _WORKING_PX)
    inside = working_copy(region[:, turn], _WORKING_PX).pixels > 0.5
    edges = _Edges.of(small.pixels, inside)
    line = _best_line(edges, inside) if edges else None
    if edges is None or line is None:
        return np.zeros(image.shape, dtype=np.bool_)
    x, y = _outline(edges, line)
    scale = small.step_px
    muscle = _left_of((x + 0.5) * scale, (y + 0.5) * scale, region.shape)[:, turn] & region
    return muscle if muscle.sum() <= _LARGEST_SHARE * region.sum() else np.zeros_like(region)


def _fuller_side(region: Mask) -> Side:
    """The edge that more of the region reaches, however little more."""
    columns = region.sum(axis=0)
    for share in (20, 2):  # the strips along both edges; where they tie, or are both empty, the halves
        strip = max(1, len(columns) // share)
        left, right = columns[:strip].sum(), columns[-strip:].sum()
        if left != right:
            return "left" if left > right else "right"
    return "left"


@dataclass(frozen=True, eq=False)
class _Edges:
    """Rise of brightness on the working copy, chest wall at the left; 0 at the skin and outside."""

    down: _Numbers
    right: _Numbers

    @classmethod
    def of(cls, pixels: NDArray[np.float32], inside: Mask) -> _Edges | None:
        """None without any contrast inside."""
        if not inside.any():
            return None
        low, high = np.percentile(pixels, 5), np.percentile(pixels[inside], 99)
        if not high > low:
            return None
        height = len(pixels)
        # The square root evens out the contrast of thick and thin parts. Without it the choice of
        # the other numbers decides over whole films: overlap on held-out films 0.882 against 0.903.
        grey = np.sqrt(((pixels.astype(np.float64) - low) / (high - low)).clip(0, 1))
        smooth = ndimage.gaussian_filter(grey, _SMOOTHING * height, mode="nearest")
        # Only background counts as distant: the film's edges do not.
        depth = ndimage.distance_transform_edt(np.pad(inside, 1, mode="edge"))[1:-1, 1:-1]
        percent = np.where(depth > _SKIN * height, height / 100, 0)
        down, right = (ndimage.correlate1d(smooth, [-0.5, 0, 0.5], axis, mode="nearest") for axis in (0, 1))
        return cls(down * percent, right * percent)

    def fall(self, x: _Numbers, y: _Numbers, across: tuple[_Numbers | float, _Numbers | float]) -> _Numbers:
        """How steeply brightness falls in the direction `across` = (x, y) at points; 0 outside the copy."""
        rows, columns = self.down.shape
        i, j = np.rint(y).astype(np.intp), np.rint(x).astype(np.intp)
        is_inside = (i >= 0) & (i < rows) & (j >= 0) & (j < columns)
        i, j = np.where(is_inside, i, 0), np.where(is_inside, j, 0)
        steepness = -(self.right[i, j] * across[0] + self.down[i, j] * across[1])
        return np.where(is_inside, steepness.clip(-_EDGE_LIMIT, _EDGE_LIMIT), 0.0)


@dataclass(frozen=True)
class _Line:
    """From `(x + width, y)` at the top to `(x, y + height)` at the chest wall; pixels of the working copy."""

    x: float
    y: float
    width: float
    height: float

    @property
    def across(self) -> tuple[float, float]:
        """Unit vector away from the muscle."""
        length = float(np.hypot(self.width, self.height))
        return self.height / length, self.width / length


def _best_line(edges: _Edges, inside: Mask) -> _Line | None:
    """The line with the highest mean edge times a power of its length; None below `_LEAST_SCORE`."""
    height = len(inside)
    first_x = int(np.flatnonzero(inside.any(axis=0))[0])
    beside_wall = inside[:, first_x : first_x + max(1, height // 50)].any(axis=1)
    first_y = int(np.argmax(beside_wall))
    if first_y > _STARTS_WITHIN * height:
        return None
    top = inside[first_y : first_y + max(2, height // 50)].any(axis=0)
    widest = float(np.flatnonzero(top)[-1] - first_x)
    widths = np.arange(0.03 * height, widest + 1, height / 120)
    heights = np.arange(0.12 * height, _LOWEST_END * height - first_y, height / 60)
    width, tall = (each.ravel() for each in np.meshgrid(widths, heights))
    is_steep = tall > _LEAST_STEEPNESS * width
    width, tall = width[is_steep], tall[is_steep]
    if not len(width):
        return None
    along = (np.arange(0, _LINE_POINTS, 2) + 1) / _LINE_POINTS
    length = np.hypot(width, tall)
    x, y = first_x + np.outer(width, 1 - along), first_y + np.outer(tall, along)
    fall = edges.fall(x, y, ((tall / length)[:, None], (width / length)[:, None]))
    score = fall.mean(axis=1) * (length / height) ** _LENGTH_POWER
    best = int(score.argmax())
    if score[best] <= _LEAST_SCORE:
        return None
    return _Line(first_x, first_y, float(width[best]), float(tall[best]))


def _outline(edges: _Edges, line: _Line) -> tuple[_Numbers, _Numbers]:
    """`x` and `y` of the outline in the corridor along the line: the greatest sum of edges less bends."""
    height = len(edges.down)
    reach = round(_CORRIDOR * height)
    aside = np.arange(-reach, reach + 1, dtype=np.float64)
    along = (np.arange(_LINE_POINTS) + 0.5) / _LINE_POINTS
    x, y = line.x + line.width * (1 - along), line.y + line.height * along
    x_across, y_across = line.across
    fall = edges.fall(x[:, None] + aside * x_across, y[:, None] + aside * y_across, line.across)
    bends = ndimage.gaussian_filter1d(aside[_dearest_path(fall)], 3, mode="nearest")
    return x + bends * x_across, y + bends * y_across


def _dearest_path(gain: _Numbers) -> NDArray[np.intp]:
    """Column per row: the greatest sum of gains. Rows differ by one column at most, which costs `_BEND`."""
    best, came_from = gain[0], []
    for row in gain[1:]:
        ways = np.stack([np.r_[-np.inf, best[:-1] - _BEND], best, np.r_[best[1:] - _BEND, -np.inf]])
        came_from.append(ways.argmax(axis=0) - 1)
        best = ways.max(axis=0) + row
    path = [int(best.argmax())]
    for steps in reversed(came_from):
        path.append(path[-1] + int(steps[path[-1]]))
    return np.array(path[::-1], dtype=np.intp)


def _left_of(x: _Numbers, y: _Numbers, shape: tuple[int, ...]) -> Mask:
    """Pixels at the left of an outline that runs down, its ends prolonged beyond the picture; full size."""
    height, width = shape
    tenth = len(x) // 10
    first = _prolonged((x[tenth], y[tenth]), (x[0], y[0]), height)
    last = _prolonged((x[-1 - tenth], y[-1 - tenth]), (x[-1], y[-1]), height)
    corner = (min(last[0], -1.0), min(first[1], -1.0))
    picture = Image.new("1", (width, height))
    ImageDraw.Draw(picture).polygon([corner, first, *zip(x.tolist(), y.tolist(), strict=True), last], fill=1)
    return np.asarray(picture, dtype=np.bool_)


def _prolonged(start: tuple[float, float], end: tuple[float, float], by: float) -> tuple[float, float]:
    """The point `by` pixels beyond `end`."""
    x, y = end[0] - start[0], end[1] - start[1]
    length = float(np.hypot(x, y))
    return float(end[0] + by * x / length), float(end[1] + by * y / length)
