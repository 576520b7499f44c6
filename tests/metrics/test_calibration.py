"""Calibration against scikit-learn, and where it is undefined."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from sklearn.calibration import calibration_curve
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss

from mammo_monai.errors import UndefinedMetricError
from mammo_monai.metrics import (
    FrocRule,
    brier_score,
    calibrate,
    expected_calibration_error,
    fit_isotonic,
    fit_platt,
    hit_probabilities,
    match_pooled,
    pool_images,
    reliability_bins,
)
from mammo_monai.metrics.calibration import MAX_TEMPERATURE, fit_temperature, reliability_entry
from mammo_monai.schema import IsotonicCurve, PlattCurve
from mammo_monai.schema.operating_points import TemperatureCurve
from tests.metrics.scenes import found, record

HIT, ASIDE = (0.0, 0.0, 4.0, 6.0), (6.0, 10.0, 9.0, 16.0)
RULE = FrocRule(n_bootstrap=0)
scores_and_hits = st.lists(
    st.tuples(st.floats(0, 1) | st.sampled_from([0.0, 0.25, 1.0]), st.booleans()), min_size=2, max_size=60
).filter(lambda rows: len({hit for _, hit in rows}) == 2)
chances_and_hits = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60)


def sample(n: int, seed: int = 0, slope: float = 1.0, intercept: float = 0.0):
    """Scores whose logits are normal, and hits drawn from the Platt curve given."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(size=n)
    return expit(logits), generator.random(n) < expit(slope * logits + intercept)


def with_platt_targets(scores: np.ndarray, hits: np.ndarray) -> PlattCurve:
    """scikit-learn's logistic regression; a target between 0 and 1 is a weighted hit and a weighted miss."""
    n_hits = hits.sum()
    target = np.where(hits, (n_hits + 1) / (n_hits + 2), 1 / (len(hits) - n_hits + 2))
    features = np.tile(logit(np.clip(scores, 1e-6, 1 - 1e-6)), 2)[:, None]
    labels = np.repeat([1, 0], len(scores))
    model = LogisticRegression(C=np.inf, tol=1e-12, max_iter=10_000, solver="newton-cholesky")
    model.fit(features, labels, sample_weight=np.concatenate([target, 1 - target]))
    return PlattCurve(float(model.coef_[0, 0]), float(model.intercept_[0]))


@pytest.mark.parametrize(("slope", "intercept"), [(1.0, 0.0), (2.5, -1.0), (0.3, 1.5), (-1.0, 0.0)])
def test_platt_is_the_logistic_regression_of_scikit_learn(slope: float, intercept: float) -> None:
    scores, hits = sample(500, slope=slope, intercept=intercept)
    ours, theirs = fit_platt(scores, hits), with_platt_targets(scores, hits)
    assert (ours.slope, ours.intercept) == pytest.approx((theirs.slope, theirs.intercept), abs=1e-5)


def test_platt_finds_the_curve_the_hits_were_drawn_from() -> None:
    curve = fit_platt(*sample(200_000, slope=2.5, intercept=-1.0))
    assert (curve.slope, curve.intercept) == pytest.approx((2.5, -1.0), abs=0.05)


@settings(max_examples=100, deadline=None)
@given(rows=scores_and_hits)
def test_platt_is_finite_and_no_worse_than_any_step_away(rows: list[tuple[float, bool]]) -> None:
    scores, hits = np.array([each for each, _ in rows]), np.array([each for _, each in rows])
    curve = fit_platt(scores, hits)
    assert np.isfinite([curve.slope, curve.intercept]).all()
    n_hits = hits.sum()
    target = np.where(hits, (n_hits + 1) / (n_hits + 2), 1 / (len(hits) - n_hits + 2))

    def loss(slope: float, intercept: float) -> float:
        z = slope * logit(np.clip(scores, 1e-6, 1 - 1e-6)) + intercept
        return float(np.sum(np.logaddexp(0, z) - target * z))

    best = loss(curve.slope, curve.intercept)
    for step in (1e-3, 1.0):
        for away in ((step, 0), (-step, 0), (0, step), (0, -step), (step, step), (step, -step)):
            assert best <= loss(curve.slope + away[0], curve.intercept + away[1]) + 1e-8


