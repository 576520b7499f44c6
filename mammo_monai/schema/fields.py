"""The fields of the JSON files: loading, converting, and errors that name file, row and field."""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from mammo_monai.errors import ManifestError
from mammo_monai.schema.json_text import read_json

T = TypeVar("T")
Json = Mapping[str, Any]


def load_json(path: Path, schema: str, *, unique_keys: bool = False) -> Json:
    """The content of a JSON file that must carry this schema name.

    Args:
        unique_keys: refuse a name that stands twice in an object; see `json_text.json_value`.

    Raises:
        ManifestError: no such file, not readable, not JSON, or of another schema.
    """
    content = read_json(path, f"JSON of schema {schema}", unique_keys=unique_keys)
    found = content.get("schema") if isinstance(content, dict) else type(content).__name__
    if found != schema:
        raise ManifestError(f"{path}: expected schema {schema!r}, found {found!r}. Is this the right file?")
    return dict(content)


_REQUIRED: Any = object()


def read_field(where: str, item: Json, name: str, convert: Callable[[Any], T], default: Any = _REQUIRED) -> T:
    """The converted field; `default` where it is missing or null and not required.

    Args:
        where: file and row, for messages.
        convert: an enum, or one of the functions below: they raise TypeError, ValueError or OverflowError
            where the value is none, and their name says in the message what was expected.

    Raises:
        ManifestError: it is missing, or cannot be converted.
    """
    value = item.get(name)
    if value is None and default is not _REQUIRED:
        return default  # type: ignore[no-any-return]  # the caller's own default
    try:
        return convert(value)
    except (TypeError, ValueError, OverflowError):
        is_enum = isinstance(convert, enum.EnumMeta)
        expected = (
            f"one of {', '.join(each.value for each in convert)}"  # type: ignore[attr-defined]  # an enum
            if is_enum
            else f"a {convert.__name__.strip('_').replace('_', ' ')}"
        )
        raise ManifestError(
            f"{where}: {name} must be {expected}, got {value!r:.80}. Mend the file or make it again."
        ) from None


def text_(value: object) -> str:
    """A filled string."""
    if not isinstance(value, str) or not value:
        raise ValueError(value)
    return value


def string(value: object) -> str:
    """A string, which may be empty."""
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def string_or_whole_number(value: Any) -> str:
    """A string; a whole number as its digits."""
    return value if isinstance(value, str) else str(whole_number(value))


def whole_number(value: Any) -> int:
    """A whole number of 64 bits; 3.0 is one, true and "3" are none."""
    if isinstance(value, (bool, str)) or int(value) != value or not -(2**63) <= value < 2**63:
        raise ValueError(value)
    return int(value)


def pixel_count(value: Any) -> int:
    """A whole number of at least 1."""
    if whole_number(value) < 1:
        raise ValueError(value)
    return int(value)


def count_of_at_least_1(value: Any) -> int:
    """A number of things of which there is one at least."""
    return pixel_count(value)


def byte_count(value: Any) -> int:
    """A whole number of bytes, at least 0."""
    if whole_number(value) < 0:
        raise ValueError(value)
    return int(value)


def mapping(value: Any) -> Json:
    """A JSON object."""
    if not isinstance(value, dict):
        raise TypeError(value)
    return value


def sha256(value: Any) -> str:
    """64 hex digits."""
    if re.fullmatch(r"[0-9a-f]{64}", text_(value)) is None:
        raise ValueError(value)
    return str(value)


def class_index(value: Any) -> int:
    """A whole number of at least 0."""
    if whole_number(value) < 0:
        raise ValueError(value)
    return int(value)


def birads_from_0_to_6(value: Any) -> int:
    """A BI-RADS assessment."""
    return _whole_number_within(value, 0, 6)


def density_from_1_to_4(value: Any) -> int:
    """A BI-RADS density, a to d."""
    return _whole_number_within(value, 1, 4)


def subtlety_from_1_to_5(value: Any) -> int:
    """A subtlety, 1 subtle to 5 obvious."""
    return _whole_number_within(value, 1, 5)


def _whole_number_within(value: Any, least: int, most: int) -> int:
    if not least <= whole_number(value) <= most:
        raise ValueError(value)
    return int(value)


def finite_number(value: Any) -> float:
    """A number that is neither infinite nor NaN."""
    if isinstance(value, (bool, str)) or not math.isfinite(value):
        raise ValueError(value)
    return float(value)


def number_from_0_to_1(value: Any) -> float:
    """A number of at least 0 and at most 1."""
    if not 0 <= finite_number(value) <= 1:
        raise ValueError(value)
    return float(value)


def spacing(value: Any) -> tuple[float, float]:
    """Two positive numbers: mm between rows, between columns."""
    row, column = (finite_number(each) for each in value)
    if not (row > 0 and column > 0):
        raise ValueError(value)
    return row, column


def contour(value: Any) -> tuple[tuple[float, float], ...]:
    """Points `(x, y)`."""
    return tuple((finite_number(x), finite_number(y)) for x, y in list_(value))


def list_(value: Any) -> list[Any]:
    """A list of anything."""
    if not isinstance(value, list):
        raise TypeError(value)
    return value


def list_of_boxes_of_numbers(value: Any) -> list[Any]:
    """A list, of whatever shape, in which no text and no true or false stands for a number of a box."""
    for box in list_(value):
        if isinstance(box, list) and any(isinstance(each, (bool, str)) for each in box):
            raise TypeError(value)
    return list_(value)


def list_of_finite_numbers(value: Any) -> list[float]:
    """A list of numbers that are neither infinite nor NaN."""
    return [finite_number(each) for each in list_(value)]


def list_of_numbers_from_0_to_1(value: Any) -> list[float]:
    """A list of numbers of at least 0 and at most 1."""
    return [number_from_0_to_1(each) for each in list_(value)]


def list_of_texts(value: Any) -> list[str]:
    """A list of filled strings."""
    return [text_(each) for each in list_(value)]


def list_of_class_indices(value: Any) -> list[int]:
    """A list of whole numbers of at least 0."""
    return [class_index(each) for each in list_(value)]


def reject_repeats(path: Path, entries: Sequence[tuple[str, str]]) -> None:
    """Refuses a record id that stands twice; entries are `(where, record id)`.

    Raises:
        ManifestError: one does.
    """
    first: dict[str, str] = {}
    for where, record_id in entries:
        if record_id in first:
            raise ManifestError(
                f"{path}, {where}: record_id {record_id} stands already in {first[record_id]}; "
                "each image may have one entry."
            )
        first[record_id] = where
