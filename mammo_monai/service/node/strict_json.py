"""JSON into nested frozen dataclasses, strictly: keys known, values of their type, faults located."""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from mammo_monai.errors import MammoError

Settings = TypeVar("Settings")
_WORDS = {str: "a text", bool: "true or false", int: "a whole number", float: "a number", Path: "a path"}


class SettingsError(MammoError):
    """A configuration file does not say what it should."""


def strict(kind: type[Settings], value: object, where: str) -> Settings:
    """A dataclass filled from a JSON object.

    Fields may be text, numbers, true or false, paths, other dataclasses, tuples of these, mappings from text
    to anything, and `None` where the field allows it. A field without a default must be there.

    Args:
        where: what messages begin with, such as the file's name.

    Raises:
        SettingsError: an unknown key (the nearest known one is named), a missing one, a value of another
            type, or one that the dataclass itself refuses with a ValueError.
    """
    if not isinstance(value, dict):
        raise SettingsError(f"{where}: expected an object {{…}}, got {_shown(value)}.")
    hints = typing.get_type_hints(kind)
    fields = {each.name: each for each in dataclasses.fields(kind)}  # type: ignore[arg-type]  # a dataclass
    for key in value:
        if key not in fields:
            raise SettingsError(f"{where}: unknown key {key!r}{_nearest(key, list(fields))}")
    missing = [name for name, field in fields.items() if name not in value and _is_required(field)]
    if missing:
        raise SettingsError(f"{where}: needs {', '.join(map(repr, missing))}.")
    given = {key: _typed(hints[key], each, f"{where}, {key}") for key, each in value.items()}
    try:
        return kind(**given)
    except ValueError as error:
        raise SettingsError(f"{where}: {error}") from error


def at_least(value: float, least: float, name: str) -> None:
    """Refuses a smaller number, and what is none.

    Raises:
        ValueError: it is.
    """
    if not value >= least:
        raise ValueError(f"{name} must be at least {least:g}, got {value:g}.")


def above_zero(value: float, name: str) -> None:
    """Refuses zero, what is below, and what is no number.

    Raises:
        ValueError: it is.
    """
    if not value > 0:
        raise ValueError(f"{name} must be above 0, got {value:g}.")


def _typed(hint: Any, value: object, where: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None:
            return None
        (inner,) = (each for each in arguments if each is not type(None))
        return _typed(inner, value, where)
    if origin is tuple:
        if not isinstance(value, list):
            raise SettingsError(f"{where}: expected a list […], got {_shown(value)}.")
        return tuple(_typed(arguments[0], each, f"{where}[{n}]") for n, each in enumerate(value))
    if dataclasses.is_dataclass(hint):
        return strict(hint, value, where)  # type: ignore[arg-type]  # a type, never an instance
    if origin is not None:
        if not isinstance(value, Mapping):
            raise SettingsError(f"{where}: expected an object {{…}}, got {_shown(value)}.")
        return dict(value)
    return _scalar(hint, value, where)


def _scalar(hint: type, value: object, where: str) -> Any:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if hint is float and is_number:
        return float(value)  # type: ignore[arg-type]  # a number
    expected = str if hint is Path else hint
    if not isinstance(value, expected) or (isinstance(value, bool) and hint is not bool):
        raise SettingsError(f"{where}: expected {_WORDS[hint]}, got {_shown(value)}.")
    return hint(value)


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _nearest(key: str, known: list[str]) -> str:
    near = difflib.get_close_matches(key, known, 1)
    return f"; did you mean {near[0]!r}?" if near else f". Known are {', '.join(known)}."


def _shown(value: object) -> str:
    return "nothing" if value is None else f"{value!r:.60}"
