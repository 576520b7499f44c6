"""Every fuzz target of this folder, by name: each module's `TARGETS`."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from tests.fuzz.harness import Target


def all_targets() -> dict[str, Target]:
    """The targets of all modules in this folder, by name.

    Raises:
        ValueError: two targets share a name: they would share a corpus.
    """
    targets: dict[str, Target] = {}
    for module in _modules():
        for target in _targets_in(module):
            if target.name in targets:
                raise ValueError(f"two fuzz targets are called {target.name!r}; give each its own name")
            targets[target.name] = target
    return targets


def find_target(name: str) -> Target:
    """One target; modules that begin like it are imported first, for some take seconds that others need not.

    Args:
        name: of a target of this folder, or `module:name` of one that stands elsewhere.

    Raises:
        KeyError: there is none of this name.
    """
    place, _, alone = name.rpartition(":")
    if place:
        elsewhere: tuple[Target, ...] = import_module(place).TARGETS
        return {target.name: target for target in elsewhere}[alone]
    for module in sorted(_modules(), key=lambda each: not name.startswith(each)):
        for target in _targets_in(module):
            if target.name == name:
                return target
    raise KeyError(name)


def _modules() -> list[str]:
    return sorted(module.name for module in iter_modules(__path__))


def _targets_in(module: str) -> tuple[Target, ...]:
    found: tuple[Target, ...] = getattr(import_module(f"{__name__}.{module}"), "TARGETS", ())
    return found
