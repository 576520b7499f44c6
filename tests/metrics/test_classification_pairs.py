from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammo_monai.metrics import FrocRule, auc_difference
from mammo_monai.metrics.classification_pairs import PairedFigure, mcnemar_test, paired_figures
from mammo_monai.metrics.ratings import resampled_areas
from tests.metrics.test_classification import units_of
from tests.reference.patch_reference import accuracy_swaps

RULE = FrocRule(n_bootstrap=60)
TRUTH = np.array([0, 1, 0, 1, 0, 1, 1, 0, 1, 0])
PATIENT = np.array([0, 0, 1, 1, 2, 2, 3, 3, 4, 4])
GOOD = np.array([0.1, 0.9, 0.2, 0.8, 0.3, 0.7, 0.6, 0.4, 0.9, 0.6])
POOR = np.array([0.6, 0.4, 0.2, 0.7, 0.8, 0.3, 0.6, 0.7, 0.2, 0.1])


def by_name(figures: tuple[PairedFigure, ...]) -> dict[str, PairedFigure]:
    return {each.name: each for each in figures}


def test_the_difference_is_second_minus_first_with_its_interval() -> None:
    found = by_name(paired_figures([units_of(POOR, TRUTH, PATIENT)], [units_of(GOOD, TRUTH, PATIENT)], RULE))
    assert found["accuracy"].first == 0.4
    assert found["accuracy"].second == 0.9
    assert found["accuracy"].difference == pytest.approx(0.5)
    assert found["accuracy"].low < 0.5 < found["accuracy"].high
    assert all(0 < each.p_value <= 1 for each in found.values())
    assert next(iter(found)) == "accuracy"


def test_the_auc_is_compared_as_auc_difference_compares_it() -> None:
    first, second = units_of(POOR, TRUTH, PATIENT), units_of(GOOD, TRUTH, PATIENT)
    auc = by_name(paired_figures([first], [second], RULE, n_permutations=50))["auc"]
    expected = auc_difference(
        first.scores, second.scores, TRUTH > 0, patient=PATIENT, rule=RULE, n_permutations=50
    )
    assert (auc.first, auc.second) == (expected.first, expected.second)
    assert (auc.low, auc.high) == (expected.low, expected.high)
    assert auc.p_value == expected.p_value


