"""False positives per normal image: counts, intervals, and their place in metrics.json."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from scipy.stats import poisson

from mammo_monai.errors import UndefinedMetricError
from mammo_monai.metrics import FrocRule, evaluate_detections, evaluate_files
from mammo_monai.metrics.matching import Matches
from mammo_monai.metrics.normals import false_positives_on_normals, poisson_interval
from mammo_monai.schema import Manifest, write_manifest
from tests.metrics.scenes import Scene, found, record, scenes

HIT, ASIDE = (0.0, 0.0, 4.0, 6.0), (6.0, 10.0, 9.0, 16.0)


def parts(scene: Scene) -> tuple[Matches, np.ndarray, np.ndarray]:
    return scene.matches(), *scene.normals_and_patients()


@settings(max_examples=40, deadline=None)
@given(scene=scenes())
def test_counts_agree_with_counting_by_hand(scene: Scene) -> None:
    matches, is_normal, patient = parts(scene)
    thresholds = {0.5: 0.9, 1.0: 0.25, 2.0: 0.1, 9.0: math.inf}
    if not is_normal.any():
        with pytest.raises(UndefinedMetricError, match="every image has a lesion"):
            false_positives_on_normals(matches, is_normal, patient, thresholds, FrocRule())
        return
    rule = FrocRule(n_bootstrap=20)
    points = false_positives_on_normals(matches, is_normal, patient, thresholds, rule)
    normals = [marks for lesions, marks in scene.plain() if not lesions]
    for point, (fppi, least) in zip(points, thresholds.items(), strict=True):
        count = sum(score >= least for marks in normals for _, score in marks)
        assert (point.fppi, point.score) == (fppi, least)
        assert point.false_positives_per_image == pytest.approx(count / len(normals))
        assert 0 <= point.low <= point.high


def test_patients_are_drawn_with_all_their_normal_images() -> None:
    # Patient p: two normal images with two marks each; q: one without. Draws: pp 2, pq 4/3, qq 0.
    records = [record(0, patient="p"), record(1, patient="p"), record(2, patient="q")]
    twice = ((HIT, 0.8), (ASIDE, 0.7))
    matches, is_normal, patient = parts(Scene(tuple(records), (found(0, *twice), found(1, *twice), found(2))))
    (point,) = false_positives_on_normals(matches, is_normal, patient, {1.0: 0.5}, FrocRule())
    assert point.false_positives_per_image == pytest.approx(4 / 3)
    assert (point.low, point.high, point.interval) == (0.0, 2.0, "bootstrap")


@pytest.mark.parametrize(
    ("patients", "n_bootstrap", "least"), [("pq", 0, 0.5), ("pp", 100, 0.5), ("pq", 100, 0.95)]
)
def test_where_resampling_says_nothing_the_interval_is_poissons(
    patients: str, n_bootstrap: int, least: float
) -> None:
    scene = Scene(
        tuple(record(n, patient=name) for n, name in enumerate(patients)), (found(0, (HIT, 0.9)), found(1))
    )
    rule = FrocRule(n_bootstrap=n_bootstrap)
    (point,) = false_positives_on_normals(*parts(scene), {1.0: least}, rule)
    count = int(least == 0.5)
    assert point.interval == "poisson"
    assert (point.low, point.high) == poisson_interval(count, 2)
    assert point.high > 0


@pytest.mark.parametrize("count", [0, 1, 7, 40])
@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_poissons_bounds_are_where_the_count_becomes_unlikely(count: int, confidence: float) -> None:
    low, high = (10 * bound for bound in poisson_interval(count, 10, confidence=confidence))
    tail = (1 - confidence) / 2
    assert poisson.cdf(count, high) == pytest.approx(tail)
    if count:
        assert poisson.sf(count - 1, low) == pytest.approx(tail)
    else:
        assert low == 0


def test_a_mean_over_no_image_is_undefined() -> None:
    with pytest.raises(UndefinedMetricError, match="a mean over 0 images is undefined"):
        poisson_interval(0, 0)


def test_metrics_hold_a_point_for_each_operating_point() -> None:
    records = [record(0, [HIT], patient="p"), record(1, patient="q"), record(2, patient="r")]
    detections = [found(0, (HIT, 0.8)), found(1, (ASIDE, 0.9), (HIT, 0.4)), found(2)]
    points = evaluate_detections(records, detections)["normal_images"]["points"]
    by_fppi = {point["fppi"]: point for point in points}
    # At 0.25 FPPI nothing may be shown: the best score is a false positive, a third per image.
    assert (by_fppi[0.25]["score"], by_fppi[0.25]["false_positives_per_image"]) == (None, 0)
    assert (by_fppi[0.5]["score"], by_fppi[0.5]["false_positives_per_image"]) == (0.8, 0.5)
    assert (by_fppi[1.0]["score"], by_fppi[1.0]["false_positives_per_image"]) == (0.4, 1.0)
    given_ = evaluate_detections(records, detections, thresholds={0.5: 0.85})["normal_images"]["points"]
    assert [(point["score"], point["false_positives_per_image"]) for point in given_] == [(0.85, 0.5)]


def test_without_normal_images_there_are_no_points() -> None:
    assert evaluate_detections([record(0, [HIT])], [found(0)])["normal_images"]["points"] == []


def test_thresholds_of_other_images_come_from_a_file(tmp_path: Path) -> None:
    from mammo_monai.files import sha256_of
    from mammo_monai.schema import write_detections

    records = (record(0), record(1))
    write_manifest(tmp_path / "manifest.json", Manifest(test=records))
    write_detections(tmp_path / "detections.json", [found(0, (HIT, 0.8)), found(1, (ASIDE, 0.3))], {})
    points = operating_points(tmp_path / "points.json", {0.5: 0.7, 1.0: 0.2})
    metrics = evaluate_files(
        tmp_path / "detections.json", tmp_path / "manifest.json", operating_points=points
    )
    rows = metrics["normal_images"]["points"]
    assert [(row["fppi"], row["score"], row["false_positives_per_image"]) for row in rows] == [
        (0.5, 0.7, 0.5),
        (1.0, 0.2, 1.0),
    ]
    assert metrics["inputs"]["operating_points_sha256"] == sha256_of(points)


def operating_points(path: Path, thresholds: dict[float, float]) -> Path:
    """An operating_points.json chosen on a hundred other images."""
    from mammo_monai.schema import OperatingPoint, OperatingPoints, write_operating_points

    points = tuple(OperatingPoint(fppi, least, 0.5, 0.4, 0.6) for fppi, least in thresholds.items())
    write_operating_points(path, OperatingPoints(points, None, {}, 100, 100, 100, "0" * 64, (None,)))
    return path
