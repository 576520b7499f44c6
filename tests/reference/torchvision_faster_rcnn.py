"""torchvision's Faster R-CNN with random weights that give many boxes, on images as they are."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torchvision.models.detection import FasterRCNN, fasterrcnn_resnet50_fpn, fasterrcnn_resnet50_fpn_v2
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.models.detection.faster_rcnn import FastRCNNConvFCHead, FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.rpn import RPNHead
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from tests.reference.torchvision_retinanet import keep_size

BUILDERS = {"v1": fasterrcnn_resnet50_fpn, "v2": fasterrcnn_resnet50_fpn_v2}
SMALL = {"fpn_channels": 16, "representation_size": 32}


def random_torchvision_faster_rcnn(version: str, num_classes: int = 3, **kwargs: Any) -> FasterRCNN:
    """torchvision's own ResNet-50 model; `num_classes` counts the background."""
    torch.manual_seed(7)
    model = BUILDERS[version](
        weights=None, weights_backbone=None, num_classes=num_classes, box_score_thresh=0.0, **kwargs
    )
    return _prepared(model)


def small_torchvision_faster_rcnn(version: str, num_classes: int = 3, **kwargs: Any) -> FasterRCNN:
    """The same of torchvision's parts on a ResNet-18, with the channels of `SMALL`."""
    torch.manual_seed(7)
    channels, width = SMALL["fpn_channels"], SMALL["representation_size"]
    backbone: Any = resnet_fpn_backbone(
        backbone_name="resnet18", weights=None, norm_layer=nn.BatchNorm2d, trainable_layers=5
    )
    norm = nn.BatchNorm2d if version == "v2" else None
    backbone.fpn = FeaturePyramidNetwork([64, 128, 256, 512], channels, LastLevelMaxPool(), norm_layer=norm)
    backbone.out_channels = channels
    head = TwoMLPHead(channels * 49, width)
    if version == "v2":
        head = FastRCNNConvFCHead((channels, 7, 7), [channels] * 4, [width], norm_layer=nn.BatchNorm2d)
    model = FasterRCNN(
        backbone,
        rpn_head=RPNHead(channels, 3, conv_depth=2 if version == "v2" else 1),
        box_head=head,
        box_predictor=FastRCNNPredictor(width, num_classes),
        box_score_thresh=0.0,
        **kwargs,
    )
    return _prepared(model)


def _prepared(model: FasterRCNN) -> FasterRCNN:
    """Norms with statistics worth loading, last layers whose answers differ from place to place."""
    for name, layer in model.named_modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_(0, 0.1)
            layer.running_var.uniform_(0.5, 1.5)
            # Residual branches are damped, or sixteen blocks blow the activations up.
            last = name.endswith(("bn3", "bn2"))
            layer.weight.data.uniform_(0.1, 0.3) if last else layer.weight.data.uniform_(0.8, 1.2)
            layer.bias.data.normal_(0, 0.1)
        if name.endswith(("cls_logits", "cls_score")):
            layer.weight.data.mul_(8)
            layer.bias.data.normal_(0, 0.5)
        if name.endswith("bbox_pred"):
            layer.weight.data.mul_(4)
            layer.bias.data.normal_(0, 0.3)
    model.transform.resize = keep_size
    return model.eval()
