"""Python, system and packages: versions, copies, and whether the compiled ones load and fit together."""

from __future__ import annotations

import platform
import re
import struct
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import mammo_monai
from mammo_monai.doctor import versions
from mammo_monai.doctor.child import Step
from mammo_monai.doctor.findings import Finding, Level, quoted
from mammo_monai.doctor.versions import Requirement

KIND = "environment"
PIP = "python -m pip install"
TORCH_PAIR = f"{PIP} --force-reinstall torch torchvision"
LOWEST_PYTHON, NEWEST_PYTHON = (3, 10), (3, 14)
# Compiled packages in the order they build on each other; MONAI itself is Python and takes seconds.
COMPILED = ("numpy", "scipy.ndimage", "sklearn", "PIL.Image", "pydicom", "cryptography.x509", "torch")
_ABI = re.compile(
    r"numpy\.dtype size changed|compiled using NumPy 1|numpy\.core\.multiarray failed|_ARRAY_API not found"
)
_NEW_VENV = "python3.12 -m venv .venv && . .venv/bin/activate && pip install mammo-monai"
# Not "…: Operation not permitted", which a file system mounted without execution gives.
_NO_ROOM = re.compile(r"failed to map segment from shared object(?!:)|[Cc]annot allocate memory")
_LIBRARIES = (".so", ".pyd", ".dylib")
_DISTRIBUTION = {"sklearn": "scikit-learn", "PIL": "Pillow"}


def findings(_: Mapping[str, Any]) -> Iterator[Finding | Step]:
    """All of this kind."""
    yield python_finding(sys.version_info[:3], struct.calcsize("P") * 8, platform.python_implementation())
    yield system_finding(platform.system(), platform.machine(), platform.libc_ver()[0])
    asked = versions.requirements()
    yield from package_findings(asked, Path(mammo_monai.__file__).parent)
    yield from copy_findings(versions.copies(), [each.name for each in asked or ()])
    has_failed = False
    for name in COMPILED:
        package = name.partition(".")[0]
        fix = f"{PIP} --force-reinstall {_DISTRIBUTION.get(package, package)}"
        yield Step.begun(f"import {package}", TORCH_PAIR if package == "torch" else fix)
        try:
            import_module(name)
        # A broken package raises what it likes: OSError of a library, SystemError of an ABI, RuntimeError.
        except Exception as error:
            has_failed = True
            yield import_finding(package, f"{type(error).__name__}: {error}")
            if package in ("numpy", "torch"):
                return  # all that follows would say the same again
    if not has_failed:
        names = [_DISTRIBUTION.get(each, each) for each in (name.partition(".")[0] for name in COMPILED)]
        yield Finding(KIND, "compiled packages", Level.OK, f"import {', '.join(names)}: fine")
    yield Step.begun("torch and numpy together", f"{PIP} --upgrade numpy torch")
    yield bridge_finding(_bridge_error())
    yield Step.begun("torchvision's operators", TORCH_PAIR)
    yield pair_finding(versions.version_of("torch"), versions.version_of("torchvision"), _pair_error())


def python_finding(version: Sequence[int], bits: int, implementation: str) -> Finding:
    """Whether this Python can run the package."""
    text = f"{implementation} {'.'.join(map(str, version))}, {bits} bits"
    if tuple(version[:2]) > NEWEST_PYTHON and bits == 64 and implementation == "CPython":
        why = "Packages that are needed have no builds for it yet: pip compiles them, or stops."
        return Finding(KIND, "Python", Level.WARNING, text, why, _NEW_VENV)
    if tuple(version[:2]) >= LOWEST_PYTHON and bits == 64 and implementation == "CPython":
        return Finding(KIND, "Python", Level.OK, text)
    return Finding(
        KIND,
        "Python",
        Level.FAULT,
        text,
        "CPython 3.10 or later of 64 bits is needed; for others there is no torch.",
        _NEW_VENV,
    )


def system_finding(system: str, machine: str, libc: str) -> Finding:
    """Whether this is a system the tests run on."""
    text = f"{system} {machine}{f', {libc}' if libc else ''}"
    if system == "Linux" and libc == "glibc":
        return Finding(KIND, "system", Level.OK, text)
    why = "The tests run on Linux with glibc alone."
    if system == "Linux":
        why += " torch is not built for other C libraries, such as that of Alpine."
    fix = "Use a Debian or Ubuntu image, or the Containerfile of this package."
    return Finding(KIND, "system", Level.WARNING, text, why, fix)


