"""Boxes as offsets from anchors and back, in the dtype they come in."""

from __future__ import annotations

import math

import torch
from torch import Tensor

# A box grows at most 62.5-fold over its anchor; source: torchvision and Detectron2, both log(1000 / 16).
MAX_LOG_GROWTH = math.log(1000.0 / 16)


def encode_boxes(boxes: Tensor, anchors: Tensor) -> Tensor:
    """Offsets of boxes from their anchors: centre shift in anchor sides, then log of the side ratios.

    Args:
        boxes: (N, 4) corners, any axis order, positive sides.
        anchors: (N, 4) in the same axis order.

    Source: Ren et al., 2015 (Faster R-CNN), weights (1, 1, 1, 1).

    >>> encode_boxes(torch.tensor([[1.0, 0.0, 3.0, 4.0]]), torch.tensor([[0.0, 0.0, 2.0, 4.0]])).tolist()
    [[0.5, 0.0, 0.0, 0.0]]
    """
    sides, anchor_sides = boxes[:, 2:] - boxes[:, :2], anchors[:, 2:] - anchors[:, :2]
    centres, anchor_centres = boxes[:, :2] + 0.5 * sides, anchors[:, :2] + 0.5 * anchor_sides
    return torch.cat([(centres - anchor_centres) / anchor_sides, torch.log(sides / anchor_sides)], dim=1)


def decode_boxes(offsets: Tensor, anchors: Tensor) -> Tensor:
    """Boxes (N, 4) at the given offsets from their anchors; inverse of `encode_boxes`.

    MONAI's coder waits for the device to look for NaN and computes sides in float32 even for float64.

    >>> decode_boxes(torch.tensor([[0.5, 0.0, 0.0, 0.0]]), torch.tensor([[0.0, 0.0, 2.0, 4.0]])).tolist()
    [[1.0, 0.0, 3.0, 4.0]]
    """
    anchor_sides = anchors[:, 2:] - anchors[:, :2]
    centres = offsets[:, :2] * anchor_sides + (anchors[:, :2] + 0.5 * anchor_sides)
    half_sides = 0.5 * (torch.exp(offsets[:, 2:].clamp(max=MAX_LOG_GROWTH)) * anchor_sides)
    return torch.cat([centres - half_sides, centres + half_sides], dim=1)
