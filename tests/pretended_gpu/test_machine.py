"""The pretended GPU itself: it computes what a processor computes, and refuses what a GPU refuses."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.pretended_gpu.machine import OnGpu, pretended_gpu


@pytest.mark.parametrize(
    ("refused", "words"),
    [
        (lambda x: x + torch.ones(3), "same device"),
        (lambda x: torch.cat([x, torch.ones(3)]), "same device"),
        (lambda x: x + x.to("cuda:1"), r"\['cuda:0', 'cuda:1'\]"),
        (lambda x: torch.ones(3)[x.long()], "indices should be"),
        (lambda x: x.numpy(), "to numpy"),
        (np.asarray, "to numpy"),
        (lambda x: x.to("cpu", non_blocking=True), "before it has arrived"),
        (lambda x: torch.randn(3, device=x.device, generator=torch.Generator()), "for generator"),
    ],
    ids=["sum", "joined", "two GPUs", "indices", "numpy", "array", "not waited for", "generator"],
)
def test_what_a_gpu_refuses_is_refused(refused: Callable[[Tensor], object], words: str) -> None:
    with pretended_gpu(2), pytest.raises((RuntimeError, TypeError), match=words):
        refused(torch.arange(3.0).to("cuda:0"))


def test_numbers_waits_and_gradients_are_those_of_a_processor() -> None:
    layer, x = torch.nn.Linear(3, 2), torch.rand(4, 3)
    layer(x).relu().sum().backward()
    expected = layer.weight.grad.clone()  # type: ignore[union-attr]  # made by the pass before
    with pretended_gpu() as machine:
        layer.to("cuda")
        layer.weight.grad = None
        found = layer(x.to("cuda")).relu()
        found.sum().backward()
        assert found.device == torch.device("cuda", 0)
        assert not machine.waits
        float(found.max())
        found[found > 1].tolist()
        assert machine.waits == {"_local_scalar_dense": 1, "index": 1, "_to_copy": 1}
        assert isinstance(layer.weight.grad, OnGpu)
        assert torch.equal(layer.weight.grad.cpu(), expected)


def test_mixed_precision_is_that_of_cuda_and_loses_what_float16_cannot_hold() -> None:
    with pretended_gpu(), torch.autocast("cuda", dtype=torch.float16):
        x = torch.full((1, 64), 100.0, device="cuda")
        found = torch.nn.functional.linear(x, torch.full((1, 64), 100.0, device="cuda"))
        assert found.dtype == torch.float16
        assert found.isinf().all()
        assert found.softmax(dim=1).dtype == torch.float32


def test_afterwards_there_is_no_gpu() -> None:
    with pretended_gpu():
        assert torch.cuda.is_available()
    assert torch.cuda.is_available() is (torch._C._cuda_getDeviceCount() > 0 if torch.version.cuda else False)
