"""torch.compile: free sizes, one compilation for all of them, and a word where it cannot work."""

from __future__ import annotations

import pytest
import torch
from numpy.testing import assert_allclose
from torch import Tensor, nn

from mammo_monai.errors import MammoError
from mammo_monai.inference.runtimes.compiled import compiled_run


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 3, padding=1)

    def forward(self, normalised: Tensor) -> tuple[Tensor, ...]:
        return (self.conv(normalised).relu() + 1,)


def test_all_sizes_of_a_batch_share_one_compilation() -> None:
    compiled = 0

    def counting(graph: torch.fx.GraphModule, _: object) -> object:
        nonlocal compiled
        compiled += 1
        return graph.forward

    core = Small().eval()
    run = compiled_run(core, backend=counting)  # type: ignore[arg-type]  # torch takes functions as well
    with torch.inference_mode():
        for size in ((2, 3, 128, 256), (3, 3, 384, 128), (5, 3, 256, 640)):
            pixels = torch.rand(size)
            assert_allclose(run(pixels)[0], core(pixels)[0], rtol=1e-5, atol=1e-6)
    assert compiled == 1


def test_without_a_compiler_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(MammoError, match=r"engine compile needs a C\+\+ compiler .* take engine onnx"):
        compiled_run(Small())
