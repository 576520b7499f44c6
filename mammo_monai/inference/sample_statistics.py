"""The statistics of a sample as the network gets it: its image, its crop, its lengths."""

from __future__ import annotations

import torch

from mammo_monai.geometry import Crop, ImageFrame
from mammo_monai.imaging.image_statistics import image_statistics
from mammo_monai.inference.sources import Sample


def sample_statistics(sample: Sample) -> dict[str, float]:
    """The figures of `image_statistics` for a prepared sample; lengths only where its spacing is known."""
    frame: ImageFrame = sample["frame"]
    crop = next((step for step in frame.steps if isinstance(step, Crop)), None)
    width, height = (frame.width, frame.height) if crop is None else (crop.width, crop.height)
    spacing = sample.get("pixel_spacing_mm")
    image = torch.as_tensor(sample["image"])[0].to(torch.float32).cpu().numpy()
    return image_statistics(
        image,
        crop_shares=(width / frame.width, height / frame.height),
        area_mm2=None if spacing is None else float(width * height * spacing[0] * spacing[1]),
    )
