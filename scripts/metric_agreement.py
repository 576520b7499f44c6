"""Our metrics against other implementations on random cases, as a Markdown table.

Run from the repository's root: python scripts/metric_agreement.py [--cases 300]

Every case is a set of images by its own seed: normal images, images without a mark, equal scores, several
marks on a lesion. What the others count differently stands in tests/reference/picai_metrics.py and in
`metrics.average_precision`; compared is what both define.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from sklearn import metrics as sklearn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mammo_monai.metrics.average_precision import COCO_MIN_IOU, average_precision, coco_average_precision
from mammo_monai.metrics.froc import froc_curve, sensitivity_at_fppi
from mammo_monai.metrics.matching import match_pooled
from mammo_monai.metrics.normal_curve import normal_images_curve
from mammo_monai.metrics.overlap_sweep import SWEEP_FPPI, SWEEP_MIN_IOU, sweep_overlap
from mammo_monai.metrics.pooling import PooledImages, pool_records
from mammo_monai.metrics.precision_recall import precision_recall_at
from mammo_monai.metrics.roc import roc_auc, roc_curve
from mammo_monai.metrics.rule import OPERATING_FPPI, FrocRule
from tests.metrics.random_scenes import APART_SIZE, apart, crowded
from tests.metrics.scenes import Scene
from tests.reference import (
    coco_reference,
    froc_reference,
    picai_metrics,
    precision_recall_reference,
    pycocotools_ap,
)

RULE = FrocRule(n_bootstrap=0)
SCORES = (3, 20, 100_000)  # distinct scores of a case: nearly all tie, many do, none does
Values = Sequence[float | None]


@dataclass(frozen=True)
class Comparison:
    """Two ways to one quantity: each gives numbers of a scene, None or NaN where undefined."""

    implementation: str
    quantity: str
    ours: Callable[[Scene], Values]
    theirs: Callable[[Scene], Values]
    scene: Callable[[int], Scene]
    n_cases: int


def pooled(scene: Scene) -> PooledImages:
    return pool_records(scene.records, scene.detections)


def many(seed: int) -> Scene:
    return crowded(seed, n_scores=SCORES[seed % len(SCORES)])


def few(seed: int) -> Scene:
    """Small enough for references that match all images again at every score."""
    return crowded(seed, n_images=6, n_scores=SCORES[seed % len(SCORES)])


def coco_figures(scene: Scene) -> Values:
    found = coco_average_precision(pooled(scene))
    return [*found.values, found.ap]


def pycocotools_figures(scene: Scene) -> Values:
    values = pycocotools_ap.average_precisions(scene.plain())
    return [*values, float(np.mean(values))]


def curve(scene: Scene, min_iou: float = 0.2) -> Values:
    """FPPI and sensitivity at every score, then the sensitivity at each operating point."""
    found = froc_curve(match_pooled(pooled(scene), min_iou=min_iou))
    at_points = [sensitivity_at_fppi(found, each) for each in OPERATING_FPPI]
    return [*found.points[:, :2].ravel().tolist(), *at_points]


def with_operating_points(points: Sequence[tuple[float, float]]) -> Values:
    points = list(dict.fromkeys(points))  # a score of double hits alone makes no step
    at_points = [max(value for fppi, value in points if fppi <= each) for each in OPERATING_FPPI]
    return [*np.ravel(points).tolist(), *at_points]


def picai_curve(rows: dict[int, picai_metrics.Rows]) -> Values:
    return with_operating_points([(0.0, 0.0), *picai_metrics.froc(rows)])


def steps(scene: Scene, min_iou: float = 0.2) -> Values:
    matches = match_pooled(pooled(scene), min_iou=min_iou)
    return [average_precision(matches, is_interpolated=False, count_double_hits=False)]


def same_matches(scene: Scene) -> dict[int, picai_metrics.Rows]:
    return picai_metrics.rows_of_matches(match_pooled(pooled(scene)))


def painted(scene: Scene) -> dict[int, picai_metrics.Rows]:
    return picai_metrics.rows_of_boxes(scene.plain(), APART_SIZE, 0.5)


def precision_recall(scene: Scene) -> Values:
    images = pooled(scene)
    patient = np.arange(images.n_images)
    points = precision_recall_at(match_pooled(images), (0.1, 0.3, 0.5, 0.9, 1.0, np.inf), patient, RULE)
    return [each for point in points for each in (point.precision, point.recall, point.f1)]


def slow_precision_recall(scene: Scene) -> Values:
    counts = (
        precision_recall_reference.counts_at(scene.plain(), each, False)
        for each in (0.1, 0.3, 0.5, 0.9, 1.0, np.inf)
    )
    return [each for count in counts for each in precision_recall_reference.figures(*count)]


def sweep(scene: Scene) -> Values:
    images = pooled(scene)
    return sweep_overlap(images, np.arange(images.n_images), RULE).sensitivity.ravel().tolist()


def slow_sweep(scene: Scene) -> Values:
    curves = [froc_reference.froc(scene.plain(), each, False) for each in SWEEP_MIN_IOU]
    return [froc_reference.sensitivity_at(each, fppi) for fppi in SWEEP_FPPI for each in curves]


def normals(scene: Scene) -> Values:
    images = pooled(scene)
    found = normal_images_curve(match_pooled(images), ~images.has_lesion, np.arange(images.n_images), RULE)
    return [*found.score.tolist(), *found.false_positives_per_image.tolist()]


def slow_normals(scene: Scene) -> Values:
    marks = [[score for _, score in found] for lesions, found in scene.plain() if not lesions]
    scores = sorted({*(n / 100 for n in range(1, 100)), *(score for each in marks for score in each)})
    return [*scores, *(sum(s >= least for each in marks for s in each) / len(marks) for least in scores)]


def with_normal_image(seed: int) -> Scene:
    found = few(seed)
    bare = replace(found.records[0], lesions=())
    return Scene((bare, *found.records[1:]), found.detections)


def comparisons(n: int) -> list[Comparison]:
    slow = max(1, n // 10)  # cases of a reference that takes its time
    return [
        Comparison(
            "pycocotools", "AP at .5 … .95 and their mean", coco_figures, pycocotools_figures, many, n
        ),
        Comparison(
            "picai_eval", "FROC of the same matches", curve, lambda s: picai_curve(same_matches(s)), many, n
        ),
        Comparison(
            "picai_eval",
            "AP of the same matches (steps, no envelope)",
            steps,
            lambda s: [picai_metrics.average_precision(same_matches(s))],
            many,
            n,
        ),
        Comparison(
            "picai_eval",
            "FROC from label maps, IoU > 0.5",
            lambda s: curve(s, 0.5),
            lambda s: picai_curve(painted(s)),
            apart,
            n,
        ),
        Comparison(
            "picai_eval",
            "AP from label maps, IoU > 0.5 (steps, no envelope)",
            lambda s: steps(s, 0.5),
            lambda s: [picai_metrics.average_precision(painted(s))],
            apart,
            n,
        ),
        Comparison(
            "slow reference",
            "FROC",
            curve,
            lambda s: with_operating_points(froc_reference.froc(s.plain(), 0.2, False)),
            few,
            n,
        ),
        Comparison(
            "slow reference",
            "AP (area under the envelope), IoU > 0.5",
            lambda s: [average_precision(match_pooled(pooled(s), min_iou=0.5))],
            lambda s: [froc_reference.average_precision(s.plain(), 0.5)],
            few,
            n,
        ),
        Comparison(
            "slow reference",
            "COCO's AP at .5 … .95",
            lambda s: coco_average_precision(pooled(s)).values,
            lambda s: [coco_reference.average_precision(s.plain(), each) for each in COCO_MIN_IOU],
            few,
            slow,
        ),
        Comparison(
            "slow reference",
            "precision, recall, F1 at a score",
            precision_recall,
            slow_precision_recall,
            few,
            n,
        ),
        Comparison("slow reference", "sensitivity against minimum IoU", sweep, slow_sweep, few, slow),
        Comparison(
            "slow reference", "false positives per normal image", normals, slow_normals, with_normal_image, n
        ),
    ]


def roc_rows(n_cases: int) -> Iterator[tuple[str, str, int, float]]:
    """scikit-learn's ROC against ours, of sixty units at a time."""
    of_area = of_curve = 0.0
    for seed in range(n_cases):
        rng = np.random.default_rng(seed)
        is_positive = rng.permutation(np.arange(60) < rng.integers(1, 60))
        scores = rng.integers(0, SCORES[seed % len(SCORES)] + 1, 60) / SCORES[seed % len(SCORES)]
        of_area = max(of_area, abs(roc_auc(scores, is_positive) - sklearn.roc_auc_score(is_positive, scores)))
        ours = roc_curve(scores, is_positive)
        theirs = np.stack(sklearn.roc_curve(is_positive, scores, drop_intermediate=False)[:2])
        of_curve = max(of_curve, float(np.abs(np.stack([ours.fpr, ours.tpr]) - theirs).max()))
    yield "scikit-learn", "ROC curve, every point", n_cases, of_curve
    yield "scikit-learn", "ROC AUC", n_cases, of_area


def largest_difference(comparison: Comparison) -> float:
    """Over all cases; infinite where one side defines a figure that the other does not."""
    worst = 0.0
    for seed in range(comparison.n_cases):
        scene = comparison.scene(seed)
        ours, theirs = (
            np.array([np.nan if each is None else each for each in side(scene)], dtype=np.float64)
            for side in (comparison.ours, comparison.theirs)
        )
        if ours.shape != theirs.shape or (np.isnan(ours) != np.isnan(theirs)).any():
            return np.inf
        worst = max(worst, float(np.nanmax(np.abs(ours - theirs), initial=0.0)))
    return worst


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=300, help="of each fast comparison (%(default)s)")
    args = parser.parse_args()
    rows = [*roc_rows(args.cases)]
    for each in comparisons(args.cases):
        rows.append((each.implementation, each.quantity, each.n_cases, largest_difference(each)))
    print("| implementation | quantity | cases | largest difference |\n|---|---|---:|---:|")
    for implementation, quantity, n_cases, worst in rows:
        print(f"| {implementation} | {quantity} | {n_cases} | {worst:.1e} |")
    return int(any(worst > 1e-6 for *_, worst in rows))


if __name__ == "__main__":
    sys.exit(main())
