"""The small copy of an image that lines are found on, its ratio kept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class WorkingCopy:
    """A reduced image: every `skip`-th pixel was taken, and squares of `block` of them averaged.

    Attributes:
        pixels: float32, shape (rows, columns); edge pixels are repeated where a square reaches outside.
    """

    pixels: NDArray[np.float32]
    skip: int
    block: int

    @property
    def step_px(self) -> int:
        """Pixels of the image along one pixel of the copy."""
        return self.skip * self.block


def working_copy(image: NDArray[np.generic], longer_side_px: int) -> WorkingCopy:
    """Copy of about `longer_side_px` pixels along its longer side; smaller images keep their size.

    Averaging all pixels would cost more time and find the same outlines; averaging none would keep the noise.

    >>> working_copy(np.array([[1, 3, 5, 7], [1, 3, 5, 7]]), 2).pixels.tolist()
    [[2.0, 6.0]]
    """
    skip = max(1, round(max(image.shape) / longer_side_px) // 3)
    sample = image[::skip, ::skip].astype(np.float32)
    block = max(1, round(max(sample.shape) / longer_side_px))
    missing = [(0, -length % block) for length in sample.shape]
    sample = np.pad(sample, missing, mode="edge")
    # Row by row, then column by column: a mean over two axes of a reshaped array takes thirty times as long.
    rows = sum((sample[n::block] for n in range(1, block)), start=sample[::block])
    means = sum((rows[:, n::block] for n in range(1, block)), start=rows[:, ::block]) / np.float32(block**2)
    return WorkingCopy(np.asarray(means, dtype=np.float32), skip, block)
