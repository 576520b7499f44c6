"""What a process does to the files of a folder, heard of one by one: opening, writing, flushing.

A full or failing disk (`faults.failing_disk`) and a kill in the middle (`crash.operations`) hear it here.
"""

from __future__ import annotations

import builtins
import io
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
RAW_WRITERS = ("mammo_monai.inference.line_file",)  # open a FileIO themselves; watched if imported by then
Replacement = tuple[Any, str, Any]  # owner, name, what stands there instead


class WatchedFiles(ABC):
    """Hears of operations on files below a folder, before they happen."""

    def __init__(self, folder: Path) -> None:
        self.folder = os.path.realpath(folder)

    @abstractmethod
    def heard(self, path: Any = None, half: Callable[[], object] | None = None) -> None:
        """One operation; what this raises comes out of it.

        Args:
            half: does half of it, where it is a write.
        """

    def opened(self, path: Any) -> None:
        """A file is about to be opened for writing."""
        self.heard(path)

    def is_ours(self, path: Any) -> bool:
        """Whether a path or a descriptor lies below the folder; links are not followed."""
        try:
            if isinstance(path, int):
                path = Path(f"/dev/fd/{path}").readlink()
            return os.path.abspath(os.fsdecode(path)).startswith(f"{self.folder}{os.sep}")  # noqa: PTH100  # see above
        except (OSError, TypeError):
            return False

    def replacements(self) -> list[Replacement]:
        """`open`, `os.fsync` and `FileIO`, as they must be replaced for this to hear of them."""
        real_open, real_fsync = io.open, os.fsync

        def opened(file: Any, mode: str = "r", buffering: int = -1, *rest: Any, **named: Any) -> IO[Any]:
            if not set(mode) & set("wax+") or not self.is_ours(file):
                return real_open(file, mode, buffering, *rest, **named)
            self.opened(file)
            return _stream(self._raw(), file, mode, buffering, *rest, **named)

        def flushed(descriptor: int) -> None:
            if self.is_ours(descriptor):
                self.heard()
            real_fsync(descriptor)

        raw_writers = [sys.modules[name] for name in RAW_WRITERS if name in sys.modules]
        return [
            (io, "open", opened),
            (builtins, "open", opened),
            (os, "fsync", flushed),
            *((module, "FileIO", self._raw()) for module in raw_writers),
        ]

    def _raw(self) -> type[io.FileIO]:
        watched = self

        class Heard(io.FileIO):
            def write(self, content: Any, /) -> int:
                whole = memoryview(content).cast("B")
                real = super().write
                if watched.is_ours(self.name):
                    watched.heard(half=lambda: real(whole[: len(whole) // 2]))
                return real(whole)

        return Heard


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
    """As `open`, over a file whose writes are heard of."""
    raw = raw_type(file, mode.replace("b", "").replace("t", ""), closefd, opener)
    if buffering == 0:
        return raw  # type: ignore[return-value]  # a raw stream, as the built-in gives
    buffered = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
    if "b" in mode:
        return buffered
    text = io.TextIOWrapper(buffered, encoding, errors, newline, line_buffering=buffering == 1)
    text.mode = mode  # type: ignore[misc]  # the built-in sets it so, too
    return text
