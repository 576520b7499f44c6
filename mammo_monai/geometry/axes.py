"""The one swap between boxes on disk `(x, y, x, y)` and boxes in tensors `(row, col, row, col)`.

x is the column and y the row, so the swap exchanges neighbours and is its own inverse. Nothing else
in this package may reorder box coordinates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

    ArrayT = TypeVar("ArrayT", np.ndarray, Tensor)
else:
    ArrayT = TypeVar("ArrayT")


def xyxy_to_rowcol(boxes: ArrayT) -> ArrayT:
    """Boxes `(x_min, y_min, x_max, y_max)` as `(row_min, col_min, row_max, col_max)`.

    Args:
        boxes: numpy array or torch tensor, shape (..., 4); a new one of the same kind is returned.

    >>> xyxy_to_rowcol(np.array([[10.0, 20.0, 30.0, 50.0]])).tolist()
    [[20.0, 10.0, 50.0, 30.0]]
    """
    return boxes[..., [1, 0, 3, 2]]


def rowcol_to_xyxy(boxes: ArrayT) -> ArrayT:
    """Boxes `(row_min, col_min, row_max, col_max)` as `(x_min, y_min, x_max, y_max)`; the same swap."""
    return boxes[..., [1, 0, 3, 2]]
