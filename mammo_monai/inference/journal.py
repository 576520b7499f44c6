"""A prediction run's journal: finished images, one a line, so that a killed run does not begin again.

`<output>.partial.jsonl` holds a first line with the fingerprint of the run, then one line per image.
Lines are only appended, and reach the disk before the next image starts.
"""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from mammo_monai.inference.fusion import Candidates
from mammo_monai.records import Detections

logger = logging.getLogger(__name__)
JOURNAL_SCHEMA = "mammo-monai/predict-journal/1"


class Journal:
    """Open journal of one output file; a context manager.

    Args:
        output: the detections file the run will write.
        fingerprint: of everything that decides the result; a journal with another one is discarded.
        resume: False discards any journal.

    Attributes:
        finished: detections by record id: those read back and those added since.
    """

    def __init__(self, output: Path, fingerprint: str, *, resume: bool = True) -> None:
        self.path = journal_path(output)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.touch()
        except OSError as error:
            raise _not_written(self.path, error) from error
        lines, self.finished = _read(self.path, fingerprint) if resume else ([], {})
        head = json.dumps({"schema": JOURNAL_SCHEMA, "fingerprint": fingerprint}).encode() + b"\n"
        self._stream: BinaryIO = self.path.open("r+b" if lines else "w+b")
        if lines:
            # What a kill left of a last line must go: the next line would be glued to it.
            self._stream.truncate(sum(len(line) for line in lines))
            self._stream.seek(0, os.SEEK_END)
        else:
            try:
                self._append(head)
            except OSError:
                self._stream.close()
                self.path.unlink(missing_ok=True)
                raise

    def __enter__(self) -> Journal:
        """The journal itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the file, and removes it where no image is finished: nothing to go on from."""
        self._stream.close()
        if not self.finished:
            self.path.unlink(missing_ok=True)

    def add(self, detections: Detections) -> None:
        """Appends one finished image."""
        row = {
            "record_id": detections.record_id,
            "image": str(detections.image) if detections.image is not None else None,
            "boxes": detections.boxes.tolist(),
            "scores": detections.scores.tolist(),
            "labels": detections.labels.tolist(),
            "image_score": detections.image_score,
        }
        self._append(json.dumps(row).encode() + b"\n")
        self.finished[detections.record_id] = detections

    def remove(self) -> None:
        """Deletes the journal: the output is written."""
        self._stream.close()
        self.path.unlink(missing_ok=True)

    def _append(self, line: bytes) -> None:
        try:
            self._stream.write(line)
            self._stream.flush()
            os.fsync(self._stream.fileno())
        except OSError as error:
            raise _not_written(self.path, error) from error


def journal_path(output: Path) -> Path:
    """Where the journal of an output file stands.

    >>> journal_path(Path("runs/detections.json")).as_posix()
    'runs/detections.json.partial.jsonl'
    """
    return output.with_name(output.name + ".partial.jsonl")


def _not_written(path: Path, error: OSError) -> OSError:
    return OSError(
        error.errno,
        f"could not write {path}, where finished images are kept: {error.strerror or error}. "
        "Make room or choose another output; the same command then goes on from there.",
    )


def _read(path: Path, fingerprint: str) -> tuple[list[bytes], dict[str, Detections]]:
    """The journal's readable lines (none if it is not of this run) and the detections they hold."""
    if not path.exists() or not path.stat().st_size:
        return [], {}
    whole = [line for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
    if not whole or not _is_of_run(whole[0], fingerprint):
        logger.warning(
            "%s belongs to a run with other settings, images or weights: it is discarded and all images are "
            "computed again.",
            path,
        )
        return [], {}
    finished: dict[str, Detections] = {}
    for number, line in enumerate(whole[1:], start=1):
        try:
            detections = _detections(line)
        except (ValueError, KeyError, TypeError):
            logger.warning(
                "%s: line %d cannot be read; images from there on are computed again.", path, number + 1
            )
            return whole[:number], finished
        finished[detections.record_id] = detections
    return whole, finished


def _is_of_run(line: bytes, fingerprint: str) -> bool:
    try:
        return bool(json.loads(line) == {"schema": JOURNAL_SCHEMA, "fingerprint": fingerprint})
    except ValueError:
        return False


def _detections(line: bytes) -> Detections:
    row = json.loads(line)
    found = Candidates.of(row["boxes"], row["scores"], row["labels"])
    image = Path(row["image"]) if row["image"] is not None else None
    return Detections(
        row["record_id"], found.boxes, found.scores, found.labels, image, image_score=row.get("image_score")
    )
