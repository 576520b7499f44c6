"""Post-processing time: this package's selection against torchvision's, on the same head outputs.

    python scripts/bench/bench_postprocess.py [--repeats 30] [--threads 2] [--height 1024] [--width 832]

Prints, for empty images (no score above the threshold) to busy ones (thousands), the median of both and their
ratio; below 1 ours is faster. Runs alternate in one process, so a slow spell of the machine hits both.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torchvision.models.detection import retinanet_resnet50_fpn

from mammo_monai.geometry.axes import xyxy_to_rowcol
from mammo_monai.networks.anchors import GridAnchors
from mammo_monai.networks.selection import HeadOutput, SelectionRule, select_boxes

STRIDES = (8, 16, 32, 64, 128)


def medians(sides: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median milliseconds of each side, alternating, after three warm-up rounds."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for round_number in range(repeats + 3):
        for name, run in sides.items():
            start = time.perf_counter()
            run()
            if round_number >= 3:
                times[name].append(1000 * (time.perf_counter() - start))
    return {name: statistics.median(values) for name, values in times.items()}


def head_maps(height: int, width: int, batch: int, mean_logit: float) -> tuple[list[Tensor], Tensor, Tensor]:
    """Feature maps (for their sizes), logits (B, N, 1) and (x, y, w, h) offsets (B, N, 4)."""
    generator = torch.Generator().manual_seed(0)
    maps = [torch.zeros(batch, 1, -(-height // s), -(-width // s)) for s in STRIDES]
    n_anchors = 9 * sum(level.shape[2] * level.shape[3] for level in maps)
    logits = mean_logit + torch.randn((batch, n_anchors, 1), generator=generator)
    return maps, logits, 0.3 * torch.randn((batch, n_anchors, 4), generator=generator)


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, default in (("repeats", 30), ("threads", 2), ("height", 1024), ("width", 832), ("batch", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    theirs = retinanet_resnet50_fpn(weights=None, weights_backbone=None, num_classes=1).eval()
    sizes = [(args.height, args.width)] * args.batch
    print(f"{args.batch} x {args.height} x {args.width}, {args.threads} threads, torch {torch.__version__}")
    for case, mean_logit in (("empty", -10.0), ("usual", -6.0), ("busy", -2.0)):
        maps, logits, offsets = head_maps(args.height, args.width, args.batch, mean_logit)
        anchors = GridAnchors()(torch.zeros(args.batch, 1, args.height, args.width), maps)[0]
        per_level = [9 * level.shape[2] * level.shape[3] for level in maps]
        output = HeadOutput(logits, xyxy_to_rowcol(offsets), anchors, per_level)
        split = {
            "cls_logits": list(logits.split(per_level, dim=1)),
            "bbox_regression": list(offsets.split(per_level, dim=1)),
        }
        their_anchors = [list(xyxy_to_rowcol(anchors).split(per_level))] * args.batch
        result = medians(
            {
                "ours": lambda: select_boxes(output, sizes, SelectionRule()),  # noqa: B023
                "torchvision": lambda: theirs.postprocess_detections(split, their_anchors, sizes),  # noqa: B023
            },
            args.repeats,
        )
        ours, torchvision = result["ours"], result["torchvision"]
        print(f"{case:>6}: ours {ours:7.2f} ms  torchvision {torchvision:7.2f} ms  x{ours / torchvision:.2f}")


if __name__ == "__main__":
    main()
