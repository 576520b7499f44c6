"""The mass probability map dense, sliding in batches, and sliding patch by patch: time, correlation, boxes.

    python scripts/bench/bench_probability_map.py --backbone resnet18 --size 1400 2200
    python scripts/bench/bench_probability_map.py --weights patch.safetensors --dense-head dense.safetensors

All ways see the same image and weights, in turn, round after round, so that other load on the machine falls
on all; the ratio is the median over rounds, against sliding in batches. Ratios travel between machines,
seconds do not. Correlations are Pearson's, with the dense pass's patches each shown on its own: `centres`
over the patches in the breast (dense mode alone has the same ones), `map` over all breast pixels. Without
--weights the network is random, with batch norms that have seen the image: what it says about correlation
does not carry over to trained weights; docs/explanation/probability-map.md has those.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor, nn

from mammo_monai.inference.patch_grid import PatchGrid, in_breast, sliding_grid
from mammo_monai.inference.patch_scores import mass_probability, sliding_scores
from mammo_monai.inference.probability_grid import ProbabilityGrid
from mammo_monai.inference.probability_map import probability_map_inferer
from mammo_monai.networks.classifiers import PatchNetwork, image_classifier, patch_network
from mammo_monai.networks.weights import load_weights

MIN_SHARE = 0.25


def patch_by_patch(network: PatchNetwork, image: Tensor, patch_px: int, stride_px: int) -> ProbabilityGrid:
    """P3's sentences as a loop: cut a patch, show it, keep its probability."""
    grid = sliding_grid(*image.shape[1:], patch_px=patch_px, stride_px=stride_px)
    wanted = in_breast(grid, image, min_share=MIN_SHARE)
    values = np.zeros(wanted.shape, dtype=np.float32)
    padded = grid.padded(image)
    with torch.inference_mode():
        for row, col in np.argwhere(wanted):
            top, left = int(grid.rows[row] - grid.rows[0]), int(grid.cols[col] - grid.cols[0])
            patch = padded[None, :, top : top + patch_px, left : left + patch_px]
            values[row, col] = float(mass_probability(network(patch))[0])
    return ProbabilityGrid(grid, values)


def breast_image(width: int, height: int, seed: int) -> Tensor:
    """Half an ellipse of smooth texture on black, chest wall at the left, some bright round masses."""
    rng = np.random.default_rng(seed)
    rows, cols = np.mgrid[0:height, 0:width]
    inside = (cols / width) ** 2 + ((rows - height / 2) / (height / 2)) ** 2 < 1
    texture = ndimage.zoom(rng.random((height // 16 + 2, width // 16 + 2)), 16, order=1)[:height, :width]
    image = 0.2 + 0.4 * texture
    for _ in range(6):
        x, y, radius = rng.uniform(0.1, 0.6) * width, rng.uniform(0.25, 0.75) * height, rng.uniform(15, 60)
        image += 0.3 * np.exp(-((cols - x) ** 2 + (rows - y) ** 2) / (2 * radius**2))
    return torch.from_numpy((image * inside).clip(0.001, 1).astype(np.float32) * inside)[None].float()


def one_by_one(network: PatchNetwork, image: Tensor, grid: PatchGrid, batch_size: int) -> ProbabilityGrid:
    """The patches of a dense pass, each shown as a picture of its own."""
    wanted = in_breast(grid, image, min_share=MIN_SHARE)
    with torch.inference_mode():
        return ProbabilityGrid(grid, sliding_scores(network, image, grid, wanted, batch_size=batch_size))


def timed(work: Callable[[], ProbabilityGrid], device: str) -> tuple[float, ProbabilityGrid]:
    """Seconds and the result."""
    start = time.perf_counter()
    result = work()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter() - start, result


def settle(network: nn.Module, image: Tensor, patch_px: int) -> None:
    """Gives a random network's batch norms the statistics of this image, so that its output varies."""
    grid = sliding_grid(*image.shape[1:], patch_px=patch_px, stride_px=patch_px)
    windows = grid.padded(image)[0].unfold(0, patch_px, patch_px).unfold(1, patch_px, patch_px)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
    network.train()
    with torch.no_grad():
        network(windows.reshape(-1, 1, patch_px, patch_px)[:32])
    network.eval()


def correlation(one: np.ndarray, other: np.ndarray, where: np.ndarray) -> float:
    """Pearson's, over the places that count; NaN where a map does not vary."""
    return float(np.corrcoef(one[where], other[where])[0, 1])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backbone", default="resnet18")
    parser.add_argument("--contrast", default="none")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--dense-head", type=Path)
    parser.add_argument("--patch", type=int, default=224)
    parser.add_argument("--stride", type=int, default=56)
    parser.add_argument("--size", type=int, nargs=2, default=(1000, 1600), metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--tile", type=int, default=1536)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--without-loop", action="store_true", help="leave out patch by patch")
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    width, height = args.size
    image = breast_image(width, height, args.seed).to(args.device)
    network = patch_network(args.backbone, patch_px=args.patch, contrast=args.contrast).to(args.device).eval()
    if args.weights:
        load_weights(network, args.weights)
    else:
        settle(network, image, args.patch)
    classifier = image_classifier(network).eval()
    make = partial(probability_map_inferer, batch_size=args.batch, min_breast_share=MIN_SHARE)
    sliding, dense = (
        make(classifier, "sliding", stride_px=args.stride),
        make(classifier, "dense", tile_px=args.tile, dense_head=args.dense_head),
    )
    works: dict[str, Callable[[], ProbabilityGrid]] = {
        "sliding, batches": partial(sliding.patch_probabilities, image),
        "dense": partial(dense.patch_probabilities, image),
    }
    if not args.without_loop:
        works["sliding, patch by patch"] = partial(patch_by_patch, network, image, args.patch, args.stride)
    rounds = [
        {name: timed(work, args.device) for name, work in works.items()} for _ in range(args.repeats + 1)
    ]
    last, base = rounds[-1], "sliding, batches"
    breast = (image[0] > 0).cpu().numpy()
    reference = one_by_one(network, image, last["dense"][1].grid, args.batch)
    print(
        f"{'way':26s} {'patches':>8s} {'seconds':>8s} {'ratio':>6s} {'centres':>8s} {'map':>6s} {'boxes':>6s}"
    )
    for name in works:
        seconds = statistics.median(each[name][0] for each in rounds[1:])  # the first round warms up
        ratio = statistics.median(each[name][0] / each[base][0] for each in rounds[1:])
        grid = last[name][1]
        on_map = correlation(grid.sampled(), reference.sampled(), breast)
        centres = float("nan")
        if name == "dense":
            centres = correlation(grid.values, reference.values, reference.values > 0)
        boxes = len((dense if name == "dense" else sliding).candidates(grid, image)["box"])
        print(
            f"{name:26s} {int((grid.values > 0).sum()):8d} {seconds:8.2f} {ratio:6.2f} {centres:8.3f} "
            f"{on_map:6.3f} {boxes:6d}"
        )


if __name__ == "__main__":
    main()
