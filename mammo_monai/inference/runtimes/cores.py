"""What of a network an engine computes: from normalised images to maps; and the network around it.

Normalisation and padding stay in torch: what lies outside an image is 0 after it, whatever the engine, and an
engine sees one tensor (B, 3, H, W). What follows the maps (boxes, regions, class layers) stays in torch too.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn

from mammo_monai.networks.classifiers import PatchNetwork, WholeImageNetwork
from mammo_monai.networks.faster_rcnn import MammoFasterRCNN
from mammo_monai.networks.retinanet import MammoRetinaNet

Run = Callable[[Tensor], list[Tensor]]  # normalised images (B, 3, H, W) to maps, float32
M = TypeVar("M", bound=nn.Module)


class HeadMaps(nn.Module):
    """RetinaNet from normalised images on: logits of all levels, then offsets of all levels."""

    n_outputs = 10

    def __init__(self, network: MammoRetinaNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, normalised: Tensor) -> tuple[Tensor, ...]:
        """Maps of images (B, 3, H, W), H and W multiples of 128."""
        c3, c4, c5 = self.network.feature_extractor.body_maps(normalised)
        maps = list(self.network.feature_extractor.fpn({"0": c3, "1": c4, "2": c5}).values())
        return (*self.network.classification_head(maps), *self.network.regression_head(maps))


class BackboneMaps(nn.Module):
    """The backbone of a patch or whole-image classifier."""

    n_outputs = 1

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, normalised: Tensor) -> tuple[Tensor, ...]:
        """Features (B, C, h, w), in a tuple."""
        return (self.backbone(normalised),)


class OnEngine(nn.Module):
    """A module whose answer comes from an engine; it keeps the torch module, whose weights are its own."""

    def __init__(self, source: nn.Module, run: Run) -> None:
        super().__init__()
        self.source = source
        self._run = run

    def forward(self, normalised: Tensor) -> Tensor:
        """The one map of `BackboneMaps`."""
        return self._run(normalised)[0]


class RetinaNetOnEngine(OnEngine):
    """RetinaNet whose head maps come from an engine; the contract of `MammoRetinaNet.forward`."""

    def __init__(self, source: MammoRetinaNet, run: Run) -> None:
        super().__init__(source, run)
        self.settings = source.settings
        self.num_classes, self.num_anchors = source.num_classes, source.num_anchors
        self.cls_key, self.box_reg_key = source.cls_key, source.box_reg_key

    @property
    def feature_extractor(self) -> Any:
        """torch's own: it normalises."""
        return self.source.feature_extractor

    def forward(  # type: ignore[override]  # the contract of another network
        self, images: Tensor, image_sizes: list[tuple[int, int]] | None = None
    ) -> dict[str, list[Tensor]]:
        """As `MammoRetinaNet.forward`."""
        return self.head_maps(self.feature_extractor.normalised(images, image_sizes))

    def head_maps(self, normalised: Tensor) -> dict[str, list[Tensor]]:
        """As `head_maps`."""
        maps = self._run(normalised)
        half = len(maps) // 2
        return {self.cls_key: maps[:half], self.box_reg_key: maps[half:]}


def head_maps(network: nn.Module, normalised: Tensor) -> dict[str, list[Tensor]]:
    """Head maps of normalised images (B, 3, H, W), of a RetinaNet on whatever engine; finest level first."""
    if isinstance(network, RetinaNetOnEngine):
        return network.head_maps(normalised)
    retinanet = cast(MammoRetinaNet, network)
    maps = HeadMaps(retinanet)(normalised)
    half = len(maps) // 2
    return {retinanet.cls_key: list(maps[:half]), retinanet.box_reg_key: list(maps[half:])}


def core_of(network: nn.Module) -> HeadMaps | BackboneMaps:
    """What an engine computes of a network.

    Raises:
        TypeError: a network of which nothing is known to leave torch.
    """
    if isinstance(network, MammoRetinaNet):
        return HeadMaps(network)
    if isinstance(network, PatchNetwork | WholeImageNetwork):
        return BackboneMaps(network.backbone)
    two_stages = " Faster R-CNN's second stage has a size of its own for every image."
    raise TypeError(
        f"engines other than torch compute RetinaNet, patch and whole-image classifiers, got "
        f"{type(network).__name__}.{two_stages if isinstance(network, MammoFasterRCNN) else ''} "
        "Take engine torch."
    )


def network_around(network: M, run: Run) -> nn.Module:
    """The network with its core computed by `run`; the network itself is left as it is."""
    if isinstance(network, MammoRetinaNet):
        return RetinaNetOnEngine(network, run)
    return with_child(network, "backbone", OnEngine(cast(nn.Module, network.backbone), run))


def with_child(module: M, name: str, child: nn.Module) -> M:
    """A shallow copy of a module with one child replaced; all else is shared."""
    twin = copy.copy(module)
    twin.__dict__["_modules"] = {**module._modules, name: child}
    return twin


def torch_run(core: nn.Module) -> Run:
    """The core computed by torch itself."""
    return lambda normalised: list(core(normalised))


def example_inputs(core: HeadMaps | BackboneMaps) -> list[Tensor]:
    """Normalised images to compare engines on: two batch sizes, neither square, noise of a fixed seed."""
    generator = torch.Generator().manual_seed(0)
    shapes = ((1, 3, 384, 256), (2, 3, 256, 128))
    return [torch.randn(shape, generator=generator) for shape in shapes]
