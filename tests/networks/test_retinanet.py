"""The network: every backbone from JSON, head maps, frozen norms, export."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any

import pytest
import torch
from monai.bundle import ConfigParser
from torch import Tensor

from mammo_monai.networks import NetworkSettings, retinanet_network
from mammo_monai.networks.pyramid import batch_norms


def image(height: int = 128, width: int = 160, channels: int = 1) -> Tensor:
    return torch.rand((1, channels, height, width), generator=torch.Generator().manual_seed(4))


@pytest.mark.parametrize(
    ("backbone", "extra"),
    [
        ("resnet18", {"head_norm": "gn8", "fpn_channels": 64, "p6_from": "c5"}),
        ("resnet34", {"num_classes": 2, "input_normalisation": "none", "num_anchors": 6}),
        ("resnet50", {"head_norm": "gn32", "p6_from": "c5", "in_channels": 3}),
        ("resnet101", {"stride_in_1x1": True, "bn_eps": 0.001, "p6_from": "c5"}),
        (
            "efficientnet_lite0",
            {"head_norm": "gn16", "fpn_channels": 32, "bn_eps": 0.001, "input_normalisation": "half"},
        ),
        ("efficientnet_lite0", {"in_channels": 3, "fpn_channels": 64, "p6_from": "c5"}),
    ],
)
@torch.no_grad()
def test_every_backbone_builds_from_json(backbone: str, extra: dict[str, Any]) -> None:
    config = {"_target_": "mammo_monai.networks.retinanet_network", "backbone": backbone, **extra}
    network = ConfigParser({"network": json.loads(json.dumps(config))}).get_parsed_content("network").eval()
    settings = network.settings
    assert asdict(settings) == {**asdict(NetworkSettings()), "backbone": backbone, **extra}
    maps = network(image(channels=settings.in_channels))
    shapes = [(16, 20), (8, 10), (4, 5), (2, 3), (1, 2)]
    classes = [(1, settings.num_anchors * settings.num_classes, *shape) for shape in shapes]
    assert [tuple(level.shape) for level in maps["classification"]] == classes
    boxes = [(1, settings.num_anchors * 4, *shape) for shape in shapes]
    assert [tuple(level.shape) for level in maps["box_regression"]] == boxes
    assert {norm.eps for norm in batch_norms(network)} == {settings.bn_eps}


def test_p6_from_c5_holds_when_channel_counts_agree() -> None:
    # C5 of resnet18 has 512 channels, as has this pyramid: MONAI would take P5.
    top = retinanet_network("resnet18", fpn_channels=512, p6_from="c5").feature_extractor.fpn.extra_blocks
    assert top.use_P5 is False


def test_every_anchor_starts_at_score_one_percent() -> None:
    bias = retinanet_network("resnet18").classification_head.cls_logits.bias
    assert bias.tolist() == pytest.approx([-math.log(99)] * 9)


@pytest.mark.parametrize(("head_norm", "groups"), [("gn8", 8), ("gn16", 16), ("gn32", 32)])
def test_heads_have_the_groups_their_norm_names(head_norm: Any, groups: int) -> None:
    network = retinanet_network("resnet18", fpn_channels=96, head_norm=head_norm)
    for head in (network.classification_head, network.regression_head):
        norms = [layer for layer in head.conv if isinstance(layer, torch.nn.GroupNorm)]
        assert [norm.num_groups for norm in norms] == [groups] * 4


def test_strides_move_to_the_1x1_convolution() -> None:
    body = retinanet_network("resnet50", stride_in_1x1=True).feature_extractor.body
    for layer in (body.layer2, body.layer3, body.layer4):
        assert layer[0].conv1.stride == (2, 2)
        assert layer[0].conv2.stride == (1, 1)
    assert body.layer1[0].conv1.stride == (1, 1)


@torch.no_grad()
def test_normalisation_is_exact_and_leaves_the_padding_at_zero() -> None:
    extractor = retinanet_network("resnet18", fpn_channels=32).feature_extractor
    x = extractor.normalised(image(64, 96).double(), [(50, 70)])
    grey = image(64, 96).double()[0, 0]
    for channel, (mean, sd) in enumerate([(0.485, 0.229), (0.456, 0.224), (0.406, 0.225)]):
        assert torch.equal(x[0, channel, :50, :70], ((grey - mean) / sd)[:50, :70])
    assert x[:, :, 50:].abs().sum() == x[:, :, :, 70:].abs().sum() == 0


@pytest.mark.parametrize("backbone", ["resnet18", "efficientnet_lite0"])
def test_a_batch_norm_with_frozen_weights_keeps_evaluation_mode_after_train(backbone: Any) -> None:
    network = retinanet_network(backbone, fpn_channels=8)
    norms = list(batch_norms(network))
    norms[3].weight.requires_grad_(False)
    network.train()
    assert [norm.training for norm in norms] == [index != 3 for index in range(len(norms))]


def test_frozen_norms_stay_frozen_in_training_and_thaw_again() -> None:
    network = retinanet_network("resnet18", fpn_channels=32)
    network.frozen_norm = True
    network.train()
    before = {name: value.clone() for name, value in network.named_buffers()}
    network(image())
    assert all(torch.equal(value, before[name]) for name, value in network.named_buffers())
    assert not any(norm.training for norm in batch_norms(network))
    assert network.feature_extractor.body.layer4.training
    network.frozen_norm = False
    assert all(norm.training for norm in batch_norms(network))
    network(image())
    assert not torch.equal(
        dict(network.named_buffers())["feature_extractor.body.bn1.running_mean"],
        before["feature_extractor.body.bn1.running_mean"],
    )


@torch.no_grad()
def test_head_maps_are_float32_in_mixed_precision() -> None:
    network = retinanet_network("resnet18", fpn_channels=32).eval()
    with torch.autocast("cpu", torch.bfloat16):
        maps = network(image())
    assert {level.dtype for levels in maps.values() for level in levels} == {torch.float32}
    half = network.to(torch.bfloat16)(image().to(torch.bfloat16))
    assert {level.dtype for levels in half.values() for level in levels} == {torch.float32}


@torch.no_grad()
def test_the_same_seed_gives_the_same_network() -> None:
    states = []
    for _ in range(2):
        torch.manual_seed(11)
        states.append(retinanet_network("resnet18", fpn_channels=32).state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@torch.no_grad()
def test_the_network_can_be_scripted() -> None:
    network = retinanet_network("resnet18", fpn_channels=32).eval()
    scripted = torch.jit.script(network)
    for size in ((128, 160), (256, 128)):
        for name, levels in network(image(*size)).items():
            torch.testing.assert_close(scripted(image(*size))[name][0], levels[0], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        (
            {"backbone": "vgg16"},
            "backbone must be one of resnet18, resnet34, resnet50, resnet101, efficientnet_lite0, "
            "efficientnet_lite1, efficientnet_lite2, got 'vgg16'",
        ),
        ({"head_norm": "bn"}, "head_norm must be one of none, gn8, gn16, gn32, got 'bn'"),
        ({"head_norm": "gn32", "fpn_channels": 40}, "fpn_channels must be a multiple of 32"),
        (
            {"head_norm": "gn16", "fpn_channels": 40},
            "fpn_channels must be a multiple of 16 with head_norm 'gn16'",
        ),
        ({"p6_from": "p4"}, "p6_from must be one of p5, c5, got 'p4'"),
        ({"in_channels": 2}, "in_channels must be one of 1, 3, got 2"),
        ({"input_normalisation": "z"}, "input_normalisation must be one of imagenet, half, none, got 'z'"),
        ({"num_classes": 0}, "num_classes and num_anchors must be at least 1, got 0 and 9"),
        ({"stride_in_1x1": True}, "stride_in_1x1 needs a bottleneck backbone"),
    ],
)
def test_settings_outside_their_choices_are_refused(kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        retinanet_network(**{"backbone": "resnet18", **kwargs})
