from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mammo_monai.imaging import scale_percentile
from mammo_monai.transforms import NormaliseIntensityd
from mammo_monai.transforms.intensity import COUNTED_PX, breast_values
from tests.transforms.films import assert_same_sample, copy_of, film_sample


def noisy_sample() -> dict[str, Any]:
    sample = film_sample([])
    noise = np.random.default_rng(0).normal(0.4, 0.05, sample["image"].shape).astype(np.float32)
    return sample | {"image": torch.where(sample["image"] > 0, torch.from_numpy(noise), torch.zeros(()))}


def test_range_leaves_values_as_they_are() -> None:
    sample = film_sample()
    assert_same_sample(NormaliseIntensityd("range")(sample), sample)


def test_percentiles_of_the_breast_become_0_and_1() -> None:
    sample = noisy_sample()
    before = copy_of(sample)
    image = NormaliseIntensityd("percentile", low=10, high=90)(sample)["image"]
    inside = image[sample["image"] > 0]
    assert float(inside.min()) == 0
    assert float(inside.max()) == 1
    assert float((inside == 0).float().mean()) == pytest.approx(0.1, abs=0.01)
    assert float((inside == 1).float().mean()) == pytest.approx(0.1, abs=0.01)
    assert_same_sample(sample, before)


def test_global_contrast_centres_the_breast_whatever_its_exposure() -> None:
    sample = noisy_sample()
    darker = sample | {"image": sample["image"] * 0.5}
    first, second = (NormaliseIntensityd("global_contrast")(each)["image"] for each in (sample, darker))
    inside = first[sample["image"] > 0]
    assert float(inside.mean()) == pytest.approx(0.5, abs=1e-3)
    assert float(inside.std()) == pytest.approx(1 / 8, abs=1e-3)
    torch.testing.assert_close(first, second, atol=1e-5, rtol=0)


def test_percentiles_are_those_of_imaging_and_contrast_counts_standard_deviations() -> None:
    sample = noisy_sample()
    grey = sample["image"][0].numpy()
    percentile = NormaliseIntensityd("percentile", low=2, high=90)(sample)["image"][0].numpy()
    contrast = NormaliseIntensityd("global_contrast")(sample)["image"][0].numpy()
    region = grey > 0
    expected = scale_percentile(grey, 2, 90, region)
    np.testing.assert_allclose(percentile[region], expected[region], atol=1e-5)
    expected = np.clip(0.5 + (grey - grey[region].mean()) / grey[region].std() / 8, 0, 1)
    np.testing.assert_allclose(contrast[region], expected[region], atol=1e-5)


@pytest.mark.parametrize("method", ["range", "percentile", "global_contrast"])
def test_background_stays_black_and_all_lies_in_0_to_1(method: Any) -> None:
    sample = noisy_sample()
    image = NormaliseIntensityd(method)(sample)["image"]
    assert float(image[sample["image"] == 0].abs().max()) == 0
    assert 0 <= float(image.min()) <= float(image.max()) <= 1


@pytest.mark.parametrize("image", [torch.zeros(1, 8, 6), torch.full((1, 8, 6), 0.4)])
@pytest.mark.parametrize("method", ["percentile", "global_contrast"])
def test_flat_breast_is_left_alone_with_a_warning(
    image: Tensor, method: Any, caplog: pytest.LogCaptureFixture
) -> None:
    out = NormaliseIntensityd(method)({"image": image, "record_id": "ab"})["image"]
    assert torch.equal(out, image)
    assert "record ab: the breast has a single grey value" in caplog.text


def test_large_films_are_counted_on_a_grid() -> None:
    assert COUNTED_PX / 4 < len(breast_values(torch.ones(1, 2000, 1500))) < COUNTED_PX * 4


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="method must be range, percentile or global_contrast"):
        NormaliseIntensityd("clahe")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="expected 0 <= low < high <= 100"):
        NormaliseIntensityd("percentile", low=50, high=50)
