"""Batches in an order that depends on (seed, epoch) alone, so that a resumed run goes on exactly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from monai.data.utils import no_collation
from numpy.typing import NDArray
from torch.utils.data import DataLoader
from torch.utils.data.distributed import DistributedSampler

from mammo_monai.data.dataset import EpochIndex


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

    A MONAI engine calls `set_epoch` of a sampler of this base class at the start of every epoch.

    Args:
        lesion_fraction: share of samples with lesions in every batch, in [0, 1]; the rest are without. An
            epoch keeps its length; the scarcer kind is repeated, each sample as often as any other, give or
            take one. None leaves the data's own share.

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
    ) -> None:
        distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
        super().__init__(
            dataset,  # type: ignore[arg-type]  # torch names its own class, and needs what this one has
            num_replicas=torch.distributed.get_world_size() if distributed else 1,
            rank=torch.distributed.get_rank() if distributed else 0,
            shuffle=shuffle,
            seed=seed,
        )
        self.lesion_fraction = lesion_fraction
        has_lesion = np.array([view.has_lesion for view in dataset.views])
        self._lesions, self._normals = np.flatnonzero(has_lesion), np.flatnonzero(~has_lesion)
        if lesion_fraction is not None:
            self._check(lesion_fraction)

    def __iter__(self) -> Iterator[EpochIndex]:
        generator = np.random.default_rng([self.seed, self.epoch])
        order = self._balanced(generator) if self.lesion_fraction is not None else self._plain(generator)
        # Padded by repeating from the start, so that every process has as many; then dealt out in turn.
        order = np.resize(order, self.total_size)[self.rank :: self.num_replicas]
        return (EpochIndex(int(index), self.epoch) for index in order)

    def _plain(self, generator: np.random.Generator) -> NDArray[np.int64]:
        count = len(self._lesions) + len(self._normals)
        return generator.permutation(count) if self.shuffle else np.arange(count)

    def _balanced(self, generator: np.random.Generator) -> NDArray[np.int64]:
        fraction = self.lesion_fraction or 0.0
        # The k-th sample of a process is with lesion where floor(k × fraction) steps up: every run of
        # samples, so every batch, holds its share to within one.
        steps = np.floor(np.arange(self.num_samples + 1) * fraction + 1e-9)
        is_lesion = np.repeat(np.diff(steps) > 0, self.num_replicas)
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
        drop_last: leave out a last batch that is not full.
    """
    sampler = EpochSampler(dataset, shuffle=shuffle, seed=seed, lesion_fraction=lesion_fraction)
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
