from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.transforms import Compose, RandGaussianSmoothd, ScaleIntensityd
from PIL import Image

from mammo_monai.transforms import (
    CropBreastd,
    FlipRightd,
    NormaliseIntensityd,
    ResizeShortSided,
    evaluation_transforms,
    inference_transforms,
    training_transforms,
)
from mammo_monai.transforms.sample import boxes_of
from tests.transforms.films import HEIGHT, INSIDE, WIDTH, bright_box, film_pixels, film_sample

PRESETS = ["full_image", "sections", "full_and_sections", "fixed_size", "fixed_portrait", "fixed_spacing"]
RIGHT = (WIDTH - INSIDE[2], INSIDE[1], WIDTH - INSIDE[0], INSIDE[3])


def written(folder: Path, *, is_right: bool = False, has_lesion: bool = True) -> dict[str, Any]:
    boxes = [RIGHT if is_right else INSIDE] if has_lesion else []
    pixels = film_pixels(boxes, is_right=is_right, has_label=True)
    Image.fromarray((pixels * 255).astype(np.uint8)).save(folder / "film.png")
    return {
        "image": str(folder / "film.png"),
        "record_id": "00000000000000ab",
        "laterality": "R" if is_right else "L",
        "pixel_spacing_mm": (0.2, 0.2),
        "width": WIDTH,
        "height": HEIGHT,
        "box": np.array(boxes, np.float32).reshape(-1, 4),
        "label": np.zeros(len(boxes), np.int64),
    }


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("augment", ["none", "light", "strong", "p1", "p2", "p3"])
def test_every_recipe_gives_a_sample_for_the_detector(tmp_path: Path, preset: Any, augment: Any) -> None:
    transform = training_transforms(preset=preset, size_px=90, spacing_mm=0.3, augment=augment)
    for has_lesion in (True, False):
        sample = written(tmp_path, is_right=True, has_lesion=has_lesion)
        made = transform.set_random_state(5)(sample | {"section": "background" if not has_lesion else 0})
        image, box = made["image"], made["box"]
        assert (type(image), image.dtype, image.shape[0]) == (torch.Tensor, torch.float32, 1)
        assert 0 <= float(image.min()) <= float(image.max()) <= 1
        assert (box.dtype, made["label"].dtype) == (torch.float32, torch.int64)
        assert len(box) == len(made["label"]) == int(has_lesion)
        height, width = image.shape[1:]
        assert np.all(boxes_of(made)[:, 2:] <= (width, height))


