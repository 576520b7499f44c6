"""Faster R-CNN's starting points, and checkpoints of other libraries: recognised, renamed, refused."""

from __future__ import annotations

import re
import urllib.error
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import resnet18
from torchvision.ops import clip_boxes_to_image, remove_small_boxes

from mammo_monai.errors import WeightsError
from mammo_monai.files import sha256_of
from mammo_monai.geometry.axes import rowcol_to_xyxy
from mammo_monai.networks import (
    MammoFasterRCNN,
    apply_freezing,
    convert_faster_rcnn,
    convert_file,
    faster_rcnn_detector,
    faster_rcnn_network,
    initialise,
    load_weights,
    retinanet_network,
    save_weights,
)
from mammo_monai.networks.faster_rcnn_layouts import with_faster_rcnn_classes
from tests.networks.conftest import LOADER, Serve
from tests.reference.detectron2_faster_rcnn import Detectron2FasterRCNN
from tests.reference.torchvision_faster_rcnn import SMALL, small_torchvision_faster_rcnn

PREDICTOR = "roi_heads.box_predictor."


def small_network(**kwargs: Any) -> MammoFasterRCNN:
    return faster_rcnn_network("resnet18", **{**SMALL, **kwargs})


def torchvision_state(network: MammoFasterRCNN) -> dict[str, Tensor]:
    """The network's tensors as torchvision's published model names them."""
    return {
        name.replace("feature_extractor.", "backbone."): value
        for name, value in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }


