"""Times a paired comparison of 1000 images × 100 detections, and a small one against the slow reference.

Run from the repository's root: python scripts/bench/bench_significance.py
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from harness import Comparison, bench_arguments, report

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mammo_monai.metrics import FrocRule, PairedMatches, match_pooled, paired_differences, pool_images
from mammo_monai.metrics.significance import resampled_difference, swapped_difference
from mammo_monai.records import Detections, Lesion
from tests.reference import froc_reference, significance_reference

Images = list[tuple[list[Lesion], Detections]]
RULE = FrocRule()


def made_images(n_images: int, n_detections: int) -> tuple[Images, Images]:
    """Up to two lesions an image; a tenth of each detector's detections lie near one."""
    rng = np.random.default_rng(0)
    truth = [made_boxes(rng, int(rng.integers(0, 3))) for _ in range(n_images)]
    lesions = [[Lesion(box=tuple(box)) for box in boxes.tolist()] for boxes in truth]
    first, second = (
        [(own, made_detections(rng, boxes, n_detections)) for own, boxes in zip(lesions, truth, strict=True)]
        for _ in range(2)
    )
    return first, second


def made_detections(rng: np.random.Generator, truth: np.ndarray, n_detections: int) -> Detections:
    boxes = made_boxes(rng, n_detections)
    if len(truth):
        near = rng.integers(len(truth), size=n_detections // 10)
        boxes[: len(near)] = truth[near] + rng.uniform(-10, 10, (len(near), 1))
    scores = np.round(rng.random(n_detections), 4)  # rounded, so that ties happen
    return Detections("", boxes, scores, np.zeros(n_detections, dtype=np.int64))


def made_boxes(rng: np.random.Generator, n: int) -> np.ndarray:
    corners = rng.uniform(0, 500, (n, 2))
    return np.concatenate([corners, corners + rng.uniform(20, 100, (n, 2))], axis=1)


def paired(first: Images, second: Images) -> PairedMatches:
    """Two images to a patient."""
    matches = [
        match_pooled(pool_images([found for _, found in images], [lesions for lesions, _ in images]))
        for images in (first, second)
    ]
    return PairedMatches(matches[0], matches[1], np.arange(len(first)) // 2)


def plain(images: Images) -> list[froc_reference.Image]:
    return [
        (
            [each.box for each in lesions],
            list(zip(map(tuple, found.boxes.tolist()), found.scores.tolist(), strict=True)),
        )
        for lesions, found in images
    ]


def ours(first: Images, second: Images, drawn: np.ndarray, swapped: np.ndarray) -> np.ndarray:
    """Differences at 1 FPPI in each draw of patients, then in each swap."""
    pair, rule = paired(first, second), replace(RULE, fppi=(1.0,))
    weights = np.stack([np.bincount(each, minlength=pair.n_patients) for each in drawn])
    parts = [resampled_difference(pair, weights, rule), swapped_difference(pair, swapped, rule)]
    return np.concatenate(parts)[:, 0]


def reference(first: Images, second: Images, drawn: np.ndarray, swapped: np.ndarray) -> np.ndarray:
    """The same, one replicate after the other."""
    both, patient = (plain(first), plain(second)), [n // 2 for n in range(len(first))]
    values = [significance_reference.drawn_difference(*both, patient, each.tolist(), 1.0) for each in drawn]
    values += [
        significance_reference.swapped_difference(*both, patient, set(np.flatnonzero(each).tolist()), [1.0])[
            0
        ]
        for each in swapped
    ]
    return np.array([np.nan if each is None else each for each in values])


def main() -> None:
    parser = bench_arguments(__doc__, repeats=1)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--detections", type=int, default=100)
    parser.add_argument("--replicates", type=int, default=1000)
    args = parser.parse_args()
    images = made_images(args.images, args.detections)
    start = time.process_time()
    pair = paired(*images)
    matched = time.process_time()
    rule = replace(RULE, n_bootstrap=args.replicates)
    mean = paired_differences(pair, rule, n_permutations=args.replicates)[0]
    print(
        f"ours: {args.images} images x {args.detections} detections, {args.replicates} draws and swaps: "
        f"matching {matched - start:.2f} s, test {time.process_time() - matched:.2f} s of CPU; "
        f"difference {mean.difference:+.3f} ({mean.low:+.3f} to {mean.high:+.3f}), p = {mean.p_value:.3f}"
    )
    small, rng = made_images(20, 10), np.random.default_rng(1)
    drawn, swapped = rng.integers(10, size=(5, 10)), rng.integers(2, size=(5, 10)).astype(bool)
    start = time.process_time()
    mine = ours(*small, drawn, swapped)
    fast = time.process_time() - start
    theirs = reference(*small, drawn, swapped)
    slow = time.process_time() - start - fast
    difference = float(np.nanmax(np.abs(mine - theirs)))
    report(
        Comparison(
            work="paired comparison, 20 images × 10 detections, 5 draws and 5 swaps",
            peer="slow reference",
            ours="paired_differences",
            seconds={"slow reference": [slow], "paired_differences": [fast]},
            target=None,
            equality={"largest difference": difference, "below 1e-9": difference < 1e-9},
        ),
        json=args.json,
    )


if __name__ == "__main__":
    main()