@pytest.mark.parametrize("is_right", [False, True])
@pytest.mark.parametrize("preset", ["full_image", "fixed_size", "fixed_portrait", "fixed_spacing"])
def test_evaluation_inverts_to_the_original_frame(tmp_path: Path, preset: Any, is_right: bool) -> None:
    sample = written(tmp_path, is_right=is_right)
    transform = evaluation_transforms(preset=preset, size_px=90, spacing_mm=0.13)
    made = transform(sample)
    np.testing.assert_allclose(made["frame"].to_model(sample["box"].astype(float)), boxes_of(made), atol=1e-3)
    np.testing.assert_allclose(bright_box(made["image"]), made["box"][0], atol=1.0)
    # Right breasts are mirrored: the breast begins at the first column.
    assert float(made["image"][0, made["image"].shape[1] // 2, 0]) > 0.2
    inverted = transform.inverse(made)
    assert inverted["frame"].steps == ()
    assert tuple(inverted["image"].shape) == (1, HEIGHT, WIDTH)
    np.testing.assert_allclose(boxes_of(inverted), sample["box"], atol=1e-3)
    np.testing.assert_allclose(bright_box(inverted["image"]), inverted["box"][0], atol=2.0)


def test_targets_grow_by_ten_percent_in_training_only(tmp_path: Path) -> None:
    sample = written(tmp_path)
    grown = boxes_of(training_transforms(size_px=80, augment="none")(sample))[0]
    plain = boxes_of(evaluation_transforms(size_px=80)(sample))[0]
    np.testing.assert_allclose((grown[2:] - grown[:2]) / (plain[2:] - plain[:2]), 1.1, rtol=1e-4)


def test_section_inference_keeps_the_resolution(tmp_path: Path) -> None:
    made = inference_transforms("sections", intensity="percentile")(written(tmp_path))
    box = boxes_of(made)[0]
    assert (box[2:] - box[:2]).tolist() == [30, 40]


def test_sections_are_cut_at_original_resolution(tmp_path: Path) -> None:
    transform = training_transforms(preset="full_and_sections", size_px=60, enlarge=0, augment="none")
    section = transform(written(tmp_path) | {"section": 0})
    whole = transform(written(tmp_path))
    assert section["image"].shape[2] < 30
    assert min(whole["image"].shape[1:]) == 60


@pytest.mark.parametrize(("size_px", "size"), [(90, (90, 45)), (91, (91, 45)), (1, (1, 1))])
def test_fixed_portrait_is_twice_as_high_as_wide_whatever_the_film(
    tmp_path: Path, size_px: int, size: tuple[int, int]
) -> None:
    for region in ("otsu", "none"):
        transform = evaluation_transforms(preset="fixed_portrait", size_px=size_px, region=region)
        made = transform(written(tmp_path, is_right=True, has_lesion=False))
        assert tuple(made["image"].shape) == (1, *size)


def test_strong_augmentation_is_drawn_anew_and_boxes_follow_pixels(tmp_path: Path) -> None:
    transform = training_transforms(
        preset="fixed_portrait", size_px=160, augment="strong", enlarge=0
    ).set_random_state(3)
    sample = written(tmp_path)
    made = [transform(sample) for _ in range(12)]
    assert {tuple(each["image"].shape) for each in made} == {(1, 160, 80)}
    assert len({tuple(each["box"].flatten().tolist()) for each in made}) > 6
    assert len({float(each["image"].mean()) for each in made}) == 12
    kept = [each for each in made if len(each["box"])]
    assert len(kept) >= 8  # at most half of a lesion may leave the image
    for each in kept:
        x_min, y_min, x_max, y_max = (round(side) for side in boxes_of(each)[0])
        inside = each["image"][0, y_min:y_max, x_min:x_max]
        assert float(inside.mean()) > float(each["image"].mean()) + 0.1
    again = training_transforms(preset="fixed_portrait", size_px=160, augment="strong", enlarge=0)
    assert torch.equal(again.set_random_state(3)(sample)["image"], made[0]["image"])


def test_region_none_keeps_the_whole_image(tmp_path: Path) -> None:
    made = evaluation_transforms(region="none", size_px=WIDTH)(written(tmp_path))
    assert made["frame"].size == (WIDTH, HEIGHT)


def test_long_narrow_crops_are_limited() -> None:
    sample = film_sample([]) | {"image": torch.ones(1, 500, 50), "frame": None}
    made = ResizeShortSided(60, 180)(sample)
    assert max(made["image"].shape) == 180


def test_stock_monai_transforms_fit_in_between() -> None:
    sample = film_sample(has_label=True, is_right=True)
    transform = Compose(
        [
            CropBreastd(),
            ScaleIntensityd(keys="image"),
            FlipRightd(),
            RandGaussianSmoothd(keys="image", prob=1.0),
            ResizeShortSided(70),
            NormaliseIntensityd("percentile"),
        ]
    )
    made = transform(sample)
    assert type(made["image"]) is torch.Tensor
    assert made["frame"].size == (made["image"].shape[2], made["image"].shape[1])


def test_wrong_words_are_refused() -> None:
    with pytest.raises(ValueError, match="preset must be full_image"):
        training_transforms(preset="half")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="fixed_spacing needs spacing_mm"):
        evaluation_transforms(preset="fixed_spacing")
    with pytest.raises(ValueError, match="augment must be none, light, strong, p1, p2, p3, got 'p9'"):
        training_transforms(augment="p9")  # type: ignore[arg-type]
