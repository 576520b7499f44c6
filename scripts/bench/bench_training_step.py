"""A training step of RetinaNet ResNet-50: MONAI's own detector and loop against ours, same loss and weights.

    python scripts/bench/bench_training_step.py [--size 800] [--batch 2] [--matcher atss] [--device cpu]
    python scripts/bench/bench_training_step.py --loss [--steps 60] [--seeds 3] [--loss-size 256]
    python scripts/bench/bench_training_step.py --depthwise [--batch 8]
    python scripts/bench/bench_training_step.py --profile

The peer (`stock_training.py`) trains in float32, ours in bfloat16 with weights in channels_last, and in
float32 beside it. All layers train, Adam, no clipping, on both sides. Images are padded to multiples of 64
there and of 128 here, so 800 × 800 is 832 × 832 there and 896 × 896 here: ours does 16 % more pixels.

--loss: both sides train alike on phantoms, the same films in the same order, and their last losses are
compared with the spread over seeds. --depthwise: one step of cbis_mass_detection, torch's own depthwise
gradient against ours. --profile: where both sides' time goes, by torch.profiler.
"""

from __future__ import annotations

import argparse
import copy
import statistics
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from depthwise_training import compare_depthwise
from harness import Comparison, alternate, bench_arguments, report
from stock_training import OurSide, Sample, StockSide, paired_networks, same_levels
from torch.profiler import ProfilerActivity, profile

STOCK, OURS, OURS_FP32 = "MONAI's detector and loop, fp32", "ours, bf16", "ours, fp32"
RATE = 1e-4
TAIL = 10  # the last loss is the mean of so many steps


def made_batch(n: int, height: int, width: int) -> list[Sample]:
    """Noise, each image with one lesion a sixth of its width wide."""
    torch.manual_seed(1)
    side = width // 6
    box = torch.tensor([[height / 3, width / 3, height / 3 + side, width / 3 + side]])
    label = torch.zeros(1, dtype=torch.int64)
    return [
        {"image": torch.rand(1, height, width), "box": box, "label": label, "record_id": f"{number:016x}"}
        for number in range(n)
    ]


def film(seed: int, size: int) -> Sample:
    """A drawn breast with one round mass, a bright disc that fades towards its rim; every fifth without."""
    generator = torch.Generator().manual_seed(seed)
    rows, cols = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    breast = ((rows - size / 2) / (size * 0.45)) ** 2 + (cols / (size * 0.8)) ** 2 < 1
    image = breast * 0.3 + 0.08 * torch.rand(size, size, generator=generator)
    boxes = torch.zeros(0, 4)
    if seed % 5:
        radius = size * (0.06 + 0.06 * float(torch.rand((), generator=generator)))
        row, col = (size * (0.3 + 0.4 * float(torch.rand((), generator=generator))) for _ in range(2))
        distance = ((rows - row) ** 2 + (cols - col) ** 2).sqrt()
        image = image + 0.5 * (1 - (distance / radius) ** 2).clamp(min=0)
        boxes = torch.tensor([[row - radius, col - radius, row + radius, col + radius]])
    label = torch.zeros(len(boxes), dtype=torch.int64)
    return {"image": image[None].clamp(0, 1), "box": boxes, "label": label, "record_id": f"{seed:016x}"}


def compare_steps(args: argparse.Namespace) -> Comparison:
    """Seconds of a step, and the first step's loss in float32 of both."""
    batch = made_batch(args.batch, args.size, args.size)
    stock_network, network = paired_networks(0)
    difference = same_levels(stock_network, network)
    options: dict[str, Any] = {"learning_rate": RATE, "device": args.device, "matcher": args.matcher}
    sides: dict[str, Callable[[], float]] = {
        STOCK: partial(StockSide(stock_network, **options).step, batch),
        OURS_FP32: partial(OurSide(copy.deepcopy(network), precision="fp32", **options).step, batch),
        OURS: partial(OurSide(network, precision="bf16", **options).step, batch),
    }
    wait = torch.cuda.synchronize if args.device.startswith("cuda") else None
    seconds = alternate(sides, args.repeats, warm_up=1, synchronize=wait)
    return Comparison(
        work=f"training step, RetinaNet ResNet-50, {args.size} px square, batch {args.batch}, {args.device}",
        peer=STOCK,
        ours=OURS,
        seconds=seconds,
        target=1.8 if args.device == "cpu" else None,
        equality={
            "head maps P3 to P5 agree (float32, largest difference)": difference,
            "they agree to 1e-3": difference < 1e-3,
        },
        extra={
            f"images per second, {name}": args.batch / statistics.median(values)
            for name, values in seconds.items()
        },
    )


