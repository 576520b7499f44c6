"""torch.hub without a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

LOADER = "torchvision.models._api.load_state_dict_from_url"
Calls = list[tuple[str, dict[str, Any]]]
Serve = Callable[[Mapping[str, Tensor]], Calls]


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder of torch.hub."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    folder = tmp_path / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Serve:
    """Lets torchvision fetch a state instead of a file; gives the calls, as they come."""

    def serve(state: Mapping[str, Tensor]) -> Calls:
        calls: Calls = []

        def load(url: str, **kwargs: Any) -> Mapping[str, Tensor]:
            calls.append((url, kwargs))
            return state

        monkeypatch.setattr(LOADER, load)
        return calls

    return serve
