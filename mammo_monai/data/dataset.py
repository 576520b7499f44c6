"""The data set of a run: transformed samples, each a function of (seed, epoch, index) alone."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from monai.data import CacheDataset
from monai.transforms import Compose, Transform
from monai.transforms.traits import RandomizableTrait
from torch import Tensor

from mammo_monai.data.expansion import TrainingView, Views, training_views
from mammo_monai.errors import MammoError

Sample = dict[str, Any]


class EpochIndex(int):
    """An index that knows its epoch, so that worker processes need no message when an epoch begins."""

    epoch: int

    def __new__(cls, index: int, epoch: int) -> EpochIndex:
        """The index, an int in all else."""
        made = super().__new__(cls, index)
        made.epoch = epoch
        return made

    def __reduce__(self) -> tuple[type[EpochIndex], tuple[int, int]]:
        return EpochIndex, (int(self), self.epoch)


class MammogramDataset(CacheDataset):  # type: ignore[misc]  # monai carries no types
    """Transformed samples. Random transforms are seeded anew for every item from (seed, epoch, index).

    So an item depends neither on the items before it, nor on the worker that makes it, nor on the process's
    random state: a resumed run sees what an uninterrupted one would have seen. torch's generator is seeded
    too while an item is made, for foreign transforms that draw from it, and restored.

    Args:
        samples: from `load_samples`.
        transform: from `mammo_monai.transforms`; images come out as plain tensors.
        views: how images become training samples, see `training_views`; presets of the same names cut them.
        seed: of the augmentation.
        cache_rate: fraction of images whose deterministic transforms (all before the first random one) are
            done once, at the start, and kept in memory as float32: a film of 600 × 1000 px takes 2.4 MB. With
            sections the whole breast at original resolution is kept, about 30 MB a film.
        cache_workers: threads that fill the cache.

    Raises:
        ValueError: `cache_rate` is outside [0, 1].
        MammoError: an image cannot be read or prepared; the file is named.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        transform: Compose,
        *,
        views: Views = "full_image",
        seed: int = 0,
        cache_rate: float = 0.0,
        cache_workers: int = 1,
    ) -> None:
        if not 0 <= cache_rate <= 1:
            raise ValueError(f"cache_rate must be a fraction of the images, in [0, 1], got {cache_rate}.")
        self.views: tuple[TrainingView, ...] = tuple(training_views(samples, views))
        self.seed = seed
        self.epoch = 0
        try:
            super().__init__(
                samples, transform, cache_rate=cache_rate, num_workers=cache_workers, progress=False
            )
        except RuntimeError as error:
            raise _own_error(error) from error

    def __len__(self) -> int:
        return len(self.views)

    def set_epoch(self, epoch: int) -> None:
        """Sets the epoch of items asked for by a plain index; an `EpochIndex` brings its own."""
        self.epoch = epoch

    def _transform(self, index: int) -> Sample:
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {int(index)} is outside a data set of {len(self)} samples.")
        position, epoch = int(index) % len(self), getattr(index, "epoch", self.epoch)
        seed = int(np.random.SeedSequence([self.seed, epoch, position]).generate_state(1)[0])
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            self.transform.set_random_state(seed=seed)
            try:
                return _plain(self._made(self.views[position]))
            except RuntimeError as error:
                raise _own_error(error) from error

    def _made(self, view: TrainingView) -> Sample:
        whole = {} if view.section is None else {"section": view.section}
        if view.image_index >= self.cache_num:
            return dict(self.transform({**self.data[view.image_index], **whole}))
        prepared = {**deepcopy(self._cache[view.image_index]), **whole}
        first_random = self.transform.get_index_of_first(_is_random)
        return dict(prepared if first_random is None else self.transform(prepared, start=first_random))


def _is_random(transform: object) -> bool:
    """MONAI's own rule for where the cached part ends."""
    return isinstance(transform, RandomizableTrait) or not isinstance(transform, Transform)


def _plain(sample: Sample) -> Sample:
    """Without MONAI's MetaTensor, which foreign transforms may return and a detector need not know."""
    return {
        key: value.as_subclass(Tensor) if isinstance(value, Tensor) else value
        for key, value in sample.items()
    }


def _own_error(error: BaseException) -> BaseException:
    """The package's error that MONAI's Compose wrapped, else the error itself."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MammoError):
            return cause
        cause = cause.__cause__
    return error
