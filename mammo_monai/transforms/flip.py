"""One orientation for all breasts: right ones are mirrored, so that the chest wall lies on the left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from monai.transforms import InvertibleTransform, MapTransform
from torch import Tensor

from mammo_monai.geometry import Crop, Flip
from mammo_monai.records import Laterality
from mammo_monai.transforms.sample import Sample, after_step, image_of, size_of, undo_step


class FlipRightd(MapTransform, InvertibleTransform):  # type: ignore[misc]  # monai carries no types
    """Mirrors right breasts left to right; boxes follow.

    A sample without laterality is mirrored when the right half of its image is the brighter one: the breast
    lies at the chest wall, which is at the right edge of a right breast's image. A left breast gets an empty
    crop as its step, so that every sample has one step to undo.

    Args:
        laterality_key: where the sample keeps "L", "R" or None.

    Source: P3 (Agarwal et al., 2019) flips to one orientation; detection from brightness: no source known.
    """

    def __init__(self, laterality_key: str = "laterality") -> None:
        super().__init__(keys=("image", "box"))
        self.laterality_key = laterality_key

    def __call__(self, data: Mapping[str, Any]) -> Sample:
        """The sample, mirrored if it shows a right breast."""
        image = image_of(data)
        laterality = data.get(self.laterality_key)
        is_right = (
            right_half_is_brighter(image)
            if laterality is None
            else Laterality(laterality) is Laterality.RIGHT
        )
        width, height = size_of(image)
        if is_right:
            return after_step(data, image.flip(-1), Flip(width))
        return after_step(data, image, Crop(0, 0, width, height))

    def inverse(self, data: Mapping[str, Any]) -> Sample:
        """The sample as it was displayed."""
        return undo_step(data, (Flip, Crop))


def right_half_is_brighter(image: Tensor) -> bool:
    """Whether the right half of an image (1, H, W) sums to more than the left; a middle column is in none."""
    columns = image[0, ::4].numpy().sum(axis=0, dtype=np.float64)
    half = len(columns) // 2
    return bool(columns[len(columns) - half :].sum() > columns[:half].sum())