@pytest.mark.parametrize(
    ("scores", "hits"),
    [
        ([0.0, 0.0, 1.0, 1.0], [False, False, True, True]),
        ([0.0, 1e-300, 1.0], [False, True, True]),
        ([0.5] * 5, [True, False, False, False, False]),
    ],
    ids=["told apart, at 0 and 1", "next to 0", "all equal"],
)
def test_platt_is_safe_at_the_ends_and_where_scores_tell_nothing(scores: list, hits: list) -> None:
    chances = hit_probabilities(fit_platt(scores, hits), scores)
    assert np.isfinite(chances).all()
    assert ((chances > 0) & (chances < 1)).all()
    assert chances.mean() == pytest.approx(np.mean(hits), abs=0.12)


@pytest.mark.parametrize("slope", [0.2, 1.0, 3.0])
def test_the_temperature_is_the_logistic_regression_of_scikit_learn_without_an_intercept(
    slope: float,
) -> None:
    scores, hits = sample(500, slope=slope)
    model = LogisticRegression(C=np.inf, tol=1e-12, max_iter=10_000, fit_intercept=False)
    model.fit(logit(scores)[:, None], hits)
    assert fit_temperature(scores, hits).temperature == pytest.approx(1 / model.coef_[0, 0], rel=1e-5)


def test_the_temperature_finds_the_one_the_hits_were_drawn_with() -> None:
    assert fit_temperature(*sample(200_000, slope=0.5)).temperature == pytest.approx(2.0, abs=0.05)


@settings(max_examples=100, deadline=None)
@given(rows=scores_and_hits)
def test_no_other_temperature_is_likelier(rows: list[tuple[float, bool]]) -> None:
    scores, hits = np.array([each for each, _ in rows]), np.array([each for _, each in rows])
    found_ = fit_temperature(scores, hits).temperature
    assert 1 / MAX_TEMPERATURE <= found_ <= MAX_TEMPERATURE

    def loss(temperature: float) -> float:
        z = logit(np.clip(scores, 1e-6, 1 - 1e-6)) / temperature
        return float(np.sum(np.logaddexp(0, z) - hits * z))

    for other in (found_ * 0.9, found_ * 1.1, 0.01, 0.5, 1.0, 2.0, 100.0):
        if 1 / MAX_TEMPERATURE <= other <= MAX_TEMPERATURE:
            assert loss(found_) <= loss(other) + 1e-8


@pytest.mark.parametrize(
    ("hits", "temperature"),
    [([False, False, True, True], 1 / MAX_TEMPERATURE), ([True, True, False, False], MAX_TEMPERATURE)],
    ids=["told apart", "the wrong way round"],
)
def test_the_temperature_keeps_to_its_bounds(hits: list[bool], temperature: float) -> None:
    scores = [0.0, 0.3, 0.8, 1.0]
    curve = fit_temperature(scores, hits)
    assert curve.temperature == temperature
    chances = hit_probabilities(curve, scores)
    assert np.isfinite(chances).all()
    assert (np.diff(chances) >= 0).all()


def test_a_temperature_of_1_leaves_scores_as_they_are() -> None:
    asked = np.array([0.0, 0.25, 0.5, 0.9])
    assert hit_probabilities(TemperatureCurve(1.0), asked) == pytest.approx(asked, abs=1e-5)
    assert hit_probabilities(TemperatureCurve(2.0), [0.9]) == pytest.approx([0.75])


