"""A detector that finds bright rectangles exactly, images that hold them, and samples as transforms do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor, nn

from mammo_monai.geometry import Crop, Flip, ImageFrame, xyxy_to_rowcol

Rectangle = tuple[int, int, int, int, float]  # x_min, y_min, x_max, y_max, brightness


class RectangleDetector(nn.Module):
    """Marks every connected bright patch with its exact box; the score is its brightness."""

    def __init__(self, threshold: float = 0.3) -> None:
        super().__init__()
        self.network: nn.Module = nn.Conv2d(1, 1, 1)
        self.threshold = threshold
        self.calls: list[tuple[list[tuple[int, int]], bool]] = []

    @property
    def batches(self) -> list[list[tuple[int, int]]]:
        """(height, width) of the images of every call."""
        return [sizes for sizes, _ in self.calls]

    def forward(
        self, input_images: list[Tensor], targets: list[dict[str, Tensor]] | None = None
    ) -> dict[str, Tensor] | list[dict[str, Tensor]]:
        if self.training:
            return {"classification": torch.zeros(()), "box_regression": torch.zeros(())}
        sizes = [(int(each.shape[1]), int(each.shape[2])) for each in input_images]
        self.calls.append((sizes, torch.is_autocast_enabled("cpu")))
        return [self._find(each[0].numpy()) for each in input_images]

    def _find(self, image: np.ndarray[Any, Any]) -> dict[str, Tensor]:
        patches, count = ndimage.label(image > self.threshold)
        places = ndimage.find_objects(patches)
        scores = [float(image[patches == n + 1].max()) for n in range(count)]
        order = np.argsort([-score for score in scores], kind="stable")
        boxes = [(p[0].start, p[1].start, p[0].stop, p[1].stop) for p in places]
        return {
            "box": torch.tensor([boxes[n] for n in order], dtype=torch.float32).reshape(-1, 4),
            "label": torch.zeros(count, dtype=torch.int64),
            "label_scores": torch.tensor([scores[n] for n in order], dtype=torch.float32),
        }


class FixedDetector(nn.Module):
    """Answers every image with the same boxes (row, col), scores and labels."""

    def __init__(
        self, boxes: Sequence[Sequence[float]], scores: Sequence[float], labels: Sequence[int] | None = None
    ) -> None:
        super().__init__()
        self.network: nn.Module = nn.Identity()
        self.answer = {
            "box": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
            "label": torch.tensor(labels if labels is not None else [0] * len(scores), dtype=torch.int64),
            "label_scores": torch.tensor(scores, dtype=torch.float32),
        }

    def forward(
        self, input_images: list[Tensor], targets: list[dict[str, Tensor]] | None = None
    ) -> dict[str, Tensor] | list[dict[str, Tensor]]:
        return [self.answer for _ in input_images]


def image_with(width: int, height: int, rectangles: Sequence[Rectangle], background: float = 0.0) -> Tensor:
    """A tensor (1, height, width) with bright rectangles."""
    image = torch.full((1, height, width), background)
    for x_min, y_min, x_max, y_max, brightness in rectangles:
        image[0, y_min:y_max, x_min:x_max] = brightness
    return image


def sample_of(
    original: Tensor,
    record_id: str,
    *,
    crop: tuple[int, int, int, int] | None = None,
    is_right: bool = False,
    spacing: tuple[float, float] | None = None,
    image_path: str | None = None,
) -> dict[str, Any]:
    """What transforms make of an original image: cropped to (x_min, y_min, width, height), mirrored."""
    height, width = original.shape[1:]
    frame, image = ImageFrame(int(width), int(height)), original
    if crop is not None:
        x_min, y_min, crop_width, crop_height = crop
        frame = frame.then(Crop(x_min, y_min, crop_width, crop_height))
        image = image[:, y_min : y_min + crop_height, x_min : x_min + crop_width]
    if is_right:
        frame, image = frame.then(Flip(frame.size[0])), image.flip(-1)
    return {
        "image": image.contiguous(),
        "frame": frame,
        "record_id": record_id,
        "image_path": image_path or str(Path("images") / f"{record_id}.dcm"),
        "pixel_spacing_mm": spacing,
    }


def rowcol(boxes: Sequence[Sequence[float]]) -> list[list[float]]:
    """Boxes given as (x, y, x, y) in MONAI axis order."""
    swapped: list[list[float]] = xyxy_to_rowcol(np.asarray(boxes, dtype=float).reshape(-1, 4)).tolist()
    return swapped
