"""The losses of RetinaNet as modules that MONAI's detector can hold, not yet divided by any count."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torchvision.ops import generalized_box_iou_loss, sigmoid_focal_loss

BoxLossName = Literal["l1", "smooth_l1", "giou"]
BOX_LOSSES: tuple[BoxLossName, ...] = ("l1", "smooth_l1", "giou")


class SigmoidFocalLoss(nn.Module):
    """Focal loss of every logit, same shape as the logits.

    MONAI's `FocalLoss(reduction="sum")` returns the mean for logits of shape (N, C).

    Args:
        alpha: weight of positives in [0, 1], negatives weigh 1 − alpha; −1 for no weights.
        gamma: exponent that silences what is already right.

    Source: Lin et al., 2017.
    """

    def __init__(self, alpha: float = 0.25, gamma: float = 2.0) -> None:
        super().__init__()
        self.alpha, self.gamma = alpha, gamma

    def forward(self, logits: Tensor, truth: Tensor) -> Tensor:
        """Loss per logit; `truth` holds 0 and 1."""
        loss: Tensor = sigmoid_focal_loss(logits, truth, alpha=self.alpha, gamma=self.gamma)
        return loss


class BoxIoULoss(nn.Module):
    """Sum of 1 − generalised IoU over pairs of boxes (N, 4); 0 with a gradient for N = 0."""

    def forward(self, boxes: Tensor, truth: Tensor) -> Tensor:
        """A scalar."""
        loss: Tensor = generalized_box_iou_loss(boxes, truth, reduction="sum")
        return loss


def box_loss(name: BoxLossName) -> nn.Module:
    """The box loss of that name, summed over its boxes."""
    if name == "giou":
        return BoxIoULoss()
    # Source of beta: Detectron and maskrcnn-benchmark (0.11), MONAI's default (1/9).
    return nn.L1Loss(reduction="sum") if name == "l1" else nn.SmoothL1Loss(reduction="sum", beta=1 / 9)
