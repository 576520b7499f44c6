"""The score of a Faster R-CNN's detection: its second stage, asked about the box itself."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mammo_monai.geometry import rowcol_to_xyxy
from mammo_monai.inference.saliency.layers import stage_before_top
from mammo_monai.inference.saliency.targets import ScoreTarget, log_odds, padded
from mammo_monai.networks.faster_rcnn import MammoFasterRCNN
from mammo_monai.records import Boxes


class RegionScore(ScoreTarget):
    """Log odds of a class in one fixed box, as Faster R-CNN's second stage sees it.

    The detection itself was scored on the proposal it was refined from, so the two scores differ a little. A
    fixed box has a score, and a gradient to the pixels, also where an occlusion or random weights leave no
    detection.

    Args:
        network: of a Faster R-CNN. box: (4,) (row_min, col_min, row_max, col_max), pixels of the image.
        label: class of the box, 0 = mass. image_size: (height, width) before padding.
        size_divisible: what the detector pads to.
    """

    def __init__(  # a box is a box of a class on an image of a network
        self,
        network: MammoFasterRCNN,
        box: Boxes,
        label: int,
        image_size: tuple[int, int],
        *,
        size_divisible: int = 64,
    ) -> None:
        super().__init__(network, stage_before_top(network))
        xyxy = rowcol_to_xyxy(np.asarray(box, dtype=np.float64).reshape(1, 4))
        self.box = torch.from_numpy(xyxy.astype(np.float32))
        self.label = label
        self.image_size = image_size
        self.size_divisible = size_divisible

    def input_of(self, image: Tensor) -> Tensor:
        """The padded batch, as the detector pads."""
        return padded(image, self.size_divisible)

    def forward(self, images: Tensor) -> Tensor:
        """Log odds (B, 1)."""
        network = self.network
        is_padded = self.image_size != tuple(images.shape[-2:])
        sizes = [self.image_size] * len(images)
        maps = network.feature_extractor(images, sizes if is_padded else None)
        regions = [self.box.to(images)] * len(images)
        seen = network.roi_heads["box_head"](network.pool(maps, regions, sizes))
        logits, _ = network.roi_heads["box_predictor"](seen)
        return log_odds(logits, self.label + 1)[:, None]  # 0 is the background
