"""One process at a time: a lock on a file that its holder's end frees, however the holder ended.

The lock is the operating system's, not the file: one that a killed process left behind keeps nobody out.
On a network share it holds between machines where the share's file system passes locks on (NFS 4, and SMB
without `nobrl`); where it does not, there is a warning and no lock.
"""

from __future__ import annotations

import errno
import hashlib
import importlib
import logging
import os
import platform
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any


def _of_this_system(name: str) -> Any:
    """A module that only some systems have, else None."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


fcntl = _of_this_system("fcntl")  # Windows has none: msvcrt has locks of its own
logger = logging.getLogger(__name__)

UNKNOWN = "another process"
_TRY_EVERY_S = 0.1
_NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS}
_LONGEST_HOLDER = 160
_LONGEST_NAME_BYTES = 255
# Windows refuses others to read the bytes that are locked: one far beyond the holder's name is.
_LOCKED_BYTE = 1 << 30


class LockHeldError(BlockingIOError):
    """Another holder has the lock; `holder` says who: "process 4711 on ward-3 since 2026-11-22 06:43 UTC"."""

    def __init__(self, path: Path, holder: str) -> None:
        super().__init__(errno.EAGAIN, f"{path}: {holder} holds this lock. Wait until it ends")
        self.holder = holder


@contextmanager
def file_lock(path: Path, *, patience_s: float = 0.0, keeps_file: bool = True) -> Iterator[int]:
    """Holds the lock on a file while the block runs; yields its descriptor.

    Who holds it stands in the file, for the error of those who come later; nothing is decided by that text.
    A process that inherits the descriptor holds the lock too, until it ends. Folders are made.

    Args:
        patience_s: how long to try.
        keeps_file: False removes the file at the end.

    Raises:
        LockHeldError: another process holds it, or another part of this one.
        OSError: the file cannot be made or opened; `path` may not be a symbolic link.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, file_lock(Path(folder) / "lock"):
    ...     holder_of(Path(folder) / "lock").split()[:2] == ["process", str(os.getpid())]
    True
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = _held(path, time.monotonic() + patience_s)
    try:
        _write_holder(descriptor)
        yield descriptor
    finally:
        if not keeps_file and fcntl is not None:
            _remove(path, descriptor)
        os.close(descriptor)  # not unlocked: who inherited it goes on holding it
        if not keeps_file and fcntl is None:
            with suppress(OSError):  # Windows removes no file that somebody has open
                path.unlink()


@contextmanager
def only_writer(output: Path, *, doing: str = "writing it", patience_s: float = 0.0) -> Iterator[None]:
    """Keeps other commands from one output, a file or a folder: holds `.<output>.lock` beside it.

    Args:
        doing: what the other one does, for the error. patience_s: how long to try.

    Raises:
        OSError: another process is at it, the folder cannot be written, or is no more there at the end.
    """
    place = Path(os.path.realpath(output))  # two names of one file are one output
    name = f".{place.name}.lock"
    if len(os.fsencode(name)) > _LONGEST_NAME_BYTES:
        name = f".{hashlib.sha256(os.fsencode(place.name)).hexdigest()[:32]}.lock"
    with ExitStack() as stack:
        try:
            descriptor = stack.enter_context(
                file_lock(place.with_name(name), patience_s=patience_s, keeps_file=False)
            )
        except LockHeldError as error:
            raise OSError(
                error.errno,
                f"could not write {output}: another process is {doing} ({error.holder}). Wait until it ends, "
                "or name another output.",
            ) from error
        except OSError as error:
            is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            reason = error.strerror or error
            remedy = (
                "Make room, or choose another folder" if is_full else "Choose a folder that can be written"
            )
            raise OSError(error.errno, f"could not write {output}: {reason}. {remedy}.") from error
        yield
        if not stands_at(place.with_name(name), descriptor):
            raise OSError(
                f"could not write {output}: its folder was moved, removed or unmounted meanwhile. See that "
                "it is there again, and start the same command."
            )


def holder_of(path: Path) -> str:
    """Who wrote the lock's file last, in words; `UNKNOWN` where that cannot be told."""
    with suppress(OSError), path.open("rb") as stream:
        text = stream.read(_LONGEST_HOLDER).decode("utf-8", errors="replace")
        return "".join(each for each in text if each.isprintable()).strip() or UNKNOWN
    return UNKNOWN


def _held(path: Path, until_s: float) -> int:
    """The descriptor of the locked file that stands at `path`, not of one its holder has just removed."""
    while True:
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        descriptor = os.open(path, flags, 0o666)
        try:
            _claim(path, descriptor)
            if stands_at(path, descriptor):
                return descriptor
        except BlockingIOError:
            if time.monotonic() >= until_s:
                os.close(descriptor)
                raise LockHeldError(path, holder_of(path)) from None
            time.sleep(_TRY_EVERY_S)
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _claim(path: Path, descriptor: int) -> None:
    try:
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            _claim_by_msvcrt(descriptor)
    except BlockingIOError:
        raise
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        logger.warning("%s: this file system has no locks; let one run at a time write here.", path.parent)


def _claim_by_msvcrt(descriptor: int) -> None:
    msvcrt = _of_this_system("msvcrt")
    if msvcrt is None:
        raise OSError(errno.ENOSYS, "no locks on this system")
    os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
    try:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EDEADLK):
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN)) from error
        raise


def stands_at(path: Path, descriptor: int) -> bool:
    """Whether the lock's file is still where it was made: its folder may be moved, removed or unmounted."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _write_holder(descriptor: int) -> None:
    now = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    text = f"process {os.getpid()} on {platform.node() or 'an unknown machine'} since {now}\n"
    with suppress(OSError):  # a full disk: the lock holds without its holder's name
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, text.encode())


def _remove(path: Path, descriptor: int) -> None:
    """Unless another run's lock stands there by now: the folder was deleted and made again meanwhile."""
    with suppress(OSError):
        if stands_at(path, descriptor):
            path.unlink()
