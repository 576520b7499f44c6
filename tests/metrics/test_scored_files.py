"""Scoring the files on disk: which list, which files, and which of them is wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mammo_monai.errors import ManifestError, UndefinedMetricError
from mammo_monai.files import sha256_of
from mammo_monai.metrics import FrocRule, evaluate_files
from mammo_monai.records import ImageRecord, Split
from mammo_monai.schema import (
    Manifest,
    OperatingPoint,
    read_manifest,
    write_detections,
    write_manifest,
)
from tests.metrics.scenes import found, record
from tests.operating_points import write_points

HIT = (0.0, 0.0, 4.0, 6.0)
QUICK = FrocRule(n_bootstrap=0)


def placed(n: int, folder: Path, lesions=()) -> ImageRecord:
    made = record(n, lesions)
    return ImageRecord(folder / f"{n}.png", made.record_id, f"p{n}", 12, 20, made.lesions)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    manifest = Manifest(
        training=(placed(0, tmp_path, [HIT]),), test=(placed(1, tmp_path, [HIT]), placed(2, tmp_path))
    )
    write_manifest(tmp_path / "manifest.json", manifest)
    write_detections(tmp_path / "d.json", [found(0), found(1, (HIT, 0.5)), found(2)], {})
    return tmp_path / "d.json", tmp_path / "manifest.json"


def test_detections_of_other_lists_are_left_out(files, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="mammo_monai")
    metrics = evaluate_files(*files, split=Split.TEST, rule=QUICK)
    assert (metrics["n_images"], metrics["n_lesions"]) == (2, 1)
    assert metrics["inputs"]["split"] == "test"
    assert "left out 1 image of other lists" in caplog.text


def test_without_a_split_all_lists_are_scored(files) -> None:
    metrics = evaluate_files(*files, rule=QUICK)
    assert (metrics["n_images"], metrics["inputs"]["split"]) == (3, None)


def test_the_inputs_are_known_by_hash_and_not_by_path(files) -> None:
    metrics = evaluate_files(*files, rule=QUICK)
    assert metrics["inputs"]["detections_sha256"] == sha256_of(files[0])
    assert metrics["inputs"]["manifest_sha256"] == sha256_of(files[1])
    assert str(files[0].parent) not in json.dumps(metrics)


def test_figures_on_synthetic_images_say_so(files) -> None:
    assert "is_phantom" not in evaluate_files(*files, rule=QUICK)["inputs"]
    write_manifest(files[1], replace(read_manifest(files[1]), about={"is_phantom": True}))
    assert evaluate_files(*files, rule=QUICK)["inputs"]["is_phantom"] is True


def test_an_error_names_both_files(files) -> None:
    write_detections(files[0], [found(1)], {})
    with pytest.raises(ManifestError, match=r"d\.json against .*manifest\.json: 1 record ids have no entry"):
        evaluate_files(*files, split="test", rule=QUICK)


def test_an_unknown_image_is_an_error_even_with_a_split(files) -> None:
    write_detections(files[0], [found(1), found(2), found(9)], {})
    with pytest.raises(ManifestError, match=r"detections row 2 \(0{15}9\): no image of"):
        evaluate_files(*files, split="test", rule=QUICK)


def test_an_empty_list_is_undefined(files) -> None:
    with pytest.raises(UndefinedMetricError, match="the split is empty"):
        evaluate_files(*files, split="validation", rule=QUICK)


def test_a_box_off_its_image_is_an_error(files) -> None:
    content = json.loads(files[0].read_text())
    content["detections"][0].update(boxes=[[1e6, 0, 1e6 + 5, 5]], scores=[0.5], labels=[0])
    files[0].write_text(json.dumps(content))
    with pytest.raises(ManifestError, match=r"detections row 0 \(\w+\), box 0 .* does not touch the image"):
        evaluate_files(*files)


def test_images_without_truth_are_refused_only_where_lesions_are_required(files) -> None:
    rule = FrocRule(label=3, n_bootstrap=0)
    assert evaluate_files(*files, rule=rule)["mean_sensitivity"]["value"] is None
    with pytest.raises(UndefinedMetricError, match=r"manifest\.json, all lists: .* has one of label 3"):
        evaluate_files(*files, rule=rule, require_lesions=True)
    assert evaluate_files(*files, require_lesions=True)["n_lesions"] > 0


def test_thresholds_of_another_class_are_refused(files) -> None:
    chosen = (OperatingPoint(fppi=0.5, threshold=0.4, sensitivity=1.0, low=0.2, high=1.0),)
    path = write_points(files[0].with_name("points.json"), points=chosen, rule={"label": 1})
    with pytest.raises(ManifestError, match=r"points\.json: expected operating points of label 0.*label 1"):
        evaluate_files(*files, rule=QUICK, operating_points=path)
    write_points(path, points=chosen, rule={})
    found = evaluate_files(*files, rule=QUICK, operating_points=path)["normal_images"]["points"]
    assert [(each["fppi"], each["score"]) for each in found] == [(0.5, 0.4)]


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ({"operating_point": {"threshold": "high"}}, "no operating point: every mark the model gives"),
        ({"operating_point": {"threshold": 0.25, "fppi": None}}, "marks of score 0.25 and above"),
        ({"score_threshold": True}, "no operating point: every mark the model gives"),
        (None, "the file does not say which model marked, no operating point: every mark the model gives"),
    ],
)
def test_whatever_a_model_says_of_itself_its_marks_are_scored(files, model: object, told: str) -> None:
    files[0].write_text(json.dumps({**json.loads(files[0].read_text()), "model": model}))
    assert evaluate_files(*files, rule=QUICK)["model"]["told"].endswith(told)


def test_images_of_no_known_class_are_refused_where_truth_is_required(files) -> None:
    rule = FrocRule(positive="malignant", n_bootstrap=0)
    assert evaluate_files(*files, rule=rule)["roc"] == []
    with pytest.raises(UndefinedMetricError, match="expected images known to be malignant or not"):
        evaluate_files(*files, rule=rule, require_lesions=True)
