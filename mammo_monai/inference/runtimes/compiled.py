"""torch.compile: a network's core as generated code, once for all sizes."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from mammo_monai.errors import MammoError

if TYPE_CHECKING:
    from mammo_monai.inference.runtimes.cores import Run

_COMPILERS = ("g++", "c++", "clang++", "cl")


def compiled_run(core: nn.Module, *, backend: str = "inductor") -> Run:
    """What computes a core compiled with free sizes: twice (one image, several), not for each size.

    The first call of either takes a minute or more; torch keeps what it generates between processes.

    Raises:
        MammoError: torch finds no C++ compiler.
    """
    if backend == "inductor" and not _compiler():
        raise MammoError(
            f"engine compile needs a C++ compiler ({', '.join(_COMPILERS)}, or the one that CXX names), and "
            "none is on the path. Install one, or take engine onnx, openvino or torch."
        )
    function = torch.compile(core, dynamic=True, backend=backend)

    def run(normalised: Tensor) -> list[Tensor]:
        return list(function(normalised))

    return run


def _compiler() -> str | None:
    named = os.environ.get("CXX", "").split(" ")[0]
    return next((found for name in (named, *_COMPILERS) if name and (found := shutil.which(name))), None)
