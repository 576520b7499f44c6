from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mammo_monai.errors import ManifestError
from mammo_monai.transforms import ResizeShortSided, ResizeToSpacingd, StretchToSized
from tests.strategies import boxes_inside, image_sizes
from tests.transforms.films import WIDTH, assert_same_sample, bright_box, copy_of, film_sample

VARIANTS = [
    (ResizeShortSided(60), (60, 100)),
    (ResizeShortSided(240), (240, 400)),
    (ResizeShortSided(100, 150), (90, 150)),
    (ResizeToSpacingd(0.4), (30, 100)),
    (ResizeToSpacingd(0.05), (240, 800)),
    (StretchToSized(77, 99), (77, 99)),
]


@pytest.mark.parametrize(("transform", "size"), VARIANTS)
def test_size_is_as_asked_and_boxes_follow_pixels(transform: Any, size: tuple[int, int]) -> None:
    sample = film_sample()
    before = copy_of(sample)
    resized = transform(sample)
    assert tuple(resized["image"].shape) == (1, size[1], size[0])
    assert resized["frame"].size == size
    # An edge between two pixels blurs over one: the bright box may differ by one pixel on each side.
    np.testing.assert_allclose(bright_box(resized["image"]), resized["box"][0], atol=1.0)
    assert_same_sample(sample, before)


@pytest.mark.parametrize(("transform", "size"), VARIANTS)
def test_resizing_a_normal_image_gives_no_boxes(transform: Any, size: tuple[int, int]) -> None:
    resized = transform(film_sample([]))
    assert resized["box"].shape == (0, 4)
    assert resized["image"].is_contiguous()


@given(box=boxes_inside((WIDTH, 200)), size=image_sizes(8, 300))
def test_inverse_restores_size_and_box(box: tuple[float, ...], size: tuple[int, int]) -> None:
    transform = StretchToSized(*size)
    sample = film_sample() | {"box": torch.tensor([[box[1], box[0], box[3], box[2]]])}
    inverted = transform.inverse(transform(sample))
    assert inverted["frame"] == sample["frame"]
    assert inverted["image"].shape == sample["image"].shape
    # float32 boxes hold 200 px to 2e-5.
    np.testing.assert_allclose(inverted["box"], sample["box"], atol=1e-4)


def test_inverse_of_a_smooth_image_gives_its_values_back() -> None:
    ramp = torch.linspace(0, 1, WIDTH).expand(1, 200, WIDTH).contiguous()
    for transform in (ResizeShortSided(240), ResizeToSpacingd(0.07)):
        inverted = transform.inverse(transform(film_sample([]) | {"image": ramp}))
        # At the borders there is nothing to interpolate from.
        np.testing.assert_allclose(inverted["image"][..., 4:-4], ramp[..., 4:-4], atol=2e-3)


def test_shrinking_averages_instead_of_skipping() -> None:
    stripes = torch.zeros(1, 200, WIDTH)
    stripes[..., ::4] = 1.0
    shrunk = StretchToSized(30, 50)(film_sample([]) | {"image": stripes})["image"]
    # Sampling without a filter would give 0 or 1; at the borders the filter is cut.
    assert torch.all((shrunk[..., 1:-1] - 0.25).abs() < 0.05)


@given(short=st.integers(1, 400))
def test_ratio_is_kept_to_half_a_pixel(short: int) -> None:
    width, height = ResizeShortSided(short)(film_sample([]))["frame"].size
    assert width == short
    assert abs(height - short * 200 / WIDTH) <= 0.5


def test_no_side_vanishes() -> None:
    assert ResizeToSpacingd(1000.0)(film_sample([]))["frame"].size == (1, 1)


def test_sections_keep_their_resolution_unless_asked() -> None:
    sample = film_sample() | {"section": 0}
    kept = ResizeShortSided(60)(sample)
    assert torch.equal(kept["image"], sample["image"])
    assert ResizeShortSided(60).inverse(kept)["frame"] == sample["frame"]
    assert ResizeShortSided(60, resize_sections=True)(sample)["frame"].size == (60, 100)


def test_unknown_spacing_is_an_error_that_names_the_image() -> None:
    sample = film_sample() | {"pixel_spacing_mm": None, "image_path": "x/a.png"}
    with pytest.raises(ManifestError, match=r"x/a\.png \(00000000000000ab\): pixel_spacing_mm is unknown"):
        ResizeToSpacingd(0.2)(sample)


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="expected 1 <= short_px <= max_long_px"):
        ResizeShortSided(600, 500)
    with pytest.raises(ValueError, match="spacing_mm must be above 0"):
        ResizeToSpacingd(0)
    with pytest.raises(ValueError, match="at least 1 × 1 px"):
        StretchToSized(0, 10)
