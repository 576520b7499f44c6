"""What each freezing policy trains, and what a start from random weights overrides."""

from __future__ import annotations

import logging
import math
from typing import Any

import pytest
import torch

from mammo_monai.networks import TrainingSettings, apply_freezing, retinanet_network, training_settings
from mammo_monai.networks.freezing import POLICIES
from mammo_monai.networks.pyramid import batch_norms

ALL_PARTS = {"stem", "layer1", "layer2", "layer3", "layer4", "fpn", "classification_head", "regression_head"}
HEADS = {"classification_head", "regression_head"}


def part_of(name: str) -> str:
    words = name.split(".")
    if words[0] != "feature_extractor":
        return words[0]
    if words[1] == "fpn":
        return "fpn"
    return words[2] if words[2].startswith("layer") else "stem"


@pytest.mark.parametrize(
    ("policy", "parts"),
    [
        ("all", ALL_PARTS),
        ("all_but_stem", ALL_PARTS - {"stem", "layer1"}),
        ("top_and_heads", {"layer4", "fpn", *HEADS}),
        ("heads", HEADS),
        ("classifier", {"classification_head"}),
    ],
)
def test_a_policy_trains_exactly_its_parts(policy: Any, parts: set[str]) -> None:
    network = retinanet_network("resnet18", fpn_channels=32, head_norm="gn8")
    apply_freezing(network, "classifier")
    trainable = apply_freezing(network, policy, frozen_norm=False)
    for name, parameter in network.named_parameters():
        assert parameter.requires_grad == (part_of(name) in parts), name
    assert [id(p) for p in trainable.parameters] == [id(p) for p in network.parameters() if p.requires_grad]


def test_a_frozen_part_does_not_change_in_a_training_step_and_the_rest_does() -> None:
    network = retinanet_network("resnet18", fpn_channels=32)
    trainable = apply_freezing(network, "top_and_heads", frozen_norm=False)
    network.train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    optimiser = torch.optim.SGD(trainable.parameters, lr=1.0)
    maps = network(torch.rand(2, 1, 128, 160))
    sum(level.mean() for levels in maps.values() for level in levels).backward()
    optimiser.step()
    changed = {part_of(name) for name, value in network.state_dict().items() if not value.equal(before[name])}
    assert changed == {"layer4", "fpn", *HEADS}


# Numbers in the body up to stride 4, and its norms. ResNet: 7×7 convolution and norm 9 536, then 2 or 3 basic
# blocks of 73 984 or 3 bottlenecks, 215 808. Lite0: stem 928, blocks 896, 5 136 and 8 832.
STEMS = {
    "resnet18": (9_536 + 2 * 73_984, 5),
    "resnet34": (9_536 + 3 * 73_984, 7),
    "resnet50": (9_536 + 215_808, 11),
    "resnet101": (9_536 + 215_808, 11),
    "efficientnet_lite0": (928 + 896 + 5_136 + 8_832, 9),
}
STEM_NAMES = {
    "resnet": ("conv1.", "bn1.", "layer1."),
    "efficientnet": ("conv_stem.", "bn1.", "blocks.0.", "blocks.1."),
}


@pytest.mark.parametrize("backbone", STEMS)
def test_all_but_stem_freezes_the_body_up_to_stride_four(backbone: Any) -> None:
    network = retinanet_network(backbone, fpn_channels=32)
    parts = apply_freezing(network, "all_but_stem", frozen_norm=False)
    n_frozen, n_norms = STEMS[backbone]
    assert parts.n_total - parts.n_trained == n_frozen
    stem = STEM_NAMES["resnet" if backbone.startswith("resnet") else "efficientnet"]
    for name, parameter in network.named_parameters():
        is_stem = name.removeprefix("feature_extractor.body.").startswith(stem)
        assert parameter.requires_grad != is_stem, name
    for mode in (True, False, True):
        network.train(mode)
        modes = [norm.training for norm in batch_norms(network)]
        assert modes == [False] * n_norms + [mode] * (len(modes) - n_norms)


