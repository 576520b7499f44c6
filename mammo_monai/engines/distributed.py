"""Several processes, one run: starting them, wrapping the network, gathering what each has found."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from mammo_monai.networks.contract import Classifier, Detector
from mammo_monai.networks.several_processes import process_count

logger = logging.getLogger(__name__)
T = TypeVar("T")
M = TypeVar("M", bound="Detector | Classifier")


def process_device() -> torch.device:
    """Joins the process group that `torchrun` describes; returns this process's device.

    One GPU per process with NCCL, or the CPU with Gloo without a GPU. Calling it again changes nothing.

    Raises:
        RuntimeError: not started by `torchrun`, or with more processes than GPUs.
    """
    if "LOCAL_RANK" not in os.environ:
        raise RuntimeError(
            "several processes are started by torchrun: torchrun --nproc_per_node N -m monai.bundle …"
        )
    device = _own_device(int(os.environ["LOCAL_RANK"]))
    if device.type == "cuda":
        torch.cuda.set_device(device)  # before the group: NCCL sends what is no tensor through this GPU
    if not distributed.is_initialized():
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
        logger.info("process %d of %d", distributed.get_rank(), distributed.get_world_size())
    return device


def _own_device(local_rank: int) -> torch.device:
    if not torch.cuda.is_available():
        return torch.device("cpu")
    count = torch.cuda.device_count()
    if local_rank >= count:
        raise RuntimeError(
            f"expected a GPU for every process on this machine, got process {local_rank + 1} and {count} "
            f"GPUs. Give --nproc_per_node {count}, or show torch more (CUDA_VISIBLE_DEVICES; of a GPU in "
            "parts, MIG, it uses one part)."
        )
    return torch.device("cuda", local_rank)


def leave_process_group() -> None:
    """Ends this process's part in the group, if it is in one."""
    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()


def distributed_model(model: M, optimizer: torch.optim.Optimizer, device: torch.device) -> M:
    """The detector or classifier, changed in place: gradients of its network are averaged over processes.

    Args:
        optimizer: only asked for so that it exists first: making it freezes layers, and what is frozen now is
            not averaged.

    Raises:
        ValueError: everything is frozen.
    """
    if not any(group["params"] for group in optimizer.param_groups):
        raise ValueError("the optimizer trains no parameter: choose another freezing policy.")
    trains_all = all(parameter.requires_grad for parameter in model.network.parameters())
    model.network = DistributedDataParallel(
        model.network,
        device_ids=[device] if device.type == "cuda" else None,
        find_unused_parameters=not trains_all,
    )
    return model


def unwrapped(network: nn.Module) -> nn.Module:
    """The network itself, whether or not `DistributedDataParallel` wraps it."""
    return network.module if isinstance(network, DistributedDataParallel) else network


@contextmanager
def evaluated_alone(model: Detector | Classifier) -> Iterator[None]:
    """Takes the wrapper off the network inside: a process evaluates without waiting for the others.

    The wrapper sends the first process's buffers (statistics of batch norms) round before every pass, and
    processes with unlike many passes would wait for each other forever. Here they are sent once, at the
    start: all evaluate the same network, the one whose weights are kept. Every process must enter.
    """
    wrapped = model.network
    model.network = unwrapped(wrapped)
    if process_count() > 1:
        for buffer in model.network.buffers():
            distributed.broadcast(buffer, 0)
    try:
        yield
    finally:
        model.network = wrapped


def gather_lists(own: list[T]) -> list[T]:
    """The lists of all processes, joined in their order; `own` where there is one process."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return own
    gathered: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(gathered, own)
    return [each for part in gathered for each in part]


def is_first_process() -> bool:
    """Whether this process writes the files."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank() == 0
    return os.environ.get("RANK", "0") == "0"  # of torchrun, before the group is joined
