"""The unfinished file or folder beside a final one: a living writer's own, after a kill the next one's.

Writers of one file use the same name for its unfinished content, so what a killed one left is taken over by
the next, and nothing gathers. The operating system's lock tells a dead writer from one at work, which keeps
its file: the second one then writes under a name drawn by chance.
"""

from __future__ import annotations

import glob
import os
import re
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: every writer has a name of its own, a killed one's stays
    fcntl = None  # type: ignore[assignment]

HAS_LOCKS: bool = fcntl is not None
USUAL = "0" * 8
_SHORTEST_LIMIT_BYTES = 143  # of a file's name, of the file systems in use: eCryptfs; most take 255
_LONGEST_SUFFIX_BYTES = 16
_PART = re.compile(r"\..*\.[0-9a-f]{8}\.part(\..{1,15})?", re.DOTALL)
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
_THERE = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_FOLDER = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_DIRECTORY", 0)


@contextmanager
def own_part(target: Path) -> Iterator[Path]:
    """Yields an empty file beside `target` that no other writer touches; on any error it is removed.

    Raises:
        OSError: the folder cannot be written; the error's file is `target`.
    """
    part, descriptor = _claimed(target)
    try:
        yield part
    except BaseException:
        with suppress(OSError):
            part.unlink()  # before the lock goes: until then nobody else uses this name
        raise
    finally:
        os.close(descriptor)


@contextmanager
def own_part_folder(target: Path) -> Iterator[Path]:
    """Yields an empty folder beside `target` that no other process touches; removed at the end, unless moved.

    What killed ones left for the same target is removed first. Folders are made.

    Raises:
        OSError: the folder cannot be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    for each in target.parent.glob(f".{glob.escape(target.name)}.*.part"):
        if is_part_name(each.name):
            _removed(each, _FOLDER, stat.S_ISDIR, shutil.rmtree)
    part, descriptor = _claimed_folder(target)
    try:
        yield part
    finally:
        shutil.rmtree(part, ignore_errors=True)
        if descriptor is not None:
            os.close(descriptor)


def remove_leftover(part: Path) -> bool:
    """Removes the file a killed writer left; False where one is at work, or that cannot be told."""
    return _removed(part, _THERE, stat.S_ISREG, Path.unlink)


def _removed(
    part: Path, flags: int, is_its_kind: Callable[[int], bool], remove: Callable[[Path], object]
) -> bool:
    if not HAS_LOCKS:
        return False
    try:
        descriptor = os.open(part, flags)
    except OSError as error:
        return isinstance(error, FileNotFoundError)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not is_its_kind(os.fstat(descriptor).st_mode):
            return False
        if _stands_at(part, descriptor):
            remove(part)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def remove_leftovers(folder: Path) -> None:
    """Removes the files that killed writers left in a folder, of whatever name; not in folders below."""
    for each in folder.glob(".*.part*"):
        if is_part_name(each.name):
            remove_leftover(each)


def is_part_name(name: str) -> bool:
    """Whether a file or folder of this name is unfinished: a killed command's, or one's at work.

    >>> is_part_name(part_name("film.dcm")), is_part_name(".film.dcm"), is_part_name("a.00000000.part")
    (True, False, False)
    """
    return _PART.fullmatch(name) is not None


def part_name(name: str, token: str = USUAL) -> str:
    """A hidden name beside the final one, with its suffix, and not too long where that one is not.

    >>> part_name("detections.json"), len(part_name("x" * 255))
    ('.detections.json.00000000.part.json', 255)
    """
    suffix = Path(name).suffix
    suffix = suffix if len(os.fsencode(suffix)) <= _LONGEST_SUFFIX_BYTES else ""
    end = f".{token}.part{suffix}"
    room = max(len(os.fsencode(name)), _SHORTEST_LIMIT_BYTES) - len(os.fsencode(end)) - 1
    while len(os.fsencode(name)) > room:
        name = name[:-1]
    return f".{name}{end}"


def _claimed(target: Path) -> tuple[Path, int]:
    """A new file with its descriptor, which holds the lock where there are locks."""
    usual = target.with_name(part_name(target.name))
    try:
        for _ in range(2 if HAS_LOCKS else 0):
            with suppress(FileExistsError):
                descriptor = os.open(usual, _NEW, 0o666)
                if _is_ours(usual, descriptor):
                    return usual, descriptor
                os.close(descriptor)
            if not remove_leftover(usual):
                break
        part = target.with_name(part_name(target.name, secrets.token_hex(4)))
        return part, os.open(part, _NEW, 0o666)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(target)) from error


def _claimed_folder(target: Path) -> tuple[Path, int | None]:
    """A new folder with its descriptor, which holds the lock where there are locks."""
    while True:
        part = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
        part.mkdir()
        if not HAS_LOCKS:
            return part, None
        with suppress(FileNotFoundError):  # another process took it for a leftover in that very moment
            descriptor = os.open(part, _FOLDER)
            if _is_ours(part, descriptor):
                return part, descriptor
            os.close(descriptor)


def _is_ours(part: Path, descriptor: int) -> bool:
    """Locks what was just made; False where another writer took it for a leftover in that very moment."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # no locks here: nobody can take it for a leftover
    return _stands_at(part, descriptor)


def _stands_at(part: Path, descriptor: int) -> bool:
    """Whether this is the file of that name, and its writer has not just moved or removed it."""
    try:
        return os.path.samestat(os.fstat(descriptor), part.lstat())
    except FileNotFoundError:
        return False
