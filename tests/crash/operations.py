"""What a process does to the files of a folder, counted; and its own SIGKILL in the middle of one.

A clock rarely hits the microseconds between a rename and what follows it. So a command is also killed by
itself, at its n-th operation on files: before opening, renaming, removing, making, cutting, flushing one, or
when half of what it writes is written.
"""

from __future__ import annotations

import mmap
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.watched_files import WRITES, WatchedFiles

# Events of sys.audit whose first argument is what is changed; os.replace and os.rename are one event.
CHANGES = frozenset(
    {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "os.symlink"}
)


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


class FileOperations(WatchedFiles):
    """Counts this process's operations on files below a folder, and kills the process at one of them.

    Args:
        folder: what lies elsewhere does not count.
        tally: where the count stands.
        fatal: the number of the operation that does not happen, or only by half, counted from 1; None: none.
    """

    def __init__(self, folder: Path, tally: Tally, *, fatal: int | None = None) -> None:
        super().__init__(folder)
        self.tally = tally
        self.fatal = fatal

    def install(self) -> None:
        """Watches from now on; there is no way back, so only a process that is about to end calls this."""
        for owner, name, function in self.replacements():
            setattr(owner, name, function)
        sys.addaudithook(self._audited)

    def heard(self, path: Any = None, half: Callable[[], object] | None = None) -> None:
        """Counts one operation; at the fatal one, does half of it where it is a write, and dies."""
        self.tally.count += 1
        if self.tally.count == self.fatal:
            if half is not None:
                half()
            os.kill(os.getpid(), signal.SIGKILL)

    def opened(self, path: Any) -> None:
        """Nothing: the interpreter's own event comes for every open, whoever opens."""

    def is_ours(self, path: Any) -> bool:
        """As of any watched folder; making, removing and flushing the folder itself counts, too."""
        return super().is_ours(path) or (
            isinstance(path, str | bytes | os.PathLike) and os.path.abspath(os.fsdecode(path)) == self.folder  # noqa: PTH100
        )

    def _audited(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            if isinstance(flags, int) and flags & WRITES and self.is_ours(path):
                self.heard()
        elif event in CHANGES and (self.is_ours(arguments[0]) or _is_relative(arguments)):
            self.heard()


def _is_relative(arguments: tuple[Any, ...]) -> bool:
    """Whether a name is relative to an open folder, as where a whole tree is removed."""
    path, folder = arguments[0], arguments[-1]
    is_name = isinstance(path, str | bytes | os.PathLike) and not Path(os.fsdecode(path)).is_absolute()
    return is_name and isinstance(folder, int) and folder >= 0
