"""What a saliency map explains: a network that answers an image with one score."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from monai.data.box_utils import box_iou
from monai.networks.utils import eval_mode
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from mammo_monai.networks.contract import Detector

MIN_IOU = 0.1
# Keeps the log odds of a score of 0 or 1 finite; of float32 the last digit below 1.
_EPSILON = 1e-7


class ScoreTarget(nn.Module):
    """A network and which of its answers is explained.

    `forward` takes a batch (B, 1, H', W') made by `input_of` and returns scores (B, 1): logits, not
    probabilities, whose gradient does not vanish where the network is sure.

    Attributes:
        network: holds all parameters.
        layer: where class activation maps are taken if nobody says where: a name within `network`.
    """

    network: Any  # its parts are called by name

    def __init__(self, network: nn.Module, layer: str) -> None:
        super().__init__()
        self.network = network
        self.layer = layer

    def input_of(self, image: Tensor) -> Tensor:
        """A batch (1, 1, H', W') of an image (1, H, W); what is added lies right and below."""
        return image[None]


class DetectionScore(ScoreTarget):
    """Log odds of the detection that overlaps a box most: for any detector.

    Its gradient reaches the network's layers where the detector's score has one; whether it reaches the
    pixels is the detector's affair. Without an overlapping detection the score is that of probability 0,
    without a gradient, so a box that an occlusion makes vanish counts as lost.

    Args:
        detector: see `networks.contract`. box: (row_min, col_min, row_max, col_max), pixels of the image.
        label: class of the box. layer: within the detector's network.
    """

    def __init__(self, detector: Detector, box: Tensor, label: int, layer: str) -> None:
        super().__init__(detector.network, layer)
        # In a list, so that the network is registered once.
        self.detectors = [detector]
        self.box = box.reshape(1, 4)
        self.label = label

    def forward(self, images: Tensor) -> Tensor:
        """Log odds (B, 1).

        Raises:
            TypeError: the detector answers with losses.
        """
        with eval_mode(self.detectors[0]):
            outputs = self.detectors[0](list(images))
        if not isinstance(outputs, list):
            raise TypeError(f"expected a list from the detector, got {type(outputs).__name__}.")
        return torch.stack([self._log_odds(each, images) for each in outputs])[:, None]

    def _log_odds(self, output: dict[str, Tensor], images: Tensor) -> Tensor:
        of_class = output["label"] == self.label
        boxes, scores = output["box"][of_class], output["label_scores"][of_class]
        overlaps = box_iou(self.box.to(boxes), boxes.detach())[0] if len(boxes) else boxes.new_zeros(0)
        if not len(boxes) or float(overlaps.max()) < MIN_IOU:
            return torch.logit(images.new_zeros(()), eps=_EPSILON)
        return torch.logit(scores[int(overlaps.argmax())], eps=_EPSILON)


class ClassScore(ScoreTarget):
    """Log odds of one class against all others, for any classifier's network.

    Args:
        network: images (B, 1, H, W) to logits (B, K), K >= 2.
        class_index: the class to explain; 1 = positive.
    """

    def __init__(self, network: nn.Module, layer: str, class_index: int = 1) -> None:
        super().__init__(network, layer)
        self.class_index = class_index

    def forward(self, images: Tensor) -> Tensor:
        """Log odds (B, 1).

        Raises:
            ValueError: no logits (B, K) with K >= 2, or no such class.
        """
        logits: Tensor = self.network(images)
        if logits.ndim != 2 or logits.shape[1] < 2 or not 0 <= self.class_index < logits.shape[1]:
            raise ValueError(
                f"expected logits (B, K) of at least two classes, with a class {self.class_index}, "
                f"got shape {tuple(logits.shape)}."
            )
        return log_odds(logits, self.class_index)[:, None]


def log_odds(logits: Tensor, class_index: int) -> Tensor:
    """Logit of a class's probability (N,) from logits (N, K): its own less the others' log-sum-exp."""
    others = [n for n in range(logits.shape[1]) if n != class_index]
    return logits[:, class_index] - logits[:, others].logsumexp(dim=1)


def padded(image: Tensor, divisible: int) -> Tensor:
    """An image (1, H, W) as a batch of one, padded right and below, by an operation that has a gradient."""
    height, width = image.shape[-2:]
    return F.pad(image[None], (0, -width % divisible, 0, -height % divisible))
