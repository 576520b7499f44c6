"""Whole rules: hits, levels and images of false positives, by hand and against the slow reference."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mammo_monai.errors import UndefinedMetricError
from mammo_monai.metrics import FrocCurve, FrocRule, froc_curve, pool_images, sensitivity_at_fppi
from mammo_monai.metrics.levels import count_by_rule, group_lesions, match_by_rule, unit_numbers
from mammo_monai.metrics.matching import Matches, match_lesions, restrict_lesions
from mammo_monai.records import Detections, Laterality, Lesion
from tests.metrics.rule_scenes import FPPI, films, is_defined, mammograms, plain, pooled, rules, stretched
from tests.metrics.scenes import Scene, found, record
from tests.reference import froc_reference, rule_reference

HIT, OTHER, ASIDE = (0.0, 0.0, 4.0, 6.0), (5.0, 0.0, 9.0, 6.0), (6.0, 10.0, 9.0, 16.0)
LEFT, RIGHT = Laterality.LEFT, Laterality.RIGHT
LESION, IMAGE, BREAST, PATIENT = (
    FrocRule(n_bootstrap=0, level=level) for level in ("lesion", "image", "breast", "patient")
)


def two_patients() -> Scene:
    """Left CC and MLO with two lesions each, right MLO with one; another patient's right MLO with one."""
    records = (
        replace(record(0, [HIT, OTHER], patient="b"), laterality=LEFT),
        replace(record(1, [HIT, OTHER], patient="b"), laterality=LEFT),
        replace(record(2, [HIT], patient="b"), laterality=RIGHT),
        replace(record(3, [HIT], patient="a"), laterality=RIGHT),
        replace(record(4, patient="a"), laterality=LEFT),
    )
    marks = (
        found(0, (ASIDE, 0.9)),
        found(1, (HIT, 0.8), (OTHER, 0.7), (OTHER, 0.6)),
        found(2),
        found(3, (HIT, 0.5)),
        found(4, (ASIDE, 0.4)),
    )
    return Scene(records, marks)


def curve_of(scene: Scene, rule: FrocRule) -> FrocCurve:
    return froc_curve(match_by_rule(pooled(scene), rule), count_double_hits=rule.count_double_hits)


@settings(max_examples=125, deadline=None)
@given(scene=mammograms(), rule=rules())
def test_every_rule_gives_the_curve_of_the_slow_reference(scene: Scene, rule: FrocRule) -> None:
    if not is_defined(scene, rule):
        with pytest.raises(UndefinedMetricError, match="false positives per image are undefined: none of"):
            match_by_rule(pooled(scene), rule)
        return
    curve, slow = curve_of(scene, rule), rule_reference.froc(films(scene), plain(rule))
    assert curve.is_defined == (slow[0][1] is not None)
    for fppi in (*FPPI, *(measured for measured, _ in slow)):
        expected = froc_reference.sensitivity_at(slow, fppi)
        if expected is not None:
            assert sensitivity_at_fppi(curve, fppi) == pytest.approx(expected, abs=1e-9)
    assert {round(fppi, 9) for fppi, _ in slow} == {round(fppi, 9) for fppi in curve.fppi.tolist()}


@settings(max_examples=40, deadline=None)
@given(scene=mammograms(), rule=rules())
def test_a_curve_never_falls_and_ends_within_one(scene: Scene, rule: FrocRule) -> None:
    assume(is_defined(scene, rule))
    curve = curve_of(scene, rule)
    assert curve.points[0].tolist()[::2] == [0.0, math.inf]
    assert (np.diff(curve.score) < 0).all()
    assert (np.diff(curve.fppi) >= 0).all()
    if curve.is_defined:
        assert (np.diff(curve.sensitivity) >= 0).all()
        assert 0 == curve.sensitivity[0] <= curve.sensitivity[-1] <= 1


@settings(max_examples=40, deadline=None)
@given(scene=mammograms(), rule=rules(), data=st.data())
def test_the_order_of_images_changes_no_curve(scene: Scene, rule: FrocRule, data) -> None:
    assume(is_defined(scene, rule))
    order = data.draw(st.permutations(range(len(scene.records))))
    shuffled = Scene(tuple(scene.records[n] for n in order), scene.detections[::-1])
    np.testing.assert_array_equal(curve_of(shuffled, rule).points, curve_of(scene, rule).points)


@settings(max_examples=40, deadline=None)
@given(scene=mammograms(), rule=rules())
def test_growing_functions_of_the_scores_change_no_curve(scene: Scene, rule: FrocRule) -> None:
    assume(is_defined(scene, rule))
    grown = tuple(
        Detections(each.record_id, each.boxes, each.scores**3 / 7 - 2, each.labels)
        for each in scene.detections
    )
    ours, theirs = curve_of(scene, rule), curve_of(Scene(scene.records, grown), rule)
    np.testing.assert_array_equal(theirs.points[:, :2], ours.points[:, :2])
    np.testing.assert_allclose(theirs.score[1:], ours.score[1:] ** 3 / 7 - 2)


