"""Is the loader the bottleneck? Seconds per image of cbis_mass_detection's loader against its training step.

    python scripts/bench/bench_loader.py MANIFEST [--images 32] [--workers 2]

Reads the first training films of a manifest (films or prepared copies, see `mammo-monai prepare`) through the
bundle's preprocessing and strong augmentation: cold (each film read and prepared), and from the cache that
its `cache_rate` 1 fills at the start. The step is the bundle's own: bfloat16, batches of eight.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import torch
from depthwise_training import CONFIG, Side
from harness import Comparison, alternate, bench_arguments, report

from mammo_monai.data import MammogramDataset, data_loader, load_samples
from mammo_monai.transforms import training_transforms

BATCH = 8


def read_all(loader: Any) -> None:
    for _ in loader:
        pass


def step_all(side: Side, images: list[torch.Tensor], targets: list[dict[str, torch.Tensor]], n: int) -> None:
    for _ in range(n // BATCH):
        side.step(images, targets)


def loaders_of(manifest: Path, config: dict[str, Any], args: Any) -> dict[str, Any]:
    """The bundle's loader over the first films: cold, with worker processes, cached."""
    samples = load_samples(manifest, "training", labels=[0])[: args.images]
    names = ("preset", "size_px", "intensity", "region", "augment", "enlarge")
    transform = training_transforms(**{name: config[name] for name in names})
    cold, cached = (MammogramDataset(samples, transform, cache_rate=rate) for rate in (0.0, 1.0))
    made = partial(data_loader, batch_size=BATCH, shuffle=True)
    return {
        "loader, cold": made(cold),
        f"loader, cold, {args.workers} workers": made(cold, num_workers=args.workers),
        "loader, cached": made(cached),
    }


def main() -> None:
    parser = bench_arguments(__doc__, repeats=3)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--images", type=int, default=32, help="a multiple of 8")
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    config = json.loads(CONFIG.read_text(encoding="utf-8"))
    loaders = loaders_of(args.manifest, config, args)
    first = next(iter(loaders["loader, cached"]))
    images = [sample["image"] for sample in first]
    targets = [{"box": sample["box"], "label": sample["label"]} for sample in first]
    step = partial(step_all, Side(config, is_stock=False), images, targets, args.images)
    sides = {"training step": step, **{name: partial(read_all, each) for name, each in loaders.items()}}
    seconds = alternate(sides, args.repeats, warm_up=1)
    comparison = Comparison(
        work=f"{args.images} films of {args.manifest.parent.name}: training steps against their loader",
        peer="training step",
        ours="loader, cold",
        seconds=seconds,
        target=1.0,
        equality={"images per batch": BATCH},
    )
    rates = {f"images per second, {name}": args.images / comparison.median(name) for name in seconds}
    report(Comparison(**{**vars(comparison), "extra": rates}), json=args.json)


if __name__ == "__main__":
    main()
