"""Where P2's 5 × 5 sections lie: a third of the image's height by a third of its width, half overlapping."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mammo_monai.errors import GeometryError

SECTIONS_PER_AXIS = 5
SECTIONS_PER_SIDE = 3  # lengths of a section in a side of the image


def section_grid(width: int, height: int) -> NDArray[np.int64]:
    """The 25 sections of an image, row by row: `(x_min, y_min, x_max, y_max)`, half-open, shape (25, 4).

    All sections have one size, a third of each side rounded up, so a batch of them needs no padding. Five of
    them at steps of half a section cover the side exactly; where the side is no multiple of 6, a step may
    differ from half a section by up to one pixel.

    Args:
        width, height: of the breast crop, in pixels, at least 1.

    Raises:
        GeometryError: a side below 1 pixel.

    Source: P2 (Jung et al., 2018), Fig. 2: "half of a section overlaps with an adjacent section".

    >>> section_grid(12, 6)[:3].tolist()
    [[0, 0, 4, 2], [2, 0, 6, 2], [4, 0, 8, 2]]
    >>> section_grid(12, 6)[-1].tolist()
    [8, 4, 12, 6]
    """
    if width < 1 or height < 1:
        raise GeometryError(f"an image to cut into sections needs at least 1 × 1 px, got {width} × {height}.")
    x_min, section_width = _starts(width)
    y_min, section_height = _starts(height)
    rows, columns = np.meshgrid(y_min, x_min, indexing="ij")
    low = np.stack([columns.ravel(), rows.ravel()], axis=1)
    return np.concatenate([low, low + np.array([section_width, section_height])], axis=1)


def _starts(side: int) -> tuple[NDArray[np.int64], int]:
    length = -(-side // SECTIONS_PER_SIDE)
    steps = np.arange(SECTIONS_PER_AXIS, dtype=np.int64)
    return (steps * (side - length)) // (SECTIONS_PER_AXIS - 1), length
