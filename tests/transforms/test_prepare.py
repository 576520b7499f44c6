from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from mammo_monai.errors import ManifestError
from mammo_monai.geometry import Crop
from mammo_monai.transforms import (
    PREPARED_VERSION,
    CropBreastd,
    FlipRightd,
    LoadMammogramd,
    PrepareMammogramd,
    ResizeShortSided,
    evaluation_transforms,
    image_recipe,
)
from mammo_monai.transforms.prepared_file import Preparation, write_prepared
from mammo_monai.transforms.sample import boxes_of
from tests.transforms.films import HEIGHT, INSIDE, WIDTH, film_pixels

KEY = "ab" * 32
RECIPES: list[dict[str, Any]] = [
    {"size_px": 50},
    {"size_px": 50, "region": "none"},
    {"preset": "sections"},
    {"preset": "fixed_size", "size_px": 64, "region": "global"},
    {"preset": "fixed_portrait", "size_px": 75},
    {"preset": "fixed_spacing", "spacing_mm": 0.3},
]
# Inside, at the skin so that the crop cuts it, and so far outside that it is dropped.
BOXES = [INSIDE, (60.0, 20.5, 118.0, 60.0), (100.0, 1.0, 119.0, 15.0)]


def original(folder: Path, *, is_right: bool = False, has_lesions: bool = True) -> dict[str, Any]:
    boxes = BOXES if has_lesions else []
    boxes = [(WIDTH - b[2], b[1], WIDTH - b[0], b[3]) for b in boxes] if is_right else boxes
    noise = np.random.default_rng(1).normal(0, 0.01, (HEIGHT, WIDTH))
    pixels = np.clip(film_pixels(boxes[:1], is_right=is_right, has_label=True) + noise, 0, 1)
    Image.fromarray((pixels * 65535).astype(np.uint16)).save(folder / "film.png")
    return {
        "image": str(folder / "film.png"),
        "record_id": "00000000000000ab",
        "laterality": "R" if is_right else "L",
        "pixel_spacing_mm": (0.2, 0.1),
        "width": WIDTH,
        "height": HEIGHT,
        "box": np.array(boxes, np.float32).reshape(-1, 4),
        "label": np.arange(len(boxes)),
        "prepared": None,
    }


def copied(sample: dict[str, Any], transform: PrepareMammogramd, path: Path) -> dict[str, Any]:
    """The sample with a prepared copy in place of its image."""
    made = transform(sample)
    pixels = (made["image"][0].double() * 65535).round().numpy().astype(np.uint16)
    recipe = transform.recipe.as_json()
    write_prepared(path, pixels, Preparation(KEY, recipe, sample["record_id"], "0", "0", made["frame"]))
    return {**sample, "image": str(path), "prepared": {"recipe": recipe, "key": KEY}}


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("is_right", [False, True])
@pytest.mark.parametrize("has_lesions", [False, True])
def test_a_copy_gives_the_same_sample_bit_for_bit(
    tmp_path: Path, recipe: dict[str, Any], is_right: bool, has_lesions: bool
) -> None:
    transform = PrepareMammogramd(image_recipe(**recipe))
    sample = original(tmp_path, is_right=is_right, has_lesions=has_lesions)
    copy = copied(sample, transform, tmp_path / "copy.png")
    Path(sample["image"]).unlink()
    with pytest.raises(ManifestError, match="no such image file"):
        transform(sample)
    sample = original(tmp_path, is_right=is_right, has_lesions=has_lesions)
    ours, theirs = transform(copy), transform(sample)
    assert type(ours["image"]) is torch.Tensor
    for key in ("image", "box", "label"):
        assert ours[key].dtype == theirs[key].dtype
        assert torch.equal(ours[key], theirs[key]), key
    assert ours["frame"] == theirs["frame"]
    back, other = transform.inverse(ours), transform.inverse(theirs)
    assert torch.equal(back["image"], other["image"])
    assert torch.equal(back["box"], other["box"])
    assert back["frame"].steps == ()
    assert tuple(back["image"].shape) == (1, HEIGHT, WIDTH)


def test_it_is_what_its_steps_do_one_by_one_within_a_step_of_16_bits(tmp_path: Path) -> None:
    sample = original(tmp_path, is_right=True)
    step_by_step = dict(sample)
    for step in (LoadMammogramd(), CropBreastd(), FlipRightd(), ResizeShortSided(50, 250)):
        step_by_step = step(step_by_step)
    made = PrepareMammogramd(image_recipe(size_px=50))(sample)
    assert made["frame"] == step_by_step["frame"]
    assert torch.equal(made["box"], step_by_step["box"])
    # Half a step of rounding, and float32 sums of values up to 65535 instead of up to 1.
    torch.testing.assert_close(made["image"], step_by_step["image"], atol=0.6 / 65535, rtol=0)


def test_values_lie_on_the_grid_of_16_bits_and_stay_black_outside(tmp_path: Path) -> None:
    made = PrepareMammogramd(image_recipe(size_px=50))(original(tmp_path))["image"]
    steps = made.double() * 65535
    torch.testing.assert_close(steps, steps.round(), atol=1e-2, rtol=0)
    corner = made[0, -5:, -5:]  # outside the breast, inside the crop
    assert float(corner.max()) == 0.0
    assert float((made == 0).double().mean()) > 0.1


