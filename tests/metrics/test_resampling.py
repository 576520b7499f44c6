"""Draws of patients: as many as asked for, those of the sensitivity, none where they say nothing."""

from __future__ import annotations

import numpy as np
import pytest

from mammo_monai.metrics import resampling as module
from mammo_monai.metrics.resampling import (
    patient_draws,
    patient_swaps,
    percentile_bounds,
    permutation_p_value,
)
from mammo_monai.metrics.rule import FrocRule


def drawn(n_patients: int, rule: FrocRule, width: int = 1) -> np.ndarray:
    blocks = list(patient_draws(n_patients, rule, width=width))
    return np.concatenate(blocks) if blocks else np.zeros((0, n_patients))


def test_every_draw_holds_as_many_patients_as_there_are() -> None:
    weights = drawn(7, FrocRule(n_bootstrap=50))
    assert weights.shape == (50, 7)
    assert (weights.sum(axis=1) == 7).all()
    assert (weights >= 0).all()
    assert len({tuple(each) for each in weights.tolist()}) > 40


def test_another_seed_draws_others_and_the_same_seed_the_same() -> None:
    first = drawn(9, FrocRule(n_bootstrap=5))
    assert (first == drawn(9, FrocRule(n_bootstrap=5))).all()
    assert (first != drawn(9, FrocRule(n_bootstrap=5, seed=1))).any()


@pytest.mark.parametrize(("n_patients", "n_bootstrap"), [(0, 10), (1, 10), (5, 0)])
def test_there_are_none_where_resampling_says_nothing(n_patients: int, n_bootstrap: int) -> None:
    assert len(drawn(n_patients, FrocRule(n_bootstrap=n_bootstrap))) == 0


@pytest.mark.parametrize("width", [1, 100])
def test_blocks_bound_the_memory_and_change_nothing(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    rule = FrocRule(n_bootstrap=20)
    whole = drawn(6, rule)
    monkeypatch.setattr(module, "_CELLS", 200)
    blocks = list(patient_draws(6, rule, width=width))
    assert [len(each) for each in blocks] == ([20] if width == 1 else [2] * 10)
    np.testing.assert_array_equal(np.concatenate(blocks), whole)


def test_bounds_of_no_draw_or_of_draws_alike_are_undefined() -> None:
    assert np.isnan(percentile_bounds(np.zeros((0, 3)), 0.95)).all()
    assert np.isnan(percentile_bounds(np.full((4, 1), np.nan), 0.95)).all()
    assert np.isnan(percentile_bounds(np.ones((4, 1)), 0.95)).all()
    assert np.isnan(percentile_bounds(np.array([[0.0], *[[1.0]] * 99]), 0.95)).all()  # both percentiles are 1
    assert percentile_bounds(np.arange(101.0)[:, None], 0.9)[0].tolist() == pytest.approx([5.0, 95.0])


def test_swaps_block_by_block_are_those_drawn_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = np.concatenate(list(patient_swaps(6, FrocRule(), 20)))
    assert whole.shape == (20, 6)
    assert 0.3 < whole.mean() < 0.7
    monkeypatch.setattr(module, "_CELLS", 200)
    blocks = list(patient_swaps(6, FrocRule(), 20, width=100))
    assert [len(each) for each in blocks] == [2] * 10
    np.testing.assert_array_equal(np.concatenate(blocks), whole)


def test_a_p_value_counts_swaps_as_large_in_either_direction_and_is_never_0() -> None:
    swaps = np.array([0.2, -0.2, 0.2 - 1e-12, 0.1])
    assert permutation_p_value(-0.2, swaps) == (4 / 5, "")
    assert permutation_p_value(0.9, swaps) == (1 / 5, "")
    p_value, why = permutation_p_value(0.2, np.zeros(0))
    assert np.isnan(p_value)
    assert why == "no p-value: no permutation was asked for"
