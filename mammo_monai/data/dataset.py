"""The data set of a run: transformed samples, each a function of (seed, epoch, index) alone."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any, NoReturn

import numpy as np
import torch
from monai.data import CacheDataset
from monai.transforms import Compose, Transform
from monai.transforms.traits import RandomizableTrait
from torch import Tensor

from mammo_monai.data.expansion import MASS_FREE, TrainingView, Views, training_views
from mammo_monai.data.mass_free import mass_free_view
from mammo_monai.data.mixing import MIXES, PARTNERS, Mix, mixed
from mammo_monai.errors import MammoError, causes

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
        mix: what whole images with lesions are mixed with others of the data set into, before augmentation:
            "copy_paste", "mosaic", "mixup" (see `data.mixing`) or "none". Images without lesions, mass-free
            parts and sections stay as they are, so a loader's `lesion_fraction` keeps its word.
        mix_prob: share of those that are mixed.

    Raises:
        ValueError: `cache_rate` or `mix_prob` is outside [0, 1], `mix` is no kind, or there is no whole image
            to mix.
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
        mix: Mix = "none",
        mix_prob: float = 0.5,
    ) -> None:
        if not 0 <= cache_rate <= 1:
            raise ValueError(f"cache_rate must be a fraction of the images, in [0, 1], got {cache_rate}.")
        self.views: tuple[TrainingView, ...] = tuple(training_views(samples, views))
        self._check_mix(mix, mix_prob)
        self.mix: Mix = mix
        self.mix_prob = mix_prob
        self._mixable = np.array(
            [
                view.image_index
                for view in self.views
                if view.section is None and (view.has_lesion or mix != "copy_paste")
            ],
            dtype=np.int64,
        )
        self.seed = seed
        self.epoch = 0
        try:
            super().__init__(
                samples, transform, cache_rate=cache_rate, num_workers=cache_workers, progress=False
            )
        except RuntimeError as error:
            _raise_own(error)

    def __len__(self) -> int:
        return len(self.views)

    def set_epoch(self, epoch: int) -> None:
        """Sets the epoch of items asked for by a plain index; an `EpochIndex` brings its own."""
        self.epoch = epoch

    def _transform(self, index: int) -> Sample:
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {int(index)} is outside a data set of {len(self)} samples.")
        position, epoch = int(index) % len(self), getattr(index, "epoch", self.epoch)
        sequence = np.random.SeedSequence([self.seed, epoch, position])
        seed = int(sequence.generate_state(1)[0])
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            self.transform.set_random_state(seed=seed)
            try:
                return _plain(self._made(self.views[position], sequence.spawn(1)[0]))
            except RuntimeError as error:
                _raise_own(error)

    def _made(self, view: TrainingView, mixing: np.random.SeedSequence) -> Sample:
        if view.section == MASS_FREE:
            return self._augmented(mass_free_view(self._prepared(view.image_index)))
        if self.mix != "none" and view.section is None and view.has_lesion:
            # A stream of its own: whether and how a sample is mixed leaves its augmentation as it is.
            generator = np.random.default_rng(mixing)
            if partners := self._partners(view, generator):
                others = [self._prepared(index) for index in partners]
                return self._augmented(mixed(self.mix, self._prepared(view.image_index), others, generator))
        whole = {} if view.section is None else {"section": view.section}
        if view.image_index >= self.cache_num:
            return dict(self.transform({**self.data[view.image_index], **whole}))
        prepared = {**deepcopy(self._cache[view.image_index]), **whole}
        first_random = self.transform.get_index_of_first(_is_random)
        return dict(prepared if first_random is None else self.transform(prepared, start=first_random))

    def _partners(self, view: TrainingView, generator: np.random.Generator) -> list[int]:
        """Images to mix with, drawn with replacement; none where the item is not to be mixed."""
        others = self._mixable[self._mixable != view.image_index]
        if generator.random() >= self.mix_prob or not len(others):
            return []
        return [int(each) for each in generator.choice(others, size=PARTNERS[self.mix])]

    def _prepared(self, image_index: int) -> Sample:
        """An image after the deterministic transforms, from the cache or from its file; the caller's own."""
        if image_index < self.cache_num:
            return dict(deepcopy(self._cache[image_index]))
        first_random = self.transform.get_index_of_first(_is_random)
        return dict(self.transform(dict(self.data[image_index]), end=first_random))

    def _augmented(self, prepared: Sample) -> Sample:
        first_random = self.transform.get_index_of_first(_is_random)
        return dict(prepared if first_random is None else self.transform(prepared, start=first_random))

    def _check_mix(self, mix: str, mix_prob: float) -> None:
        if mix not in MIXES:
            raise ValueError(f"mix must be {', '.join(MIXES[:-1])} or {MIXES[-1]}, got {mix!r}.")
        if not 0 <= mix_prob <= 1:
            raise ValueError(f"mix_prob must be a share of the images, in [0, 1], got {mix_prob}.")
        if mix != "none" and not any(view.section is None for view in self.views):
            raise ValueError(f"mix={mix} needs whole images; views=sections has none. Set mix to none.")


def _is_random(transform: object) -> bool:
    """MONAI's own rule for where the cached part ends."""
    return isinstance(transform, RandomizableTrait) or not isinstance(transform, Transform)


def _plain(sample: Sample) -> Sample:
    """Without MONAI's MetaTensor, which foreign transforms may return and a detector need not know."""
    return {
        key: value.as_subclass(Tensor) if isinstance(value, Tensor) else value
        for key, value in sample.items()
    }


def _raise_own(error: BaseException) -> NoReturn:
    """Raises the package's error that MONAI's Compose wrapped, else the error itself.

    Its own cause stays its cause: raised from what wraps it, causes would make a ring.
    """
    for cause in causes(error):
        if isinstance(cause, MammoError):
            raise cause from cause.__cause__
    raise error
