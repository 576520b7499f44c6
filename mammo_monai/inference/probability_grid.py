"""Probabilities at the centres of patches, and the map between them by linear interpolation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mammo_monai.inference.patch_grid import PatchGrid
from mammo_monai.inference.patch_scores import Scores

Border = Literal["hold", "zero"]


@dataclass(frozen=True, eq=False)
class ProbabilityGrid:
    """Mass probabilities `values` (R, C) of the patches of `grid`; 0 where none was computed."""

    grid: PatchGrid
    values: Scores

    def sampled(self, step_px: int = 1, *, border: Border = "hold") -> Scores:
        """The map in square cells of `step_px`, the value at each cell's middle; 1 gives every pixel.

        A cell that holds patches' centres takes their highest probability: no peak is lost between cells.

        Args:
            border: beyond the outermost centres, up to half a patch, the map keeps its value there ("hold")
                or is 0 ("zero").

        Returns:
            Shape (ceil(H / step_px), ceil(W / step_px)), float32. The last cells may reach over the image.

        Raises:
            ValueError: a step below 1, or another word.
        """
        if step_px < 1 or border not in ("hold", "zero"):
            raise ValueError(
                f"step_px must be at least 1 and border hold or zero, got {step_px} and {border!r}."
            )
        rows = _between(self.grid.row_centres, self.grid.height, step_px, border)
        cols = _between(self.grid.col_centres, self.grid.width, step_px, border)
        columns = self.values[:, cols.before] * cols.weight_before
        columns += self.values[:, cols.after] * cols.weight_after
        sampled = columns[rows.before] * rows.weight_before[:, None]
        sampled += columns[rows.after] * rows.weight_after[:, None]
        cells = np.ix_(rows.of_centres, cols.of_centres)
        highest = np.zeros_like(sampled)
        np.maximum.at(highest, cells, self.values)
        sampled[cells] = highest[cells]
        return np.asarray(sampled, dtype=np.float32)


@dataclass(frozen=True, eq=False)
class _Between:
    """For each cell the centres before and after it with their weights; the cell of each centre."""

    before: NDArray[np.int64]
    after: NDArray[np.int64]
    weight_before: NDArray[np.float32]
    weight_after: NDArray[np.float32]
    of_centres: NDArray[np.int64]


def _between(centres: NDArray[np.float64], length_px: int, step_px: int, border: Border) -> _Between:
    places = (np.arange(-(-length_px // step_px)) + 0.5) * step_px
    rank = np.interp(places, centres, np.arange(len(centres)))
    before = np.floor(rank).astype(np.int64)
    after = np.minimum(before + 1, len(centres) - 1)
    counts = (places >= centres[0]) & (places <= centres[-1]) | (border == "hold")
    weight = rank - before
    of_centres = np.minimum(centres // step_px, len(places) - 1).astype(np.int64)
    return _Between(
        before,
        after,
        ((1 - weight) * counts).astype(np.float32),
        (weight * counts).astype(np.float32),
        of_centres,
    )
