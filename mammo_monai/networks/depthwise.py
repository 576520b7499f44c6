"""Depthwise convolution whose bfloat16 gradient on a CPU takes a third of the time of torch's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from typing_extensions import Self


class DepthwiseConv2d(nn.Conv2d):
    """A depthwise convolution with TensorFlow's "same" padding: ceil(size / stride) outputs per axis.

    torch's CPU kernel for the bfloat16 gradient is slow where the kernel is 5×5 or the stride 2 (five to ten
    times a forward pass); there the gradient is put together from faster kernels. All else is torch's own.
    """

    @classmethod
    def like(cls, other: nn.Conv2d) -> Self:
        """The same layer with the same parameters; its padding must be "same"."""
        made = cls(
            other.in_channels,
            other.out_channels,
            other.kernel_size,  # type: ignore[arg-type]  # two numbers, torch says any
            other.stride,  # type: ignore[arg-type]
            groups=other.groups,
            bias=other.bias is not None,
        )
        made.weight, made.bias = other.weight, other.bias
        return made

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, ceil(H / stride), ceil(W / stride))."""
        x, padding = self._padded(x)
        if not self._has_slow_gradient(x):
            return F.conv2d(x, self.weight, self.bias, self.stride, padding, groups=self.groups)
        weight = self.weight.to(torch.bfloat16)
        found: Tensor = _CpuDepthwise.apply(x.to(torch.bfloat16), weight, self.stride, padding)
        return found if self.bias is None else found + self.bias[:, None, None].to(found.dtype)

    def _padded(self, x: Tensor) -> tuple[Tensor, list[int]]:
        """The input, and the padding the convolution does itself; what is uneven is padded here."""
        low, high = [0, 0], [0, 0]
        for axis in range(2):
            size, kernel, stride = x.shape[2 + axis], self.kernel_size[axis], self.stride[axis]
            missing = max(0, ((size - 1) // stride) * stride + kernel - size)
            low[axis], high[axis] = missing // 2, missing - missing // 2
        if low != high:
            return F.pad(x, [low[1], high[1], low[0], high[0]]), [0, 0]
        return x, low

    def _has_slow_gradient(self, x: Tensor) -> bool:
        is_bfloat16 = x.dtype == torch.bfloat16 or (
            torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16
        )
        is_wide = self.kernel_size[0] > 3 or self.stride[0] > 1
        return x.device.type == "cpu" and is_bfloat16 and is_wide and torch.is_grad_enabled()


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
