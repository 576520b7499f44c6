"""Image and result files on disk: whole and flushed before anything is said about them."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

_PART = ".part"


class Spool:
    """Two folders of files with hashes for names, readable by their owner only.

    A file is written beside its place under a name that ends in `.part`, flushed, and renamed: what bears
    its final name is whole. Names are relative to `folder`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("images", "results"):
            (folder / name).mkdir(parents=True, exist_ok=True, mode=0o700)

    def path(self, name: str) -> Path:
        """Where a file lies."""
        return self.folder / name

    def part(self, kind: str) -> Path:
        """A fresh path to write to; `kind` is "images" or "results"."""
        return self.folder / kind / f"{secrets.token_hex(12)}{_PART}"

    def write_part(self, kind: str, write: Callable[[BinaryIO], None]) -> Path:
        """Writes and flushes a file that has no name yet; on any error nothing is left.

        Raises:
            OSError: such as a full disk.
        """
        path = self.part(kind)
        try:
            with path.open("xb") as stream:
                write(stream)
                stream.flush()
                os.fsync(stream.fileno())
        except BaseException:
            self.drop(path)
            raise
        return path

    def keep(self, part: Path, stem: str) -> str:
        """Gives a flushed part its final name, in a way that survives a power cut; returns the name."""
        name = f"{part.parent.name}/{stem[:2]}/{stem}.dcm"
        path = self.path(name)
        if not path.parent.is_dir():
            path.parent.mkdir(mode=0o700, exist_ok=True)
            _flush_folder(path.parent.parent)
        part.replace(path)
        _flush_folder(path.parent)
        return name

    def drop(self, path: Path | str | None) -> None:
        """Removes a file or part if it is there."""
        if path is not None:
            with suppress(FileNotFoundError):
                (path if isinstance(path, Path) else self.path(path)).unlink()

    def files(self, kind: str) -> Iterator[str]:
        """Names of the whole files there are."""
        for path in sorted((self.folder / kind).glob("*/*.dcm")):
            yield path.relative_to(self.folder).as_posix()

    def parts(self) -> list[Path]:
        """What a kill left unfinished."""
        return [path for kind in ("images", "results") for path in (self.folder / kind).glob(f"*{_PART}")]

    def free_bytes(self) -> int:
        """Room left on the disk."""
        return shutil.disk_usage(self.folder).free


def stem_of(*words: str) -> str:
    """A file name of 32 hex digits that says nothing to those without the queue."""
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:32]


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
