"""A data set that mixes: items stay functions of (seed, epoch, index), and unmixed ones stay as they were."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from mammo_monai.data import EpochIndex, MammogramDataset, data_loader, load_samples
from mammo_monai.records import Laterality, Lesion
from mammo_monai.schema import Manifest, write_manifest
from mammo_monai.transforms import training_transforms
from tests.data.conftest import make_record
from tests.data.test_dataset import assert_same_items
from tests.transforms.films import film_pixels

MIXES = ("copy_paste", "mosaic", "mixup")


def dataset(manifest: Path, preset: Any = "fixed_portrait", **options: Any) -> MammogramDataset:
    transform = training_transforms(preset=preset, size_px=160, augment="strong", enlarge=0.0)
    return MammogramDataset(load_samples(manifest), transform, **options)


@pytest.mark.parametrize("mix", MIXES)
def test_mixed_items_are_the_same_from_cache_and_files_in_any_order(manifest: Path, mix: Any) -> None:
    plain = dataset(manifest, mix=mix, seed=3)
    cached = dataset(manifest, mix=mix, seed=3, cache_rate=0.5)
    indices = [EpochIndex(index, epoch) for epoch in (0, 1) for index in range(6)]
    first = [plain[index] for index in indices]
    for index, item in reversed(list(zip(indices, first, strict=True))):
        assert_same_items(cached[index], item)


@pytest.mark.parametrize("mix", MIXES)
def test_mixed_items_are_the_same_from_workers(manifest: Path, mix: Any) -> None:
    data = dataset(manifest, mix=mix, mix_prob=1.0)
    here, there = data_loader(data, batch_size=2), data_loader(data, batch_size=2, num_workers=1)
    for mine, theirs in zip(here, there, strict=True):
        for item, other in zip(mine, theirs, strict=True):
            assert_same_items(item, other)


@pytest.mark.parametrize("mix", MIXES)
def test_items_that_are_not_mixed_stay_as_they_were(manifest: Path, mix: Any) -> None:
    plain = dataset(manifest)
    never, always = dataset(manifest, mix=mix, mix_prob=0.0), dataset(manifest, mix=mix, mix_prob=1.0)
    changed = []
    for index in range(6):
        assert_same_items(plain[index], never[index])
        changed.append(not torch.equal(plain[index]["image"], always[index]["image"]))
    # Films 2, 3 and 5 have no lesion: they stay normals. Films 0, 1 and 4 share one lesion place at most.
    assert [changed[n] for n in (2, 3, 5)] == [False] * 3
    if mix != "copy_paste":
        assert [changed[n] for n in (0, 1, 4)] == [True] * 3


def test_about_as_many_items_are_mixed_as_asked(manifest: Path) -> None:
    plain, mixing = dataset(manifest), dataset(manifest, mix="mixup", mix_prob=0.3)
    changed = sum(
        not torch.equal(plain[EpochIndex(0, epoch)]["image"], mixing[EpochIndex(0, epoch)]["image"])
        for epoch in range(60)
    )
    assert 8 <= changed <= 30  # 18 on the mean, within four standard deviations


def test_a_pasted_mass_reaches_the_item(tmp_path: Path) -> None:
    # The films of the fixture have no room: one lesion fills the middle of the breast. These have small ones.
    films = []
    for number, box in enumerate([(12, 40, 24, 58), (30, 120, 44, 136)]):
        film = make_record(tmp_path, number, 0)
        path = tmp_path / f"small{number}.png"
        Image.fromarray((film_pixels([box]) * 255).astype(np.uint8)).save(path)
        films.append(replace(film, image=path, laterality=Laterality.LEFT, lesions=(Lesion(box=box),)))
    write_manifest(tmp_path / "small.json", Manifest(training=tuple(films)))
    plain = dataset(tmp_path / "small.json")
    mixing = dataset(tmp_path / "small.json", mix="copy_paste", mix_prob=1.0)
    more = [
        len(mixing[EpochIndex(index, epoch)]["box"]) - len(plain[EpochIndex(index, epoch)]["box"])
        for index in (0, 1)
        for epoch in range(10)
    ]
    assert max(more[:10]) == max(more[10:]) == 1
    assert set(more) <= {0, 1}


def test_sections_are_left_alone_and_need_no_whole_partner(manifest: Path) -> None:
    plain = dataset(manifest, "full_and_sections", views="full_and_sections")
    mixing = dataset(manifest, "full_and_sections", views="full_and_sections", mix="mosaic", mix_prob=1.0)
    for index, view in enumerate(plain.views):
        is_same = torch.equal(plain[index]["image"], mixing[index]["image"])
        assert is_same == (view.section is not None or not view.has_lesion)


@pytest.mark.parametrize("mix", MIXES)
def test_a_single_film_has_nothing_to_be_mixed_with(manifest: Path, mix: Any) -> None:
    transform = training_transforms(size_px=60)
    samples = load_samples(manifest, "training", limit=1)
    mixing = MammogramDataset(samples, transform, mix=mix, mix_prob=1.0)
    assert_same_items(MammogramDataset(samples, transform)[0], mixing[0])


def test_a_recipe_without_chance_is_mixed_after_all_its_steps(manifest: Path) -> None:
    transform = training_transforms(preset="fixed_portrait", size_px=160, augment="none")
    samples = load_samples(manifest)
    plain = MammogramDataset(samples, transform, mix="mixup", mix_prob=1.0)
    cached = MammogramDataset(samples, transform, mix="mixup", mix_prob=1.0, cache_rate=1.0)
    assert_same_items(plain[0], cached[0])
    assert len(plain[0]["box"]) >= 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"mix": "cutmix"}, r"mix must be none, copy_paste, mosaic or mixup, got 'cutmix'"),
        ({"mix_prob": 1.1}, r"mix_prob must be a share of the images, in \[0, 1\], got 1.1"),
        ({"mix": "mixup", "views": "sections"}, r"mix=mixup needs whole images; views=sections has none"),
    ],
)
def test_wrong_words_are_refused(manifest: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        dataset(manifest, "full_and_sections", **options)


@pytest.mark.parametrize("cache_rate", [0.0, 1.0])
def test_mass_free_views_hold_no_lesion_and_the_loader_balances_them(
    manifest: Path, cache_rate: float
) -> None:
    data = dataset(manifest, views="full_and_mass_free", cache_rate=cache_rate)
    # Films 0, 1 and 4 have lesions: each comes once more without.
    assert [view.section for view in data.views].count("mass_free") == 3
    for index, view in enumerate(data.views):
        if view.section == "mass_free":
            item = data[index]
            assert len(item["box"]) == len(item["label"]) == 0
            assert item["image"].shape == (1, 160, 80)
            assert item["image"].max() > 0
    batches = data_loader(data, batch_size=3, lesion_fraction=1 / 3)
    sampler = batches.batch_sampler
    assert sampler is not None
    with_lesions = [sum(data.views[index].has_lesion for index in batch) for batch in sampler]
    assert with_lesions == [1, 1, 1]


def test_mass_free_views_are_never_mixed_nor_partners(manifest: Path) -> None:
    plain = dataset(manifest, views="full_and_mass_free")
    mixing = dataset(manifest, views="full_and_mass_free", mix="mosaic", mix_prob=1.0)
    for index, view in enumerate(plain.views):
        is_same = torch.equal(plain[index]["image"], mixing[index]["image"])
        assert is_same == (not view.has_lesion)
