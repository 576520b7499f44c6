"""The images of a job cut into chunks: one chunk is one task of a worker and one shard of the output."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Sample = Mapping[str, Any]
CHUNK_IMAGES = 64


@dataclass(frozen=True)
class Chunk:
    """Some images that follow each other in the data set.

    Attributes:
        index: of the chunk and of its shard, from 0.
        samples: as `load_samples` makes them, images not loaded.
    """

    index: int
    samples: tuple[Sample, ...]

    def as_row(self) -> dict[str, object]:
        """The chunk as a row of a Ray data set; Arrow has no types for the arrays and paths of samples."""
        return {"index": self.index, "samples": pickle.dumps(self.samples)}

    @staticmethod
    def of_row(row: Mapping[str, Any]) -> Chunk:
        """The chunk of a row that this job's driver made."""
        return Chunk(int(row["index"]), pickle.loads(row["samples"]))


def chunk_count(n_images: int, chunk_images: int) -> int:
    """How many chunks there are.

    >>> chunk_count(130, 64), chunk_count(128, 64)
    (3, 2)
    """
    return -(-n_images // chunk_images)


def chunk_sizes(n_images: int, chunk_images: int) -> list[int]:
    """How many images each chunk has.

    >>> chunk_sizes(130, 64)
    [64, 64, 2]
    """
    return [
        min(chunk_images, n_images - first * chunk_images)
        for first in range(chunk_count(n_images, chunk_images))
    ]


def chunks_of(samples: Sequence[Sample], chunk_images: int, indices: Sequence[int]) -> Iterator[Chunk]:
    """The chunks of these indices.

    >>> [(each.index, len(each.samples)) for each in chunks_of([{}] * 5, 2, [0, 2])]
    [(0, 2), (2, 1)]
    """
    for index in indices:
        yield Chunk(index, tuple(samples[index * chunk_images : (index + 1) * chunk_images]))
