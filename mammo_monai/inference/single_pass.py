"""P2's two resolutions at the price of one: every pixel at full resolution is computed once, in tiles.

P2 shows each pixel of the breast to the network about three times, in sections that half overlap. Here tiles
partition the breast; each sees a halo of its neighbours, and answers for candidates whose centre lies in its
own core. What is too large for a tile comes from the resized whole image, and P2's rule merges both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mammo_monai.inference.fusion import MIN_AREA_MM2_P2, Candidates, concatenate, merge_boxes_p2
from mammo_monai.inference.sections import SECTIONS_PER_SIDE
from mammo_monai.inference.tiles import CELL_PX, Tile, breast_cells, least_tile_px, plan_tiles
from mammo_monai.inference.views import (
    DEFAULT_EXECUTION,
    Execution,
    Passes,
    Prediction,
    View,
    as_prediction,
    checked_short_side,
    part_of,
    resized,
    whole_view,
)

if TYPE_CHECKING:
    from torch import Tensor

    from mammo_monai.networks.contract import Detector

HALO_PX = 128
MAX_TILE_PX = 1536 * 1024
# A centre on the border of two cores may fall outside both, by a fraction of a pixel, as each of them sees
# it. Cores are widened by this much; what then comes twice overlaps itself and merges.
SEAM_PX = 16


class SinglePassInferer:
    """The resized whole image, and the image in tiles at full resolution, each pixel once; merged as in P2.

    Give it the breast crop at original resolution, as `SectionsInferer`; docs/explanation/fast-inference.md
    compares the two.

    Args:
        detector: see `networks.contract`.
        short_side_px: of the whole image; None leaves its resolution.
        section_short_side_px: as in `SectionsInferer`: tiles are cut from the image at the resolution that
            sections of this short side would have; None shows original pixels.
        max_tile_px: of a tile with its halo. Memory grows with it, and the share of halo falls.
        halo_px: shown round each core, a multiple of 128.
        max_boxes_per_tile: the best are kept, of every tile and of the whole image.
        min_area_mm2: see `Inferer`.
        execution: speed and memory. With `skip_empty` tiles are cut to the breast in them.

    Raises:
        ValueError: a halo that is no multiple of 128, or `max_tile_px` too small for one cell and its halo.
    """

    def __init__(
        self,
        detector: Detector,
        *,
        short_side_px: int | None = 600,
        section_short_side_px: int | None = None,
        max_tile_px: int = MAX_TILE_PX,
        halo_px: int = HALO_PX,
        max_boxes_per_tile: int = 300,
        min_area_mm2: float | None = MIN_AREA_MM2_P2,
        execution: Execution = DEFAULT_EXECUTION,
    ) -> None:  # the settings of one inference, all named in a bundle's configuration
        if halo_px < 0 or halo_px % CELL_PX:
            raise ValueError(f"halo_px must be a multiple of {CELL_PX}, got {halo_px}.")
        if max_tile_px < least_tile_px(halo_px):
            raise ValueError(
                f"max_tile_px must be at least {least_tile_px(halo_px)} with a halo of {halo_px} px, "
                f"got {max_tile_px}."
            )
        self.detector = detector
        self.short_side_px = checked_short_side(short_side_px)
        self.section_short_side_px = checked_short_side(section_short_side_px)
        self.max_tile_px = max_tile_px
        self.halo_px = halo_px
        self.max_boxes_per_tile = max_boxes_per_tile
        self.min_area_mm2 = min_area_mm2
        self.execution = execution
        self._passes = Passes(detector, execution, max_boxes_per_tile)

    def __call__(self, image: Tensor) -> Prediction:
        """See `Inferer`."""
        whole = whole_view(image)
        short_side_px = self.section_short_side_px
        detail = resized(whole, None if short_side_px is None else SECTIONS_PER_SIDE * short_side_px)
        tiles = self.tiles(detail.pixels)
        views = [resized(whole, self.short_side_px), *(part_of(detail, *tile.shown) for tile in tiles)]
        overview, *found = self._passes.of_each(views)
        own = [_of_core(each, tile, detail) for each, tile in zip(found, tiles, strict=True)]
        every = concatenate([overview, *own])
        return as_prediction(merge_boxes_p2(every.boxes, every.scores, every.labels))

    def tiles(self, detail: Tensor) -> list[Tile]:
        """What is computed of an image (1, H, W) at the tiles' resolution."""
        cells = breast_cells(detail)
        if not self.execution.skip_empty:
            cells = np.ones_like(cells)
        height, width = detail.shape[1:]
        return plan_tiles(cells, (width, height), max_tile_px=self.max_tile_px, halo_px=self.halo_px)


def _of_core(found: Candidates, tile: Tile, detail: View) -> Candidates:
    """The candidates, in the image's frame, whose centre lies in the tile's core or in the seam round it."""
    core = np.array([tile.core], dtype=np.float64) + SEAM_PX * np.array([-1, -1, 1, 1])
    x_min, y_min, x_max, y_max = detail.frame.to_original(core)[0]
    x, y = ((found.boxes[:, axis] + found.boxes[:, axis + 2]) / 2 for axis in (0, 1))
    return found.take((x >= x_min) & (x < x_max) & (y >= y_min) & (y < y_max))