@settings(max_examples=40, deadline=None)
@given(scene=mammograms(), rule=rules(), x=st.sampled_from([0.5, 1, 4]), y=st.sampled_from([0.25, 1, 2]))
def test_pixels_of_another_size_change_no_curve(scene: Scene, rule: FrocRule, x: float, y: float) -> None:
    assume(is_defined(scene, rule))
    # IoU and the centre in a box are the same in stretched pixels; distances are where the mm are.
    other = stretched(scene, x, y, keeps_mm=rule.hit == "center_distance")
    np.testing.assert_array_equal(curve_of(other, rule).points, curve_of(scene, rule).points)


def test_distances_in_mm_follow_the_spacing() -> None:
    rule = FrocRule(n_bootstrap=0, hit="center_distance", max_distance_mm=1.0)
    scene = Scene((record(0, [HIT], spacing=(0.5, 0.25)),), (found(0, ((4.0, 0.0, 8.0, 6.0), 0.5)),))
    assert curve_of(scene, rule).sensitivity[-1] == 1  # 4 columns of 0.25 mm
    assert curve_of(stretched(scene, 2, 1, keeps_mm=False), rule).sensitivity[-1] == 0  # 2 mm


@settings(max_examples=30, deadline=None)
@given(scene=mammograms(), rule=rules(levels=("image",)))
def test_levels_agree_where_every_unit_has_one_lesion(scene: Scene, rule: FrocRule) -> None:
    records = []
    for n, each in enumerate(scene.records):
        own = tuple(lesion for lesion in each.lesions if lesion.label == 0)[:1]
        records.append(replace(each, patient_id=f"{n}", lesions=own))
    single = Scene(tuple(records), scene.detections)
    assume(is_defined(single, rule))
    points = [
        curve_of(single, replace(rule, level=level)).points
        for level in ("lesion", "image", "breast", "patient")
    ]
    for each in points[1:]:
        np.testing.assert_array_equal(each, points[0])


@pytest.mark.parametrize(
    ("rule", "n_units", "sensitivity"),
    [(LESION, 6, 3 / 6), (IMAGE, 4, 2 / 4), (BREAST, 3, 2 / 3), (PATIENT, 2, 2 / 2)],
)
def test_a_unit_is_found_by_any_lesion_in_any_view(rule: FrocRule, n_units: int, sensitivity: float) -> None:
    matches = match_by_rule(pooled(two_patients()), rule)
    assert matches.n_lesions == n_units
    curve = froc_curve(matches)
    assert curve.sensitivity[-1] == pytest.approx(sensitivity)
    assert curve.fppi[-1] == 2 / 5  # still per image, and over all images


def test_a_unit_is_found_at_the_score_of_its_best_hit_and_its_further_hits_are_nothing() -> None:
    matches = match_by_rule(pooled(two_patients()), BREAST)
    assert matches.scores.tolist() == [0.9, 0.8, 0.6, 0.5, 0.4]  # without 0.7, the other lesion of the breast
    assert matches.is_hit.tolist() == [False, True, False, True, False]
    assert matches.is_false_positive().tolist() == [True, False, False, False, True]
    assert matches.detection.tolist() == [1, -1, 3]
    assert matches.overlap[matches.is_hit].tolist() == [1, 1]


def test_double_hits_on_a_found_unit_still_count_where_the_rule_counts_them() -> None:
    matches = match_by_rule(pooled(two_patients()), replace(PATIENT, count_double_hits=True))
    is_false = matches.is_false_positive(count_double_hits=True)
    assert matches.scores[is_false].tolist() == [0.9, 0.6, 0.4]


def test_of_equal_hits_the_first_counts() -> None:
    scene = Scene(
        (record(0, [HIT], patient="a"), record(1, [HIT, OTHER], patient="a")),
        (found(0, (HIT, 0.5)), found(1, (HIT, 0.5), (OTHER, 0.5))),
    )
    matches = match_by_rule(pooled(scene), PATIENT)
    assert (matches.image.tolist(), matches.index.tolist()) == ([0], [0])


def test_units_stand_where_their_first_lesion_does_whoever_found_them() -> None:
    scene = two_patients()
    blind = Scene(scene.records, tuple(found(n) for n in range(5)))
    for rule in (IMAGE, BREAST, PATIENT):
        seen, unseen = (match_by_rule(pooled(each), rule) for each in (scene, blind))
        np.testing.assert_array_equal(seen.lesion_image, unseen.lesion_image)
        np.testing.assert_array_equal(seen.lesion_index, unseen.lesion_index)
        assert (np.diff(seen.lesion_image) > 0).all()
        assert (unseen.detection == -1).all()


def test_units_are_numbered_in_the_order_of_the_images() -> None:
    records = two_patients().records
    assert unit_numbers(records, "image").tolist() == [0, 1, 2, 3, 4]
    assert unit_numbers(records, "breast").tolist() == [0, 0, 1, 2, 3]
    assert unit_numbers(records, "patient").tolist() == [0, 0, 0, 1, 1]
    assert unit_numbers((), "patient").tolist() == []


