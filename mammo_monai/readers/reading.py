"""What every reader is given and gives back: `read_…(root, reading, options) -> DataSet`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from mammo_monai.readers.audit import Audit
from mammo_monai.records import ImageRecord, Split

Item = TypeVar("Item")
Progress = Callable[[int, int], None]
"""Called with (done, total)."""


@dataclass(frozen=True)
class PublishedCounts:
    """What a data set's authors say it holds, to lay beside what was found.

    Attributes:
        source: where the numbers stand. counts: by what is counted, "training images".
    """

    source: str
    counts: Mapping[str, int]


@dataclass(frozen=True)
class DataSet:
    """A data set as read, before any split.

    Attributes:
        official: the data set's own list of each record id; empty where it has no official split.
    """

    records: tuple[ImageRecord, ...]
    official: Mapping[str, Split] = field(default_factory=dict)
    published: PublishedCounts | None = None


@dataclass(frozen=True)
class Reading:
    """The circumstances of one reading.

    Attributes:
        salt: of the record ids. audit: collects findings and decides what a fault does.
        workers: threads. on_progress: called after each image.
    """

    salt: str
    audit: Audit = field(default_factory=Audit)
    workers: int = 1
    on_progress: Progress | None = None

    def images(
        self, read_one: Callable[[Item, Audit], ImageRecord | None], items: Sequence[Item]
    ) -> list[ImageRecord]:
        """The records that `read_one` makes of the items, in their order, without None.

        Each item has an audit of its own; their findings join `audit` in the order of the items, whatever
        the workers. `read_one` runs in threads and shares nothing else.
        """

        def read(item: Item) -> tuple[ImageRecord | None, Audit]:
            audit = Audit(strict=self.audit.strict)
            return read_one(item, audit), audit

        found: list[ImageRecord] = []
        with ThreadPoolExecutor(max_workers=self.workers) as pool:
            # A single worker stays in this thread: tracebacks and profiles are then plain.
            results = pool.map(read, items) if self.workers > 1 else map(read, items)
            for done, (record, audit) in enumerate(results, start=1):
                self.audit.merge(audit)
                if record is not None:
                    found.append(record)
                if self.on_progress:
                    self.on_progress(done, len(items))
        return found
