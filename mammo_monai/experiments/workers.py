"""What each worker's processes get of the machine: a GPU where there are several, a share of the threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

import torch

DEVICES, THREADS = "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS"


def gpu_count() -> int:
    """GPUs that a step of this environment would see; 0 without any.

    Asked of torch, not of a driver's tool: what the steps see is what torch sees. No context is made.
    """
    return int(torch.cuda.device_count())


def worker_variables(
    workers: int, variables: Mapping[str, str], count: Callable[[], int] = gpu_count
) -> list[dict[str, str]]:
    """Variables of the environment that each worker's processes get beside this process's own.

    Each gets one GPU in turn, of those in CUDA_VISIBLE_DEVICES or, where that is not set, of all; and an
    equal share of the processors' threads unless OMP_NUM_THREADS is set. One worker gets all there is.

    Args:
        workers: runs at a time. variables: of this process's environment.
        count: how many GPUs there are; asked only where CUDA_VISIBLE_DEVICES is not set.

    >>> worker_variables(2, {"CUDA_VISIBLE_DEVICES": "4,5", "OMP_NUM_THREADS": "4"})
    [{'CUDA_VISIBLE_DEVICES': '4'}, {'CUDA_VISIBLE_DEVICES': '5'}]
    >>> worker_variables(3, {"OMP_NUM_THREADS": "4"}, lambda: 2)
    [{'CUDA_VISIBLE_DEVICES': '0'}, {'CUDA_VISIBLE_DEVICES': '1'}, {'CUDA_VISIBLE_DEVICES': '0'}]
    """
    given: list[dict[str, str]] = [{} for _ in range(workers)]
    if workers == 1:
        return given
    listed = variables.get(DEVICES)
    devices = (
        [str(n) for n in range(count())]
        if listed is None
        else [each.strip() for each in listed.split(",") if each.strip()]
    )
    for n, each in enumerate(given):
        if THREADS not in variables:
            each[THREADS] = str(max(1, (os.cpu_count() or 1) // workers))
        if len(devices) > 1:
            each[DEVICES] = devices[n % len(devices)]
    return given
