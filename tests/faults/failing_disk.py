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

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_RAW_WRITERS = ("mammo_monai.inference.line_file",)  # modules that open a FileIO themselves
_NAMED = ("mkdir", "replace", "rename", "symlink")


class FailingDisk:
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
        self.folder = f"{os.path.realpath(folder)}{os.sep}"
        self.fatal, self.number, self.is_torn = fatal, number, is_torn
        self.instead, self.reads = instead, reads
        self.count = 0
        self._patch = pytest.MonkeyPatch()

    @property
    def has_failed(self) -> bool:
        """Whether anything failed yet."""
        return self.fatal is not None and self.count >= self.fatal

    def __enter__(self) -> FailingDisk:
        real_open = io.open

        def opened(file: Any, mode: str = "r", buffering: int = -1, *rest: Any, **named: Any) -> IO[Any]:
            is_read = not set(mode) & set("wax+")
            if is_read is not self.reads or not self._is_ours(file):
                return real_open(file, mode, buffering, *rest, **named)
            self.operation(file)
            if is_read:
                return real_open(file, mode, buffering, *rest, **named)
            return _stream(self._raw(), file, mode, buffering, *rest, **named)

        for owner, name, function in (
            (io, "open", opened),
            (builtins, "open", opened),
            *self._changes(),
        ):
            self._patch.setattr(owner, name, function)
        return self

    def _changes(self) -> list[tuple[Any, str, Any]]:
        """What else counts where changes of files do."""
        if self.reads:
            return []
        real_os_open, real_fsync = os.open, os.fsync

        def os_opened(path: Any, flags: int, *rest: Any, **named: Any) -> int:
            if flags & _WRITES and self._is_ours(path):
                self.operation(path)
            return real_os_open(path, flags, *rest, **named)

        def flushed(descriptor: int) -> None:
            if self._is_ours(descriptor):
                self.operation()
            real_fsync(descriptor)

        return [
            (os, "open", os_opened),
            (os, "fsync", flushed),
            *((os, name, self._watched(getattr(os, name))) for name in _NAMED),
            *((importlib.import_module(name), "FileIO", self._raw()) for name in _RAW_WRITERS),
        ]

    def __exit__(self, *_: object) -> None:
        self._patch.undo()

    def operation(self, path: Any = None, before: Callable[[], object] | None = None) -> None:
        """Counts one; raises what the disk answers from the fatal one on."""
        self.count += 1
        if self.instead is not None and self.count == self.fatal:
            self.instead()
        elif self.instead is None and self.has_failed:
            if before is not None:
                before()
            named = [path] if isinstance(path, str | os.PathLike) else []
            raise OSError(self.number, os.strerror(self.number), *map(os.fspath, named))

    def _watched(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def watched(path: Any, *rest: Any, **named: Any) -> Any:
            if self._is_ours(path) and not (real.__name__ == "mkdir" and Path(path).is_dir()):
                self.operation(path)
            return real(path, *rest, **named)

        return watched

    def _raw(self) -> type[io.FileIO]:
        disk = self

        class Failing(io.FileIO):
            def write(self, content: Any, /) -> int:
                whole = memoryview(content).cast("B")
                half = super().write
                if disk._is_ours(self.name):  # its own class
                    disk.operation(before=lambda: disk.is_torn and half(whole[: len(whole) // 2]))
                return half(whole)

        return Failing

    def _is_ours(self, path: Any) -> bool:
        try:
            if isinstance(path, int):
                path = Path(f"/dev/fd/{path}").readlink()
            return os.path.abspath(os.fsdecode(path)).startswith(self.folder)  # noqa: PTH100  # links are not followed
        except (OSError, TypeError):
            return False


def _stream(  # noqa: PLR0917  # as the built-in has it
    raw_type: type[io.FileIO],
    file: Any,
    mode: str,
    buffering: int = -1,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    closefd: bool = True,  # as the built-in has it
    opener: Any = None,
) -> IO[Any]:
    """As `open`, over a file whose writes may fail."""
    raw = raw_type(file, mode.replace("b", "").replace("t", ""), closefd, opener)
    if buffering == 0:
        return raw  # type: ignore[return-value]  # a raw stream, as the built-in gives
    buffered = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
    if "b" in mode:
        return buffered
    text = io.TextIOWrapper(buffered, encoding, errors, newline, line_buffering=buffering == 1)
    text.mode = mode  # type: ignore[misc]  # the built-in sets it so, too
    return text
