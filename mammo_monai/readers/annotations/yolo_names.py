"""The class names of YOLO labels: classes.txt, one name a line, or the key `names` of a data.yaml."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from mammo_monai.errors import ManifestError

NAME_FILES = (
    *("classes.txt", "obj.names", "predefined_classes.txt", "labels.txt", "names.txt"),
    "_darknet.labels",  # Roboflow's
)
_YAML_SUFFIXES = (".yaml", ".yml")
MAX_BYTES = 2**20
"""A list of class names is far smaller."""
_HAS_POINTS = re.compile(r"^kpt_shape[ \t]*:", re.MULTILINE)
_HAS_NAMES = re.compile(r"^names[ \t]*:", re.MULTILINE)
_NAMES = re.compile(
    r"^names[ \t]*:[ \t]*(?P<value>\[[^]]*\]|\{[^}]*\}|(?:\n[ \t]*(?:-[ \t]|\d+[ \t]*:)[^\n]*)+)",
    re.MULTILINE,
)
_ITEMS = re.compile(r"""(?:[^,'"]|'[^']*'|"[^"]*")+""")
_NUMBERED = re.compile(r"(\d{1,9})\s*:\s*(.+)", re.DOTALL | re.ASCII)
_COMMENT = re.compile(r"(?:^|\s)#.*")


class ClassNames:
    """The class names for labels by their folder: of the files there, else of a folder above.

    Args:
        base: the folder of the annotations; the one above it is the last that is looked into.
    """

    def __init__(self, base: Path) -> None:
        self._last = base.absolute().parent
        self._known: dict[Path, Mapping[int, str]] = {}

    def of(self, folder: Path) -> Mapping[int, str]:
        """Names by class number; empty where no file says any.

        Raises:
            ManifestError: files of one folder, or of one above it, that differ, or one that cannot be read.
        """
        folder = folder.absolute()
        if folder not in self._known:
            is_last = self._last not in folder.parents
            above = {} if is_last else self.of(folder.parent)
            own = _names_in(folder)
            if any(_plain(own[number]) != _plain(above[number]) for number in own.keys() & above.keys()):
                raise ManifestError(
                    f"{folder}: expected the class names of a folder above, found others for the same "
                    f"numbers: {_shown(own)} here, {_shown(above)} above. Keep the file that is right."
                )
            self._known[folder] = own or above
        return self._known[folder]


def yaml_names(text: str) -> Mapping[int, str]:
    """Names by class number under the key `names`, a list or numbered; empty without that key.

    Only this key is read, by pattern; a name with a comma must be in quotes.

    Raises:
        ValueError: `names` is neither a list nor numbered.

    >>> yaml_names("nc: 2\\nnames: ['calc', mass]")
    {0: 'calc', 1: 'mass'}
    >>> yaml_names("names:\\n  1: mass # the second\\n  0: calc\\n")
    {1: 'mass', 0: 'calc'}
    """
    lines = [stripped for line in text.splitlines() if (stripped := _COMMENT.sub("", line).rstrip())]
    plain = "\n".join(lines)
    if not _HAS_NAMES.search(plain):
        return {}
    match = _NAMES.search(plain)
    if match is None:
        raise ValueError("expected names as a list, or as numbers with names")
    value = match["value"]
    if value[0] in "[{":
        items = [item.strip() for item in _ITEMS.findall(value[1:-1]) if item.strip()]
    else:
        items = [line.strip().removeprefix("- ").strip() for line in value.strip().split("\n")]
    names: dict[int, str] = {}
    for place, item in enumerate(items):
        numbered = _NUMBERED.fullmatch(item)
        names[int(numbered[1]) if numbered else place] = (numbered[2] if numbered else item).strip("'\"")
    return _filled(names)


def _names_in(folder: Path) -> Mapping[int, str]:
    paths = [folder / name for name in NAME_FILES if (folder / name).is_file()]
    paths += sorted(path for suffix in _YAML_SUFFIXES for path in folder.glob(f"*{suffix}"))
    tables = [table for path in paths if (table := _class_names(path))]
    if any(table != tables[0] for table in tables):
        raise ManifestError(
            f"{folder}: expected one file of class names, found {len(tables)} that differ. Keep one of them."
        )
    return tables[0] if tables else {}


def _class_names(path: Path) -> Mapping[int, str]:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"more than {MAX_BYTES} bytes")
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix.lower() in _YAML_SUFFIXES:
            if _HAS_POINTS.search(text):
                raise ValueError("by its kpt_shape the labels hold points of poses, which are not read")
            return yaml_names(text)
    except (OSError, ValueError) as error:
        raise ManifestError(
            f"{path}: expected class names, one a line, or under names in YAML, in UTF-8: {error}."
        ) from error
    return _filled({number: line.strip() for number, line in enumerate(text.rstrip().splitlines())})


def _filled(names: Mapping[int, str]) -> dict[int, str]:
    """Without empty names, which explain nothing: their class is unknown, not "no lesion"."""
    return {number: name for number, name in names.items() if name.strip()}


def _plain(name: str) -> str:
    return " ".join(re.split(r"[\s_-]+", name.strip().casefold()))


def _shown(names: Mapping[int, str]) -> str:
    return ", ".join(f"{number} {name!r:.40}" for number, name in sorted(names.items())[:5])
