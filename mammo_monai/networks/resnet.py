"""ResNet with a feature pyramid (P3-P7) on MONAI's parts, key for key in torchvision's layout."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from monai.networks.nets import resnet
from torch import Tensor, nn

from mammo_monai.networks.pyramid import BackbonePyramid, check_choice

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from mammo_monai.networks.backbones import PyramidOptions

ResNetName = Literal["resnet18", "resnet34", "resnet50", "resnet101"]
RESNETS: tuple[ResNetName, ...] = ("resnet18", "resnet34", "resnet50", "resnet101")


class ResNetFPN(BackbonePyramid):
    """A ResNet body and its pyramid.

    Args:
        stride_in_1x1: halve the resolution in a block's first 1×1 convolution, as Detectron2's original
            ResNets do.
        options: see `BackbonePyramid`.
    """

    stem_parts: ClassVar[tuple[str, ...]] = ("conv1.", "bn1.", "layer1.")
    top_parts: ClassVar[tuple[str, ...]] = ("layer4.",)

    def __init__(
        self,
        backbone: ResNetName = "resnet50",
        *,
        stride_in_1x1: bool = False,
        **options: Unpack[PyramidOptions],
    ) -> None:
        check_choice("backbone", backbone, RESNETS)
        # MONAI's defaults (first stride 1, bias in the shortcut) are not torchvision's layout.
        body = getattr(resnet, backbone)(
            spatial_dims=2, n_input_channels=3, conv1_t_stride=2, bias_downsample=False, feed_forward=False
        )
        c5_channels = 512 * body.layer4[0].expansion
        super().__init__(body, (c5_channels // 4, c5_channels // 2, c5_channels), **options)
        if stride_in_1x1:
            _move_stride_to_1x1(body)

    def body_maps(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Outputs of layers 2, 3 and 4."""
        body = self.body
        x = body.maxpool(body.act(body.bn1(body.conv1(x))))
        c3 = body.layer2(body.layer1(x))
        c4 = body.layer3(c3)
        return c3, c4, body.layer4(c4)


def _move_stride_to_1x1(body: nn.Module) -> None:
    """Detectron2's original ResNets halve the resolution in a block's first 1×1 convolution."""
    for name in ("layer2", "layer3", "layer4"):
        block = getattr(body, name)[0]
        if not isinstance(block, resnet.ResNetBottleneck):
            raise ValueError("stride_in_1x1 needs a bottleneck backbone: resnet50 or resnet101.")
        block.conv1.stride, block.conv2.stride = (2, 2), (1, 1)