@settings(max_examples=50, deadline=None)
@given(rows=scores_and_hits)
def test_isotonic_is_that_of_scikit_learn(rows: list[tuple[float, bool]]) -> None:
    scores, hits = np.array([each for each, _ in rows]), np.array([each for _, each in rows])
    theirs = IsotonicRegression(out_of_bounds="clip").fit(scores, hits)
    asked = np.linspace(0, 1, 41)
    ours = hit_probabilities(fit_isotonic(scores, hits), asked)
    np.testing.assert_allclose(ours, np.clip(theirs.predict(asked), 0, 1), atol=1e-9)
    assert (np.diff(ours) >= -1e-12).all()


def test_isotonic_is_constant_beyond_its_scores() -> None:
    curve = IsotonicCurve(scores=(0.2, 0.6), probabilities=(0.1, 0.5))
    assert hit_probabilities(curve, [0.0, 0.2, 0.4, 0.6, 1.0]).tolist() == pytest.approx(
        [0.1, 0.1, 0.3, 0.5, 0.5]
    )


@given(rows=chances_and_hits)
def test_the_brier_score_is_that_of_scikit_learn(rows: list[tuple[float, bool]]) -> None:
    chances, hits = [each for each, _ in rows], [each for _, each in rows]
    assert brier_score(chances, hits) == pytest.approx(
        brier_score_loss(np.array(hits, dtype=int), chances, pos_label=1)
    )


@given(rows=chances_and_hits, n_bins=st.integers(1, 12))
def test_bins_are_those_of_counting_one_by_one(rows: list[tuple[float, bool]], n_bins: int) -> None:
    bins = reliability_bins([chance for chance, _ in rows], [hit for _, hit in rows], n_bins=n_bins)
    assert sum(each.n for each in bins) == len(rows)
    for each in bins:
        is_last = each.high == 1.0
        members = [(c, h) for c, h in rows if each.low <= c < each.high or (is_last and c == 1.0)]
        assert each.n == len(members) > 0
        assert each.mean_score == pytest.approx(np.mean([c for c, _ in members]))
        assert each.hit_rate == pytest.approx(np.mean([h for _, h in members]))
        assert each.high - each.low == pytest.approx(1 / n_bins)


def test_bins_are_those_of_scikit_learn() -> None:
    chances, hits = sample(3000, slope=1.7)
    shares, means = calibration_curve(hits, chances, n_bins=10)
    bins = reliability_bins(chances, hits)
    assert [each.hit_rate for each in bins] == pytest.approx(shares.tolist())
    assert [each.mean_score for each in bins] == pytest.approx(means.tolist())


@given(rows=chances_and_hits)
def test_the_expected_error_is_the_weighted_distance_of_the_bins(rows: list[tuple[float, bool]]) -> None:
    chances, hits = np.array([each for each, _ in rows]), np.array([float(each) for _, each in rows])
    place = np.array([max(n for n in range(10) if n / 10 <= each) for each in chances])
    slow = sum(abs(chances[place == n].sum() - hits[place == n].sum()) for n in range(10)) / len(rows)
    assert expected_calibration_error(reliability_bins(chances, hits)) == pytest.approx(slow, abs=1e-12)


@pytest.mark.parametrize(
    "undefined",
    [
        lambda: brier_score([], []),
        lambda: reliability_bins([], []),
        lambda: expected_calibration_error([]),
    ],
)
def test_of_no_detection_nothing_is_defined(undefined) -> None:
    with pytest.raises(UndefinedMetricError, match="no detection"):
        undefined()


@pytest.mark.parametrize("fit", [fit_platt, fit_isotonic, fit_temperature])
@pytest.mark.parametrize(("hits", "named"), [([True] * 3, "3 hits and 0 misses"), ([False] * 3, "0 hits")])
def test_without_hits_or_without_misses_no_curve_is_defined(fit, hits: list[bool], named: str) -> None:
    with pytest.raises(UndefinedMetricError, match=named):
        fit([0.1, 0.5, 0.9], hits)


