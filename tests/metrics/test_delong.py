"""DeLong's variance and paired test: against published figures, every pair in turn, and simulated cases."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from mammo_monai.errors import UndefinedMetricError
from mammo_monai.metrics import FrocRule
from mammo_monai.metrics.delong import auc_difference, auc_interval, delong_variance
from mammo_monai.metrics.roc import roc_auc
from tests.metrics.test_roc import cases
from tests.reference import roc_reference

# Ratings 1 to 5 of 109 CT images: Hanley & McNeil, 1982, Table I.
HANLEY = {False: (33, 6, 6, 11, 2), True: (3, 2, 2, 11, 33)}


def hanley_cases() -> tuple[np.ndarray, np.ndarray]:
    scores = [np.repeat(np.arange(1, 6), counts) for counts in HANLEY.values()]
    return np.concatenate(scores), np.repeat([False, True], [58, 51])


def split(scores, truth) -> tuple[list[float], list[float]]:
    return np.asarray(scores)[truth].tolist(), np.asarray(scores)[~truth].tolist()


@st.composite
def two_scores(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    first, truth = draw(cases())
    assume(2 <= truth.sum() <= len(truth) - 2)
    levels = st.sampled_from([-np.inf, 0.1, 0.2, 0.5, 0.8])
    return first, np.array(draw(st.lists(levels, min_size=len(first), max_size=len(first)))), truth


def test_the_published_area_and_standard_error_are_met() -> None:
    # Area 0.893 by Hanley & McNeil; area 0.8932, standard error 0.0307, interval 0.83295 to 0.95339 by the
    # manual of Stata's roctab, whose standard error is DeLong's and whose interval is on the plain scale.
    scores, truth = hanley_cases()
    area, error = roc_auc(scores, truth), math.sqrt(delong_variance(scores, truth))
    assert (round(area, 4), round(error, 4)) == (0.8932, 0.0307)
    half = norm.ppf(0.975) * error
    assert (round(area - half, 5), round(area + half, 5)) == (0.83295, 0.95339)


def test_the_interval_is_normal_on_the_logit_scale() -> None:
    scores, truth = hanley_cases()
    interval = auc_interval(scores, truth)
    area, error = roc_auc(scores, truth), math.sqrt(delong_variance(scores, truth))
    half = norm.ppf(0.975) * error / (area * (1 - area))
    bounds = [1 / (1 + math.exp(-(math.log(area / (1 - area)) + side * half))) for side in (-1, 1)]
    assert [interval.low, interval.high] == pytest.approx(bounds)
    assert (interval.method, interval.note) == ("delong", "")


@settings(max_examples=40, deadline=None)
@given(given_cases=two_scores())
def test_the_variance_is_that_of_all_pairs(given_cases) -> None:
    scores, _, truth = given_cases
    expected = roc_reference.delong_covariance(split(scores, truth), split(scores, truth))
    assert delong_variance(scores, truth) == pytest.approx(expected, abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(given_cases=two_scores())
def test_the_paired_test_is_that_of_all_pairs(given_cases) -> None:
    first, second, truth = given_cases
    a, b = split(first, truth), split(second, truth)
    variance = roc_reference.delong_covariance(a, a) + roc_reference.delong_covariance(b, b)
    variance -= 2 * roc_reference.delong_covariance(a, b)
    difference = roc_reference.area(*b) - roc_reference.area(*a)
    measured = auc_difference(first, second, truth)
    assert measured.difference == pytest.approx(difference, abs=1e-12)
    if variance < 1e-12:
        assert math.isnan(measured.z)
        return
    assert measured.z == pytest.approx(difference / math.sqrt(variance), abs=1e-6)
    assert measured.p_value == pytest.approx(2 * norm.sf(abs(difference) / math.sqrt(variance)), abs=1e-6)
    half = norm.ppf(0.975) * math.sqrt(variance)
    assert measured.low == pytest.approx(max(-1, difference - half), abs=1e-6)
    assert measured.high == pytest.approx(min(1, difference + half), abs=1e-6)
    assert measured.method == "delong"


@settings(max_examples=40, deadline=None)
@given(given_cases=two_scores(), clusters=st.booleans())
def test_exchanging_the_two_changes_the_sign_alone(given_cases, clusters: bool) -> None:
    first, second, truth = given_cases
    options = {
        "patient": np.arange(len(first)) // (2 if clusters else 1),
        "rule": FrocRule(n_bootstrap=20),
        "n_permutations": 20,
    }
    there, back = (
        auc_difference(first, second, truth, **options),
        auc_difference(second, first, truth, **options),
    )
    assert (there.first, there.second, there.note) == (back.second, back.first, back.note)
    np.testing.assert_allclose(
        [there.difference, there.z, there.low, there.high, there.p_value],
        [-back.difference, -back.z, -back.high, -back.low, back.p_value],
        atol=1e-12,
    )


@settings(max_examples=40, deadline=None)
@given(given_cases=two_scores())
def test_scores_that_rank_alike_do_not_differ(given_cases) -> None:
    scores, _, truth = given_cases
    same = auc_difference(scores, np.exp(2 * scores), truth)
    assert (same.difference, same.p_value) == (0, 1)
    assert same.note == "no interval: both rank all cases alike"
    assert np.isnan([same.low, same.high, same.z]).all()


def test_a_difference_without_spread_has_no_p_value() -> None:
    apart = auc_difference([1, 1, 1, 1], [2, 2, 1, 1], [True, True, False, False])
    assert apart.difference == 0.5
    assert np.isnan([apart.low, apart.high, apart.z, apart.p_value]).all()
    assert apart.note == "no interval, no p-value: every case gave the same difference"


def test_spread_of_rounding_alone_is_none() -> None:
    # Thirds: 2/3 − 1/3 and 1 − 2/3 differ in their last bit, and a variance of 1e-33 would make p = 0.
    first = [2, 2, 3, 3, 1, 2, 4]
    second = [3, 3, 3.5, 3.5, 1, 2, 2.5]
    truth = np.array([True, True, True, True, False, False, False])
    measured = auc_difference(first, second, truth)
    a, b = split(first, truth), split(second, truth)
    variance = roc_reference.delong_covariance(a, a) + roc_reference.delong_covariance(b, b)
    variance -= 2 * roc_reference.delong_covariance(a, b)
    assert measured.p_value == pytest.approx(2 * norm.sf(abs(measured.difference) / math.sqrt(variance)))


def test_one_positive_alone_has_no_variance() -> None:
    scores, truth = [0.5, 0.1, 0.9], [True, False, False]
    with pytest.raises(UndefinedMetricError, match="two positives and two negatives, got 1 and 2"):
        delong_variance(scores, truth)
    interval = auc_interval(scores, truth)
    assert (interval.method, math.isnan(interval.low)) == ("none", True)
    assert "two positives and two negatives" in interval.note
    difference = auc_difference(scores, scores[::-1], truth)
    assert math.isnan(difference.p_value)
    assert "two positives and two negatives" in difference.note


def test_equal_scores_everywhere_have_no_interval() -> None:
    interval = auc_interval(np.zeros(6), [True, False] * 3)
    assert (interval.method, interval.note) == ("none", "no interval: every score is the same")
    assert math.isnan(interval.high)


def test_an_area_of_one_never_has_an_interval_of_no_width() -> None:
    scores, truth = np.arange(20.0), np.arange(20) >= 10
    assert delong_variance(scores, truth) == 0
    interval = auc_interval(scores, truth)
    assert (interval.high, interval.method) == (1, "exact")
    assert interval.low == pytest.approx(0.025**0.1)
    assert auc_interval(-scores, truth).high == pytest.approx(1 - 0.025**0.1)
    # Two cases each of ten patients with both kinds: five pairs of different patients.
    assert auc_interval(scores, truth, patient=np.arange(20) % 10).low == pytest.approx(0.025**0.2)


def test_patients_with_several_cases_are_drawn_and_others_are_not() -> None:
    rng = np.random.default_rng(0)
    truth = np.arange(40) % 2 == 0
    scores = rng.normal(size=40) + truth
    assert auc_interval(scores, truth, patient=np.arange(40)).method == "delong"
    assert auc_interval(scores, truth, patient=np.arange(40)) == auc_interval(scores, truth)
    clustered = auc_interval(scores, truth, patient=np.arange(40) // 4)
    assert clustered.method == "bootstrap"
    other = rng.normal(size=40) + truth
    assert auc_difference(scores, other, truth, patient=np.arange(40)).method == "delong"
    assert auc_difference(scores, other, truth, patient=np.arange(40) // 4).method == "bootstrap"


def test_copies_of_each_case_do_not_make_the_interval_over_patients_narrower() -> None:
    rng = np.random.default_rng(1)
    truth = np.arange(60) % 2 == 0
    scores = rng.normal(size=60) + truth
    copies, patient = np.tile(np.arange(60), 6), np.tile(np.arange(60), 6)
    one = auc_interval(scores, truth)
    blind = auc_interval(scores[copies], truth[copies])
    right = auc_interval(scores[copies], truth[copies], patient=patient)
    assert blind.high - blind.low < 0.6 * (one.high - one.low)
    assert right.high - right.low == pytest.approx(one.high - one.low, rel=0.2)


@pytest.mark.parametrize("shift", [0.0, 1.0, 2.0])
def test_the_interval_covers_the_true_area_about_as_often_as_it_says(shift: float) -> None:
    true, rng = norm.cdf(shift / math.sqrt(2)), np.random.default_rng(5)
    truth, covered = np.arange(60) < 30, 0
    for _ in range(400):
        interval = auc_interval(rng.normal(size=60) + shift * truth, truth)
        covered += interval.low <= true <= interval.high
    # 400 trials of 0.95 have a standard deviation of 0.011.
    assert 0.92 <= covered / 400 <= 0.98


def test_p_values_of_equal_tests_are_spread_evenly() -> None:
    rng, truth = np.random.default_rng(6), np.arange(80) < 40
    p_values = []
    for _ in range(400):
        case = rng.normal(size=80) + 1.5 * truth
        first, second = (case + rng.normal(size=80) for _ in range(2))
        p_values.append(auc_difference(first, second, truth).p_value)
    for level in (0.05, 0.5):
        assert abs(np.mean(np.array(p_values) <= level) - level) <= 3 * math.sqrt(level * (1 - level) / 400)
