"""An append-only file of JSON lines that survives a kill at any moment: what was appended is read again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from io import FileIO
from pathlib import Path

from mammo_monai.errors import ManifestError
from mammo_monai.schema.detection_lines import line_of
from mammo_monai.schema.json_text import json_value

SYNC_EVERY_S = 1.0
Accept = Callable[[int, Mapping[str, object]], None]
_UNREADABLE = (ValueError, KeyError, TypeError, ManifestError)


class LineFile:
    """Lines after a first one, the head, that says whose they are.

    Every line is with the operating system before `append` returns, so a killed process loses none; it is on
    the disk a second later, so a failing power supply costs a second's lines.

    Args:
        path: opened, or made with its folders.
        head: a file with another one is begun anew.
        accept: called with place and content of each line that is there; raises what it cannot read.
        resume: False begins anew.

    Attributes:
        is_foreign: whether lines of another head were discarded.
        bad_line: the number of the first line that could not be read, which ends the file; None where all
            could. A last line cut short by a kill does not count.

    Raises:
        OSError: the file cannot be written.
    """

    def __init__(
        self, path: Path, head: Mapping[str, object], accept: Accept, *, resume: bool = True
    ) -> None:
        self.path = path
        self.is_foreign = False
        self.bad_line: int | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        except OSError as error:
            raise self._not_written(error) from error
        self._end = self._read(line_of(head), accept) if resume else 0
        self._synced_s = time.monotonic()
        # Unbuffered: what a full disk refuses must not be tried again when the file is closed.
        self._stream = FileIO(path, "r+")
        # What a kill left of a last line must go: the next line would be glued to it.
        self._stream.truncate(self._end)
        if self._end == 0:
            try:
                self.append(head)
            except OSError:
                self.remove()
                raise

    def append(self, content: Mapping[str, object]) -> int:
        """Adds a line; returns its place.

        Raises:
            OSError: it cannot be written: the disk is full, say.
        """
        line, place = line_of(content), self._end
        try:
            self._stream.seek(place)
            written = self._stream.write(line)
            while written < len(line):
                written += self._stream.write(line[written:])
            self._end += len(line)
            if time.monotonic() - self._synced_s >= SYNC_EVERY_S:
                self.sync()
        except OSError as error:
            raise self._not_written(error) from error
        return place

    def line_at(self, place: int) -> dict[str, object]:
        """The content of the line at a place.

        Raises:
            ManifestError: no line ends behind it: the file was changed. ValueError: it is no JSON.
        """
        self._stream.seek(place)
        # A line is read in blocks: FileIO's own readline asks for byte after byte.
        line = b""
        while not line.endswith(b"\n"):
            block = self._stream.read(1 << 14)
            if not block:
                raise ManifestError(
                    f"{self.path}: a line is lost: another program changed the file. Run again."
                )
            line += block
            line = line[: line.find(b"\n") + 1] or line
        return dict(json_value(line))

    def sync(self) -> None:
        """Waits until the lines are on the disk."""
        os.fsync(self._stream.fileno())
        self._synced_s = time.monotonic()

    def close(self) -> None:
        """Closes the file; its lines stay."""
        self._stream.close()

    def remove(self) -> None:
        """Closes and deletes the file."""
        self.close()
        self.path.unlink(missing_ok=True)

    def _read(self, head: bytes, accept: Accept) -> int:
        """Hands every whole line to `accept`; returns where the last good one ends, 0 where none is ours."""
        end = 0
        with self.path.open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                if not line.endswith(b"\n"):
                    break
                if number == 1:
                    if line != head:
                        self.is_foreign = True
                        return 0
                else:
                    try:
                        accept(end, _object(line))
                    except _UNREADABLE:
                        self.bad_line = number
                        break
                end += len(line)
        return end

    def _not_written(self, error: OSError) -> OSError:
        return OSError(
            error.errno,
            f"could not write {self.path}, where finished images are kept: {error.strerror or error}. "
            "Make room or choose another output; the same command then goes on from there.",
        )


def _object(line: bytes) -> Mapping[str, object]:
    content = json_value(line)
    if not isinstance(content, dict):
        raise TypeError(content)
    return content
