"""The page a worker shares with its supervisor: which input it is reading now, and since when.

A process that hangs or has crashed cannot tell any more; what it wrote here before stays.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.mutations import MAX_INPUT_BYTES

_HEAD = struct.Struct("<qdqq")  # index, begun (time.monotonic), resident bytes before, length of the input
_IDLE = -1


@dataclass(frozen=True)
class Running:
    """One execution under way.

    Attributes:
        begun_s: on the clock of `time.monotonic`, which all processes share on Linux.
        resident_bytes: of the worker before it began.
    """

    index: int
    begun_s: float
    resident_bytes: int
    length: int


class Slot:
    """A file of fixed size in memory; the worker writes, the supervisor reads."""

    def __init__(self, path: Path) -> None:
        size = _HEAD.size + MAX_INPUT_BYTES
        if not path.exists() or path.stat().st_size != size:
            path.write_bytes(bytes(_HEAD.size))
            with path.open("r+b") as stream:
                stream.truncate(size)
        with path.open("r+b") as stream:
            self._page = mmap.mmap(stream.fileno(), size)

    def begin(self, running: Running, data: bytes) -> None:
        """Notes an execution before it starts."""
        self._page[_HEAD.size : _HEAD.size + len(data)] = data
        self._page[: _HEAD.size] = _HEAD.pack(
            running.index, running.begun_s, running.resident_bytes, running.length
        )

    def clear(self) -> None:
        """Nothing is being executed."""
        self._page[: _HEAD.size] = _HEAD.pack(_IDLE, 0.0, 0, 0)

    def running(self) -> Running | None:
        """What is being executed, None between two executions."""
        running = Running(*_HEAD.unpack(self._page[: _HEAD.size]))
        return None if running.index == _IDLE else running

    def data(self, running: Running) -> bytes:
        """The input of that execution; only to be trusted once the worker has stopped."""
        return self._page[_HEAD.size : _HEAD.size + running.length]
