from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose, RandGaussianNoised
from torch import Tensor

from mammo_monai.data import EpochIndex, MammogramDataset, load_samples, training_views
from mammo_monai.errors import ManifestError
from mammo_monai.transforms import evaluation_transforms, training_transforms


def assert_same_items(first: dict[str, Any], second: dict[str, Any]) -> None:
    assert first.keys() == second.keys()
    assert first["record_id"] == second["record_id"]
    for key in ("image", "box", "label"):
        assert torch.equal(first[key], second[key]), key


def dataset(manifest: Path, **options: Any) -> MammogramDataset:
    preset = options.get("views", "full_image")
    transform = training_transforms(preset=preset, size_px=60, augment="light")
    return MammogramDataset(load_samples(manifest, "training"), transform, **options)


def test_item_depends_on_seed_epoch_and_index_alone(manifest: Path) -> None:
    data = dataset(manifest, seed=3)
    first = [data[index] for index in range(4)]
    torch.manual_seed(99)
    again = [dataset(manifest, seed=3)[index] for index in (3, 1, 0, 2)]
    for index, item in zip((3, 1, 0, 2), again, strict=True):
        assert_same_items(first[index], item)


@pytest.mark.parametrize(("seed", "epoch"), [(4, 0), (3, 1)])
def test_other_seed_or_epoch_augments_otherwise(manifest: Path, seed: int, epoch: int) -> None:
    first, other = dataset(manifest, seed=3), dataset(manifest, seed=seed)
    other.set_epoch(epoch)
    assert any(not torch.equal(first[n]["image"], other[n]["image"]) for n in range(4))


def test_epoch_index_brings_its_own_epoch(manifest: Path) -> None:
    data = dataset(manifest)
    carried = data[EpochIndex(2, 5)]
    data.set_epoch(5)
    assert_same_items(carried, data[2])


def test_epoch_index_survives_the_way_to_a_worker() -> None:
    index = pickle.loads(pickle.dumps(EpochIndex(7, 2)))
    assert (index, index.epoch) == (7, 2)


@pytest.mark.parametrize("views", ["full_image", "sections", "full_and_sections"])
@pytest.mark.parametrize("cache_rate", [0.5, 1.0])
def test_cache_changes_nothing(manifest: Path, views: Any, cache_rate: float) -> None:
    plain, cached = dataset(manifest, views=views), dataset(manifest, views=views, cache_rate=cache_rate)
    assert len(plain) == len(cached)
    for epoch in (0, 1, 0):
        for index in range(len(plain)):
            assert_same_items(plain[EpochIndex(index, epoch)], cached[EpochIndex(index, epoch)])


@pytest.mark.parametrize("cache_rate", [-0.1, 1.5, float("nan")])
def test_a_cache_rate_that_is_no_fraction_is_refused(manifest: Path, cache_rate: float) -> None:
    with pytest.raises(ValueError, match=r"cache_rate must be a fraction of the images, in \[0, 1\], got"):
        dataset(manifest, cache_rate=cache_rate)


def test_cache_spares_the_files(manifest: Path) -> None:
    data = dataset(manifest, cache_rate=1.0)
    for path in (manifest.parent / "films").iterdir():
        path.unlink()
    assert data[0]["image"].shape[0] == 1


def test_deterministic_recipes_can_be_cached_whole(manifest: Path) -> None:
    samples, transform = load_samples(manifest), evaluation_transforms(size_px=50)
    plain = MammogramDataset(samples, transform)
    cached = MammogramDataset(samples, transform, cache_rate=1.0)
    for index in range(6):
        assert_same_items(plain[index], cached[index])


def test_views_cut_sections_at_lesions_and_background(manifest: Path) -> None:
    data = dataset(manifest, views="full_and_sections")
    # Film 0: whole, two lesions, background; film 1: whole, one, background; films 2, 3: whole, background.
    assert [view.section for view in data.views] == [
        None, 0, 1, "background", None, 0, "background", None, "background", None, "background",
    ]  # fmt: skip
    lesions = [len(data[index]["box"]) for index in range(len(data))]
    assert all(count >= 1 for count, view in zip(lesions, data.views, strict=True) if view.has_lesion)
    assert all(count == 0 for count, view in zip(lesions, data.views, strict=True) if not view.has_lesion)
    whole = data[0]["image"].shape
    assert data[3]["image"].shape[1] < whole[1]


def test_sections_alone_leave_out_whole_images() -> None:
    samples: list[dict[str, Any]] = [{"label": [0]}, {"label": []}]
    assert [view.section for view in training_views(samples, "sections")] == [0, "background", "background"]
    with pytest.raises(ValueError, match="views must be full_image"):
        training_views(samples, "patches")  # type: ignore[arg-type]


class Unruly:
    """A foreign transform: draws from torch's global generator, returns a MetaTensor, keeps no frame."""

    def __call__(self, data: dict[str, Any]) -> dict[str, Any]:
        return {**data, "image": MetaTensor(data["image"] + torch.rand(()))}


def test_foreign_random_transforms_are_seeded_too_and_the_global_state_is_left_alone(manifest: Path) -> None:
    steps = [
        *evaluation_transforms(size_px=50).transforms,
        RandGaussianNoised(keys="image", prob=1.0),
        Unruly(),
    ]
    data = MammogramDataset(load_samples(manifest), Compose(steps))
    before = torch.get_rng_state()
    first = data[0]
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(5)
    assert torch.equal(first["image"], data[0]["image"])
    assert type(first["image"]) is Tensor


def test_indices_count_from_the_end_and_stop_outside(manifest: Path) -> None:
    data = dataset(manifest)
    assert_same_items(data[-1], data[3])
    assert len(data[1:3]) == 2
    with pytest.raises(IndexError, match="index 4 is outside a data set of 4 samples"):
        data[4]


@pytest.mark.parametrize("cache_rate", [0.0, 1.0])
def test_unreadable_image_raises_the_packages_own_error(manifest: Path, cache_rate: float) -> None:
    samples = load_samples(manifest, "training")
    Path(samples[0]["image"]).write_bytes(b"broken")
    with pytest.raises(ManifestError, match=r"film0\.png: cannot be read as an image"):
        MammogramDataset(samples, evaluation_transforms(), cache_rate=cache_rate)[0]


def test_foreign_errors_stay_as_they_are(manifest: Path) -> None:
    def fail(data: object) -> object:
        raise KeyError("foreign")

    with pytest.raises(RuntimeError, match="applying transform") as raised:
        MammogramDataset(load_samples(manifest), Compose([fail]))[0]
    assert isinstance(raised.value.__cause__, KeyError)  # a ring of causes would never end


def test_untransformed_samples_are_there_for_those_who_only_need_names(manifest: Path) -> None:
    data = MammogramDataset(load_samples(manifest), evaluation_transforms())
    assert [sample["record_id"] for sample in data.data] == [f"{n:016x}" for n in range(6)]
