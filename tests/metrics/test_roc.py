"""ROC curve, its area and sensitivity at a specificity: against scikit-learn and slow references."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import trapezoid
from sklearn import metrics as sklearn_metrics

from mammo_monai.errors import UndefinedMetricError
from mammo_monai.metrics import FrocRule, wilson_interval
from mammo_monai.metrics.roc import ratings_of, roc_auc, roc_curve, sensitivity_at_specificity
from tests.reference import roc_reference

QUICK = FrocRule(n_bootstrap=100)


@st.composite
def cases(draw: st.DrawFn, max_size: int = 14) -> tuple[np.ndarray, np.ndarray]:
    """Scores with many ties, some unmarked, and a truth with both kinds."""
    levels = st.sampled_from([-np.inf, 0.0, 0.1, 0.25, 0.5, 0.9])
    scores = draw(st.lists(levels, min_size=2, max_size=max_size))
    truth = draw(st.lists(st.booleans(), min_size=len(scores), max_size=len(scores)))
    truth[0], truth[-1] = True, False
    order = draw(st.permutations(range(len(scores))))
    return np.array(scores)[order], np.array(truth)[order]


def random_cases(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """From two up to 200 cases, on a coarse grid for every other seed."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 201))
    truth = rng.random(n) < rng.uniform(0.1, 0.9)
    truth[:2] = True, False
    scores = rng.normal(size=n) + truth
    return (np.round(scores) if seed % 2 else scores), truth


@pytest.mark.parametrize("first_seed", range(0, 400, 100))
def test_area_and_curve_agree_with_scikit_learn_on_hundreds_of_cases(first_seed: int) -> None:
    for seed in range(first_seed, first_seed + 100):
        scores, truth = random_cases(seed)
        assert roc_auc(scores, truth) == pytest.approx(
            sklearn_metrics.roc_auc_score(truth, scores), abs=1e-12
        )
        curve = roc_curve(scores, truth)
        fpr, tpr, thresholds = sklearn_metrics.roc_curve(truth, scores, drop_intermediate=False)
        np.testing.assert_allclose(curve.fpr, fpr, atol=1e-12)
        np.testing.assert_allclose(curve.tpr, tpr, atol=1e-12)
        np.testing.assert_array_equal(curve.score, thresholds)
        # scikit-learn drops less: only points between two equal steps.
        *_, kept = sklearn_metrics.roc_curve(truth, scores, drop_intermediate=True)
        assert set(curve.corners().score) <= set(kept)


@settings(max_examples=35, deadline=None)
@given(given_cases=cases())
def test_the_corners_are_the_same_line_with_no_point_too_many(given_cases) -> None:
    curve = roc_curve(*given_cases)
    corners = curve.corners()
    place, at = (each.true_positives + each.false_positives for each in (curve, corners))
    np.testing.assert_allclose(np.interp(place, at, corners.true_positives), curve.true_positives)
    steps = list(zip(np.diff(corners.true_positives), np.diff(corners.false_positives), strict=True))
    for (up, right), (next_up, next_right) in itertools.pairwise(steps):
        assert up * next_right != right * next_up


@settings(max_examples=35, deadline=None)
@given(given_cases=cases())
def test_the_area_is_the_share_of_pairs_and_the_area_under_the_curve(given_cases) -> None:
    scores, truth = given_cases
    expected = roc_reference.area(scores[truth].tolist(), scores[~truth].tolist())
    assert roc_auc(scores, truth) == pytest.approx(expected, abs=1e-12)
    for curve in (roc_curve(scores, truth), roc_curve(scores, truth).corners()):
        assert trapezoid(curve.tpr, curve.fpr) == pytest.approx(expected, abs=1e-12)


@settings(max_examples=50, deadline=None)
@given(given_cases=cases())
def test_the_area_depends_on_ranks_alone(given_cases) -> None:
    scores, truth = given_cases
    assert roc_auc(np.exp(3 * scores), truth) == roc_auc(scores, truth)
    assert roc_auc(np.arctan(scores) - 7, truth) == roc_auc(scores, truth)


@settings(max_examples=50, deadline=None)
@given(given_cases=cases())
def test_exchanging_truth_or_scores_gives_the_complement(given_cases) -> None:
    scores, truth = given_cases
    assert roc_auc(scores, ~truth) == pytest.approx(1 - roc_auc(scores, truth), abs=1e-12)
    assert roc_auc(-scores, truth) == pytest.approx(1 - roc_auc(scores, truth), abs=1e-12)


@settings(max_examples=50, deadline=None)
@given(given_cases=cases(), data=st.data())
def test_the_order_of_cases_does_not_matter(given_cases, data) -> None:
    scores, truth = given_cases
    order = data.draw(st.permutations(range(len(scores))))
    ours, theirs = roc_curve(scores, truth), roc_curve(scores[order], truth[order])
    assert roc_auc(scores, truth) == roc_auc(scores[order], truth[order])
    np.testing.assert_array_equal(ours.true_positives, theirs.true_positives)
    np.testing.assert_array_equal(ours.false_positives, theirs.false_positives)
    np.testing.assert_array_equal(ours.score, theirs.score)


def test_the_curve_runs_from_nothing_to_everything() -> None:
    curve = roc_curve([0.9, -np.inf, 0.2, -np.inf], [True, True, False, False])
    assert (curve.n_positive, curve.n_negative) == (2, 2)
    assert curve.score.tolist() == [np.inf, 0.9, 0.2, -np.inf]
    assert curve.specificity.tolist() == [1, 1, 0.5, 0]


