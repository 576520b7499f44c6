"""The output folder of a job on a cluster: shards, and in `.cluster/` what a killed job needs to go on.

Every node sees this folder under the same path. `.cluster/job.json` says which job the folder belongs to;
`part-NNNNNN.failed.json` holds the images of a shard that failed, written before the shard itself;
`part-NNNNNN.attempts` tells which image a worker that died was at.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from mammo_monai.errors import ManifestError
from mammo_monai.files import write_json_atomic
from mammo_monai.locks import LockHeldError, file_lock
from mammo_monai.records import Detections
from mammo_monai.schema.detection_shards import (
    MODEL_FILE,
    finish_shards,
    shard_index,
    shard_paths,
    write_shard,
)
from mammo_monai.schema.fields import load_json
from mammo_monai.service.cluster.chunks import chunk_count, chunk_sizes
from mammo_monai.service.cluster.errors import ClusterError

JOB_SCHEMA = "mammo-monai/cluster-job/1"
WORK = ".cluster"
Failure = Mapping[str, str]


@dataclass(frozen=True)
class JobRecord:
    """What a folder says of its job.

    Attributes:
        parts: hash of each part of what decides the result: model, inference, images, software.
        n_images: of the whole job. chunk_images: of each shard but the last.
    """

    parts: Mapping[str, str]
    n_images: int
    chunk_images: int


@dataclass(frozen=True)
class JobFolder:
    """`OUT.parquet` of one job."""

    path: Path

    @property
    def job_file(self) -> Path:
        """Which job the folder belongs to."""
        return self.path / WORK / "job.json"

    @property
    def model_file(self) -> Path:
        """Written last: the job is finished."""
        return self.path / MODEL_FILE

    @property
    def is_finished(self) -> bool:
        """Whether every image has its result."""
        return self.model_file.is_file()

    def attempts(self, index: int) -> Path:
        """Where workers note which image of a chunk they are at."""
        return self.path / WORK / f"part-{index:06d}.attempts"

    def failures(self, index: int) -> Path:
        """The images of a chunk that failed; only where some did."""
        return self.path / WORK / f"part-{index:06d}.failed.json"

    def begin(self, record: JobRecord) -> JobRecord:
        """Makes the folder of a new job, or takes up the one that is there, with the chunks it was cut into.

        Raises:
            ClusterError: the folder belongs to another job, or holds something else.
            OSError: it cannot be made.
        """
        there = self.record()
        if there is None:
            self._refuse_foreign()
            content = {"schema": JOB_SCHEMA, "parts": dict(record.parts)}
            sizes = {"n_images": record.n_images, "chunk_images": record.chunk_images}
            write_json_atomic(self.job_file, {**content, **sizes})
            return record
        names = sorted({*there.parts, *record.parts})
        if other := [name for name in names if there.parts.get(name) != record.parts.get(name)]:
            raise ClusterError(
                f"{self.path}: holds a job that differs in {', '.join(other)}; results of two jobs are never "
                "mixed. Repeat the command that began it, choose another -o, or remove the folder."
            )
        return there

    def record(self) -> JobRecord | None:
        """What the folder says of its job; None where it holds none.

        Raises:
            ClusterError: job.json cannot be read.
        """
        if not self.job_file.is_file():
            return None
        try:
            content = load_json(self.job_file, JOB_SCHEMA)
            parts = {str(name): str(value) for name, value in content["parts"].items()}
            return JobRecord(parts, int(content["n_images"]), int(content["chunk_images"]))
        except (ManifestError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise ClusterError(
                f"{self.job_file}: not the record of a job ({error}). Remove {self.path} and start again."
            ) from error

    def forget_attempts(self) -> None:
        """Deletes the notes of an earlier command: it may have had less memory."""
        for each in (self.path / WORK).glob("*.attempts"):
            each.unlink(missing_ok=True)

    def missing(self, record: JobRecord) -> list[int]:
        """Indices of the chunks without a shard; a shard is there whole or not at all."""
        done = {shard_index(each) for each in shard_paths(self.path)}
        return [n for n in range(chunk_count(record.n_images, record.chunk_images)) if n not in done]

    def write(self, index: int, found: Sequence[Detections], failed: Sequence[Failure]) -> None:
        """Writes a chunk's result: failures first, so that a shard never stands without its own.

        Raises:
            ManifestError, OSError: see `write_shard`.
        """
        if failed:
            write_json_atomic(self.failures(index), [dict(each) for each in failed])
        else:
            self.failures(index).unlink(missing_ok=True)
        write_shard(self.path, index, found)
        self.attempts(index).unlink(missing_ok=True)

    def failed(self, indices: Sequence[int]) -> list[dict[str, str]]:
        """The failed images of these chunks, in order."""
        found: list[dict[str, str]] = []
        for each in indices:
            if self.failures(each).is_file():
                found += json.loads(self.failures(each).read_text(encoding="utf-8"))
        return found

    def finish(self, record: JobRecord, model: Mapping[str, object]) -> list[dict[str, str]]:
        """Writes model.json, once every image has exactly one result; returns the failed ones.

        Raises:
            ClusterError: a shard is missing, or holds another number of images than its chunk.
            ManifestError: a shard is damaged. OSError: it cannot be written.
        """
        if missing := self.missing(record):
            raise ClusterError(f"{self.path}: {len(missing)} shards are missing; start the command again.")
        sizes = chunk_sizes(record.n_images, record.chunk_images)
        failed = self.failed(range(len(sizes)))
        finish_shards(self.path, {**model, "failed": failed})
        told = json.loads(self.model_file.read_text(encoding="utf-8"))["shards"]
        expected = [size - len(self.failed([n])) for n, size in enumerate(sizes)]
        if [each["images"] for each in told] != expected:
            self.model_file.unlink()
            wrong = [each["name"] for n, each in enumerate(told) if [each["images"]] != expected[n : n + 1]]
            raise ClusterError(
                f"{self.path}: {', '.join(wrong[:4])} not of the number of images that the job has there. "
                "Remove these files and start the command again."
            )
        return failed

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps a second driver out as long as this one lives, from before the job is begun.

        Raises:
            ClusterError: another command works there, or the folder holds something else: nothing is put in.
        """
        self._refuse_foreign()
        with ExitStack() as stack:
            try:
                stack.enter_context(file_lock(self.path / WORK / "lock"))
            except LockHeldError as error:
                raise ClusterError(
                    f"{self.path}: another command works there ({error.holder}); wait for it, or end it."
                ) from error
            yield

    def _refuse_foreign(self) -> None:
        there = [each.name for each in self.path.iterdir() if each.name != WORK] if self.path.is_dir() else []
        if there and not self.job_file.is_file():
            raise ClusterError(
                f"{self.path}: holds {min(there)}, which no job on a cluster made. Choose another -o, or "
                "remove it."
            )
