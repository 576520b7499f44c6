"""The content of metrics.json."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammo_monai.errors import ManifestError, UndefinedMetricError
from mammo_monai.metrics import FrocRule, evaluate_detections
from mammo_monai.records import Lesion
from mammo_monai.schema import read_metrics, write_metrics
from tests.metrics.scenes import Scene, found, record, scenes
from tests.reference import froc_reference

HIT, OTHER, ASIDE = (0.0, 0.0, 4.0, 6.0), (5.0, 0.0, 9.0, 6.0), (6.0, 10.0, 9.0, 16.0)
QUICK = FrocRule(n_bootstrap=0)


@pytest.fixture
def metrics() -> dict:
    """Two lesions of one patient, one found twice; a normal image of another with one false positive."""
    records = [record(0, [HIT, OTHER], patient="p", spacing=(1.0, 10.0)), record(1, patient="q")]
    detections = [found(1, (ASIDE, 0.4)), found(0, (ASIDE, 0.2), (HIT, 0.8), (HIT, 0.6))]
    return evaluate_detections(records, detections, rule=FrocRule(n_bootstrap=50))


def test_counts_are_of_images_normals_patients_and_lesions(metrics: dict) -> None:
    names = ("n_images", "n_normal_images", "n_patients", "n_lesions", "n_detections")
    assert [metrics[name] for name in names] == [2, 1, 2, 2, 4]


def test_the_curve_is_kept_by_its_corners(metrics: dict) -> None:
    froc = metrics["froc"]
    assert froc["fppi"] == [0, 0, 1]
    assert froc["sensitivity"] == [0, 0.5, 0.5]
    assert froc["score"] == [None, 0.8, 0.2]


def test_a_point_holds_its_interval_and_the_lowest_score_shown(metrics: dict) -> None:
    by_fppi = {point["fppi"]: point for point in metrics["froc"]["points"]}
    assert by_fppi[0.25]["score"] == 0.8  # the double hit at 0.6 is counted as nothing
    assert by_fppi[0.5]["score"] == 0.4
    assert by_fppi[4.0]["score"] == 0.2
    assert by_fppi[1.0]["sensitivity"] == 0.5
    assert by_fppi[1.0]["low"] < 0.5 < by_fppi[1.0]["high"]
    assert by_fppi[1.0]["interval"] in ("bootstrap", "wilson")


def test_each_image_lists_hits_misses_and_false_positives_by_position(metrics: dict) -> None:
    assert metrics["images"] == {
        f"{0:016x}": {
            "hits": [{"lesion": 0, "detection": 1, "score": 0.8, "overlap": 1.0}],
            "misses": [1],
            "false_positives": [0],
            "double_hits": [2],
        },
        f"{1:016x}": {"hits": [], "misses": [], "false_positives": [0], "double_hits": []},
    }


def test_size_bands_split_the_lesions_and_share_the_false_positives(metrics: dict) -> None:
    rows = {row["band"]: row for row in metrics["size_bands"]}
    assert {band: row["n_lesions"] for band, row in rows.items()} == {"<2cm": 0, ">=2cm": 2, "unknown": 0}
    assert rows["<2cm"]["points"][0]["sensitivity"] is None
    assert [point["sensitivity"] for point in rows[">=2cm"]["points"]] == [0.5] * 11


def test_a_hit_on_a_lesion_of_another_band_is_no_false_positive() -> None:
    records = [record(0, [HIT, (0, 8, 4, 20)], spacing=(2.0, 2.0))]
    content = evaluate_detections(records, [found(0, (HIT, 0.9), ((0, 8, 4, 20), 0.8))], rule=QUICK)
    assert [row["points"][0]["sensitivity"] for row in content["size_bands"]] == [1.0, 1.0, None]


def test_false_positives_on_normal_images_fall_with_the_score(metrics: dict) -> None:
    normal = metrics["normal_images"]
    assert normal["n_images"] == 1
    by_score = dict(zip(normal["score"], normal["false_positives_per_image"], strict=True))
    assert (by_score[0.4], by_score[0.5], by_score[0.95]) == (1, 0, 0)


def test_without_normal_images_their_false_positives_are_null() -> None:
    content = evaluate_detections([record(0, [HIT])], [found(0)], rule=QUICK)
    assert set(content["normal_images"]["false_positives_per_image"]) == {None}
    assert {name: content["average_precision"][name] for name in ("min_iou", "value")} == {
        "min_iou": 0.5,
        "value": 0,
    }


def test_without_lesions_sensitivities_are_null_and_never_zero() -> None:
    content = evaluate_detections([record(0)], [found(0, (ASIDE, 0.4))])
    assert content["froc"]["sensitivity"] == [None, None]
    assert {point["sensitivity"] for point in content["froc"]["points"]} == {None}
    assert {point["low"] for point in content["froc"]["points"]} == {None}
    assert content["mean_sensitivity"]["value"] is None
    assert content["average_precision"]["value"] is None
    assert content["froc"]["points"][-1]["score"] == 0.4


def test_lesions_of_another_label_make_no_abnormal_image() -> None:
    content = evaluate_detections([record(0, [Lesion(box=HIT, label=1)])], [found(0)], rule=QUICK)
    assert content["n_normal_images"] == 1
    assert (
        evaluate_detections([record(0, [Lesion(box=HIT, label=1)])], [found(0)], rule=FrocRule(label=1))[
            "n_lesions"
        ]
        == 1
    )


def test_an_empty_split_is_undefined() -> None:
    with pytest.raises(UndefinedMetricError, match="the split is empty"):
        evaluate_detections([], [])


def test_a_missing_entry_is_an_error() -> None:
    with pytest.raises(ManifestError, match="have no entry"):
        evaluate_detections([record(0)], [])


@settings(max_examples=30, deadline=None)
@given(scene=scenes(), doubles=st.booleans())
def test_the_file_agrees_with_the_slow_reference_and_survives_json(
    scene: Scene, doubles: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    rule = FrocRule(count_double_hits=doubles, n_bootstrap=20)
    path: Path = tmp_path_factory.mktemp("m") / "metrics.json"
    write_metrics(path, evaluate_detections(scene.records, scene.detections, rule=rule))
    content = read_metrics(path)
    slow = froc_reference.froc(scene.plain(), 0.2, doubles)
    for point in content["froc"]["points"]:
        expected = froc_reference.sensitivity_at(slow, point["fppi"])
        assert point["sensitivity"] == (None if expected is None else pytest.approx(expected, abs=1e-9))
        if expected is not None:
            assert 0 <= point["low"] <= point["high"] <= 1
    expected = froc_reference.average_precision(scene.plain(), 0.5)
    measured = content["average_precision"]["value"]
    assert measured == (None if expected is None else pytest.approx(expected, abs=1e-9))


def test_the_metrics_hold_no_path_and_no_patient(metrics: dict) -> None:
    text = json.dumps(metrics)
    assert "png" not in text
    assert "patient" not in json.dumps(metrics["images"])
