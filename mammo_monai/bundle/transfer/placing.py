"""A home of bundles on this machine: a bundle appears in it whole or not at all, and none is ever deleted."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from mammo_monai.errors import BundleError
from mammo_monai.files import could_not_write, write_text_atomic
from mammo_monai.locks import LockHeldError, file_lock

_DISKS_OWN = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.ESTALE)
_WORK, _REPLACED = ".pull", ".replaced"
_JOURNAL = "replacing"


@contextmanager
def work_folder(home: Path, key: str) -> Iterator[Path]:
    """A folder for what a pull has not finished, kept when it fails or is killed, removed when it succeeds.

    Raises:
        BundleError: another pull of the same source is running.
        OSError: the folder cannot be written.
    """
    work = home / _WORK / key
    with ExitStack() as stack:
        try:
            stack.enter_context(file_lock(home / _WORK / f"{key}.lock"))
        except LockHeldError as error:
            raise BundleError(
                f"{home}: another pull from this source is running ({error.holder}). Wait for it."
            ) from error
        work.mkdir(exist_ok=True)
        _take_up(home, work)
        try:
            yield work
        except OSError as error:
            if error.filename is not None or error.errno not in _DISKS_OWN:
                raise
            raise could_not_write(home, error) from error
        shutil.rmtree(work)


def put_in_place(unpacked: Path, home: Path, work: Path) -> Path | None:
    """Moves a whole bundle to `home/NAME`; a bundle of that name is moved aside first, and returned.

    A kill between the two moves is taken up by the next pull of the same source.
    """
    target = home / unpacked.name
    aside = _aside(home, unpacked.name) if target.exists() else None
    if aside is not None:
        aside.parent.mkdir(exist_ok=True)
        write_text_atomic(work / _JOURNAL, f"{aside.name}\n{target.name}\n")
        target.rename(aside)
    unpacked.rename(target)
    (work / _JOURNAL).unlink(missing_ok=True)
    return aside


def _take_up(home: Path, work: Path) -> None:
    """Brings back the bundle that a killed pull had moved aside without putting another in its place."""
    journal = work / _JOURNAL
    if not journal.is_file():
        return
    aside, name = journal.read_text(encoding="utf-8").splitlines()
    if (home / _REPLACED / aside).exists() and not (home / name).exists():
        (home / _REPLACED / aside).rename(home / name)
    journal.unlink()


def _aside(home: Path, name: str) -> Path:
    number = 1
    while (found := home / _REPLACED / f"{name}-{number}").exists():
        number += 1
    return found
