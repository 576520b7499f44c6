"""The small square copy of an image that its breast is found on, and the way back to full size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_SAMPLED_PX = 480  # of sides more than twice as long, only every n-th pixel enters the means


@dataclass(frozen=True, eq=False)
class SquareCopy:
    """A reduced image; see `square_copy`.

    Attributes:
        pixels: float32, shape (rows, columns).
        skip: rows and columns of the image from one that was looked at to the next.
        sampled: rows and columns that were looked at. shape: of the image, (H, W).
    """

    pixels: NDArray[np.float32]
    skip: tuple[int, int]
    sampled: tuple[int, int]
    shape: tuple[int, int]

    @property
    def steps(self) -> tuple[float, float]:
        """Length of a row and of a column; the longer side of the copy counts as many as it has pixels."""
        rows, columns = self.pixels.shape
        return max(rows, columns) / rows, max(rows, columns) / columns

    def enlarged(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """A mask of the copy at the image's shape: interpolated to what was looked at, then repeated.

        Interpolating all the way would take three times as long to smooth stairs of `skip` pixels.
        """
        grey = Image.fromarray(mask.astype(np.uint8) * 255)
        outline = np.asarray(grey.resize(self.sampled[::-1], Image.Resampling.BILINEAR)) > 127
        wide = np.ascontiguousarray(outline.repeat(self.skip[1], axis=1)[:, : self.shape[1]])
        return wide.repeat(self.skip[0], axis=0)[: self.shape[0]]


def square_copy(image: NDArray[np.generic], side_px: int) -> SquareCopy:
    """Copy of at most `side_px` pixels along each side; a side that is shorter keeps its length.

    The ratio is given up on purpose: a film and its release stretched to a square give the same copy, so the
    same breast is found on both. A pixel is the mean of those looked at whose centre it holds. Looking at all
    would cost more time and find the same outlines; averaging none would keep the noise.

    >>> square_copy(np.array([[1, 3, 5, 7], [1, 3, 5, 7]]), 2).pixels.tolist()
    [[2.0, 6.0], [2.0, 6.0]]
    """
    height, width = image.shape
    skip = max(1, round(height / _SAMPLED_PX) // 3), max(1, round(width / _SAMPLED_PX) // 3)
    sample = np.ascontiguousarray(image[:: skip[0], :: skip[1]], dtype=np.float32)
    rows, columns = sample.shape
    size = min(side_px, columns), min(side_px, rows)
    means = np.asarray(Image.fromarray(sample).resize(size, Image.Resampling.BOX))
    return SquareCopy(means, skip, (rows, columns), (height, width))
