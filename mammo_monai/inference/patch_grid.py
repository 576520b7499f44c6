"""Where patches lie on an image, and which of them show enough breast to be computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from mammo_monai.records import Boxes

Where = Literal["breast", "all", "candidates"]
# Half of so many pixels about a patch's centre must be breast: a single dark pixel makes no hole.
CENTRE_PX = 9


@dataclass(frozen=True, eq=False)
class PatchGrid:
    """Square patches in rows and columns over an image of `height` × `width` px.

    Attributes:
        rows, cols: first pixel of the patches of each row and column, ascending, shapes (R,), (C,), int64;
            negative where the image is smaller than a patch and is padded with 0 on both sides.
        patch_px: side of a patch.
    """

    rows: NDArray[np.int64]
    cols: NDArray[np.int64]
    patch_px: int
    height: int
    width: int

    @property
    def row_centres(self) -> NDArray[np.float64]:
        """y of the patches' centres, from the image's outer corner, shape (R,)."""
        return np.asarray(self.rows + self.patch_px / 2, dtype=np.float64)

    @property
    def col_centres(self) -> NDArray[np.float64]:
        """x of the patches' centres, shape (C,)."""
        return np.asarray(self.cols + self.patch_px / 2, dtype=np.float64)

    def padded(self, image: Tensor) -> Tensor:
        """The image (1, H, W) with so many pixels of 0 about it that every patch lies inside.

        Its first pixel is that of the first patch.
        """
        top, left = -int(self.rows[0]), -int(self.cols[0])
        bottom = int(self.rows[-1]) + self.patch_px - self.height
        right = int(self.cols[-1]) + self.patch_px - self.width
        return F.pad(image, (left, right, top, bottom))


def sliding_grid(height: int, width: int, *, patch_px: int, stride_px: int) -> PatchGrid:
    """Patches at every `stride_px` from the first pixel, and one flush with the last row and column.

    Raises:
        ValueError: a length below 1.

    Source: P3 (Agarwal et al., 2019): 224 px at steps of 56. It does not say what happens at the end of a
    row; without the last patch up to 55 px there would not be looked at.

    >>> grid = sliding_grid(30, 8, patch_px=10, stride_px=8)
    >>> grid.rows.tolist(), grid.cols.tolist()   # too narrow by 2: one column on each side is padded
    ([0, 8, 16, 20], [-1])
    """
    _check(height=height, width=width, patch_px=patch_px, stride_px=stride_px)
    rows, cols = (_sliding(side, patch_px, stride_px) for side in (height, width))
    return PatchGrid(rows, cols, patch_px, height, width)


def dense_grid(height: int, width: int, *, patch_px: int, stride_px: int) -> PatchGrid:
    """Patches at every `stride_px`, and one more where the last does not reach the border.

    That one reaches over the border by less than `stride_px`: a dense pass gives the multiples of the
    network's stride, no others.

    Raises:
        ValueError: a length below 1.

    >>> dense_grid(30, 10, patch_px=10, stride_px=8).rows.tolist()
    [0, 8, 16, 24]
    """
    _check(height=height, width=width, patch_px=patch_px, stride_px=stride_px)
    rows, cols = (_dense(side, patch_px, stride_px) for side in (height, width))
    return PatchGrid(rows, cols, patch_px, height, width)


def in_breast(grid: PatchGrid, image: Tensor, *, min_share: float) -> NDArray[np.bool_]:
    """Which patches have their centre in the breast and show enough of it, shape (R, C).

    Args:
        image: (1, H, W), breast above 0, all else 0.
        min_share: part of the patch that must be breast, in [0, 1]; padding is none.
    """
    # Whole numbers: a float's sum over 13 million pixels would round.
    sums = F.pad((image[0] > 0).to(torch.int32).cumsum(0).cumsum(1), (1, 0, 1, 0)).cpu().numpy()
    whole = _count(sums, grid.rows, grid.cols, grid.patch_px)
    half, offset = CENTRE_PX // 2, grid.patch_px // 2
    centre = _count(sums, grid.rows + offset - half, grid.cols + offset - half, CENTRE_PX)
    area = _count(
        np.outer(np.arange(grid.height + 1), np.arange(grid.width + 1)),
        grid.rows + offset - half,
        grid.cols + offset - half,
        CENTRE_PX,
    )
    return np.asarray((2 * centre >= area) & (area > 0) & (whole >= min_share * grid.patch_px**2))


def in_boxes(grid: PatchGrid, boxes: Boxes) -> NDArray[np.bool_]:
    """Which patches have their centre in one of the boxes, shape (R, C).

    Args:
        boxes: `(x_min, y_min, x_max, y_max)`, pixels of the image, shape (N, 4).
    """
    y, x = grid.row_centres[:, None], grid.col_centres[:, None]
    rows = (y >= boxes[:, 1]) & (y < boxes[:, 3])
    cols = (x >= boxes[:, 0]) & (x < boxes[:, 2])
    return np.asarray(rows.astype(np.int64) @ cols.T.astype(np.int64) > 0)


def _sliding(side: int, patch_px: int, stride_px: int) -> NDArray[np.int64]:
    if side <= patch_px:
        return np.array([-((patch_px - side) // 2)], dtype=np.int64)
    return np.unique(np.append(np.arange(0, side - patch_px, stride_px), side - patch_px))


def _dense(side: int, patch_px: int, stride_px: int) -> NDArray[np.int64]:
    if side <= patch_px:
        return _sliding(side, patch_px, stride_px)
    return np.arange(0, side - patch_px + stride_px, stride_px, dtype=np.int64)


def _count(
    sums: NDArray[np.integer], rows: NDArray[np.int64], cols: NDArray[np.int64], side: int
) -> NDArray[np.int64]:
    """Pixels that count in every square of `side`, cut at the border, from sums up to each row and column."""
    (top, bottom), (left, right) = (
        (np.clip(starts, 0, length - 1), np.clip(starts + side, 0, length - 1))
        for starts, length in ((rows, sums.shape[0]), (cols, sums.shape[1]))
    )
    at = sums.astype(np.int64, copy=False)
    return np.asarray(
        at[np.ix_(bottom, right)] - at[np.ix_(top, right)] - at[np.ix_(bottom, left)] + at[np.ix_(top, left)]
    )


def _check(**lengths: int) -> None:
    for name, value in lengths.items():
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}.")