def as_first_published(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The names of torchvision before 0.13, under which its v1 file is published."""
    shorter = (
        (r"(inner|layer)_blocks\.(\d)\.0\.", r"\1_blocks.\2."),
        (r"rpn\.head\.conv\.0\.0", "rpn.head.conv"),
    )
    renamed = {}
    for name, value in state.items():
        for pattern, short in shorter:
            name = re.sub(pattern, short, name)  # noqa: PLW2901  # both renamings, one after the other
        renamed[name] = value
    return renamed


@pytest.mark.parametrize(
    ("version", "file"),
    [("v1", "fasterrcnn_resnet50_fpn_coco-"), ("v2", "fasterrcnn_resnet50_fpn_v2_coco-")],
)
def test_coco_comes_from_torchvision_hash_checked_with_new_last_layers(
    hub: Path, serve: Serve, version: Any, file: str
) -> None:
    published = torchvision_state(faster_rcnn_network("resnet50", num_classes=90, version=version, **SMALL))
    published = as_first_published(published) if version == "v1" else published
    calls = serve(published)
    network = initialise(faster_rcnn_network("resnet50", version=version, **SMALL), "coco")
    (url, options), *rest = calls
    assert not rest
    assert file in url
    assert options["check_hash"] is True
    assert options["weights_only"] is True
    assert network.frozen_norm
    state = network.state_dict()
    key = "rpn.head.conv.weight" if version == "v1" else "rpn.head.conv.0.0.weight"
    assert torch.equal(state["rpn.head.conv.0.0.weight"], published[key])
    shift = state["feature_extractor.body.bn1.running_var"] - published["backbone.body.bn1.running_var"]
    assert shift.mean().item() == pytest.approx(-1e-5 if version == "v1" else 0.0, abs=1e-6)
    assert state[PREDICTOR + "cls_score.weight"].shape == (2, SMALL["representation_size"])
    assert state[PREDICTOR + "cls_score.weight"].std().item() == pytest.approx(0.01, rel=0.3)
    assert state[PREDICTOR + "bbox_pred.weight"].std().item() == pytest.approx(0.001, rel=0.3)
    assert state[PREDICTOR + "bbox_pred.bias"].tolist() == [0.0] * 8


def test_a_checkpoint_of_as_many_classes_keeps_its_last_layers() -> None:
    converted = convert_faster_rcnn(torchvision_state(small_network(num_classes=3)))
    assert with_faster_rcnn_classes(converted, 3) is converted
    assert with_faster_rcnn_classes(converted, 1).facts["num_classes"] == 1


def test_imagenet_fills_the_body_and_nothing_else(hub: Path, serve: Serve) -> None:
    published = resnet18(weights=None).state_dict()
    (url, _), *_ = [*serve(published), ("", {})]
    network = small_network()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    initialise(network, "imagenet")
    assert url == ""
    body = network.feature_extractor.body
    assert torch.equal(body.layer4[1].conv2.weight, published["layer4.1.conv2.weight"])
    rest = {name for name in before if ".body." not in name}
    assert all(torch.equal(network.state_dict()[name], before[name]) for name in rest)
    assert network.frozen_norm


def test_norms_that_no_weights_came_for_are_trained_though_norms_are_frozen(hub: Path, serve: Serve) -> None:
    serve(resnet18(weights=None).state_dict())
    network = initialise(small_network(version="v2"), "imagenet").train()
    own = {name for name, layer in network.named_modules() if isinstance(layer, nn.BatchNorm2d)}
    fresh = {name for name in own if ".body." not in name}
    for policy in ("all", "top_and_heads"):
        apply_freezing(network, policy, frozen_norm=True)
        layers = {name: network.get_submodule(name) for name in own}
        assert {name for name, layer in layers.items() if layer.training} == fresh
        assert {name for name, layer in layers.items() if layer.weight.requires_grad} == fresh
    apply_freezing(network, "classifier", frozen_norm=True)
    assert not any(layer.training for layer in layers.values())


def test_offline_the_error_says_which_file_to_put_where(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(url: str, **kwargs: Any) -> None:
        raise urllib.error.URLError("no route")

    monkeypatch.setattr(LOADER, fail)
    with pytest.raises(WeightsError) as caught:
        initialise(faster_rcnn_network("resnet50", **SMALL), "coco")
    assert f"Put the file fasterrcnn_resnet50_fpn_coco-258fb6c6.pth into {hub}" in str(caught.value)
    assert "no route" in str(caught.value)


def test_coco_for_another_backbone_is_an_error_with_the_remedy() -> None:
    with pytest.raises(
        WeightsError, match=r"resnet50 only, the network has resnet18.*Detectron2 \(R101-FPN\)"
    ):
        initialise(small_network(), "coco")


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_saved_weights_come_back_exactly_with_their_settings(tmp_path: Path, version: Any) -> None:
    file = tmp_path / "stage1.safetensors"
    network = small_network(version=version, num_classes=2).to(memory_format=torch.channels_last)
    save_weights(network, file, {"parent": "abc"})
    other = small_network(version=version, num_classes=2)
    read = load_weights(other, file, sha256=sha256_of(file))
    assert read.settings == network.settings
    assert read.metadata["parent"] == "abc"
    ours = other.state_dict()
    assert all(torch.equal(ours[name], value) for name, value in network.state_dict().items())


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"num_classes": 2}, "num_classes: 1 in the file, 2 in the network"),
        ({"version": "v2"}, "version: 'v1' in the file, 'v2' in the network"),
        ({"roi_aligned": True}, "roi_aligned: False in the file, True in the network"),
    ],
)
def test_weights_of_another_network_name_the_difference(
    tmp_path: Path, kwargs: dict[str, Any], message: str
) -> None:
    save_weights(small_network(), tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match=message):
        load_weights(small_network(**kwargs), tmp_path / "w.safetensors")


def test_a_file_of_torchvision_is_converted_and_loads(tmp_path: Path) -> None:
    model = small_torchvision_faster_rcnn("v2", num_classes=91)
    torch.save({"model": model.state_dict()}, tmp_path / "theirs.pth")
    converted = convert_file(tmp_path / "theirs.pth", tmp_path / "ours.safetensors")
    assert converted.layout == "torchvision Faster R-CNN v2"
    network = small_network(version="v2")
    read = load_weights(network, tmp_path / "ours.safetensors")
    assert read.settings == faster_rcnn_network("resnet18", version="v2", in_channels=1, **SMALL).settings
    assert torch.equal(
        network.state_dict()["feature_extractor.fpn.inner_blocks.3.1.weight"],
        model.state_dict()["backbone.fpn.inner_blocks.3.1.weight"],
    )
    direct = load_weights(small_network(version="v2"), tmp_path / "theirs.pth")
    assert direct.settings is None


def test_each_architecture_refuses_the_others_files(tmp_path: Path) -> None:
    retinanet = retinanet_network("resnet18", fpn_channels=16)
    save_weights(retinanet, tmp_path / "retinanet.safetensors")
    save_weights(small_network(), tmp_path / "faster.safetensors")
    with pytest.raises(
        WeightsError, match=r"another architecture \(mammo-monai RetinaNet\)\. Supported: Fas"
    ):
        load_weights(small_network(), tmp_path / "retinanet.safetensors")
    with pytest.raises(WeightsError, match="another architecture"):
        load_weights(retinanet, tmp_path / "faster.safetensors")


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (
            {"layer.weight": torch.ones(1)},
            "no known architecture by their keys.*Supported: Faster R-CNN of this",
        ),
        (
            {"proposal_generator.rpn_head.objectness_logits.weight": torch.ones(1)},
            "not a Faster R-CNN with a feature pyramid and one box per class",
        ),
        ({"epoch": 3}, "0 tensors, not a state dict"),
    ],
)
def test_unknown_weights_are_refused(state: dict[str, object], message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        convert_faster_rcnn(state)


@pytest.fixture(scope="module")
def detectron2() -> Detectron2FasterRCNN:
    """Random weights that make its answers differ from place to place, in float64."""
    torch.manual_seed(4)
    model = Detectron2FasterRCNN("resnet50", 2, channels=8, width=16).double().eval()
    for name, layer in model.named_modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_(0, 0.1)
            layer.running_var.uniform_(0.5, 1.5)
            layer.weight.data.uniform_(0.1, 0.3) if name.endswith("conv3.norm") else None
    # Its input spans 255, not 1.
    model.backbone.bottom_up.stem.conv1.weight.data.div_(50)
    model.proposal_generator.rpn_head.anchor_deltas.bias.data.normal_(0, 0.3)
    model.roi_heads.box_predictor.bbox_pred.bias.data.normal_(0, 1)
    model.roi_heads.box_predictor.cls_score.weight.data.mul_(4)
    return model


@torch.no_grad()
def test_detectron2s_boxes_are_ours(detectron2: Detectron2FasterRCNN) -> None:
    converted = convert_faster_rcnn(detectron2.state_dict())
    facts: dict[str, Any] = {**converted.facts, "in_channels": 3}
    network = faster_rcnn_network(**facts).double()
    network.load_state_dict(converted.state, strict=False)
    rule: dict[str, Any] = {"rpn_topk_per_level": 6, "rpn_proposals": 20, "rpn_nms_iou": 1.0, "nms_iou": 1.0}
    detector = faster_rcnn_detector(network, anchors_rounded=False, score_threshold=0.0, **rule).eval()
    image = torch.rand((3, 128, 192), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    (ours,) = detector([image])
    scores, boxes = expected_answers(detectron2, image, per_level=6, most=20)
    found = rowcol_to_xyxy(ours["box"])
    assert len(scores) >= 30
    # float64 on both sides; the mean grey is 123.675 there and 0.485 × 255 = 123.675 here.
    torch.testing.assert_close(ours["label_scores"], scores, atol=1e-9, rtol=0)
    torch.testing.assert_close(found, boxes, atol=1e-6, rtol=0)
    assert scores.std() > 0.01


def expected_answers(
    model: Detectron2FasterRCNN, image: Tensor, *, per_level: int, most: int
) -> tuple[Tensor, Tensor]:
    """Scores and clipped boxes of both classes, best first, without any suppression."""
    size = (image.shape[1], image.shape[2])
    maps = model.maps(image)
    logits, regions = model.regions(maps)
    chosen, start = [], 0
    for level in maps:
        n = 3 * level.shape[2:].numel()
        chosen.append(start + logits[start : start + n].topk(min(per_level, n)).indices)
        start += n
    candidates = torch.cat(chosen)
    candidates = candidates[logits[candidates].sort(descending=True).indices]
    inside = clip_boxes_to_image(regions[candidates], size)
    scores, boxes = model.answers(maps, inside[remove_small_boxes(inside, 1e-3)][:most])
    order = scores.flatten().sort(descending=True).indices
    clipped = clip_boxes_to_image(boxes.reshape(-1, 4)[order], size)
    kept = remove_small_boxes(clipped, 1e-2)
    return scores.flatten()[order][kept], clipped[kept]


def test_what_a_detectron2_file_fixes_is_told(detectron2: Detectron2FasterRCNN) -> None:
    facts = convert_faster_rcnn(detectron2.state_dict()).facts
    assert facts == {
        "backbone": "resnet50",
        "num_classes": 2,
        "version": "v1",
        "num_anchors": 3,
        "fpn_channels": 8,
        "representation_size": 16,
        "stride_in_1x1": True,
        "bn_eps": 1e-5,
        "input_normalisation": "imagenet",
        "roi_aligned": True,
        "roi_sampling_ratio": 0,
    }
