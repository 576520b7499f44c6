"""Mass probability of every patch of a grid from one pass over the image: features once, then the head.

Neighbouring patches share most of their pixels: at a stride of a quarter patch every pixel is seen 16 times.
Here the convolutions run once over the image and the head once per window of their output. What differs from
`patch_scores` is what a patch sees at its border: the tissue beside it, where a patch of its own is padded.
docs/explanation/probability-map.md measures how little that changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mammo_monai.inference.patch_grid import PatchGrid
from mammo_monai.inference.patch_scores import PatchNetwork, Scores, mass_probability

DEFAULT_TILE_PX = 1536


@dataclass(frozen=True)
class Tile:
    """A stretch of one axis, in cells of the features: computed from `start`, of value in [low, high)."""

    start: int
    low: int
    high: int


def dense_scores(
    network: PatchNetwork,
    image: Tensor,
    grid: PatchGrid,
    wanted: NDArray[np.bool_],
    *,
    batch_size: int,
    positive_classes: Sequence[int] | None = None,
    tile_px: int = DEFAULT_TILE_PX,
    head_map: Callable[[Tensor], Tensor] | None = None,
) -> Scores:
    """Mass probability of the wanted patches of a `patch_grid.dense_grid` at the network's stride.

    Args:
        image: (1, H, W) in [0, 1].
        wanted: shape (R, C); tiles that touch none are not computed.
        batch_size: windows in one call of the head, to whole rows of patches.
        positive_classes: see `sliding_scores`.
        tile_px: the image is computed in squares of about this side (memory grows with its square:
            1536 px take 0.5 GB with ResNet-50, 1.7 GB with VGG16, in fp32), which overlap by more than a
            patch.
        head_map: logits of every window; None takes the network's own head (`dense_head` has a closer one).

    Returns:
        Shape (R, C), float32; 0 where not wanted.
    """
    scores = np.zeros(wanted.shape, dtype=np.float32)
    if not wanted.any():
        return scores
    features = _features(network, grid.padded(image), wanted, tile_px)
    answer = head_map or network.head_map
    for rows, cols in _strips(wanted, batch_size):
        reach = network.cells - 1
        part = features[None, :, rows.start : rows.stop + reach, cols.start : cols.stop + reach]
        logits = answer(part)[0].flatten(1).T
        found = mass_probability(logits, positive_classes).cpu().numpy()
        scores[rows, cols] = found.reshape(rows.stop - rows.start, -1)
    return np.where(wanted, scores, np.float32(0))


def dense_windows(network: PatchNetwork, image: Tensor, grid: PatchGrid, wanted: NDArray[np.bool_]) -> Tensor:
    """Features (n, C, cells, cells) of the wanted patches, row by row, cut from a dense pass.

    Args:
        wanted: shape (R, C), at least one.
    """
    features = _features(network, grid.padded(image), wanted, DEFAULT_TILE_PX)
    windows = features.unfold(1, network.cells, 1).unfold(2, network.cells, 1)
    rows, cols = torch.from_numpy(np.argwhere(wanted)).to(image.device).T
    return windows[:, rows, cols].transpose(0, 1)


def tiles(n_steps: int, per_tile: int, cells: int, margin: int) -> list[Tile]:
    """How one axis is cut; the parts of value follow one another without gap.

    Args:
        n_steps: strides from the first patch to the last; the axis has `n_steps + cells` cells.
        per_tile: strides within a tile. margin: cells at an inner border of a tile that see its edge.

    >>> [(each.start, each.low, each.high) for each in tiles(10, 6, cells=3, margin=2)]
    [(0, 0, 7), (4, 6, 13)]
    """
    if n_steps <= per_tile:
        return [Tile(0, 0, n_steps + cells)]
    last = n_steps - per_tile
    starts = [*range(0, last, per_tile + cells - 2 * margin), last]
    return [
        Tile(
            start,
            start + margin if start else 0,
            n_steps + cells if start == last else start + per_tile + cells - margin,
        )
        for start in starts
    ]


def _features(network: PatchNetwork, padded: Tensor, wanted: NDArray[np.bool_], tile_px: int) -> Tensor:
    """Features (C, R + cells - 1, C + cells - 1) of the padded image; 0 in tiles nobody wants."""
    patch_px, stride, cells = network.settings.patch_px, network.stride_px, network.cells
    # Half a patch on either side, at least: the window of the input contrast is whole where it counts.
    margin = -(-patch_px // 2 // stride) + 1
    per_tile = max((tile_px - patch_px) // stride, 2 * margin + 1)
    axes = [tiles(count - 1, per_tile, cells, margin) for count in wanted.shape]
    size = [count - 1 + cells for count in wanted.shape]
    canvas: Tensor | None = None
    for rows, cols in _touched(axes[0], axes[1], wanted, cells):
        height, width = (_pixels(tile, per_tile, stride, patch_px) for tile in (rows, cols))
        part = network.features(padded[None, :, height, width], window_px=patch_px)[0]
        if canvas is None:
            canvas = part.new_zeros((part.shape[0], *size))
        canvas[:, rows.low : rows.high, cols.low : cols.high] = part[
            :,
            rows.low - rows.start : rows.high - rows.start,
            cols.low - cols.start : cols.high - cols.start,
        ]
    if canvas is None:
        raise ValueError("expected at least one wanted patch, got none.")
    return canvas


def _touched(
    rows: list[Tile], cols: list[Tile], wanted: NDArray[np.bool_], cells: int
) -> Iterator[tuple[Tile, Tile]]:
    for row in rows:
        for col in cols:
            near = wanted[max(0, row.low - cells + 1) : row.high, max(0, col.low - cells + 1) : col.high]
            if near.any():
                yield row, col


def _strips(wanted: NDArray[np.bool_], batch_size: int) -> Iterator[tuple[slice, slice]]:
    """Rows of patches, as many as make a batch, from the first to the last column that any of them wants."""
    per_strip = max(1, batch_size // wanted.shape[1])
    for start in range(0, len(wanted), per_strip):
        cols = np.flatnonzero(wanted[start : start + per_strip].any(axis=0))
        if len(cols):
            yield slice(start, min(start + per_strip, len(wanted))), slice(int(cols[0]), int(cols[-1]) + 1)


def _pixels(tile: Tile, per_tile: int, stride: int, patch_px: int) -> slice:
    start = tile.start * stride
    return slice(start, start + per_tile * stride + patch_px)