@pytest.mark.parametrize("fit", [fit_platt, fit_isotonic, fit_temperature])
@pytest.mark.parametrize("score", [-0.1, 1.5, np.nan])
def test_a_score_outside_0_to_1_is_refused(fit, score: float) -> None:
    with pytest.raises(ValueError, match=r"scores from 0 to 1, got .*\(1 of 3 lie outside\)"):
        fit([0.1, score, 0.9], [True, False, True])


def test_a_score_outside_0_to_1_has_no_probability() -> None:
    with pytest.raises(ValueError, match="got 2"):
        hit_probabilities(PlattCurve(1.0, 0.0), [2.0])


def scene(n_patients: int, *, doubles: bool = False):
    """Two images a patient: a hit that scores high, a miss that scores low, maybe a double hit between."""
    generator = np.random.default_rng(1)
    records, detections = [], []
    for n in range(2 * n_patients):
        rows = [(HIT, float(generator.uniform(0.3, 1))), (ASIDE, float(generator.uniform(0, 0.7)))]
        if doubles:
            rows.append((HIT, 0.01))
        records.append(record(n, [HIT]))
        detections.append(found(n, *rows))
    matches = match_pooled(pool_images(detections, [each.lesions for each in records]))
    return matches, np.arange(2 * n_patients) // 2


def test_the_curve_is_fitted_on_all_and_judged_on_patients_left_out() -> None:
    matches, patient = scene(40)
    found_ = calibrate(matches, patient, RULE)
    assert found_.curve == fit_platt(matches.scores, matches.is_hit)
    assert sum(each.n for each in found_.bins) == 160
    own = hit_probabilities(found_.curve, matches.scores)
    assert found_.brier > brier_score(own, matches.is_hit)
    assert found_.expected_error == pytest.approx(expected_calibration_error(found_.bins))


def test_a_curve_that_fits_chance_does_not_praise_itself() -> None:
    generator = np.random.default_rng(3)
    scores = generator.random(200)
    records = [record(n, [HIT]) for n in range(200)]
    rows = [found(n, (HIT if generator.random() < 0.5 else ASIDE, scores[n])) for n in range(200)]
    matches = match_pooled(pool_images(rows, [each.lesions for each in records]))
    judged = calibrate(matches, np.arange(200), RULE, method="isotonic")
    own = hit_probabilities(judged.curve, matches.scores)
    # Half of all detections hit whatever their score: the best possible Brier score is 0.25.
    assert brier_score(own, matches.is_hit) < 0.25 < judged.brier


def test_double_hits_are_left_out_or_misses_by_the_rule() -> None:
    matches, patient = scene(20, doubles=True)
    ignored = calibrate(matches, patient, RULE)
    counted = calibrate(matches, patient, FrocRule(n_bootstrap=0, count_double_hits=True))
    assert sum(each.n for each in ignored.bins) == 80
    assert sum(each.n for each in counted.bins) == 120
    assert ignored.curve == calibrate(*scene(20), RULE).curve
    assert counted.curve != ignored.curve


def test_the_temperature_is_fitted_and_judged_like_the_other_curves() -> None:
    matches, patient = scene(40)
    found_ = calibrate(matches, patient, RULE, method="temperature")
    assert found_.curve == fit_temperature(matches.scores, matches.is_hit)
    assert found_.method == "temperature"
    assert sum(each.n for each in found_.bins) == 160


def test_a_temperature_at_its_bound_is_told_with_the_remedy(caplog: pytest.LogCaptureFixture) -> None:
    records = [record(n, [HIT]) for n in range(20)]
    rows = [found(n, (HIT, 0.4), (ASIDE, 0.6)) for n in range(20)]
    matches = match_pooled(pool_images(rows, [each.lesions for each in records]))
    calibrate(matches, np.arange(20), RULE, method="temperature")
    (message,) = caplog.messages
    assert "stands at its bound, 100" in message
    assert "Calibrate by platt or isotonic instead" in message
    caplog.clear()
    calibrate(*scene(40), RULE, method="temperature")
    assert not caplog.messages


