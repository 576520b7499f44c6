"""The score of a RetinaNet's detection, traced to the anchor whose box it was; boxes (row, col, row, col)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from monai.networks.utils import eval_mode
from torch import Tensor

from mammo_monai.geometry import box_iou, rowcol_to_xyxy
from mammo_monai.inference.saliency.layers import stage_before_top
from mammo_monai.inference.saliency.targets import MIN_IOU, ScoreTarget, padded
from mammo_monai.networks.box_coding import decode_boxes
from mammo_monai.networks.detector import MammoRetinaNetDetector
from mammo_monai.networks.selection import clip_to_image
from mammo_monai.records import Boxes

# A box of the same weights and image is found again exactly; fused boxes lie between several.
SAME_BOX_IOU = 0.9


@dataclass(frozen=True)
class Anchor:
    """One class logit of a RetinaNet: pyramid level (0 = finest), channel, row and column of its map."""

    level: int
    channel: int
    row: int
    col: int


class AnchorScore(ScoreTarget):
    """The logit of one anchor and class on one image: the number a detection's score is the sigmoid of.

    Args:
        detector: a RetinaNet.
        anchor: see `find_anchor`.
        image_size: (height, width) of the image before padding.
    """

    def __init__(self, detector: MammoRetinaNetDetector, anchor: Anchor, image_size: tuple[int, int]) -> None:
        super().__init__(detector.network, stage_before_top(detector.network))
        self.anchor = anchor
        self.image_size = image_size
        self.size_divisible = int(detector.size_divisible[0])

    def input_of(self, image: Tensor) -> Tensor:
        """The padded batch, as the detector pads."""
        return padded(image, self.size_divisible)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, 1)."""
        is_padded = self.image_size != tuple(images.shape[-2:])
        sizes = [self.image_size] * len(images) if is_padded else None
        maps = self.network(images, sizes)[self.network.cls_key]
        at = self.anchor
        score: Tensor = maps[at.level][:, at.channel, at.row, at.col]
        return score[:, None]


def find_anchor(detector: MammoRetinaNetDetector, image: Tensor, box: Boxes, label: int = 0) -> Anchor:
    """The anchor whose decoded box became a detection: of those that fit about best, the highest score.

    Raises:
        ValueError: no decoded box overlaps the box.
    """
    size = (int(image.shape[1]), int(image.shape[2]))
    batch = padded(image, int(detector.size_divisible[0]))
    is_padded = size != tuple(batch.shape[-2:])
    with eval_mode(detector.network), torch.no_grad():
        maps = detector.network(batch, [size] if is_padded else None)
    logits, offsets = maps[detector.cls_key], maps[detector.box_reg_key]
    anchors = detector.anchor_generator(batch, logits)[0]
    n_anchors = detector.num_anchors_per_loc
    scores = torch.cat([_by_anchor(level, n_anchors)[:, label] for level in logits])
    boxes = decode_boxes(torch.cat([_by_anchor(level, n_anchors) for level in offsets]), anchors)
    decoded = rowcol_to_xyxy(clip_to_image(boxes, size).cpu().numpy().astype(np.float64))
    overlaps = box_iou(decoded, rowcol_to_xyxy(np.asarray(box, dtype=np.float64).reshape(1, 4)))[:, 0]
    if not overlaps.max() >= MIN_IOU:
        raise ValueError(
            f"no box of this detector overlaps (row, col, row, col) {np.round(box, 1).tolist()} by an IoU of "
            f"{MIN_IOU}: the detections belong to another model or another preparation. Predict again with "
            "this bundle and these options."
        )
    fits = torch.as_tensor(overlaps >= SAME_BOX_IOU * overlaps.max(), device=scores.device)
    best = int(scores.masked_fill(~fits, -torch.inf).argmax())
    return _anchor_at(
        best, [tuple(level.shape[-2:]) for level in logits], n_anchors, detector.num_classes, label
    )


def _by_anchor(level: Tensor, n_anchors: int) -> Tensor:
    """A head map (1, A·C, H, W) as (H·W·A, C): the order of the anchors."""
    n_rows, n_cols = level.shape[-2:]
    split = level[0].reshape(n_anchors, -1, n_rows, n_cols)
    return split.permute(2, 3, 0, 1).reshape(n_rows * n_cols * n_anchors, -1)


def _anchor_at(
    index: int, grids: list[tuple[int, ...]], n_anchors: int, n_classes: int, label: int
) -> Anchor:
    for level, (n_rows, n_cols) in enumerate(grids):
        count = n_rows * n_cols * n_anchors
        if index < count:
            cell, anchor = divmod(index, n_anchors)
            return Anchor(level, anchor * n_classes + label, *divmod(cell, n_cols))
        index -= count
    raise IndexError(f"anchor {index} lies beyond the {len(grids)} levels.")
