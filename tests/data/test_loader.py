from __future__ import annotations

from itertools import chain
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from monai.engines import Trainer

from mammo_monai.data import EpochDataLoader, EpochSampler, MammogramDataset, data_loader, load_samples
from mammo_monai.data.loader import STAND_IN
from mammo_monai.transforms import training_transforms

Batches = list[list[dict[str, Any]]]


def dataset(manifest: Path) -> MammogramDataset:
    transform = training_transforms(preset="full_and_sections", size_px=60, augment="light")
    return MammogramDataset(load_samples(manifest, "training"), transform, views="full_and_sections", seed=1)


def batches(loader: EpochDataLoader, epoch: int) -> Batches:
    loader.set_epoch(epoch)
    return list(loader)


def assert_same_batches(first: Batches, second: Batches) -> None:
    assert [len(batch) for batch in first] == [len(batch) for batch in second]
    for a, b in zip(chain(*first), chain(*second), strict=True):
        assert a["record_id"] == b["record_id"]
        assert torch.equal(a["image"], b["image"])
        assert torch.equal(a["box"], b["box"])


def test_batches_are_lists_of_samples(manifest: Path) -> None:
    found = batches(data_loader(dataset(manifest), batch_size=4), 1)
    assert [len(batch) for batch in found] == [4, 4, 3]
    assert found[0][0]["image"].ndim == 3
    assert [
        len(batch) for batch in batches(data_loader(dataset(manifest), batch_size=4, drop_last=True), 1)
    ] == [4, 4]


def test_resumed_run_sees_what_an_uninterrupted_one_sees(manifest: Path) -> None:
    uninterrupted = data_loader(dataset(manifest), batch_size=2, shuffle=True, seed=7)
    first, second, third = (batches(uninterrupted, epoch) for epoch in (1, 2, 3))
    torch.manual_seed(123)
    resumed = data_loader(dataset(manifest), batch_size=2, shuffle=True, seed=7)
    assert_same_batches(batches(resumed, 3), third)
    assert_same_batches(batches(resumed, 1), first)
    order = [[sample["record_id"] for batch in found for sample in batch] for found in (first, second)]
    assert order[0] != order[1]
    assert sorted(order[0]) == sorted(order[1])


def test_workers_change_nothing(manifest: Path) -> None:
    alone = data_loader(dataset(manifest), batch_size=2, shuffle=True, seed=7)
    helped = data_loader(dataset(manifest), batch_size=2, shuffle=True, seed=7, num_workers=2)
    for epoch in (1, 2):  # the workers live on: the second epoch must reach them
        assert_same_batches(batches(alone, epoch), batches(helped, epoch))


def test_workers_that_could_not_hand_over_a_batch_are_not_started(
    manifest: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    dataset = MammogramDataset(load_samples(manifest), training_transforms(size_px=64))
    assert data_loader(dataset, num_workers=2).num_workers == 2
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=64_000_000))
    loader = data_loader(dataset, num_workers=2)
    assert len(list(loader)) == len(dataset)
    assert "64.0 MB free in /dev/shm" in caplog.text
    assert "--shm-size=2g" in caplog.text


def test_order_is_the_data_sets_without_shuffling(manifest: Path) -> None:
    found = batches(data_loader(dataset(manifest), batch_size=3), 5)
    assert [int(s["record_id"], 16) for batch in found for s in batch] == [0, 0, 0, 0, 1, 1, 1, 2, 2, 3, 3]


def test_global_generator_is_left_alone(manifest: Path) -> None:
    before = torch.get_rng_state()
    batches(data_loader(dataset(manifest), shuffle=True), 1)
    assert torch.equal(torch.get_rng_state(), before)


class Fake:
    """A data set as a sampler sees it: only which samples have lesions."""

    def __init__(self, has_lesion: list[bool]) -> None:
        self.views = [type("View", (), {"has_lesion": each}) for each in has_lesion]

    def __len__(self) -> int:
        return len(self.views)


def sampler(has_lesion: list[bool], **options: Any) -> EpochSampler:
    return EpochSampler(Fake(has_lesion), **{"shuffle": True, "seed": 0, **options})  # type: ignore[arg-type]


