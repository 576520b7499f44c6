"""A model that needs none, and a cluster in this process: what is told to it happens while chunks run."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mammo_monai.errors import DicomError
from mammo_monai.records import Detections
from mammo_monai.service.cluster import Chunk, ChunkMarker, ClusterOptions, Job, Order
from mammo_monai.service.cluster.job import Mark


def sample(number: int, folder: Path = Path("/films")) -> dict[str, Any]:
    """An image that nobody reads; every fifth is broken, every third has no mark."""
    return {"record_id": f"r{number}", "image_path": str(folder / f"{number}.dcm"), "box": np.zeros((0, 4))}


def samples(count: int, folder: Path = Path("/films")) -> list[dict[str, Any]]:
    return [sample(number, folder) for number in range(count)]


@dataclass(frozen=True)
class StubSource:
    """Loads a marker whose boxes follow from the record id; `log` gets a line per image with the process.

    Attributes:
        deadly: the record id at which the process ends, as a crashing decoder ends it.
    """

    log: Path
    pause_s: float = 0.0
    deadly: str = ""

    def load(self, device: str | None) -> Mark:
        return self.mark

    def mark(self, each: Any) -> Detections:
        number = int(each["record_id"][1:])
        with self.log.open("a") as stream:
            stream.write(f"{os.getpid()} {each['record_id']}\n")
        time.sleep(self.pause_s)
        if each["record_id"] == self.deadly:
            os._exit(11)
        if number % 5 == 4:
            raise DicomError(f"{each['image_path']}: cut short")
        n_boxes = 0 if number % 3 == 0 else 2
        boxes = np.array([[number, 2.5, number + 30, 81.25]] * n_boxes).reshape(-1, 4)
        scores = np.linspace(0.9, 0.2, n_boxes)
        return Detections(
            each["record_id"], boxes, scores, np.zeros(n_boxes, dtype=np.int64), Path(each["image_path"])
        )


def stub_job(folder: Path, count: int = 12, **options: Any) -> Job:
    source = StubSource(folder / "marks.log", **options)
    return Job(source, samples(count), {"bundle": "stub"}, {"model": "m1", "images": f"{count} films"})


@dataclass
class ClusterHere:
    """Runs chunks in this process, one after the other.

    Attributes:
        before: called with each chunk's index; what it raises ends the round. rounds: connections made.
    """

    before: Callable[[int], None] = lambda index: None
    rounds: int = 0
    done: list[int] = field(default_factory=list)

    def connected(self) -> AbstractContextManager[ClusterOptions]:
        self.rounds += 1
        return nullcontext(ClusterOptions(workers=2))

    def results(
        self, chunks: Sequence[Chunk], order: Order, options: ClusterOptions
    ) -> Iterator[dict[str, Any]]:
        worker = ChunkMarker(order)
        for each in chunks:
            self.before(each.index)
            yield worker(each.as_row())
            self.done.append(each.index)
