"""Less noise in the breast, before anything is resized."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from monai.transforms import MapTransform

from mammo_monai.imaging.noise import NOISE_METHODS, SIZES_PX, NoiseMethod, reduce_noise
from mammo_monai.transforms.sample import Sample, image_of


class ReduceNoised(MapTransform):  # type: ignore[misc]  # monai carries no types
    """Filters the pixels above 0 with `imaging.reduce_noise`; what is 0 (outside the breast) stays 0.

    Neither size nor boxes change, so no frame records it, and the way back leaves it out.

    Args:
        method: "median", "gaussian", "bilateral" or "impulse".
        size_px: side of the window, 3, 5 or 7 pixels of the image as it comes: before any resizing, those of
            the original.

    Raises:
        ValueError: another method or size.
    """

    def __init__(self, method: NoiseMethod = "median", *, size_px: int = 3) -> None:
        super().__init__(keys="image")
        if method not in NOISE_METHODS:
            raise ValueError(f"method must be {', '.join(NOISE_METHODS)}, got {method!r}.")
        if size_px not in SIZES_PX:
            raise ValueError(f"size_px must be 3, 5 or 7, got {size_px}.")
        self.method: NoiseMethod = method
        self.size_px = size_px

    def __call__(self, data: Mapping[str, Any]) -> Sample:
        """The sample with less noise."""
        pixels = image_of(data)[0].numpy()
        breast = pixels > 0
        if not breast.any():
            return dict(data)
        reduced = reduce_noise(pixels, self.method, size_px=self.size_px, region=breast)
        return {**data, "image": torch.from_numpy(reduced)[None]}
