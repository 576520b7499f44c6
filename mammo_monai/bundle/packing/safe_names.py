"""Names of files from a stranger: which of them would land anywhere but in their folder."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

# Windows opens devices under these names, with any ending.
_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
_BUNDLE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,99}")
_MAX_LENGTH = 240


def name_fault(name: str) -> str | None:
    """What is wrong with a relative name with forward slashes; None where nothing is.

    >>> name_fault("configs/train.json")
    >>> name_fault("../train.json")
    "leads out of the folder ('..')"
    """
    faults = {
        f"is empty or longer than {_MAX_LENGTH} characters": not 0 < len(name) <= _MAX_LENGTH,
        "is an absolute path": name.startswith("/") or re.match(r"[A-Za-z]:", name),
        "holds a backslash or a colon, which some systems take for a path": re.search(r"[\\:]", name),
        "holds control or invisible characters": any(
            unicodedata.category(each).startswith("C") for each in name
        ),
        "leads out of the folder ('..')": ".." in name.split("/"),
        "holds an empty part or '.'": {"", "."} & set(name.split("/")),
        "is not a file name on every system": any(_is_odd(part) for part in name.split("/")),
    }
    return next((fault for fault, is_so in faults.items() if is_so), None)


def clashes(names: Iterable[str]) -> list[str]:
    """Names that would be one file on some system, or a file where another needs a folder.

    >>> clashes(["a/B", "a/b", "c", "c/d", "e"])
    ['a/B and a/b', 'c and c/d']
    """
    seen: dict[str, str] = {}
    found = []
    for name in sorted(names):
        key = _folded(name)
        if key in seen:
            found.append(f"{seen[key]} and {name}")
        seen.setdefault(key, name)
    for key, name in seen.items():
        parents = ["/".join(key.split("/")[:depth]) for depth in range(1, key.count("/") + 1)]
        found += [f"{seen[each]} and {name}" for each in parents if each in seen]
    return found


def is_bundle_name(name: str) -> bool:
    """Whether a folder of this name is a bundle's on every system, in a URL and in a configuration."""
    return bool(_BUNDLE_NAME.fullmatch(name)) and name_fault(name) is None


def _is_odd(part: str) -> bool:
    return part != part.rstrip(" .") or part != part.lstrip(" ") or bool(_DEVICES.fullmatch(part))


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()