def test_reliability_of_raw_scores_is_that_of_their_bins() -> None:
    matches, _ = scene(40)
    entry = reliability_entry(matches, RULE)
    assert entry is not None
    bins = reliability_bins(matches.scores, matches.is_hit)
    assert [each["hit_rate"] for each in entry["bins"]] == [each.hit_rate for each in bins]
    assert set(entry["bins"][0]) == {"low", "high", "n", "mean_score", "hit_rate"}
    assert entry["expected_calibration_error"] == expected_calibration_error(bins)
    assert entry["brier"] == brier_score(matches.scores, matches.is_hit)
    assert json.loads(json.dumps(entry, allow_nan=False)) == entry


def test_reliability_counts_what_the_rule_counts_and_what_is_shown() -> None:
    matches, _ = scene(20, doubles=True)
    counts = [
        sum(each["n"] for each in (reliability_entry(matches, rule, min_score=least) or {})["bins"])
        for rule, least in (
            (RULE, 0.0),
            (FrocRule(n_bootstrap=0, count_double_hits=True), 0.0),
            (FrocRule(n_bootstrap=0, count_double_hits=True), 0.02),
        )
    ]
    shown = int((matches.scores >= 0.02).sum())
    assert counts == [80, 120, shown]
    assert shown < 120


@pytest.mark.parametrize("rows", [[], [(ASIDE, 1.5)], [(ASIDE, -0.1)]], ids=["none", "above 1", "below 0"])
def test_reliability_of_no_detection_or_of_scores_that_are_no_shares_is_null(rows: list) -> None:
    matches = match_pooled(pool_images([found(0, *rows)], [[]]))
    assert reliability_entry(matches, RULE) is None


def test_scores_below_the_lowest_point_do_not_count() -> None:
    matches, patient = scene(40)
    kept = matches.scores >= 0.4
    found_ = calibrate(matches, patient, RULE, min_score=0.4)
    assert found_.min_score == 0.4
    assert found_.curve == fit_platt(matches.scores[kept], matches.is_hit[kept])
    assert sum(each.n for each in found_.bins) == kept.sum()


def test_hits_of_one_patient_alone_cannot_be_judged() -> None:
    records = [record(n, [HIT] if n == 0 else []) for n in range(8)]
    rows = [found(n, *([(HIT, 0.9)] if n == 0 else []), (ASIDE, 0.3)) for n in range(8)]
    matches = match_pooled(pool_images(rows, [each.lesions for each in records]))
    with pytest.raises(UndefinedMetricError, match=r"too few patients for that: .* got 0 hits and"):
        calibrate(matches, np.arange(8), RULE)


def test_no_patient_is_fitted_and_judged_at_once() -> None:
    matches, patient = scene(5)
    left_out = calibrate(matches, patient, RULE, method="isotonic")
    same = calibrate(matches, patient, RULE, method="isotonic")
    one_by_one = np.zeros(len(matches.scores))
    for number in range(5):  # five patients, five folds: each fold is one patient
        is_out = patient[matches.image] == number
        curve = fit_isotonic(matches.scores[~is_out], matches.is_hit[~is_out])
        one_by_one[is_out] = hit_probabilities(curve, matches.scores[is_out])
    assert left_out.brier == pytest.approx(brier_score(one_by_one, matches.is_hit))
    assert left_out == same


def test_another_method_is_refused() -> None:
    matches, patient = scene(5)
    with pytest.raises(ValueError, match="method must be platt, temperature, isotonic, got 'beta'"):
        calibrate(matches, patient, RULE, method="beta")  # type: ignore[arg-type]  # the point of the test


def test_an_undefined_curve_is_never_0() -> None:
    matches = match_pooled(pool_images([found(0, (ASIDE, 0.5))], [record(0).lesions]))
    with pytest.raises(UndefinedMetricError, match="0 hits and 1 misses"):
        calibrate(matches, np.zeros(1, dtype=np.int64), RULE)
