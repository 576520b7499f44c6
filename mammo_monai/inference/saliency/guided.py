"""Guided back-propagation: through every rectifier only positive gradients, through positive activations.

The rectifiers are met as they are called, whatever their modules' names and wherever a network calls the
function itself, so no layer is exchanged and none needs to be put back. `monai.visualize.GuidedBackpropGrad`
exchanges modules with "relu" in their names; a RetinaNet's here are called act, act1 or conv.2, so it meets
none of them and gives the plain gradient.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

_RELU = {F.relu, F.relu_, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_}
_HARDTANH = {F.hardtanh, F.hardtanh_}
_SMOOTH = (nn.SiLU, nn.GELU, nn.ELU, nn.LeakyReLU, nn.PReLU, nn.Mish, nn.Softplus, nn.Hardswish, nn.Tanh)


class GuidedRectifiers(TorchFunctionMode):
    """While entered, gradients pass rectifiers (ReLU, ReLU6) only where they and the input are positive.

    A forward pass gives the same values as ever. Overwriting rectifiers leave their input alone.

    Attributes:
        n_met: rectifiers called since it was made.

    Source: Springenberg et al., 2015 (Striving for Simplicity), section 3.4.

    >>> x = torch.tensor([-1.0, 2.0, 3.0], requires_grad=True)
    >>> with GuidedRectifiers():
    ...     (torch.relu(x) * torch.tensor([1.0, 1.0, -1.0])).sum().backward()
    >>> x.grad.tolist()
    [0.0, 1.0, 0.0]
    """

    def __init__(self) -> None:
        super().__init__()
        self.n_met = 0

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Calls the function, or its guided form."""
        given = dict(kwargs or {})
        limit = _upper_limit(func, args, given)
        if limit is None:
            return func(*args, **given)
        self.n_met += 1
        return _Guided.apply(args[0] if args else given["input"], limit)


def check_rectified(network: nn.Module) -> None:
    """Refuses a network whose activations are no rectifiers: the method says nothing of them.

    Raises:
        ValueError: names the activation.
    """
    smooth = sorted({type(layer).__name__ for layer in network.modules() if isinstance(layer, _SMOOTH)})
    if smooth:
        raise ValueError(
            f"guided back-propagation is defined for rectifiers (ReLU, ReLU6), this network has "
            f"{', '.join(smooth)}. Use gradcam or occlusion."
        )


def _upper_limit(func: Callable[..., Any], args: tuple[Any, ...], given: Mapping[str, Any]) -> float | None:
    """Where the rectifier a call stands for is cut off; None for any other call."""
    if func in _RELU:
        return math.inf
    if func is F.relu6:
        return 6.0
    if func in _HARDTANH:
        low = args[1] if len(args) > 1 else given.get("min_val", -1.0)
        high = args[2] if len(args) > 2 else given.get("max_val", 1.0)
        return float(high) if low == 0 else None
    return None


class _Guided(torch.autograd.Function):
    """A rectifier from 0 to a limit, with the guided gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, limit: float) -> Tensor:
        ctx.save_for_backward((x > 0) & (x < limit))
        return x.clamp(min=0) if limit == math.inf else x.clamp(0, limit)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (is_open,) = ctx.saved_tensors
        return gradient.clamp(min=0) * is_open, None
