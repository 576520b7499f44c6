"""A slow, obvious single pass: every core of a grid, shown with its halo, its own candidates kept, merged."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mammo_monai.networks import Detector

Box = tuple[float, float, float, float]


def single_pass(
    detector: Detector, image: Tensor, cores: list[tuple[int, int, int, int]], halo_px: int, seam_px: int
) -> list[tuple[Box, float]]:
    """Boxes (x_min, y_min, x_max, y_max) and scores, highest first, of the whole image and all cores."""
    height, width = image.shape[1:]
    found = _boxes(detector, image, (0, 0, width, height))
    for x_min, y_min, x_max, y_max in cores:
        shown = (
            max(0, x_min - halo_px),
            max(0, y_min - halo_px),
            min(width, x_max + halo_px),
            min(height, y_max + halo_px),
        )
        for box, score in _boxes(detector, image, shown):
            x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
            if x_min - seam_px <= x < x_max + seam_px and y_min - seam_px <= y < y_max + seam_px:
                found.append((box, score))
    return _merged(found)


def _boxes(detector: Detector, image: Tensor, shown: tuple[int, int, int, int]) -> list[tuple[Box, float]]:
    x_min, y_min, x_max, y_max = shown
    with torch.no_grad():
        answers = detector([image[:, y_min:y_max, x_min:x_max]])
    if not isinstance(answers, list):
        raise TypeError("the detector is in training mode.")
    answer = answers[0]
    return [
        ((left + x_min, top + y_min, right + x_min, bottom + y_min), float(score))
        for (top, left, bottom, right), score in zip(
            answer["box"].double().tolist(), answer["label_scores"].tolist(), strict=True
        )
    ]


def _merged(found: list[tuple[Box, float]]) -> list[tuple[Box, float]]:
    left, merged = sorted(found, key=lambda each: -each[1]), []
    while left:
        seed = left[0]
        group = [each for each in left if each is seed or _iou(each[0], seed[0]) > 0.2]
        merged.append((max((box for box, _ in group), key=_area), seed[1]))
        left = [each for each in left if not any(each is member for member in group)]
    return merged


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _iou(one: Box, other: Box) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(width, 0.0) * max(height, 0.0)
    total = _area(one) + _area(other) - shared
    return float(np.nan_to_num(shared / total)) if total else 0.0
