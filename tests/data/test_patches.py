from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mammo_monai.data import EpochIndex, PatchDataset, PatchPlan, data_loader, patch_dataset, patch_transforms
from mammo_monai.errors import ManifestError
from tests.transforms.films import BRIGHT, WIDTH

PLAN = PatchPlan(patch_px=12, stride_px=6)


def make(manifest: Path, tmp_path: Path, **options: Any) -> PatchDataset:
    given: dict[str, Any] = {"plan": PLAN, "augment": "p3", "transform": patch_transforms(region="none")}
    return patch_dataset(manifest, "training", cache_dir=tmp_path / "cache", **{**given, **options})


def test_a_patch_says_whether_its_centre_is_bright_and_where_it_lies(manifest: Path, tmp_path: Path) -> None:
    patches = make(manifest, tmp_path, augment="none")
    assert {int(each["class_index"]) for each in patches} == {0, 1}  # type: ignore[attr-defined]
    for sample, site in zip(patches, patches.sites, strict=True):  # type: ignore[call-overload]
        image = sample["image"]
        assert image.shape == (1, 12, 12)
        assert image.dtype == torch.float32
        assert sample["class_index"].dtype == torch.int64
        # Lesions are drawn as bright rectangles, of which an ellipse is the middle.
        assert int(sample["class_index"]) == site.class_index
        assert not site.has_lesion or (image[0, 5:7, 5:7] > 0.45).all()
        assert sample["record_id"] == patches.records[site.image_index].record_id


def test_sites_are_in_original_pixels_also_of_a_mirrored_breast(manifest: Path, tmp_path: Path) -> None:
    patches = make(manifest, tmp_path, augment="none")
    right = [n for n, each in enumerate(patches.sites) if each.image_index == 1 and each.has_lesion]
    assert right
    for number in right:
        x, y = patches[number]["site"]
        assert (x, y) == (WIDTH - patches.sites[number].x, patches.sites[number].y)
        (box,) = patches.records[1].boxes
        assert box[0] < x < box[2]
        assert box[1] < y < box[3]


def test_negatives_come_from_the_normal_films_of_the_list(manifest: Path, tmp_path: Path) -> None:
    patches = make(manifest, tmp_path)
    assert {each.image_index for each in patches.sites if not each.has_lesion} == {2, 3}
    assert sum(each.has_lesion for each in patches.sites) * 2 == len(patches)


def test_an_item_depends_on_seed_epoch_and_index_alone(manifest: Path, tmp_path: Path) -> None:
    patches, again = make(manifest, tmp_path), make(manifest, tmp_path)
    for index in (5, 0, 5):
        assert torch.equal(patches[EpochIndex(index, 3)]["image"], again[EpochIndex(index, 3)]["image"])
    again.set_epoch(3)
    assert torch.equal(patches[EpochIndex(1, 3)]["image"], again[1]["image"])
    assert not torch.equal(patches[EpochIndex(1, 3)]["image"], patches[EpochIndex(1, 4)]["image"])
    other = make(manifest, tmp_path, seed=1)
    assert other.sites == patches.sites
    assert not torch.equal(patches[0]["image"], other[0]["image"])


def test_the_loader_gives_the_same_batches_with_and_without_workers(manifest: Path, tmp_path: Path) -> None:
    def passes(workers: int) -> list[list[tuple[str, float]]]:
        patches = make(manifest, tmp_path)
        loader = data_loader(
            patches,
            batch_size=8,
            shuffle=True,
            seed=2,
            num_workers=workers,
            lesion_fraction=0.5,
        )
        loader.set_epoch(4)
        return [[(each["record_id"], float(each["image"].sum())) for each in batch] for batch in loader]

    batches = passes(0)
    assert batches == passes(2)


def test_batches_hold_half_lesions(manifest: Path, tmp_path: Path) -> None:
    loader = data_loader(make(manifest, tmp_path), batch_size=8, shuffle=True, lesion_fraction=0.5)
    counts = [sum(int(each["class_index"]) for each in batch) for batch in loader if len(batch) == 8]
    assert counts
    assert set(counts) == {4}


def test_a_data_set_survives_pickling_with_mapped_images(manifest: Path, tmp_path: Path) -> None:
    patches = make(manifest, tmp_path)
    copy = pickle.loads(pickle.dumps(patches))
    assert torch.equal(copy[7]["image"], patches[7]["image"])
    assert copy.class_names == ("background", "mass")


