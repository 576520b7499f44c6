"""Layers on top of a patch classifier: what a whole-image classifier adds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torchvision.models.resnet import Bottleneck

from mammo_monai.networks.classifiers.backbones import draw_convolutions

TopName = Literal["resnet", "vgg"]
TopNorm = Literal["batch", "group"]
TOPS: tuple[TopName, ...] = ("resnet", "vgg")
TOP_NORMS: tuple[TopNorm, ...] = ("batch", "group")
NORM_GROUPS = 8
# Parts of the heatmap that are kept, and the dense layers on them. Source: Shen et al., 2019, in their code
# (as we recall it): pooling 5 x 5 of the 30 x 22 windows of 1152 x 896 px, dense layers of 64 and 32.
POOLED_CELLS = (6, 4)
POOLED_WIDTHS = (64, 32)


class AddedNorm(_BatchNorm):
    """A batch norm of layers drawn anew, frozen only with its own weights.

    No `BatchNorm2d`: `Network.frozen_norm` keeps the statistics that came with weights, and here none came.
    """

    def _check_input_dim(self, input: Tensor) -> None:  # torch's name for the features
        if input.dim() not in (2, 4):
            raise ValueError(f"expected features (B, C) or (B, C, H, W), got {list(input.shape)}.")


def convolutional_top(
    channels: int, top: TopName, widths: tuple[int, ...], *, repetitions: int, norm: TopNorm
) -> tuple[nn.Sequential, int]:
    """One block per width, each halving the map, and the channels that leave the last.

    resnet: `repetitions` bottleneck blocks of [width, width, 4 x width], the first of stride 2.
    vgg: `repetitions` 3 x 3 convolutions of `width`, then 2 x 2 max pooling.

    Source: Shen et al., 2019, § "Converting a patch classifier to recognize whole images", Table 3.
    """
    layers: list[nn.Module] = []
    for width in widths:
        layers.append(_BLOCKS[top](channels, width, repetitions, norm))
        channels = width * Bottleneck.expansion if top == "resnet" else width
    made = nn.Sequential(*layers)
    draw_convolutions(made)
    return made, channels


def pooled_heatmap_top(channels: int, *, norm: TopNorm, dropout: float) -> tuple[nn.Sequential, int]:
    """The largest scores in each of 6 x 4 parts of a heatmap, and two dense layers; and their last width.

    Parts, not windows of 5 x 5 as in the source: the dense layers then take images of every size.
    """
    layers: list[nn.Module] = [nn.AdaptiveMaxPool2d(POOLED_CELLS), nn.Flatten()]
    width = channels * POOLED_CELLS[0] * POOLED_CELLS[1]
    for following in POOLED_WIDTHS:
        linear = nn.Linear(width, following)
        nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
        nn.init.zeros_(linear.bias)
        layers += [linear, _norm(norm)(following), nn.ReLU(inplace=True), nn.Dropout(dropout)]
        width = following
    return nn.Sequential(*layers), width


def _residual_blocks(channels: int, width: int, repetitions: int, norm: TopNorm) -> nn.Sequential:
    outputs = width * Bottleneck.expansion
    shortcut = nn.Sequential(
        nn.Conv2d(channels, outputs, kernel_size=1, stride=2, bias=False), _norm(norm)(outputs)
    )
    first = Bottleneck(channels, width, stride=2, downsample=shortcut, norm_layer=_norm(norm))
    others = [Bottleneck(outputs, width, norm_layer=_norm(norm)) for _ in range(repetitions - 1)]
    return nn.Sequential(first, *others)


def _vgg_block(channels: int, width: int, repetitions: int, norm: TopNorm) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(repetitions):
        convolution = nn.Conv2d(channels, width, kernel_size=3, padding=1, bias=False)
        layers += [convolution, _norm(norm)(width), nn.ReLU(inplace=True)]
        channels = width
    # Rounded up: a map of one cell stays one.
    return nn.Sequential(*layers, nn.MaxPool2d(2, ceil_mode=True))


def _norm(norm: TopNorm) -> Callable[[int], nn.Module]:
    return AddedNorm if norm == "batch" else _group_norm


def _group_norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(NORM_GROUPS, channels)


_BLOCKS: dict[TopName, Callable[[int, int, int, TopNorm], nn.Sequential]] = {
    "resnet": _residual_blocks,
    "vgg": _vgg_block,
}
