"""What the package needs, read from what is installed: closures of requirements, and their licences."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

TOOL_EXTRAS = ("dev", "clinic", "fuzz", "audit")  # what develops and checks it: nothing of ours imports them
_STRONG = re.compile(r"\b(A?GPL)|(?<!Lesser )General Public License|Affero", re.IGNORECASE)
_LESSER = re.compile(r"LGPL|Lesser General Public|Library General Public", re.IGNORECASE)


@dataclass(frozen=True)
class Installed:
    """Distributions of an environment.

    Attributes:
        requires: canonical name → requirements as its metadata says them.
    """

    requires: Mapping[str, tuple[Requirement, ...]]

    @classmethod
    def here(cls, path: Sequence[str] | None = None) -> Installed:
        """Those of this interpreter, or those found in the folders of `path`."""
        found = distributions() if path is None else distributions(path=list(path))
        return cls(
            {
                canonicalize_name(each.metadata["Name"]): tuple(map(Requirement, each.requires or ()))
                for each in found
                if each.metadata["Name"]
            }
        )

    def closure(self, requirements: Iterable[str]) -> frozenset[str]:
        """All packages that these requirements need here; what is not installed is left out."""
        todo = [(Requirement(each), frozenset[str]()) for each in requirements]
        seen: set[tuple[str, frozenset[str]]] = set()
        while todo:
            requirement, asked_with = todo.pop()
            name, extras = canonicalize_name(requirement.name), frozenset(requirement.extras)
            if (name, extras) in seen or name not in self.requires or not _applies(requirement, asked_with):
                continue
            seen.add((name, extras))
            todo += [(each, extras) for each in self.requires[name]]
        return frozenset(name for name, _ in seen)


def _applies(requirement: Requirement, extras: frozenset[str]) -> bool:
    if requirement.marker is None:
        return True
    here = {key: str(value) for key, value in default_environment().items()}
    return any(requirement.marker.evaluate({**here, "extra": each}) for each in extras or ("",))


def shipped_requirements(pyproject: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """What `pip install` of the package asks for, and the same with all extras that the package imports."""
    project = pyproject["project"]
    core = list(project["dependencies"])
    extras = project["optional-dependencies"]
    return core, core + [each for name in extras if name not in TOOL_EXTRAS for each in extras[name]]


def is_strong_copyleft(licence: str) -> bool:
    """Whether a licence is GPL or AGPL, with no other to choose instead.

    >>> [is_strong_copyleft(each) for each in ("GPL-3.0-only", "AGPL-3.0", "MIT AND GPL-2.0")]
    [True, True, True]
    >>> [is_strong_copyleft(each) for each in ("LGPL-2.1", "MIT OR GPL-2.0", "MIT")]
    [False, False, False]
    """
    choices = re.split(r"\bOR\b", licence)
    return all(_STRONG.search(_LESSER.sub("", each)) for each in choices)


def licence_of(component: Mapping[str, Any], stated: Mapping[str, Mapping[str, str]]) -> str:
    """The licence of a CycloneDX component; "unknown" where neither it nor our own list says one."""
    found = []
    for each in component.get("licenses", ()):
        licence = each.get("license", {})
        found.append(each.get("expression") or licence.get("id") or licence.get("name") or "")
    exact = [each for each in found if each and not each.startswith("License ::")]
    named = exact or [each.rpartition(":: ")[2] for each in found if each]
    if named:
        return "; ".join(dict.fromkeys(named))
    return stated.get(canonicalize_name(component["name"]), {}).get("licence", "unknown")


def read_stated(path: Path) -> dict[str, dict[str, str]]:
    """Licences that a package's metadata leave out: name → licence and where it stands."""
    content: dict[str, dict[str, str]] = json.loads(path.read_text(encoding="utf-8"))
    return {canonicalize_name(name): each for name, each in content.items()}
