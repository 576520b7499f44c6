"""How far the images that a network gets differ between two files of one mammogram."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mammo_monai.errors import GeometryError
from mammo_monai.transforms.sample import frame_of, image_of


@dataclass(frozen=True, eq=False)
class InputDifference:
    """Difference of two prepared images of one mammogram.

    Attributes:
        mean_absolute: of grey values in [0, 1], over all pixels.
        mean_absolute_breast: the same, over the pixels where both are above 0.
        edges: part of the mammogram that the second image shows, less that of the first: `(x_min, y_min,
            x_max, y_max)`, shares of width and height, shape (4,).
    """

    mean_absolute: float
    mean_absolute_breast: float
    edges: NDArray[np.float64]


def input_difference(first: Mapping[str, Any], second: Mapping[str, Any]) -> InputDifference:
    """Compares two prepared samples, of the same shape, of files that both show the whole mammogram.

    Raises:
        GeometryError: images of different shapes (the preset keeps each file's ratio: take a fixed one), or a
            sample without frame.
    """
    one, other = (image_of(each)[0].numpy() for each in (first, second))
    if one.shape != other.shape:
        raise GeometryError(
            f"expected two images of one shape, got {one.shape} and {other.shape}: this preset keeps the "
            "ratio of each file. Compare with fixed_size or fixed_portrait."
        )
    difference = np.abs(one - other)
    is_breast = (one > 0) & (other > 0)
    breast = float(difference[is_breast].mean()) if is_breast.any() else float("nan")
    return InputDifference(float(difference.mean()), breast, _shown(second) - _shown(first))


def _shown(sample: Mapping[str, Any]) -> NDArray[np.float64]:
    """The part of the original that the image shows, in shares of its width and height."""
    frame = frame_of(sample, image_of(sample))
    if frame is None:
        raise GeometryError("a sample has no frame: compare prepared images, before augmentation.")
    width, height = frame.size
    corners = frame.to_original(np.array([[0.0, 0.0, width, height]]))[0]
    return np.asarray(corners / np.tile([frame.width, frame.height], 2))
