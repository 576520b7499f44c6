"""JAFROC's figure of merit, its interval and its paired difference, against a double loop."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mammo_monai.errors import UndefinedMetricError
from mammo_monai.metrics import (
    FrocRule,
    match_by_rule,
    pair_detections,
    pool_records,
)
from mammo_monai.metrics.jafroc import jafroc_difference, jafroc_entry, jafroc_figure, jafroc_ratings
from mammo_monai.metrics.ratings import resampled_areas
from mammo_monai.records import Detections
from tests.metrics.scenes import Scene, found, record, scenes
from tests.metrics.test_significance import detector, scene_pairs
from tests.reference import roc_reference

HIT, OTHER, ASIDE = (0.0, 0.0, 4.0, 6.0), (5.0, 0.0, 9.0, 6.0), (6.0, 10.0, 9.0, 16.0)
QUICK = FrocRule(n_bootstrap=50)
VARIANTS, WEIGHTINGS = st.sampled_from(["JAFROC1", "JAFROC2"]), st.sampled_from(["lesion", "image"])


def patients(scene: Scene) -> np.ndarray:
    return np.arange(len(scene.records)) // 2


def is_defined(images, variant: str) -> bool:
    return any(lesions for lesions, _ in images) and (
        variant == "JAFROC1" or not all(lesions for lesions, _ in images)
    )


@pytest.fixture
def scene() -> Scene:
    """Lesions at .6 (beside a false positive at .7) and .8, one missed; normal images at .6 and unmarked."""
    return Scene(
        (record(0, [HIT, OTHER]), record(1, [HIT]), record(2), record(3)),
        (found(0, (HIT, 0.6), (ASIDE, 0.7)), found(1, (HIT, 0.8)), found(2, (ASIDE, 0.6)), found(3)),
    )


def test_the_figures_are_those_counted_by_hand(scene: Scene) -> None:
    matches, patient = scene.matches(), np.arange(4)
    # Normal images at .6 and -infinity: the lesion at .6 wins half and one, the missed one half, .8 both.
    two = jafroc_figure(matches, patient, QUICK)
    assert (two.variant, two.n_lesions, two.n_normal_images) == ("JAFROC2", 3, 2)
    assert two.figure_of_merit == pytest.approx((1.5 + 0.5 + 2) / 6)
    # All images at .7, -infinity, .6 and -infinity.
    one = jafroc_figure(matches, patient, QUICK, variant="JAFROC1")
    assert one.figure_of_merit == pytest.approx((0 + 1 + 0.5 + 1 + 0 + 0.5 + 0 + 0.5 + 4) / 12)
    # The two lesions of the first image count one half each.
    weighted = jafroc_figure(matches, patient, QUICK, weighting="image")
    assert weighted.figure_of_merit == pytest.approx((1.5 / 2 + 0.5 / 2 + 2) / 4)
    assert weighted.weighting == "image"


@settings(max_examples=35, deadline=None)
@given(scene=scenes(), variant=VARIANTS, weighting=WEIGHTINGS, doubles=st.booleans())
def test_the_figure_agrees_with_a_double_loop(scene: Scene, variant, weighting, doubles: bool) -> None:
    rule = FrocRule(n_bootstrap=0, count_double_hits=doubles)
    matches, options = scene.matches(), {"variant": variant, "weighting": weighting}
    if not is_defined(scene.plain(), variant):
        with pytest.raises(UndefinedMetricError, match="is undefined: "):
            jafroc_figure(matches, patients(scene), rule, **options)
        return
    expected = roc_reference.jafroc(scene.plain(), variant, weighting, doubles)
    figure = jafroc_figure(matches, patients(scene), rule, **options)
    assert figure.figure_of_merit == pytest.approx(expected, abs=1e-12)


@settings(max_examples=30, deadline=None)
@given(scene=scenes(), variant=VARIANTS, weighting=WEIGHTINGS, data=st.data())
def test_a_draw_counts_patients_as_copies_would(scene: Scene, variant, weighting, data) -> None:
    assume(is_defined(scene.plain(), variant))
    patient = patients(scene)
    n_patients = int(patient[-1]) + 1
    counts = data.draw(st.lists(st.integers(0, 3), min_size=n_patients, max_size=n_patients))
    copies = [image for of, image in zip(patient, scene.plain(), strict=True) for _ in range(counts[of])]
    ratings = jafroc_ratings(scene.matches(), patient, QUICK, variant=variant, weighting=weighting)
    drawn = resampled_areas(ratings, np.array([counts]))[0]
    expected = roc_reference.jafroc(copies, variant, weighting)
    assert drawn == pytest.approx(np.nan if expected is None else expected, abs=1e-12, nan_ok=True)


@settings(max_examples=30, deadline=None)
@given(scene=scenes(), data=st.data())
def test_the_order_of_images_and_the_scale_of_scores_do_not_matter(scene: Scene, data) -> None:
    assume(is_defined(scene.plain(), "JAFROC1"))
    order = data.draw(st.permutations(range(len(scene.records))))
    rule = FrocRule(n_bootstrap=0)
    other = Scene(
        tuple(scene.records[n] for n in order),
        tuple(
            Detections(each.record_id, each.boxes, np.exp(3 * each.scores), each.labels)
            for each in (scene.detections[n] for n in order)
        ),
    )
    ours = jafroc_figure(scene.matches(), patients(scene), rule)
    theirs = jafroc_figure(other.matches(), patients(scene)[list(order)], rule)
    assert repr(theirs) == repr(ours)  # from Python 3.13 on a dataclass with NaN is not equal to another


def test_the_interval_is_over_patients(scene: Scene) -> None:
    half = detector(60, 0.5, 0)
    images = Scene(
        (*half.records, *(record(60 + n) for n in range(30))),
        (*half.detections, *(found(60 + n, *([(ASIDE, 0.3)] if n % 2 else [])) for n in range(30))),
    )
    one = jafroc_figure(images.matches(), np.arange(90), FrocRule())
    assert one.interval == "bootstrap"
    assert one.low < one.figure_of_merit < one.high
    # The same images as of nine patients: fewer that are independent.
    few = jafroc_figure(images.matches(), np.arange(90) % 9, FrocRule())
    assert few.figure_of_merit == one.figure_of_merit
    assert (few.low, few.high) != (one.low, one.high)
    # All images twice over, with the same patients: nothing new is known.
    twice = Scene(images.records * 2, images.detections * 2).matches()
    copies = jafroc_figure(twice, np.arange(180) % 90, FrocRule())
    assert (copies.low, copies.high) == pytest.approx((one.low, one.high))


def test_a_perfect_detector_has_an_interval_of_some_width() -> None:
    perfect = Scene(
        tuple(record(n, [HIT] if n < 5 else []) for n in range(10)),
        tuple(found(n, *([(HIT, 0.9)] if n < 5 else [])) for n in range(10)),
    )
    figure = jafroc_figure(perfect.matches(), np.arange(10), QUICK)
    assert (figure.figure_of_merit, figure.high, figure.interval) == (1, 1, "exact")
    assert figure.low == pytest.approx(0.025**0.2)


def test_without_normal_images_all_are_compared_with(scene: Scene) -> None:
    with_lesions = Scene(scene.records[:2], scene.detections[:2])
    figure = jafroc_figure(with_lesions.matches(), np.arange(2), QUICK)
    assert (figure.variant, figure.n_normal_images) == ("JAFROC1", 0)
    with pytest.raises(UndefinedMetricError, match=r"every image has a lesion\. JAFROC1 compares with all"):
        jafroc_figure(with_lesions.matches(), np.arange(2), QUICK, variant="JAFROC2")


def test_without_lesions_the_figure_is_undefined(scene: Scene) -> None:
    normal = Scene(scene.records[2:], scene.detections[2:])
    with pytest.raises(UndefinedMetricError, match="no lesion of the scored label"):
        jafroc_figure(normal.matches(), np.arange(2), QUICK)
    assert jafroc_entry(normal.matches(), np.arange(2), QUICK) is None


def test_what_is_not_asked_for_rightly_is_refused(scene: Scene) -> None:
    matches = scene.matches()
    with pytest.raises(ValueError, match="variant must be JAFROC1 or JAFROC2, got 'JAFROC3'"):
        jafroc_figure(matches, np.arange(4), QUICK, variant="JAFROC3")
    with pytest.raises(ValueError, match="weighting must be lesion or image, got 'area'"):
        jafroc_figure(matches, np.arange(4), QUICK, weighting="area")
    with pytest.raises(ValueError, match="a patient for each image, got 3 for 4 images"):
        jafroc_figure(matches, np.arange(3), QUICK)


@pytest.mark.parametrize("images", ["normal", "with_lesions"])
def test_images_whose_false_positives_do_not_count_are_not_taken_for_unmarked(scene: Scene, images) -> None:
    rule = FrocRule(n_bootstrap=0, false_positives_on=images)
    matches = match_by_rule(pool_records(scene.records, scene.detections), rule)
    with pytest.raises(ValueError, match="false positives of all 4 images, got matches that count them on 2"):
        jafroc_figure(matches, np.arange(4), rule)


def test_the_entry_of_the_metrics_file_states_how_it_was_made(scene: Scene) -> None:
    entry = jafroc_entry(scene.matches(), np.arange(4), QUICK)
    assert set(entry) == {
        "figure_of_merit", "low", "high", "interval", "note",
        "variant", "weighting", "n_lesions", "n_normal_images",
    }  # fmt: skip
    assert (entry["variant"], entry["weighting"], entry["interval"]) == ("JAFROC2", "lesion", "bootstrap")
    alone = jafroc_entry(scene.matches(), np.zeros(4, dtype=np.int64), QUICK)
    assert (alone["low"], alone["high"], alone["interval"]) == (None, None, "none")
    assert "fewer than two patients" in alone["note"]


@settings(max_examples=30, deadline=None)
@given(scenes_of_two=scene_pairs(), weighting=WEIGHTINGS)
def test_exchanging_the_detectors_changes_the_sign_alone(scenes_of_two, weighting) -> None:
    first, second = scenes_of_two
    there, back = (
        jafroc_difference(
            pair_detections(a.records, a.detections, b.detections, rule=QUICK),
            QUICK,
            weighting=weighting,
            n_permutations=20,
        )
        for a, b in ((first, second), (second, first))
    )
    assert (there.first, there.second, there.p_value) == (back.second, back.first, back.p_value)
    assert there.difference == -back.difference
    np.testing.assert_allclose([there.low, there.high], [-back.high, -back.low], atol=1e-12)
    variant = "JAFROC2" if is_defined(first.plain(), "JAFROC2") else "JAFROC1"
    assert there.first == pytest.approx(roc_reference.jafroc(first.plain(), variant, weighting), abs=1e-12)
    assert there.second == pytest.approx(roc_reference.jafroc(second.plain(), variant, weighting), abs=1e-12)


def test_a_detector_does_not_differ_from_itself_and_a_better_one_does() -> None:
    good, poor = detector(60, 0.9, 0), detector(60, 0.4, 1)
    same = jafroc_difference(
        pair_detections(good.records, good.detections, good.detections, rule=QUICK), QUICK, n_permutations=50
    )
    assert (same.difference, same.p_value) == (0, 1)
    assert math.isnan(same.low)
    apart = jafroc_difference(
        pair_detections(good.records, poor.detections, good.detections, rule=QUICK),
        FrocRule(n_bootstrap=400),
        variant="JAFROC1",
        n_permutations=199,
    )
    assert apart.p_value == 1 / 200
    assert 0 < apart.low < apart.difference < apart.high
