"""Checkpoints of other libraries, recognised by their keys and renamed to this package's Faster R-CNN."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from mammo_monai.errors import WeightsError
from mammo_monai.networks.layouts import (
    BODY,
    FPN,
    ConvertedWeights,
    backbone_of,
    convert_state_dict,
    detectron2_name,
    tensors_of,
    without_counters,
)
from mammo_monai.networks.pyramid import IMAGENET_SD
from mammo_monai.networks.resnet import RESNETS

FasterRCNNLayout = Literal[
    "mammo-monai Faster R-CNN",
    "torchvision Faster R-CNN v1",
    "torchvision Faster R-CNN v2",
    "Detectron2 Faster R-CNN",
]
OWN_LAYOUT: FasterRCNNLayout = "mammo-monai Faster R-CNN"
CLASS_LOGITS = "roi_heads.box_predictor.cls_score."
BOX_OFFSETS = "roi_heads.box_predictor.bbox_pred."
SUPPORTED = (
    "Supported: Faster R-CNN of this package, of torchvision (v1, v2) and of Detectron2 (R50-FPN, R101-FPN), "
    "and torchvision's ImageNet ResNets 18, 34, 50, 101."
)
_CONV1 = BODY + "conv1.weight"


def convert_faster_rcnn(state: Mapping[str, object]) -> ConvertedWeights:
    """A checkpoint's tensors under this package's names, ready for the `FasterRCNNSettings` it tells.

    Detectron2's background moves from the last class to the first, where its box offsets, which it has none
    of, become 0; its BGR 0-255 first kernel becomes one of normalised RGB. Its anchors are not rounded: give
    the detector `anchors_rounded=False`. torchvision v1 is taken for the published COCO file, whose batch
    norms have epsilon 0.

    Args:
        state: parameter tensors by name, bare or under `model`, `state_dict` or `network`.

    Raises:
        WeightsError: the keys belong to no supported architecture.
    """
    tensors = tensors_of(state)
    layout = _layout_of(tensors)
    if layout is None:
        return _body_only(tensors)
    converted = _CONVERTERS[layout](tensors)
    facts = {**_shape_facts(converted), **_LAYOUT_FACTS[layout]}
    return ConvertedWeights(layout, facts, converted, is_own=layout == OWN_LAYOUT)


def with_faster_rcnn_classes(weights: ConvertedWeights, num_classes: int) -> ConvertedWeights:
    """The same weights for another number of classes: both last layers drawn anew, seeded, biases 0.

    Source: Girshick, 2015 (Fast R-CNN), section 3.1: SD 0.01 for the classes, 0.001 for the boxes.
    """
    if weights.is_body_only or weights.facts["num_classes"] == num_classes:
        return weights
    old = weights.state[CLASS_LOGITS + "weight"]
    random = torch.Generator().manual_seed(0)
    state = dict(weights.state)
    for layer, rows, sd in (
        (CLASS_LOGITS, num_classes + 1, 0.01),
        (BOX_OFFSETS, 4 * (num_classes + 1), 0.001),
    ):
        state[layer + "weight"] = (torch.randn((rows, old.shape[1]), generator=random) * sd).to(old.dtype)
        state[layer + "bias"] = torch.zeros(rows, dtype=old.dtype)
    return replace(weights, state=state, facts={**weights.facts, "num_classes": num_classes})


def _layout_of(tensors: Mapping[str, Tensor]) -> FasterRCNNLayout | None:
    """The layout of a whole Faster R-CNN; None where it is none."""
    if "proposal_generator.rpn_head.objectness_logits.weight" in tensors:
        return "Detectron2 Faster R-CNN"
    if not {CLASS_LOGITS + "weight", "rpn.head.cls_logits.weight"} <= tensors.keys():
        return None
    if _CONV1 in tensors:
        return OWN_LAYOUT
    is_v2 = "roi_heads.box_head.0.0.weight" in tensors
    return "torchvision Faster R-CNN v2" if is_v2 else "torchvision Faster R-CNN v1"


def _body_only(tensors: Mapping[str, Tensor]) -> ConvertedWeights:
    try:
        weights = convert_state_dict(tensors)
    except WeightsError as error:
        raise WeightsError(str(error).partition(" Supported:")[0] + f" {SUPPORTED}") from error
    if not weights.is_body_only or weights.facts["backbone"] not in RESNETS:
        raise WeightsError(f"these are weights of another architecture ({weights.layout}). {SUPPORTED}")
    return weights


def _from_torchvision(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {_torchvision_name(name): value for name, value in without_counters(tensors).items()}


def _torchvision_name(name: str) -> str:
    """Files older than torchvision 0.13, the published v1 among them, name some convolutions shorter."""
    name = name.replace("backbone.body.", BODY).replace("backbone.fpn.", FPN)
    name = re.sub(r"(inner|layer)_blocks\.(\d)\.(weight|bias)$", r"\1_blocks.\2.0.\3", name)
    return re.sub(r"^rpn\.head\.conv\.(weight|bias)$", r"rpn.head.conv.0.0.\1", name)


def _from_detectron2(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    converted = {
        _detectron2_faster_rcnn_name(name): value
        for name, value in without_counters(tensors).items()
        if not name.startswith(("pixel_", "proposal_generator.anchor_generator"))
    }
    ends = (converted.get(layer + "bias", torch.empty(0)) for layer in (BOX_OFFSETS, CLASS_LOGITS))
    n_offsets, n_logits = map(len, ends)
    if _CONV1 not in converted or not n_logits or n_offsets != 4 * (n_logits - 1):
        raise WeightsError(
            "this Detectron2 model is not a Faster R-CNN with a feature pyramid and one box per class. "
            f"{SUPPORTED}"
        )
    # Input BGR in 0-255 minus its mean, SD 1; ours is (RGB in 0-1 minus the same mean) / SD.
    sd = torch.tensor(IMAGENET_SD, dtype=torch.float64).reshape(1, 3, 1, 1)
    kernel = converted[_CONV1]
    converted[_CONV1] = (kernel.flip(1).double() * (255.0 * sd)).to(kernel.dtype)
    for kind in ("weight", "bias"):
        converted[CLASS_LOGITS + kind] = converted[CLASS_LOGITS + kind].roll(1, dims=0)
        boxes = converted[BOX_OFFSETS + kind]
        converted[BOX_OFFSETS + kind] = torch.cat([torch.zeros_like(boxes[:4]), boxes])
    return converted


def _detectron2_faster_rcnn_name(name: str) -> str:
    if name.startswith("backbone.bottom_up."):
        return detectron2_name(name)
    name = re.sub(r"backbone\.fpn_lateral(\d)\.", lambda m: f"{FPN}inner_blocks.{int(m[1]) - 2}.0.", name)
    name = re.sub(r"backbone\.fpn_output(\d)\.", lambda m: f"{FPN}layer_blocks.{int(m[1]) - 2}.0.", name)
    for theirs, ours in (
        ("proposal_generator.rpn_head.conv.", "rpn.head.conv.0.0."),
        ("proposal_generator.rpn_head.objectness_logits.", "rpn.head.cls_logits."),
        ("proposal_generator.rpn_head.anchor_deltas.", "rpn.head.bbox_pred."),
        ("roi_heads.box_head.fc1.", "roi_heads.box_head.fc6."),
        ("roi_heads.box_head.fc2.", "roi_heads.box_head.fc7."),
    ):
        name = name.replace(theirs, ours)
    return name


def _shape_facts(state: Mapping[str, Tensor]) -> dict[str, object]:
    """Settings that names and shapes tell; the place of strides and how regions are cut out they do not."""
    n_classes, representation_size = state[CLASS_LOGITS + "weight"].shape
    return {
        "backbone": backbone_of(state),
        "num_classes": n_classes - 1,
        "version": "v2" if "roi_heads.box_head.0.0.weight" in state else "v1",
        "num_anchors": len(state["rpn.head.cls_logits.weight"]),
        "fpn_channels": state["rpn.head.cls_logits.weight"].shape[1],
        "representation_size": representation_size,
    }


_CONVERTERS: dict[FasterRCNNLayout, Callable[[Mapping[str, Tensor]], dict[str, Tensor]]] = {
    "mammo-monai Faster R-CNN": dict,
    "torchvision Faster R-CNN v1": _from_torchvision,
    "torchvision Faster R-CNN v2": _from_torchvision,
    "Detectron2 Faster R-CNN": _from_detectron2,
}
_TORCHVISION: dict[str, object] = {
    "stride_in_1x1": False,
    "bn_eps": 1e-5,
    "input_normalisation": "imagenet",
    "roi_aligned": False,
    "roi_sampling_ratio": 2,
}
_LAYOUT_FACTS: dict[FasterRCNNLayout, dict[str, object]] = {
    "mammo-monai Faster R-CNN": {},
    "torchvision Faster R-CNN v1": {**_TORCHVISION, "bn_eps": 0.0},
    "torchvision Faster R-CNN v2": _TORCHVISION,
    "Detectron2 Faster R-CNN": {
        **_TORCHVISION,
        "stride_in_1x1": True,
        "roi_aligned": True,
        "roi_sampling_ratio": 0,
    },
}