@settings(max_examples=35, deadline=None)
@given(given_cases=cases(), specificity=st.sampled_from([0.1, 0.5, 0.8, 0.9, 1.0]))
def test_sensitivity_is_the_best_that_leaves_enough_negatives(given_cases, specificity: float) -> None:
    scores, truth = given_cases
    at = sensitivity_at_specificity(scores, truth, specificity, rule=FrocRule(n_bootstrap=0))
    expected = roc_reference.sensitivity_at(scores[truth].tolist(), scores[~truth].tolist(), specificity)
    assert at.sensitivity == pytest.approx(expected)
    assert (scores[truth] >= at.score).mean() == at.sensitivity
    assert (scores[~truth] < at.score).mean() >= specificity
    wilson = wilson_interval(round(at.sensitivity * truth.sum()), int(truth.sum()))
    assert (at.low, at.high, at.interval) == (wilson.low, wilson.high, "wilson")


@pytest.mark.parametrize("n_negative", [10, 30, 70, 90, 130])
@pytest.mark.parametrize("specificity", [0.7, 0.8, 0.9])
def test_a_specificity_of_whole_cases_is_reached(n_negative: int, specificity: float) -> None:
    # 0.9 of 10 allows exactly one false positive: no rounding may take it away, nor allow another.
    truth = np.arange(n_negative + 1) == n_negative
    for n_below, sensitivity in (
        (round(n_negative * specificity), 1),
        (round(n_negative * specificity) - 1, 0),
    ):
        scores = np.append(np.arange(n_negative), n_below - 0.5)
        at = sensitivity_at_specificity(scores, truth, specificity, rule=FrocRule(n_bootstrap=0))
        assert at.sensitivity == sensitivity


@settings(max_examples=40, deadline=None)
@given(given_cases=cases(8), specificity=st.sampled_from([0.5, 0.9]))
def test_each_draw_of_patients_finds_its_own_score(given_cases, specificity: float) -> None:
    scores, truth = given_cases
    patient, rule = np.arange(len(scores)) // 2, FrocRule(n_bootstrap=15)
    generator = np.random.default_rng(rule.seed)
    values = []
    n_patients = int(patient.max()) + 1
    for _ in range(rule.n_bootstrap if n_patients > 1 else 0):
        rows = np.concatenate(
            [np.flatnonzero(patient == each) for each in generator.integers(n_patients, size=n_patients)]
        )
        drawn, is_positive = scores[rows], truth[rows]
        values.append(
            roc_reference.sensitivity_at(
                drawn[is_positive].tolist(), drawn[~is_positive].tolist(), specificity
            )
        )
    values = [each for each in values if each is not None]
    at = sensitivity_at_specificity(scores, truth, specificity, patient=patient, rule=rule)
    if len(set(values)) > 1:
        assert at.interval == "bootstrap"
        assert (at.low, at.high) == pytest.approx(tuple(np.percentile(values, [2.5, 97.5])))
    else:
        assert at.interval == "wilson"


def test_without_patients_each_case_is_one_of_its_own() -> None:
    scores, truth = random_cases(7)
    own = sensitivity_at_specificity(scores, truth, 0.8, patient=np.arange(len(scores)), rule=QUICK)
    assert own == sensitivity_at_specificity(scores, truth, 0.8, rule=QUICK)
    assert own.interval == "bootstrap"


@pytest.mark.parametrize("specificity", [0.0, -0.1, 1.1, float("nan")])
def test_a_specificity_out_of_range_is_refused(specificity: float) -> None:
    with pytest.raises(ValueError, match="specificity must be above 0 and at most 1, got"):
        sensitivity_at_specificity([1, 0], [True, False], specificity)


@pytest.mark.parametrize("figure", [roc_curve, roc_auc, ratings_of])
def test_without_both_kinds_every_figure_is_undefined(figure) -> None:
    for truth in ([True, True], [False, False]):
        with pytest.raises(
            UndefinedMetricError, match=f"got {sum(truth)} positive and {2 - sum(truth)} negative"
        ):
            figure([0.1, 0.2], truth)
    with pytest.raises(UndefinedMetricError, match="got 0 positive and 0 negative"):
        figure([], [])


def test_cases_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match=r"shapes \(2,\) and \(1,\)"):
        roc_auc([0.1, 0.2], [True])
    with pytest.raises(ValueError, match="got NaN"):
        roc_curve([0.1, np.nan], [True, False])
    with pytest.raises(ValueError, match="one patient per score, got 3 for 2 scores"):
        ratings_of([0.1, 0.2], [True, False], [0, 1, 2])


def test_bounds_that_coincide_give_no_interval_of_width_zero() -> None:
    # One positive of forty lies below the negatives: draws differ, the percentiles beside the median do not.
    scores, truth = np.concatenate([np.ones(39), [0.0], np.full(40, 0.5)]), np.arange(80) < 40
    rule = FrocRule(n_bootstrap=200, confidence=0.02)
    at = sensitivity_at_specificity(scores, truth, 0.9, patient=np.arange(80) % 40, rule=rule)
    wilson = wilson_interval(39, 40, confidence=0.02)
    assert (at.low, at.high, at.interval) == (wilson.low, wilson.high, "wilson")
