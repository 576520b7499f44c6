"""The whole-image classifier: tops, heatmaps, parts, and norms drawn anew beside frozen ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from mammo_monai.networks import (
    WholeImageNetwork,
    image_classifier,
    load_weights,
    patch_network,
    save_weights,
    whole_image_network,
)
from mammo_monai.networks.classifiers.tops import AddedNorm
from mammo_monai.networks.freezing import apply_freezing
from tests.networks.classifiers.conftest import images, randomised

SMALL: dict[str, Any] = {"backbone": "efficientnet_lite0", "patch_px": 64, "top_widths": (8, 16)}


def small(**options: Any) -> WholeImageNetwork:
    torch.manual_seed(0)
    return whole_image_network(**{**SMALL, **options})


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"top": "vgg", "top_repetitions": 2},
        {"top": "resnet", "top_repetitions": 2, "top_norm": "group"},
        {"backbone": "vgg16", "head_width": 8},  # a hybrid
        {"backbone": "vgg16", "head_width": 8, "top": "vgg", "heatmap": "relu", "patch_classes": 5},
        {"heatmap": "softmax", "contrast": "patch"},
        {"heatmap": "relu", "variant": "pooled_heatmap", "patch_classes": 5},
    ],
)
def test_every_combination_answers_for_an_image_and_trains_all_its_layers(options: dict[str, Any]) -> None:
    network = small(**options).train()
    logits = network(images(2, 1, 160, 96))
    assert logits.shape == (2, 2)
    nn.functional.cross_entropy(logits, torch.tensor([0, 1])).backward()
    without = [name for name, each in network.named_parameters() if each.grad is None]
    assert not without
    with torch.no_grad():
        assert network.eval()(images(1, 1, 96, 128)).shape == (1, 2)  # another size, too


@torch.no_grad()
def test_the_heatmap_holds_the_patch_classifiers_answers() -> None:
    network = small(heatmap="softmax", patch_classes=5)
    patch = patch_network("efficientnet_lite0", num_classes=5, patch_px=64)
    randomised(patch)
    state = patch.state_dict()
    network.load_state_dict({**network.state_dict(), **state})
    network.eval(), patch.eval()
    image = images(1, 1, 128, 96)
    found = network.heatmap(image)
    wanted = patch.head_map(patch.features(image)).softmax(dim=1)
    assert found.shape == (1, 5, 3, 2)
    torch.testing.assert_close(found, wanted)
    one = images(1, 1, 64, 64)
    torch.testing.assert_close(network.heatmap(one)[:, :, 0, 0], patch(one).softmax(dim=1))
    relu = small(heatmap="relu", patch_classes=5)
    relu.load_state_dict(network.state_dict())
    torch.testing.assert_close(relu.eval().heatmap(image), patch.head_map(patch.features(image)).relu())


@torch.no_grad()
def test_the_contrast_is_that_of_a_window_of_a_patch() -> None:
    network, patch = (
        small(contrast="patch").eval(),
        patch_network("efficientnet_lite0", patch_px=64, contrast="patch"),
    )
    patch.eval().backbone.load_state_dict(network.backbone.state_dict())
    image = images(1, 1, 128, 96)
    assert torch.equal(network.features(image), patch.features(image, window_px=64))


def test_the_top_layers_halve_the_map_and_widen_it() -> None:
    residual, vgg = small(), small(top="vgg")
    maps = torch.zeros(1, 1280, 36, 28)
    assert residual.eval().top(maps).shape == (1, 4 * 16, 9, 7)
    assert vgg.eval().top(maps).shape == (1, 16, 9, 7)
    assert vgg.top(maps[:, :, :1, :1]).shape == (1, 16, 1, 1)


def test_the_heads_are_the_added_layers_and_the_patch_head_is_the_neck() -> None:
    network = small(heatmap="relu")
    trained = {}
    for policy in ("classifier", "heads", "top_and_heads", "all"):
        apply_freezing(network, policy)  # type: ignore[arg-type]  # one of them
        names = {name for name, each in network.named_parameters() if each.requires_grad}
        trained[policy] = {name.split(".")[0] for name in names}
    assert trained["classifier"] == {"classifier"}
    assert trained["heads"] == {"top", "classifier"}
    assert trained["top_and_heads"] == trained["all"] == {"backbone", "head", "top", "classifier"}
    apply_freezing(network, "top_and_heads")
    assert not network.backbone.blocks[4][0].conv_pw.weight.requires_grad
    assert network.backbone.blocks[5][0].conv_pw.weight.requires_grad
    assert small().parts.neck == ()


def test_norms_drawn_anew_learn_while_those_of_the_start_stay_frozen() -> None:
    network = small()
    network.frozen_norm = True
    apply_freezing(network, "all")
    network.train()
    added = [layer for layer in network.modules() if isinstance(layer, AddedNorm)]
    before = network.backbone.bn1.running_mean.clone()
    network(images(2, 1, 128, 96))
    assert torch.equal(network.backbone.bn1.running_mean, before)
    assert not network.backbone.bn1.weight.requires_grad
    assert all(layer.training and layer.weight.requires_grad for layer in added)
    assert all(layer.running_mean.abs().sum() > 0 for layer in added)
    apply_freezing(network, "classifier")
    assert not any(layer.training for layer in added)
    apply_freezing(network, "heads")
    assert all(layer.training for layer in added)


@torch.no_grad()
def test_channels_last_and_bfloat16_change_the_digits_only() -> None:
    network = randomised(small(heatmap="softmax")).eval()
    image = images(1, 1, 160, 96)
    wanted = network(image)
    network.to(memory_format=torch.channels_last)
    torch.testing.assert_close(network(image), wanted, atol=1e-4, rtol=1e-4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(network(image).float(), wanted, atol=0.05, rtol=0.1)


def test_saved_and_loaded_it_is_the_same_network(tmp_path: Path) -> None:
    network = randomised(small(top="vgg", heatmap="softmax", top_norm="group")).eval()
    save_weights(network, tmp_path / "image.safetensors")  # type: ignore[arg-type]  # a WholeImageNetwork
    other = small(top="vgg", heatmap="softmax", top_norm="group")
    file = load_weights(other, tmp_path / "image.safetensors")
    assert file.settings == other.settings
    assert file.settings.top_widths == (8, 16)
    image = images(1, 1, 160, 96)
    probabilities = [
        image_classifier(each).eval()([image[0]])[0]["probabilities"] for each in (network, other)
    ]
    assert torch.equal(*probabilities)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"top": "dense"}, "top must be one of resnet, vgg, got 'dense'"),
        ({"heatmap": "sigmoid"}, "heatmap must be one of none, softmax, relu"),
        ({"variant": "pooled"}, "variant must be one of convolutional, pooled_heatmap"),
        ({"variant": "pooled_heatmap"}, "needs heatmap softmax or relu, got none"),
        ({"top_norm": "layer"}, "top_norm must be one of batch, group"),
        ({"top_norm": "group", "top_widths": [8, 12]}, r"multiples of 8 with top_norm group, got \[8, 12\]"),
        ({"top_widths": []}, r"one or more multiples of 1 .* got \[\]"),
        ({"top_widths": 8}, "top_widths must be a list, one width per block, got 8"),
        ({"top_repetitions": 0}, "top_repetitions must be at least 1, got 0"),
        ({"num_classes": 1}, "num_classes must be at least 2, got 1"),
        ({"patch_px": 100}, "multiple of 32 with efficientnet_lite0, got 100"),
        ({"backbone": "resnet"}, "backbone must be one of"),
    ],
)
def test_settings_outside_their_choices_are_errors(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small(**options)


def test_a_heatmap_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"no heatmap: build it with heatmap"):
        small().heatmap(images(1, 1, 64, 96))
    with pytest.raises(ValueError, match=r"at least as large as a patch(.|\n)*1 x 3 cells, a window 2 x 2"):
        small(heatmap="relu").eval()(images(1, 1, 32, 96))
    with pytest.raises(ValueError, match=r"expected features .* got \[3\]"):
        AddedNorm(3)(torch.zeros(3))
