"""Whole detector, image to boxes: this package against torchvision's RetinaNet on the same weights.

    python scripts/bench/bench_forward.py [--repeats 7] [--threads 2] [--height 1024] [--width 832]

Prints the median of both in float32, and ours with channels_last, with bfloat16 and with both, each as a
ratio to torchvision in float32. Runs alternate in one process, so a slow spell of the machine hits all.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torchvision.models.detection import retinanet_resnet50_fpn

from mammo_monai.networks import convert_state_dict, retinanet_detector, retinanet_network
from mammo_monai.networks.detector import MammoRetinaNetDetector


def medians(sides: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median milliseconds of each side, alternating, after one warm-up round."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for round_number in range(repeats + 1):
        for name, run in sides.items():
            start = time.perf_counter()
            run()
            if round_number >= 1:
                times[name].append(1000 * (time.perf_counter() - start))
    return {name: statistics.median(values) for name, values in times.items()}


def our_detector(theirs: torch.nn.Module) -> MammoRetinaNetDetector:
    network = retinanet_network("resnet50", num_classes=1)
    network.load_state_dict({**network.state_dict(), **convert_state_dict(theirs.state_dict()).state})
    return retinanet_detector(network).eval()


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, default in (("repeats", 7), ("threads", 2), ("height", 1024), ("width", 832)):
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    theirs = retinanet_resnet50_fpn(
        weights=None, weights_backbone=None, num_classes=1, size_divisible=128
    ).eval()
    theirs.transform.resize = lambda image, target: (image, target)
    ours, last = our_detector(theirs), our_detector(theirs).to(memory_format=torch.channels_last)
    grey = torch.rand(1, args.height, args.width)
    colour = grey.expand(3, -1, -1)

    def in_bfloat16(detector: MammoRetinaNetDetector) -> object:
        with torch.autocast("cpu", torch.bfloat16):
            return detector([grey])

    result = medians(
        {
            "torchvision float32": lambda: theirs([colour]),
            "ours float32": lambda: ours([grey]),
            "ours channels_last": lambda: last([grey]),
            "ours bfloat16": lambda: in_bfloat16(ours),
            "ours bfloat16 + channels_last": lambda: in_bfloat16(last),
        },
        args.repeats,
    )
    print(f"1 x {args.height} x {args.width}, {args.threads} threads, torch {torch.__version__}")
    for name, value in result.items():
        print(f"{name:>30}: {value:8.0f} ms  x{value / result['torchvision float32']:.2f}")


if __name__ == "__main__":
    main()
