"""Depthwise convolution with a faster bfloat16 gradient on a CPU than torch's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from typing_extensions import Self


class DepthwiseConv2d(nn.Conv2d):
    """A depthwise convolution with TensorFlow's "same" padding: ceil(size / stride) outputs per axis.

    torch's CPU kernel for the bfloat16 gradient is slow where the kernel is 5×5 or the stride 2 (five to ten
    times a forward pass); there the gradient is put together from faster kernels. All else is torch's own,
    also after `torch.jit.script`, and on a GPU. What it saves: `scripts/bench/bench_training_step.py`.
    """

    @classmethod
    def like(cls, other: nn.Conv2d) -> Self:
        """The same layer with the same parameters; whatever its padding, this one's is "same".

        Raises:
            ValueError: the layer is not depthwise, or dilated, or does not pad with zeros.
        """
        _check_depthwise(other)
        made = cls(
            other.in_channels,
            other.out_channels,
            cast(tuple[int, int], other.kernel_size),
            cast(tuple[int, int], other.stride),
            groups=other.groups,
            bias=other.bias is not None,
        )
        made.weight, made.bias = other.weight, other.bias
        return made

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, ceil(H / stride), ceil(W / stride))."""
        # Added rows and columns; what is uneven is padded here, the rest by the convolution itself.
        rows = same_padding(x.shape[2], self.kernel_size[0], self.stride[0])
        cols = same_padding(x.shape[3], self.kernel_size[1], self.stride[1])
        padding = [rows // 2, cols // 2]
        if rows % 2 or cols % 2:
            x = F.pad(x, [cols // 2, cols - cols // 2, rows // 2, rows - rows // 2])
            padding = [0, 0]
        if torch.jit.is_scripting():  # type: ignore[attr-defined]
            return F.conv2d(x, self.weight, self.bias, self.stride, padding, groups=self.groups)
        if not self._has_slow_gradient(x):
            return F.conv2d(x, self.weight, self.bias, self.stride, padding, groups=self.groups)
        weight = self.weight.to(torch.bfloat16)
        found: Tensor = _CpuDepthwise.apply(x.to(torch.bfloat16), weight, self.stride, padding)
        return found if self.bias is None else found + self.bias[:, None, None].to(found.dtype)

    @torch.jit.unused
    def _has_slow_gradient(self, x: Tensor) -> bool:
        is_wide = self.kernel_size[0] > 3 or self.stride[0] > 1
        return is_wide and x.device.type == "cpu" and torch.is_grad_enabled() and self._is_bfloat16(x)

    @torch.jit.unused
    def _is_bfloat16(self, x: Tensor) -> bool:
        """Whether torch would compute in bfloat16; autocast leaves float64 alone."""
        dtypes = {x.dtype, self.weight.dtype}
        if torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16:
            return torch.float64 not in dtypes
        return dtypes == {torch.bfloat16}


def same_padding(size: int, kernel: int, stride: int) -> int:
    """Pixels added along an axis, the odd one at its end; by remainders, which torch.export can follow.

    Source: TensorFlow, tf.nn, notes on padding "SAME".

    >>> same_padding(7, 5, 2), same_padding(8, 5, 2)
    (4, 3)
    """
    rest = size % stride
    return max(0, kernel - (stride if rest == 0 else rest))


class _CpuDepthwise(torch.autograd.Function):
    """Forward as torch; the weight's gradient in float32, at stride 1 the input's by a forward pass."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: tuple[int, int], padding: list[int]) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.padding = list(stride), list(padding)
        return F.conv2d(x, weight, None, stride, padding, groups=x.shape[1])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        x, weight = ctx.saved_tensors
        wants_x, wants_weight = ctx.needs_input_grad[:2]
        by_x = by_weight = None
        if wants_x and ctx.stride == [1, 1]:
            border = [k - 1 - p for k, p in zip(weight.shape[2:], ctx.padding, strict=True)]
            by_x = F.conv2d(gradient, weight.flip(2, 3), padding=border, groups=x.shape[1])
        elif wants_x:
            by_x = _gradient(ctx, gradient.float(), x, weight, 0).to(x.dtype)
        if wants_weight:
            by_weight = _gradient(ctx, gradient.float(), x, weight, 1).to(weight.dtype)
        return by_x, by_weight, None, None


def _gradient(ctx: Any, gradient: Tensor, x: Tensor, weight: Tensor, which: int) -> Tensor:
    """By the input (`which` 0) or by the weight (1), from torch's float32 kernel."""
    mask = [which == 0, which == 1, False]
    found: Tensor = torch.ops.aten.convolution_backward(
        gradient, x.float(), weight.float(), None, ctx.stride, ctx.padding, [1, 1], False, [0, 0],
        x.shape[1], mask,
    )[which]  # fmt: skip
    return found


def _check_depthwise(layer: nn.Conv2d) -> None:
    is_depthwise = layer.groups == layer.in_channels == layer.out_channels
    if not is_depthwise or set(layer.dilation) != {1} or layer.padding_mode != "zeros":
        raise ValueError(
            "a depthwise layer has as many groups as input and output channels, dilation 1 and zero padding; "
            f"got {layer}. Keep that layer as it is."
        )