def package_findings(asked: list[Requirement] | None, folder: Path) -> Iterator[Finding]:
    """Required packages that are missing or too old, and whether ours is installed at all."""
    if asked is None:
        yield Finding(
            KIND,
            "mammo-monai",
            Level.WARNING,
            f"{mammo_monai.__version__} runs from {folder}, and is not installed",
            "Versions of other packages cannot be checked; other folders do not find the package.",
            f"{PIP} -e {quoted(folder.parent)}",
        )
        return
    installed = versions.version_of(versions.PACKAGE)
    if installed == mammo_monai.__version__:
        yield Finding(KIND, "mammo-monai", Level.OK, f"{installed}")
    else:
        yield Finding(
            KIND,
            "mammo-monai",
            Level.WARNING,
            f"{mammo_monai.__version__} runs from {folder}, {installed} is installed",
            "Two copies: commands and scripts may run different ones.",
            f"{PIP} --force-reinstall mammo-monai, or unset PYTHONPATH",
        )
    needed = [each for each in asked if not each.extra]
    for each in needed:
        if not each.is_met:
            state = f"{each.installed}, {each.specifier} is needed" if each.installed else "not installed"
            why = "Commands that use it stop, or do something else than was tested."
            yield Finding(KIND, each.name, Level.FAULT, state, why, f"{PIP} '{each.wanted}'")
    if all(each.is_met for each in needed):
        yield Finding(KIND, "required packages", Level.OK, f"{len(needed)} installed, none too old")


def copy_findings(
    copies: Mapping[str, Sequence[tuple[str, Path]]], names: Sequence[str]
) -> Iterator[Finding]:
    """Packages of ours that lie in several folders of Python's path."""
    ours = {re.sub(r"[-_.]+", "-", name).lower() for name in (*names, versions.PACKAGE)}
    for name, places in copies.items():
        if name in ours:
            where = ", then ".join(f"{version} in {folder}" for version, folder in places)
            yield Finding(
                KIND,
                name,
                Level.WARNING,
                f"installed {len(places)} times: {where}",
                "The first one is imported; files of two versions may mix.",
                f"python -m pip uninstall {name}  # until none is left, then: {PIP} {name}",
            )


def import_finding(package: str, error: str) -> Finding:
    """A compiled package that does not load, with the usual reasons told apart."""
    name = _DISTRIBUTION.get(package, package)
    short = " ".join(error.split())[:300]
    if _ABI.search(error):
        why = f"{name} was compiled for another NumPy than the one installed."
        return Finding(
            KIND, package, Level.FAULT, short, why, f"{PIP} --upgrade --force-reinstall numpy {name}"
        )
    if _NO_ROOM.search(error):
        why = f"A limit of this shell or service leaves no room to load {name}; nothing is wrong with it."
        fix = "ulimit -v unlimited, or LimitAS=infinity of the service"
        return Finding(KIND, package, Level.FAULT, short, why, fix)
    if f"No module named '{package}'" in error:  # not one inside it, which pip takes for installed
        return Finding(KIND, package, Level.FAULT, short, "It is required.", f"{PIP} {name}")
    why = "It does not load: a broken download, another Python's files, or something it needs is missing."
    fix = TORCH_PAIR if package == "torch" else f"{PIP} --force-reinstall --no-cache-dir {name}"
    return Finding(KIND, package, Level.FAULT, short, why, fix)


def bridge_finding(error: str) -> Finding:
    """Whether torch and NumPy exchange arrays."""
    name = "torch and numpy"
    if not error:
        return Finding(KIND, name, Level.OK, "exchange arrays")
    why = "This torch was built for another NumPy: no image reaches the network."
    return Finding(KIND, name, Level.FAULT, error, why, f"{PIP} --upgrade torch, or: {PIP} 'numpy<2'")


def pair_finding(torch: str | None, torchvision: str | None, error: str) -> Finding:
    """Whether torchvision's compiled operators, which every detector calls, belong to this torch."""
    text = f"torch {torch} with torchvision {torchvision}"
    if not error:
        return Finding(KIND, "torch and torchvision", Level.OK, f"{text}: torchvision::nms runs")
    return Finding(
        KIND,
        "torch and torchvision",
        Level.FAULT,
        f"{text} do not fit: {error}",
        "They were not built for each other (another release, or one for CUDA and one for CPU); every "
        "detector needs torchvision::nms.",
        f"{TORCH_PAIR}  # both in one command, from one index",
    )


def _bridge_error() -> str:
    try:
        np, torch = import_module("numpy"), import_module("torch")
        if torch.from_numpy(np.ones(2, np.float32)).numpy().sum() != 2:
            return "the numbers came back changed"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def _pair_error() -> str:
    try:
        torch = import_module("torch")
        for library in _compiled_parts("torchvision"):  # alone: the whole package takes as long as torch
            torch.ops.load_library(str(library))
        boxes = torch.tensor([[0.0, 0.0, 4.0, 6.0], [0.0, 0.0, 4.0, 5.0], [9.0, 9.0, 12.0, 11.0]])
        if torch.ops.torchvision.nms(boxes, torch.tensor([0.9, 0.8, 0.7]), 0.5).tolist() != [0, 2]:
            return "nms kept the wrong boxes"
    except Exception as error:
        return " ".join(f"{type(error).__name__}: {error}".split())[:200]
    return ""


def _compiled_parts(package: str) -> list[Path]:
    """The libraries `_C` of a package, found without importing it.

    Raises:
        ModuleNotFoundError: the package, or its compiled part, is not there.
    """
    spec = find_spec(package)
    folders = [Path(each) for each in (spec.submodule_search_locations or ())] if spec else []
    found = [path for folder in folders for path in folder.glob("_C*") if path.suffix in _LIBRARIES]
    if not found:
        raise ModuleNotFoundError(f"No module named '{package}._C'")
    return found
