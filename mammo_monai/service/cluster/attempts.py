"""Which image a worker was at when its process died: one that kills three workers is that image's fault.

A decoder can crash, and a film can be too large for the memory: neither raises, both end the process, and Ray
repeats the chunk without end. The notes are a file per chunk, a line per event, read when it is begun again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MAX_DEATHS = 3
LOADING = -1  # where a worker is before its first image
_BEGIN, _END = "begin", "end"


class Attempts:
    """The notes of one chunk.

    Attributes:
        deaths: by position in the chunk, how many processes died at that image, or at `LOADING`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        self.deaths: Counter[int] = Counter(_died_at(lines))

    @contextmanager
    def attempt(self) -> Iterator[Attempts]:
        """One attempt at the chunk: whatever leaves the block, but a killed process, is no death."""
        self._note(_BEGIN)
        try:
            yield self
        finally:
            self._note(_END)

    def at(self, position: int) -> None:
        """Notes that an image, or loading, is begun."""
        self._note(str(position))

    def is_guilty(self, position: int) -> bool:
        """Whether so many processes have died at an image that it is left out."""
        return self.deaths[position] >= MAX_DEATHS

    def _note(self, word: str) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(f"{word}\n")


def _died_at(lines: list[str]) -> Iterator[int]:
    """The last position of every attempt that has no end."""
    for number, line in enumerate(lines):
        following = lines[number + 1] if number + 1 < len(lines) else _BEGIN
        if line not in (_BEGIN, _END) and following == _BEGIN:
            yield int(line)
