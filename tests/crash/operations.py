"""What a process does to the files of a folder, counted; and its own SIGKILL in the middle of one.

A clock rarely hits the microseconds between a rename and what follows it. So a command is also killed by
itself, at its n-th operation on files: before opening, renaming, removing, making, cutting, flushing one, or
when half of what it writes is written.
"""

from __future__ import annotations

import builtins
import io
import mmap
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

# Events of sys.audit whose first argument is what is changed; os.replace and os.rename are one event.
CHANGES = frozenset(
    {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "os.symlink"}
)
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
RAW_WRITERS = ("mammo_monai.inference.line_file",)  # modules that open a FileIO themselves


class Tally:
    """A number that outlives the process which counts: shared memory, made before it is forked."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 8)

    @property
    def count(self) -> int:
        """Operations so far."""
        return int.from_bytes(self._memory[:8], "little")

    @count.setter
    def count(self, value: int) -> None:
        self._memory[:8] = value.to_bytes(8, "little")


class FileOperations:
    """Counts this process's operations on files below a folder, and kills the process at one of them.

    Args:
        folder: what lies elsewhere does not count.
        tally: where the count stands.
        fatal: the number of the operation that does not happen, or only by half, counted from 1; None: none.
    """

    def __init__(self, folder: Path, tally: Tally, *, fatal: int | None = None) -> None:
        self.folder = folder.absolute()
        self.tally = tally
        self.fatal = fatal

    def install(self) -> None:
        """Watches from now on; there is no way back, so only a process that is about to end calls this."""
        real_open, real_fsync = io.open, os.fsync

        def opened(file: Any, mode: str = "r", buffering: int = -1, *rest: Any, **named: Any) -> IO[Any]:
            if not set(mode) & set("wax+") or not self._is_ours(file):
                return real_open(file, mode, buffering, *rest, **named)
            return self._watched(file, mode, buffering, *rest, **named)

        def flushed(descriptor: int) -> None:
            self.note()
            real_fsync(descriptor)

        io.open, builtins.open, os.fsync = opened, opened, flushed  # type: ignore[assignment]
        for name in RAW_WRITERS:
            if name in sys.modules:
                vars(sys.modules[name])["FileIO"] = self._raw()
        sys.addaudithook(self._heard)

    def note(self, before_death: Callable[[], object] | None = None) -> None:
        """Counts one operation; at the fatal one, does what goes before death, and dies."""
        self.tally.count += 1
        if self.tally.count == self.fatal:
            if before_death is not None:
                before_death()
            os.kill(os.getpid(), signal.SIGKILL)

    def _heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            if isinstance(flags, int) and flags & _WRITES and self._is_ours(path):
                self.note()
        elif event in CHANGES and (self._is_ours(arguments[0]) or _is_relative(arguments)):
            self.note()

    def _is_ours(self, path: object) -> bool:
        if isinstance(path, int):
            path = Path(f"/proc/self/fd/{path}").readlink()
        if not isinstance(path, str | bytes | os.PathLike):
            return False
        return Path(os.fsdecode(path)).absolute().is_relative_to(self.folder)

    def _raw(self) -> type[io.FileIO]:
        """A file whose writes count; the fatal one writes half and dies."""
        operations = self

        class Torn(io.FileIO):
            def write(self, content: Any, /) -> int:
                whole = memoryview(content).cast("B")
                half = super().write
                if operations._is_ours(self.name):  # its own class
                    operations.note(lambda: half(whole[: len(whole) // 2]))
                return super().write(content)

        return Torn

    def _watched(
        self,
        file: Any,
        mode: str,
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        closefd: bool = True,  # as the built-in has it
        opener: Any = None,
    ) -> IO[Any]:
        """As `open`, over a file whose writes count."""
        raw = self._raw()(file, mode.replace("b", "").replace("t", ""), closefd, opener)
        if buffering == 0:
            return raw
        buffered = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        if "b" in mode:
            return buffered
        text = io.TextIOWrapper(buffered, encoding, errors, newline, line_buffering=buffering == 1)
        text.mode = mode  # type: ignore[misc]  # the built-in sets it so, too
        return text


def _is_relative(arguments: tuple[Any, ...]) -> bool:
    """Whether a name is relative to an open folder, as where a whole tree is removed."""
    path, folder = arguments[0], arguments[-1]
    is_name = isinstance(path, str | bytes | os.PathLike) and not Path(os.fsdecode(path)).is_absolute()
    return is_name and isinstance(folder, int) and folder >= 0
