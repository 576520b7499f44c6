"""torchvision's RetinaNet with random weights that give hundreds of boxes, on images as they are."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision.models.detection import RetinaNet, retinanet_resnet50_fpn, retinanet_resnet50_fpn_v2

BUILDERS = {"v1": retinanet_resnet50_fpn, "v2": retinanet_resnet50_fpn_v2}
# Settings of `retinanet_network` that fit each; epsilon 0 is what torchvision sets for its published v1.
NETWORK_KWARGS: dict[str, dict[str, object]] = {
    "v1": {"head_norm": "none", "p6_from": "p5", "bn_eps": 0.0},
    "v2": {"head_norm": "gn32", "p6_from": "c5"},
}


def random_torchvision_retinanet(version: str, num_classes: int = 3, size_divisible: int = 128) -> RetinaNet:
    torch.manual_seed(7)
    model = BUILDERS[version](
        weights=None,
        weights_backbone=None,
        num_classes=num_classes,
        size_divisible=size_divisible,
        score_thresh=0.0,
        detections_per_img=1000,
    )
    # Group norm gives the last features of v2 a spread of 1, those of v1 are some ten times smaller.
    randomise(model, head_scale=20.0 if version == "v1" else 2.0)
    if version == "v1":
        for layer in model.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.eps = 0.0
    model.transform.resize = keep_size
    return model.eval()


def randomise(model: nn.Module, head_scale: float) -> None:
    """Batch norms with statistics worth loading, class biases and box offsets that vary."""
    for name, layer in model.named_modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_(0, 0.1)
            layer.running_var.uniform_(0.5, 1.5)
            # Residual branches are damped, or sixteen blocks blow the activations up.
            layer.weight.data.uniform_(0.1, 0.3) if name.endswith("bn3") else layer.weight.data.uniform_(
                0.8, 1.2
            )
            layer.bias.data.normal_(0, 0.1)
        if name.endswith("cls_logits"):
            layer.bias.data.normal_(-1, 1)
            layer.weight.data.mul_(head_scale)
        if name.endswith("bbox_reg"):
            layer.bias.data.normal_(0, 0.3)
            layer.weight.data.mul_(head_scale / 4)


def keep_size(image: Tensor, target: dict[str, Tensor] | None) -> tuple[Tensor, dict[str, Tensor] | None]:
    return image, target
