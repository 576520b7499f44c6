"""Overlap of `breast_region` with expert outlines, film by film.

    python scripts/bench/bench_breast_region.py FOLDER --method otsu --above 64

FOLDER holds images/NAME.png and labels/NAME*.png of the same size; label values above --above are breast.
Prints IoU, seconds per film, and their mean, lowest and 10th percentile. With --choose it also repeats the
choice of the two threshold numbers by five-fold cross-validation (20 random divisions; slow).
"""

from __future__ import annotations

import argparse
import itertools
import time
from pathlib import Path
from unittest import mock

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mammo_monai.imaging import breast, breast_region

Pair = tuple[str, NDArray[np.generic], NDArray[np.bool_]]
LOG_OFFSETS, FILM_SHARES = (0.5, 1.0, 2.0, 3.0, 4.0), (0.06, 0.08, 0.10, 0.12)


def pairs(folder: Path, above: int) -> list[Pair]:
    found = []
    for path in sorted((folder / "images").glob("*.png")):
        labels = sorted((folder / "labels").glob(f"{path.stem}*.png"))
        if len(labels) != 1:
            raise SystemExit(f"{path}: expected one label {path.stem}*.png in labels/, found {len(labels)}.")
        found.append((path.stem, grey(path), grey(labels[0]) > above))
    if not found:
        raise SystemExit(f"{folder}: expected images/*.png, found none.")
    return found


def grey(path: Path) -> NDArray[np.generic]:
    array = np.asarray(Image.open(path))
    return array if array.ndim == 2 else array[..., 0]


def overlap(region: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    return float((region & truth).sum() / max((region | truth).sum(), 1))


def print_films(films: list[Pair], method: breast.Method) -> None:
    values, seconds = [], []
    print(f"{'film':32} {'IoU':>6} {'s':>6}")
    for name, image, truth in films:
        start = time.perf_counter()
        region = breast_region(image, method)
        seconds.append(time.perf_counter() - start)
        values.append(overlap(region, truth))
        print(f"{name:32} {values[-1]:6.3f} {seconds[-1]:6.3f}")
    mean, tenth = np.mean(values), np.percentile(values, 10)
    print(f"{len(films)} films: IoU mean {mean:.4f}, lowest {min(values):.3f}, 10th percentile {tenth:.3f}")
    print(f"median {np.median(seconds):.3f} s per film")


def print_choice(films: list[Pair]) -> None:
    """Cross-validates the two numbers: chosen on four fifths of the films, scored on the fifth."""
    grid = list(itertools.product(LOG_OFFSETS, FILM_SHARES))
    table = np.array([overlaps(films, offset, share) for offset, share in grid])
    held_out: list[float] = []
    rng = np.random.default_rng(0)
    for _ in range(20):
        for fold in np.array_split(rng.permutation(len(films)), 5):
            rest = np.setdiff1d(np.arange(len(films)), fold)
            held_out.extend(table[table[:, rest].mean(axis=1).argmax(), fold])
    for (offset, share), row in zip(grid, table, strict=True):
        print(f"log offset {offset:g}/255, share {share:.2f}: mean {row.mean():.4f}, lowest {row.min():.3f}")
    print(f"held-out films: mean {np.mean(held_out):.4f}, lowest {min(held_out):.3f}")


def overlaps(films: list[Pair], offset: float, share: float) -> list[float]:
    numbers = {"_LOG_OFFSET": offset / 255, "_FILM_SHARE": share}
    with mock.patch.multiple(breast, **numbers):
        return [overlap(breast_region(image), truth) for _, image, truth in films]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--method", choices=("otsu", "global"), default="otsu")
    parser.add_argument("--above", type=int, default=64)
    parser.add_argument("--choose", action="store_true")
    arguments = parser.parse_args()
    films = pairs(arguments.folder, arguments.above)
    print_films(films, arguments.method)
    if arguments.choose:
        print_choice(films)


if __name__ == "__main__":
    main()
