"""Pooling the detections of folds: which images, which files, and which of them is wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mammo_monai.errors import ManifestError, UndefinedMetricError
from mammo_monai.files import sha256_of
from mammo_monai.metrics import FrocRule, calibrate_files, evaluate_files
from mammo_monai.records import Detections, ImageRecord, Split
from mammo_monai.schema import Manifest, write_detections, write_manifest
from tests.metrics.scenes import found, record

HIT, ASIDE = (0.0, 0.0, 4.0, 6.0), (6.0, 10.0, 9.0, 16.0)
QUICK = FrocRule(fppi=(0.25, 0.5, 1.0, 2.0), n_bootstrap=0)
N_IMAGES = 24


def placed(n: int, folder: Path) -> ImageRecord:
    """Image n of patient n // 2; every sixth has no lesion."""
    made = record(n, [HIT] if n % 6 else [])
    return ImageRecord(folder / f"{n}.png", made.record_id, f"p{n // 2}", 12, 20, made.lesions)


def marked(n: int) -> Detections:
    return found(n, (HIT, 0.9 - n / 100), (ASIDE, 0.2 + n / 50))


def described(weights: str | None, inferer: str = "FullImageInferer") -> dict:
    return {"weights_sha256": weights, "inference": {"inferer": inferer}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A manifest of two lists of 16 and 8 images; detections of two folds, patients dealt out in turn."""
    records = [placed(n, tmp_path) for n in range(N_IMAGES)]
    write_manifest(
        tmp_path / "m.json", Manifest(training=tuple(records[:16]), validation=tuple(records[16:]))
    )
    for fold in (0, 1):
        entries = [marked(n) for n in range(N_IMAGES) if n // 2 % 2 == fold]
        write_detections(tmp_path / f"fold_{fold}.json", entries, described("ab"[fold] * 64))
    write_detections(tmp_path / "all.json", [marked(n) for n in range(N_IMAGES)], described("c" * 64))
    return tmp_path


def folds(folder: Path) -> list[Path]:
    return [folder / "fold_0.json", folder / "fold_1.json"]


def test_the_rule_decides_the_points_and_its_hits_the_probabilities(folder: Path) -> None:
    by_lesion = calibrate_files(folds(folder), folder / "m.json", rule=QUICK).points
    rule = replace(QUICK, level="patient", false_positives_on="normal")
    by_patient = calibrate_files(folds(folder), folder / "m.json", rule=rule).points
    assert (by_patient.n_lesions, by_patient.rule["level"]) == (by_lesion.n_lesions, "patient")
    assert by_patient.points != by_lesion.points
    # Shown on down to the lowest score by either, so calibrated on the same detections.
    assert by_patient.points[-1].threshold == by_lesion.points[-1].threshold
    assert by_patient.calibration == by_lesion.calibration
    nowhere = replace(QUICK, hit="center_distance", max_distance_mm=1.0)
    with pytest.raises(
        ManifestError, match=r"m\.json: record 0{15}1: max_distance_mm needs the image's pixel"
    ):
        calibrate_files(folds(folder), folder / "m.json", rule=nowhere)


def test_folds_pooled_give_what_one_file_of_all_images_gives(folder: Path) -> None:
    pooled = calibrate_files(folds(folder), folder / "m.json", rule=QUICK)
    whole = calibrate_files([folder / "all.json"], folder / "m.json", rule=QUICK)
    assert pooled.points.points == whole.points.points
    assert pooled.points.calibration == whole.points.calibration
    np.testing.assert_array_equal(pooled.curve.points, whole.curve.points)
    reversed_ = calibrate_files(folds(folder)[::-1], folder / "m.json", rule=QUICK)
    assert reversed_.points.points == pooled.points.points


def test_the_sensitivity_is_that_of_evaluate(folder: Path) -> None:
    rule = FrocRule(fppi=QUICK.fppi, n_bootstrap=50)
    points = calibrate_files(folds(folder), folder / "m.json", rule=rule).points
    metrics = evaluate_files(folder / "all.json", folder / "m.json", rule=rule)
    assert [(p.fppi, p.sensitivity, p.low, p.high) for p in points.points] == [
        (p["fppi"], p["sensitivity"], p["low"], p["high"]) for p in metrics["froc"]["points"]
    ]
    assert points.rule == metrics["rule"]


def test_what_the_points_rest_on_is_recorded(folder: Path) -> None:
    points = calibrate_files(folds(folder), folder / "m.json", rule=QUICK).points
    assert (points.n_images, points.n_lesions, points.n_patients) == (24, 20, 12)
    assert points.manifest_sha256 == sha256_of(folder / "m.json")
    assert points.weights_sha256 == ("a" * 64, "b" * 64)
    assert points.for_weights_sha256 is None
    assert points.inference == {"inferer": "FullImageInferer"}


@pytest.mark.parametrize("weights", [None, "unknown", 7])
def test_a_model_that_does_not_say_its_weights_is_recorded_as_unknown(folder: Path, weights) -> None:
    write_detections(folder / "all.json", [marked(n) for n in range(N_IMAGES)], {"weights_sha256": weights})
    points = calibrate_files([folder / "all.json"], folder / "m.json", rule=QUICK).points
    assert (points.weights_sha256, points.inference) == ((None,), None)


def test_an_inference_that_differs_between_files_is_not_recorded(folder: Path) -> None:
    entries = [marked(n) for n in range(N_IMAGES) if n // 2 % 2]
    write_detections(folder / "fold_1.json", entries, described("b" * 64, "SectionsInferer"))
    assert calibrate_files(folds(folder), folder / "m.json", rule=QUICK).points.inference is None


def test_calibrated_is_what_the_last_point_shows(folder: Path) -> None:
    points = calibrate_files(folds(folder), folder / "m.json", rule=QUICK).points
    assert points.calibration is not None
    assert points.calibration.min_score == points.points[-1].threshold
    few = calibrate_files(
        folds(folder), folder / "m.json", rule=FrocRule(fppi=(0.5,), n_bootstrap=0)
    ).points.calibration
    assert few is not None
    assert sum(each.n for each in few.bins) < sum(each.n for each in points.calibration.bins)


def test_detections_of_other_lists_are_left_out(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="mammo_monai")
    points = calibrate_files(folds(folder), folder / "m.json", split=Split.VALIDATION, rule=QUICK).points
    assert (points.n_images, points.n_patients) == (8, 4)
    assert "fold_0.json: left out 8 images of other lists" in caplog.text
    assert str(folder) not in caplog.text


def test_an_image_in_two_files_names_both(folder: Path) -> None:
    with pytest.raises(
        ManifestError, match=r"all\.json: record 0{16} has an entry in .*fold_0\.json already"
    ):
        calibrate_files([folder / "fold_0.json", folder / "all.json"], folder / "m.json", rule=QUICK)


def test_an_unknown_image_is_an_error_even_with_a_split(folder: Path) -> None:
    write_detections(folder / "fold_1.json", [marked(n) for n in (2, 99)], {})
    with pytest.raises(ManifestError, match=r"fold_1\.json, detections row 1 \(0{14}63\): no image of"):
        calibrate_files(folds(folder), folder / "m.json", split="training", rule=QUICK)


def test_a_box_off_its_image_is_an_error(folder: Path) -> None:
    off = replace(marked(2), boxes=marked(2).boxes + 1e6)
    write_detections(folder / "fold_1.json", [off], {})
    with pytest.raises(ManifestError, match=r"fold_1\.json, detections row 0 \(0{15}2\)"):
        calibrate_files(folds(folder), folder / "m.json", rule=QUICK)


def test_an_image_without_an_entry_is_an_error(folder: Path) -> None:
    with pytest.raises(
        ManifestError, match=r"fold_0\.json against .*m\.json: 12 record ids have no entry in the detections"
    ):
        calibrate_files(folds(folder)[:1], folder / "m.json", rule=QUICK)


def test_a_file_without_an_image_of_the_list_is_an_error(folder: Path) -> None:
    write_detections(folder / "one.json", [marked(n) for n in range(16)], {})
    write_detections(folder / "two.json", [marked(n) for n in range(16, 24)], {})
    with pytest.raises(ManifestError, match=r"one\.json: holds no image of the list"):
        calibrate_files([folder / "one.json", folder / "two.json"], folder / "m.json", split="validation")


def test_an_empty_list_is_undefined(folder: Path) -> None:
    with pytest.raises(UndefinedMetricError, match="the split is empty"):
        calibrate_files(folds(folder), folder / "m.json", split="test", rule=QUICK)


def test_lesions_that_no_detection_hits_are_an_error_and_never_0(folder: Path) -> None:
    entries = [found(n, (ASIDE, 0.2 + n / 50)) for n in range(N_IMAGES)]
    write_detections(folder / "all.json", entries, {})
    with pytest.raises(UndefinedMetricError, match="got 0 hits and 24 misses"):
        calibrate_files([folder / "all.json"], folder / "m.json", rule=QUICK)
