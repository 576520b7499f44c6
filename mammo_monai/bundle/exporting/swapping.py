"""An inferer whose network is computed by another run for a while: to compare, and to see what goes in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mammo_monai.inference import Inferer, Prediction
from mammo_monai.inference.runtimes.cores import (
    BackboneMaps,
    HeadMaps,
    Run,
    core_of,
    network_around,
    torch_run,
)


@dataclass(frozen=True, eq=False)
class Swappable:
    """The network of an inferer on engine torch, what an engine computes of it, and where it is put in.

    Attributes:
        core: see `runtimes.cores`.
    """

    inferer: Inferer
    network: nn.Module
    core: HeadMaps | BackboneMaps
    _holder: nn.Module
    _name: str

    @contextmanager
    def computed_by(self, run: Run) -> Iterator[Inferer]:
        """The inferer with its core computed by `run`; as it was afterwards."""
        own = getattr(self._holder, self._name)
        around: Any = network_around(self.network, run)
        self._holder._modules[self._name] = around if self._name == "network" else around.backbone
        try:
            yield self.inferer
        finally:
            self._holder._modules[self._name] = own

    def inputs_of(self, image: Tensor, run: Run | None = None) -> tuple[Prediction, list[Tensor]]:
        """The answer to one image, by torch or by `run`, and what its core was given: normalised tensors."""
        given: list[Tensor] = []
        answer = run or torch_run(self.core)

        def recording(normalised: Tensor) -> list[Tensor]:
            given.append(torch.clone(normalised))
            return answer(normalised)

        with self.computed_by(recording) as inferer:
            return inferer(image), given


def swappable(inferer: Inferer) -> Swappable:
    """The inferer of a bundle, ready to be computed by something else.

    Raises:
        TypeError: a network of which nothing is known to leave torch.
    """
    model: Any = getattr(inferer, "detector", None) or getattr(inferer, "classifier", None)
    network: nn.Module = model.network
    core = core_of(network).eval()
    if isinstance(core, HeadMaps):
        return Swappable(inferer, network, core, model, "network")
    return Swappable(inferer, network, core, network, "backbone")
