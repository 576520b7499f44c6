"""Disks: room, files that may be made, locks that hold, and file systems known for trouble."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mammo_monai.doctor import places
from mammo_monai.doctor.child import Step
from mammo_monai.doctor.findings import Finding, Level, quoted
from mammo_monai.doctor.weights import torch_cache
from mammo_monai.locks import LockHeldError, file_lock
from mammo_monai.parts import own_part_folder
from mammo_monai.words import counted

KIND = "disk"
LITTLE_GB, VERY_LITTLE_GB = 5.0, 0.5
FEW_FILES = 10_000
LITTLE_SHARED_GB = 1.0  # containers have 64 MB unless told otherwise; a batch of full films is larger
_MOUNTS = Path("/proc/self/mountinfo")
_SHARED = Path("/dev/shm")  # looked at, not written
SHARES = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "afpfs", "9p", "vboxsf", "drvfs", "fuse.sshfs")
_OWN_CACHE = "MAMMO_MONAI_CACHE"


@dataclass(frozen=True)
class Place:
    """A folder that commands write to, as it was found.

    Attributes:
        error: why no file can be made there. has_locks: None where that was not tried.
        files_left: names that can still be made; None where the file system has no such limit.
    """

    path: Path
    file_system: str
    free_gb: float
    files_left: int | None
    error: str = ""
    has_locks: bool | None = None


def findings(request: Mapping[str, Any]) -> Iterator[Finding | Step]:
    """All of this kind."""
    yield from _without_a_place()
    for name, path, variable in _asked(request):
        yield Step.begun(f"writing to {name}", f"Name another folder ({variable})")
        private = () if path == Path() else (str(path),)  # a folder's name may be a ward's
        yield replace(place_finding(name, look_at(path), variable), private=private)
    if _SHARED.is_dir():
        yield shared_finding(_free_gb(_SHARED))


def _asked(request: Mapping[str, Any]) -> Iterator[tuple[str, Path, str]]:
    """The folders that commands write to, as far as they are known, and what names another one."""
    yield "output", Path(request["output"]), "-o of the command"
    own, home, temporary = os.environ.get(_OWN_CACHE), places.home(), places.temporary()
    if own:
        yield "cache", places.expanded(own), _OWN_CACHE
    elif home is not None:
        yield "cache", home / ".cache" / "mammo-monai", _OWN_CACHE
    yield "torch's cache", torch_cache(), "TORCH_HOME"
    if temporary is not None:
        yield "temporary files", temporary, "TMPDIR"


def _without_a_place() -> Iterator[Finding]:
    """A finding for each folder that every user should have, and this one has not."""
    if places.home() is None:
        found = "unknown: HOME is not set, and passwd does not know this user"
        why = "Caches have no place; commands that look for one stop."
        fix = "export HOME=FOLDER  # one that this user can write"
        yield Finding(KIND, "home", Level.FAULT, found, why, fix)
    temporary, asked = places.temporary(), os.environ.get("TMPDIR")
    if temporary is None:
        found = "no folder for them can be written, neither TMPDIR, /tmp and /var/tmp nor this one"
        why = "The disk is full or read-only: commands that need such a file stop."
        fix = "export TMPDIR=FOLDER  # one with room: df -h, df -i"
        yield Finding(KIND, "temporary files", Level.FAULT, found, why, fix)
    elif asked and Path(asked).absolute() != temporary:
        found = f"TMPDIR names {asked}, where nothing can be written: {temporary} is used instead"
        why = "Temporary files go to another disk than was meant, without a word."
        fix = f"ls -ld {quoted(asked)}; df -h {quoted(asked)}"
        yield Finding(KIND, "temporary files", Level.WARNING, found, why, fix, (asked,))


def look_at(path: Path) -> Place:
    """Tries a folder, or the nearest one above it that can be seen; leaves nothing behind."""
    system = ""
    try:
        place = path.absolute()  # fails where the current folder was removed
        while not places.is_folder(place) and place != place.parent:
            place = place.parent
        system = file_system_of(place, _mounts())
        about = os.statvfs(place)
        free, files = about.f_bavail * about.f_frsize / 1e9, about.f_favail if about.f_files else None
        return Place(path, system, free, files, *_tried(place))
    except OSError as error:
        return Place(path, system, 0.0, None, error.strerror or str(error))


def _tried(folder: Path) -> tuple[str, bool | None]:
    """Makes, locks, renames and removes a file: the error, and whether a second lock was refused."""
    try:
        with own_part_folder(folder / "mammo-monai-doctor") as own:
            lock = own / "lock"
            with file_lock(lock):
                try:
                    with file_lock(lock):
                        has_locks = False
                except LockHeldError:
                    has_locks = True
            lock.replace(own / "renamed")
            return "", has_locks
    except OSError as error:
        return error.strerror or str(error), None


def place_finding(name: str, place: Place, variable: str) -> Finding:
    """What a place is good for.

    Args:
        variable: the option or variable that names another one.
    """
    if place.error:
        fix = f"Name another folder with {variable}, or: ls -ld {quoted(place.path)}"
        why = "Nothing can be written there."
        return Finding(KIND, name, Level.FAULT, f"{place.path}: {place.error}", why, fix)
    text = f"{place.path}: {place.free_gb:.1f} GB free, {place.file_system or 'file system unknown'}"
    for applies, level, what, why, fix in _lacks(place, f"Name another folder with {variable}"):
        if applies:
            return Finding(KIND, name, level, f"{text}{what}", why, fix)
    return Finding(KIND, name, Level.OK, f"{text}; locks hold")


def _lacks(place: Place, other: str) -> Iterator[tuple[bool, Level, str, str, str]]:
    """What a place may lack, the worst first: whether it does, level, what, why, and what mends it."""
    why = "Commands will stop for want of room."
    yield place.free_gb < VERY_LITTLE_GB, Level.FAULT, "", why, f"{other}, or make room"
    few = place.files_left is not None and place.files_left < FEW_FILES
    why = "The disk may have room, but has no names for new files (inodes)."
    left = f"; {counted(place.files_left or 0, 'more file')}"
    yield few, Level.WARNING, left, why, f"df -i {quoted(place.path)}"
    why = "Two commands could write the same file at once: let one run at a time write there."
    yield place.has_locks is False, Level.WARNING, "; locks do not hold", why, other
    why = "Between machines locks need NFS 4, or SMB without nobrl. Queues belong on a local disk."
    yield place.file_system in SHARES, Level.WARNING, "; a network share", why, other
    why = "Prepared data sets and checkpoints take several GB."
    yield place.free_gb < LITTLE_GB, Level.WARNING, "", why, f"{other}, or make room"


def shared_finding(free_gb: float) -> Finding:
    """Shared memory, through which worker processes hand over batches."""
    text = f"{free_gb:.2f} GB free in {_SHARED}"
    if free_gb >= LITTLE_SHARED_GB:
        return Finding(KIND, "shared memory", Level.OK, text)
    why = "Training with --num_workers above 0 may die of a bus error."
    return Finding(
        KIND, "shared memory", Level.WARNING, text, why, "docker run --shm-size=2g …, or --num_workers 0"
    )


def file_system_of(folder: Path, mounts: str) -> str:
    """The type of the file system a folder lies on, of the text of /proc/self/mountinfo; empty if unknown.

    >>> mounts = "36 35 98:0 / / rw - ext4 a rw\\n40 36 0:1 / /data rw - nfs4 b"
    >>> file_system_of(Path("/data/films"), mounts)
    'nfs4'
    """
    found, longest = "", -1
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split()
        if len(fields) < 5 or not after.split():
            continue
        point = Path(fields[4].replace("\\040", " "))
        if folder.is_relative_to(point) and len(point.parts) >= longest:
            found, longest = after.split()[0], len(point.parts)
    return found


def _mounts() -> str:
    try:
        return _MOUNTS.read_text(encoding="utf-8", errors="replace")
    except OSError:  # not Linux
        return ""


def _free_gb(folder: Path) -> float:
    about = os.statvfs(folder)
    return about.f_bavail * about.f_frsize / 1e9
