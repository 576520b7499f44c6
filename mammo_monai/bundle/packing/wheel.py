"""This package as a wheel, for a site without a package index, and the versions a bundle was made with."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mammo_monai
from mammo_monai.errors import BundleError

_BUILD_TIMEOUT_S = 900
_PINS = {"monai_version": "monai", "pytorch_version": "torch", "numpy_version": "numpy"}
_VERSION = re.compile(r"\d+(\.\d+)+[\w.+!-]*")


def own_wheel(folder: Path, given: Path | None = None) -> Path:
    """A wheel of this very version: the one given, one built from the checkout, or one lying in dist/.

    Args:
        folder: an empty one, to build into.

    Raises:
        BundleError: the given file is no wheel of this version; or there is none and none can be built.
    """
    if given is not None:
        if not given.is_file() or not _is_own(given):
            raise BundleError(
                f"{given}: expected a wheel of this version, {_own_name()}*.whl. Build it with "
                "`python -m build --wheel` in the checkout of mammo-monai."
            )
        return given
    checkout = Path(mammo_monai.__file__).parents[1]
    if (checkout / "pyproject.toml").is_file() and importlib.util.find_spec("build") is not None:
        return _built(checkout, folder)
    for place in (Path("dist"), checkout / "dist"):
        if found := sorted(each for each in place.glob("*.whl") if _is_own(each)):
            return found[-1]
    raise BundleError(
        f"no wheel of mammo-monai {mammo_monai.__version__}: not run from a checkout with the package "
        "`build` installed, and none in dist/. Give it with --wheel FILE."
    )


def requirements_text(wheel_name: str, metadata: Mapping[str, Any]) -> str:
    """A requirements file: the wheel beside it, and the exact versions that the bundle's metadata name.

    >>> print(requirements_text("mammo_monai-0.1.0-py3-none-any.whl", {"monai_version": "1.6.1"}), end="")
    # From this folder: pip install -r requirements.txt
    ./mammo_monai-0.1.0-py3-none-any.whl
    monai==1.6.1
    """
    packages = metadata.get("required_packages_version")
    pins = {name: metadata.get(key) for key, name in _PINS.items()}
    pins |= dict(packages) if isinstance(packages, Mapping) else {}
    lines = [
        f"{name}=={version}"
        for name, version in pins.items()
        if name != "mammo-monai" and _VERSION.fullmatch(str(version)) and re.fullmatch(r"[\w.\-]+", name)
    ]
    return (
        "\n".join(["# From this folder: pip install -r requirements.txt", f"./{wheel_name}", *lines]) + "\n"
    )


def _built(checkout: Path, folder: Path) -> Path:
    # What builds, beside us, needs no network; without it, `build` fetches it.
    has_tools = all(map(importlib.util.find_spec, ("hatchling", "hatch_fancy_pypi_readme")))
    isolation = ["--no-isolation"] if has_tools else []
    command = [sys.executable, "-m", "build", "--wheel", *isolation, "--outdir", str(folder), str(checkout)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_BUILD_TIMEOUT_S)
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode != 0 or not wheels:
        reason = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no output"]
        raise BundleError(
            f"the wheel of {checkout} could not be built: {reason[0]}. Give one with --wheel FILE."
        )
    return wheels[-1]


def _own_name() -> str:
    return f"mammo_monai-{mammo_monai.__version__}-"


def _is_own(path: Path) -> bool:
    return path.name.startswith(_own_name()) and path.suffix == ".whl"
