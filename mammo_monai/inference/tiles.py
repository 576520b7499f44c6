"""Tiles for one pass over a large image: cores that partition it, a halo round each, cut to the breast.

All rectangles are `(x_min, y_min, x_max, y_max)`, half-open, whole pixels. Edges of cores, and of what is
shown round them, are multiples of 128 px from the image's corner: a tile's anchors are then among those that
one pass over the whole image would have.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

CELL_PX = 128
Rectangle = tuple[int, int, int, int]


@dataclass(frozen=True)
class Tile:
    """One call of the detector.

    Attributes:
        core: what the tile answers for; the cores of a plan do not overlap and cover every breast pixel.
        shown: what the detector sees: the breast in the core and in the halo round it.
    """

    core: Rectangle
    shown: Rectangle


def breast_cells(image: Tensor) -> NDArray[np.bool_]:
    """Which cells of 128 × 128 px show more than background: a pixel above the image's darkest.

    Args:
        image: (1, H, W).

    Returns:
        Shape (ceil(H / 128), ceil(W / 128)).
    """
    brightest = F.max_pool2d(image[None], CELL_PX, ceil_mode=True)[0, 0]
    # Not `brightest > darkest`: an image with NaN would have no cell, and pass for one without findings.
    return np.asarray((~(brightest <= image.min())).cpu().numpy(), dtype=np.bool_)


def plan_tiles(
    cells: NDArray[np.bool_], size: tuple[int, int], *, max_tile_px: int, halo_px: int
) -> list[Tile]:
    """The tiles, row by row, that show the fewest pixels in all, none above `max_tile_px`.

    Columns and rows of equal cores are tried; each tile is then cut to the breast in it, and a core without
    breast has none.

    Args:
        cells: of `breast_cells`, or all true to show everything.
        size: `(width, height)` of the image in pixels.
        max_tile_px: of a tile with its halo and the detector's padding, at least `least_tile_px(halo_px)`.
        halo_px: shown round a core, a multiple of 128.

    >>> plan = plan_tiles(np.ones((2, 4), dtype=bool), (500, 256), max_tile_px=512 * 256, halo_px=0)
    >>> [tile.shown for tile in plan]
    [(0, 0, 500, 256)]
    >>> plan = plan_tiles(np.ones((2, 4), dtype=bool), (500, 256), max_tile_px=256 * 256, halo_px=0)
    >>> [tile.shown for tile in plan]
    [(0, 0, 500, 128), (0, 128, 500, 256)]
    """
    halo = halo_px // CELL_PX
    plans = [_tiles(cells, size, shape, halo) for shape in _shapes(cells.shape, max_tile_px, halo)]
    return min(plans, key=lambda plan: (sum(_padded_px(tile.shown) for tile in plan), len(plan)))


def least_tile_px(halo_px: int) -> int:
    """The smallest limit of a tile: one cell and its halo.

    >>> least_tile_px(128)
    147456
    """
    return (CELL_PX + 2 * halo_px) ** 2


def _shapes(grid: tuple[int, ...], max_tile_px: int, halo: int) -> Iterator[tuple[int, int]]:
    """Numbers of (rows, columns) of cores: for each number of columns the fewest rows, and up to two more."""
    n_rows, n_cols = grid
    for columns in range(1, n_cols + 1):
        width = _widest(n_cols, columns, halo)
        fit = [r for r in range(1, n_rows + 1) if width * _widest(n_rows, r, halo) <= max_tile_px]
        yield from ((rows, columns) for rows in fit[:3])


def _widest(n_cells: int, n_parts: int, halo: int) -> int:
    """Pixels along an axis of the largest tile, when it is cut into so many cores."""
    return min(n_cells, -(-n_cells // n_parts) + 2 * halo) * CELL_PX


def _tiles(cells: NDArray[np.bool_], size: tuple[int, int], shape: tuple[int, int], halo: int) -> list[Tile]:
    rows, cols = (_cuts(n, parts) for n, parts in zip(cells.shape, shape, strict=True))
    tiles = []
    for top, bottom in pairwise(rows):
        for left, right in pairwise(cols):
            core = (left, top, right, bottom)
            if cells[top:bottom, left:right].any():
                shown = _breast_in(cells, _grown(core, cells.shape, halo))
                tiles.append(Tile(_in_pixels(core, size), _in_pixels(shown, size)))
    return tiles


def _cuts(n_cells: int, n_parts: int) -> list[int]:
    """Where an axis of cells is cut, ends included; parts differ by at most one cell."""
    return [part * n_cells // n_parts for part in range(n_parts + 1)]


def _grown(core: Rectangle, grid: tuple[int, ...], halo: int) -> Rectangle:
    """A rectangle of cells and `halo` cells round it, inside the grid of (rows, columns)."""
    left, top, right, bottom = core
    return (
        max(left - halo, 0),
        max(top - halo, 0),
        min(right + halo, grid[1]),
        min(bottom + halo, grid[0]),
    )


def _breast_in(cells: NDArray[np.bool_], part: Rectangle) -> Rectangle:
    """The smallest rectangle with all breast of a part: a halo of background is not shown."""
    left, top, right, bottom = part
    found = np.argwhere(cells[top:bottom, left:right])
    (first_row, first_col), (last_row, last_col) = found.min(axis=0).tolist(), found.max(axis=0).tolist()
    return left + first_col, top + first_row, left + last_col + 1, top + last_row + 1


def _in_pixels(in_cells: Rectangle, size: tuple[int, int]) -> Rectangle:
    """A rectangle of cells as one of pixels, cut at the image's borders."""
    left, top, right, bottom = (edge * CELL_PX for edge in in_cells)
    return left, top, min(right, size[0]), min(bottom, size[1])


def _padded_px(shown: Rectangle) -> int:
    """Pixels that a detector computes on: sides padded to multiples of 128."""
    width, height = (-(-side // CELL_PX) * CELL_PX for side in (shown[2] - shown[0], shown[3] - shown[1]))
    return width * height
