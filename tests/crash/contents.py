"""What a folder holds, a hash per file: of its bytes, or of its content where bytes tell of time."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import torch

from tests.crash.wholeness import files_below, is_unfinished

Content = Callable[[Path], object]


def content_hashes(folder: Path, loosely: Mapping[str, Content | None]) -> dict[str, str]:
    """SHA-256 by a file's relative name, without temporary files.

    Args:
        loosely: by a pattern of relative names, what gives the content to compare in place of the bytes; None
            leaves such files out.
    """
    found = {}
    for path in files_below(folder):
        name = path.relative_to(folder).as_posix()
        content = next((each for pattern, each in loosely.items() if fnmatch(name, pattern)), _bytes)
        if content is not None and not is_unfinished(path, folder):
            found[name] = hashlib.sha256(_encoded(content(path))).hexdigest()
    return found


def differences(expected: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    """Names of files that are missing, unexpected, or of another content.

    >>> differences({"a": "1", "b": "2"}, {"b": "3", "c": "4"})
    ['a is missing', 'b differs', 'c is not of the undisturbed run']
    """
    return [
        *(f"{name} is missing" for name in sorted(set(expected) - set(found))),
        *(f"{name} differs" for name in sorted(set(expected) & set(found)) if expected[name] != found[name]),
        *(f"{name} is not of the undisturbed run" for name in sorted(set(found) - set(expected))),
    ]


def without(*fields: str) -> Content:
    """A JSON object's content without fields that tell of time or of the machine."""

    def content(path: Path) -> object:
        return {name: each for name, each in json.loads(path.read_bytes()).items() if name not in fields}

    return content


def without_columns(*names: str) -> Content:
    """A table's rows without columns that tell of time."""

    def content(path: Path) -> object:
        with path.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
        return [{name: each for name, each in row.items() if name not in names} for row in rows]

    return content


def checkpoint_content(path: Path) -> object:
    """Every tensor of a checkpoint by its bits, everything else by its value."""
    return _plain(torch.load(path, map_location="cpu", weights_only=True))


def _plain(value: Any) -> object:
    if isinstance(value, torch.Tensor):
        bits = hashlib.sha256(value.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()).hexdigest()
        return [str(value.dtype), list(value.shape), bits]
    if isinstance(value, Mapping):
        return {repr(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return repr(value)


def _bytes(path: Path) -> object:
    return path.read_bytes()


def _encoded(content: object) -> bytes:
    return content if isinstance(content, bytes) else json.dumps(content, sort_keys=True).encode()
