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

from mammo_monai.geometry import Crop, mask_box
from mammo_monai.imaging.artifacts import remove_artifacts
from mammo_monai.imaging.breast import breast_region
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
        margin_px: kept around the region on each side, cut at the image's borders.
        margin_mm: in millimetres where the sample has `pixel_spacing_mm`; elsewhere `margin_px` holds.
        remove_artifacts: set pixels outside the region to 0.
        min_area_fraction: of a box.

    Source: P0, P3, P4 crop to the breast; margin: no source known.
    """

    def __init__(
        self,
        method: RegionMethod = "otsu",
        *,
        margin_px: int = 0,
        margin_mm: float | None = None,
        remove_artifacts: bool = True,
        min_area_fraction: float = 0.25,
    ) -> None:
        super().__init__(keys=("image", "box"))
        if method not in ("otsu", "global"):
            raise ValueError(f"method must be otsu or global, got {method!r}.")
        if margin_px < 0 or (margin_mm is not None and margin_mm < 0):
            raise ValueError(f"margins must not be negative, got {margin_px} px and {margin_mm} mm.")
        self.method: RegionMethod = method
        self.margin_px = margin_px
        self.margin_mm = margin_mm
        self.remove_artifacts = remove_artifacts
        self.min_area_fraction = min_area_fraction

    def __call__(self, data: Mapping[str, Any]) -> Sample:
        """The sample cut to its breast."""
        image = image_of(data)
        region = breast_region(image[0].numpy(), self.method)
        if region.any():
            step = self._crop(region, data.get("pixel_spacing_mm"))
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

    def _crop(self, region: NDArray[np.bool_], spacing: tuple[float, float] | None) -> Crop:
        height, width = region.shape
        box = np.array(mask_box(region), dtype=np.int64)
        margin = np.array([self.margin_px, self.margin_px])
        if self.margin_mm is not None and spacing is not None:
            margin = np.ceil(self.margin_mm / np.array([spacing[1], spacing[0]])).astype(np.int64)
        low = np.maximum(box[:2] - margin, 0)
        sides = np.minimum(box[2:] + margin, (width, height)) - low
        return Crop(int(low[0]), int(low[1]), int(sides[0]), int(sides[1]))

    def _cleaned(self, image: Tensor, region: NDArray[np.bool_], step: Crop) -> Tensor:
        if not self.remove_artifacts:
            return image
        inside = region[step.y_min : step.y_min + step.height, step.x_min : step.x_min + step.width]
        return torch.from_numpy(remove_artifacts(image[0].numpy(), inside, background=0.0))[None]
