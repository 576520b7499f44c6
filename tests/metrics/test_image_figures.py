"""Figures of images at a threshold: against counting one by one, their intervals, and what is undefined."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammo_monai.errors import UndefinedMetricError
from mammo_monai.metrics import FIGURES, FrocRule, image_figures, wilson_interval, youden_threshold
from mammo_monai.metrics.scored_units import UnitScores
from tests.reference import image_class_reference

QUICK = FrocRule(n_bootstrap=0)
scored = st.lists(
    st.tuples(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), st.booleans()), min_size=1, max_size=12
)


def units(rows: list[tuple[float, bool]], patients: list[int] | None = None) -> UnitScores:
    scores, truth = zip(*rows, strict=True)
    of = np.array(range(len(rows)) if patients is None else patients, dtype=np.int64)
    return UnitScores("image", np.array(scores), np.array(truth, dtype=bool), of)


@given(rows=scored, threshold=st.sampled_from([0.0, 0.3, 0.5, 1.0]))
def test_figures_are_those_of_counting_one_by_one(rows: list[tuple[float, bool]], threshold: float) -> None:
    found = image_figures(units(rows), threshold, QUICK)
    for name, expected in image_class_reference.figures(rows, threshold).items():
        value = found.values[name]
        assert math.isnan(value) if expected is None else value == pytest.approx(expected)
        if expected is None:
            assert found.intervals[name] is None


@given(rows=scored)
def test_youdens_threshold_is_the_best_of_all_tried(rows: list[tuple[float, bool]]) -> None:
    truth = [each for _, each in rows]
    expected, gain = image_class_reference.best_youden(rows)
    scores = [each for each, _ in rows]
    if all(truth) or not any(truth):
        with pytest.raises(UndefinedMetricError, match="positive and negative units"):
            youden_threshold(scores, truth)
    elif not gain:
        with pytest.raises(
            UndefinedMetricError, match="at none sensitivity and specificity together exceed 1"
        ):
            youden_threshold(scores, truth)
    else:
        assert youden_threshold(scores, truth) == expected


def test_intervals_are_percentiles_over_patients() -> None:
    rng = np.random.default_rng(0)
    patients = np.repeat(np.arange(30), 2)
    truth = patients % 2 == 0
    scores = np.clip(rng.normal(0.35 + 0.3 * truth, 0.2), 0, 1)
    found = image_figures(UnitScores("image", scores, truth, patients), 0.5, FrocRule(n_bootstrap=400))
    drawn = {name: [] for name in FIGURES}
    for _ in range(2000):
        kept = np.concatenate([np.flatnonzero(patients == each) for each in rng.integers(30, size=30)])
        rows = list(zip(scores[kept].tolist(), truth[kept].tolist(), strict=True))
        for name, value in image_class_reference.figures(rows, 0.5).items():
            drawn[name].append(value)
    for name in FIGURES:
        interval = found.intervals[name]
        assert interval is not None
        assert interval.method == "bootstrap"
        # Two independent bootstraps of the same data: 0.04 is some four standard errors of a percentile.
        low, high = np.percentile(np.array(drawn[name], dtype=float), [2.5, 97.5])
        assert interval.low == pytest.approx(low, abs=0.04)
        assert interval.high == pytest.approx(high, abs=0.04)
        assert interval.low <= found.values[name] <= interval.high


def test_where_resampling_says_nothing_shares_have_wilsons_interval_and_f1_none() -> None:
    rows = [(0.9, True), (0.8, True), (0.2, False), (0.7, False)]
    found = image_figures(units(rows), 0.5, QUICK)
    assert found.intervals["sensitivity"] == wilson_interval(2, 2)
    assert found.intervals["precision"] == wilson_interval(2, 3)
    assert found.intervals["f1"] is None


def test_a_threshold_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="threshold must be a number, got NaN"):
        image_figures(units([(0.5, True)]), math.nan, QUICK)
