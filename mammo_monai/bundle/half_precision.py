"""A network's tensors in half the bytes: float16, and float32 where float16 would change them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

# float16 rounds normal numbers by 2^-11 = 4.9e-4 at most; above this, its range was left.
MAX_RELATIVE_CHANGE = 1e-3


def halved(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors in float16; those that float16 would change by more than 1e-3 stay in float32.

    Vectors (biases; weights, means and variances of norms) are judged number by number: a variance of 1e-15
    would become 0. Kernels are judged whole, by the norm of the change: kernels of photographs hold channels
    that are dead (1e-20), and would keep a quarter of a network in float32 for them. Whole numbers stay.

    >>> kept = halved({"running_var": torch.tensor([1.0, 1e-15]), "weight": torch.tensor([[1.0, 1e-15]])})
    >>> kept["running_var"].dtype, kept["weight"].dtype
    (torch.float32, torch.float16)
    """
    return {name: _halved(value) for name, value in state.items()}


def relative_change(value: Tensor, other: Tensor) -> float:
    """Largest change of a vector's numbers, or the norm of a kernel's change, relative to the value.

    Returns:
        0 where both are 0; infinite where `other` is not finite.

    >>> round(relative_change(torch.tensor([2.0, 4.0]), torch.tensor([2.0, 5.0])), 2)
    0.25
    """
    before = value.detach().double().reshape(-1, 1) if value.dim() < 2 else value.detach().double()
    change = (other.detach().double().reshape(before.shape) - before).abs()
    if value.dim() >= 2:
        change, before = change.norm().reshape(1), before.norm().reshape(1)
    worst = torch.where(change == 0, 0.0, change / before.abs())
    return float(worst.nan_to_num(nan=torch.inf).max()) if worst.numel() else 0.0


def _halved(value: Tensor) -> Tensor:
    if not value.is_floating_point():
        return value
    small = value.half()
    return small if relative_change(value, small) <= MAX_RELATIVE_CHANGE else value.float()
