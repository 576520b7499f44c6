"""Times FROC, average precision and their bootstrap on 10 000 images × 100 detections, and others' on fewer.

Run from the repository's root: python scripts/bench/bench_froc.py [--json FILE]

picai_eval scores matches that are made already, in fewer images: it counts all detections again at every
score. The slow reference matches from boxes, in few. Targets: 2 s, 20 s with 1 000 draws of patients, 1 GB,
twenty times as fast as picai_eval. Seconds are of processor time, which other work on the machine leaves
as they are.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from harness import Comparison, bench_arguments, report

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mammo_monai.metrics import FrocRule, froc_curve, match_pooled, pool_images, sensitivity_at_fppi
from mammo_monai.metrics.average_precision import average_precision, coco_average_precision
from mammo_monai.metrics.bootstrap import sensitivity_intervals
from mammo_monai.metrics.matching import Matches
from mammo_monai.metrics.overlap_sweep import SWEEP_BOOTSTRAP, sweep_overlap
from mammo_monai.metrics.pooling import PooledImages
from mammo_monai.records import Detections, Lesion
from tests.reference import froc_reference

Images = list[tuple[list[Lesion], Detections]]
TARGET_S, TARGET_BOOTSTRAP_S, TARGET_GB, TARGET_RATIO = 2.0, 20.0, 1.0, 20.0


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
        scores = (
            rng.integers(1, 10_001, n_detections) / 10_000
        )  # so few that ties happen; picai_eval has no 0
        images.append((lesions, Detections(str(n), found, scores, np.zeros(n_detections, dtype=np.int64))))
    return images


def made_boxes(rng: np.random.Generator, n: int) -> np.ndarray:
    corners = rng.uniform(0, 500, (n, 2))
    return np.concatenate([corners, corners + rng.uniform(20, 100, (n, 2))], axis=1)


def pooled(images: Images) -> PooledImages:
    return pool_images([found for _, found in images], [lesions for lesions, _ in images])


def ours(images: Images) -> list[float]:
    """Sensitivity at 1 FPPI and AP50, from boxes."""
    flat = pooled(images)
    curve = froc_curve(match_pooled(flat, min_iou=0.2))
    return [sensitivity_at_fppi(curve, 1.0), average_precision(match_pooled(flat, min_iou=0.5))]


def with_intervals(images: Images, n_draws: int) -> list[float]:
    """The same, and the bounds at every operating point, two images to a patient."""
    flat, rule = pooled(images), FrocRule(n_bootstrap=n_draws)
    matches = match_pooled(flat, min_iou=0.2)
    bounds = sensitivity_intervals(matches, np.arange(len(images)) // 2, rule)
    figures = [
        sensitivity_at_fppi(froc_curve(matches), 1.0),
        average_precision(match_pooled(flat, min_iou=0.5)),
    ]
    return [*figures, *(value for each in bounds for value in (each.low, each.high))]


def coco(images: Images) -> list[float]:
    return [coco_average_precision(pooled(images)).ap]


def swept(images: Images, n_draws: int) -> list[float]:
    rule = FrocRule(n_bootstrap=n_draws)
    return sweep_overlap(pooled(images), np.arange(len(images)) // 2, rule).sensitivity[0].tolist()


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


def ours_of_matches(matches: Matches) -> np.ndarray:
    """The points of the curve, then the average precision of picai_eval: steps without an envelope."""
    points = froc_curve(matches).points[1:, :2].ravel()
    return np.append(points, average_precision(matches, is_interpolated=False, count_double_hits=False))


def timed(work: Callable[..., Any], *inputs: Any) -> tuple[float, Any]:
    start = time.process_time()
    figures = work(*inputs)
    return time.process_time() - start, figures


def against_picai(n_images: int, n_detections: int, figures: dict[str, float]) -> Comparison:
    """Both sides on the same matches; what is fed to picai_eval is made before its clock starts."""
    from tests.reference import picai_metrics  # noqa: PLC0415  # its packages are none of our peak

    def theirs_of_rows(rows: dict[int, Any]) -> np.ndarray:
        return np.append(np.ravel(picai_metrics.froc(rows)), picai_metrics.average_precision(rows))

    matches = match_pooled(pooled(made_images(n_images, n_detections)))
    rows = picai_metrics.rows_of_matches(matches)
    ours_of_matches(matches)  # once, so that neither side pays for what is loaded first
    fast, mine = timed(ours_of_matches, matches)
    slow, theirs = timed(theirs_of_rows, rows)
    difference = float(np.abs(mine - theirs).max())
    return Comparison(
        work=f"FROC and AP of the same matches, {n_images} images × {n_detections} detections",
        peer="picai_eval",
        ours="froc_curve + average_precision",
        seconds={"picai_eval": [slow], "froc_curve + average_precision": [fast]},
        target=TARGET_RATIO,
        equality={"largest difference": difference, "below 1e-5 (float32 on its side)": difference < 1e-5},
        extra=figures,
    )


def against_reference() -> Comparison:
    small = made_images(20, 10)
    (fast, mine), (slow, theirs) = timed(ours, small), timed(reference, small)
    difference = max(abs(a - b) for a, b in zip(mine, theirs, strict=True))
    return Comparison(
        work="FROC and AP from boxes, 20 images × 10 detections",
        peer="slow reference",
        ours="froc_curve + average_precision",
        seconds={"slow reference": [slow], "froc_curve + average_precision": [fast]},
        target=None,
        equality={"largest difference": difference, "below 1e-9": difference < 1e-9},
    )


def alone(images: Images, n_draws: int) -> dict[str, float]:
    """Our times on the large set; `peak_gb` is the process's so far, the made images included."""
    size = f"{len(images)} images x {len(images[0][1].scores)} detections"
    plain, _ = timed(ours, images)
    print(f"FROC + AP50 from boxes, {size}: {plain:.2f} s (target {TARGET_S:g})")
    drawn, _ = timed(with_intervals, images, n_draws)
    print(f"the same with {n_draws} draws of patients: {drawn:.2f} s (target {TARGET_BOOTSTRAP_S:g})")
    ten, _ = timed(coco, images)
    print(f"COCO's AP at ten limits: {ten:.2f} s")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"peak memory, made images included: {peak:.2f} GB (target {TARGET_GB:g})")
    sweep, _ = timed(swept, images, n_draws)
    n_sweep = min(n_draws, SWEEP_BOOTSTRAP)
    print(f"sensitivity against 19 limits of IoU, {n_sweep} draws each: {sweep:.2f} s")
    return {
        "froc_and_ap_s": plain,
        "target_s": TARGET_S,
        "with_bootstrap_s": drawn,
        "target_with_bootstrap_s": TARGET_BOOTSTRAP_S,
        "coco_ap_s": ten,
        "overlap_sweep_s": sweep,
        "peak_gb": peak,
        "target_gb": TARGET_GB,
    }


def main() -> None:
    parser = bench_arguments(__doc__, repeats=1)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--detections", type=int, default=100)
    parser.add_argument("--draws", type=int, default=1000, help="of patients (%(default)s)")
    parser.add_argument(
        "--picai-images", type=int, default=2000, help="for picai_eval (%(default)s); 0: none"
    )
    args = parser.parse_args()
    figures = alone(made_images(args.images, args.detections), args.draws)
    comparisons = [against_reference()]
    if args.picai_images:
        comparisons.append(against_picai(args.picai_images, args.detections, figures))
    report(comparisons, json=args.json)


if __name__ == "__main__":
    main()
