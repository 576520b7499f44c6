"""Global contrast normalisation: of a patch, and of a window that moves over an image."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mammo_monai.networks.classifiers.contrast import LAMBDA, network_input, normalised_contrast
from tests.networks.classifiers.conftest import images


def _at(image: Tensor, row: int, col: int, window: int) -> float:
    """Slow and obvious: mean and variance of what of the window lies in the image."""
    height, width = image.shape[2:]
    values = [
        float(image[0, 0, r, c])
        for r in range(max(0, row - window // 2), min(height, row - window // 2 + window))
        for c in range(max(0, col - window // 2), min(width, col - window // 2 + window))
    ]
    mean = sum(values) / len(values)
    variance = sum((value - mean) ** 2 for value in values) / len(values)
    return (float(image[0, 0, row, col]) - mean) / math.sqrt(variance + LAMBDA)


@settings(max_examples=25, deadline=None)
@given(
    height=st.integers(1, 12), width=st.integers(1, 9), window=st.integers(1, 14), seed=st.integers(0, 999)
)
def test_every_pixel_takes_the_window_around_it(height: int, width: int, window: int, seed: int) -> None:
    image = images(1, 1, height, width, seed=seed)
    found = normalised_contrast(image, window_px=window)
    wanted = [[_at(image, row, col, window) for col in range(width)] for row in range(height)]
    torch.testing.assert_close(found[0, 0], torch.tensor(wanted), atol=1e-5, rtol=0)


@pytest.mark.parametrize("side", [64, 33])
def test_the_middle_pixel_gets_in_the_image_what_it_gets_in_its_patch(side: int) -> None:
    image = images(2, 1, 160, 131)
    dense = normalised_contrast(image, window_px=side)
    for row, col in ((0, 0), (32, 64), (160 - side, 131 - side)):
        patch = normalised_contrast(image[:, :, row : row + side, col : col + side])
        middle = side // 2
        torch.testing.assert_close(
            dense[:, :, row + middle, col + middle], patch[:, :, middle, middle], atol=1e-6, rtol=0
        )


def test_a_patch_gets_mean_0_and_sd_1_whatever_its_brightness() -> None:
    patch = images(3, 1, 64, 48)
    found = normalised_contrast(patch)
    assert found.mean(dim=(2, 3)).abs().max() < 1e-6
    assert (found.std(dim=(2, 3), correction=0) - 1).abs().max() < 5e-3  # the regulariser takes this much
    torch.testing.assert_close(normalised_contrast(0.5 * patch + 0.2), found, atol=2e-2, rtol=0)


def test_an_empty_patch_stays_empty() -> None:
    for window in (None, 16):
        assert not normalised_contrast(torch.full((1, 1, 32, 40), 0.7), window_px=window).any()
        noise = 1e-3 * torch.rand(1, 1, 32, 40)  # far below one grey level of eight bits
        assert normalised_contrast(noise, window_px=window).abs().max() < 0.1


def test_images_are_left_alone() -> None:
    image = images(1, 1, 20, 30)
    before = image.clone()
    normalised_contrast(image, window_px=8)
    network_input(image, in_channels=1, contrast="patch", normalisation="half")
    assert torch.equal(image, before)


def test_without_contrast_the_input_is_the_photographs_normalisation() -> None:
    image = images(1, 1, 20, 30)
    found = network_input(image, in_channels=1, contrast="none", normalisation="imagenet")
    torch.testing.assert_close(found[:, 2:], (image - 0.406) / 0.225)
    assert torch.equal(
        network_input(image, in_channels=1, contrast="none", normalisation="none"),
        image.expand(-1, 3, -1, -1),
    )


def test_with_contrast_a_backbone_sees_the_range_of_photographs() -> None:
    image = 0.5 * images(1, 1, 64, 96)
    by_imagenet = network_input(image, in_channels=1, contrast="patch", normalisation="imagenet")
    torch.testing.assert_close(
        by_imagenet, normalised_contrast(image).expand(-1, 3, -1, -1), atol=1e-5, rtol=0
    )
    half = network_input(image, in_channels=1, contrast="patch", normalisation="half")
    assert abs(float(half[:, 0].mean()) - (2 * 0.485 - 1)) < 1e-3
    assert abs(float(half[:, 0].std()) - 2 * 0.229) < 2e-2


def test_another_number_of_channels_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"shape \(B, 1, H, W\), got \[2, 3, 8, 8\](.|\n)*in_channels=1"):
        network_input(torch.zeros(2, 3, 8, 8), in_channels=1, contrast="none", normalisation="none")
