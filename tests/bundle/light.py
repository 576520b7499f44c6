"""The light network with few channels, what its training stores, and the files a bundle of it holds."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from mammo_monai.networks import MammoRetinaNet, retinanet_network

SETTINGS: dict[str, Any] = {
    "backbone": "efficientnet_lite0",
    "head_norm": "gn16",
    "fpn_channels": 16,
    "bn_eps": 0.001,
    "input_normalisation": "half",
}
RECIPE = {"preset": "fixed_portrait", "size_px": 768, "intensity": "percentile"}
LINEAGE = {
    "bundle": "light",
    "init": "imagenet",
    "init_sha256": "",
    "manifest_sha256": "b" * 64,
    "freeze": "all_but_stem",
    "learning_rate": "0.001",
    "seed": "3",
    "recipe": json.dumps(RECIPE),
    "epoch": "13",
}
FILES = ("model.safetensors", "operating_points.json", "SHA256SUMS")


def small_network(seed: int = 0) -> MammoRetinaNet:
    """The light network with few channels, one of them dead as in weights from photographs."""
    torch.manual_seed(seed)
    network = retinanet_network(**SETTINGS)
    for norm in (layer for layer in network.modules() if isinstance(layer, torch.nn.BatchNorm2d)):
        norm.running_var.uniform_(0.5, 2.0)
        norm.running_mean.uniform_(0.1, 1.0)
        norm.running_var[0] = 1e-15
    return network


def settled_network() -> MammoRetinaNet:
    """The same with norms that have seen images, as after a training; one channel is dead in its kernel.

    Norms whose statistics are not those of their inputs amplify every rounding, layer by layer.
    """
    torch.manual_seed(0)
    network = retinanet_network(**SETTINGS).train()
    for norm in (layer for layer in network.modules() if isinstance(layer, torch.nn.BatchNorm2d)):
        norm.momentum = None  # the mean over all batches
    with torch.no_grad():
        network.feature_extractor.body.conv_stem.weight[0] *= 1e-10
        for _ in range(2):
            network(torch.rand((4, 1, 256, 128)))
    return network.eval()


def points_of(weights_sha256: str) -> dict[str, Any]:
    point = {"fppi": 0.5, "threshold": 0.4, "sensitivity": 0.7, "low": 0.6, "high": 0.8}
    return {
        "schema": "mammo-monai/operating-points/1",
        "rule": {"min_iou": 0.2},
        "n_images": 4,
        "n_lesions": 3,
        "n_patients": 2,
        "manifest_sha256": "b" * 64,
        "weights_sha256": [weights_sha256],
        "points": [point],
        "calibration": None,
    }


def edit(bundle: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = bundle / "configs" / "metadata.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def metadata_of(bundle: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((bundle / "configs" / "metadata.json").read_text())
    return content


def contents(bundle: Path) -> dict[str, bytes]:
    return {
        path.relative_to(bundle).as_posix(): path.read_bytes() for path in bundle.rglob("*") if path.is_file()
    }
