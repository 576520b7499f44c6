"""All strings of a JSON or YAML file with their ids, overwritten ones too; nothing is built from them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

# MONAI's own: what it cannot read as YAML, no run can.
from monai.bundle.config_parser import yaml

_SEPARATOR = re.compile(r"#|::")
_PLAIN_TAGS = re.compile(r"tag:yaml\.org,2002:(str|int|float|bool|null|seq|map|merge|timestamp|value)")
_DEEPEST = 200


@dataclass(frozen=True)
class Entry:
    """A value that is no list and no mapping.

    Attributes:
        id: keys and positions from the top, joined with `#`.
        key: the last key above it that is no position: `_target_`, `_mode_`, an argument's name.
        value: text, number, None …; of a list or mapping under a special key, that itself.
    """

    id: str
    key: str
    value: object


@dataclass(frozen=True)
class OddKey:
    """A key that no configuration needs, or a tag that asks YAML to build an object."""

    id: str
    text: str
    is_tag: bool = False


class _Pairs(list[tuple[Any, Any]]):
    """A mapping whose keys may come twice."""


def json_entries(text: str) -> list[Entry | OddKey]:
    """The entries of a JSON text.

    Raises:
        ValueError: not JSON, or nested too deep.
    """
    try:
        content = json.loads(text, object_pairs_hook=_Pairs)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    return list(_entries(content, "", ""))


def yaml_entries(text: str) -> list[Entry | OddKey]:
    """The entries of a YAML text, read as nodes: no tag is obeyed, an alias is followed once.

    Raises:
        ValueError: not YAML, or nested too deep.
    """
    if _bracket_depth(text) > _DEEPEST:  # PyYAML takes 8 s to fail at 9 000 of them
        raise ValueError("nested too deep")
    try:
        nodes = list(yaml.compose_all(text, Loader=yaml.SafeLoader))
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(" ".join(str(error).split())[:200] or "nested too deep") from error
    found: list[Entry | OddKey] = []
    seen: set[int] = set()
    for node in nodes:
        found += _entries(_content(node, seen, found, ""), "", "")
    return found


def _bracket_depth(text: str) -> int:
    """The most brackets open at once; those inside texts are counted too.

    >>> _bracket_depth("a: [1, {b: [2]}, [3]]")
    3
    """
    steps = (1 if each in "[{" else -1 for each in text if each in "[]{}")
    return max(accumulate(steps), default=0)


def _entries(value: object, id: str, key: str) -> Iterator[Entry | OddKey]:
    if id.count("#") > _DEEPEST:
        raise ValueError("nested too deep")
    if isinstance(value, _Pairs):
        for name, each in value:
            own = str(name).removeprefix("+")
            inner = f"{id}#{own}" if id else own
            if not re.fullmatch(r"[\w #:+./,\-]*", own):
                yield OddKey(inner, own)
            # `a#_target_` as a key is the `_target_` of a.
            last = _SEPARATOR.split(own)[-1]
            if last.startswith("_") and isinstance(each, list):
                yield Entry(inner, last, each)
            yield from _entries(each, inner, last)
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _entries(each, f"{id}#{index}" if id else str(index), key)
    else:
        yield Entry(id, key, value)


def _content(node: Any, seen: set[int], found: list[Entry | OddKey], id: str) -> object:
    """A node as lists, `_Pairs` and texts; tags that are not plain go into `found`."""
    if node is None or id.count("#") > _DEEPEST:
        return None
    if not _PLAIN_TAGS.fullmatch(str(node.tag)):
        found.append(OddKey(id, str(node.tag), is_tag=True))
    if isinstance(node, yaml.ScalarNode):
        return str(node.value)
    if id_ := _visited(node, seen):
        return f"(the same as before: {id_})"
    if isinstance(node, yaml.SequenceNode):
        return [_content(each, seen, found, f"{id}#{index}") for index, each in enumerate(node.value)]
    return _Pairs(
        (str(getattr(key, "value", key)), _content(each, seen, found, f"{id}#{getattr(key, 'value', key)}"))
        for key, each in node.value
    )


def _visited(node: Any, seen: set[int]) -> str:
    """A word where the node was met before: an alias, or a mapping that holds itself."""
    if id(node) in seen:
        return "alias"
    seen.add(id(node))
    return ""
