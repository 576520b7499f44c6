"""Small synthetic films: a half-ellipse breast at one edge, a burned-in label, bright lesions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mammo_monai.geometry import ImageFrame, xyxy_to_rowcol

WIDTH, HEIGHT = 120, 200
TISSUE, LESION, LABEL = 0.3, 1.0, 0.8
BRIGHT = 0.65  # halfway between tissue and lesion: where a blurred edge lies
INSIDE = (20, 70, 50, 110)

BoxPx = tuple[float, float, float, float]


def film_pixels(
    boxes: Sequence[BoxPx], *, is_right: bool = False, has_label: bool = False
) -> NDArray[np.float32]:
    """A film (HEIGHT, WIDTH): black outside the breast, which lies at the left, or right, edge."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    depth = WIDTH - columns if is_right else columns
    pixels = np.where((depth / 80) ** 2 + ((rows - 95) / 75) ** 2 < 1, TISSUE, 0.0).astype(np.float32)
    if has_label:
        pixels[4:14, (8 if is_right else 92) : (28 if is_right else 112)] = LABEL
    for x_min, y_min, x_max, y_max in boxes:
        pixels[int(y_min) : int(y_max), int(x_min) : int(x_max)] = LESION
    return pixels


def film_sample(
    boxes: Sequence[BoxPx] = (INSIDE,), *, is_right: bool = False, has_label: bool = False
) -> dict[str, Any]:
    """A loaded sample of `film_pixels`; a right breast says so in its laterality."""
    array = np.array(boxes, dtype=np.float32).reshape(-1, 4)
    return {
        "image": torch.from_numpy(film_pixels(boxes, is_right=is_right, has_label=has_label))[None],
        "box": torch.from_numpy(xyxy_to_rowcol(array).copy()),
        "label": torch.arange(len(array)),
        "frame": ImageFrame(WIDTH, HEIGHT),
        "record_id": "00000000000000ab",
        "laterality": "R" if is_right else "L",
        "pixel_spacing_mm": (0.2, 0.1),
    }


def bright_box(image: Tensor) -> NDArray[np.float64]:
    """`(row_min, col_min, row_max, col_max)` of the pixels above BRIGHT, half-open; no label may be left."""
    mask = (image[0] > BRIGHT).numpy()
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return np.array([rows[0], columns[0], rows[-1] + 1, columns[-1] + 1], dtype=np.float64)


def copy_of(sample: dict[str, Any]) -> dict[str, Any]:
    """A deep copy, to see that a transform left its input alone."""
    return {key: value.clone() if isinstance(value, Tensor) else value for key, value in sample.items()}


def assert_same_sample(first: dict[str, Any], second: dict[str, Any]) -> None:
    """Both hold the same keys with the same values, tensors bit for bit."""
    assert first.keys() == second.keys()
    for key, value in first.items():
        if isinstance(value, Tensor):
            assert type(second[key]) is Tensor
            assert torch.equal(value, second[key]), key
        else:
            assert value == second[key], key
