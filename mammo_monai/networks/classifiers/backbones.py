"""The convolutional bases of classifiers: torchvision's and timm's layers, stride 32, under their names."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import nn
from torchvision.models import inception_v3, resnet18, resnet50
from torchvision.models.vgg import cfgs, make_layers

from mammo_monai.networks.pyramid import InputNormalisation, check_choice

PatchBackbone = Literal["vgg16", "vgg16_bn", "resnet18", "resnet50", "inception_v3", "efficientnet_lite0"]
STRIDE_PX = 32
# Rows that one cell of Inception's unpadded stem rests on; every further cell needs 32 more.
INCEPTION_MIN_PX = 75


@dataclass(frozen=True)
class BackboneFacts:
    """What is known of a backbone without building it.

    Attributes:
        channels: of its last feature map.
        normalisation: of the input, as its published weights need it.
        dropout: before the classifier, as published.
        is_padded: whether a map of H rows has H / 32 cells; else (H - 75) // 32 + 1.
    """

    channels: int
    normalisation: InputNormalisation = "imagenet"
    dropout: float = 0.0
    is_padded: bool = True

    def cells(self, size_px: int) -> int:
        """Side of the feature map of a square of `size_px`, in cells.

        >>> BACKBONES["resnet50"].cells(224), BACKBONES["inception_v3"].cells(224)
        (7, 5)
        """
        return size_px // STRIDE_PX if self.is_padded else (size_px - INCEPTION_MIN_PX) // STRIDE_PX + 1


# torchvision's ImageNet weights of Inception come from TensorFlow: they take [-1, 1] (its transform_input).
BACKBONES: dict[PatchBackbone, BackboneFacts] = {
    "vgg16": BackboneFacts(512, dropout=0.5),
    "vgg16_bn": BackboneFacts(512, dropout=0.5),
    "resnet18": BackboneFacts(512),
    "resnet50": BackboneFacts(2048),
    "inception_v3": BackboneFacts(2048, "half", dropout=0.5, is_padded=False),
    "efficientnet_lite0": BackboneFacts(1280, "half", dropout=0.2),
}
VGGS: tuple[PatchBackbone, ...] = ("vgg16", "vgg16_bn")
# Sequences of children that are the whole forward pass up to pooling; the rest is left out.
_RESNET = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")
_INCEPTION = (
    "Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "maxpool1", "Conv2d_3b_1x1", "Conv2d_4a_3x3",
    "maxpool2", "Mixed_5b", "Mixed_5c", "Mixed_5d", "Mixed_6a", "Mixed_6b", "Mixed_6c", "Mixed_6d",
    "Mixed_6e", "Mixed_7a", "Mixed_7b", "Mixed_7c",
)  # fmt: skip
_LITE0 = ("conv_stem", "bn1", "blocks", "conv_head", "bn2")


def classifier_backbone(backbone: PatchBackbone) -> nn.Sequential:
    """Layers from three normalised channels (B, 3, H, W) to features (B, C, h, w), stride 32, random weights.

    Children bear the names of torchvision's (timm's for EfficientNet-Lite0), so published weights load as
    they are. Convolutions are drawn after He et al., 2015: VGG16 without batch norm trains from scratch.

    Raises:
        ValueError: an unknown backbone.
    """
    check_choice("backbone", backbone, tuple(BACKBONES))
    base = _BUILDERS[backbone]()
    draw_convolutions(base)
    return base


def backbone_parts(backbone: PatchBackbone) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of everything up to stride 4, and of the last stage, as beginnings of parameter names."""
    if backbone in VGGS:
        stages = _vgg_stages(backbone)
        return (*stages[0], *stages[1]), stages[4]
    if backbone == "inception_v3":
        return tuple(f"{name}." for name in (*_INCEPTION[:3], *_INCEPTION[4:6])), ("Mixed_7",)
    if backbone == "efficientnet_lite0":
        top = ("blocks.5.", "blocks.6.", "conv_head.", "bn2.")
        return ("conv_stem.", "bn1.", "blocks.0.", "blocks.1."), top
    return ("conv1.", "bn1.", "layer1."), ("layer4.",)


def draw_convolutions(module: nn.Module) -> None:
    """Kernels anew from He's normal distribution, batch norms as identities, biases 0.

    Source: He et al., 2015, "Delving deep into rectifiers", fan out, as torchvision draws VGG and ResNet.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            # torch's own counts the outputs of all groups: depthwise kernels would start near 0.
            fan_out = layer.out_channels * math.prod(layer.kernel_size) // layer.groups
            nn.init.normal_(layer.weight, 0.0, math.sqrt(2.0 / fan_out))
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.modules.batchnorm._BatchNorm):
            nn.init.ones_(layer.weight)
            nn.init.zeros_(layer.bias)


def _chosen(model: nn.Module, names: tuple[str, ...]) -> nn.Sequential:
    return nn.Sequential(OrderedDict((name, model.get_submodule(name)) for name in names))


def _lite0() -> nn.Sequential:
    import timm  # noqa: PLC0415  # takes 1 s to import

    from mammo_monai.networks.efficientnet import replace_depthwise  # noqa: PLC0415  # imports timm

    # One class: its classifier is thrown away.
    model = timm.create_model("tf_efficientnet_lite0", pretrained=False, num_classes=1)
    base = _chosen(model, _LITE0)
    replace_depthwise(base)
    return base


def _inception() -> nn.Sequential:
    # Without the auxiliary classifier: P3's Inception (Keras) has none, and it answers in training only.
    return _chosen(inception_v3(weights=None, aux_logits=False, init_weights=False), _INCEPTION)


def _vgg_stages(backbone: PatchBackbone) -> list[tuple[str, ...]]:
    """Names of the layers with parameters between VGG16's five poolings."""
    stages: list[tuple[str, ...]] = [()]
    index = 0
    for entry in cfgs["D"]:
        if entry == "M":
            stages.append(())
            index += 1
        elif backbone == "vgg16_bn":
            stages[-1] += (f"{index}.", f"{index + 1}.")
            index += 3
        else:
            stages[-1] += (f"{index}.",)
            index += 2
    return stages


_BUILDERS: dict[PatchBackbone, Callable[[], nn.Sequential]] = {
    "vgg16": lambda: make_layers(cfgs["D"]),
    "vgg16_bn": lambda: make_layers(cfgs["D"], batch_norm=True),
    "resnet18": lambda: _chosen(resnet18(weights=None), _RESNET),
    "resnet50": lambda: _chosen(resnet50(weights=None), _RESNET),
    "inception_v3": _inception,
    "efficientnet_lite0": _lite0,
}