def test_a_box_cut_by_the_crop_is_cut_in_the_copy_and_a_lost_one_is_lost(tmp_path: Path) -> None:
    transform = PrepareMammogramd(image_recipe(preset="sections"))
    made = transform(copied(original(tmp_path), transform, tmp_path / "copy.png"))
    assert made["label"].tolist() == [0, 1]
    assert boxes_of(made)[1, 2] == made["frame"].size[0]


def test_attributes_of_the_original_file_fill_what_the_sample_lacks(tmp_path: Path) -> None:
    frame = PrepareMammogramd(image_recipe(preset="sections", region="none"))(original(tmp_path))["frame"]
    recipe = image_recipe(preset="sections", region="none")
    about = Preparation(
        KEY, recipe.as_json(), "00000000000000ab", "0", "0", frame, "R", "MLO", pixel_spacing_mm=(0.3, 0.4)
    )
    write_prepared(tmp_path / "c.png", np.zeros((HEIGHT, WIDTH), np.uint16), about)
    prepared = {"recipe": recipe.as_json(), "key": KEY}
    sample = {"image": str(tmp_path / "c.png"), "record_id": about.record_id, "prepared": prepared}
    made = PrepareMammogramd(recipe)({**sample, "laterality": "L"})
    assert (made["laterality"], made["view_position"]) == ("L", "MLO")
    assert made["pixel_spacing_mm"] == (0.3, 0.4)
    assert made["box"].shape == (0, 4)


def test_another_recipe_is_refused_with_both_and_the_command(tmp_path: Path) -> None:
    transform = PrepareMammogramd(image_recipe(size_px=50))
    copy = copied(original(tmp_path), transform, tmp_path / "copy.png")
    with pytest.raises(ManifestError) as refused:
        PrepareMammogramd(image_recipe(size_px=60, region="global"))(copy)
    said = str(refused.value)
    assert (
        "copy.png (record 00000000000000ab): prepared with version 1, preset full_image, size_px 50" in said
    )
    assert "needs version 1, preset full_image, size_px 60, region global" in said
    assert "mammo-monai prepare ORIGINAL_MANIFEST --out DIR --preset full_image --size-px 60" in said


def test_a_copy_of_an_older_version_is_refused(tmp_path: Path) -> None:
    transform = PrepareMammogramd(image_recipe(size_px=50))
    copy = copied(original(tmp_path), transform, tmp_path / "copy.png")
    copy["prepared"]["recipe"] = {**copy["prepared"]["recipe"], "version": 0}
    with pytest.raises(ManifestError, match="prepared with version 0"):
        transform(copy)
    copy["prepared"] = {"key": KEY}
    with pytest.raises(ManifestError, match="prepared with None"):
        transform(copy)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"record_id": "00000000000000cd"}, "record_id 00000000000000cd, the prepared image 0000"),
        ({"prepared": {"key": "cd" * 32}}, "key cdcd"),
        ({"width": 99}, r"width × height of the original \(99, 200\), the prepared image \(120, 200\)"),
    ],
)
def test_a_copy_of_something_else_is_refused(tmp_path: Path, changed: dict[str, Any], named: str) -> None:
    transform = PrepareMammogramd(image_recipe(size_px=50))
    copy = copied(original(tmp_path), transform, tmp_path / "copy.png")
    if "prepared" in changed:
        changed = {"prepared": {**copy["prepared"], **changed["prepared"]}}
    with pytest.raises(ManifestError, match=rf"copy\.png .*the manifest says {named}"):
        transform({**copy, **changed})


def test_a_copy_is_never_loaded_as_an_original(tmp_path: Path) -> None:
    transform = PrepareMammogramd(image_recipe(size_px=50))
    copy = copied(original(tmp_path), transform, tmp_path / "copy.png")
    with pytest.raises(ManifestError, match=r"copy\.png .*a prepared image, already cropped"):
        LoadMammogramd()(copy)


def test_sections_and_whole_images_come_from_one_copy(tmp_path: Path) -> None:
    transform = PrepareMammogramd(image_recipe(preset="full_and_sections"))
    copy = copied(original(tmp_path), transform, tmp_path / "copy.png")
    made = evaluation_transforms(preset="full_and_sections", size_px=50)(copy)
    assert min(made["image"].shape[1:]) == 50
    inverted = evaluation_transforms(preset="full_and_sections", size_px=50).inverse(made)
    assert tuple(inverted["image"].shape) == (1, HEIGHT, WIDTH)


@pytest.mark.parametrize(
    ("recipe", "crop", "total"),
    [
        ({"size_px": 50}, (38, 17, 82, 156), 89149971),
        ({"preset": "fixed_size", "size_px": 64, "region": "global"}, (38, 17, 82, 156), 76904031),
        ({"preset": "sections", "region": "none"}, None, 254153934),
    ],
)
def test_other_pixels_need_another_version(
    tmp_path: Path, recipe: dict[str, Any], crop: tuple[int, int, int, int] | None, total: int
) -> None:
    """Fails when the same recipe gives other pixels: raise PREPARED_VERSION, then put new figures here."""
    assert PREPARED_VERSION == 1
    made = PrepareMammogramd(image_recipe(**recipe))(original(tmp_path, is_right=True))
    if crop is not None:
        assert made["frame"].steps[0] == Crop(*crop)
    # Processors may differ in the last bit of a sum of weights: a step of 16 bits in some pixels.
    assert float(made["image"].double().sum() * 65535) == pytest.approx(total, rel=1e-6)
