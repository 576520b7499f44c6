"""Mixed precision by name: which dtype autocast uses, on which device, and whether losses must be scaled."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Literal, cast

import torch

Precision = Literal["fp32", "bf16", "fp16"]
_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def check_precision(precision: str, device: torch.device) -> Precision:
    """The precision, verified for a device.

    Raises:
        ValueError: an unknown name, or fp16 away from a GPU, where its narrow range overflows unscaled.
    """
    if precision not in ("fp32", *_DTYPES):
        raise ValueError(f"precision must be fp32, bf16 or fp16, got {precision!r}.")
    if precision == "fp16" and device.type != "cuda":
        raise ValueError(f"precision fp16 needs a CUDA device, got {device}. Use bf16 or fp32.")
    return cast(Precision, precision)


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """A context in which matrix work runs in `precision`; fp32 changes nothing."""
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, dtype=_DTYPES[precision])
