"""Finds the folder a data set's tables lie in, at or below the folder a person names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mammo_monai.errors import ManifestError
from mammo_monai.readers.folders import is_left_behind

MAX_DEPTH = 4
"""How far below: `wget -r` puts data sets under host/files/name/version."""


def find_table_folder(root: Path, names: Sequence[str]) -> tuple[Path, dict[str, Path]]:
    """The folder nearest to `root` that holds one of the tables, and those it holds by name.

    Args:
        names: file names; upper and lower case are the same, in the folder and in the result's keys, which
            are spelt as here.

    Raises:
        ManifestError: no such folder; no table down to `MAX_DEPTH` levels below; or two folders at the same
            level that hold some.
    """
    if not root.is_dir():
        raise ManifestError(f"{root}: no such folder; expected the data set as downloaded.")
    level = [root]
    for _ in range(MAX_DEPTH + 1):
        listings = [(folder, _listing(folder)) for folder in level]
        found = [
            (folder, tables) for folder, listing in listings if (tables := _tables(folder, listing, names))
        ]
        if len(found) > 1:
            places = " and ".join(str(next(iter(tables.values()))) for _, tables in found[:2])
            raise ManifestError(
                f"{root}: expected one {names[0]}, found {len(found)}, among them {places}. "
                "Name the folder of one of them."
            )
        if found:
            return found[0]
        level = [path for _, listing in listings for path in listing if path.is_dir()]
    raise ManifestError(
        f"{root}: expected {' or '.join(names)} in this folder or up to {MAX_DEPTH} levels below; none found."
    )


def subfolder(folder: Path, name: str) -> Path | None:
    """The folder of this name in another, whatever its case; None if there is none."""
    found = [path for path in _listing(folder) if path.name.lower() == name.lower() and path.is_dir()]
    return next((path for path in found if path.name == name), found[0] if found else None)


def _listing(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not is_left_behind(path.name))
    except OSError:  # no right to look into it; what is needed is missed by name
        return []


def _tables(folder: Path, listing: Sequence[Path], names: Sequence[str]) -> dict[str, Path]:
    spelt = {name.lower(): name for name in names}
    found: dict[str, Path] = {}
    for path in listing:
        name = spelt.get(path.name.lower())
        if name and path.is_file() and (name not in found or path.name == name):
            found[name] = path
    return found
