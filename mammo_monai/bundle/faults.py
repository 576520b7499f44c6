"""Faults of a configuration in words: overrides of ids that are not there, and what MONAI wrapped."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from mammo_monai.errors import BundleError, MammoError

Config = dict[str, Any]
_WRAPPERS = ("Failed to instantiate component", "Failed to evaluate ConfigExpression", "applying transform")
_COMPONENT = re.compile(r"component '([^']+)' with keywords: (.*)")
_EXPRESSION = re.compile(r"ConfigExpression: (.*)", re.DOTALL)
_REFERENCE = re.compile(r"__local_refs\['([^']+)'\]")
_NOT_ARGUMENTS = {"_target_", "_disabled_", "_requires_", "_desc_", "_mode_"}


def check_ids(overrides: Mapping[str, object], config: Mapping[str, Any], where: str) -> None:
    """Refuses overrides of ids that the configuration does not have; MONAI would add them, unused.

    A new name below a component (a dict with `_target_`) is one of its keyword arguments and passes.

    Args:
        overrides: ids (`a#b` for nested ones) and values.
        config: the merged configuration.
        where: the files it comes from, for the message.

    Raises:
        BundleError: an id that is not there; ids of similar names are listed.
    """
    for name in overrides:
        parts = name.replace("::", "#").split("#")
        node: Any = config
        is_component = False
        for depth, part in enumerate(parts):
            is_component = is_component or (isinstance(node, Mapping) and "_target_" in node)
            found = _part(node, part)
            if found is None:
                if is_component and isinstance(node, Mapping) and depth == len(parts) - 1:
                    break
                raise BundleError(_unknown(name, "#".join(parts[:depth]), node, config, where))
            node = found[0]


def own_error(
    error: Exception, where: str, config: Mapping[str, Any], overrides: Mapping[str, object]
) -> Exception:
    """The package's own error or OSError that MONAI wrapped, else a BundleError of one line.

    The line names the innermost id of the configuration that failed, the error that made it fail, and the
    overrides which that id takes in: an error such as `'<' not supported` tells no value.
    """
    config = {**config, **{name: value for name, value in overrides.items() if "#" not in name}}
    cause: BaseException = error
    place = ""
    while _is_wrapper(cause) and cause.__cause__ is not None:
        place = _place(str(cause), config) or place
        cause = cause.__cause__
    if isinstance(cause, MammoError | OSError):
        return cause
    reason = " ".join((str(cause.args[0]) if cause.args else repr(cause)).split())
    if not isinstance(cause, ValueError | RuntimeError):
        reason = f"{type(cause).__name__}: {reason}"
        reason += _given(place, config, overrides)
    return BundleError(f"{where}{f', id {place}' if place else ''}: {reason.rstrip('.')}.")


def _part(node: Any, part: str) -> tuple[Any] | None:
    if isinstance(node, Mapping):
        return (node[part],) if part in node else None
    if isinstance(node, list) and part.isdecimal() and int(part) < len(node):
        return (node[int(part)],)
    return None


def _unknown(name: str, parent: str, node: Any, config: Mapping[str, Any], where: str) -> str:
    if isinstance(node, list):
        return f"--{name}: {parent} of {where} is a list of {len(node)}; its ids are {parent}#0 and so on."
    if not isinstance(node, Mapping):
        return (
            f"--{name}: {parent} of {where} is the value {node!r}, without parts. Override {parent} itself."
        )
    known = list(_ids(config))
    near = difflib.get_close_matches(name.replace("::", "#"), known, n=3)
    tops = [each for each in node if not each.startswith("_")]
    hint = f"Did you mean --{', --'.join(near)}?" if near else f"There are: {', '.join(tops)}."
    return f"--{name}: no such id in {where}. {hint}"


def _ids(node: Any, prefix: str = "") -> Iterator[str]:
    parts = node.items() if isinstance(node, Mapping) else enumerate(node) if isinstance(node, list) else ()
    for key, value in parts:
        if key not in _NOT_ARGUMENTS:
            yield f"{prefix}{key}"
            yield from _ids(value, f"{prefix}{key}#")


def _is_wrapper(error: BaseException) -> bool:
    return isinstance(error, RuntimeError) and str(error).startswith(_WRAPPERS)


def _place(message: str, config: Mapping[str, Any]) -> str:
    """The id that a message of MONAI's is about: it tells the target or the expression only."""
    if component := _COMPONENT.search(message):
        target, keywords = component[1].rpartition(".")[2], set(component[2].split(","))
        arguments = {
            name: set(node) - _NOT_ARGUMENTS
            for name, node in _nodes(config)
            if isinstance(node, Mapping) and str(node.get("_target_")).rpartition(".")[2] == target
        }
        # Overrides may have added keywords to the configuration's own, never taken any away.
        fitting = {name: len(each) for name, each in arguments.items() if each <= keywords}
        return " or ".join(name for name, n in fitting.items() if n == max(fitting.values()))
    if expression := _EXPRESSION.search(message):
        text = _REFERENCE.sub(lambda found: "@" + found[1].replace("::", "#"), expression[1])
        text = text.strip().strip("'\"")
        written = text.replace("#", "::")
        return next((name for name, node in _nodes(config) if str(node).replace("#", "::") == written), text)
    return ""


def _given(place: str, config: Mapping[str, Any], overrides: Mapping[str, object]) -> str:
    wiring = str(dict(_nodes(config)).get(place))
    given = [
        f"{name}={value!r}"
        for name, value in overrides.items()
        if f"'@{name}'" in wiring or name.startswith(f"{place}#")
    ]
    return f" (given: {', '.join(given)})" if given else ""


def _nodes(config: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name in _ids(config):
        node: Any = config
        for part in name.split("#"):
            node = node[int(part)] if isinstance(node, list) else node[part]
        yield name, node
