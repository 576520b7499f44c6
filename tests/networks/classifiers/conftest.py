"""torchvision's published files, played by states that a test makes; networks with no fresh parameter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

LOADER = "torchvision.models._api.load_state_dict_from_url"


@pytest.fixture
def publish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Mapping[str, Tensor]], list[str]]:
    """A function that makes a state what torchvision has published, and lists the addresses asked."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))

    def serve(state: Mapping[str, Tensor]) -> list[str]:
        asked: list[str] = []

        def load(url: str, **_: object) -> Mapping[str, Tensor]:
            asked.append(url)
            return state

        monkeypatch.setattr(LOADER, load)
        return asked

    return serve


@torch.no_grad()
def randomised(network: nn.Module, seed: int = 0) -> nn.Module:
    """The network with norms and biases that are not those of a fresh one: a lost one would be seen."""
    generator = torch.Generator().manual_seed(seed)
    for layer in network.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            layer.running_mean.uniform_(-0.2, 0.2, generator=generator)  # type: ignore[union-attr]
            layer.running_var.uniform_(0.5, 2.0, generator=generator)  # type: ignore[union-attr]
            layer.weight.uniform_(0.5, 1.0, generator=generator)
        if isinstance(getattr(layer, "bias", None), Tensor):
            layer.bias.uniform_(-0.1, 0.1, generator=generator)  # type: ignore[operator, union-attr]
    return network


def images(*shape: int, seed: int = 1) -> Tensor:
    """Noise in [0, 1] with a bright disc: (B, C, H, W)."""
    noise = torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 0.5
    rows, cols = torch.meshgrid(torch.arange(shape[2]), torch.arange(shape[3]), indexing="ij")
    disc = ((rows - shape[2] / 3) ** 2 + (cols - shape[3] / 2) ** 2) < (min(shape[2:]) / 4) ** 2
    return noise + 0.5 * disc
