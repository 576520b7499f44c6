"""From head outputs to detections: best candidates per level, decoded, clipped, overlaps removed.

Boxes are in MONAI axis order (row, col, row, col), pixels of the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import torch
from torch import Tensor
from torchvision.ops import batched_nms

from mammo_monai.networks.box_coding import decode_boxes


@dataclass(frozen=True)
class SelectionRule:
    """Which candidates become detections; the defaults are torchvision's."""

    score_threshold: float = 0.05
    topk_per_level: int = 1000
    nms_iou: float = 0.5
    detections_per_image: int = 300


@dataclass(frozen=True)
class HeadOutput:
    """Class logits (B, N, K), box offsets (B, N, 4), anchors (N, 4), and how many anchors each level has."""

    logits: Tensor
    offsets: Tensor
    anchors: Tensor
    anchors_per_level: Sequence[int]


@dataclass(frozen=True)
class SelectedBoxes:
    """Detections of one image, highest score first: boxes (M, 4), scores (M,), labels (M,)."""

    boxes: Tensor
    scores: Tensor
    labels: Tensor


def select_boxes(
    output: HeadOutput, image_sizes: Sequence[tuple[int, int]], rule: SelectionRule
) -> list[SelectedBoxes]:
    """Detections of every image of a batch, by torchvision's rule and to its last bit.

    Candidates above the score threshold, at most `topk_per_level` per level, are decoded and clipped to their
    image; per class, boxes that overlap a better one by IoU > `nms_iou` go. A box clipped to nothing stays,
    as in torchvision. A score that is not a number stays too, where torchvision drops it: an image on which
    the network fails must not pass for one without findings.

    A batch waits for the device twice, however many images and levels it has, and once per image inside the
    suppression; torchvision waits once per image and level.

    Args:
        image_sizes: (height, width) of each image inside its padding.
    """
    scores = output.logits.sigmoid().flatten(1)
    groups = _candidates(scores, output, rule)
    return [
        _select(output, index, (scores[index][group], group), size, rule)
        for index, (group, size) in enumerate(zip(groups, image_sizes, strict=True))
    ]


def _candidates(scores: Tensor, output: HeadOutput, rule: SelectionRule) -> list[Tensor]:
    """Indices into each image's (N·K) scores: level by level, within a level best first."""
    n_images, n_scores = scores.shape
    n_classes = output.logits.shape[2]
    # Not `scores > threshold`: NaN would be left out without a word.
    kept = (~(scores <= rule.score_threshold)).flatten().nonzero().squeeze(1)
    level_ends = [n * n_classes for n in accumulate(output.anchors_per_level)]
    borders = [0] + [image * n_scores + end for image in range(n_images) for end in level_ends]
    cuts = torch.searchsorted(kept, torch.tensor(borders, device=kept.device)).tolist()
    flat, groups = scores.flatten(), []
    for start, stop in pairwise(cuts):
        group = kept[start:stop]
        groups.append(group[flat[group].topk(min(rule.topk_per_level, stop - start)).indices])
    levels = len(level_ends)
    return [
        torch.cat(groups[image * levels : (image + 1) * levels]) - image * n_scores
        for image in range(n_images)
    ]


def _select(
    output: HeadOutput,
    index: int,
    candidates: tuple[Tensor, Tensor],
    size: tuple[int, int],
    rule: SelectionRule,
) -> SelectedBoxes:
    scores, group = candidates
    n_classes = output.logits.shape[2]
    anchor, label = group // n_classes, group % n_classes
    boxes = clip_to_image(decode_boxes(output.offsets[index][anchor], output.anchors[anchor]), size)
    best = batched_nms(boxes, scores, label, rule.nms_iou)[: rule.detections_per_image]
    return SelectedBoxes(boxes[best], scores[best], label[best])


def clip_to_image(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Boxes (N, 4) in axis order (row, col), cut at the borders of an image of (height, width).

    >>> clip_to_image(torch.tensor([[-1.0, 2.0, 9.0, 9.0]]), (4, 6)).tolist()
    [[0.0, 2.0, 4.0, 6.0]]
    """
    height, width = size
    rows, cols = boxes[:, 0::2].clamp(0, height), boxes[:, 1::2].clamp(0, width)
    return torch.stack([rows, cols], dim=2).flatten(1)
