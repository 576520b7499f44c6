"""One training step of bundle cbis_mass_detection on a CPU: torch's own depthwise gradient against ours.

    python scripts/bench/bench_training_step.py [--repeats 5] [--threads 2] [--batch 8] [--height 768]
        [--width 384]

Same network, weights and images, bfloat16: forward, losses, backward and optimiser step. Prints the median of
both and their ratio. The steps alternate in one process, so a slow spell of the machine hits both.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import torch

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
        """Seconds of one step."""
        start = time.perf_counter()
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16):
            losses = self.detector(images, targets)
        sum(value.float() for value in losses.values()).backward()
        self.optimizer.step()
        return time.perf_counter() - start


def _keywords(definition: dict[str, Any]) -> dict[str, Any]:
    """A definition's plain values, without its target and its references."""
    return {
        name: value
        for name, value in definition.items()
        if name != "_target_" and not str(value).startswith("@")
    }


def made_batch(n: int, height: int, width: int) -> tuple[list[torch.Tensor], list[dict[str, torch.Tensor]]]:
    """Noise, each image with one lesion a sixth of its width wide."""
    torch.manual_seed(1)
    side = width // 6
    box = torch.tensor([[height / 3, width / 3, height / 3 + side, width / 3 + side]])
    images = [torch.rand(1, height, width) for _ in range(n)]
    return images, [{"box": box, "label": torch.zeros(1, dtype=torch.int64)} for _ in range(n)]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, default in (("repeats", 5), ("threads", 2), ("batch", 8), ("height", 768), ("width", 384)):
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    config = json.loads(CONFIG.read_text())
    sides = {"torch's gradient": Side(config, is_stock=True), "ours": Side(config, is_stock=False)}
    batch = made_batch(args.batch, args.height, args.width)
    times: dict[str, list[float]] = {name: [] for name in sides}
    for round_number in range(args.repeats + 1):
        for name, side in sides.items():
            seconds = side.step(*batch)
            if round_number > 0:
                times[name].append(seconds)
    medians = {name: statistics.median(values) for name, values in times.items()}
    print(f"{args.batch} × {args.height} × {args.width}, {args.threads} threads, torch {torch.__version__}")
    stock = next(iter(medians.values()))
    for name, seconds in medians.items():
        print(f"{name:>18}: {seconds:7.3f} s  x{seconds / stock:.2f}")


if __name__ == "__main__":
    main()
