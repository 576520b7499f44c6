"""The mass probability map dense and sliding in batches (and patch by patch): time and correlation.

    python scripts/bench/bench_probability_map.py --backbone resnet18 --size 1400 2200
    python scripts/bench/bench_probability_map.py --weights patch.safetensors --dense-head dense.safetensors

All ways see the same image and weights. Correlations are Pearson's: at equal centres with the dense pass's
patches each shown on its own, and of the whole maps over all breast pixels. Without --weights the network is
random, with batch norms that have seen the image: its time is that of any weights, what it says about
correlation does not carry over to trained ones; docs/explanation/probability-map.md has those.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from harness import Comparison, alternate, bench_arguments, report
from scipy import ndimage
from torch import Tensor, nn

from mammo_monai.inference.patch_grid import PatchGrid, in_breast, sliding_grid
from mammo_monai.inference.patch_scores import mass_probability, sliding_scores
from mammo_monai.inference.probability_grid import ProbabilityGrid
from mammo_monai.inference.probability_map import probability_map_inferer
from mammo_monai.networks.classifiers import PatchNetwork, image_classifier, patch_network
from mammo_monai.networks.weights import load_weights

MIN_SHARE, MIN_CORRELATION, TARGET = 0.25, 0.95, 8.0
Ways = dict[str, Callable[[], ProbabilityGrid]]
SLIDING, DENSE = "sliding, batches", "dense"


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


def maps_of(args: argparse.Namespace, image: Tensor) -> tuple[Ways, PatchNetwork]:
    """The ways to the patches' probabilities, and the network they share."""
    network = patch_network(args.backbone, patch_px=args.patch, contrast=args.contrast).to(args.device).eval()
    if args.weights:
        load_weights(network, args.weights)
    else:
        settle(network, image, args.patch)
    classifier = image_classifier(network).eval()
    make = partial(probability_map_inferer, batch_size=args.batch, min_breast_share=MIN_SHARE)
    sliding = make(classifier, "sliding", stride_px=args.stride)
    dense = make(classifier, "dense", tile_px=args.tile, dense_head=args.dense_head)
    ways: Ways = {
        SLIDING: partial(sliding.patch_probabilities, image),
        DENSE: partial(dense.patch_probabilities, image),
    }
    if args.with_loop:
        ways["sliding, patch by patch"] = partial(patch_by_patch, network, image, args.patch, args.stride)
    return ways, network


def evidence(
    ways: Ways, network: PatchNetwork, image: Tensor, args: argparse.Namespace
) -> dict[str, bool | float | str]:
    """How well the dense map agrees: with its own patches shown singly, and with the map it replaces."""
    dense, sliding = ways[DENSE](), ways[SLIDING]()
    single = one_by_one(network, image, dense.grid, args.batch)
    breast = (image[0] > 0).cpu().numpy()
    found: dict[str, bool | float | str] = {
        "correlation at equal centres": correlation(dense.values, single.values, single.values > 0),
        "correlation of the maps, dense and sliding": correlation(dense.sampled(), sliding.sampled(), breast),
        "patches, dense and sliding": " and ".join(
            str(int((each.values > 0).sum())) for each in (dense, sliding)
        ),
    }
    if args.weights:  # of random weights correlations say nothing, see the module
        found["map at least .95"] = found["correlation of the maps, dense and sliding"] >= MIN_CORRELATION
    else:
        found["weights"] = "random: docs/explanation/probability-map.md has trained ones"
    return found


def main() -> None:
    parser = bench_arguments(__doc__, repeats=2)
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
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--with-loop", action="store_true", help="also patch by patch, which takes minutes")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    width, height = args.size
    image = breast_image(width, height, args.seed).to(args.device)
    ways, network = maps_of(args, image)
    wait = torch.cuda.synchronize if args.device.startswith("cuda") else None
    seconds = alternate(ways, args.repeats, synchronize=wait)
    comparison = Comparison(
        work=f"probability map, {width} × {height}, {args.backbone}, {args.patch} px every {args.stride}",
        peer=SLIDING,
        ours=DENSE,
        seconds=seconds,
        target=TARGET,
        equality=evidence(ways, network, image, args),
    )
    report(comparison, json=args.json)


if __name__ == "__main__":
    main()
