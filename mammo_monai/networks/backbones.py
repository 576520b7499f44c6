"""ResNet with a feature pyramid (P3-P7) on MONAI's parts, key for key in torchvision's layout."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from monai.networks.blocks.feature_pyramid_network import FeaturePyramidNetwork, LastLevelP6P7
from monai.networks.nets import resnet
from torch import Tensor, cat, nn

if TYPE_CHECKING:
    from typing_extensions import Self

BackboneName = Literal["resnet18", "resnet34", "resnet50", "resnet101"]
P6Source = Literal["p5", "c5"]
InputNormalisation = Literal["imagenet", "none"]

BACKBONES: tuple[BackboneName, ...] = ("resnet18", "resnet34", "resnet50", "resnet101")
# R, G, B of images in [0, 1]; source: torchvision's documented preprocessing for its ImageNet weights.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_SD = (0.229, 0.224, 0.225)


class ResNetFPN(nn.Module):
    """Feature maps P3-P7 (strides 8, 16, 32, 64, 128) of images in [0, 1].

    Grey images are repeated to three channels and normalised here, so published weights load unchanged and
    exactly: folding mean and SD into the first kernel is wrong in a 3-pixel rim.

    Batch norms are frozen (running statistics used, never updated, also after `.train()`) when `frozen_norm`
    is set, and whenever their own weights are frozen.
    """

    def __init__(
        self,
        backbone: BackboneName = "resnet50",
        *,
        in_channels: int = 1,
        fpn_channels: int = 256,
        p6_from: P6Source = "p5",
        stride_in_1x1: bool = False,
        bn_eps: float = 1e-5,
        input_normalisation: InputNormalisation = "imagenet",
    ) -> None:
        super().__init__()
        _check_choice("backbone", backbone, BACKBONES)
        _check_choice("p6_from", p6_from, ("p5", "c5"))
        _check_choice("input_normalisation", input_normalisation, ("imagenet", "none"))
        _check_choice("in_channels", in_channels, (1, 3))
        # MONAI's defaults (first stride 1, bias in the shortcut) are not torchvision's layout.
        self.body = getattr(resnet, backbone)(
            spatial_dims=2, n_input_channels=3, conv1_t_stride=2, bias_downsample=False, feed_forward=False
        )
        c5_channels = 512 * self.body.layer4[0].expansion
        top = LastLevelP6P7(2, fpn_channels if p6_from == "p5" else c5_channels, fpn_channels)
        top.use_P5 = p6_from == "p5"  # MONAI guesses it from channel counts, wrong when they agree
        self.fpn = FeaturePyramidNetwork(
            2, [c5_channels // 4, c5_channels // 2, c5_channels], fpn_channels, top
        )
        self.out_channels = fpn_channels
        self.in_channels = in_channels
        self.mean = list(IMAGENET_MEAN if input_normalisation == "imagenet" else (0.0, 0.0, 0.0))
        self.sd = list(IMAGENET_SD if input_normalisation == "imagenet" else (1.0, 1.0, 1.0))
        self.frozen_norm = False
        if stride_in_1x1:
            _move_stride_to_1x1(self.body)
        for norm in batch_norms(self):
            norm.eps = bn_eps

    def forward(self, images: Tensor, image_sizes: list[tuple[int, int]] | None = None) -> dict[str, Tensor]:
        """Feature maps by name, finest first.

        Args:
            images: (B, in_channels, H, W) in [0, 1].
            image_sizes: (height, width) of each image inside its padding; what lies outside is set to the
                mean grey, as torchvision and Detectron2 pad. None: nothing is padding.

        Raises:
            ValueError: the images have another number of channels.
        """
        body = self.body
        x = body.maxpool(body.act(body.bn1(body.conv1(self.normalised(images, image_sizes)))))
        c3 = body.layer2(body.layer1(x))
        c4 = body.layer3(c3)
        c5 = body.layer4(c4)
        pyramid: dict[str, Tensor] = self.fpn({"0": c3, "1": c4, "2": c5})
        return pyramid

    def normalised(self, images: Tensor, image_sizes: list[tuple[int, int]] | None = None) -> Tensor:
        """Three normalised channels (B, 3, H, W), 0 in the padding."""
        if images.dim() != 4 or images.shape[1] != self.in_channels:
            raise ValueError(
                f"the network takes images of shape (B, {self.in_channels}, H, W), got {list(images.shape)}. "
                "Convert the images, or build the network with in_channels=1 (grey) or 3 (RGB)."
            )
        # Python numbers, not buffers: exact in every dtype, no copy to the device.
        x = cat(
            [(images[:, i % self.in_channels, None] - self.mean[i]) / self.sd[i] for i in range(3)], dim=1
        )
        if image_sizes is not None:
            for index, (height, width) in enumerate(image_sizes):
                x[index, :, height:] = 0.0
                x[index, :, :, width:] = 0.0
        return x

    def train(self, mode: bool = True) -> Self:
        """Sets the mode of all layers but the frozen batch norms, which stay in evaluation mode."""
        super().train(mode)
        for norm in batch_norms(self):
            if self.frozen_norm or not norm.weight.requires_grad:
                norm.eval()
        return self


def batch_norms(module: nn.Module) -> Iterator[nn.BatchNorm2d]:
    """Every batch norm inside `module`, in order."""
    return (layer for layer in module.modules() if isinstance(layer, nn.BatchNorm2d))


def _move_stride_to_1x1(body: nn.Module) -> None:
    """Detectron2's original ResNets halve the resolution in a block's first 1×1 convolution."""
    for name in ("layer2", "layer3", "layer4"):
        block = getattr(body, name)[0]
        if not isinstance(block, resnet.ResNetBottleneck):
            raise ValueError("stride_in_1x1 needs a bottleneck backbone: resnet50 or resnet101.")
        block.conv1.stride, block.conv2.stride = (2, 2), (1, 1)


def _check_choice(name: str, value: object, choices: tuple[object, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(str, choices))}, got {value!r}.")
