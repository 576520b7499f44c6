"""EfficientNet-Lite0 to Lite2 with a feature pyramid (P3-P7): made for machines without a GPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import timm
from torch import Tensor, nn

from mammo_monai.networks.depthwise import DepthwiseConv2d
from mammo_monai.networks.lite_names import LITES, LiteName
from mammo_monai.networks.pyramid import BackbonePyramid

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from mammo_monai.networks.backbones import PyramidOptions


class EfficientNetLiteFPN(BackbonePyramid):
    """timm's `tf_efficientnet_lite0` (1, 2), without its classifier, and a pyramid over its maps.

    Padding is TensorFlow's ("same": one more pixel right and below), as the published weights need it.

    Args:
        lite: which of them.
        options: see `BackbonePyramid`. The published weights go with `input_normalisation` half and `bn_eps`
            1e-3.

    Source: Tan and Le, 2019; TensorFlow's EfficientNet-Lite (no squeeze-and-excitation, ReLU6).
    """

    stem_parts: ClassVar[tuple[str, ...]] = ("conv_stem.", "bn1.", "blocks.0.", "blocks.1.")
    top_parts: ClassVar[tuple[str, ...]] = ("blocks.5.", "blocks.6.")

    def __init__(self, lite: LiteName, **options: Unpack[PyramidOptions]) -> None:
        body = timm.create_model(f"tf_{lite}", pretrained=False, features_only=True, out_indices=(2, 3, 4))
        replace_depthwise(body)
        super().__init__(body, LITES[lite].channels, **options)

    def body_maps(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Outputs of stages 2, 4 and 6."""
        c3, c4, c5 = self.body(x)
        return c3, c4, c5


def replace_depthwise(module: nn.Module) -> None:
    """Every depthwise convolution as one that trains faster on a CPU; the parameters are kept."""
    for name, child in module.named_children():
        if isinstance(child, nn.Conv2d) and child.groups > 1 and child.groups == child.in_channels:
            setattr(module, name, DepthwiseConv2d.like(child))
        else:
            replace_depthwise(child)
