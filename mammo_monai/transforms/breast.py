"""Cuts a mammogram to its breast; removes labels, borders, dust and, if asked to, markers and the muscle."""

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
from mammo_monai.imaging.artifacts import remove_artifacts, suppress_radiopaque
from mammo_monai.imaging.breast import box_with_margin, breast_outline, outline_with_margin
from mammo_monai.imaging.pectoral import pectoral_muscle
from mammo_monai.imaging.square_copy import SampledMask
from mammo_monai.records import ViewPosition
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
Mask = NDArray[np.bool_]
RegionMethod = Literal["otsu", "global"]  # the words of imaging.breast


class CropBreastd(MapTransform, InvertibleTransform):  # type: ignore[misc]  # monai carries no types
    """Crops to the breast region's box plus a margin; boxes follow.

    Where the crop lies depends on the pixels alone, never on annotations: training and inference see the same
    crop. An annotated box that reaches outside is cut there, and dropped if less than `min_area_fraction` of
    it remains (DEBUG log). Scoring keeps `box_original` and is not touched. An image without a breast region
    stays whole (WARNING).

    Args:
        method: "otsu" for scanned film, "global" for digital images; see `imaging.breast.breast_region`.
        margin: kept around the region on every side, in shares of the image's width and height. 0.01 keeps
            every annotated box that the bare rectangle cuts, and the skin's dim rim
            (docs/explanation/breast-region.md).
        remove_artifacts: set pixels outside the region and its margin to 0.
        remove_pectoral: set pixels of the pectoral muscle to 0 where the sample's `view_position` is MLO;
            other views stay as they are, an unknown one with a WARNING. Neither crop nor boxes change, so no
            annotation is lost; but masses over the muscle and in the axilla become invisible: 34 of 711
            annotated boxes on MLO films lost more than a quarter of their pixels.
        suppress_artifacts: fill in what is radiopaque within the region, such as lead markers and white
            strips at the film's edge; see `imaging.suppress_radiopaque`.
        min_area_fraction: of a box.

    Raises:
        ValueError: another method, or a margin outside [0, 1).

    Source: P0, P3, P4 crop to the breast, P4 suppresses artifacts; margin: measured.
    """

    def __init__(
        self,
        method: RegionMethod = "otsu",
        *,
        margin: float = 0.01,
        remove_artifacts: bool = True,
        remove_pectoral: bool = False,
        suppress_artifacts: bool = False,
        min_area_fraction: float = 0.25,
    ) -> None:
        super().__init__(keys=("image", "box"))
        if method not in ("otsu", "global"):
            raise ValueError(f"method must be otsu or global, got {method!r}.")
        if not 0 <= margin < 1:
            raise ValueError(f"margin must be a share of width and height, in [0, 1), got {margin}.")
        self.method: RegionMethod = method
        self.margin = margin
        self.remove_artifacts = remove_artifacts
        self.remove_pectoral = remove_pectoral
        self.suppress_artifacts = suppress_artifacts
        self.min_area_fraction = min_area_fraction

    def __call__(self, data: Mapping[str, Any]) -> Sample:
        """The sample cut to its breast."""
        image = image_of(data)
        pixels = image[0].numpy()
        outline = breast_outline(pixels, self.method)
        if outline.marks.any():
            box = box_with_margin(outline.box(), outline.shape, self.margin)
            step = Crop(box[0], box[1], box[2] - box[0], box[3] - box[1])
            visible = self._visible(data, pixels, outline, box)
            if self.suppress_artifacts:
                image = torch.from_numpy(suppress_radiopaque(pixels, outline.whole()))[None]
        else:
            logger.warning(
                "record %s: no breast region found by method %s; the whole image is kept. Look at the image: "
                "if it is inverted (MONOCHROME1), correct it; else try the other method.",
                data.get("record_id"),
                self.method,
            )
            step, visible = Crop(0, 0, *size_of(image)), None
        cropped = _blackened(crop_image(image, step), visible)
        return clipped(after_step(data, cropped, step), min_area_fraction=self.min_area_fraction)

    def inverse(self, data: Mapping[str, Any]) -> Sample:
        """The sample in its uncut frame; what was cut away or blackened is 0."""
        return undo_step(data, (Crop,))

    def _visible(
        self,
        data: Mapping[str, Any],
        pixels: NDArray[np.float32],
        outline: SampledMask,
        box: tuple[int, int, int, int],
    ) -> Mask | None:
        """The pixels that stay of those in the box; None for all."""
        visible = outline_with_margin(outline, self.margin).part(*box) if self.remove_artifacts else None
        if not self.remove_pectoral:
            return visible
        view_position = data.get("view_position")
        if view_position is None:
            logger.warning(
                "record %s: its view is unknown, so no pectoral muscle was looked for. Give the sample a "
                "view_position, or leave remove_pectoral off.",
                data.get("record_id"),
            )
        if view_position != ViewPosition.MLO:
            return visible
        x_min, y_min, x_max, y_max = box
        other = ~pectoral_muscle(pixels, outline.whole())[y_min:y_max, x_min:x_max]
        return other if visible is None else visible & other


def _blackened(image: Tensor, visible: Mask | None) -> Tensor:
    """The image with 0 where `visible` is False."""
    if visible is None:
        return image
    return torch.from_numpy(remove_artifacts(image[0].numpy(), visible, background=0.0))[None]
