"""Which score an image has, which images are positive, and what metrics.json says of both."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammo_monai.errors import UndefinedMetricError
from mammo_monai.metrics import (
    FrocRule,
    area_differences,
    evaluate_detections,
    evaluate_files,
    image_ratings,
    marks_nothing,
    pool_records,
    rate_units,
    rates_images,
    roc_auc,
)
from mammo_monai.records import Detections, Laterality, Lesion
from mammo_monai.schema import Manifest, write_detections, write_manifest
from tests.metrics.scenes import HEIGHT, WIDTH, Scene, found, record, scenes
from tests.reference import image_class_reference

HIT = (0.0, 0.0, 4.0, 6.0)
RULE = FrocRule(n_bootstrap=30)
MALIGNANT = replace(RULE, positive="malignant")


def classifier_scene(images: list[tuple[int, str, float, bool]]) -> Scene:
    """Patient, breast, score and truth of images of a model that marks no box."""
    records = tuple(
        replace(record(n, [HIT] if truth else [], patient=f"p{patient}"), laterality=Laterality(side))
        for n, (patient, side, _, truth) in enumerate(images)
    )
    marks = tuple(
        Detections(each.record_id, image_score=score)
        for each, (_, _, score, _) in zip(records, images, strict=True)
    )
    return Scene(records, marks)


images = st.lists(
    st.tuples(
        st.integers(0, 3), st.sampled_from("LR"), st.sampled_from([0.0, 0.25, 0.5, 0.875, 1.0]), st.booleans()
    ),
    min_size=1,
    max_size=10,
)


@given(rows=images)
@settings(max_examples=40, deadline=None)
def test_breasts_are_the_mean_over_views_and_patients_over_breasts(rows) -> None:
    scene = classifier_scene(rows)
    content = evaluate_detections(scene.records, scene.detections, rule=FrocRule(n_bootstrap=0))
    plain = [(f"p{patient}", side, score, truth) for patient, side, score, truth in rows]
    for entry in content["units"]["figures"]:
        scored = [(score, truth) for _, score, truth in image_class_reference.units(plain, entry["level"])]
        assert entry["n_positive"] + entry["n_negative"] == len(scored)
        for name, expected in image_class_reference.figures(scored, 0.5).items():
            assert entry[name] == (None if expected is None else pytest.approx(expected))
    for entry in content["roc"]:
        scored = image_class_reference.units(plain, entry["level"])
        expected = roc_auc([each[1] for each in scored], [each[2] for each in scored])
        assert entry["auc"] == pytest.approx(expected)
    json.dumps(content, allow_nan=False)


@given(scene=scenes())
@settings(max_examples=20, deadline=None)
def test_images_without_scores_of_their_own_are_scored_as_before(scene: Scene) -> None:
    plain = FrocRule(n_bootstrap=0)
    content = evaluate_detections(scene.records, scene.detections, rule=plain)
    assert "no_boxes" not in content
    assert content["rule"] == plain.describe()
    assert "positive" not in content["rule"]
    units = content["units"]
    assert (units["score"], units["over_views"], units["over_breasts"]) == ("highest_detection", "max", "max")
    assert units["figures"] == []
    assert units["threshold"] is None
    pooled = pool_records(scene.records, scene.detections)
    ratings = image_ratings(scene.records, scene.detections, pooled, RULE)
    assert ratings.is_positive.tolist() == [
        any(not each.label for each in own.lesions) for own in scene.records
    ]
    highest = [max(own.scores[own.labels == 0], default=-np.inf) for own in scene.detections]
    assert ratings.scores.tolist() == highest


def test_a_detector_that_scores_images_too_keeps_the_figures_of_its_boxes() -> None:
    records = [record(n, [HIT] if n % 2 else []) for n in range(6)]
    boxes = [found(n, (HIT, 0.9 - n / 10)) for n in range(6)]
    both = [replace(each, image_score=0.8 if n % 2 else 0.3) for n, each in enumerate(boxes)]
    before, after = (evaluate_detections(records, each, rule=RULE) for each in (boxes, both))
    of_units = {"roc", "units"}
    assert {name: each for name, each in before.items() if name not in of_units} == {
        name: each for name, each in after.items() if name not in of_units
    }
    assert after["roc"][0]["auc"] == 1
    assert after["units"]["score"] == "image_score"
    partly = [*both[:-1], boxes[-1]]
    assert evaluate_detections(records, partly, rule=RULE) == before


def test_a_model_without_boxes_has_no_figures_of_boxes_and_says_why() -> None:
    scene = classifier_scene([(n, "LR"[n % 2], n / 8, n > 3) for n in range(8)])
    content = evaluate_detections(scene.records, scene.detections, rule=RULE)
    assert content["no_boxes"].startswith("the model scores whole images and marks no place")
    assert content["froc"] == {"fppi": [], "sensitivity": [], "score": [], "points": []}
    assert content["mean_sensitivity"]["value"] is None
    for name in (
        "overlap",
        "average_precision",
        "precision_recall",
        "normal_images",
        "jafroc",
        "reliability",
    ):
        assert content[name] is None
    for name in ("levels", "size_bands", "area_bands"):
        assert content[name] == []
    assert (content["n_lesions"], content["n_normal_images"], content["images"]) == (4, 4, {})
    figures = content["units"]["figures"][0]
    assert (figures["threshold"], figures["sensitivity"], figures["specificity"]) == (0.5, 1, 1)
    assert figures["youden"]["threshold"] == 0.5
    assert figures["youden"]["note"] == "chosen on these very images: too good for new ones"


def test_the_stated_threshold_is_used_and_told() -> None:
    scene = classifier_scene([(n, "L", n / 8, n > 3) for n in range(8)])
    content = evaluate_detections(scene.records, scene.detections, rule=replace(RULE, image_threshold=0.75))
    assert content["units"]["figures"][0]["sensitivity"] == 0.5
    assert content["units"]["threshold"] == content["rule"]["image_threshold"] == 0.75


def test_images_of_one_class_have_figures_and_no_curve() -> None:
    scene = classifier_scene([(n, "L", n / 8, True) for n in range(4)])
    content = evaluate_detections(scene.records, scene.detections, rule=RULE)
    assert content["roc"] == []
    figures = content["units"]["figures"][0]
    assert (figures["specificity"], figures["youden"]) == (None, None)
    assert figures["intervals"]["specificity"] is None


def test_levels_without_a_known_breast_are_left_out() -> None:
    scene = classifier_scene([(n, "L", n / 8, n > 3) for n in range(8)])
    unknown = [replace(scene.records[0], laterality=None), *scene.records[1:]]
    content = evaluate_detections(unknown, scene.detections, rule=RULE)
    assert [each["level"] for each in content["units"]["figures"]] == ["image"]


def test_images_of_unknown_class_are_left_out_with_a_count() -> None:
    grades = [5, 2, 3, None, 0, 4]
    records = [replace(record(n, patient=f"p{n}"), birads=each) for n, each in enumerate(grades)]
    marks = [Detections(each.record_id, image_score=n / 8) for n, each in enumerate(records)]
    content = evaluate_detections(records, marks, rule=MALIGNANT)
    units = content["units"]
    assert (units["positive"], units["n_images"], units["n_left_out"]) == ("malignant", 3, 3)
    assert content["rule"]["positive"] == "malignant"
    assert (content["roc"][0]["n_positive"], content["roc"][0]["n_negative"]) == (2, 1)
    nobody = evaluate_detections(records[2:5], marks[2:5], rule=MALIGNANT)
    assert (nobody["roc"], nobody["units"]["figures"], nobody["units"]["n_left_out"]) == ([], [], 3)


def test_without_an_image_there_is_nothing_to_rate() -> None:
    records = [record(0)]
    marks = [Detections(records[0].record_id, image_score=0.5)]
    ratings = image_ratings(records, marks, pool_records(records, marks), MALIGNANT)
    with pytest.raises(UndefinedMetricError, match="no image to score"):
        rate_units(ratings, "image")
    assert not rates_images([])
    assert marks_nothing(marks)
    assert not marks_nothing([replace(marks[0], image_score=None)])


def test_two_classifiers_differ_in_their_areas_alone() -> None:
    rows = [(n // 2, "LR"[n % 2], ((7 * n) % 12) / 12, n % 3 == 0) for n in range(12)]
    first = classifier_scene(rows)
    second = [Detections(each.record_id, image_score=n / 12) for n, each in enumerate(first.records)]
    named = {
        each.figure: each.difference
        for each in area_differences(first.records, first.detections, second, rule=RULE)
    }
    assert list(named) == ["AUC per image", "AUC per breast", "AUC per patient"][: len(named)]
    for side, marks in (("first", first.detections), ("second", second)):
        content = evaluate_detections(first.records, marks, rule=RULE)
        for entry in content["roc"]:
            assert getattr(named[f"AUC per {entry['level']}"], side) == pytest.approx(entry["auc"])


def write_files(folder: Path, *, with_lesions: bool) -> tuple[Path, Path]:
    lesions = [Lesion(HIT)] if with_lesions else []
    records = [replace(record(n, lesions if n % 2 else []), birads=5 if n % 2 else 1) for n in range(6)]
    write_manifest(folder / "m.json", Manifest(test=tuple(records)))
    write_detections(folder / "d.json", [Detections(each.record_id, image_score=0.5) for each in records], {})
    return folder / "d.json", folder / "m.json"


def test_images_labels_alone_are_enough_for_malignant_against_not(tmp_path: Path) -> None:
    files = write_files(tmp_path, with_lesions=False)
    content = evaluate_files(*files, rule=MALIGNANT, require_lesions=True)
    assert (content["n_lesions"], content["roc"][0]["auc"]) == (0, 0.5)
    with pytest.raises(UndefinedMetricError, match="expected lesions to score"):
        evaluate_files(*files, rule=RULE, require_lesions=True)


def test_the_scene_is_not_square() -> None:
    assert WIDTH != HEIGHT
