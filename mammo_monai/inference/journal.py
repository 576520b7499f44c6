"""A prediction run's journal: finished images, one a line, so that a killed run does not begin again.

`<output>.partial.jsonl` holds a first line with the fingerprint of the run, then one line per image: its row
as in detections.json, or why it failed. In memory stand the lines' places alone, eight bytes an image.
"""

from __future__ import annotations

import glob
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from mammo_monai.inference.line_file import LineFile
from mammo_monai.inference.operating_point import ShownAt
from mammo_monai.inference.written import Failure, Written, tallied
from mammo_monai.records import Detections
from mammo_monai.schema import write_detections
from mammo_monai.schema.detection_rows import detections_of, row_of

logger = logging.getLogger(__name__)
JOURNAL_SCHEMA = "mammo-monai/predict-journal/2"
_NO_LINE = -1


class Journal:
    """Open journal of one .json or .jsonl output; a context manager.

    Args:
        output: the detections file the run will write.
        fingerprint: of everything that decides the result; a journal with another one is discarded.
        numbers: each image's number by its record id; not kept.
        resume: False discards any journal.

    Attributes:
        is_done: of each image, whether its detections are known; shape (N,).
        is_failed: of each image, whether it is known to fail; shape (N,).
    """

    def __init__(
        self, output: Path, fingerprint: str, numbers: Mapping[str, int], *, resume: bool = True
    ) -> None:
        self.path = journal_path(output)
        self.output = output
        half = f".{glob.escape(output.name)}.{'[0-9a-f]' * 8}.part*"
        for part in output.parent.glob(half):  # what a kill left; not of an output whose name goes on
            part.unlink()
        self._places: NDArray[np.int64] = np.full(len(numbers), _NO_LINE, dtype=np.int64)
        self.is_failed: NDArray[np.bool_] = np.zeros(len(numbers), dtype=np.bool_)

        def accept(place: int, row: Mapping[str, object]) -> None:
            failure = row.get("failed")
            record_id = Failure.of(failure).record_id if failure else detections_of("", row).record_id
            self._note(numbers[record_id], place, is_failed=bool(failure))

        head = {"schema": JOURNAL_SCHEMA, "fingerprint": fingerprint}
        self._file = LineFile(self.path, head, accept, resume=resume)
        told(self._file)

    @property
    def is_done(self) -> NDArray[np.bool_]:
        """See the class."""
        return np.asarray((self._places != _NO_LINE) & ~self.is_failed)

    def __enter__(self) -> Journal:
        """The journal itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the file, and removes it where no image is finished: nothing to go on from."""
        self._file.close()
        if (self._places == _NO_LINE).all():
            self.path.unlink(missing_ok=True)

    def add(self, number: int, detections: Detections) -> None:
        """Appends one finished image."""
        self._note(number, self._file.append(row_of(self.path, detections)), is_failed=False)

    def fail(self, number: int, failure: Failure) -> None:
        """Appends one image that failed."""
        self._note(number, self._file.append({"failed": failure.row()}), is_failed=True)

    def write(self, model: Mapping[str, object], shown: ShownAt | None) -> Written:
        """Writes the output, images in the order of the data set, and deletes the journal."""
        failed = [self._file.line_at(place)["failed"] for place in self._places[self.is_failed].tolist()]
        written = Written(self.output, {**model, "failed": failed}, n_failed=len(failed))
        write_detections(self.output, tallied(self._finished(shown), written), written.model)
        self._file.remove()
        return written

    def _finished(self, shown: ShownAt | None) -> Iterator[Detections]:
        for place in self._places[self.is_done].tolist():
            found = detections_of(str(self.path), self._file.line_at(place))
            yield found if shown is None else shown(found)

    def _note(self, number: int, place: int, *, is_failed: bool) -> None:
        self._places[number] = place
        self.is_failed[number] = is_failed


def journal_path(output: Path) -> Path:
    """Where the journal of an output file stands.

    >>> journal_path(Path("runs/detections.json")).as_posix()
    'runs/detections.json.partial.jsonl'
    """
    return output.with_name(output.name + ".partial.jsonl")


def told(file: LineFile) -> None:
    """Warns of lines that a journal had and that are of no use."""
    if file.is_foreign:
        logger.warning(
            "%s belongs to a run with other settings, images or weights: it is discarded and all images are "
            "computed again.",
            file.path,
        )
    if file.bad_line is not None:
        logger.warning(
            "%s: line %d cannot be read; images from there on are computed again.", file.path, file.bad_line
        )
