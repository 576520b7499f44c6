from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from mammo_monai.data import MammogramDataset, load_samples, prepare_manifest
from mammo_monai.schema import read_manifest
from mammo_monai.transforms import (
    CropBreastd,
    ReduceNoised,
    evaluation_transforms,
    image_recipe,
    inference_transforms,
    training_transforms,
)
from tests.data.prepared_sets import FILM, phantom_manifest
from tests.transforms.films import TISSUE, copy_of, film_sample
from tests.transforms.test_presets import written


@pytest.mark.parametrize("method", ["median", "gaussian", "bilateral", "impulse"])
def test_background_stays_black_and_the_frame_as_it_was(method: Any) -> None:
    sample = film_sample(is_right=True)
    noisy = sample["image"] + 0.02 * torch.randn(
        sample["image"].shape, generator=torch.Generator().manual_seed(0)
    )
    sample["image"] = torch.where(sample["image"] > 0, noisy, 0.0)
    before = copy_of(sample)
    made = ReduceNoised(method)(sample)
    assert torch.equal(made["image"] > 0, sample["image"] > 0)
    assert made["image"].dtype == torch.float32
    assert made["frame"] == sample["frame"]
    assert torch.equal(made["box"], sample["box"])
    assert torch.equal(sample["image"], before["image"])


def test_a_black_image_stays() -> None:
    sample = film_sample([]) | {"image": torch.zeros(1, 8, 5)}
    assert torch.equal(ReduceNoised()(sample)["image"], sample["image"])


def test_dust_goes_before_the_image_is_resized(tmp_path: Path) -> None:
    sample = written(tmp_path, has_lesion=False)
    grey = np.array(Image.open(sample["image"]))
    grey[100, 30] = 255
    Image.fromarray(grey).save(sample["image"])
    with_dust = evaluation_transforms(size_px=60)(sample)["image"]
    for noise in ("median", "impulse"):
        made = evaluation_transforms(size_px=60, noise=noise)(sample)["image"]
        inside = made[0, 20:90, 5:30]
        assert float(inside.max()) < TISSUE + 0.01
        assert float(with_dust[0, 20:90, 5:30].max()) > TISSUE + 0.05


@pytest.mark.parametrize("is_right", [False, True])
def test_a_marker_on_the_breast_is_filled_in(is_right: bool) -> None:
    sample = film_sample([], is_right=is_right)
    columns = slice(80, 83) if is_right else slice(37, 40)
    sample["image"][0, 80:83, columns] = 1.0
    kept = CropBreastd("global")(sample)["image"]
    filled = CropBreastd("global", suppress_artifacts=True)(sample)["image"]
    assert float(kept.max()) == 1.0
    assert float(filled.max()) < TISSUE + 0.01
    assert tuple(filled.shape) == tuple(kept.shape)


def test_copies_and_originals_agree_with_noise_and_artifacts_treated(tmp_path: Path) -> None:
    manifest = phantom_manifest(tmp_path / "phantoms", FILM, patients=1)
    options: dict[str, Any] = {"size_px": 96, "noise": "median", "noise_px": 5, "suppress_artifacts": True}
    prepare_manifest(read_manifest(manifest), tmp_path / "out", image_recipe(**options))
    transform = evaluation_transforms(**options)
    copies, originals = (
        MammogramDataset(load_samples(each), transform) for each in (tmp_path / "out", manifest)
    )
    assert len(copies) == len(originals) > 0
    for copy, original in zip(copies, originals, strict=True):
        assert torch.equal(copy["image"], original["image"])
        assert torch.equal(copy["box"], original["box"])
        assert copy["frame"] == original["frame"]
        assert transform.inverse(copy)["frame"].steps == ()


@pytest.mark.parametrize("mode", ["full", "sections", "sliding"])
def test_every_preset_function_takes_the_options(tmp_path: Path, mode: Any) -> None:
    options: dict[str, Any] = {
        "noise": "gaussian",
        "noise_px": 7,
        "suppress_artifacts": True,
        "candidates": 3,
    }
    made = inference_transforms(mode, **options)(written(tmp_path))
    plain = inference_transforms(mode)(written(tmp_path))
    assert made["image"].shape == plain["image"].shape
    assert not torch.equal(made["image"], plain["image"])
    assert len(made["candidates"]) <= 3
    assert len(training_transforms(size_px=60, **options)(written(tmp_path))["candidates"]) <= 3


def test_unknown_words_are_refused() -> None:
    with pytest.raises(ValueError, match=r"method must be median, .*, got 'mean'"):
        ReduceNoised("mean")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="size_px must be 3, 5 or 7, got 4"):
        ReduceNoised(size_px=4)
    with pytest.raises(TypeError, match="nois"):
        evaluation_transforms(nois="median")  # type: ignore[call-arg]