@given(
    lesions=st.integers(1, 9),
    normals=st.integers(1, 9),
    fraction=st.floats(0, 1),
    epoch=st.integers(0, 50),
    batch_size=st.integers(1, 8),
)
def test_every_batch_holds_its_share_of_lesions(
    lesions: int, normals: int, fraction: float, epoch: int, batch_size: int
) -> None:
    has_lesion = [True] * lesions + [False] * normals
    made = sampler(has_lesion, lesion_fraction=fraction)
    made.set_epoch(epoch)
    order = list(made)
    assert len(order) == len(made) == lesions + normals
    is_lesion = np.array([has_lesion[index] for index in order])
    for start in range(0, len(order) - batch_size + 1, batch_size):
        assert abs(is_lesion[start : start + batch_size].sum() - fraction * batch_size) < 1 + 1e-6
    for rows in (range(lesions), range(lesions, lesions + normals)):
        counts = [[int(index) for index in order].count(row) for row in rows]
        assert max(counts) - min(counts) <= 1


def dealt(rank: int, count: int, has_lesion: list[bool], **options: Any) -> EpochSampler:
    """The sampler of one of `count` processes."""
    made = sampler(has_lesion, **options)
    made.rank, made.num_replicas = rank, count
    made.set_epoch(3)
    return made


@given(
    has_lesion=st.lists(st.booleans(), min_size=1, max_size=40),
    count=st.integers(2, 5),
    batch_size=st.integers(1, 4),
    drop_last=st.booleans(),
    is_balanced=st.booleans(),
)
def test_processes_see_in_each_step_what_one_process_would(
    has_lesion: list[bool], count: int, batch_size: int, drop_last: bool, is_balanced: bool
) -> None:
    fraction = 0.5 if is_balanced and len(set(has_lesion)) == 2 else None
    options: dict[str, Any] = {"lesion_fraction": fraction, "drop_last": drop_last}
    alone = sampler(has_lesion, **options)
    alone.set_epoch(3)
    order, size = [int(index) for index in alone], count * batch_size
    wanted = [order[start : start + size] for start in range(0, len(order), size)]
    if drop_last:
        wanted = [batch for batch in wanted if len(batch) == size]
    shares = [dealt(rank, count, has_lesion, batch_size=batch_size, **options) for rank in range(count)]
    batches = []
    for share in shares:
        own = [int(index) for index in share]
        assert len(own) == len(share)
        cut = [own[start : start + batch_size] for start in range(0, len(own), batch_size)]
        assert len(cut) == len(wanted)  # all keep step
        batches.append([*cut[:-1], []] if share.ends_with_stand_in else cut)
    for number, batch in enumerate(wanted):
        parts = [own[number] for own in batches]
        assert sorted(index for part in parts for index in part) == sorted(batch)
        lesions = [sum(has_lesion[index] for index in part) for part in parts]
        assert max(lesions) - min(lesions) <= 1


def test_the_one_who_has_nothing_left_keeps_step_with_a_marked_sample(manifest: Path) -> None:
    loaders = [data_loader(dataset(manifest), batch_size=2, shuffle=True, seed=7) for _ in range(4)]
    for rank, loader in enumerate(loaders):
        loader.sampler.rank, loader.sampler.num_replicas = rank, 4  # type: ignore[attr-defined]
    seen = [batches(loader, 1) for loader in loaders]  # 11 samples: 8 by two each, then 3 of 4 get one
    assert [[len(batch) for batch in own] for own in seen] == [[2, 1]] * 4
    assert [loader.sampler.ends_with_stand_in for loader in loaders] == [  # type: ignore[attr-defined]
        False,
        False,
        True,
        False,
    ]  # the second batch begins with the second process
    assert [own[-1][0].get(STAND_IN, False) for own in seen] == [False, False, True, False]
    assert not any(STAND_IN in sample for own in seen for sample in own[0])


def test_share_that_cannot_be_had_is_refused() -> None:
    with pytest.raises(ValueError, match=r"lesion_fraction must be in \[0, 1\]"):
        sampler([True, False], lesion_fraction=1.5)
    with pytest.raises(ValueError, match=r"the data set has 2 with and 0 without\. Set it to null"):
        sampler([True, True], lesion_fraction=0.5)
    assert sorted(sampler([True, True], lesion_fraction=1.0)) == [0, 1]


class Recorder(Trainer):  # type: ignore[misc]  # monai carries no types
    """A MONAI engine that keeps the batches it is shown."""

    def _iteration(self, engine: Any, batch: list[dict[str, Any]]) -> dict[str, float]:
        self.seen = [*getattr(self, "seen", []), (self.state.epoch, batch)]
        return {}


def test_monai_engine_sets_the_epoch_before_it_draws(manifest: Path) -> None:
    loader = data_loader(dataset(manifest), batch_size=4, shuffle=True, seed=2)
    engine = Recorder("cpu", 2, loader, decollate=False)
    engine.run()
    expected = data_loader(dataset(manifest), batch_size=4, shuffle=True, seed=2)
    for epoch in (1, 2):
        assert_same_batches([batch for at, batch in engine.seen if at == epoch], batches(expected, epoch))
