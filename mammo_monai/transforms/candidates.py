"""Candidate regions as boxes of the sample, in the frame of its image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from monai.transforms import InvertibleTransform, MapTransform
from torch import Tensor

from mammo_monai.geometry import xyxy_to_rowcol
from mammo_monai.imaging.candidates import candidate_regions
from mammo_monai.transforms.sample import Sample, frame_of, image_of


class CandidateRegionsd(MapTransform, InvertibleTransform):  # type: ignore[misc]  # monai carries no types
    """Adds `candidates`: boxes that may hold a mass, best first, float32 (N, 4) in MONAI axis order.

    They are found on the image as it is, in [0, 1], where it is above 0: give it last, for a later step
    would leave them behind. Where the sample knows its pixel spacing and frame, boxes are square in mm.
    The way back drops them. Nothing is found on an image that is 0 throughout.

    Args:
        max_regions: see `imaging.candidate_regions`.

    Raises:
        ValueError: `max_regions` below 1.
    """

    def __init__(self, max_regions: int = 50) -> None:
        super().__init__(keys="image")
        if max_regions < 1:
            raise ValueError(f"max_regions must be at least 1, got {max_regions}.")
        self.max_regions = max_regions

    def __call__(self, data: Mapping[str, Any]) -> Sample:
        """The sample with its candidates."""
        image = image_of(data)
        pixels = image[0].numpy().clip(0, 1)
        breast = pixels > 0
        boxes = np.zeros((0, 4))
        if breast.any():
            spacing_mm = _spacing_now(data, image)
            boxes, _ = candidate_regions(
                pixels, breast, pixel_spacing_mm=spacing_mm, max_regions=self.max_regions
            )
        rowcol = np.ascontiguousarray(xyxy_to_rowcol(boxes), dtype=np.float32)
        return {**data, "candidates": torch.from_numpy(rowcol)}

    def inverse(self, data: Mapping[str, Any]) -> Sample:
        """The sample without candidates."""
        return {name: value for name, value in data.items() if name != "candidates"}


def _spacing_now(data: Mapping[str, Any], image: Tensor) -> tuple[float, float] | None:
    """Spacing of the image's pixels, from that of the original and the frame; None where unknown."""
    spacing_mm, frame = data.get("pixel_spacing_mm"), frame_of(data, image)
    if spacing_mm is None or frame is None:
        return None
    width, height = frame.size
    x_min, y_min, x_max, y_max = frame.to_original(np.array([[0.0, 0.0, width, height]]))[0]
    return float(spacing_mm[0] * (y_max - y_min) / height), float(spacing_mm[1] * (x_max - x_min) / width)
