"""The exact versions of constraints.txt, and whether they cover all that pyproject.toml asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version


class PinError(ValueError):
    """constraints.txt does not say what it should."""


def read_pins(path: Path) -> dict[str, tuple[Version, ...]]:
    """Canonical name → versions pinned: more than one where they differ by Python or system.

    Raises:
        PinError: a line is no exact version.
    """
    found: dict[str, list[Version]] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        try:
            requirement = Requirement(text)
        except InvalidRequirement as error:
            raise PinError(f"{path.name}, line {number}: expected NAME==VERSION, got {text!r}.") from error
        specifiers = list(requirement.specifier)
        if len(specifiers) != 1 or specifiers[0].operator != "==" or "*" in specifiers[0].version:
            raise PinError(f"{path.name}, line {number}: expected NAME==VERSION, got {text!r}.")
        found.setdefault(canonicalize_name(requirement.name), []).append(Version(specifiers[0].version))
    return {name: tuple(dict.fromkeys(versions)) for name, versions in found.items()}


def uncovered(pyproject: Mapping[str, Any], pins: Mapping[str, Sequence[Version]]) -> list[str]:
    """What pyproject.toml asks for and no pin satisfies, in words."""
    project = pyproject["project"]
    asked = [*project["dependencies"], *pyproject["build-system"]["requires"]]
    asked += [each for extra in project["optional-dependencies"].values() for each in extra]
    faults = []
    for text in asked:
        requirement = Requirement(text)
        name = canonicalize_name(requirement.name)
        if name == canonicalize_name(project["name"]):
            continue
        versions = pins.get(name, ())
        if not any(requirement.specifier.contains(each, prereleases=True) for each in versions):
            shown = ", ".join(map(str, versions)) or "nothing"
            faults.append(f"{requirement.name}: asked for {requirement.specifier or 'any'}, pinned {shown}")
    return faults


def requirement_files(pins: Mapping[str, Sequence[Version]]) -> list[str]:
    """The pins as requirement files without markers; as many as it takes to name each version once."""
    most = max((len(versions) for versions in pins.values()), default=0)
    return [
        "".join(f"{name}=={versions[turn]}\n" for name, versions in pins.items() if turn < len(versions))
        for turn in range(most)
    ]
