"""Intervals: Wilson's by its published values, the bootstrap by resampling the images one by one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mammo_monai.errors import UndefinedMetricError
from mammo_monai.metrics import FrocRule, sensitivity_intervals, wilson_interval
from mammo_monai.metrics.bootstrap import resampled_sensitivity
from mammo_monai.metrics.levels import match_by_rule
from tests.metrics.rule_scenes import films, is_defined, mammograms, plain, pooled, rules
from tests.metrics.scenes import Scene, found, record, scenes
from tests.reference import froc_reference, rule_reference

HIT, ASIDE = (0.0, 0.0, 4.0, 6.0), (6.0, 10.0, 9.0, 16.0)


def half_found(n_images: int) -> Scene:
    """Every other lesion found, with one false positive of lower score each."""
    return Scene(
        tuple(record(n, [HIT]) for n in range(n_images)),
        tuple(
            found(n, (HIT, 0.9), (ASIDE, 0.5)) if n % 2 else found(n, (ASIDE, 0.5)) for n in range(n_images)
        ),
    )


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"), [(110, 112, 0.937, 0.995), (111, 112, 0.951, 0.998), (5, 10, 0.237, 0.763)]
)
def test_wilson_gives_the_known_bounds(hits: int, n: int, low: float, high: float) -> None:
    interval = wilson_interval(hits, n)
    assert (round(interval.low, 3), round(interval.high, 3)) == (low, high)
    assert interval.method == "wilson"


def test_wilson_reaches_zero_and_one_exactly() -> None:
    assert wilson_interval(0, 7).low == 0
    assert wilson_interval(7, 7).high == 1


def test_wilson_without_cases_is_undefined() -> None:
    with pytest.raises(UndefinedMetricError, match="0 cases"):
        wilson_interval(0, 0)


@settings(max_examples=75, deadline=None)
@given(scene=scenes(), data=st.data(), doubles=st.booleans())
def test_weights_count_patients_as_copies_of_their_images_would(scene: Scene, data, doubles: bool) -> None:
    patient = np.arange(len(scene.records)) // 2
    n_patients = int(patient[-1]) + 1
    counts = data.draw(st.lists(st.integers(0, 3), min_size=n_patients, max_size=n_patients))
    counts[0] = counts[0] or 1
    rule = FrocRule(count_double_hits=doubles)
    drawn = resampled_sensitivity(scene.matches(), patient, np.array([counts, counts]), rule)
    copies = [
        image for number, image in zip(patient, scene.plain(), strict=True) for _ in range(counts[number])
    ]
    slow = froc_reference.froc(copies, 0.2, doubles)
    expected = [froc_reference.sensitivity_at(slow, each) for each in rule.fppi]
    expected = [np.nan if each is None else each for each in expected]
    np.testing.assert_allclose(drawn, [expected, expected], atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(scene=mammograms(), rule=rules(), data=st.data())
def test_weights_count_copies_of_patients_by_every_rule(scene: Scene, rule: FrocRule, data) -> None:
    assume(is_defined(scene, rule))
    names = sorted({each.patient_id for each in scene.records})
    patient = np.array([names.index(each.patient_id) for each in scene.records])
    counts = data.draw(st.lists(st.integers(0, 2), min_size=len(names), max_size=len(names)))
    assume(any(counts))
    copies = [
        replace(film, patient=f"{film.patient} {copy}")
        for film, number in zip(films(scene), patient, strict=True)
        for copy in range(counts[number])
    ]
    drawn = resampled_sensitivity(match_by_rule(pooled(scene), rule), patient, np.array([counts]), rule)[0]
    if not any(rule_reference.is_counted(film, plain(rule)) for film in copies):
        assert np.isnan(drawn).all()
        return
    slow = rule_reference.froc(copies, plain(rule))
    expected = [froc_reference.sensitivity_at(slow, each) for each in rule.fppi]
    np.testing.assert_allclose(drawn, [np.nan if each is None else each for each in expected], atol=1e-9)


def test_draws_without_an_image_that_counts_are_left_out() -> None:
    # Only patient 1 is normal: of draws of two without it, no rate of false positives is known.
    scene = Scene((record(0, [HIT]), record(1)), (found(0, (HIT, 0.4)), found(1, (ASIDE, 0.5))))
    rule = FrocRule(n_bootstrap=300, fppi=(0.5, 2.0), false_positives_on="normal")
    matches = match_by_rule(pooled(scene), rule)
    low, high = sensitivity_intervals(matches, np.arange(2), rule)
    assert (low.method, high.method) == ("wilson", "wilson")  # every draw left holds both patients once
    assert (low.high, high.low) == (wilson_interval(0, 1).high, wilson_interval(1, 1).low)


def test_the_interval_of_units_is_over_their_number() -> None:
    records = tuple(record(n, [HIT, ASIDE], patient=f"p{n // 2}") for n in range(4))
    scene = Scene(records, (found(0, (HIT, 0.9)), found(1), found(2, (HIT, 0.9)), found(3)))
    rule = FrocRule(level="patient")
    matches = match_by_rule(pooled(scene), rule)
    assert sensitivity_intervals(matches, np.arange(4) // 2, rule)[0] == wilson_interval(2, 2)


def test_the_interval_holds_the_measured_sensitivity_and_is_the_same_again() -> None:
    matches, patient = half_found(20).matches(), np.arange(20)
    intervals = sensitivity_intervals(matches, patient, FrocRule(n_bootstrap=400))
    assert all(each.method == "bootstrap" and each.low < 0.5 < each.high for each in intervals)
    assert intervals == sensitivity_intervals(matches, patient, FrocRule(n_bootstrap=400))
    assert intervals != sensitivity_intervals(matches, patient, FrocRule(n_bootstrap=400, seed=1))


def test_the_bootstrap_of_independent_patients_is_near_wilson() -> None:
    interval = sensitivity_intervals(half_found(200).matches(), np.arange(200), FrocRule())[-1]
    wilson = wilson_interval(100, 200)
    assert (interval.low, interval.high) == pytest.approx((wilson.low, wilson.high), abs=0.02)


def test_a_wider_confidence_gives_a_wider_interval() -> None:
    matches, patient = half_found(20).matches(), np.arange(20)
    narrow = sensitivity_intervals(matches, patient, FrocRule(confidence=0.5))[0]
    wide = sensitivity_intervals(matches, patient, FrocRule(confidence=0.99))[0]
    assert wide.low < narrow.low < narrow.high < wide.high


def test_all_images_of_a_patient_are_drawn_together() -> None:
    # Ten views of two patients, one found in all views: resampling patients knows only 0, 1/2 and 1.
    scene = Scene(
        tuple(record(n, [HIT]) for n in range(10)),
        tuple(found(n, (HIT, 0.9)) if n < 5 else found(n) for n in range(10)),
    )
    matches = scene.matches()
    by_patient = sensitivity_intervals(matches, np.arange(10) // 5, FrocRule(n_bootstrap=200))[0]
    assert (by_patient.low, by_patient.high) == (0, 1)


@pytest.mark.parametrize(
    ("n_bootstrap", "patient"), [(0, np.arange(20)), (100, np.zeros(20, dtype=np.int64))]
)
def test_without_draws_or_with_one_patient_the_interval_is_wilson(n_bootstrap: int, patient) -> None:
    intervals = sensitivity_intervals(half_found(20).matches(), patient, FrocRule(n_bootstrap=n_bootstrap))
    assert intervals[0] == wilson_interval(10, 20)


def test_where_every_draw_is_alike_the_interval_is_wilson() -> None:
    scene = Scene(tuple(record(n, [HIT]) for n in range(6)), tuple(found(n, (HIT, 0.9)) for n in range(6)))
    assert sensitivity_intervals(scene.matches(), np.arange(6), FrocRule())[0] == wilson_interval(6, 6)


def test_draws_without_lesions_are_left_out() -> None:
    scene = Scene(
        (record(0, [HIT]), record(1, [HIT]), *(record(n) for n in range(2, 8))),
        (found(0, (HIT, 0.9)), *(found(n) for n in range(1, 8))),
    )
    interval = sensitivity_intervals(scene.matches(), np.arange(8), FrocRule(n_bootstrap=300))[0]
    assert (interval.low, interval.high) == (0, 1)


def test_drawing_in_blocks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    matches, patient = half_found(12).matches(), np.arange(12)
    whole = sensitivity_intervals(matches, patient, FrocRule(n_bootstrap=50))
    monkeypatch.setattr("mammo_monai.metrics.resampling._CELLS", 84)
    assert sensitivity_intervals(matches, patient, FrocRule(n_bootstrap=50)) == whole


def test_an_interval_without_lesions_is_undefined() -> None:
    with pytest.raises(UndefinedMetricError, match="no lesion"):
        sensitivity_intervals(
            Scene((record(0),), (found(0),)).matches(), np.zeros(1, dtype=np.int64), FrocRule()
        )


def test_bounds_that_coincide_give_no_interval_of_width_zero() -> None:
    # One patient of forty is missed. Draws differ, but the two percentiles beside the median do not.
    records = tuple(record(n, [HIT]) for n in range(40))
    detections = (*(found(n, (HIT, 0.9)) for n in range(39)), found(39))
    rule = FrocRule(n_bootstrap=200, confidence=0.02)
    interval = sensitivity_intervals(Scene(records, detections).matches(), np.arange(40), rule)[0]
    assert interval == wilson_interval(39, 40, confidence=0.02)
