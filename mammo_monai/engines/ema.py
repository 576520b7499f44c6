"""Exponential moving average of a network's weights: often the better model, at no cost while predicting."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """Running average of the floating-point weights and buffers of a network.

    The decay grows from 0.18 towards `decay` as `(1 + n) / (10 + n)`: the random start is soon forgotten.

    Args:
        network: the network that trains; read after every step.
        decay: share of the old average kept at each step, in (0, 1).

    Raises:
        ValueError: `decay` outside (0, 1).

    Source: warm-up of the decay as in TensorFlow's ExponentialMovingAverage(num_updates).
    """

    def __init__(self, network: nn.Module, decay: float = 0.998) -> None:
        if not 0 < decay < 1:
            raise ValueError(f"decay must lie between 0 and 1, got {decay}.")
        self.decay = decay
        self.updates = 0
        self._average = {name: value.detach().clone() for name, value in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Takes one step of the average towards the network as it is now."""
        self.updates += 1
        weight = 1 - min(self.decay, (1 + self.updates) / (10 + self.updates))
        followed, own = [], []
        for name, value in network.state_dict().items():
            average = self._average[name]
            if average.is_floating_point():
                followed.append(average)
                own.append(value.to(average.device))
            else:
                average.copy_(value)
        torch._foreach_lerp_(followed, own, weight)  # one launch on a GPU, not one per tensor

    @contextmanager
    def applied_to(self, network: nn.Module) -> Iterator[None]:
        """Gives the network the averaged weights inside the block, and its own back after it."""
        own = {name: value.detach().clone() for name, value in network.state_dict().items()}
        network.load_state_dict(self._average)
        try:
            yield
        finally:
            network.load_state_dict(own)

    def state_dict(self) -> dict[str, object]:
        """What `load_state_dict` needs to go on."""
        return {"updates": self.updates, "average": self._average}

    def load_state_dict(self, state: dict[str, object]) -> None:
        """Goes on from a saved average; tensors are copied onto the devices in use."""
        average: dict[str, Tensor] = state["average"]  # type: ignore[assignment]  # written by state_dict
        self.updates = int(state["updates"])  # type: ignore[call-overload]  # written by state_dict
        for name, value in average.items():
            self._average[name].copy_(value)
