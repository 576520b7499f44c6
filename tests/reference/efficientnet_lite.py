"""EfficientNet-Lite0 to Lite2 written down from their table, with TensorFlow's padding; slow and obvious.

Source: Tan and Le, 2019 (EfficientNet), Table 1; TensorFlow's EfficientNet-Lite: no squeeze-and-excitation,
ReLU6 in place of swish, batch norm epsilon 0.001. Tensors are named as in TensorFlow's layers.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

# Table 1, stages 2-8: expansion, output channels, blocks, stride of the first block, kernel side: Lite0.
_STAGES = [
    (1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5), (6, 192, 4, 2, 5), (6, 320, 1, 1, 3),
]  # fmt: skip
# Width: times the output channels, to the nearest multiple of 8. Depth: times the blocks, rounded up, but in
# the first and last stage.
_WIDTH_AND_DEPTH = {
    "efficientnet_lite0": (1.0, 1.0),
    "efficientnet_lite1": (1.0, 1.1),
    "efficientnet_lite2": (1.1, 1.2),
}
STEM_CHANNELS = 32
EPSILON = 1e-3

State = dict[str, Tensor]


def stages(lite: str) -> list[tuple[int, int, int, int, int]]:
    """Rows of the table for that Lite."""
    width, depth = _WIDTH_AND_DEPTH[lite]
    last = len(_STAGES) - 1
    return [
        (
            expansion,
            max(8, int(channels * width + 4) // 8 * 8),
            n_blocks if index in (0, last) else math.ceil(n_blocks * depth),
            stride,
            side,
        )
        for index, (expansion, channels, n_blocks, stride, side) in enumerate(_STAGES)
    ]


def feature_maps(state: State, images: Tensor, lite: str = "efficientnet_lite0") -> list[Tensor]:
    """Maps at strides 8, 16 and 32 of normalised images (B, 3, H, W)."""
    x = _relu6(_norm(state, "_bn0", _conv(state, "_conv_stem", images, stride=2)))
    index, maps = 0, []
    for expansion, _, n_blocks, stride, _ in stages(lite):
        for block in range(n_blocks):
            x = _block(state, f"_blocks.{index}.", x, expansion, stride if block == 0 else 1)
            index += 1
        maps.append(x)
    return [maps[2], maps[4], maps[6]]


def random_state(lite: str = "efficientnet_lite0", seed: int = 0) -> State:
    """All tensors of the body in float64, drawn so that maps neither vanish nor grow."""
    generator = torch.Generator().manual_seed(seed)
    shapes = _shapes(lite)
    return {name: _drawn(name, shape, generator) for name, shape in shapes.items()}


def _block(state: State, name: str, x: Tensor, expansion: int, stride: int) -> Tensor:
    y = x
    if expansion > 1:
        y = _relu6(_norm(state, name + "_bn0", _conv(state, name + "_expand_conv", y)))
    y = _conv(state, name + "_depthwise_conv", y, stride=stride, groups=y.shape[1])
    y = _relu6(_norm(state, name + "_bn1", y))
    y = _norm(state, name + "_bn2", _conv(state, name + "_project_conv", y))
    return x + y if x.shape == y.shape else y


def _conv(state: State, name: str, x: Tensor, *, stride: int = 1, groups: int = 1) -> Tensor:
    kernel = state[name + ".weight"]
    height, width = (_added(size, kernel.shape[-1], stride) for size in x.shape[2:])
    x = F.pad(x, (width // 2, width - width // 2, height // 2, height - height // 2))
    return F.conv2d(x, kernel, stride=stride, groups=groups)


def _added(size: int, kernel: int, stride: int) -> int:
    """What lets ceil(size / stride) windows fit."""
    return max(0, (math.ceil(size / stride) - 1) * stride + kernel - size)


def _norm(state: State, name: str, x: Tensor) -> Tensor:
    mean, variance, weight, bias = (
        state[f"{name}.{kind}"][:, None, None] for kind in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / (variance + EPSILON).sqrt() * weight + bias


def _relu6(x: Tensor) -> Tensor:
    return x.clamp(0, 6)


def _shapes(lite: str) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {"_conv_stem.weight": (STEM_CHANNELS, 3, 3, 3)}
    _add_norm(shapes, "_bn0", STEM_CHANNELS)
    index, channels = 0, STEM_CHANNELS
    for expansion, out_channels, n_blocks, _, side in stages(lite):
        for _ in range(n_blocks):
            name, wide = f"_blocks.{index}.", channels * expansion
            if expansion > 1:
                shapes[name + "_expand_conv.weight"] = (wide, channels, 1, 1)
                _add_norm(shapes, name + "_bn0", wide)
            shapes[name + "_depthwise_conv.weight"] = (wide, 1, side, side)
            _add_norm(shapes, name + "_bn1", wide)
            shapes[name + "_project_conv.weight"] = (out_channels, wide, 1, 1)
            _add_norm(shapes, name + "_bn2", out_channels)
            index, channels = index + 1, out_channels
    return shapes


def _add_norm(shapes: dict[str, tuple[int, ...]], name: str, channels: int) -> None:
    for kind in ("weight", "bias", "running_mean", "running_var"):
        shapes[f"{name}.{kind}"] = (channels,)


def _drawn(name: str, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    value = torch.randn(shape, generator=generator, dtype=torch.float64)
    if len(shape) > 1:
        return value * math.sqrt(2 / math.prod(shape[1:]))
    if name.endswith(("running_var", ".weight")):
        return 1 + 0.2 * value.clamp(-3, 3)
    return 0.2 * value