def test_a_resized_preset_moves_sites_and_lesions_with_the_pixels(manifest: Path, tmp_path: Path) -> None:
    transform = patch_transforms(preset="full_image", size_px=60, region="none")
    patches = make(manifest, tmp_path, transform=transform, augment="none")
    positives = [n for n, each in enumerate(patches.sites) if each.has_lesion]
    assert all(patches[n]["image"][0, 6, 6] > BRIGHT * 0.7 for n in positives)
    assert patches.images[0].shape == (100, 60)


def test_candidates_of_the_films_become_negatives(manifest: Path, tmp_path: Path) -> None:
    plan = PatchPlan(patch_px=12, stride_px=6, negatives="candidates", min_breast=0.0)
    patches = make(manifest, tmp_path, plan=plan)
    again = make(manifest, tmp_path, plan=plan)
    assert again.sites == patches.sites
    assert list((tmp_path / "cache").glob("*-candidates.npy"))


def test_negative_and_outer_indices(manifest: Path, tmp_path: Path) -> None:
    patches = make(manifest, tmp_path, augment="none")
    assert patches[-1]["site"] == patches[len(patches) - 1]["site"]
    with pytest.raises(IndexError, match=f"index {len(patches)} is outside a data set of {len(patches)}"):
        patches[len(patches)]


def test_what_does_not_fit_is_refused(manifest: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="augment of patches must be none or p3"):
        make(manifest, tmp_path, augment="p2")
    patches = make(manifest, tmp_path)
    with pytest.raises(ValueError, match="one record per image, got 1 for 4 images"):
        PatchDataset(patches.images, patches.records[:1], patches.sites, plan=PLAN)
    with pytest.raises(ManifestError, match=r"manifest.json, training: no patch: none of 4 images"):
        make(manifest, tmp_path, plan=PatchPlan(patch_px=12, stride_px=500))


def test_p3_s_plan_is_the_default(manifest: Path, tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="under a window of 224 px every 56 px"):
        make(manifest, tmp_path, plan=None)


def test_the_spacing_of_candidates_is_that_of_the_prepared_pixels(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    def spy(image: Any, region: Any, *, pixel_spacing_mm: Any) -> Any:
        seen.append((image.shape, pixel_spacing_mm))
        return np.zeros((0, 4)), np.zeros(0)

    monkeypatch.setattr("mammo_monai.data.patches.candidate_regions", spy)
    plan = PatchPlan(patch_px=12, stride_px=6, negatives="candidates")
    transform = patch_transforms(preset="full_image", size_px=60, region="none")
    make(manifest, tmp_path, plan=plan, transform=transform)
    assert seen[0] == ((100, 60), pytest.approx((0.4, 0.4)))


def test_candidates_are_found_by_the_preprocessing_where_it_is_told_to(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = PatchPlan(patch_px=12, stride_px=6, negatives="candidates", min_breast=0.0)
    lazily = make(manifest, tmp_path, plan=plan)

    def refuses(*given: Any, **named: Any) -> Any:
        raise AssertionError("searched again")

    monkeypatch.setattr("mammo_monai.data.patches.candidate_regions", refuses)
    transform = patch_transforms(region="none", candidates=50)
    patches = make(manifest, tmp_path, plan=plan, transform=transform)
    near = [(round(each.x), round(each.y)) for each in lazily.sites]
    assert [(round(each.x), round(each.y)) for each in patches.sites] == near


def test_preprocessing_takes_the_options_of_a_recipe() -> None:
    prepare = patch_transforms(noise="median", region="global").transforms[0]
    assert prepare.recipe.noise == "median"
    assert prepare.recipe.preset == "sections"
    with pytest.raises(ValueError, match="region must be"):
        patch_transforms(region="left")  # type: ignore[typeddict-item]  # what is refused


def test_a_black_film_has_no_candidates_and_no_spacing_is_no_error(tmp_path: Path) -> None:
    from dataclasses import replace

    from mammo_monai.data.patch_images import KeptImage
    from mammo_monai.data.patches import _candidates, _spacing_mm
    from mammo_monai.geometry import ImageFrame
    from mammo_monai.records import ImageRecord

    black = KeptImage(
        tmp_path / "x.npy", (20, 12), ImageFrame(12, 20), None, np.zeros((20, 12), dtype=np.uint16)
    )
    record = ImageRecord(Path("x"), "0" * 16, "P", 12, 20)
    assert _spacing_mm(black, record) is None
    assert _candidates(black, record).shape == (0, 4)
    assert _candidates(replace(black, candidates=np.ones((1, 4))), record).tolist() == [[1, 1, 1, 1]]
