"""Detectron2's Faster R-CNN with a feature pyramid written out plainly, under its own parameter names.

Input BGR 0-255 minus the mean, SD 1; stride in the first 1×1 convolution; P6 is every second cell of P5;
anchors unrounded, at `i * stride`; regions cut out half-pixel exact with as many points per cell as the
region has map cells; background is the last class. One image; the regions whose class is asked are given.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.reference.detectron2_retinanet import MEAN_BGR, BottomUp, decode

STRIDES = (4, 8, 16, 32, 64)
SIZES = (32, 64, 128, 256, 512)


class Pyramid(nn.Module):
    def __init__(self, backbone: str, channels: int) -> None:
        super().__init__()
        self.bottom_up = BottomUp(backbone)
        for level, width in ((2, 256), (3, 512), (4, 1024), (5, 2048)):
            setattr(self, f"fpn_lateral{level}", nn.Conv2d(width, channels, 1))
            setattr(self, f"fpn_output{level}", nn.Conv2d(channels, channels, 3, padding=1))

    def forward(self, x: Tensor) -> list[Tensor]:
        body = self.bottom_up
        c2 = body.res2(F.max_pool2d(F.relu(body.stem.conv1(x)), 3, 2, 1))
        c3 = body.res3(c2)
        c4 = body.res4(c3)
        maps = []
        coarser = None
        for level, c in ((5, body.res5(c4)), (4, c4), (3, c3), (2, c2)):
            merged = getattr(self, f"fpn_lateral{level}")(c)
            if coarser is not None:
                merged = merged + F.interpolate(coarser, scale_factor=2)
            maps.insert(0, getattr(self, f"fpn_output{level}")(merged))
            coarser = merged
        return [*maps, maps[-1][:, :, ::2, ::2]]


class Detectron2FasterRCNN(nn.Module):
    def __init__(self, backbone: str, num_classes: int, channels: int, width: int) -> None:
        super().__init__()
        self.backbone = Pyramid(backbone, channels)
        self.proposal_generator = nn.Module()
        rpn = self.proposal_generator.rpn_head = nn.Module()
        rpn.conv = nn.Conv2d(channels, channels, 3, padding=1)
        rpn.objectness_logits = nn.Conv2d(channels, 3, 1)
        rpn.anchor_deltas = nn.Conv2d(channels, 12, 1)
        self.roi_heads = nn.Module()
        head = self.roi_heads.box_head = nn.Module()
        head.fc1, head.fc2 = nn.Linear(channels * 49, width), nn.Linear(width, width)
        last = self.roi_heads.box_predictor = nn.Module()
        last.cls_score, last.bbox_pred = nn.Linear(width, num_classes + 1), nn.Linear(width, 4 * num_classes)
        self.register_buffer("pixel_mean", torch.tensor(MEAN_BGR, dtype=torch.float64).reshape(3, 1, 1))

    def maps(self, rgb: Tensor) -> list[Tensor]:
        """P2 … P6 of one RGB image (3, H, W) in [0, 1]."""
        found: list[Tensor] = self.backbone((rgb.flip(0) * 255 - self.pixel_mean.to(rgb))[None])
        return found

    def regions(self, maps: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Objectness logits (N,) and unclipped regions (N, 4) of all anchors, finest level first."""
        rpn = self.proposal_generator.rpn_head
        logits, boxes = [], []
        for level, stride, size in zip(maps, STRIDES, SIZES, strict=True):
            seen = F.relu(rpn.conv(level))
            shape = level.shape[2:]
            logits.append(rpn.objectness_logits(seen)[0].permute(1, 2, 0).flatten())
            offsets = rpn.anchor_deltas(seen)[0].reshape(3, 4, *shape).permute(2, 3, 0, 1).flatten(0, 2)
            boxes.append(decode(offsets, anchors(shape, stride, size).to(offsets)))
        return torch.cat(logits), torch.cat(boxes)

    def answers(self, maps: list[Tensor], regions: Tensor) -> tuple[Tensor, Tensor]:
        """Class probabilities (N, K) and unclipped boxes (N, K, 4) of regions (x, y, x, y)."""
        head, last = self.roi_heads.box_head, self.roi_heads.box_predictor
        cuts = torch.stack([cut_out(maps, region.tolist()) for region in regions])
        seen = F.relu(head.fc2(F.relu(head.fc1(cuts.flatten(1)))))
        scores = last.cls_score(seen).softmax(1)[:, :-1]
        sides = regions[:, 2:] - regions[:, :2]
        placed = torch.cat([regions[:, :2] + sides / 2, sides], dim=1)  # centre and size, as `decode` asks
        offsets = last.bbox_pred(seen).reshape(len(regions), -1, 4) / regions.new_tensor([10, 10, 5, 5])
        boxes = torch.stack([decode(offsets[:, n], placed) for n in range(offsets.shape[1])], dim=1)
        return scores, boxes


def anchors(shape: torch.Size, stride: int, size: int) -> Tensor:
    """Centre x, centre y, width, height."""
    return torch.tensor(
        [
            (col * stride, row * stride, size / math.sqrt(ratio), size * math.sqrt(ratio))
            for row in range(shape[0])
            for col in range(shape[1])
            for ratio in (0.5, 1.0, 2.0)
        ],
        dtype=torch.float64,
    )


def cut_out(maps: list[Tensor], region: list[float]) -> Tensor:
    """Features (C, 7, 7) of a region: in each cell the mean over a grid of bilinear points."""
    x_min, y_min, x_max, y_max = region
    area = (x_max - x_min) * (y_max - y_min)
    level = min(max(math.floor(4 + math.log2(math.sqrt(area) / 224) + 1e-8), 2), 5)
    features, stride = maps[level - 2][0], 2.0**level
    left, top = x_min / stride - 0.5, y_min / stride - 0.5
    width, height = (x_max - x_min) / stride, (y_max - y_min) / stride
    n_rows, n_cols = math.ceil(height / 7), math.ceil(width / 7)
    cut = features.new_zeros(features.shape[0], 7, 7)
    for row in range(7):
        for col in range(7):
            for i in range(n_rows):
                for j in range(n_cols):
                    y = top + (row + (i + 0.5) / n_rows) * height / 7
                    x = left + (col + (j + 0.5) / n_cols) * width / 7
                    cut[:, row, col] += bilinear(features, y, x) / (n_rows * n_cols)
    return cut


def bilinear(features: Tensor, y: float, x: float) -> Tensor:
    height, width = features.shape[1:]
    if y < -1 or y > height or x < -1 or x > width:
        return features.new_zeros(features.shape[0])
    y, x = min(max(y, 0.0), height - 1.0), min(max(x, 0.0), width - 1.0)
    row, col = min(int(y), height - 1), min(int(x), width - 1)
    below, right = min(row + 1, height - 1), min(col + 1, width - 1)
    dy, dx = y - row, x - col
    upper = features[:, row, col] * (1 - dx) + features[:, row, right] * dx
    lower = features[:, below, col] * (1 - dx) + features[:, below, right] * dx
    return upper * (1 - dy) + lower * dy
