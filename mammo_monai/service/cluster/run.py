"""Runs a job on a cluster to its end: plans what is missing, watches, begins again after losses, finishes."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from mammo_monai.inference import Progress, ProgressLog
from mammo_monai.service.cluster.chunks import CHUNK_IMAGES, Chunk, chunk_sizes, chunks_of
from mammo_monai.service.cluster.errors import ClusterError
from mammo_monai.service.cluster.folder import JobFolder, JobRecord
from mammo_monai.service.cluster.job import Job
from mammo_monai.service.cluster.ray_data import ClusterOptions, WorkersLostError, chunk_results, connected
from mammo_monai.service.cluster.worker import Order

logger = logging.getLogger(__name__)

SUFFIX = ".parquet"
FRUITLESS_ROUNDS = 3


class Cluster(Protocol):
    """What runs chunks: Ray Data, or a test's stand-in."""

    def connected(self) -> AbstractContextManager[ClusterOptions]:
        """See `ray_data.connected`."""

    def results(
        self, chunks: Sequence[Chunk], order: Order, options: ClusterOptions
    ) -> Iterator[dict[str, Any]]:
        """See `ray_data.chunk_results`."""


@dataclass(frozen=True)
class RayCluster:
    """A cluster of Ray."""

    options: ClusterOptions

    def connected(self) -> AbstractContextManager[ClusterOptions]:
        """See `ray_data.connected`."""
        return connected(self.options)

    def results(
        self, chunks: Sequence[Chunk], order: Order, options: ClusterOptions
    ) -> Iterator[dict[str, Any]]:
        """See `ray_data.chunk_results`."""
        return chunk_results(chunks, order, options)


def run_on_cluster(
    job: Job,
    output: Path,
    cluster: Cluster,
    *,
    chunk_images: int = CHUNK_IMAGES,
    on_progress: Callable[[Progress], None] | None = None,
) -> JobFolder:
    """Marks every image of a job exactly once; writes a folder of Parquet shards.

    The same job started again goes on with the shards that are missing, whatever was killed: a worker, a
    node, or this process. An image that fails is listed in model.json, and has no row.

    Args:
        output: `NAME.parquet`, a folder on storage that every node sees under this path.
        chunk_images: images a shard, for a new job; one that is taken up keeps its own.
        on_progress: told after each chunk; None logs a line every ten seconds.

    Raises:
        ClusterError: another job's folder, no cluster, or workers that die as soon as they begin.
        ManifestError, OSError: the output cannot be written, or was damaged.
    """
    if Path(output).suffix.lower() != SUFFIX:
        raise ClusterError(f"{output}: workers write shards, so a cluster's output is a folder NAME{SUFFIX}.")
    if chunk_images < 1:
        raise ValueError(f"images per chunk must be at least 1, got {chunk_images}.")
    folder = JobFolder(Path(output).absolute())
    with folder.locked():
        record = folder.begin(JobRecord(job.parts, len(job.samples), chunk_images))
        if folder.is_finished:
            logger.info("%s: finished before", folder.path)
            return folder
        _Run(job, folder, record, cluster, on_progress or ProgressLog()).to_its_end()
        failed = folder.finish(record, job.model)
    logger.info("wrote %s: %d images, %d failed", folder.path, record.n_images - len(failed), len(failed))
    return folder


@dataclass
class _Run:
    """The rounds of one job: each takes up what the one before it left."""

    job: Job
    folder: JobFolder
    record: JobRecord
    cluster: Cluster
    on_progress: Callable[[Progress], None]

    def to_its_end(self) -> None:
        """Rounds until no shard is missing; three in a row that write none are the last."""
        self.folder.forget_attempts()
        missing, fruitless = self.folder.missing(self.record), 0
        self.start, self.first_done = time.monotonic(), self._done(missing)
        if self.first_done:
            logger.info(
                "%s: %d of %d images are done", self.folder.path, self.first_done, self.record.n_images
            )
        while missing:
            try:
                self._round(missing)
            except WorkersLostError as error:
                left = self.folder.missing(self.record)
                fruitless = fruitless + 1 if len(left) == len(missing) else 0
                if fruitless == FRUITLESS_ROUNDS:
                    raise ClusterError(
                        f"{self.folder.path}: {error} No chunk was finished in {FRUITLESS_ROUNDS} rounds. "
                        "Look after the cluster (`ray status`), then start the command again; what is "
                        "finished is kept."
                    ) from error
                logger.warning("%s Beginning again with %d chunks left.", error, len(left))
            missing = self.folder.missing(self.record)

    def _round(self, missing: Sequence[int]) -> None:
        chunks = list(chunks_of(self.job.samples, self.record.chunk_images, missing))
        order = Order(self.job.source, self.folder.path, dict(self.job.parts))
        with self.cluster.connected() as options:
            logger.info("%d chunks, %d workers", len(chunks), options.workers or 1)
            left = set(missing)
            for row in self.cluster.results(chunks, order, options):
                if row["error"]:
                    raise ClusterError(str(row["error"]))
                left.discard(int(row["index"]))
                self._tell(row, left)

    def _tell(self, row: dict[str, Any], left: set[int]) -> None:
        done = self._done(left)
        new = done - self.first_done
        eta_s = (time.monotonic() - self.start) / new * (self.record.n_images - done) if new else None
        if row["failed"]:
            logger.warning("shard %d: %d of %d images failed", row["index"], row["failed"], row["images"])
        last = self.job.samples[min((row["index"] + 1) * self.record.chunk_images, self.record.n_images) - 1]
        self.on_progress(Progress(done, self.record.n_images, str(last["record_id"]), eta_s))

    def _done(self, missing: Sequence[int] | set[int]) -> int:
        sizes = chunk_sizes(self.record.n_images, self.record.chunk_images)
        return self.record.n_images - sum(sizes[n] for n in missing)
