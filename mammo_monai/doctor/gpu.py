"""Graphics processors: what the driver sees, what torch can use, and whether a calculation on it is right."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from mammo_monai.doctor.child import Step
from mammo_monai.doctor.findings import Finding, Level
from mammo_monai.doctor.gpu_facts import Device, Driver, Torch, driver_facts, torch_facts

KIND = "gpu"
CUDA_TORCH = (
    "python -m pip install --force-reinstall torch torchvision  # PyTorch's page lists the CUDA of each"
)
ON_PROCESSOR = "CUDA_VISIBLE_DEVICES=-1 mammo-monai …"
BF16_CAPABILITY = (8, 0)  # Ampere: CUDA C++ Programming Guide, "Arithmetic Instructions"
LOW_MEMORY_GB = 6.0  # batches of the ResNet-50 recipes; an estimate, not a measurement


def findings(_: Mapping[str, Any]) -> Iterator[Finding | Step]:
    """All of this kind."""
    yield Step.begun("asking the driver", "nvidia-smi")
    driver = driver_facts()
    yield Step.begun("torch.cuda", ON_PROCESSOR)
    yield from gpu_findings(driver, torch_facts(), os.environ.get("CUDA_VISIBLE_DEVICES"))


def gpu_findings(driver: Driver, torch: Torch, visible: str | None) -> Iterator[Finding]:
    """What the facts mean.

    Args:
        visible: the variable CUDA_VISIBLE_DEVICES; None where it is not set.
    """
    if torch.error:
        why = "What torch would see is not known."
        fix = "mammo-monai doctor --only environment"
        yield Finding(KIND, "torch", Level.WARNING, f"cannot be imported: {torch.error}", why, fix)
    elif torch.devices:
        for number, device in enumerate(torch.devices):
            yield device_finding(number, device, torch)
    elif driver.names or driver.version:
        yield _unused(driver, torch, visible)
    elif torch.has_mps:
        note = "Bundles choose CUDA or the processor; --device mps is not tested."
        yield Finding(KIND, "GPU", Level.OK, "an Apple GPU (MPS)", note)
    else:
        note = (
            "All runs on the processor: marking is a matter of seconds per image, ResNet-50 trains for days."
        )
        yield Finding(KIND, "GPU", Level.OK, "none seen", note)


def _unused(driver: Driver, torch: Torch, visible: str | None) -> Finding:
    """The driver sees a GPU, torch none: why."""
    seen = ", ".join(driver.names) or "a driver without a device"
    text = f"{seen} (driver {driver.version or 'unknown'}); torch {torch.version} sees none"
    why = "All runs on the processor, many times slower."
    if visible is not None and visible.strip() in ("", "-1"):
        return _warned(f"{text}: CUDA_VISIBLE_DEVICES is {visible!r}", why, "unset CUDA_VISIBLE_DEVICES")
    if torch.cuda is None and torch.hip is None:
        return _warned(f"{text}: this torch is built without CUDA", why, CUDA_TORCH)
    if not driver.names:
        fix = "docker run --gpus all …  # with nvidia-container-toolkit; elsewhere: nvidia-smi says why"
        return _warned(f"{text}: no device is handed to this process", why, fix)
    if driver.cuda and torch.cuda and driver.cuda < _numbers(torch.cuda):
        reaches = ".".join(map(str, driver.cuda))
        found = f"{text}: it is built for CUDA {torch.cuda}, the driver reaches CUDA {reaches}"
        return _warned(found, why, f"Update the driver, or take a torch for CUDA {reaches} or older")
    fix = "python -c 'import torch; torch.cuda.init()'  # says why"
    return _warned(f"{text}: {torch.cuda_error or 'no reason given'}", why, fix)


def device_finding(number: int, device: Device, torch: Torch) -> Finding:
    """One device that torch sees: whether it computes, and what it lacks."""
    name = f"cuda:{number}"
    capability = ".".join(map(str, device.capability))
    text = f"{device.name}, {device.total_gb:.0f} GB ({device.free_gb:.0f} free), capability {capability}"
    if torch.hip is None and not is_built_for(device.capability, torch.architectures):
        built = " ".join(torch.architectures)
        why = "Every command would stop at its first calculation: no kernel image is available."
        fix = f"{ON_PROCESSOR}, or a torch whose list has sm_{capability.replace('.', '')}"
        return Finding(
            KIND, name, Level.FAULT, f"{text}; torch {torch.version} is built for {built}", why, fix
        )
    if device.error:
        why = "Every command would stop there, or give wrong marks."
        return Finding(KIND, name, Level.FAULT, f"{text}; a test fails: {device.error}", why, ON_PROCESSOR)
    if device.free_gb < device.total_gb / 4:
        why = "Another process holds most of its memory; training may stop for want of it."
        return Finding(KIND, name, Level.WARNING, text, why, "nvidia-smi  # says which process")
    if device.total_gb < LOW_MEMORY_GB:
        why = "Little memory for training at full size."
        return Finding(KIND, name, Level.WARNING, text, why, "mammo-monai train … --batch_size 2")
    if device.capability < BF16_CAPABILITY and torch.hip is None:
        why = "It has no bfloat16 of its own: slow with precision bf16, which some bundles ask for."
        return Finding(KIND, name, Level.WARNING, text, why, "mammo-monai train … --precision fp16")
    return Finding(KIND, name, Level.OK, f"{text}; computes rightly in float32 and bfloat16")


def is_built_for(capability: tuple[int, int], architectures: tuple[str, ...]) -> bool:
    """Whether code for these architectures runs on a device: its generation's, or older code kept as PTX.

    Source: CUDA C++ Programming Guide, "Binary Compatibility" and "PTX Compatibility".

    >>> is_built_for((8, 6), ("sm_80",)), is_built_for((6, 1), ("sm_70", "compute_70"))
    (True, False)
    """
    if not architectures:
        return True
    for each in architectures:
        kind, _, digits = each.partition("_")
        number = "".join(letter for letter in digits if letter.isdigit())
        built = (int(number[:-1]), int(number[-1]))
        if kind == "compute" and built <= capability:
            return True
        if kind == "sm" and built[0] == capability[0] and built <= capability:
            return True
    return False


def _warned(found: str, why: str, fix: str) -> Finding:
    return Finding(KIND, "GPU", Level.WARNING, found, why, fix)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(each) for each in version.split(".")[:2])
