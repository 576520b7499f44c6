"""What is known of graphics processors: from the driver without torch, and from torch."""

from __future__ import annotations

import ctypes
import subprocess
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

_QUERY = ("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader")
_QUERY_TIMEOUT_S = 10.0
_VERSION_FILE = Path("/proc/driver/nvidia/version")


@dataclass(frozen=True)
class Driver:
    """What the driver says.

    Attributes:
        names: of the devices this process may use. cuda: the newest CUDA it runs, as (12, 8).
    """

    names: tuple[str, ...] = ()
    version: str = ""
    cuda: tuple[int, int] | None = None


@dataclass(frozen=True)
class Device:
    """A device that torch sees; `error` of a small calculation on it, empty where that was right."""

    name: str
    capability: tuple[int, int]
    free_gb: float
    total_gb: float
    error: str = ""


@dataclass(frozen=True)
class Torch:
    """What torch says.

    Attributes:
        error: why it cannot be imported. cuda, hip: what it is built for. cuda_error: why it sees no device.
        architectures: that it has code for, such as sm_80.
    """

    version: str = ""
    cuda: str | None = None
    hip: str | None = None
    architectures: tuple[str, ...] = ()
    devices: tuple[Device, ...] = ()
    has_mps: bool = False
    error: str = ""
    cuda_error: str = ""


def driver_facts() -> Driver:
    """Asks nvidia-smi and the driver's library; nothing there is an empty answer."""
    names, version = list[str](), ""
    try:
        run = subprocess.run(_QUERY, capture_output=True, text=True, timeout=_QUERY_TIMEOUT_S, check=False)
        if run.returncode == 0:
            for line in run.stdout.splitlines():
                name, _, version = (part.strip() for part in line.rpartition(","))
                names.append(name)
    except (OSError, subprocess.SubprocessError):
        pass
    if not version and _VERSION_FILE.is_file():
        words = _VERSION_FILE.read_text(encoding="utf-8", errors="replace").split()
        version = next((word for word in words if word.count(".") >= 1 and word[0].isdigit()), "unknown")
    return Driver(tuple(names), version, _driver_cuda())


def _driver_cuda() -> tuple[int, int] | None:
    """`cuDriverGetVersion`: 12080 is CUDA 12.8."""
    number = ctypes.c_int(0)
    try:
        library = ctypes.CDLL("libcuda.so.1")
        if library.cuDriverGetVersion(ctypes.byref(number)) != 0:
            return None
    except (OSError, AttributeError):
        return None
    return (number.value // 1000, number.value % 1000 // 10)


def torch_facts() -> Torch:
    """Imports torch and tries each device."""
    try:
        torch = import_module("torch")
    except Exception as error:  # a broken torch raises what it likes
        return Torch(error=" ".join(f"{type(error).__name__}: {error}".split())[:200])
    built: dict[str, Any] = {"cuda": torch.version.cuda, "hip": getattr(torch.version, "hip", None)}
    built["has_mps"] = bool(getattr(torch.backends, "mps", None) and torch.backends.mps.is_available())
    version = str(torch.__version__)
    if not torch.cuda.is_available():
        return Torch(version, cuda_error=_cuda_error(torch) if built["cuda"] else "", **built)
    devices = tuple(_device(torch, number) for number in range(torch.cuda.device_count()))
    return Torch(version, architectures=tuple(torch.cuda.get_arch_list()), devices=devices, **built)


def _cuda_error(torch: Any) -> str:
    try:
        torch.cuda.init()
    except Exception as error:
        return " ".join(str(error).split())[:200]
    return ""


def _device(torch: Any, number: int) -> Device:
    about = torch.cuda.get_device_properties(number)
    capability = (about.major, about.minor)
    try:
        free, total = (size / 1e9 for size in torch.cuda.mem_get_info(number))
    except Exception as error:
        return Device(about.name, capability, 0.0, about.total_memory / 1e9, f"{error}"[:200])
    return Device(about.name, capability, free, total, _trial_error(torch, f"cuda:{number}"))


def _trial_error(torch: Any, device: str) -> str:
    """A convolution in float32 and under autocast, against the processor's."""
    try:
        torch.manual_seed(0)
        image, kernel = torch.rand(1, 3, 24, 16), torch.rand(4, 3, 3, 3)
        expected = torch.nn.functional.conv2d(image, kernel)
        found = torch.nn.functional.conv2d(image.to(device), kernel.to(device)).cpu()
        with torch.autocast("cuda", dtype=torch.bfloat16):
            half = torch.nn.functional.conv2d(image.to(device), kernel.to(device)).float().cpu()
        # TF32 keeps 10 bits of the mantissa, bfloat16 7; sums of 27 products of numbers below 1.
        if not torch.allclose(found, expected, rtol=1e-2) or not torch.allclose(half, expected, rtol=5e-2):
            return "a convolution differs from the processor's"
    except Exception as error:
        return " ".join(str(error).split())[:200]
    return ""
