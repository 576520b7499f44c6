"""Versions of installed packages against what this package asks for, read without importing any of them."""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from dataclasses import dataclass
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

PACKAGE = "mammo-monai"


def _of_packaging(name: str) -> Any:
    try:
        return import_module(f"packaging.{name}")
    except ImportError:  # it comes with others of our packages, and may be missing as they may
        return None


markers, specifiers = _of_packaging("markers"), _of_packaging("specifiers")


@dataclass(frozen=True)
class Requirement:
    """A package that ours asks for.

    Attributes:
        specifier: such as `>=2.6`; empty takes any. extra: the optional feature that asks; empty: all do.
        installed: its version here; None where it is not installed.
    """

    name: str
    specifier: str
    extra: str
    installed: str | None

    @property
    def is_met(self) -> bool:
        """Whether it is installed in a version that is asked for."""
        return self.installed is not None and fits(self.installed, self.specifier)

    @property
    def wanted(self) -> str:
        """As pip takes it."""
        return f"{self.name}{self.specifier}"


def requirements() -> list[Requirement] | None:
    """What this package asks for on this system; None where it runs without being installed."""
    try:
        declared = metadata.requires(PACKAGE) or []
    except metadata.PackageNotFoundError:
        return None
    return [each for text in declared if (each := _requirement(text)) is not None]


def left_out(extra: str) -> list[str]:
    """Packages of an optional feature left out with this Python, as nobody builds them for it."""
    try:
        declared = metadata.requires(PACKAGE) or []
    except metadata.PackageNotFoundError:
        return []
    return [
        found[0]
        for text in declared
        if "python_version" in text
        and _extra_of(text) == extra
        and _requirement(text) is None
        and (found := re.match(r"[\w.-]+", text))
    ]


def _requirement(text: str) -> Requirement | None:
    """None where it is for another system or Python, or of this package's own extras."""
    wanted, _, marker = (part.strip() for part in text.partition(";"))
    found = re.match(r"([\w.-]+)\s*(?:\[[^\]]*\])?\s*\(?([^)]*)\)?", wanted)
    if found is None or found[1] == PACKAGE:
        return None
    extra = _extra_of(text)
    if not _holds(marker, extra):
        return None
    return Requirement(found[1], found[2].replace(" ", ""), extra, version_of(found[1]))


def _extra_of(text: str) -> str:
    """The optional feature that asks; empty where all do."""
    extra = re.search(r"extra\s*==\s*['\"]([\w-]+)['\"]", text.partition(";")[2])
    return extra[1] if extra else ""


def _holds(marker: str, extra: str) -> bool:
    if not marker:
        return True
    if markers is None:  # then all that is declared counts
        return True
    return bool(markers.Marker(marker).evaluate({"extra": extra}))


def python() -> str:
    """This Python, as its builds of packages are named."""
    return f"Python {sys.version_info.major}.{sys.version_info.minor}"


def version_of(name: str) -> str | None:
    """The version of an installed package."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def fits(version: str, specifier: str) -> bool:
    """Whether a version is one that is asked for.

    >>> fits("2.10.1+cpu", ">=2.6"), fits("2.5", ">=2.6,<3")
    (True, False)
    """
    if specifiers is None:
        return all(_fits_floor(version, each) for each in specifier.split(","))
    return bool(specifiers.SpecifierSet(specifier).contains(version, prereleases=True))


def _fits_floor(version: str, specifier: str) -> bool:
    """Floors alone, where `packaging` is missing.

    >>> _fits_floor("2.10.1", ">=2.6"), _fits_floor("1.9", ">=1.10")
    (True, False)
    """
    if not specifier.startswith(">="):
        return True
    return _numbers(version) >= _numbers(specifier[2:])


def _numbers(version: str) -> list[int]:
    return [int(each) for each in re.findall(r"\d+", version.partition("+")[0])[:3]]


def copies() -> dict[str, list[tuple[str, Path]]]:
    """Packages installed more than once, with version and folder of each; the first one is imported."""
    found: dict[str, list[tuple[str, Path]]] = defaultdict(list)
    for each in metadata.distributions():
        name = re.sub(r"[-_.]+", "-", (each.metadata["Name"] or "")).lower()
        folder = Path(str(each.locate_file("")))
        if name and (each.version, folder) not in found[name]:
            found[name].append((each.version, folder))
    return {name: places for name, places in sorted(found.items()) if len(places) > 1}
