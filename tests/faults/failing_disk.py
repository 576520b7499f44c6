"""A disk that fails from its n-th operation on, for one folder: as in SQLite's tests of I/O errors.

Writing, flushing, making and renaming count; reading and deleting go on, as they do on a full disk.
"""

from __future__ import annotations

import builtins
import errno
import importlib
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import pytest

from tests.watched_files import RAW_WRITERS, WRITES, Replacement, WatchedFiles

_NAMED = ("mkdir", "replace", "rename", "symlink")


class FailingDisk(WatchedFiles):
    """A context manager; while it is open, operations on files below `folder` count, and fail from one on.

    Args:
        fatal: number of the first that fails, from 1; None: none does.
        number: what it fails with.
        is_torn: whether a write that fails writes half before it does.
        instead: done once at the fatal operation, which then goes on; nothing fails.
        reads: opening files for reading counts instead, and fails.
    """

    def __init__(
        self,
        folder: Path,
        *,
        fatal: int | None = None,
        number: int = errno.ENOSPC,
        is_torn: bool = True,
        instead: Callable[[], object] | None = None,
        reads: bool = False,
    ) -> None:
        super().__init__(folder)
        self.fatal, self.number, self.is_torn = fatal, number, is_torn
        self.instead, self.reads = instead, reads
        self.count = 0
        self._patch = pytest.MonkeyPatch()

    @property
    def has_failed(self) -> bool:
        """Whether anything failed yet."""
        return self.fatal is not None and self.count >= self.fatal

    def __enter__(self) -> FailingDisk:
        for name in RAW_WRITERS:
            importlib.import_module(name)
        for each in self._reading() if self.reads else [*self.replacements(), *self._changes()]:
            self._patch.setattr(*each)
        return self

    def __exit__(self, *_: object) -> None:
        self._patch.undo()

    def heard(self, path: Any = None, half: Callable[[], object] | None = None) -> None:
        """Counts one; raises what the disk answers from the fatal one on."""
        self.count += 1
        if self.instead is not None and self.count == self.fatal:
            self.instead()
        elif self.instead is None and self.has_failed:
            if half is not None and self.is_torn:
                half()
            named = [path] if isinstance(path, str | os.PathLike) else []
            raise OSError(self.number, os.strerror(self.number), *map(os.fspath, named))

    def _reading(self) -> list[Replacement]:
        real_open = io.open

        def opened(file: Any, mode: str = "r", *rest: Any, **named: Any) -> IO[Any]:
            if not set(mode) & set("wax+") and self.is_ours(file):
                self.heard(file)
            return real_open(file, mode, *rest, **named)

        return [(owner, "open", opened) for owner in (io, builtins)]

    def _changes(self) -> list[Replacement]:
        """What counts beside opening, writing and flushing."""
        real_os_open = os.open

        def os_opened(path: Any, flags: int, *rest: Any, **named: Any) -> int:
            if flags & WRITES and self.is_ours(path):
                self.heard(path)
            return real_os_open(path, flags, *rest, **named)

        return [(os, "open", os_opened), *((os, name, self._watched(getattr(os, name))) for name in _NAMED)]

    def _watched(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def watched(path: Any, *rest: Any, **named: Any) -> Any:
            if self.is_ours(path) and not (real.__name__ == "mkdir" and Path(path).is_dir()):
                self.heard(path)
            return real(path, *rest, **named)

        return watched
