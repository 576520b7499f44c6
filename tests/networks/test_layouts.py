"""Checkpoints of other libraries: recognised, renamed, refused."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torchvision.models import resnet18, resnet152
from torchvision.models.detection import retinanet_resnet50_fpn
from torchvision.ops import nms

from mammo_monai.errors import WeightsError
from mammo_monai.geometry.axes import rowcol_to_xyxy
from mammo_monai.networks import convert_state_dict, retinanet_detector, retinanet_network
from tests.reference.detectron2_retinanet import Detectron2RetinaNet


def random_detectron2(backbone: str) -> Detectron2RetinaNet:
    torch.manual_seed(5)
    model = Detectron2RetinaNet(backbone, num_classes=2)
    for name, layer in model.named_modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.running_var.uniform_(0.5, 1.5)
            layer.running_mean.normal_(0, 0.1)
            layer.weight.data.uniform_(0.1, 0.3) if "conv3" in name else layer.weight.data.uniform_(0.8, 1.2)
    model.backbone.bottom_up.stem.conv1.weight.data.div_(60)  # inputs are some 60 times larger than ours
    model.head.cls_score.bias.data.normal_(-1, 1)
    model.head.bbox_pred.bias.data.normal_(0, 0.3)
    for layer in (model.head.cls_score, model.head.bbox_pred):
        layer.weight.data.mul_(5)
    return model.double().eval()


@torch.no_grad()
def test_detectron2_boxes_survive_the_conversion() -> None:
    model = random_detectron2("resnet50")
    converted = convert_state_dict({"model": model.state_dict()})
    assert converted.layout == "Detectron2 RetinaNet"
    settings: dict[str, Any] = {**converted.facts, "in_channels": 3}
    network = retinanet_network(**settings).double()
    network.load_state_dict({**network.state_dict(), **converted.state})
    detector = retinanet_detector(network, anchors_rounded=False, score_threshold=0.0, topk_per_level=10**6)
    image = torch.rand((3, 128, 256), dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    found = detector.eval()([image])[0]
    scores, boxes = model(image)
    top = best_of_class(scores[:, 0], clipped(boxes, width=256, height=128))
    ours = found["label"] == 0
    assert ours.sum() >= 50
    n = int(ours.sum())
    torch.testing.assert_close(found["label_scores"][ours], top[1][:n], atol=1e-9, rtol=0)
    torch.testing.assert_close(rowcol_to_xyxy(found["box"][ours]), top[0][:n], atol=1e-5, rtol=0)


def clipped(boxes: Tensor, *, width: int, height: int) -> Tensor:
    return torch.stack([boxes[:, i].clamp(0, width if i % 2 == 0 else height) for i in range(4)], dim=1)


def best_of_class(scores: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
    kept = nms(boxes, scores, 0.5)
    return boxes[kept], scores[kept]


def test_detectron2_r101_tells_its_settings_and_fits_them() -> None:
    converted = convert_state_dict(Detectron2RetinaNet("resnet101", num_classes=2).state_dict())
    assert converted.facts == {
        "backbone": "resnet101",
        "num_anchors": 9,
        "num_classes": 2,
        "fpn_channels": 256,
        "p6_from": "c5",
        "head_norm": "none",
        "stride_in_1x1": True,
        "bn_eps": 1e-5,
        "input_normalisation": "imagenet",
    }
    facts: dict[str, Any] = dict(converted.facts)
    own = retinanet_network(**facts).state_dict()
    assert converted.state.keys() == {name for name in own if not name.endswith("num_batches_tracked")}
    assert all(own[name].shape == value.shape for name, value in converted.state.items())


def test_detectron2_with_other_anchors_is_refused() -> None:
    state = Detectron2RetinaNet("resnet50", num_classes=1).state_dict()
    state["head.bbox_pred.bias"] = torch.zeros(12)
    with pytest.raises(WeightsError, match="with 3 anchors per location; only 9"):
        convert_state_dict(state)


def test_older_torchvision_keys_give_the_same_weights() -> None:
    new = retinanet_resnet50_fpn(weights=None, weights_backbone=None, num_classes=2).state_dict()
    old = {}
    for name, value in new.items():
        for i in range(4):
            name = name.replace(f"_head.conv.{i}.0.", f"_head.conv.OLD{2 * i}.")  # noqa: PLW2901
        old[name.replace("OLD", "").replace("_blocks.0.0.", "_blocks.0.")] = value
    assert old.keys() != new.keys()
    ours, theirs = convert_state_dict(old), convert_state_dict(new)
    assert ours.layout == theirs.layout == "torchvision RetinaNet v1"
    assert ours.state.keys() == theirs.state.keys()
    assert all(torch.equal(ours.state[name], theirs.state[name]) for name in theirs.state)


def test_a_new_class_head_is_seeded_and_starts_at_score_one_percent() -> None:
    state = retinanet_resnet50_fpn(weights=None, weights_backbone=None, num_classes=5).state_dict()
    first, second = (convert_state_dict(state, num_classes=1) for _ in range(2))
    assert first.facts["num_classes"] == 1
    bias = first.state["classification_head.cls_logits.bias"]
    assert bias.shape == (9,)
    assert bias.sigmoid().tolist() == pytest.approx([0.01] * 9)
    kernel = first.state["classification_head.cls_logits.weight"]
    assert kernel.std() == pytest.approx(0.01, rel=0.05)
    assert torch.equal(kernel, second.state["classification_head.cls_logits.weight"])
    assert math.isclose(float(bias[0]), -math.log(99), rel_tol=1e-6)


def test_an_imagenet_resnet_gives_the_body_alone() -> None:
    converted = convert_state_dict(resnet18(weights=None).state_dict(), num_classes=1)
    assert converted.is_body_only
    assert converted.facts["backbone"] == "resnet18"
    body = {n for n in retinanet_network("resnet18").state_dict() if ".body." in n}
    assert converted.state.keys() == {n for n in body if not n.endswith("num_batches_tracked")}


@pytest.mark.parametrize("backbone", ["resnet18", "efficientnet_lite0"])
def test_a_whole_network_is_told_from_its_backbone(backbone: Any) -> None:
    network = retinanet_network(backbone, fpn_channels=32, num_classes=2)
    converted = convert_state_dict(network.state_dict())
    assert converted.layout == "mammo-monai RetinaNet"
    assert not converted.is_body_only
    assert (converted.facts["backbone"], converted.facts["num_classes"]) == (backbone, 2)
    body = {name: value for name, value in network.state_dict().items() if ".body." in name}
    assert convert_state_dict(body).is_body_only
    assert convert_state_dict(body).facts["backbone"] == backbone


def test_prefixes_of_wrapped_models_are_dropped() -> None:
    network = retinanet_network("resnet18", fpn_channels=32)
    wrapped = {"network": {f"module.{name}": value for name, value in network.state_dict().items()}}
    assert convert_state_dict(wrapped).state.keys() == network.state_dict().keys()


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"roi_heads.box.weight": torch.ones(1)}, "a Faster or Mask R-CNN"),
        ({"backbone.bottom_up.x": torch.ones(1)}, "other than RetinaNet"),
        ({"blocks.0.0.conv_dw.weight": torch.ones(1)}, "an EfficientNet or MobileNet other than Lite0"),
        ({"epoch": 3}, "0 tensors, not a state dict; the first keys are none"),
        ({"layer.weight": torch.ones(1)}, "the first keys are layer.weight. Supported: RetinaNet of this"),
    ],
)
def test_unknown_weights_say_what_they_seem_to_be(state: dict[str, object], message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        convert_state_dict(state)


def test_a_resnet_of_unknown_depth_is_refused() -> None:
    with pytest.raises(WeightsError, match="36 bottleneck blocks in its third layer"):
        convert_state_dict({n: v[:0] for n, v in resnet152(weights=None).state_dict().items() if v.dim()})
