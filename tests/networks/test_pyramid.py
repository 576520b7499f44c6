"""What all backbones share: normalised images in, five maps out, norms that keep their mode."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from mammo_monai.networks.backbones import BACKBONES, backbone_pyramid
from mammo_monai.networks.pyramid import NORMALISATIONS, batch_norms


def images(size: tuple[int, int], channels: int = 1) -> Tensor:
    return torch.rand((2, channels, *size), generator=torch.Generator().manual_seed(4))


@pytest.mark.parametrize("size", [(128, 256), (97, 131), (33, 200)])
@pytest.mark.parametrize("backbone", ["resnet18", "efficientnet_lite0"])
@torch.no_grad()
def test_maps_halve_from_stride_8_to_128_rounding_up(backbone: Any, size: tuple[int, int]) -> None:
    extractor = backbone_pyramid(backbone, fpn_channels=16).eval()
    maps = extractor(images(size))
    sides, wanted = [-(-side // 8) for side in size], []
    for _ in range(5):
        wanted.append((2, 16, *sides))
        sides = [-(-side // 2) for side in sides]
    assert [tuple(level.shape) for level in maps.values()] == wanted
    assert all(torch.isfinite(level).all() for level in maps.values())


@pytest.mark.parametrize(
    ("kind", "mean", "sd"),
    [
        ("imagenet", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ("half", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
        ("none", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
@torch.no_grad()
def test_each_normalisation_is_exact_and_leaves_the_padding_at_zero(
    kind: Any, mean: tuple[float, ...], sd: tuple[float, ...], channels: int
) -> None:
    extractor = backbone_pyramid(
        "efficientnet_lite0", fpn_channels=8, input_normalisation=kind, in_channels=channels
    )
    given = images((64, 96), channels).double()
    kept = given.clone()
    x = extractor.normalised(given, [(50, 70), (64, 96)])
    for channel in range(3):
        wanted = (given[:, channel % channels] - mean[channel]) / sd[channel]
        assert torch.equal(x[0, channel, :50, :70], wanted[0, :50, :70])
        assert torch.equal(x[1, channel], wanted[1])
    assert x[0, :, 50:].abs().sum() == x[0, :, :, 70:].abs().sum() == 0
    assert torch.equal(given, kept)


def test_half_maps_black_to_minus_one_and_white_to_one() -> None:
    extractor = backbone_pyramid("efficientnet_lite0", fpn_channels=8, input_normalisation="half")
    x = extractor.normalised(torch.tensor([0.0, 0.5, 1.0]).reshape(1, 1, 1, 3))
    assert x.tolist() == [[[[-1.0, 0.0, 1.0]]] * 3]
    assert set(NORMALISATIONS) == {"imagenet", "half", "none"}


@pytest.mark.parametrize("backbone", ["resnet18", "efficientnet_lite0"])
@torch.no_grad()
def test_padding_does_not_reach_into_the_image(backbone: Any) -> None:
    """What lies outside an image is grey, whatever the batch held there."""
    extractor = backbone_pyramid(backbone, fpn_channels=8).eval()
    batch = images((128, 128))
    other = batch.clone()
    other[0, :, 90:], other[0, :, :, 60:] = 0.7, 0.2
    sizes = [(90, 60), (128, 128)]
    for ours, theirs in zip(extractor(batch, sizes).values(), extractor(other, sizes).values(), strict=True):
        assert torch.equal(ours, theirs)
    assert not torch.equal(extractor(batch)["0"], extractor(other)["0"])


@pytest.mark.parametrize("backbone", ["resnet18", "efficientnet_lite0"])
@pytest.mark.parametrize("shape", [(1, 2, 64, 96), (1, 64, 96), (1, 3, 64, 96)])
def test_images_of_another_shape_are_refused(backbone: Any, shape: tuple[int, ...]) -> None:
    extractor = backbone_pyramid(backbone, fpn_channels=8)
    with pytest.raises(
        ValueError, match=r"images of shape \(B, 1, H, W\), got \[1, .*in_channels=1 \(grey\)"
    ):
        extractor(torch.zeros(shape))


@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_backbone_sets_its_epsilon_and_says_what_its_stem_is(backbone: Any) -> None:
    extractor = backbone_pyramid(backbone, fpn_channels=8, bn_eps=0.01)
    assert {norm.eps for norm in batch_norms(extractor)} == {0.01}
    names = list(extractor.body.state_dict())
    assert all(any(name.startswith(part) for name in names) for part in extractor.stem_parts)
    assert all(any(name.startswith(part) for name in names) for part in extractor.top_parts)
    assert names[0].startswith(extractor.stem_parts)


def test_an_unknown_backbone_is_refused_with_all_names() -> None:
    message = "one of resnet18, .*, resnet101, efficientnet_lite0, .*_lite1, efficientnet_lite2, got 'vgg'"
    with pytest.raises(ValueError, match=message):
        backbone_pyramid("vgg")  # type: ignore[arg-type]  # the fault under test
