"""What every backbone with a feature pyramid shares: grey images in, normalised; maps P3-P7 out."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar, Literal

import torch
from monai.networks.blocks.feature_pyramid_network import FeaturePyramidNetwork, LastLevelP6P7
from torch import Tensor, nn

P6Source = Literal["p5", "c5"]
InputNormalisation = Literal["imagenet", "half", "none"]

# R, G, B of images in [0, 1]; source: torchvision's documented preprocessing for its ImageNet weights.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_SD = (0.229, 0.224, 0.225)
# half: [0, 1] to [-1, 1]; source: TensorFlow's EfficientNet-Lite, (x - 127) / 128 on 8-bit images.
NORMALISATIONS: dict[InputNormalisation, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "imagenet": (IMAGENET_MEAN, IMAGENET_SD),
    "half": ((0.5,) * 3, (0.5,) * 3),
    "none": ((0.0,) * 3, (1.0,) * 3),
}


class BackbonePyramid(nn.Module):
    """Feature maps P3-P7 (strides 8, 16, 32, 64, 128) of images in [0, 1]: a `body` and its pyramid `fpn`.

    Grey images are repeated to three channels and normalised here, so published weights load unchanged and
    exactly: folding mean and SD into the first kernel is wrong in a 3-pixel rim.

    Attributes:
        stem_parts: names in `body` of everything up to stride 4.
        top_parts: names in `body` of its last stage.
    """

    stem_parts: ClassVar[tuple[str, ...]] = ()
    top_parts: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        body: nn.Module,
        channels: tuple[int, int, int],
        *,
        in_channels: int = 1,
        fpn_channels: int = 256,
        p6_from: P6Source = "p5",
        bn_eps: float = 1e-5,
        input_normalisation: InputNormalisation = "imagenet",
    ) -> None:
        super().__init__()
        check_choice("p6_from", p6_from, ("p5", "c5"))
        check_choice("input_normalisation", input_normalisation, tuple(NORMALISATIONS))
        check_choice("in_channels", in_channels, (1, 3))
        self.body: Any = body  # its layers are called by name
        top = LastLevelP6P7(2, fpn_channels if p6_from == "p5" else channels[-1], fpn_channels)
        top.use_P5 = p6_from == "p5"  # MONAI guesses it from channel counts, wrong when they agree
        self.fpn = FeaturePyramidNetwork(2, list(channels), fpn_channels, top)
        self.out_channels = fpn_channels
        self.in_channels = in_channels
        mean, sd = NORMALISATIONS[input_normalisation]
        self.mean, self.sd = list(mean), list(sd)
        for norm in batch_norms(self):
            norm.eps = bn_eps

    @abstractmethod
    def body_maps(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The body's maps at strides 8, 16 and 32 of normalised images (B, 3, H, W)."""

    def forward(self, images: Tensor, image_sizes: list[tuple[int, int]] | None = None) -> dict[str, Tensor]:
        """Feature maps by name, finest first.

        Args:
            images: (B, in_channels, H, W) in [0, 1].
            image_sizes: (height, width) of each image inside its padding; what lies outside is set to the
                mean grey, as torchvision and Detectron2 pad. None: nothing is padding.

        Raises:
            ValueError: the images have another number of channels.
        """
        c3, c4, c5 = self.body_maps(self.normalised(images, image_sizes))
        pyramid: dict[str, Tensor] = self.fpn({"0": c3, "1": c4, "2": c5})
        return pyramid

    def normalised(self, images: Tensor, image_sizes: list[tuple[int, int]] | None = None) -> Tensor:
        """Three normalised channels (B, 3, H, W), 0 in the padding."""
        check_channels(images, self.in_channels)
        # Python numbers, not buffers: exact in every dtype, no copy to the device.
        x = torch.cat(
            [(images[:, i % self.in_channels, None] - self.mean[i]) / self.sd[i] for i in range(3)], dim=1
        )
        if image_sizes is not None:
            for index, (height, width) in enumerate(image_sizes):
                x[index, :, height:] = 0.0
                x[index, :, :, width:] = 0.0
        return x


def batch_norms(module: nn.Module) -> Iterator[nn.BatchNorm2d]:
    """Every batch norm inside `module`, in order."""
    return (layer for layer in module.modules() if isinstance(layer, nn.BatchNorm2d))


def at_least_float32(values: Tensor) -> Tensor:
    """Half-precision numbers as float32, others as they are.

    Boxes decoded in bfloat16 are up to 22 px off on a 4096×3328 image, and the focal loss underflows.
    """
    if values.dtype in (torch.bfloat16, torch.float16):
        return values.float()
    return values


def check_choice(name: str, value: object, choices: tuple[object, ...]) -> None:
    """Raises ValueError where `value` is none of `choices`."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(str, choices))}, got {value!r}.")


def check_channels(images: Tensor, in_channels: int) -> None:
    """Refuses what is no batch (B, in_channels, H, W).

    Raises:
        ValueError: another shape.
    """
    if images.dim() != 4 or images.shape[1] != in_channels:
        raise ValueError(
            f"the network takes images of shape (B, {in_channels}, H, W), got {list(images.shape)}. "
            "Convert the images, or build the network with in_channels=1 (grey) or 3 (RGB)."
        )
