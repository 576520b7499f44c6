"""Backbones: torchvision's and timm's own answers, map sizes, parts, and weights that train."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import timm
import torch
import torchvision.models as published
from torch import Tensor, nn
from torchvision.models.vgg import cfgs, make_layers

from mammo_monai.networks import initialise, patch_network
from mammo_monai.networks.classifiers.backbones import BACKBONES, PatchBackbone, classifier_backbone
from mammo_monai.networks.freezing import apply_freezing
from tests.networks.classifiers.conftest import images, randomised


@torch.no_grad()
def _answers(theirs: nn.Module, backbone: PatchBackbone, options: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """Logits of ours (filled as with init imagenet) and of theirs for one RGB image."""
    network = patch_network(backbone, num_classes=7, in_channels=3, **options)
    patch_px = network.settings.patch_px
    initialise(network, "imagenet")
    patch = images(1, 3, patch_px, patch_px)
    mean, sd = ((0.5,) * 3,) * 2 if BACKBONES[backbone].normalisation == "half" else _IMAGENET
    normalised = (patch - torch.tensor(mean)[:, None, None]) / torch.tensor(sd)[:, None, None]
    wanted: Tensor = theirs.eval()(normalised)
    network.eval()
    torch.testing.assert_close(network.head(network.features(patch)), network(patch), atol=0, rtol=0)
    return network(patch), wanted


_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def _vgg16() -> nn.Module:
    """torchvision's, with dense layers of 16: at 4096 a test would draw 120 million numbers."""
    with torch.device("meta"):
        model = published.vgg16(num_classes=7, init_weights=False)
    model.features = make_layers(cfgs["D"])
    model.classifier[0], model.classifier[3] = nn.Linear(25088, 16), nn.Linear(16, 16)
    model.classifier[6] = nn.Linear(16, 7)
    return model


@pytest.mark.parametrize(
    ("build", "backbone", "options", "file"),
    [
        (_vgg16, "vgg16", {"head_width": 16}, "vgg16-397923af.pth"),
        (lambda: published.resnet50(num_classes=7), "resnet50", {}, "resnet50-0676ba61.pth"),
        (
            lambda: published.inception_v3(
                num_classes=7, init_weights=False
            ),  # with its auxiliary classifier
            "inception_v3",
            {"patch_px": 299},
            "inception_v3_google-0cc3c7bd.pth",
        ),
    ],
)
def test_published_weights_give_torchvisions_answers(
    publish: Callable[[Mapping[str, Tensor]], list[str]],
    build: Callable[[], nn.Module],
    backbone: PatchBackbone,
    options: dict[str, Any],
    file: str,
) -> None:
    torch.manual_seed(0)
    theirs = randomised(build())
    asked = publish(theirs.state_dict())
    found, wanted = _answers(theirs, backbone, options)
    assert [url.rsplit("/", 1)[-1] for url in asked] == [file]
    assert wanted.std() > 1e-3
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_lite0_with_the_real_published_weights_answers_as_timms() -> None:
    network = initialise(patch_network("efficientnet_lite0", num_classes=1000), "imagenet").eval()
    theirs = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    names = {"backbone.": "", "head.classifier.": "classifier."}
    for name, value in network.state_dict().items():
        prefix = next(each for each in names if name.startswith(each))
        target = names[prefix] + name.removeprefix(prefix)
        theirs.state_dict()[target].copy_(value)
    patch = images(1, 1, 224, 224)
    wanted = theirs((patch.expand(-1, 3, -1, -1) - 0.5) / 0.5)
    assert wanted.std() > 0.5  # real weights have opinions, also on noise
    torch.testing.assert_close(network(patch), wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("backbone", "sides"),
    [
        ("vgg16", (32, 96)),
        ("vgg16_bn", (64,)),
        ("resnet18", (64, 96)),
        ("resnet50", (64,)),
        ("efficientnet_lite0", (64, 96)),
        ("inception_v3", (75, 106, 107, 128, 224)),
    ],
)
@torch.no_grad()
def test_cells_and_channels_are_those_of_the_map(backbone: PatchBackbone, sides: tuple[int, ...]) -> None:
    base, facts = classifier_backbone(backbone).eval(), BACKBONES[backbone]
    for side in sides:
        cells = facts.cells(side)
        assert base(torch.zeros(1, 3, side, side)).shape == (1, facts.channels, cells, cells)


@pytest.mark.parametrize("backbone", list(BACKBONES))
def test_every_part_names_layers_and_freezing_opens_more_and_more(backbone: PatchBackbone) -> None:
    options: dict[str, Any] = {"head_width": 8} if backbone.startswith("vgg") else {}
    network = patch_network(backbone, patch_px=96, **options)
    names = [name for name, _ in network.named_parameters()]
    parts = network.parts
    for prefix in (*parts.stem, *parts.top, *parts.heads, *parts.classifier):
        assert any(name.startswith(prefix) for name in names), prefix
    policies = ("classifier", "heads", "top_and_heads", "all_but_stem", "all")
    counts = [apply_freezing(network, policy).n_trained for policy in policies]
    assert counts == sorted(counts)
    assert counts[1] < counts[2] < counts[3] < counts[4]
    assert counts[0] == 2 * (network.head.classifier.in_features + 1)


@torch.no_grad()
@pytest.mark.parametrize("backbone", list(BACKBONES))
def test_a_random_start_passes_the_signal_on(backbone: PatchBackbone) -> None:
    torch.manual_seed(0)
    base = classifier_backbone(backbone).train()
    features = base(torch.randn(4, 3, 96, 96))
    assert 0.05 < features.std() < 10
    by_image = features.flatten(1)
    assert (by_image - by_image.mean(dim=0)).std() > 0.05 * features.std()  # it differs from image to image


def test_vgg16_without_batch_norm_learns_from_a_random_start() -> None:
    torch.manual_seed(0)
    network = patch_network("vgg16", patch_px=32, head_width=16, dropout=0.0)
    patches = torch.rand(4, 1, 32, 32) * 0.3
    truths = torch.arange(4) % 2
    patches[truths == 1, :, 8:24, 8:24] += 0.6
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-4)
    losses = []
    for _ in range(7):
        loss = nn.functional.cross_entropy(network(patches), truths)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.7 * losses[0]


def test_vggs_full_head_has_torchvisions_shapes() -> None:
    with torch.device("meta"):
        ours, theirs = patch_network("vgg16", num_classes=1000), published.vgg16()
    shapes = [[value.shape for value in network.state_dict().values()] for network in (ours, theirs)]
    assert shapes[0] == shapes[1]


def test_an_unknown_backbone_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"backbone must be one of vgg16, .* got 'alexnet'"):
        patch_network("alexnet")  # type: ignore[arg-type]
