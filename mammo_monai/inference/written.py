"""What a prediction run leaves: the written file with its counts, and the images that failed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mammo_monai.records import Detections
from mammo_monai.schema import detections_format, iter_detections, read_detections, read_model


@dataclass(frozen=True)
class Failure:
    """An image that could not be predicted, and why; `code` of a refusal, else "" (`dicom.refusal_codes`)."""

    record_id: str
    image: str
    error: str
    code: str = ""

    def row(self) -> dict[str, str]:
        """As it stands under `model.failed`; `code` only where there is one."""
        told = {"record_id": self.record_id, "image": self.image, "error": self.error}
        return {**told, "code": self.code} if self.code else told

    @classmethod
    def of(cls, row: object) -> Failure:
        """A row read back.

        Raises:
            TypeError, KeyError: it is none.
        """
        if not isinstance(row, Mapping):
            raise TypeError(row)
        return cls(str(row["record_id"]), str(row["image"]), str(row["error"]), str(row.get("code", "")))


class Results(Protocol):
    """Where a run keeps what it has: see `journal` and `shard_journal`."""

    is_failed: NDArray[np.bool_]

    @property
    def is_done(self) -> NDArray[np.bool_]:
        """Of each image, whether its detections are known; shape (N,)."""
        ...

    def add(self, number: int, detections: Detections) -> None:
        """Keeps one finished image."""
        ...

    def fail(self, number: int, failure: Failure) -> None:
        """Keeps one image that failed."""
        ...


@dataclass
class Written:
    """A finished output: counts, and the way to its content.

    Attributes:
        path: of the output. model: its description, with `failed`.
        n_images: with a result. n_marks: boxes shown. n_scored: images with a score of their own.
        n_failed: images without a result.
    """

    path: Path
    model: Mapping[str, object]
    n_images: int = 0
    n_marks: int = 0
    n_scored: int = 0
    n_failed: int = 0

    @property
    def detections(self) -> tuple[Detections, ...]:
        """All of them, read from the file anew: for 100 000 images take `schema.iter_detections`."""
        return read_detections(self.path).detections


def written_before(path: Path) -> Written:
    """The counts of a finished output. Of .jsonl and .parquet one image or shard is in memory at a time.

    Raises:
        ManifestError: as `read_detections`.
    """
    if detections_format(path) == "json":
        content = read_detections(path)
        written, found = Written(path, content.model), iter(content.detections)
    else:
        written, found = Written(path, read_model(path)), iter_detections(path)
    failed = written.model.get("failed")
    written.n_failed = len(failed) if isinstance(failed, list) else 0
    for _ in tallied(found, written):
        pass
    return written


def tallied(detections: Iterable[Detections], written: Written) -> Iterator[Detections]:
    """The same detections; adds them to the counts as they pass."""
    for each in detections:
        written.n_images += 1
        written.n_marks += len(each.boxes)
        written.n_scored += each.image_score is not None
        yield each
