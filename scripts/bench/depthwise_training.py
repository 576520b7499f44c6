"""A training step of bundle cbis_mass_detection on a CPU: torch's own depthwise gradient against ours.

Same network, weights and images, bfloat16: forward, losses, backward and optimiser step. Part of
`bench_training_step.py --depthwise`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from harness import Comparison, alternate

from mammo_monai.networks import apply_freezing, retinanet_detector, retinanet_network
from mammo_monai.networks.depthwise import DepthwiseConv2d
from mammo_monai.networks.detector import MammoRetinaNetDetector

CONFIG = Path(__file__).parents[2] / "bundles" / "cbis_mass_detection" / "configs" / "train.json"


class StockDepthwiseConv2d(DepthwiseConv2d):
    """The same layer with torch's own gradient."""

    def _has_slow_gradient(self, x: torch.Tensor) -> bool:
        return False


class Side:
    """A detector of the bundle's configuration with its optimiser; `step` trains it once."""

    def __init__(self, config: dict[str, Any], *, is_stock: bool) -> None:
        torch.manual_seed(0)
        network = retinanet_network(**_keywords(config["network_def"]))
        if is_stock:
            for layer in network.modules():
                if isinstance(layer, DepthwiseConv2d):
                    layer.__class__ = StockDepthwiseConv2d
        parts = apply_freezing(network, config["freeze"], frozen_norm=config["frozen_norm"])
        settings = {**_keywords(config["detector"]), "score_threshold": config["score_threshold"]}
        self.detector: MammoRetinaNetDetector = retinanet_detector(network, **settings).train()
        self.optimizer = torch.optim.AdamW(parts.parameters, lr=1e-5)

    def step(self, images: list[torch.Tensor], targets: list[dict[str, torch.Tensor]]) -> float:
        """The loss of one step."""
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16):
            losses = self.detector(images, targets)
        loss = torch.stack([value.float() for value in losses.values()]).sum()
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own
        self.optimizer.step()
        return float(loss.detach())


def _keywords(definition: dict[str, Any]) -> dict[str, Any]:
    """A definition's plain values, without its target and its references."""
    return {
        name: value
        for name, value in definition.items()
        if name != "_target_" and not str(value).startswith("@")
    }


def compare_depthwise(batch: int, repeats: int, height: int = 768, width: int = 384) -> Comparison:
    """Seconds of a step with either gradient, and both first losses."""
    config = json.loads(CONFIG.read_text(encoding="utf-8"))
    torch.manual_seed(1)
    side = width // 6
    box = torch.tensor([[height / 3, width / 3, height / 3 + side, width / 3 + side]])
    images = [torch.rand(1, height, width) for _ in range(batch)]
    targets = [{"box": box, "label": torch.zeros(1, dtype=torch.int64)} for _ in range(batch)]
    made = {"torch's gradient": Side(config, is_stock=True), "ours": Side(config, is_stock=False)}
    first = {name: each.step(images, targets) for name, each in made.items()}
    steps: dict[str, Callable[[], float]] = {
        name: partial(each.step, images, targets) for name, each in made.items()
    }
    return Comparison(
        work=f"training step of cbis_mass_detection, {batch} × {height} × {width}, bf16",
        peer="torch's gradient",
        ours="ours",
        seconds=alternate(steps, repeats, warm_up=1),
        target=None,
        equality={"first losses agree to 1e-3": abs(first["ours"] / first["torch's gradient"] - 1) < 1e-3},
    )
