"""Overlap of `breast_region` and `pectoral_muscle` with expert outlines, film by film.

    python scripts/bench/bench_breast_region.py FOLDER --method otsu --above 64 --muscle 255

FOLDER holds images/NAME.png and labels/NAME*.png of the same size; label values above --above are breast, the
value --muscle is pectoral muscle. Prints IoU and seconds of processor time per film, and their mean, lowest
and 10th percentile; of the muscle also Dice. A film whose label has no muscle counts 1 if none is found, else
0. With --choose it also repeats the choice of the numbers by five-fold cross-validation (20 random divisions;
slow).
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mammo_monai.imaging import breast, breast_region, pectoral, pectoral_muscle

Mask = NDArray[np.bool_]
REGION_GRID = {"_LOG_OFFSET": (0.5 / 255, 1 / 255, 2 / 255, 3 / 255), "_FILM_SHARE": (0.06, 0.08, 0.10, 0.12)}
MUSCLE_GRID = {
    "_SMOOTHING": (1.5 / 240, 2 / 240, 3 / 240),
    "_EDGE_LIMIT": (0.06, 0.10, 0.15),
    "_LENGTH_POWER": (0.2, 0.3, 0.4),
}


@dataclass(frozen=True, eq=False)
class Film:
    """Pixels and expert outlines, all of shape (H, W)."""

    name: str
    pixels: NDArray[np.generic]
    breast: Mask
    muscle: Mask


def films_of(folder: Path, above: int, muscle: int) -> list[Film]:
    found = []
    for path in sorted((folder / "images").glob("*.png")):
        labels = sorted((folder / "labels").glob(f"{path.stem}*.png"))
        if len(labels) != 1:
            raise SystemExit(f"{path}: expected one label {path.stem}*.png in labels/, found {len(labels)}.")
        label = grey(labels[0])
        found.append(Film(path.stem, grey(path), label > above, label == muscle))
    if not found:
        raise SystemExit(f"{folder}: expected images/*.png, found none.")
    return found


def grey(path: Path) -> NDArray[np.uint16]:
    array = np.asarray(Image.open(path), dtype=np.uint16)
    return array if array.ndim == 2 else array[..., 0]


def overlap(found: Mask, truth: Mask) -> float:
    union = int((found | truth).sum())
    return float((found & truth).sum() / union) if union else 1.0


def print_films(films: Sequence[Film], method: breast.Method) -> None:
    rows = []
    print(f"{'film':32} {'breast IoU':>10} {'s':>6} {'muscle IoU':>10} {'Dice':>6} {'s':>6}")
    for film in films:
        start = time.process_time()
        region = breast_region(film.pixels, method)
        between = time.process_time()
        found = pectoral_muscle(film.pixels, region) if region.any() else region
        end = time.process_time()
        muscle = overlap(found, film.muscle)
        dice = 2 * muscle / (1 + muscle)
        rows.append((overlap(region, film.breast), between - start, muscle, dice, end - between))
        print("{:32} {:10.3f} {:6.3f} {:10.3f} {:6.3f} {:6.3f}".format(film.name, *rows[-1]))
    table = np.array(rows)
    for name, column in (("breast IoU", 0), ("muscle IoU", 2), ("muscle Dice", 3)):
        values = table[:, column]
        print(
            f"{name}, {len(films)} films: mean {values.mean():.4f}, median {np.median(values):.3f}, "
            f"lowest {values.min():.3f}, 10th percentile {np.percentile(values, 10):.3f}"
        )
    print(
        f"median {np.median(table[:, 1]):.3f} s for the breast, {np.median(table[:, 4]):.3f} s for the muscle"
    )


def print_choice(
    module: ModuleType, grid: Mapping[str, Sequence[float]], overlaps: Callable[[], list[float]]
) -> None:
    """Cross-validates a module's numbers: chosen on four fifths of the films, scored on the fifth."""
    choices: list[dict[str, Any]] = [
        dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())
    ]
    rows = []
    for choice in choices:
        with mock.patch.multiple(module, **choice):
            rows.append(overlaps())
        named = ", ".join(f"{name} {value:.4f}" for name, value in choice.items())
        print(f"{named}: mean {np.mean(rows[-1]):.4f}, lowest {min(rows[-1]):.3f}")
    table, held_out = np.array(rows), list[float]()
    rng = np.random.default_rng(0)
    for _ in range(20):
        for fold in np.array_split(rng.permutation(table.shape[1]), 5):
            rest = np.setdiff1d(np.arange(table.shape[1]), fold)
            held_out.extend(table[table[:, rest].mean(axis=1).argmax(), fold])
    print(f"{module.__name__}, held-out films: mean {np.mean(held_out):.4f}, lowest {min(held_out):.3f}")


def main() -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--method", choices=("otsu", "global"), default="otsu")
    parser.add_argument("--above", type=int, default=64)
    parser.add_argument("--muscle", type=int, default=255)
    parser.add_argument("--choose", action="store_true")
    arguments = parser.parse_args()
    films = films_of(arguments.folder, arguments.above, arguments.muscle)
    print_films(films, arguments.method)
    if arguments.choose:
        print_choice(
            breast, REGION_GRID, lambda: [overlap(breast_region(film.pixels), film.breast) for film in films]
        )
        regions = [(film, breast_region(film.pixels)) for film in films]
        print_choice(
            pectoral,
            MUSCLE_GRID,
            lambda: [overlap(pectoral_muscle(film.pixels, region), film.muscle) for film, region in regions],
        )


if __name__ == "__main__":
    main()
