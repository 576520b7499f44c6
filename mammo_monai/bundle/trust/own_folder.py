"""The user's own folder of settings, where lists of trust lie that nobody else may write."""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mammo_monai.errors import BundleError
from mammo_monai.files import atomic_path
from mammo_monai.locks import only_writer

HOME = "MAMMO_MONAI_HOME"  # the variable's name
_FOLDER = "mammo-monai"
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_PATIENCE_S = 10.0


def own_file(name: str) -> Path:
    """Where a file of the user's settings lies, whether it is there or not.

    The folder is `MAMMO_MONAI_HOME`, else where the system keeps settings: `%APPDATA%` on Windows,
    `~/Library/Application Support` on macOS, `XDG_CONFIG_HOME` or `~/.config` elsewhere.

    Raises:
        BundleError: no folder is named, and this user has no home, as in some containers.

    Source: XDG Base Directory Specification 0.8: a relative path there is not valid and is left out.
    """
    try:
        if named := os.environ.get(HOME):
            return Path(named).expanduser().absolute() / name
        return _base() / _FOLDER / name
    except RuntimeError as error:
        raise BundleError(
            f"no place for {name}, which says whom you trust: this user has no home. Set {HOME} to a folder "
            "of your own."
        ) from error


def _base() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    given = Path(os.environ.get("XDG_CONFIG_HOME") or "")
    return given if given.is_absolute() else Path.home() / ".config"


def write_private(path: Path, text: str) -> None:
    """Writes a text that only this user may read and write, whole or not at all.

    Raises:
        OSError: the folder cannot be written; nothing was changed.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with atomic_path(path) as part:
        part.chmod(0o600)  # before anything is in it
        part.write_text(text, encoding="utf-8")


@contextmanager
def changing(path: Path) -> Iterator[None]:
    """Lets one process at a time read a list and write it anew.

    Raises:
        OSError: another is at it for ten seconds, or the folder cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with only_writer(path, doing="changing it", patience_s=_PATIENCE_S):
        yield


def read_private(path: Path) -> str | None:
    """The text of a file that nobody else could have written; None where there is none.

    Raises:
        BundleError: another user's file, a link, or one that group or others may write.
    """
    if not os.path.lexists(path):
        return None
    try:
        # What is looked at is what is read: a link or pipe put there meanwhile is neither.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise _not_private(path, path.lstat()) from error
    with os.fdopen(descriptor, "rb") as stream:
        status = os.fstat(descriptor)
        # On Windows rights lie in access lists; the folder is the user's own.
        if sys.platform != "win32" and not _is_private(status):
            raise _not_private(path, status)
        return stream.read().decode("utf-8", "replace")


def _is_private(status: os.stat_result) -> bool:
    is_own = status.st_uid in (os.getuid(), 0)
    return stat.S_ISREG(status.st_mode) and is_own and not status.st_mode & _OTHERS_WRITE


def _not_private(path: Path, status: os.stat_result) -> BundleError:
    return BundleError(
        f"{path}: others could have written it (owner {status.st_uid}, rights "
        f"{status.st_mode & 0o777:o}). It decides what may run: look through it, then "
        "`chmod 600` and own it, or remove it."
    )
