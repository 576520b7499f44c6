"""Intervals and differences of areas over patients: bootstrap, permutation, and the bound at 0 and 1."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from mammo_monai.metrics import FrocRule
from mammo_monai.metrics.area_resampling import (
    bootstrap_area_difference,
    bootstrap_area_interval,
    separated_interval,
    swapped_difference,
)
from mammo_monai.metrics.ratings import Ratings, rank_area
from tests.metrics.test_ratings import LEVELS, N_PATIENTS, made, ratings
from tests.reference import roc_reference

RULE = FrocRule(n_bootstrap=200)


def clustered(seed: int, n_patients: int, shift: float, *, views: int = 4) -> Ratings:
    """Half of the patients with lesions, four views each; views of a patient are alike."""
    rng = np.random.default_rng(seed)
    of = np.repeat(np.arange(n_patients), views)
    values = np.repeat(rng.normal(size=n_patients), views) + 0.5 * rng.normal(size=len(of))
    is_positive = of % 2 == 0
    return Ratings(
        values[is_positive] + shift, values[~is_positive], of[is_positive], of[~is_positive], n_patients
    )


@st.composite
def rating_pairs(draw: st.DrawFn) -> tuple[Ratings, Ratings]:
    first = draw(ratings())
    positive, negative = (
        draw(st.lists(LEVELS, min_size=len(each), max_size=len(each)))
        for each in (first.positive, first.negative)
    )
    return first, replace(first, positive=np.array(positive), negative=np.array(negative))


def test_the_interval_holds_the_area_and_is_the_same_again() -> None:
    each = clustered(0, 40, 0.8)
    interval = bootstrap_area_interval(each, RULE)
    assert (interval.method, interval.note) == ("bootstrap", "")
    assert interval.low < rank_area(each) < interval.high
    assert interval == bootstrap_area_interval(each, RULE)
    assert interval != bootstrap_area_interval(each, FrocRule(n_bootstrap=200, seed=1))


def test_drawing_in_blocks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = clustered(0, 12, 0.8), clustered(1, 12, 0.2)
    whole = bootstrap_area_interval(first, RULE), bootstrap_area_difference(first, second, RULE)
    monkeypatch.setattr("mammo_monai.metrics.resampling._CELLS", 300)
    again = bootstrap_area_interval(first, RULE), bootstrap_area_difference(first, second, RULE)
    assert repr(again) == repr(whole)  # from Python 3.13 on a dataclass with NaN is not equal to another


def test_views_of_a_patient_are_drawn_together() -> None:
    # Copies of a patient's case add nothing that is known: the interval must not shrink with them.
    one = clustered(3, 30, 0.8, views=1)
    many = Ratings(
        np.repeat(one.positive, 9),
        np.repeat(one.negative, 9),
        np.repeat(one.positive_patient, 9),
        np.repeat(one.negative_patient, 9),
        30,
    )
    ours, theirs = bootstrap_area_interval(one, RULE), bootstrap_area_interval(many, RULE)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high))


def test_the_interval_over_patients_covers_the_true_area_about_as_often_as_it_says() -> None:
    # P(X + 1 > Y) of two normals with variance 1.25 each: the cluster mean and the view.
    true = 0.5 * (1 + math.erf(1.0 / math.sqrt(2.5) / math.sqrt(2)))
    intervals = [bootstrap_area_interval(clustered(seed, 40, 1.0), RULE) for seed in range(200)]
    covered = np.mean([each.low <= true <= each.high for each in intervals])
    # 200 trials of 0.95 have a standard deviation of 0.015; percentile intervals of 20 against 20 run short.
    assert 0.88 <= covered <= 0.99


@pytest.mark.parametrize(
    ("each", "rule", "note"),
    [
        (clustered(0, 6, 0.5), FrocRule(n_bootstrap=0), "no resample was asked for"),
        (made([0.5, 0.5], [0.5, 0.5]), RULE, "every resample gave the same figure"),
        (
            made(
                [0.5],
                [0.5],
                positive_patient=np.zeros(1, dtype=int),
                negative_patient=np.zeros(1, dtype=int),
                n_patients=1,
            ),
            RULE,
            "fewer than two patients",
        ),
    ],
)
def test_where_resampling_says_nothing_there_is_no_interval(each: Ratings, rule: FrocRule, note: str) -> None:
    interval = bootstrap_area_interval(each, rule)
    assert interval.method == "none"
    assert note in interval.note
    assert math.isnan(interval.low)
    assert math.isnan(interval.high)


@pytest.mark.parametrize(("confidence", "tail"), [(0.95, 0.025), (0.8, 0.1)])
def test_an_area_of_one_or_zero_has_an_exact_bound(confidence: float, tail: float) -> None:
    rule = FrocRule(confidence=confidence)
    top = bootstrap_area_interval(made([2.0, 3.0, 4.0], [0.0, 1.0]), rule)
    assert (top.low, top.high, top.method) == (pytest.approx(tail**0.5), 1.0, "exact")
    bottom = bootstrap_area_interval(made([0.0, -np.inf], [2.0, 3.0, 4.0]), rule)
    assert (bottom.low, bottom.high, bottom.method) == (0.0, pytest.approx(1 - tail**0.5), "exact")


def test_the_exact_bound_holds() -> None:
    # At the bound for three pairs, a true area that low gives a measured area of 1 in at most 2.5 % of sets.
    bound = 0.025 ** (1 / 3)
    shift = math.sqrt(2) * float(norm.ppf(bound))
    rng = np.random.default_rng(0)
    positives, negatives = rng.normal(shift, 1, (40000, 3)), rng.normal(0, 1, (40000, 3))
    assert (positives > negatives).mean() == pytest.approx(bound, abs=0.005)
    assert (positives.min(axis=1) > negatives.max(axis=1)).mean() <= 0.025


def test_one_patient_alone_bounds_nothing() -> None:
    of = np.zeros(2, dtype=int)
    alone = made([2.0, 3.0], [0.0, 1.0], positive_patient=of, negative_patient=of, n_patients=1)
    interval = separated_interval(alone, 0.95)
    assert (interval.method, interval.note) == ("none", "no interval: all are of one patient")
    assert math.isnan(interval.low)


@settings(max_examples=30, deadline=None)
@given(pair=rating_pairs(), data=st.data())
def test_a_swap_exchanges_the_ranks_of_a_patient(pair: tuple[Ratings, Ratings], data) -> None:
    first, second = pair
    is_swapped = np.array(data.draw(st.lists(st.booleans(), min_size=N_PATIENTS, max_size=N_PATIENTS)))

    def ranks(values: np.ndarray, negatives: np.ndarray) -> list[float]:
        return [sum(roc_reference.wins(value, each) for each in negatives) for value in values]

    areas = []
    for own, other in ((first, second), (second, first)):
        rows = []
        for kind, of in (("positive", first.positive_patient), ("negative", first.negative_patient)):
            mine, theirs = (ranks(getattr(each, kind), each.negative) for each in (own, other))
            rows.append([b if is_swapped[p] else a for a, b, p in zip(mine, theirs, of, strict=True)])
        weight = None if first.weight is None else first.weight.tolist()
        areas.append(roc_reference.area(rows[0], rows[1], weight))
    swapped = swapped_difference(first, second, is_swapped[None])
    assert swapped[0] == pytest.approx(areas[1] - areas[0], abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(pair=rating_pairs())
def test_exchanging_the_detectors_changes_the_sign_alone(pair: tuple[Ratings, Ratings]) -> None:
    rule = FrocRule(n_bootstrap=30)
    there = bootstrap_area_difference(*pair, rule, n_permutations=30)
    back = bootstrap_area_difference(*pair[::-1], rule, n_permutations=30)
    assert (there.first, there.second, there.p_value) == (back.second, back.first, back.p_value)
    assert (there.note, there.difference) == (back.note, -back.difference)
    np.testing.assert_allclose([there.low, there.high], [-back.high, -back.low], atol=1e-12)


def test_a_detector_does_not_differ_from_itself() -> None:
    each = clustered(0, 10, 0.5)
    same = bootstrap_area_difference(each, replace(each, positive=each.positive * 1), RULE, n_permutations=50)
    assert (same.difference, same.p_value) == (0, 1)
    assert math.isnan(same.low)
    assert same.note == "no interval: every resample gave the same figure"


def test_without_permutations_there_is_no_p_value() -> None:
    pair = clustered(0, 10, 0.5), clustered(1, 10, 0.5)
    difference = bootstrap_area_difference(*pair, RULE, n_permutations=0)
    assert math.isnan(difference.p_value)
    assert difference.note == "no p-value: no permutation was asked for"
    assert difference.low < difference.high
    with pytest.raises(ValueError, match="0 or more, got -1"):
        bootstrap_area_difference(*pair, RULE, n_permutations=-1)


def test_the_p_value_counts_the_measured_difference_and_finds_a_real_one() -> None:
    good, bad = clustered(0, 60, 2.0), clustered(0, 60, 0.0)
    apart = bootstrap_area_difference(bad, good, RULE, n_permutations=99)
    assert apart.p_value == 1 / 100
    assert apart.low > 0
    assert math.isnan(apart.z)


def test_p_values_of_equal_detectors_are_spread_evenly() -> None:
    p_values = [
        bootstrap_area_difference(
            clustered(2 * seed, 16, 0.7),
            clustered(2 * seed + 1, 16, 0.7),
            FrocRule(n_bootstrap=0),
            n_permutations=99,
        ).p_value
        for seed in range(150)
    ]
    # Under no difference a share of t lies at or below t: 150 trials, three standard deviations.
    for level in (0.1, 0.5):
        spread = 3 * math.sqrt(level * (1 - level) / len(p_values))
        assert abs(np.mean(np.array(p_values) <= level) - level) <= spread


def test_bounds_that_coincide_give_no_interval_of_width_zero() -> None:
    # One of forty positives ties with the negatives in one detector: the percentiles beside the median agree.
    of = np.arange(40)
    one = made(np.ones(40), np.zeros(40), positive_patient=of, negative_patient=of, n_patients=40)
    other = replace(one, positive=np.append(np.ones(39), 0.0))
    rule = FrocRule(n_bootstrap=200, confidence=0.02)
    difference = bootstrap_area_difference(one, other, rule, n_permutations=0)
    assert math.isnan(difference.low)
    assert math.isnan(difference.high)
    assert "no interval: nearly every resample gave the same figure" in difference.note
    assert bootstrap_area_interval(other, rule).method == "none"
