from __future__ import annotations

import json
from pathlib import Path

import pytest

from mammo_monai.data.configured_recipe import configured_recipe
from mammo_monai.errors import BundleError
from mammo_monai.transforms import image_recipe

TRANSFORMS = "mammo_monai.transforms."


def config(folder: Path, preprocessing: object) -> Path:
    content = {
        "views": "sections",
        "preset": "@views",
        "size_px": 320,
        "train": {"preprocessing": preprocessing},
    }
    (folder / "train.json").write_text(json.dumps(content))
    return folder / "train.json"


def test_values_are_found_wherever_the_configuration_keeps_them(tmp_path: Path) -> None:
    path = config(tmp_path, {"_target_": f"{TRANSFORMS}training_transforms", "preset": "@preset"})
    assert configured_recipe(path, {}) == image_recipe(preset="sections")
    changes = {"preset": "full_image", "region": "global", "size_px": 99}
    assert configured_recipe(path, changes) == image_recipe(size_px=99, region="global")


@pytest.mark.parametrize(
    ("preprocessing", "changes", "said"),
    [
        ({"_target_": f"{TRANSFORMS}training_transforms", "preset": "half"}, {}, "preset must be full_image"),
        ({"_target_": f"{TRANSFORMS}LoadMammogramd"}, {}, "expected training_transforms or another Compose"),
        ({"_target_": f"{TRANSFORMS}training_transforms"}, {"size_px": 0}, "size_px must be from 1 to"),
    ],
)
def test_a_preprocessing_that_cannot_be_prepared_for_is_named(
    tmp_path: Path, preprocessing: object, changes: dict[str, object], said: str
) -> None:
    with pytest.raises(BundleError, match=rf"train\.json, id train#preprocessing: .*{said}"):
        configured_recipe(config(tmp_path, preprocessing), changes)


def test_missing_files_and_ids_are_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"train\.json: no such configuration"):
        configured_recipe(tmp_path / "train.json", {})
    (tmp_path / "train.json").write_text("{}")
    with pytest.raises(BundleError, match="id train#preprocessing"):
        configured_recipe(tmp_path / "train.json", {})
