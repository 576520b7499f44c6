"""Checks of single fields of an experiment file; every message says where it stands and what was expected."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from mammo_monai.errors import MammoError

Json = Mapping[str, Any]
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,79}")


class ExperimentError(MammoError):
    """An experiment file, or the folder of its runs, does not hold what it must."""


def reject_unknown(where: str, item: Json, known: set[str]) -> None:
    """Refuses fields that nothing would read.

    Raises:
        ExperimentError: names them, and those there are.
    """
    unknown = sorted(set(item) - known)
    if unknown:
        raise ExperimentError(
            f"{where}: unknown {', '.join(map(json.dumps, unknown))}; known are {', '.join(sorted(known))}."
        )


def read_name(where: str, value: object) -> str:
    """A name that can be a folder's.

    Raises:
        ExperimentError: other than letters, digits and _ . -
    """
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ExperimentError(
            f"{where}: name must be of letters, digits and _ . - (it names a folder), got {value!r:.80}."
        )
    return value


def read_text(where: str, item: Json, name: str) -> str | None:
    """A text that is not empty; None where the field is missing.

    Raises:
        ExperimentError: something else.
    """
    value = item.get(name)
    if value is not None and (not isinstance(value, str) or not value):
        raise ExperimentError(f"{where}: {name} must be a text, got {value!r:.80}.")
    return value


def read_flag(where: str, item: Json, name: str, default: bool) -> bool:
    """True or false.

    Raises:
        ExperimentError: something else.
    """
    value = item.get(name, default)
    if not isinstance(value, bool):
        raise ExperimentError(f"{where}: {name} must be true or false, got {value!r:.80}.")
    return value
