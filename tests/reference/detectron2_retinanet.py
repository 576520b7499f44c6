"""Detectron2's RetinaNet written out plainly, under Detectron2's own parameter names.

Input BGR 0-255 minus the mean, SD 1; stride in the first 1×1 convolution; P6 from C5; anchors scale by scale,
unrounded, at `i * stride`; boxes (x, y, x, y) from offsets (x, y, width, height).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

BLOCKS = {"resnet50": (3, 4, 6, 3), "resnet101": (3, 4, 23, 3)}
MEAN_BGR = (103.53, 116.28, 123.675)
STRIDES = (8, 16, 32, 64, 128)


class ConvNorm(nn.Conv2d):
    def __init__(self, inside: int, outside: int, kernel: int, stride: int = 1) -> None:
        super().__init__(inside, outside, kernel, stride, kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(outside)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(super().forward(x))


class Bottleneck(nn.Module):
    def __init__(self, inside: int, middle: int, stride: int) -> None:
        super().__init__()
        self.conv1 = ConvNorm(inside, middle, 1, stride)
        self.conv2 = ConvNorm(middle, middle, 3)
        self.conv3 = ConvNorm(middle, 4 * middle, 1)
        self.shortcut = ConvNorm(inside, 4 * middle, 1, stride) if inside != 4 * middle else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.conv3(F.relu(self.conv2(F.relu(self.conv1(x))))) + self.shortcut(x))


class BottomUp(nn.Module):
    def __init__(self, backbone: str) -> None:
        super().__init__()
        self.stem = nn.Module()
        self.stem.conv1 = ConvNorm(3, 64, 7, 2)
        inside = 64
        for level, blocks in enumerate(BLOCKS[backbone]):
            middle = 64 * 2**level
            strides = [1 if level == 0 else 2] + [1] * (blocks - 1)
            layers = [Bottleneck(inside if i == 0 else 4 * middle, middle, s) for i, s in enumerate(strides)]
            setattr(self, f"res{level + 2}", nn.Sequential(*layers))
            inside = 4 * middle

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = F.max_pool2d(F.relu(self.stem.conv1(x)), 3, 2, 1)
        c3 = self.res3(self.res2(x))
        c4 = self.res4(c3)
        return c3, c4, self.res5(c4)


class Pyramid(nn.Module):
    def __init__(self, backbone: str) -> None:
        super().__init__()
        self.bottom_up = BottomUp(backbone)
        for level, channels in ((3, 512), (4, 1024), (5, 2048)):
            setattr(self, f"fpn_lateral{level}", nn.Conv2d(channels, 256, 1))
            setattr(self, f"fpn_output{level}", nn.Conv2d(256, 256, 3, padding=1))
        self.top_block = nn.Module()
        self.top_block.p6 = nn.Conv2d(2048, 256, 3, 2, 1)
        self.top_block.p7 = nn.Conv2d(256, 256, 3, 2, 1)

    def forward(self, x: Tensor) -> list[Tensor]:
        c3, c4, c5 = self.bottom_up(x)
        m5 = self.fpn_lateral5(c5)
        m4 = self.fpn_lateral4(c4) + F.interpolate(m5, scale_factor=2)
        m3 = self.fpn_lateral3(c3) + F.interpolate(m4, scale_factor=2)
        p6 = self.top_block.p6(c5)
        p7 = self.top_block.p7(F.relu(p6))
        return [self.fpn_output3(m3), self.fpn_output4(m4), self.fpn_output5(m5), p6, p7]


class Head(nn.Module):
    def __init__(self, num_classes: int) -> None:
        super().__init__()
        for name in ("cls_subnet", "bbox_subnet"):
            layers = [layer for _ in range(4) for layer in (nn.Conv2d(256, 256, 3, padding=1), nn.ReLU())]
            setattr(self, name, nn.Sequential(*layers))
        self.cls_score = nn.Conv2d(256, 9 * num_classes, 3, padding=1)
        self.bbox_pred = nn.Conv2d(256, 36, 3, padding=1)


class Detectron2RetinaNet(nn.Module):
    def __init__(self, backbone: str, num_classes: int) -> None:
        super().__init__()
        self.backbone = Pyramid(backbone)
        self.head = Head(num_classes)
        self.num_classes = num_classes
        self.register_buffer("pixel_mean", torch.tensor(MEAN_BGR, dtype=torch.float64).reshape(3, 1, 1))

    def forward(self, rgb: Tensor) -> tuple[Tensor, Tensor]:
        """Scores (N, K) and unclipped boxes (N, 4) of one RGB image (3, H, W) in [0, 1]."""
        x = (rgb.flip(0) * 255 - self.pixel_mean.to(rgb))[None]
        scores, boxes = [], []
        for level, stride, size in zip(self.backbone(x), STRIDES, (32, 64, 128, 256, 512), strict=True):
            logits = self.head.cls_score(self.head.cls_subnet(level))[0]
            offsets = self.head.bbox_pred(self.head.bbox_subnet(level))[0]
            shape = level.shape[2:]
            scores.append(
                logits.reshape(9, self.num_classes, *shape).permute(2, 3, 0, 1).flatten(0, 2).sigmoid()
            )
            by_anchor = offsets.reshape(9, 4, *shape).permute(2, 3, 0, 1).flatten(0, 2)
            boxes.append(decode(by_anchor, level_anchors(shape, stride, size).to(by_anchor)))
        return torch.cat(scores), torch.cat(boxes)


def level_anchors(shape: torch.Size, stride: int, size: int) -> Tensor:
    anchors = []
    for row in range(shape[0]):
        for col in range(shape[1]):
            for scale in (1.0, 2 ** (1 / 3), 2 ** (2 / 3)):
                for ratio in (0.5, 1.0, 2.0):
                    width = math.sqrt((size * scale) ** 2 / ratio)
                    anchors.append((col * stride, row * stride, width, ratio * width))
    return torch.tensor(anchors, dtype=torch.float64)


def decode(offsets: Tensor, anchors: Tensor) -> Tensor:
    centre_x = anchors[:, 0] + offsets[:, 0] * anchors[:, 2]
    centre_y = anchors[:, 1] + offsets[:, 1] * anchors[:, 3]
    width = anchors[:, 2] * offsets[:, 2].clamp(max=math.log(1000 / 16)).exp()
    height = anchors[:, 3] * offsets[:, 3].clamp(max=math.log(1000 / 16)).exp()
    return torch.stack(
        [centre_x - width / 2, centre_y - height / 2, centre_x + width / 2, centre_y + height / 2], dim=1
    )
