"""One orientation for all breasts: mirrored where the chest wall lies on the right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from monai.transforms import InvertibleTransform, MapTransform
from torch import Tensor

from mammo_monai.geometry import Crop, Flip
from mammo_monai.imaging import chest_wall_side
from mammo_monai.records import Laterality
from mammo_monai.transforms.sample import Sample, after_step, image_of, mirror_image, size_of, undo_step

_LOOKED_AT = 4  # every n-th pixel tells the side as well as all


class FlipRightd(MapTransform, InvertibleTransform):  # type: ignore[misc]  # monai carries no types
    """Mirrors images whose chest wall lies at the right edge, as right breasts' does; boxes follow.

    The picture decides where it is clear (`imaging.chest_wall_side` of the pixels above 0, so after
    `CropBreastd`): of scanned films a quarter shows the breast from the other face, and the laterality would
    turn those away from all others. Else the sample's laterality does, else the brighter half. An image that
    stays gets an empty crop as its step, so that every sample has one step to undo.

    Args:
        laterality_key: where the sample keeps "L", "R" or None.

    Source: P3 (Agarwal et al., 2019) flips to one orientation; by the picture: measured, see
    `imaging.chest_wall_side`; detection from brightness: no source known.
    """

    def __init__(self, laterality_key: str = "laterality") -> None:
        super().__init__(keys=("image", "box"))
        self.laterality_key = laterality_key

    def __call__(self, data: Mapping[str, Any]) -> Sample:
        """The sample with its chest wall on the left."""
        image = image_of(data)
        width, height = size_of(image)
        if faces_left(image, data.get(self.laterality_key)):
            return after_step(data, mirror_image(image), Flip(width))
        return after_step(data, image, Crop(0, 0, width, height))

    def inverse(self, data: Mapping[str, Any]) -> Sample:
        """The sample as it was displayed."""
        return undo_step(data, (Flip, Crop))


def faces_left(image: Tensor, laterality: str | None) -> bool:
    """Whether the nipple of an image (1, H, W) points left; see `FlipRightd` for what decides.

    Args:
        laterality: "L", "R" or None.
    """
    seen = chest_wall_side(image[0, ::_LOOKED_AT, ::_LOOKED_AT].numpy() > 0)
    if seen is not None:
        return seen == "right"
    if laterality is not None:
        return Laterality(laterality) is Laterality.RIGHT
    return right_half_is_brighter(image)


def right_half_is_brighter(image: Tensor) -> bool:
    """Whether the right half of an image (1, H, W) sums to more than the left; a middle column is in none."""
    columns = image[0, ::_LOOKED_AT].numpy().sum(axis=0, dtype=np.float64)
    half = len(columns) // 2
    return bool(columns[len(columns) - half :].sum() > columns[:half].sum())
