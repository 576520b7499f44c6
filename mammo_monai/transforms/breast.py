"""Cuts a mammogram to its breast and blackens what is not breast: labels, scanner borders, dust."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import torch
from monai.transforms import InvertibleTransform, MapTransform
from numpy.typing import NDArray
from torch import Tensor

from mammo_monai.geometry import Crop
from mammo_monai.imaging.artifacts import remove_artifacts
from mammo_monai.imaging.breast import breast_bounding_box, breast_region
from mammo_monai.transforms.sample import (
    Sample,
    after_step,
    clipped,
    crop_image,
    image_of,
    size_of,
    undo_step,
)

logger = logging.getLogger(__name__)
RegionMethod = Literal["otsu", "global"]  # the words of imaging.breast


class CropBreastd(MapTransform, InvertibleTransform):  # type: ignore[misc]  # monai carries no types
    """Crops to the breast region's box plus a margin; boxes follow.

    Where the crop lies depends on the pixels alone, never on annotations: training and inference see the same
    crop. An annotated box that reaches outside is cut there, and dropped if less than `min_area_fraction` of
    it remains (DEBUG log). Scoring keeps `box_original` and is not touched. An image without a breast region
    stays whole (WARNING).

    Args:
        method: "otsu" for scanned film, "global" for digital images; see `imaging.breast.breast_region`.
        margin: kept around the region on every side, as a share of the image's longer side. 0.01 keeps every
            annotated box that the bare rectangle cuts (docs/explanation/breast-region.md).
        remove_artifacts: set pixels outside the region to 0.
        min_area_fraction: of a box.

    Source: P0, P3, P4 crop to the breast; margin: measured.
    """

    def __init__(
        self,
        method: RegionMethod = "otsu",
        *,
        margin: float = 0.01,
        remove_artifacts: bool = True,
        min_area_fraction: float = 0.25,
    ) -> None:
        super().__init__(keys=("image", "box"))
        if method not in ("otsu", "global"):
            raise ValueError(f"method must be otsu or global, got {method!r}.")
        if not 0 <= margin < 1:
            raise ValueError(f"margin must be a share of the longer side, in [0, 1), got {margin}.")
        self.method: RegionMethod = method
        self.margin = margin
        self.remove_artifacts = remove_artifacts
        self.min_area_fraction = min_area_fraction

    def __call__(self, data: Mapping[str, Any]) -> Sample:
        """The sample cut to its breast."""
        image = image_of(data)
        region = breast_region(image[0].numpy(), self.method)
        if region.any():
            x_min, y_min, x_max, y_max = breast_bounding_box(region, self.margin)
            step = Crop(x_min, y_min, x_max - x_min, y_max - y_min)
        else:
            logger.warning(
                "record %s: no breast region found by method %s; the whole image is kept. Look at the image, "
                "or try the other method.",
                data.get("record_id"),
                self.method,
            )
            step, region = Crop(0, 0, *size_of(image)), np.ones_like(region)
        cropped = self._cleaned(crop_image(image, step), region, step)
        return clipped(after_step(data, cropped, step), min_area_fraction=self.min_area_fraction)

    def inverse(self, data: Mapping[str, Any]) -> Sample:
        """The sample in its uncut frame; what was cut away is 0."""
        return undo_step(data, (Crop,))

    def _cleaned(self, image: Tensor, region: NDArray[np.bool_], step: Crop) -> Tensor:
        if not self.remove_artifacts:
            return image
        inside = region[step.y_min : step.y_min + step.height, step.x_min : step.x_min + step.width]
        return torch.from_numpy(remove_artifacts(image[0].numpy(), inside, background=0.0))[None]
