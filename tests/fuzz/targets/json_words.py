"""JSON for fuzz targets: words that hurt its readers, and a mutation that keeps it JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Any

JSON_WORDS: tuple[bytes, ...] = (
    *(b"{", b"}", b"[", b"]", b",", b":", b'"', b"null", b"true", b"-1", b"0", b"1e999", b"1e-999"),
    *(b"NaN", b"Infinity", b"-Infinity", b"[" * 5000, b'{"a":' * 3000, b"9" * 5000, b"9" * 400),
    *(b'"\\ud800"', b'"\\u0000"', b"\0", b"\xef\xbb\xbf", b"\xff\xfe", b"\xed\xa0\x80", b"\xe9", b"[[[[]]]]"),
    *(b'"schema":', b'""', b"[]", b"{}", b"1.5", b"[null]", b'"record_id":', b"[[1,2,3,4]]", b"[[4,3,2,1]]"),
    *(b"[1e308,1e308,1.7e308,1.7e308]", b'"../../x"', b'"/dev/zero"', b"4294967296", b"9223372036854775808"),
)
_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 7, 0.5, -0.0, 1.5, 1e308, -1e308, 5e-324, 2**31, 2**63, 2**64, 10**400),
    *(
        float("nan"),
        float("inf"),
        float("-inf"),
        "",
        "a",
        "0",
        "1",
        "1.0",
        "nan",
        " ",
        "\0",
        "é漢",
        "../../x",
    ),
    *(
        "a" * 3000,
        "$import os",
        "@x",
        "%x",
        "\n",
        "A",
        "once",
        "run:one",
        "phantoms:inbreast:99999",
        "/dev/zero",
    ),
    *(
        [],
        {},
        [[]],
        [{}],
        [None],
        [0] * 4,
        [[1, 2, 3, 4]],
        [[4, 3, 2, 1]],
        [1e308] * 4,
        {"": 1},
        {"a": {"b": []}},
    ),
    *(["a"] * 200, [0, 1], ["a", 1, None, {}], {"schema": 1}, [[[[[[1]]]]]]),
)


def with_new_value(data: bytes, random: Random) -> bytes:
    """JSON with one value, name or list changed: still JSON, no longer what a reader expects."""
    try:
        content = json.loads(data)
        places = list(_places(content))
    except (ValueError, RecursionError):
        return data
    if not places:
        return json.dumps(random.choice(_VALUES)).encode()
    holder, key = random.choice(places)
    random.choice(_CHANGES)(holder, key, random, places)
    return json.dumps(content, ensure_ascii=random.random() < 0.5).encode("utf-8", "surrogatepass")


def _places(value: Any, depth: int = 0) -> list[tuple[Any, Any]]:
    """Every `(list or object, index or name)`."""
    if depth > 40 or not isinstance(value, (list, dict)):
        return []
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))[:50]
    return [(value, key) for key in keys] + [each for key in keys for each in _places(value[key], depth + 1)]


def _replace(holder: Any, key: Any, random: Random, places: list[tuple[Any, Any]]) -> None:
    holder[key] = random.choice(_VALUES)


def _remove(holder: Any, key: Any, random: Random, places: list[tuple[Any, Any]]) -> None:
    del holder[key]


def _repeat(holder: Any, key: Any, random: Random, places: list[tuple[Any, Any]]) -> None:
    if isinstance(holder, list):
        holder.insert(random.randrange(len(holder) + 1), holder[key])
    else:
        holder[random.choice(("id", "schema", str(key) + "_", ""))] = holder[key]


def _take(holder: Any, key: Any, random: Random, places: list[tuple[Any, Any]]) -> None:
    """A value from elsewhere in the file, copied: of the right kind for another field."""
    other, name = random.choice(places)
    holder[key] = json.loads(json.dumps(other[name]))


def _nudge(holder: Any, key: Any, random: Random, places: list[tuple[Any, Any]]) -> None:
    value = holder[key]
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        holder[key] = [value]
    elif isinstance(value, str):
        holder[key] = value + random.choice(("x", "\0", ":", "/", "\ud800", "1"))
    else:
        with suppress(OverflowError):  # a whole number that no float holds stays
            holder[key] = value * random.choice((-1, 0, 1e6)) + random.choice((-1, 0, 1, 0.5))


_CHANGES: tuple[Callable[[Any, Any, Random, list[tuple[Any, Any]]], None], ...] = (
    *(_replace, _replace, _replace, _remove, _repeat, _take, _take, _nudge, _nudge),
)
