"""JSON from strangers: the values of a text, with every way it can hurt a reader turned into ValueError."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mammo_monai.errors import MammoError, ManifestError

MAX_DEPTH = 64
"""Lists and objects inside one another; the deepest file that ships, a recipe of experiments, has 5."""
_LARGEST = 2**64
_MANY_DIGITS = re.compile(r"\d{20}", re.ASCII)
_HALF_OF_A_PAIR = re.compile(r"\\u[dD][89a-fA-F]")


def json_value(text: bytes | str, *, unique_keys: bool = False) -> Any:
    """The value of a JSON text; bytes are UTF-8, or UTF-16 or UTF-32, with or without a byte order mark.

    NaN and infinities come through, as Python reads them: the checks of the fields refuse them where a number
    is asked for.

    Args:
        unique_keys: refuse an object that names a key twice, of which Python would keep the last. For files
            that people write; it takes a fifth more time.

    Raises:
        ValueError: no JSON, no Unicode, half a surrogate pair (no file could be written with it), nested
            deeper than `MAX_DEPTH`, a whole number beyond 64 bits (arrays and floats do not take it), or more
            than the memory holds.

    Source: RFC 8259, sections 4 (repeated names), 8 (encodings, surrogates) and 9 (limits on depth).

    >>> json_value(b'\\xef\\xbb\\xbf{"a": [1, 2.5]}')
    {'a': [1, 2.5]}
    """
    hook = _without_repeats if unique_keys else None
    try:
        plain = text if isinstance(text, str) else text.decode(json.detect_encoding(text))
        # A function for every whole number costs time: most files have no 20 digits in a row.
        number = _whole_number if _MANY_DIGITS.search(plain) else None
        value = json.loads(plain.removeprefix("\ufeff"), object_pairs_hook=hook, parse_int=number)
    except RecursionError:
        raise _too_deep() from None
    except MemoryError:
        raise ValueError("it holds more than fits into memory") from None
    _refuse_depth(value)
    if _HALF_OF_A_PAIR.search(plain):
        _refuse_half_pairs(value)
    return value


def read_json(
    path: Path, expected: str, error_type: type[MammoError] = ManifestError, *, unique_keys: bool = False
) -> Any:
    """The value in a JSON file; see `json_value`.

    Args:
        expected: what it should be, for messages, "JSON of schema …". error_type: of what is raised.
        unique_keys: as `json_value`.

    Raises:
        MammoError: of `error_type`: no such file, a folder, not readable, or no JSON; the file is named.
    """
    try:
        return json_value(path.read_bytes(), unique_keys=unique_keys)
    except FileNotFoundError:
        raise error_type(f"{path}: no such file; expected {expected}.") from None
    except IsADirectoryError:
        raise error_type(f"{path}: a folder; expected {expected}.") from None
    except OSError as error:
        raise error_type(f"{path}: cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise error_type(f"{path}: expected {expected}, but it cannot be read: {error}.") from error


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"an object names {twice!r:.80} twice, and nobody can say which holds")
    return found


def _whole_number(digits: str) -> int:
    # A longer one is out of any range, and Python refuses to convert thousands of digits.
    number = int(digits) if len(digits) < 30 else _LARGEST
    if abs(number) >= _LARGEST:
        raise ValueError(f"a whole number in it has {len(digits.removeprefix('-'))} digits, beyond 64 bits")
    return number


def _refuse_depth(value: object) -> None:
    level: list[Any] = [value] if isinstance(value, (list, dict)) else []
    for _ in range(MAX_DEPTH):
        if not level:
            return
        level = [each for holder in level for each in _members(holder) if isinstance(each, (list, dict))]
    if level:
        raise _too_deep()


def _members(holder: list[Any] | dict[str, Any]) -> Iterable[Any]:
    return holder.values() if isinstance(holder, dict) else holder


def _refuse_half_pairs(value: object) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("a text in it holds half a surrogate pair, which is no character") from None


def _too_deep() -> ValueError:
    return ValueError(f"it is nested deeper than {MAX_DEPTH} lists and objects")
