"""Folders that every process has, and some have not: a home, the current folder, one for temporary files."""

from __future__ import annotations

import tempfile
from pathlib import Path


def home() -> Path | None:
    """The user's home; None for a user who has no entry in passwd and no HOME, as in some containers."""
    try:
        return Path.home()
    except RuntimeError:
        return None


def here() -> Path | None:
    """The current folder; None where it was removed meanwhile, or may not be looked at."""
    try:
        return Path.cwd()
    except OSError:
        return None


def temporary() -> Path | None:
    """Where temporary files go; None where no folder for them can be written."""
    try:
        return Path(tempfile.gettempdir())
    except OSError:
        return None


def expanded(path: str | Path) -> Path:
    """A path with the home in place of its "~", which stays where no home is known."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def is_folder(path: Path) -> bool:
    """Whether a folder can be seen there; not so below one that may not be entered, where is_dir() raises."""
    try:
        return path.is_dir()
    except OSError:
        return False


def is_file(path: Path) -> bool:
    """Whether a file can be seen there."""
    try:
        return path.is_file()
    except OSError:
        return False
