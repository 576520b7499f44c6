"""Batches in an order that depends on (seed, epoch) alone, so that a resumed run goes on exactly."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import torch
from monai.data.utils import no_collation
from numpy.typing import NDArray
from torch.utils.data import DataLoader
from torch.utils.data.distributed import DistributedSampler

from mammo_monai.data.dataset import EpochIndex
from mammo_monai.words import bytes_text

logger = logging.getLogger(__name__)
STAND_IN = "is_stand_in"  # key of a sample that only keeps its process in step, see EpochSampler
# Through it workers hand over batches. Containers have 64 MB unless told otherwise.
SHARED_MEMORY = Path("/dev/shm")
LEAST_SHARED_BYTES = 200 << 20


class View(Protocol):
    """A sample before it is made."""

    @property
    def has_lesion(self) -> bool:
        """Whether it will show a lesion."""
        ...


class ViewedDataset(Protocol):
    """Samples that are made when asked for, and what is known of each before: films, sections, patches."""

    @property
    def views(self) -> Sequence[View]:
        """One per sample, in order."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


class EpochSampler(DistributedSampler[int]):
    """Indices of an epoch, shuffled by (seed, epoch); each process of a distributed run gets its share.

    The order is that of one process. It is cut into batches of all processes together, `batch_size` times as
    many samples as there are processes, and each is dealt out: what the processes see in a step is exactly
    what one process with that batch size sees in it. Samples with lesions are dealt first and every batch
    begins with another process, so that all get alike many. Nothing is left out or seen twice. Where a last
    batch has fewer samples than there are processes, the others repeat one of them to keep step: a stand-in,
    which `EpochDataLoader` marks and training gives no weight; figures count each image once.

    A MONAI engine calls `set_epoch` of a sampler of this base class at the start of every epoch.

    Args:
        lesion_fraction: share of samples with lesions in every batch, in [0, 1]; the rest are without. An
            epoch keeps its length; the scarcer kind is repeated, each sample as often as any other, give or
            take one. None leaves the data's own share.
        batch_size: of one process.
        drop_last: several processes leave out a last batch that is not full. With one the loader does.

    Raises:
        ValueError: `lesion_fraction` is out of range, or asks for a kind of sample that is not there.
    """

    def __init__(
        self,
        dataset: ViewedDataset,
        *,
        shuffle: bool,
        seed: int,
        lesion_fraction: float | None = None,
        batch_size: int = 1,
        drop_last: bool = False,
    ) -> None:
        distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
        super().__init__(
            dataset,  # type: ignore[arg-type]  # torch names its own class, and needs what this one has
            num_replicas=torch.distributed.get_world_size() if distributed else 1,
            rank=torch.distributed.get_rank() if distributed else 0,
            shuffle=shuffle,
            seed=seed,
            drop_last=drop_last,
        )
        self.lesion_fraction = lesion_fraction
        self.batch_size = batch_size
        self._has_lesion = np.array([view.has_lesion for view in dataset.views], dtype=bool)
        self._lesions, self._normals = np.flatnonzero(self._has_lesion), np.flatnonzero(~self._has_lesion)
        if lesion_fraction is not None:
            self._check(lesion_fraction)

    def __len__(self) -> int:
        """How many indices this process gets, a stand-in counted."""
        count = len(self._has_lesion)
        if self.num_replicas == 1:
            return count
        full, rest = divmod(count, self.num_replicas * self.batch_size)
        own = len(range(self._place(full), rest, self.num_replicas))
        return full * self.batch_size + (0 if self.drop_last or not rest else max(1, own))

    @property
    def ends_with_stand_in(self) -> bool:
        """Whether this process's last sample only keeps step with the others."""
        full, rest = divmod(len(self._has_lesion), self.num_replicas * self.batch_size)
        return bool(self.num_replicas > 1 and rest and not self.drop_last and self._place(full) >= rest)

    def __iter__(self) -> Iterator[EpochIndex]:
        generator = np.random.default_rng([self.seed, self.epoch])
        order = self._balanced(generator) if self.lesion_fraction is not None else self._plain(generator)
        if self.num_replicas > 1:
            order = self._dealt(order)
        return (EpochIndex(int(index), self.epoch) for index in order)

    def _place(self, batch: int) -> int:
        """This process's turn when a batch is dealt."""
        return (self.rank + batch) % self.num_replicas

    def _dealt(self, order: NDArray[np.int64]) -> NDArray[np.int64]:
        size = self.num_replicas * self.batch_size
        dealt = []
        for number, start in enumerate(range(0, len(order), size)):
            batch = order[start : start + size]
            if len(batch) < size and self.drop_last:
                break
            lesions_first = batch[np.argsort(~self._has_lesion[batch], kind="stable")]
            own = lesions_first[self._place(number) :: self.num_replicas]
            dealt.append(own if len(own) else batch[:1])
        return np.concatenate(dealt) if dealt else order[:0]

    def _plain(self, generator: np.random.Generator) -> NDArray[np.int64]:
        count = len(self._lesions) + len(self._normals)
        return generator.permutation(count) if self.shuffle else np.arange(count)

    def _balanced(self, generator: np.random.Generator) -> NDArray[np.int64]:
        fraction = self.lesion_fraction or 0.0
        # The k-th sample is with lesion where floor(k × fraction) steps up: every run of samples, so every
        # batch, holds its share to within one.
        is_lesion = np.diff(np.floor(np.arange(len(self._has_lesion) + 1) * fraction + 1e-9)) > 0
        order = np.empty(len(is_lesion), dtype=np.int64)
        for rows, wanted in ((self._lesions, is_lesion), (self._normals, ~is_lesion)):
            order[wanted] = self._repeated(rows, int(wanted.sum()), generator)
        return order

    def _repeated(
        self, rows: NDArray[np.int64], count: int, generator: np.random.Generator
    ) -> NDArray[np.int64]:
        if not count:
            return rows[:0]
        rounds = [
            generator.permutation(rows) if self.shuffle else rows for _ in range(-(-count // len(rows)))
        ]
        return np.concatenate(rounds)[:count]

    def _check(self, fraction: float) -> None:
        if not 0 <= fraction <= 1:
            raise ValueError(f"lesion_fraction must be in [0, 1] or null, got {fraction}.")
        if (fraction > 0 and not len(self._lesions)) or (fraction < 1 and not len(self._normals)):
            raise ValueError(
                f"lesion_fraction={fraction} needs samples with and without lesions; the data set has "
                f"{len(self._lesions)} with and {len(self._normals)} without. Set it to null."
            )


class EpochDataLoader(DataLoader[Any]):
    """A torch loader of lists of samples; `set_epoch` decides order and augmentation of the next pass."""

    def set_epoch(self, epoch: int) -> None:
        """Call before iterating; a pass repeats the epoch set last."""
        self.sampler.set_epoch(epoch)  # type: ignore[attr-defined]  # always an EpochSampler, see data_loader

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]  # all that is asked of torch's iterator
        batches = super().__iter__()
        if not cast(EpochSampler, self.sampler).ends_with_stand_in:
            return batches
        return _last_marked(batches, len(self))


def _last_marked(batches: Iterator[Any], count: int) -> Iterator[Any]:
    for number, batch in enumerate(batches, start=1):
        yield [{**sample, STAND_IN: True} for sample in batch] if number == count else batch


def data_loader(
    dataset: ViewedDataset,
    *,
    batch_size: int = 1,
    shuffle: bool = False,
    seed: int = 0,
    num_workers: int = 0,
    lesion_fraction: float | None = None,
    drop_last: bool = False,
) -> EpochDataLoader:
    """A loader of lists of samples; images may differ in size, the detector pads them.

    Two passes with the same `set_epoch` are equal bit for bit, for any `num_workers`. Nothing is drawn from
    torch's global generator.

    Args:
        seed: of the order; the augmentation has the data set's own.
        lesion_fraction: see `EpochSampler`.
        num_workers: processes that make samples; none where shared memory is short (WARNING).
        batch_size: of each process: several see as many times more in a step.
        drop_last: leave out a last batch that is not full.

    Raises:
        ValueError: see `EpochSampler`.
    """
    sampler = EpochSampler(
        dataset,
        shuffle=shuffle,
        seed=seed,
        lesion_fraction=lesion_fraction,
        batch_size=batch_size,
        drop_last=drop_last,
    )
    num_workers = workers_with_room(num_workers)
    return EpochDataLoader(
        dataset,  # type: ignore[arg-type]  # see EpochSampler
        batch_size=batch_size,
        sampler=sampler,
        num_workers=num_workers,
        collate_fn=no_collation,
        drop_last=drop_last,
        generator=torch.Generator().manual_seed(seed),  # else each pass draws from the global one
        persistent_workers=num_workers > 0,
        pin_memory=torch.cuda.is_available(),
    )


def workers_with_room(num_workers: int) -> int:
    """0 where shared memory has less room than batches may need: torch then waits for ever, or dies."""
    if num_workers and SHARED_MEMORY.is_dir():
        free = shutil.disk_usage(SHARED_MEMORY).free
        if free < LEAST_SHARED_BYTES:
            logger.warning(
                "%s free in %s: too little to hand images over between processes; this one loads them all, "
                "more slowly, with the same result. In a container: docker run --shm-size=2g …",
                bytes_text(free),
                SHARED_MEMORY,
            )
            return 0
    return num_workers
