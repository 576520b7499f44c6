"""Which engine computes a network, at which precision: the words, and which of them go together."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Literal, get_args

import torch

from mammo_monai.errors import MammoError
from mammo_monai.inference.precision import Precision, check_precision

EngineName = Literal["torch", "compile", "onnx", "openvino"]
InferencePrecision = Literal["fp32", "bf16", "fp16", "int8"]

# Where an engine computes in its own library, the precisions it has; torch's come from autocast.
PRECISIONS: dict[EngineName, tuple[InferencePrecision, ...]] = {
    "onnx": ("fp32",),
    "openvino": ("fp32", "bf16", "int8"),
}
PACKAGES: dict[EngineName, tuple[str, ...]] = {
    "onnx": ("onnx", "onnxruntime"),
    "openvino": ("onnx", "openvino"),
}


def check_choice_of_engine(engine: str, precision: str) -> None:
    """Refuses words that name no engine or precision, and pairs that do not go together.

    Raises:
        ValueError: the message names what there is.

    >>> check_choice_of_engine("onnx", "bf16")
    Traceback (most recent call last):
    ...
    ValueError: engine onnx computes in fp32, got precision 'bf16'. Take one of these, or another engine.
    """
    if engine not in get_args(EngineName):
        raise ValueError(f"engine must be one of {', '.join(get_args(EngineName))}, got {engine!r}.")
    if precision not in get_args(InferencePrecision):
        words = ", ".join(get_args(InferencePrecision))
        raise ValueError(f"precision must be one of {words}, got {precision!r}.")
    there = PRECISIONS.get(engine, ("fp32", "bf16", "fp16"))  # type: ignore[call-overload]  # checked above
    if precision not in there:
        raise ValueError(
            f"engine {engine} computes in {', '.join(there)}, got precision {precision!r}. Take one of "
            "these, or another engine."
        )


def torch_precision(engine: EngineName, precision: InferencePrecision, device: torch.device) -> Precision:
    """The precision of autocast around a call: fp32, that is none, where the engine has its own.

    Raises:
        ValueError: the device cannot, or the engine runs on the CPU alone.
    """
    if engine in PRECISIONS:
        if device.type != "cpu":
            raise ValueError(
                f"engine {engine} runs on the CPU, the network is on {device}. Give --device cpu, or engine "
                "torch or compile."
            )
        return "fp32"
    return check_precision(precision, device)


def check_packages(engine: EngineName) -> None:
    """Refuses an engine whose packages are not installed.

    Raises:
        MammoError: the message names what to install.
    """
    missing = [name for name in PACKAGES.get(engine, ()) if find_spec(name) is None]
    if missing:
        raise MammoError(
            f"engine {engine} needs the package {', '.join(missing)}: "
            f"pip install 'mammo-monai[{engine}]'. Or take engine torch."
        )