def test_draws_of_many_patches_are_ranked_in_blocks_of_bounded_size(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = units_of(POOR, TRUTH, PATIENT), units_of(GOOD, TRUTH, PATIENT)
    at_once = paired_figures([first], [second], RULE, n_permutations=50)
    sizes: list[int] = []

    def watched(ratings: Any, weights: Any) -> Any:
        sizes.append(len(weights) * (len(ratings.positive) + len(ratings.negative)))
        return resampled_areas(ratings, weights)

    monkeypatch.setattr("mammo_monai.metrics.resampling._CELLS", 100)
    for module in ("classification_pairs", "area_resampling"):
        monkeypatch.setattr(f"mammo_monai.metrics.{module}.resampled_areas", watched)
    assert paired_figures([first], [second], RULE, n_permutations=50) == at_once
    assert max(sizes) <= 100


def test_the_p_value_of_accuracy_tends_to_that_of_all_swaps() -> None:
    first, second = units_of(POOR, TRUTH, PATIENT), units_of(GOOD, TRUTH, PATIENT)
    right = [[bool(each) for each in units.predicted == TRUTH] for units in (first, second)]
    swaps = accuracy_swaps(*right, PATIENT.tolist())
    exact = np.mean([abs(each) >= 0.5 - 1e-9 for each in swaps])
    found = by_name(paired_figures([first], [second], FrocRule(n_bootstrap=0), n_permutations=4000))[
        "accuracy"
    ]
    # 4000 tosses: a standard deviation of 0.005.
    assert found.p_value == pytest.approx(exact, abs=0.02)


@settings(max_examples=15)
@given(seed=st.integers(0, 1000))
def test_swapping_the_two_turns_the_signs_and_keeps_the_p_values(seed: int) -> None:
    random = np.random.default_rng(seed)
    a, b = (units_of(random.uniform(size=10), TRUTH, PATIENT) for _ in range(2))
    forth = paired_figures([a], [b], FrocRule(n_bootstrap=10), n_permutations=10)
    back = paired_figures([b], [a], FrocRule(n_bootstrap=10), n_permutations=10)
    for one, other in zip(forth, back, strict=True):
        assert one.difference == pytest.approx(-other.difference, nan_ok=True)
        assert one.p_value == pytest.approx(other.p_value, nan_ok=True)


def test_the_same_classifier_twice_differs_by_nothing() -> None:
    same = units_of(GOOD, TRUTH, PATIENT)
    for each in paired_figures([same], [same], RULE, n_permutations=20):
        assert (each.difference, each.p_value) == (0, 1)
        assert "every resample gave the same difference" in each.note


def test_runs_are_averaged_and_swapped_one_by_one() -> None:
    poor, good = units_of(POOR, TRUTH, PATIENT), units_of(GOOD, TRUTH, PATIENT)
    found = by_name(paired_figures([poor, good], [good, good], RULE))
    single = by_name(paired_figures([poor], [good], RULE))
    for name, each in found.items():
        assert each.difference == pytest.approx(single[name].difference / 2)
        assert each.p_value == pytest.approx(single[name].p_value)


def test_one_class_alone_leaves_the_area_undefined_and_the_accuracy_not() -> None:
    truth = np.zeros(10, dtype=np.int64)
    first, second = units_of(POOR, truth, PATIENT), units_of(GOOD, truth, PATIENT)
    found = by_name(paired_figures([first], [second], RULE, n_permutations=10))
    assert math.isnan(found["auc"].difference)
    assert found["auc"].note == "auc is undefined for these units"
    assert not math.isnan(found["accuracy"].p_value)


def test_without_permutations_there_is_no_p_value_and_a_note() -> None:
    first, second = units_of(POOR, TRUTH, PATIENT), units_of(GOOD, TRUTH, PATIENT)
    accuracy = by_name(paired_figures([first], [second], FrocRule(n_bootstrap=0), n_permutations=0))[
        "accuracy"
    ]
    assert math.isnan(accuracy.p_value)
    assert accuracy.note == "no interval: no resample was asked for; no p-value: no permutation was asked for"


@pytest.mark.parametrize(
    ("first", "second", "expected"), [(0, 0, 1.0), (0, 5, 0.0625), (3, 3, 1.0), (1, 6, 0.125)]
)
def test_mcnemar_is_the_binomial_test_of_the_discordant_units(
    first: int, second: int, expected: float
) -> None:
    a = np.array([True] * first + [False] * second + [True] * 4)
    b = np.array([False] * first + [True] * second + [True] * 4)
    found = mcnemar_test(a, b)
    assert (found.first_alone, found.second_alone) == (first, second)
    assert found.p_value == pytest.approx(expected)


def test_what_cannot_be_paired_is_refused() -> None:
    units = units_of(GOOD, TRUTH, PATIENT)
    with pytest.raises(ValueError, match="as many units of both, got 2 and 3"):
        mcnemar_test(np.ones(2, dtype=bool), np.ones(3, dtype=bool))
    with pytest.raises(ValueError, match="n_permutations must be 0 or more"):
        paired_figures([units], [units], n_permutations=-1)
    with pytest.raises(ValueError, match="as many runs of both classifiers, at least one, got 2 and 1"):
        paired_figures([units, units], [units])
    with pytest.raises(ValueError, match="the same units of the same patients"):
        paired_figures([units], [units_of(GOOD, 1 - TRUTH, PATIENT)])
    empty: Any = units_of([], [])
    with pytest.raises(ValueError, match="at least one unit, got none"):
        paired_figures([empty], [empty])
