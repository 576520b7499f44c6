"""The patch classifier: windows of features, where they lie, formats, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from mammo_monai.networks import PatchNetwork, load_weights, patch_network, save_weights
from mammo_monai.networks.classifiers.backbones import PatchBackbone
from tests.networks.classifiers.conftest import images, randomised


def small(**options: Any) -> PatchNetwork:
    torch.manual_seed(0)
    network = patch_network("resnet18", **{"patch_px": 64, **options})
    return randomised(network).eval()  # type: ignore[return-value]  # what it was given


def small_vgg(**options: Any) -> PatchNetwork:
    torch.manual_seed(0)
    network = patch_network("vgg16", **{"patch_px": 64, "head_width": 16, **options})
    return randomised(network).eval()  # type: ignore[return-value]


@torch.no_grad()
@pytest.mark.parametrize("build", [small, small_vgg])
def test_the_head_on_a_map_is_the_head_on_every_window(build: Any) -> None:
    network = build(num_classes=3)
    features = network.features(images(2, 1, 160, 128))
    found = network.head_map(features)
    assert found.shape == (2, 3, 4, 3)
    for row in range(4):
        for col in range(3):
            window = features[:, :, row : row + 2, col : col + 2]
            torch.testing.assert_close(found[:, :, row, col], network.head(window), atol=1e-5, rtol=1e-5)
    patch = images(2, 1, 64, 64)
    torch.testing.assert_close(network(patch), network.head_map(network.features(patch))[:, :, 0, 0])


@torch.no_grad()
@pytest.mark.parametrize(
    ("backbone", "width", "reach"),
    # reach: cells below an image's top that still feel its padding, estimated as half the receptive field.
    [("vgg16", 32, 4), ("resnet18", 32, 7), ("efficientnet_lite0", 32, 14), ("inception_v3", 75, 21)],
)
def test_a_patch_at_a_multiple_of_32_lies_at_that_cell(
    backbone: PatchBackbone, width: int, reach: int
) -> None:
    """A narrow strip, cut 32 · 3 px below its top: both end alike, so only the top can differ."""
    torch.manual_seed(0)
    options: dict[str, Any] = {"head_width": 0} if backbone == "vgg16" else {}
    network = randomised(patch_network(backbone, patch_px=96, **options)).double().eval()
    height = 32 * (reach + 6) + (11 if backbone == "inception_v3" else 0)
    strip = images(1, 1, height, width).double()
    whole = network.features(strip)  # type: ignore[operator]  # PatchNetwork's
    cut = network.features(strip[:, :, 96:])  # type: ignore[operator]
    assert whole.shape[2] == cut.shape[2] + 3
    inside_whole, inside_cut = whole[:, :, 3 + reach :], cut[:, :, reach:]
    assert inside_whole.shape[2] >= 1
    assert whole.std() > 1e-3
    torch.testing.assert_close(inside_whole, inside_cut, atol=1e-9, rtol=1e-6)
    assert (whole[:, :, 3:4] - cut[:, :, :1]).abs().max() > 1e-6  # at the border the padding is seen


@torch.no_grad()
def test_the_contrast_of_a_patch_is_its_own_and_that_of_an_image_moves() -> None:
    network, plain = small(contrast="patch"), small()
    patch = images(1, 1, 64, 64)
    changes = [(each.features(0.2 * patch + 0.5) - each.features(patch)).norm() for each in (network, plain)]
    assert changes[0] < 0.2 * changes[1]  # not 0: the regulariser weighs more where contrast is low
    image = images(1, 1, 128, 96)
    moving, whole = network.features(image, window_px=64), network.features(image)
    assert moving.shape == whole.shape == (1, 512, 4, 3)
    assert not torch.allclose(moving, whole)
    assert torch.equal(plain.features(image, window_px=64), plain.features(image))
    with pytest.raises(ValueError, match="window_px must be at least 1, got 0"):
        network.features(image, window_px=0)


@torch.no_grad()
@pytest.mark.parametrize("build", [small, small_vgg])
def test_channels_last_and_bfloat16_change_the_layout_and_the_digits_only(build: Any) -> None:
    network = build()
    patches = images(2, 1, 64, 64)
    wanted = network(patches)
    network.to(memory_format=torch.channels_last)
    torch.testing.assert_close(network(patches), wanted, atol=1e-4, rtol=1e-4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = network(patches)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), wanted, atol=0.1, rtol=0.1)  # 8 bits through 18 layers


@torch.no_grad()
def test_saved_and_loaded_it_is_the_same_network(tmp_path: Path) -> None:
    network = small(num_classes=5, contrast="patch", dropout=0.25)
    save_weights(network, tmp_path / "patch.safetensors", {"epoch": "3"})
    file = load_weights(small(num_classes=5, contrast="patch"), tmp_path / "patch.safetensors")
    assert (file.settings, file.metadata["epoch"]) == (network.settings, "3")
    again = load_weights(other := PatchNetwork(file.settings), tmp_path / "patch.safetensors")
    assert again.sha256 == file.sha256
    patch = images(1, 1, 64, 64)
    assert torch.equal(other.eval()(patch), network(patch))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"patch_px": 100}, "multiple of 32 with resnet18, got 100"),
        ({"patch_px": 0}, "multiple of 32 with resnet18, got 0"),
        ({"backbone": "inception_v3", "patch_px": 74}, "at least 75 with inception_v3, got 74"),
        ({"num_classes": 1}, "counts the background and must be at least 2"),
        ({"head_width": 16}, "head_width must be 0 .* with vgg16 or vgg16_bn, above; got 16 with resnet18"),
        ({"contrast": "local"}, "contrast must be one of none, patch, got 'local'"),
        ({"input_normalisation": "zero"}, "input_normalisation must be one of"),
        ({"in_channels": 2}, "in_channels must be one of 1, 3, got 2"),
        ({"dropout": 1.0}, r"dropout must be at least 0 and below 1, got 1\.0"),
    ],
)
def test_settings_outside_their_choices_are_errors(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        patch_network(**{"backbone": "resnet18", **options})


def test_patches_of_another_size_and_images_below_a_patch_are_errors() -> None:
    network = small()
    with pytest.raises(ValueError, match=r"patches of 64 x 64 px, got a batch \[1, 1, 64, 96\]"):
        network(torch.zeros(1, 1, 64, 96))
    with pytest.raises(ValueError, match="3 x 1 cells, a window 2 x 2"):
        network.head_map(network.features(torch.zeros(1, 1, 96, 32)))
