"""A mask's box, found pixel by pixel."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray


def reference_mask_box(mask: NDArray[Any]) -> tuple[float, float, float, float]:
    """Half-open box `(x_min, y_min, x_max, y_max)` around all pixels that are not 0."""
    box = [float("inf"), float("inf"), float("-inf"), float("-inf")]
    for y, row in enumerate(mask.tolist()):
        for x, value in enumerate(row):
            if value:
                box = [min(box[0], x), min(box[1], y), max(box[2], x + 1.0), max(box[3], y + 1.0)]
    return box[0], box[1], box[2], box[3]