@torch.no_grad()
def test_what_all_but_stem_freezes_ends_at_stride_four() -> None:
    body = retinanet_network("efficientnet_lite0", fpn_channels=32).feature_extractor.body
    x = body.bn1(body.conv_stem(torch.zeros(1, 3, 64, 96)))
    assert body.blocks[1](body.blocks[0](x)).shape[2:] == (16, 24)


def test_the_last_stage_of_lite0_is_what_lies_at_stride_32() -> None:
    network = retinanet_network("efficientnet_lite0", fpn_channels=32)
    apply_freezing(network, "top_and_heads", frozen_norm=False)
    trained = {
        name.split(".")[3]
        for name, parameter in network.named_parameters()
        if name.startswith("feature_extractor.body.") and parameter.requires_grad
    }
    assert trained == {"5", "6"}


def test_frozen_norms_are_frozen_under_every_policy() -> None:
    network = retinanet_network("resnet18", fpn_channels=32)
    for policy in POLICIES:
        parts = apply_freezing(network, policy, frozen_norm=True)
        network.train()
        assert parts.frozen_norm
        assert not any(norm.training or norm.weight.requires_grad for norm in batch_norms(network))


def test_norms_keep_their_state_unless_told() -> None:
    network = retinanet_network("resnet18", fpn_channels=32)
    assert not apply_freezing(network, "all").frozen_norm
    network.frozen_norm = True
    assert apply_freezing(network, "all").frozen_norm


def test_the_summary_counts_numbers() -> None:
    network = retinanet_network("resnet18", fpn_channels=32)
    parts = apply_freezing(network, "classifier")
    assert parts.n_trained == sum(p.numel() for p in network.classification_head.parameters())
    assert parts.n_total == sum(p.numel() for p in network.parameters())
    assert parts.summary == (
        f"policy classifier: {parts.n_trained:,} of {parts.n_total:,} parameters trained "
        f"({100 * parts.n_trained / parts.n_total:.1f} %), batch norm trainable"
    )


def test_an_unknown_policy_is_refused() -> None:
    message = "freezing policy must be one of all, all_but_stem, top_and_heads, heads, classifier, got 'top'"
    with pytest.raises(ValueError, match=message):
        apply_freezing(retinanet_network("resnet18"), "top")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=message):
        training_settings("coco", "top", 1e-5)  # type: ignore[arg-type]


def test_random_weights_train_everything_at_a_useful_rate_and_say_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        settings = training_settings("none", "classifier", 1e-5)
    assert settings == TrainingSettings("all", 1e-4, frozen_norm=False)
    assert "all layers and batch norms are trained at learning rate 0.0001" in caplog.text
    assert "asked for: freeze classifier, learning rate 1e-05" in caplog.text
    assert training_settings("none", "all", 1e-3).learning_rate == 1e-3


def test_other_starts_may_train_their_norms(caplog: pytest.LogCaptureFixture) -> None:
    settings = training_settings("imagenet", "all_but_stem", 1e-3, frozen_norm=False)
    assert settings == TrainingSettings("all_but_stem", 1e-3, frozen_norm=False)
    assert not caplog.records
    network = retinanet_network("resnet18", fpn_channels=32)
    network.frozen_norm = True  # as `initialise` leaves it
    apply_freezing(network, settings.freeze, frozen_norm=settings.frozen_norm)
    network.train()
    assert any(norm.training and norm.weight.requires_grad for norm in batch_norms(network))


@pytest.mark.parametrize("rate", [0.0, -1e-3, math.inf, math.nan])
def test_a_learning_rate_that_cannot_train_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="learning_rate must be above 0 and finite"):
        training_settings("imagenet", "all", rate)


def test_other_starts_keep_what_was_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    assert training_settings("stage1.pt", "heads", 1e-6) == TrainingSettings("heads", 1e-6, frozen_norm=True)
    assert not caplog.records
