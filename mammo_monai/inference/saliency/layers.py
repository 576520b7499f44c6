"""Where in a network class activation maps are taken if nobody says where."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from mammo_monai.inference.saliency.state import undisturbed


def stage_before_top(network: nn.Module) -> str:
    """The backbone's last stage but one (stride 16), by the network's own `parts`.

    Measured in docs/how-to/saliency.md. The pyramid's maps answer round the anchor whatever the image shows;
    the last stage is too coarse for small masses.

    Raises:
        ValueError: the network does not name its parts, or has no stage before its last one.
    """
    top = tuple(getattr(getattr(network, "parts", None), "top", ()))
    names = dict(network.named_modules())
    if top and top[0].rstrip(".") in names:
        parent, _, first = top[0].rstrip(".").rpartition(".")
        siblings = [name for name, _ in names[parent].named_children()]
        before = siblings.index(first) - 1
        if before >= 0:
            return f"{parent}.{siblings[before]}".lstrip(".")
    raise ValueError(
        f"{type(network).__name__} does not say which stage comes before its last one (parts.top): name the "
        "layer of the activation maps (--layer), or use guided_backprop or occlusion."
    )


def last_map_layer(network: nn.Module, images: Tensor) -> str:
    """The layer that gave the last map (B, C, h, w) with h, w > 1 when the network saw `images`.

    Of a container and its last child the container.

    Raises:
        ValueError: no layer gave a map.
    """
    found: list[str] = []
    with undisturbed(network), torch.no_grad():
        for name, layer in network.named_modules():
            if name:
                layer.register_forward_hook(_noting(name, found))
        network(images)
    if not found:
        raise ValueError(
            f"{type(network).__name__} has no layer with a map (B, C, h, w) for an activation map: use "
            "guided_backprop or occlusion."
        )
    return found[-1]


def _noting(name: str, found: list[str]) -> Callable[[nn.Module, object, object], None]:
    def hook(_layer: nn.Module, _given: object, output: object) -> None:
        if isinstance(output, Tensor) and output.ndim == 4 and min(output.shape[2:]) > 1:
            found.append(name)

    return hook
