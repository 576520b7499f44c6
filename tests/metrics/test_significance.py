"""Two detectors on the same images: differences, intervals and p-values, against a slow reference."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mammo_monai.metrics import (
    MEAN_FPPI,
    FrocRule,
    difference_curve,
    froc_curve,
    mean_sensitivity,
    pair_detections,
    paired_differences,
    sensitivity_at_fppi,
)
from mammo_monai.metrics.matching import Matches
from mammo_monai.metrics.pairing import PairedMatches
from mammo_monai.metrics.significance import resampled_difference, swapped_difference
from mammo_monai.records import Detections
from tests.metrics.rule_scenes import mammograms, rules
from tests.metrics.scenes import Scene, boxes, found, record, scenes
from tests.reference import significance_reference as reference

HIT, ASIDE = (0.0, 0.0, 4.0, 6.0), (6.0, 10.0, 9.0, 16.0)
QUICK = FrocRule(n_bootstrap=40)
SCORES = (0.1, 0.25, 0.5, 0.9)


@st.composite
def scene_pairs(draw: st.DrawFn) -> tuple[Scene, Scene]:
    """The same images marked by two detectors, at least one lesion of label 0 among them."""
    first = draw(scenes())
    assume(any(lesion.label == 0 for each in first.records for lesion in each.lesions))
    others = []
    for each in first.records:
        near = st.sampled_from([lesion.box for lesion in each.lesions]) if each.lesions else boxes()
        rows = draw(st.lists(st.tuples(st.one_of(boxes(), near), st.sampled_from(SCORES)), max_size=6))
        others.append(found(int(each.record_id, 16), *rows))
    return first, Scene(first.records, tuple(others))


def paired(first: Scene, second: Scene, rule: FrocRule = QUICK) -> PairedMatches:
    return pair_detections(first.records, first.detections, second.detections, rule=rule)


def detector(n_images: int, sees: float, seed: int, *, patients: int | None = None) -> Scene:
    """One lesion per image, found with this chance, and a false positive on most images; scores at random."""
    rng = np.random.default_rng(seed)
    records = tuple(record(n, [HIT], patient=f"p{n % (patients or n_images):04d}") for n in range(n_images))
    rows = []
    for n in range(n_images):
        own = [(HIT, float(rng.beta(4, 2)))] if rng.random() < sees else []
        own += [(ASIDE, float(rng.beta(2, 4)))] * int(rng.random() < 0.8)
        rows.append(found(n, *own))
    return Scene(records, tuple(rows))


@settings(max_examples=30, deadline=None)
@given(scenes_of_two=scene_pairs(), data=st.data())
def test_a_draw_of_patients_compares_copies_of_their_images(scenes_of_two, data) -> None:
    first, second = scenes_of_two
    pair = paired(first, second)
    drawn = data.draw(st.lists(st.integers(0, pair.n_patients - 1), min_size=1, max_size=5))
    weights = np.bincount(drawn, minlength=pair.n_patients)[None]
    expected = [
        reference.drawn_difference(first.plain(), second.plain(), pair.patient.tolist(), drawn, fppi)
        for fppi in QUICK.fppi
    ]
    measured = resampled_difference(pair, weights, QUICK)[0]
    np.testing.assert_allclose(measured, [np.nan if each is None else each for each in expected], atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(scenes_of_two=scene_pairs(), data=st.data(), doubles=st.booleans())
def test_a_swap_exchanges_what_two_detectors_marked_on_a_patient(scenes_of_two, data, doubles: bool) -> None:
    first, second = scenes_of_two
    rule = replace(QUICK, count_double_hits=doubles)
    pair = paired(first, second, rule)
    is_swapped = np.array(
        data.draw(st.lists(st.booleans(), min_size=pair.n_patients, max_size=pair.n_patients))
    )
    expected = reference.swapped_difference(
        first.plain(),
        second.plain(),
        pair.patient.tolist(),
        set(np.flatnonzero(is_swapped).tolist()),
        list(rule.fppi),
        doubles,
    )
    np.testing.assert_allclose(swapped_difference(pair, is_swapped[None], rule)[0], expected, atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(scenes_of_two=scene_pairs())
def test_the_measured_figures_are_those_of_the_two_curves(scenes_of_two) -> None:
    pair = paired(*scenes_of_two)
    mean, *points = paired_differences(pair, QUICK, n_permutations=10)
    curves = froc_curve(pair.first), froc_curve(pair.second)
    assert mean.fppi == MEAN_FPPI
    assert (mean.first, mean.second) == pytest.approx([mean_sensitivity(each) for each in curves])
    assert [each.fppi for each in points] == [(fppi,) for fppi in QUICK.fppi]
    for each in points:
        at = [sensitivity_at_fppi(curve, each.fppi[0]) for curve in curves]
        assert (each.first, each.second) == pytest.approx(at)
        assert each.difference == pytest.approx(at[1] - at[0])


@settings(max_examples=40, deadline=None)
@given(scenes_of_two=scene_pairs())
def test_the_p_value_counts_the_swaps_at_least_as_large_and_the_measured_one(scenes_of_two) -> None:
    first, second = scenes_of_two
    pair = paired(first, second)
    n_permutations = 9
    toss = np.random.default_rng(QUICK.seed).integers(2, size=(n_permutations, pair.n_patients))
    swaps = [
        reference.swapped_difference(
            first.plain(), second.plain(), pair.patient.tolist(), set(np.flatnonzero(each).tolist()), [1.0]
        )[0]
        for each in toss
    ]
    point = paired_differences(pair, replace(QUICK, fppi=(1.0,)), n_permutations=n_permutations)[1]
    assert point.p_value == pytest.approx(reference.p_value(point.difference, swaps))


@settings(max_examples=40, deadline=None)
@given(scene=scenes())
def test_a_detector_does_not_differ_from_itself(scene: Scene) -> None:
    assume(any(lesion.label == 0 for each in scene.records for lesion in each.lesions))
    for each in paired_differences(paired(scene, scene), QUICK, n_permutations=20):
        assert (each.difference, each.p_value) == (0, 1)
        # No spread was seen, which is not the same as an interval from 0 to 0.
        assert math.isnan(each.low)
        assert math.isnan(each.high)
        assert each.note.startswith("no interval: ")


@settings(max_examples=40, deadline=None)
@given(scenes_of_two=scene_pairs())
def test_exchanging_the_detectors_changes_the_sign_alone(scenes_of_two) -> None:
    first, second = scenes_of_two
    there = paired_differences(paired(first, second), QUICK, n_permutations=30)
    back = paired_differences(paired(second, first), QUICK, n_permutations=30)
    for one, other in zip(there, back, strict=True):
        assert (one.first, one.second, one.p_value) == (other.second, other.first, other.p_value)
        assert one.difference == -other.difference
        np.testing.assert_allclose([one.low, one.high], [-other.high, -other.low], atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(scenes_of_two=scene_pairs(), data=st.data())
def test_the_order_of_images_does_not_matter(scenes_of_two, data) -> None:
    first, second = scenes_of_two
    order = data.draw(st.permutations(range(len(first.records))))
    shuffled = pair_detections(
        [first.records[n] for n in order], first.detections, second.detections[::-1], rule=QUICK
    )
    ours = paired_differences(paired(first, second), QUICK, n_permutations=20)
    theirs = paired_differences(shuffled, QUICK, n_permutations=20)
    for one, other in zip(ours, theirs, strict=True):
        assert (one.fppi, one.note, one.p_value) == (other.fppi, other.note, other.p_value)
        np.testing.assert_allclose(
            [one.first, one.second, one.low, one.high],
            [other.first, other.second, other.low, other.high],
            atol=1e-9,
        )


@settings(max_examples=40, deadline=None)
@given(scenes_of_two=scene_pairs())
def test_the_scale_of_one_detectors_scores_does_not_matter(scenes_of_two) -> None:
    first, second = scenes_of_two
    rescaled = Scene(
        second.records,
        tuple(
            Detections(each.record_id, each.boxes, each.scores**3 / 100, each.labels)
            for each in second.detections
        ),
    )
    ours = paired_differences(paired(first, second), QUICK, n_permutations=20)
    theirs = paired_differences(paired(first, rescaled), QUICK, n_permutations=20)
    assert [str(each) for each in ours] == [str(each) for each in theirs]


@st.composite
def mammogram_pairs(draw: st.DrawFn) -> tuple[Scene, Scene]:
    """Mammograms marked by two detectors, a lesion and a normal image among them."""
    first = draw(mammograms())
    assume(any(each.has_mass for each in first.records) and not all(each.has_mass for each in first.records))
    others = []
    for each in first.records:
        near = st.sampled_from([lesion.box for lesion in each.lesions]) if each.lesions else boxes()
        rows = draw(st.lists(st.tuples(st.one_of(boxes(), near), st.sampled_from(SCORES)), max_size=6))
        others.append(found(int(each.record_id, 16), *rows))
    return first, Scene(first.records, tuple(others))


@settings(max_examples=50, deadline=None)
@given(scenes_of_two=mammogram_pairs(), rule=rules())
def test_swapping_every_patient_exchanges_the_detectors_by_every_rule(scenes_of_two, rule: FrocRule) -> None:
    pair = paired(*scenes_of_two, rule)
    curves = [
        froc_curve(each, count_double_hits=rule.count_double_hits) for each in (pair.first, pair.second)
    ]
    first, second = ([sensitivity_at_fppi(curve, each) for each in rule.fppi] for curve in curves)
    measured = np.subtract(second, first)
    swaps = np.array([[False] * pair.n_patients, [True] * pair.n_patients])
    swapped = swapped_difference(pair, swaps, rule)
    np.testing.assert_allclose(swapped, [measured, -measured], atol=1e-9)
    every = np.ones((1, pair.n_patients), dtype=np.int64)
    np.testing.assert_allclose(resampled_difference(pair, every, rule)[0], measured, atol=1e-9)


@settings(max_examples=50, deadline=None)
@given(scenes_of_two=mammogram_pairs(), images=st.sampled_from(["normal", "with_lesions"]), data=st.data())
def test_images_that_do_not_count_swap_as_if_they_held_no_false_positive(scenes_of_two, images, data) -> None:
    rule = FrocRule(n_bootstrap=30, fppi=(0.5, 1.5), false_positives_on=images)
    pair = paired(*scenes_of_two, rule)
    n_counted = int(pair.first.is_counted.sum())
    # The same numbers of false positives, over all images; halves keep rounding from deciding.
    limits = tuple((int(each * n_counted) + 0.5) / len(pair.patient) for each in rule.fppi)
    cleared = [
        without_false_positives(scene, each) for scene, each in zip(scenes_of_two, pair_of(pair), strict=True)
    ]
    plain = paired(*cleared, replace(rule, fppi=limits, false_positives_on="all"))
    is_swapped = np.array(
        [data.draw(st.lists(st.booleans(), min_size=pair.n_patients, max_size=pair.n_patients))]
    )
    np.testing.assert_allclose(
        swapped_difference(pair, is_swapped, rule),
        swapped_difference(plain, is_swapped, replace(rule, fppi=limits)),
        atol=1e-9,
    )


def pair_of(pair: PairedMatches) -> tuple[Matches, Matches]:
    return pair.first, pair.second


def without_false_positives(scene: Scene, matches: Matches) -> Scene:
    """Without the false positives on images that do not count; other labels have no say."""
    is_kept = matches.is_hit | matches.is_double_hit | matches.is_counted[matches.image]
    kept = set(zip(matches.image[is_kept].tolist(), matches.index[is_kept].tolist(), strict=True))
    detections = []
    for image, each in enumerate(scene.detections):
        rows = [index for index in range(len(each.scores)) if (image, index) in kept]
        detections.append(Detections(each.record_id, each.boxes[rows], each.scores[rows], each.labels[rows]))
    return Scene(scene.records, tuple(detections))


def test_a_better_detector_is_told_from_a_worse_one() -> None:
    worse, better = detector(120, 0.5, seed=1), detector(120, 0.9, seed=2)
    mean = paired_differences(paired(worse, better), FrocRule(n_bootstrap=300), n_permutations=300)[0]
    assert 0.1 < mean.low < mean.difference < mean.high < 0.7
    assert mean.p_value == pytest.approx(1 / 301)


def test_equal_detectors_are_called_different_about_as_often_as_stated() -> None:
    # 300 data sets of 40 patients, two detectors of one quality with scores on different scales: a p-value of
    # .05 or less must come up in some 15 of them; 5 and 27 are the .2 and 99.8 % points of the binomial.
    p_values, covered = [], []
    for n in range(300):
        second = detector(40, 0.7, seed=2 * n + 1)
        halved = tuple(replace(each, scores=each.scores / 2) for each in second.detections)
        pair = paired(detector(40, 0.7, seed=2 * n), Scene(second.records, halved))
        mean = paired_differences(pair, FrocRule(n_bootstrap=100, fppi=(1.0,)), n_permutations=99)[0]
        p_values.append(mean.p_value)
        covered.append(mean.low <= 0 <= mean.high)
    assert 5 <= sum(each <= 0.05 for each in p_values) <= 27
    assert sum(covered) >= 265


def test_views_of_a_patient_are_drawn_and_swapped_together() -> None:
    # Ten views of two patients: only the second detector finds the lesion, in all views of one patient.
    records = tuple(record(n, [HIT], patient=f"p{n // 5}") for n in range(10))
    blind = Scene(records, tuple(found(n) for n in range(10)))
    seeing = Scene(records, tuple(found(n, (HIT, 0.9)) if n < 5 else found(n) for n in range(10)))
    point = paired_differences(paired(blind, seeing), FrocRule(n_bootstrap=200), n_permutations=200)[1]
    assert (point.difference, point.low, point.high) == (0.5, 0, 1)
    assert point.p_value == 1  # one patient decides: swapped or not, the size of the difference is the same


@pytest.mark.parametrize(
    ("n_bootstrap", "n_patients", "why"),
    [
        (0, 20, "no interval: no resample was asked for"),
        (30, 1, "no interval: fewer than two patients, or no resample with a lesion"),
    ],
)
def test_what_resampling_cannot_say_is_nan_with_its_reason(
    n_bootstrap: int, n_patients: int, why: str
) -> None:
    pair = paired(detector(20, 0.5, 1, patients=n_patients), detector(20, 0.9, 2, patients=n_patients))
    for each in paired_differences(pair, FrocRule(n_bootstrap=n_bootstrap), n_permutations=10):
        assert math.isnan(each.low)
        assert math.isnan(each.high)
        assert each.note == why
        assert 0 < each.p_value <= 1


def test_without_permutations_the_p_value_is_nan_with_its_reason() -> None:
    pair = paired(detector(20, 0.5, 1), detector(20, 0.9, 2))
    mean = paired_differences(pair, QUICK, n_permutations=0)[0]
    assert math.isnan(mean.p_value)
    assert mean.note == "no p-value: no permutation was asked for"
    assert mean.low < mean.high


def test_fewer_than_no_permutations_are_refused() -> None:
    pair = paired(detector(4, 0.5, 1), detector(4, 0.9, 2))
    with pytest.raises(ValueError, match="n_permutations must be 0 or more, got -1"):
        paired_differences(pair, QUICK, n_permutations=-1)


def test_draws_without_lesions_are_left_out() -> None:
    records = (record(0, [HIT]), *(record(n) for n in range(1, 6)))
    blind = Scene(records, tuple(found(n) for n in range(6)))
    seeing = Scene(records, (found(0, (HIT, 0.9)), *(found(n) for n in range(1, 6))))
    point = paired_differences(paired(blind, seeing), FrocRule(n_bootstrap=100), n_permutations=0)[1]
    assert point.difference == 1
    assert point.note.startswith("no interval: every resample gave the same difference")


def test_drawing_in_blocks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = paired(detector(12, 0.5, 1), detector(12, 0.9, 2))
    whole = paired_differences(pair, QUICK, n_permutations=50)
    monkeypatch.setattr("mammo_monai.metrics.resampling._CELLS", 7 * 24)
    assert paired_differences(pair, QUICK, n_permutations=50) == whole


def test_the_curve_holds_the_same_differences_and_intervals_as_the_table() -> None:
    pair = paired(detector(30, 0.5, 1), detector(30, 0.9, 2))
    curve = difference_curve(pair, QUICK)
    points = paired_differences(pair, QUICK, n_permutations=0)[1:]
    np.testing.assert_allclose(curve.difference, [each.difference for each in points])
    np.testing.assert_allclose(curve.low, [each.low for each in points])
    np.testing.assert_allclose(curve.high, [each.high for each in points])
    assert curve.fppi.tolist() == list(QUICK.fppi)


def test_the_curve_of_a_detector_against_itself_has_no_interval() -> None:
    curve = difference_curve(paired(detector(9, 0.5, 1), detector(9, 0.5, 1)), QUICK)
    assert not curve.difference.any()
    assert np.isnan(curve.low).all()


def test_a_wider_confidence_gives_a_wider_interval() -> None:
    pair = paired(detector(60, 0.5, 1), detector(60, 0.7, 2))
    narrow = paired_differences(pair, FrocRule(n_bootstrap=200, confidence=0.5), n_permutations=0)[0]
    wide = paired_differences(pair, FrocRule(n_bootstrap=200, confidence=0.99), n_permutations=0)[0]
    assert wide.low < narrow.low < narrow.high < wide.high


def test_bounds_that_coincide_give_no_interval_of_width_zero() -> None:
    # The second detector misses one lesion of forty: the percentiles beside the median are the same.
    records = tuple(record(n, [HIT]) for n in range(40))
    all_found = Scene(records, tuple(found(n, (HIT, 0.9)) for n in range(40)))
    one_missed = Scene(records, (*all_found.detections[:39], found(39)))
    rule = FrocRule(n_bootstrap=200, confidence=0.02)
    point = paired_differences(paired(all_found, one_missed), rule, n_permutations=0)[1]
    assert point.difference == pytest.approx(-1 / 40)
    assert math.isnan(point.low)
    assert math.isnan(point.high)
    assert point.note.startswith("no interval: nearly every resample gave the same difference")
