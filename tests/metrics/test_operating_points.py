"""Thresholds for false positives per image: against trying every score, and by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mammo_monai.errors import UndefinedMetricError
from mammo_monai.metrics import (
    CALIBRATED_FPPI,
    FrocRule,
    choose_points,
    froc_curve,
    sensitivity_at_fppi,
    sensitivity_intervals,
    threshold_between,
)
from mammo_monai.metrics.levels import match_by_rule
from tests.metrics.rule_scenes import films, is_defined, mammograms, plain, pooled, rules
from tests.metrics.scenes import Scene, found, record, scenes
from tests.reference import operating_points_reference as reference
from tests.reference import rule_reference

HIT, ASIDE, ELSEWHERE = (0.0, 0.0, 4.0, 6.0), (6.0, 10.0, 9.0, 16.0), (6.0, 0.0, 9.0, 3.0)
QUICK = FrocRule(fppi=CALIBRATED_FPPI, n_bootstrap=0)


def chosen(scene: Scene, rule: FrocRule = QUICK):
    return choose_points(scene.matches(), np.arange(len(scene.records)), rule)


def four_images(*falses: float) -> Scene:
    """Four images, the lesion of the first found at 0.5, false positives of these scores in the others."""
    rows: list[list] = [[(HIT, 0.5)], [], [], []]
    for n, score in enumerate(falses):
        rows[1 + n % 3].append((ASIDE, score))
    return Scene(
        (record(0, [HIT]), record(1, [HIT]), record(2), record(3)),
        tuple(found(n, *each) for n, each in enumerate(rows)),
    )


@settings(max_examples=150, deadline=None)
@given(scene=scenes(max_images=6, scores=(0.1, 0.2, 0.25, 0.5, 0.6, 0.9)), doubles=st.booleans())
def test_thresholds_are_those_found_by_trying_every_score(scene: Scene, doubles: bool) -> None:
    images = scene.plain()
    slow = {each: reference.lowest_threshold(images, each, doubles) for each in CALIBRATED_FPPI}
    assume(scene.matches().n_lesions and any(slow.values()))
    rule = FrocRule(fppi=CALIBRATED_FPPI, n_bootstrap=0, count_double_hits=doubles)
    points = {each.fppi: each for each in chosen(scene, rule)}
    assert set(points) == {fppi for fppi, each in slow.items() if each}
    n_lesions = sum(len(lesions) for lesions, _ in images)
    for fppi, point in points.items():
        lowest, below = slow[fppi]  # type: ignore[misc]  # not None: it is among the points
        assert point.threshold == (lowest if below is None else (lowest + below) / 2)
        hits, false_positives = reference.shown_at(images, point.threshold, doubles)
        assert point.sensitivity == pytest.approx(hits / n_lesions)
        assert false_positives / len(images) <= fppi
        if point.fppi_reached is not None:
            assert point.fppi_reached == pytest.approx(false_positives / len(images))
            assert (below, point.fppi_reached < fppi) == (None, True)
        else:
            assert below is not None or false_positives / len(images) == fppi


def test_a_threshold_is_halfway_between_the_last_score_shown_and_the_next() -> None:
    points = chosen(four_images(0.8, 0.4, 0.3, 0.2, 0.1))
    assert [each.fppi for each in points] == [0.25, 0.5, 1.0, 2.0]
    assert [each.threshold for each in points[:3]] == pytest.approx([0.45, 0.35, 0.15])
    assert [each.sensitivity for each in points] == [0.5] * 4
    assert [each.fppi_reached for each in points[:3]] == [None] * 3


def test_detections_that_end_before_the_target_give_their_lowest_score_and_what_they_reach() -> None:
    last = chosen(four_images(0.8, 0.4, 0.3, 0.2, 0.1))[-1]
    assert (last.threshold, last.fppi_reached) == (0.1, 1.25)


def test_detections_that_end_at_the_target_reach_it() -> None:
    points = chosen(four_images(0.8, 0.4, 0.3, 0.2))
    assert (points[2].fppi, points[2].threshold, points[2].fppi_reached) == (1.0, 0.2, None)
    assert points[3].fppi_reached == 1.0


def test_equal_scores_are_shown_together_or_not_at_all() -> None:
    points = chosen(four_images(0.8, 0.4, 0.4, 0.4))
    assert [each.threshold for each in points[:2]] == pytest.approx([0.45, 0.45])
    assert points[2].threshold == 0.4


def test_double_hits_count_by_the_rule() -> None:
    scene = Scene(
        (record(0, [HIT]), record(1)), (found(0, (HIT, 0.9), (HIT, 0.6), (ASIDE, 0.5)), found(1, (HIT, 0.2)))
    )
    ignored = chosen(scene, FrocRule(fppi=(0.25, 0.5), n_bootstrap=0))
    counted = chosen(scene, FrocRule(fppi=(0.25, 0.5), n_bootstrap=0, count_double_hits=True))
    assert [each.threshold for each in ignored] == pytest.approx([0.55, 0.35])
    assert [each.threshold for each in counted] == pytest.approx([0.75, 0.55])


def test_normal_images_count_among_the_images() -> None:
    with_normals = chosen(four_images(0.8, 0.4, 0.3))
    assert with_normals[0].threshold == pytest.approx(0.45)
    assert with_normals[1].threshold == pytest.approx(0.35)


def test_false_positives_count_on_the_images_of_the_rule() -> None:
    scene = Scene(
        (record(0, [HIT]), record(1), record(2)),
        (found(0, (HIT, 0.2), (ASIDE, 0.9), (ASIDE, 0.8)), found(1, (ASIDE, 0.6)), found(2, (ASIDE, 0.4))),
    )
    thresholds = {}
    for images in ("all", "normal", "with_lesions"):
        rule = FrocRule(fppi=(0.5, 1.0, 2.0), n_bootstrap=0, false_positives_on=images)
        points = choose_points(match_by_rule(pooled(scene), rule), np.arange(3), rule)
        thresholds[images] = {each.fppi: each.threshold for each in points}
    assert thresholds["all"] == pytest.approx({0.5: 0.85, 1.0: 0.5, 2.0: 0.2})
    assert thresholds["normal"] == pytest.approx({0.5: 0.5, 1.0: 0.2, 2.0: 0.2})
    assert thresholds["with_lesions"] == pytest.approx({1.0: 0.85, 2.0: 0.2})


def test_detections_that_count_for_nothing_have_no_point() -> None:
    rule = FrocRule(n_bootstrap=0, false_positives_on="normal")
    scene = Scene((record(0, [HIT]), record(1)), (found(0, (ASIDE, 0.9)), found(1)))
    with pytest.raises(UndefinedMetricError) as caught:
        choose_points(match_by_rule(pooled(scene), rule), np.arange(2), rule)
    assert str(caught.value) == (
        "operating points are undefined: none of 1 detection hits a lesion, or is a false positive "
        "where false_positives_on normal counts them. Count them on all."
    )


@settings(max_examples=40, deadline=None)
@given(scene=mammograms(), rule=rules())
def test_every_rule_gives_thresholds_that_keep_to_it(scene: Scene, rule: FrocRule) -> None:
    assume(is_defined(scene, rule))
    matches = match_by_rule(pooled(scene), rule)
    names = [each.patient_id for each in scene.records]
    try:
        points = choose_points(matches, np.array([sorted(set(names)).index(each) for each in names]), rule)
    except UndefinedMetricError:
        return
    for point in points:
        shown = [
            replace(film, detections=[each for each in film.detections if each[1] >= point.threshold])
            for film in films(scene)
        ]
        fppi, sensitivity = rule_reference.froc(shown, plain(rule))[-1]
        assert fppi <= point.fppi
        assert sensitivity == pytest.approx(point.sensitivity)


def test_sensitivity_and_interval_are_those_of_the_curve() -> None:
    rule = FrocRule(fppi=(0.25, 1.0), n_bootstrap=200)
    scene = Scene(
        tuple(record(n, [HIT]) for n in range(20)),
        tuple(found(n, (HIT if n % 2 else ELSEWHERE, n / 20), (ASIDE, 0.4)) for n in range(20)),
    )
    matches, patient = scene.matches(), np.arange(20) // 2
    points = choose_points(matches, patient, rule)
    intervals = sensitivity_intervals(matches, patient, rule)
    curve = froc_curve(matches)
    for point, interval in zip(points, intervals, strict=True):
        assert point.sensitivity == sensitivity_at_fppi(curve, point.fppi)
        assert (point.low, point.high) == (interval.low, interval.high)
        assert point.low < point.sensitivity < point.high


def test_a_target_that_the_highest_score_exceeds_is_left_out_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    scene = Scene((record(0, [HIT]), record(1)), (found(0, (HIT, 0.5), (ASIDE, 0.9)), found(1, (ASIDE, 0.9))))
    points = chosen(scene)
    assert [each.fppi for each in points] == [1.0, 2.0]
    assert "no threshold gives 0.25 false positives per image: the detections of the highest score, 0.9" in (
        caplog.text
    )
    assert "0.5 false positives" in caplog.text


def test_one_score_for_everything_has_no_point() -> None:
    scene = Scene((record(0, [HIT]),), (found(0, (HIT, 0.5), *[(ASIDE, 0.5)] * 3),))
    with pytest.raises(
        UndefinedMetricError, match=r"no threshold gives 2 false .* highest score, 0.5, hold 3"
    ):
        chosen(scene)


def test_without_lesions_points_are_undefined() -> None:
    with pytest.raises(UndefinedMetricError, match="1 image without a lesion of label 0"):
        chosen(Scene((record(0),), (found(0, (ASIDE, 0.5)),)))


def test_without_detections_points_are_undefined() -> None:
    with pytest.raises(UndefinedMetricError, match="no detection of label 0 on 2 images"):
        chosen(Scene((record(0, [HIT]), record(1)), (found(0), found(1))))


@given(
    lower=st.floats(allow_nan=False, allow_infinity=False),
    higher=st.floats(allow_nan=False, allow_infinity=False),
)
def test_a_threshold_parts_any_two_scores(lower: float, higher: float) -> None:
    assume(lower < higher)
    assert lower < threshold_between(higher, lower) <= higher


def test_neighbouring_floats_are_parted() -> None:
    assert threshold_between(np.nextafter(0.5, 1), 0.5) == np.nextafter(0.5, 1)
