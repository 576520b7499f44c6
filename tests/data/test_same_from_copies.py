"""Training from a prepared set sees what training from DICOM sees, bit for bit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from mammo_monai.data import MammogramDataset, load_samples, prepare_manifest
from mammo_monai.schema import Manifest, read_manifest, write_manifest
from mammo_monai.transforms import (
    evaluation_transforms,
    image_recipe,
    inference_transforms,
    training_transforms,
)
from tests.data.prepared_sets import DIGITAL, FILM, SPACING_MM, phantom_manifest

PRESETS: list[dict[str, Any]] = [
    {"preset": "full_image", "size_px": 160},
    {"preset": "sections", "size_px": 160},
    {"preset": "full_and_sections", "size_px": 160},
    {"preset": "fixed_size", "size_px": 128, "remove_pectoral": True},
    {"preset": "fixed_spacing", "spacing_mm": 1.3},
]
REGIONS = {FILM: "otsu", DIGITAL: "global"}


@pytest.fixture(scope="module", params=[FILM, DIGITAL], ids=["film", "digital"])
def phantoms(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A manifest of DICOM phantoms, and how their breast is found."""
    return phantom_manifest(tmp_path_factory.mktemp("phantoms"), request.param), REGIONS[request.param]


def assert_same(ours: MammogramDataset, theirs: MammogramDataset) -> None:
    assert len(ours) == len(theirs) > 0
    for index in range(len(ours)):
        mine, other = ours[index], theirs[index]
        assert mine.keys() == other.keys()
        for key in mine.keys() - {"image_path", "prepared", "box_original", "label_original"}:
            if isinstance(mine[key], Tensor):
                assert mine[key].dtype == other[key].dtype
                assert torch.equal(mine[key], other[key]), (key, index)
            else:
                assert mine[key] == other[key], (key, index)
        assert (mine["box_original"] == other["box_original"]).all()


def with_spacing(manifest: Path, path: Path) -> Path:
    """Scanned films do not say their spacing; it is never guessed."""
    content = read_manifest(manifest)
    training, validation = (
        tuple(replace(each, pixel_spacing_mm=(SPACING_MM, SPACING_MM)) for each in content.images(split))
        for split in ("training", "validation")
    )
    write_manifest(path, Manifest(training, validation))
    return path


@pytest.mark.parametrize("options", PRESETS, ids=lambda options: options["preset"])
def test_every_preset_gives_the_same_tensors(
    phantoms: tuple[Path, str], tmp_path: Path, options: dict[str, Any]
) -> None:
    manifest, region = phantoms
    chosen = {**options, "region": region}
    if options["preset"] == "fixed_spacing":
        manifest = with_spacing(manifest, tmp_path / "known.json")
    out = tmp_path / "out"
    prepare_manifest(read_manifest(manifest), out, image_recipe(**chosen))
    views: Any = options["preset"] if "sections" in options["preset"] else "full_image"
    for augment in ("none", "light", "p2"):
        transform = training_transforms(**chosen, augment=augment, intensity="percentile")
        copies, originals = (
            MammogramDataset(load_samples(each, "training"), transform, views=views, seed=4)
            for each in (out, manifest)
        )
        copies.set_epoch(2)
        originals.set_epoch(2)
        assert_same(copies, originals)
    for transform in (evaluation_transforms(**chosen), inference_transforms("full", **chosen)):
        assert_same(
            MammogramDataset(load_samples(out), transform, cache_rate=0.5),
            MammogramDataset(load_samples(manifest), transform),
        )


def test_inference_with_sections_takes_the_unresized_copy(phantoms: tuple[Path, str], tmp_path: Path) -> None:
    manifest, region = phantoms
    prepare_manifest(read_manifest(manifest), tmp_path, image_recipe(preset="sections", region=region))  # type: ignore[arg-type]
    transform = inference_transforms("sections", region=region)  # type: ignore[arg-type]
    assert_same(
        MammogramDataset(load_samples(tmp_path), transform),
        MammogramDataset(load_samples(manifest), transform),
    )


def test_the_way_back_is_the_same(phantoms: tuple[Path, str], tmp_path: Path) -> None:
    manifest, region = phantoms
    transform = evaluation_transforms(size_px=120, region=region)  # type: ignore[arg-type]
    prepare_manifest(read_manifest(manifest), tmp_path, image_recipe(size_px=120, region=region))  # type: ignore[arg-type]
    for copy, original in zip(load_samples(tmp_path), load_samples(manifest), strict=True):
        ours, theirs = transform.inverse(transform(copy)), transform.inverse(transform(original))
        assert torch.equal(ours["image"], theirs["image"])
        assert torch.equal(ours["box"], theirs["box"])
        assert (ours["frame"].width, ours["frame"].height) == (original["width"], original["height"])
        assert ours["frame"].steps == ()
