"""Figures of a batch that several processes share: what makes their averaged gradient that of one process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor, distributed

_counts: ContextVar[bool] = ContextVar("counts", default=True)


def process_count() -> int:
    """How many processes share a batch: those of the process group, 1 without one."""
    is_joined = distributed.is_available() and distributed.is_initialized()
    return distributed.get_world_size() if is_joined else 1


def mean_over_processes(value: Tensor) -> Tensor:
    """The mean of a figure over all processes, without a gradient; `value` itself where there is one process.

    A loss that each process sums over its share and divides by the mean of all shares' counts has, averaged
    over processes, the value and the gradient of the whole batch: (1/W) Σ sᵣ / (Σ nᵣ / W) = Σ sᵣ / Σ nᵣ.
    Every process must call it equally often: a loss is computed by all of them or by none.

    >>> mean_over_processes(torch.tensor(3.0))
    tensor(3.)
    """
    if process_count() == 1:
        return value
    total = value.detach().to(torch.float64 if value.dtype == torch.float64 else torch.float32, copy=True)
    if not _counts.get():
        total.zero_()
    distributed.all_reduce(total)
    return total / process_count()


@contextmanager
def stand_in() -> Iterator[None]:
    """Inside, this process brings nothing to the figures: its share of a batch is empty, it only keeps step.

    What it computes meanwhile must not count either: multiply its loss by 0.
    """
    token = _counts.set(False)
    try:
        yield
    finally:
        _counts.reset(token)


def largest_over_processes(sides: tuple[int, int], device: torch.device) -> tuple[int, int]:
    """The largest height and width of all processes' images; `sides` where there is one process.

    Padding has anchors, and a share of every group norm: a batch must be padded as one process would pad it.
    """
    if process_count() == 1:
        return sides
    largest = torch.tensor(sides, device=device)
    distributed.all_reduce(largest, distributed.ReduceOp.MAX)
    height, width = largest.tolist()
    return int(height), int(width)
