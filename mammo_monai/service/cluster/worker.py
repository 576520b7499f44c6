"""A worker: holds the model, marks the images of a chunk, writes the chunk's shard."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mammo_monai import __version__
from mammo_monai.errors import MammoError
from mammo_monai.inference.failures import code_of
from mammo_monai.inference.written import Failure
from mammo_monai.records import Detections
from mammo_monai.service.cluster.attempts import LOADING, MAX_DEATHS, Attempts
from mammo_monai.service.cluster.chunks import Chunk, Sample
from mammo_monai.service.cluster.errors import ClusterError
from mammo_monai.service.cluster.folder import JobFolder
from mammo_monai.service.cluster.job import Mark, MarkerSource

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Order:
    """What every worker is told, once.

    Attributes:
        folder: of the output, on storage that every node sees. parts: the job's hashes, as job.json there
            has them. device: see `MarkerSource.load`. software: of the driver.
    """

    source: MarkerSource
    folder: Path
    parts: Mapping[str, str]
    device: str | None = None
    software: str = __version__


class ChunkMarker:
    """Marks chunks, one call each; Ray Data makes one per worker process.

    A fault of an image is noted and the chunk goes on. Any other fault comes back as the row's `error`: an
    exception would be wrapped and tried again, and a full disk or a missing bundle does not mend itself.
    """

    def __init__(self, order: Order) -> None:
        self.order = order
        self.folder = JobFolder(order.folder)
        self._mark: Mark | None = None

    def __call__(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Writes a chunk's shard; returns `index`, `images`, `failed` (numbers) and `error` ("" for none)."""
        chunk = Chunk.of_row(row)
        told = {"index": chunk.index, "images": len(chunk.samples), "failed": 0, "error": ""}
        try:
            return {**told, "failed": self._written(chunk)}
        except (MammoError, OSError, ValueError) as error:
            return {**told, "error": str(error)}

    def _written(self, chunk: Chunk) -> int:
        """Marks and writes; how many images failed."""
        found: list[Detections] = []
        failed: list[dict[str, str]] = []
        attempts = Attempts(self.folder.attempts(chunk.index))
        with attempts.attempt():
            mark = self._loaded(attempts)
            for position, sample in enumerate(chunk.samples):
                try:
                    if attempts.is_guilty(position):
                        raise _deadly(sample)
                    attempts.at(position)
                    found.append(mark(sample))
                except MammoError as error:
                    logger.warning("skipped: %s", error)
                    failed.append(_failure(sample, error))
        self.folder.write(chunk.index, found, failed)
        return len(failed)

    def _loaded(self, attempts: Attempts) -> Mark:
        """The model; loaded at the first chunk.

        Raises:
            ClusterError: this node has another version, or does not see the output folder; or workers die
                while they load.
        """
        if self._mark is None:
            attempts.at(LOADING)
            if attempts.is_guilty(LOADING):
                raise ClusterError(
                    f"{MAX_DEATHS} worker processes died while they loaded the model, most often for want of "
                    "memory. Give each more (fewer workers a node), then start the command again; what is "
                    "finished is kept."
                )
            if self.order.software != __version__:
                raise ClusterError(
                    f"a worker has mammo-monai {__version__}, the driver {self.order.software}: install the "
                    "same version on every node."
                )
            record = self.folder.record()
            if record is None or dict(record.parts) != dict(self.order.parts):
                raise ClusterError(
                    f"{self.folder.path}: a worker does not see the job there. The output folder, the images "
                    "and the bundle must be on storage that every node sees under the same paths."
                )
            self._mark = self.order.source.load(self.order.device)
        return self._mark


def _deadly(sample: Sample) -> ClusterError:
    return ClusterError(
        f"{sample['image_path']} (record {sample['record_id']}): {MAX_DEATHS} worker processes died while "
        "they marked it (a decoder that crashes, or too little memory). Mark it alone with `mammo-monai "
        "predict` to see why."
    )


def _failure(sample: Sample, error: MammoError) -> dict[str, str]:
    return Failure(str(sample["record_id"]), str(sample["image_path"]), str(error), code_of(error)).row()