@pytest.mark.parametrize(
    ("images", "fppi"), [("all", [0.2, 0.4]), ("normal", [1.0]), ("with_lesions", [0.25])]
)
def test_false_positives_count_on_the_images_of_the_rule(images, fppi: list[float]) -> None:
    # Four images have lesions and one false positive among them, the fifth is normal and has the other.
    curve = curve_of(two_patients(), replace(LESION, false_positives_on=images))
    assert sorted({*curve.fppi.tolist()} - {0.0}) == fppi


def test_an_image_with_lesions_stays_one_when_its_lesions_are_left_out_or_grouped() -> None:
    images, rule = pooled(two_patients()), replace(PATIENT, false_positives_on="with_lesions")
    small = restrict_lesions(match_lesions(images, rule), np.arange(6) >= 5)
    counted = count_by_rule(small, images, rule)
    assert counted.is_counted.tolist() == [True, True, True, True, False]
    assert (counted.n_lesions, counted.lesion_image.tolist()) == (1, [3])
    assert counted.scores[counted.is_false_positive()].tolist() == [0.9]


def test_lesions_of_another_label_leave_an_image_normal() -> None:
    scene = Scene(
        (record(0, [HIT]), record(1, [Lesion(box=HIT, label=1)])), (found(0), found(1, (ASIDE, 0.5)))
    )
    assert pooled(scene).has_lesion.tolist() == [True, False]
    assert curve_of(scene, replace(LESION, false_positives_on="normal")).fppi.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("records", "images", "message"),
    [
        (
            (record(0, [HIT]), record(1, [HIT])),
            "normal",
            "false positives per image are undefined: none of 2 images is without a lesion of label 0, "
            "and false_positives_on normal counts them there alone. Count them on all.",
        ),
        (
            (record(0), record(1)),
            "with_lesions",
            "false positives per image are undefined: none of 2 images is with a lesion of label 0, and "
            "false_positives_on with_lesions counts them there alone. Count them on all.",
        ),
    ],
)
def test_without_an_image_to_count_on_false_positives_are_undefined(records, images, message: str) -> None:
    with pytest.raises(UndefinedMetricError) as caught:
        curve_of(Scene(records, (found(0), found(1))), replace(LESION, false_positives_on=images))
    assert str(caught.value) == message


def test_matches_that_count_no_image_have_no_curve() -> None:
    matches = match_by_rule(pooled(two_patients()), LESION)
    with pytest.raises(UndefinedMetricError, match="they count on none of 5 images"):
        froc_curve(replace(matches, counted_images=np.zeros(5, dtype=bool)))


def test_breasts_need_the_laterality_of_every_image() -> None:
    scene = Scene((replace(record(0, [HIT]), laterality=LEFT), record(1)), (found(0), found(1)))
    with pytest.raises(UndefinedMetricError) as caught:
        match_by_rule(pooled(scene), BREAST)
    assert str(caught.value) == (
        "record 0000000000000001: level breast needs to know the breast, and the laterality is missing. "
        "Add L or R to the manifest, or score by image or by patient."
    )
    assert match_by_rule(pooled(scene), PATIENT).n_lesions == 1


@pytest.mark.parametrize("rule", [BREAST, PATIENT])
def test_breasts_and_patients_need_the_records(rule: FrocRule) -> None:
    images = pool_images([found(0)], [[Lesion(box=HIT)]])
    with pytest.raises(
        ValueError, match=f"level {rule.level} needs the images' records: pool them with pool"
    ):
        match_by_rule(images, rule)
    assert match_by_rule(images, IMAGE).n_lesions == 1


@pytest.mark.parametrize("rule", [LESION, IMAGE, BREAST, PATIENT])
def test_without_lesions_or_detections_no_level_invents_any(rule: FrocRule) -> None:
    normal = (replace(record(0), laterality=RIGHT), replace(record(1), laterality=LEFT))
    unseen = match_by_rule(pooled(Scene(normal, (found(0, (ASIDE, 0.5)), found(1)))), rule)
    assert (unseen.n_lesions, unseen.is_false_positive().tolist()) == (0, [True])
    assert not froc_curve(unseen).is_defined
    missed = replace(record(0, [HIT]), laterality=RIGHT)
    nothing: Matches = match_by_rule(pooled(Scene((missed,), (found(0),))), rule)
    assert froc_curve(nothing).points.tolist() == [[0, 0, math.inf]]


def test_any_numbering_of_images_groups() -> None:
    matches = match_lesions(pooled(two_patients()), LESION)
    grouped = group_lesions(matches, np.array([7, 2, 7, 2, 0]))
    assert (grouped.n_lesions, grouped.lesion_image.tolist(), grouped.detection.tolist()) == (
        2,
        [0, 1],
        [-1, 1],
    )
