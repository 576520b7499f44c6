"""Where classifiers' weights come from: published ones, other libraries' files, an earlier stage."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision.models as published
from torch import Tensor, nn
from torchvision.models.vgg import cfgs, make_layers

from mammo_monai.bundle.half_precision import halved
from mammo_monai.engines import WeightAverage
from mammo_monai.errors import WeightsError
from mammo_monai.networks import (
    Network,
    PatchNetwork,
    PatchSettings,
    WholeImageSettings,
    convert_file,
    initialise,
    load_weights,
    patch_network,
    read_weights,
    save_weights,
    whole_image_network,
)
from mammo_monai.networks.classifiers.sources import convert_patch_classifier
from mammo_monai.networks.weight_files import save_state
from tests.networks.classifiers.conftest import images, randomised

LITE0 = "efficientnet_lite0"  # the smallest


def patch(**options: Any) -> PatchNetwork:
    torch.manual_seed(0)
    return patch_network(**{"backbone": LITE0, "patch_px": 64, **options})


def whole(**options: Any) -> Any:
    torch.manual_seed(1)
    return whole_image_network(**{"backbone": LITE0, "patch_px": 64, "top_widths": (8,), **options})


def saved(network: nn.Module, path: Path) -> str:
    save_weights(network, path)  # type: ignore[arg-type]  # a Network
    return str(path)


def as_torch(state: Mapping[str, Tensor], path: Path) -> str:
    torch.save(dict(state), path)
    return str(path)


def test_imagenet_fills_the_backbone_and_keeps_the_drawn_classifier(
    publish: Callable[[Mapping[str, Tensor]], list[str]],
) -> None:
    theirs = randomised(published.resnet18(num_classes=1000))
    asked = publish(theirs.state_dict())
    network, untouched = initialise(patch(backbone="resnet18"), "imagenet"), patch(backbone="resnet18")
    assert len(asked) == 1
    assert asked[0].endswith("resnet18-f37072fd.pth")
    assert network.frozen_norm
    assert torch.equal(network.backbone.layer4[1].conv2.weight, theirs.layer4[1].conv2.weight)
    assert torch.equal(network.backbone.bn1.running_var, theirs.bn1.running_var)
    assert torch.equal(network.head.classifier.weight, untouched.head.classifier.weight)


@pytest.mark.parametrize(("width", "is_kept"), [(16, True), (24, False)])
def test_vggs_dense_layers_are_kept_where_they_fit(tmp_path: Path, width: int, is_kept: bool) -> None:
    with torch.device("meta"):
        theirs = published.vgg16_bn(num_classes=1000, init_weights=False)
    theirs.features = make_layers(cfgs["D"], batch_norm=True)
    theirs.classifier[0], theirs.classifier[3] = nn.Linear(25088, 16), nn.Linear(16, 16)
    theirs.classifier[6] = nn.Linear(16, 1000)
    path = as_torch(theirs.state_dict(), tmp_path / "vgg.pth")
    network = initialise(patch_network("vgg16_bn", head_width=width), path)
    assert torch.equal(network.backbone[40].weight, theirs.features[40].weight)
    same = [
        ours.shape == theirs.classifier[index].weight.shape
        and torch.equal(ours, theirs.classifier[index].weight)
        for index, ours in ((0, network.head.dense[0].weight), (3, network.head.dense[3].weight))
    ]
    assert same == [is_kept] * 2
    pooled = initialise(patch_network("vgg16_bn", head_width=0), path)
    assert torch.equal(pooled.backbone[0].weight, theirs.features[0].weight)


def test_a_classifier_of_another_library_with_as_many_classes_is_kept(tmp_path: Path) -> None:
    theirs = randomised(published.resnet18(num_classes=2)).eval()
    network = patch(backbone="resnet18", in_channels=3)
    load_weights(network, Path(as_torch(theirs.state_dict(), tmp_path / "mine.pth")))
    image = images(1, 3, 64, 64)
    mean, sd = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.no_grad():
        wanted = theirs((image - mean[:, None, None]) / sd[:, None, None])
        torch.testing.assert_close(network.eval()(image), wanted, atol=1e-5, rtol=1e-5)


def test_lite0_starts_from_its_package_and_whole_images_too() -> None:
    first = initialise(patch_network("efficientnet_lite0", patch_px=64), "imagenet")
    second = initialise(whole_image_network("efficientnet_lite0", top_widths=(8,)), "imagenet")
    for name in ("conv_stem.weight", "blocks.6.0.bn3.running_var", "conv_head.weight"):
        assert torch.equal(first.backbone.state_dict()[name], second.backbone.state_dict()[name])
    assert (
        first.backbone.conv_head.weight.std()
        != patch_network("efficientnet_lite0").backbone.conv_head.weight.std()
    )
    with pytest.raises(WeightsError, match="input_normalisation: 'half' in the file, 'imagenet' in the netw"):
        initialise(patch_network("efficientnet_lite0", input_normalisation="imagenet"), "imagenet")


def test_a_whole_image_classifier_starts_from_a_patch_classifiers_file(tmp_path: Path) -> None:
    start = randomised(patch(num_classes=5, contrast="patch"))
    path = saved(start, tmp_path / "patch.safetensors")
    network, untouched = whole(contrast="patch"), whole(contrast="patch")
    initialise(network, path)
    assert network.frozen_norm
    for name, value in network.state_dict().items():
        wanted = start.state_dict() if name.startswith("backbone.") else untouched.state_dict()
        assert torch.equal(value, wanted[name]), name
    with_heatmap = initialise(whole(contrast="patch", heatmap="softmax", patch_classes=5), path)
    image = images(1, 1, 128, 96)
    with torch.no_grad():
        maps = start.eval().head_map(start.features(image, window_px=64))  # type: ignore[operator]
        torch.testing.assert_close(with_heatmap.eval().heatmap(image), maps.softmax(dim=1))
    half = tmp_path / "half.safetensors"
    save_state(halved(start.state_dict()), start.settings, half)
    initialise(network, str(half))
    torch.testing.assert_close(
        network.state_dict()["backbone.conv_stem.weight"],
        start.backbone.conv_stem.weight,
        atol=1e-3,
        rtol=1e-3,
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backbone": "resnet18"}, "backbone: 'efficientnet_lite0' in the file, 'resnet18' in the network"),
        ({"contrast": "patch"}, "contrast: 'none' in the file, 'patch' in the network"),
        ({"input_normalisation": "none"}, "input_normalisation: 'half' in the file, 'none' in"),
        ({"heatmap": "relu", "patch_classes": 5}, "patch_classes: 2 in the file, 5 in the network"),
        ({"heatmap": "relu", "patch_px": 96}, "patch_px: 64 in the file, 96 in the network"),
    ],
)
def test_a_patch_classifier_that_does_not_fit_is_an_error(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    path = saved(patch(), tmp_path / "patch.safetensors")
    network = whole(**options)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(WeightsError, match=message):
        initialise(network, path)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    initialise(whole(patch_px=96), path)  # without heatmap and contrast a patch's side means nothing


def test_a_heatmap_from_photographs_starts_random_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = as_torch(published.resnet18().state_dict(), tmp_path / "photographs.pth")
    with caplog.at_level(logging.WARNING):
        initialise(whole(backbone="resnet18", heatmap="softmax"), path)
    assert "the heatmap starts from random weights: ImageNet resnet18 knows no patch classes" in caplog.text


def test_own_files_must_fit_as_they_are(tmp_path: Path) -> None:
    path = saved(patch(num_classes=5), tmp_path / "patch.safetensors")
    with pytest.raises(WeightsError, match="num_classes: 5 in the file, 2 in the network"):
        initialise(patch(), path)
    with pytest.raises(WeightsError, match="contrast: 'none' in the file, 'patch' in the network"):
        initialise(patch(num_classes=5, contrast="patch"), path)
    initialise(patch(num_classes=5, dropout=0.5), path)
    image = saved(whole(), tmp_path / "image.safetensors")
    initialise(whole(), image)
    with pytest.raises(WeightsError, match="top: 'resnet' in the file, 'vgg' in the network"):
        initialise(whole(top="vgg"), image)
    with pytest.raises(WeightsError, match="unknown classifier"):
        initialise(patch(), image)


@pytest.mark.parametrize(
    "build",
    [published.resnet34, published.resnet101, published.wide_resnet50_2, published.vgg19, published.vgg13_bn],
)
def test_other_networks_are_refused(build: Any) -> None:
    with torch.device("meta"):
        state = build().state_dict()
    with pytest.raises(WeightsError, match=r"unknown classifier: .* tensors"):
        convert_patch_classifier(state)


def test_coco_and_unknown_backbones_are_errors() -> None:
    with pytest.raises(WeightsError, match=r"init coco: published for detectors only\. A classifier st"):
        initialise(patch(), "coco")
    with pytest.raises(WeightsError, match="unknown backbone of a classifier of this package"):
        convert_patch_classifier({"head.classifier.weight": torch.zeros(2, 3)})
    with pytest.raises(WeightsError, match="0 tensors, the first keys are none"):
        convert_patch_classifier({})


def test_converting_keeps_own_settings_and_draws_another_number_of_classes(tmp_path: Path) -> None:
    for network, last in ((patch(contrast="patch"), "head.classifier"), (whole(), "classifier")):
        path = Path(saved(network, tmp_path / "own.safetensors"))
        convert_file(path, tmp_path / "same.safetensors")
        same = read_weights(tmp_path / "same.safetensors")
        assert same.settings == network.settings
        assert all(torch.equal(same.tensors[n], v) for n, v in network.state_dict().items())  # type: ignore[arg-type]
        convert_file(path, tmp_path / "five.safetensors", num_classes=5)
        five = read_weights(tmp_path / "five.safetensors")
        assert five.settings.num_classes == 5
        assert five.tensors[last + ".bias"].shape == (5,)  # type: ignore[attr-defined]
        assert isinstance(five.settings, (PatchSettings, WholeImageSettings))


def test_a_checkpoint_without_settings_loads_but_cannot_be_converted(tmp_path: Path) -> None:
    start = randomised(patch())
    path = Path(as_torch({f"module.{n}": v for n, v in start.state_dict().items()}, tmp_path / "last.pt"))
    network = patch()
    load_weights(network, path)
    assert torch.equal(network.backbone.conv_stem.weight, start.backbone.conv_stem.weight)
    with pytest.raises(WeightsError, match=r"\(contrast, input_normalisation, patch_px unknown\)"):
        convert_file(path, tmp_path / "out.safetensors")


def test_photographs_converted_are_still_a_detectors_body(tmp_path: Path) -> None:
    path = Path(as_torch(published.resnet18().state_dict(), tmp_path / "photographs.pth"))
    assert convert_file(path, tmp_path / "out.safetensors").layout == "ImageNet ResNet"


@pytest.mark.parametrize("build", [patch, whole])
def test_an_average_of_weights_applies_and_is_taken_back(build: Callable[[], Network]) -> None:
    network = build()
    average = WeightAverage(network, decay=0.5)
    own = {name: value.clone() for name, value in network.state_dict().items()}
    randomised(network, seed=3)
    average.update(network)
    changed = {name: value.clone() for name, value in network.state_dict().items()}
    with average.applied_to(network):
        assert not torch.equal(network.state_dict()["backbone.bn1.weight"], changed["backbone.bn1.weight"])
    assert all(torch.equal(value, changed[name]) for name, value in network.state_dict().items())
    assert not torch.equal(own["backbone.bn1.weight"], changed["backbone.bn1.weight"])
