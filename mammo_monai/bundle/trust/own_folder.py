"""The user's own folder of settings, where lists of trust lie that nobody else may write."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

from mammo_monai.errors import BundleError
from mammo_monai.files import atomic_path

HOME = "MAMMO_MONAI_HOME"  # the variable's name
_FOLDER = "mammo-monai"
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def own_file(name: str) -> Path:
    """Where a file of the user's settings lies, whether it is there or not.

    The folder is `MAMMO_MONAI_HOME`, else where the system keeps settings: `%APPDATA%` on Windows,
    `~/Library/Application Support` on macOS, `XDG_CONFIG_HOME` or `~/.config` elsewhere.

    Source: XDG Base Directory Specification 0.8: a relative path there is not valid and is left out.
    """
    if named := os.environ.get(HOME):
        return Path(named).expanduser().absolute() / name
    if sys.platform == "win32":
        base = Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        given = Path(os.environ.get("XDG_CONFIG_HOME") or "")
        base = given if given.is_absolute() else Path.home() / ".config"
    return base / _FOLDER / name


def write_private(path: Path, text: str) -> None:
    """Writes a text that only this user may read and write, whole or not at all.

    Raises:
        OSError: the folder cannot be written; nothing was changed.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with atomic_path(path) as part:
        part.chmod(0o600)  # before anything is in it
        part.write_text(text, encoding="utf-8")


def check_private(path: Path) -> None:
    """Refuses a file that somebody else could have written.

    Raises:
        BundleError: another user's file, a link, or one that group or others may write.
    """
    status = path.lstat()
    if sys.platform == "win32":
        return  # rights lie in access lists there; the folder is the user's own
    is_own = status.st_uid in (os.getuid(), 0)
    if not stat.S_ISREG(status.st_mode) or not is_own or status.st_mode & _OTHERS_WRITE:
        raise BundleError(
            f"{path}: others could have written it (owner {status.st_uid}, rights "
            f"{status.st_mode & 0o777:o}). It decides what may run: look through it, then "
            "`chmod 600` and own it, or remove it."
        )
