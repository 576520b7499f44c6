"""Times FROC and AP50 on 10 000 images × 100 detections, and against the slow reference at a smaller size.

Run from the repository's root: python scripts/bench/bench_froc.py
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mammo_monai.metrics import average_precision, froc_curve, match_pooled, pool_images, sensitivity_at_fppi
from mammo_monai.records import Detections, Lesion
from tests.reference import froc_reference

Images = list[tuple[list[Lesion], Detections]]


def made_images(n_images: int, n_detections: int, seed: int = 0) -> Images:
    """Up to two lesions an image; a tenth of the detections lie near one."""
    rng = np.random.default_rng(seed)
    images: Images = []
    for n in range(n_images):
        boxes = made_boxes(rng, int(rng.integers(0, 3)))
        lesions = [Lesion(box=tuple(box)) for box in boxes.tolist()]
        found = made_boxes(rng, n_detections)
        if lesions:
            near = rng.integers(len(lesions), size=n_detections // 10)
            found[: len(near)] = boxes[near] + rng.uniform(-10, 10, (len(near), 1))
        scores = np.round(rng.random(n_detections), 4)  # rounded, so that ties happen
        images.append((lesions, Detections(str(n), found, scores, np.zeros(n_detections, dtype=np.int64))))
    return images


def made_boxes(rng: np.random.Generator, n: int) -> np.ndarray:
    corners = rng.uniform(0, 500, (n, 2))
    return np.concatenate([corners, corners + rng.uniform(20, 100, (n, 2))], axis=1)


def ours(images: Images) -> list[float]:
    pooled = pool_images([found for _, found in images], [lesions for lesions, _ in images])
    curve = froc_curve(match_pooled(pooled, min_iou=0.2))
    return [sensitivity_at_fppi(curve, 1.0), average_precision(match_pooled(pooled, min_iou=0.5))]


def reference(images: Images) -> list[float]:
    plain = [
        (
            [each.box for each in lesions],
            list(zip(map(tuple, found.boxes.tolist()), found.scores.tolist(), strict=True)),
        )
        for lesions, found in images
    ]
    sensitivity = froc_reference.sensitivity_at(froc_reference.froc(plain, 0.2, False), 1.0)
    return [sensitivity, froc_reference.average_precision(plain, 0.5)]


def timed(work: Callable[[Images], list[float]], images: Images) -> tuple[float, list[float]]:
    start = time.perf_counter()
    figures = work(images)
    return time.perf_counter() - start, figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--detections", type=int, default=100)
    args = parser.parse_args()
    seconds, figures = timed(ours, made_images(args.images, args.detections))
    print(f"ours: {args.images} images x {args.detections} detections: {seconds:.2f} s, {figures}")
    small = made_images(20, 10)
    (fast, mine), (slow, theirs) = timed(ours, small), timed(reference, small)
    print(f"20 images x 10 detections: ours {fast:.4f} s, reference {slow:.3f} s, ratio {slow / fast:.0f}")
    print(f"largest difference: {max(abs(a - b) for a, b in zip(mine, theirs, strict=True)):.1e}")


if __name__ == "__main__":
    main()