def compare_losses(args: argparse.Namespace) -> Comparison:
    """Both trained alike from the same weights, seed by seed; a seed draws weights and films."""
    last: dict[str, list[float]] = {STOCK: [], OURS: []}
    seconds: dict[str, list[float]] = {STOCK: [], OURS: []}
    for seed in range(args.seeds):
        stock_network, network = paired_networks(seed)
        options: dict[str, Any] = {"learning_rate": RATE, "device": args.device, "matcher": args.matcher}
        sides: dict[str, StockSide | OurSide] = {
            STOCK: StockSide(stock_network, **options),
            OURS: OurSide(network, precision="bf16", **options),
        }
        losses: dict[str, list[float]] = {STOCK: [], OURS: []}
        for step in range(args.steps):
            start = (seed * args.steps + step) * args.batch
            batch = [film(number, args.loss_size) for number in range(start, start + args.batch)]
            kept = {name: _kept(side.step, batch, losses[name]) for name, side in sides.items()}
            times = alternate(kept, 1, warm_up=0)
            for name, values in times.items():
                seconds[name] += values
        for name, values in losses.items():
            last[name].append(statistics.fmean(values[-TAIL:]))
            print(f"seed {seed}, {name}: loss {values[0]:.3f} → {last[name][-1]:.4f}", flush=True)
    spread = max(max(values) - min(values) for values in last.values())
    apart = abs(statistics.fmean(last[STOCK]) - statistics.fmean(last[OURS]))
    return Comparison(
        work=f"{args.steps} training steps on phantoms of {args.loss_size} px, {args.seeds} seeds",
        peer=STOCK,
        ours=OURS,
        seconds=seconds,
        target=None,
        equality={"the means of the last losses differ by less than the spread over seeds": apart <= spread},
        extra={
            **{f"last loss, {name}": statistics.fmean(values) for name, values in last.items()},
            "spread over seeds (largest − smallest)": spread,
            "difference of the means": apart,
        },
    )


def _kept(step: Callable[[Any], float], batch: Any, losses: list[float]) -> Callable[[], None]:
    return lambda: losses.append(step(batch))


def show_profiles(args: argparse.Namespace) -> None:
    """The twenty costliest operators of one step of each side."""
    batch = made_batch(args.batch, args.size, args.size)
    stock_network, network = paired_networks(0)
    options: dict[str, Any] = {"learning_rate": RATE, "device": args.device, "matcher": args.matcher}
    for name, side in (
        (STOCK, StockSide(stock_network, **options)),
        (OURS, OurSide(network, precision="bf16", **options)),
    ):
        side.step(batch)
        with profile(activities=[ProfilerActivity.CPU]) as seen:
            side.step(batch)
        print(name)
        print(
            seen.key_averages().table(sort_by="self_cpu_time_total", row_limit=20, max_name_column_width=60)
        )


def main() -> None:
    parser = bench_arguments(__doc__, repeats=3)
    for name, default in (("size", 800), ("steps", 60), ("seeds", 3), ("loss-size", 256)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--batch", type=int, help="2, or 8 with --depthwise")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--matcher", choices=("atss", "iou"), default="atss", help="of both sides")
    for name in ("loss", "depthwise", "profile"):
        parser.add_argument(f"--{name}", action="store_true", help="this part instead")
    args = parser.parse_args()
    args.batch = args.batch or (8 if args.depthwise else 2)
    if args.threads:
        torch.set_num_threads(args.threads)
    if args.profile:
        show_profiles(args)
    elif args.depthwise:
        report(compare_depthwise(args.batch, args.repeats), json=args.json)
    else:
        report(compare_losses(args) if args.loss else compare_steps(args), json=args.json)


if __name__ == "__main__":
    main()
