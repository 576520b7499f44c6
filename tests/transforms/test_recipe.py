from __future__ import annotations

import json
from typing import Any

import pytest

from mammo_monai.transforms import PREPARED_VERSION, image_recipe
from mammo_monai.transforms.recipe import recipe_options, recipe_text, reject_unused


def test_what_a_preset_does_not_use_is_no_part_of_its_recipe() -> None:
    assert image_recipe(preset="sections", size_px=600) == image_recipe(
        preset="full_and_sections", size_px=900
    )
    assert image_recipe(preset="fixed_spacing", spacing_mm=1, size_px=1) == image_recipe(
        preset="fixed_spacing", spacing_mm=1.0
    )
    assert image_recipe(preset="fixed_portrait", size_px=90).as_json()["size_px"] == 90
    assert image_recipe(preset="fixed_portrait", spacing_mm=1.0) == image_recipe(preset="fixed_portrait")
    assert image_recipe(preset="fixed_size", spacing_mm=0.2) == image_recipe(preset="fixed_size")


@pytest.mark.parametrize(
    "changed",
    [
        {"preset": "fixed_size"},
        {"preset": "fixed_portrait"},
        {"preset": "sections"},
        {"size_px": 601},
        {"region": "global"},
        {"region": "none"},
        {"remove_pectoral": True},
        {"preset": "fixed_spacing", "spacing_mm": 0.2},
        {"noise": "median"},
        {"noise": "median", "noise_px": 5},
        {"noise": "impulse"},
        {"suppress_artifacts": True},
    ],
)
def test_what_changes_pixels_changes_the_recipe(changed: dict[str, Any]) -> None:
    assert image_recipe(**changed).as_json() != image_recipe().as_json()


def test_noise_and_artifacts_left_alone_leave_the_recipe_as_it_was() -> None:
    before = {
        "version": 1,
        "preset": "full_image",
        "size_px": 600,
        "region": "otsu",
        "remove_pectoral": False,
    }
    assert image_recipe().as_json() == before
    assert image_recipe(noise="none", suppress_artifacts=False).as_json() == before
    assert image_recipe(noise="none", noise_px=5).as_json() == before
    reject_unused(image_recipe(noise="none"), ["noise"])
    treated = image_recipe(noise="median", suppress_artifacts=True).as_json()
    assert treated == before | {"noise": "median", "noise_px": 3, "suppress_artifacts": True}
    assert recipe_options(treated).endswith("--noise median --noise-px 3 --suppress-artifacts")


def test_recipe_survives_a_file_and_carries_the_version() -> None:
    recipe = image_recipe(preset="fixed_spacing", spacing_mm=0.13, region="global").as_json()
    assert json.loads(json.dumps(recipe)) == recipe
    assert recipe["version"] == PREPARED_VERSION


def test_recipe_reads_as_words_and_as_options() -> None:
    recipe = image_recipe(preset="fixed_spacing", spacing_mm=0.2, remove_pectoral=True).as_json()
    assert recipe_text(recipe).endswith(
        "preset fixed_spacing, spacing_mm 0.2, region otsu, remove_pectoral True"
    )
    assert recipe_options(recipe) == "--preset fixed_spacing --spacing-mm 0.2 --region otsu --remove-pectoral"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preset": "half"}, "preset must be full_image, sections, .* or fixed_spacing, got 'half'"),
        ({"region": "hand"}, "region must be otsu, global or none, got 'hand'"),
        ({"region": "none", "remove_pectoral": True}, "remove_pectoral needs a breast region"),
        ({"preset": "fixed_spacing"}, "needs spacing_mm from 0.01 to 10, such as 0.2, got None"),
        ({"preset": "fixed_spacing", "spacing_mm": float("nan")}, "spacing_mm from 0.01 to 10, .* got nan"),
        ({"preset": "fixed_spacing", "spacing_mm": float("inf")}, "spacing_mm from 0.01 to 10, .* got inf"),
        ({"preset": "fixed_spacing", "spacing_mm": 0.0001}, "spacing_mm from 0.01 to 10"),
        ({"size_px": 5_000_000}, "size_px must be from 1 to 10000, got 5000000"),
        ({"preset": "fixed_portrait", "size_px": 0}, "size_px must be from 1 to 10000, got 0"),
        ({"region": "none", "suppress_artifacts": True}, "suppress_artifacts needs a breast region"),
        ({"noise": "mean"}, "noise must be none, median, gaussian, bilateral, impulse, got 'mean'"),
        (
            {"noise": "median", "noise_px": 4},
            "noise_px must be 3, 5 or 7 pixels of the original .*, got 4",
        ),
        ({"noise_px": 5}, "noise_px needs noise: give median, gaussian"),
        ({"size_px": 0}, "size_px must be from 1 to 10000, got 0"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        image_recipe(**options)


def test_options_that_a_preset_does_not_use_are_refused() -> None:
    recipe = image_recipe(preset="full_and_sections")
    reject_unused(recipe, ["preset", "region", "remove_pectoral"])
    with pytest.raises(ValueError, match="preset sections does not use size_px; leave it out"):
        reject_unused(recipe, ["preset", "size_px"])
