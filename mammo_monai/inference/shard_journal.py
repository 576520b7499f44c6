"""A prediction run's Parquet shards while it goes on: full ones are written, the rest stands in a journal.

`<output>.partial/` holds `run.json`, whose run it is; the shards so far; `rows-<index>.jsonl`, the images of
the shard that is filling; and `failed.jsonl`. It becomes the output when the last image is done. A kill at
any moment loses no image and writes none twice: rows of a shard that is there are in it, and are dropped.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from mammo_monai import parts
from mammo_monai.errors import ManifestError
from mammo_monai.files import could_not_write, write_json_atomic
from mammo_monai.inference.journal import JOURNAL_SCHEMA, told
from mammo_monai.inference.line_file import LineFile
from mammo_monai.inference.written import Failure, Written, tallied
from mammo_monai.records import Detections
from mammo_monai.schema.detection_rows import detections_of, row_of
from mammo_monai.schema.detection_shards import (
    SHARD_ROWS,
    finish_shards,
    shard_index,
    shard_paths,
    summary_of_shard,
    write_shard,
)
from mammo_monai.schema.fields import load_json

logger = logging.getLogger(__name__)
RUN_FILE, FAILED_FILE = "run.json", "failed.jsonl"


class ShardJournal:
    """Open shards of one .parquet output; a context manager. See `Journal`.

    Args:
        fingerprint: of everything that decides the result, the operating point too: shards are final.
        shard_rows: images of a shard; the last one has what is left.

    Attributes:
        is_done: of each image, whether its detections are known; shape (N,).
        is_failed: of each image, whether it is known to fail; shape (N,).
    """

    def __init__(
        self,
        output: Path,
        fingerprint: str,
        numbers: Mapping[str, int],
        *,
        resume: bool = True,
        shard_rows: int = SHARD_ROWS,
    ) -> None:
        self.output = output
        self.folder = partial_folder(output)
        self.shard_rows = shard_rows
        self._done: NDArray[np.bool_] = np.zeros(len(numbers), dtype=np.bool_)
        self.is_failed: NDArray[np.bool_] = np.zeros(len(numbers), dtype=np.bool_)
        self._counts = Written(output, {})
        self._rows: list[Detections] = []
        self._head = {"schema": JOURNAL_SCHEMA, "fingerprint": fingerprint}
        self._begin(resume=resume)
        self._take_up_shards(numbers)
        self._index = self._free_index()
        self._file = self._open_rows(numbers)
        self._failed = self._open_failures(numbers)
        self.is_failed &= ~self._done
        self._write_full_shard()  # a kill may have come between its last row and itself

    @property
    def is_done(self) -> NDArray[np.bool_]:
        """See the class."""
        return self._done

    def __enter__(self) -> ShardJournal:
        """The journal itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the files, and removes the folder where no image is finished: nothing to go on from."""
        self._file.close()
        self._failed.close()
        if not (self._done.any() or self.is_failed.any()):
            shutil.rmtree(self.folder, ignore_errors=True)

    def add(self, number: int, detections: Detections) -> None:
        """Keeps one finished image; writes the shard that it fills."""
        self._file.append(row_of(self._file.path, detections))
        self._note(number, detections)
        self._write_full_shard()

    def fail(self, number: int, failure: Failure) -> None:
        """Keeps one image that failed."""
        self._failed.append({"failed": failure.row(), "number": number})
        self.is_failed[number] = True

    def write(self, model: Mapping[str, object]) -> Written:
        """Writes the last shard and the model's description, and puts the folder in the output's place."""
        self.is_failed &= ~self._done
        if self._rows:
            self._write_shard()
        failed = self._failures()
        written = self._counts
        written.model, written.n_failed = {**model, "failed": failed}, len(failed)
        finish_shards(self.folder, written.model)
        self._replace_output()
        self._file.close()
        self._failed.close()
        remove_leftovers(self.output)
        return written

    def _begin(self, *, resume: bool) -> None:
        """Leaves a folder of this run alone, and begins any other anew."""
        run = self.folder / RUN_FILE
        if self.folder.exists() and not (resume and self._is_ours(run)):
            if resume:
                logger.warning(
                    "%s belongs to a run with other settings, images or weights: it is discarded and all "
                    "images are computed again.",
                    self.folder,
                )
            shutil.rmtree(self.folder)
        parts.remove_leftovers(self.folder)
        if not run.exists():
            write_json_atomic(run, self._head)

    def _is_ours(self, run: Path) -> bool:
        try:
            return load_json(run, JOURNAL_SCHEMA) == self._head
        except ManifestError:
            return False

    def _take_up_shards(self, numbers: Mapping[str, int]) -> None:
        for path in shard_paths(self.folder):
            try:
                found = summary_of_shard(path)
                rows = [numbers[each] for each in found.record_ids]
            except (ManifestError, KeyError) as error:
                logger.warning("%s; its images are computed again.", str(error).rstrip("."))
                path.unlink()
                continue
            self._done[rows] = True
            self._counts.n_images += len(rows)
            self._counts.n_marks += found.n_marks
            self._counts.n_scored += found.n_scored

    def _free_index(self) -> int:
        taken = {shard_index(path) for path in shard_paths(self.folder)}
        return next(index for index in range(len(taken) + 1) if index not in taken)

    def _rows_path(self) -> Path:
        return self.folder / f"rows-{self._index:06d}.jsonl"

    def _open_rows(self, numbers: Mapping[str, int]) -> LineFile:
        """The rows of the shard to fill; those of others are in their shard, or come after a damaged one."""
        for path in self.folder.glob("rows-*.jsonl"):
            if path != self._rows_path():
                path.unlink()

        def accept(place: int, row: Mapping[str, object]) -> None:
            detections = detections_of("", row)
            self._note(numbers[detections.record_id], detections)

        file = LineFile(self._rows_path(), self._head, accept)
        told(file)
        return file

    def _open_failures(self, numbers: Mapping[str, int]) -> LineFile:
        def accept(place: int, row: Mapping[str, object]) -> None:
            self.is_failed[numbers[Failure.of(row["failed"]).record_id]] = True

        file = LineFile(self.folder / FAILED_FILE, self._head, accept)
        told(file)
        return file

    def _failures(self) -> list[dict[str, str]]:
        """The failed images in the order of the data set, the last word on each."""
        rows: dict[int, dict[str, str]] = {}

        def accept(place: int, row: Mapping[str, object]) -> None:
            number = int(str(row["number"]))
            if self.is_failed[number]:
                rows[number] = Failure.of(row["failed"]).row()

        self._failed.close()
        self._failed = LineFile(self.folder / FAILED_FILE, self._head, accept)
        return [rows[number] for number in sorted(rows)]

    def _note(self, number: int, detections: Detections) -> None:
        self._rows.append(detections)
        self._done[number] = True

    def _write_full_shard(self) -> None:
        if len(self._rows) >= self.shard_rows:
            self._write_shard()
            self._index = self._free_index()
            self._file = LineFile(self._rows_path(), self._head, _refuse)

    def _write_shard(self) -> None:
        write_shard(self.folder, self._index, list(tallied(self._rows, self._counts)))
        self._rows.clear()
        self._file.remove()

    def _replace_output(self) -> None:
        replaced = _replaced(self.output)
        shutil.rmtree(replaced, ignore_errors=True)
        try:
            if self.output.exists():
                self.output.rename(replaced)
            self.folder.rename(self.output)
        except OSError as error:
            if replaced.exists() and not self.output.exists():
                replaced.rename(self.output)
            raise could_not_write(self.output, error) from error


def partial_folder(output: Path) -> Path:
    """Where the shards of an output stand until it is finished.

    >>> partial_folder(Path("runs/found.parquet")).as_posix()
    'runs/found.parquet.partial'
    """
    return output.with_name(output.name + ".partial")


def remove_leftovers(output: Path) -> None:
    """Deletes what a run needs no more once its output stands: a kill may have kept it from doing so."""
    for path in (output / RUN_FILE, output / FAILED_FILE, *output.glob("rows-*.jsonl")):
        path.unlink(missing_ok=True)
    shutil.rmtree(_replaced(output), ignore_errors=True)


def _replaced(output: Path) -> Path:
    return output.with_name(f".{output.name}.replaced")


def _refuse(place: int, row: Mapping[str, object]) -> None:
    raise ValueError("a new file has no rows")
