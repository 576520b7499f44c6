from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammo_monai.metrics import FrocRule, summarise_runs, wilson_interval
from mammo_monai.metrics.classification import ClassifiedUnits, classification_figures
from tests.reference.patch_reference import auc_by_pairs, figures_by_counting

QUICK = FrocRule(n_bootstrap=20)


def units_of(positive: Any, truth: Any, patient: Any | None = None) -> ClassifiedUnits:
    p = np.asarray(positive, dtype=np.float64)
    of = None if patient is None else np.asarray(patient, dtype=np.int64)
    return ClassifiedUnits(np.stack([1 - p, p], axis=1), np.asarray(truth, dtype=np.int64), of)


@settings(max_examples=40)
@given(
    rows=st.lists(st.tuples(st.integers(0, 8), st.integers(0, 1), st.integers(0, 3)), min_size=1, max_size=14)
)
def test_figures_are_those_counted_unit_by_unit(rows: list[tuple[int, int, int]]) -> None:
    positive, truth, patient = zip(*rows, strict=True)
    units = units_of(np.array(positive) / 8, truth, patient)
    found = classification_figures(units, QUICK)
    is_positive, called = [bool(each) for each in truth], [each > 4 for each in positive]
    expected = figures_by_counting(is_positive, called)
    expected["auc"] = auc_by_pairs(is_positive, [each / 8 for each in positive])
    assert set(found.figures) == set(expected)
    for name, value in expected.items():
        figure = found.figures[name]  # type: ignore[index]  # names as in the package
        assert figure.value == pytest.approx(value, nan_ok=True), name
        assert (
            math.isnan(figure.low)
            or figure.low <= figure.value <= figure.high
            or figure.method == "bootstrap"
        )
        assert not math.isnan(figure.low) or figure.note
    assert found.confusion.sum() == found.n_units == len(rows)
    assert found.confusion[1, 1] == sum(t and c for t, c in zip(is_positive, called, strict=True))
    assert found.n_patients == len(set(patient))


@settings(max_examples=15)
@given(order=st.permutations(range(9)))
def test_the_order_of_units_does_not_matter(order: list[int]) -> None:
    positive = np.array([0.1, 0.4, 0.35, 0.8, 0.9, 0.2, 0.7, 0.6, 0.3])
    truth, patient = np.array([0, 0, 1, 1, 1, 0, 0, 1, 0]), np.arange(9) // 2
    plain = classification_figures(units_of(positive, truth, patient), QUICK)
    moved = classification_figures(units_of(positive[order], truth[order], patient[order]), QUICK)
    assert plain.figures == moved.figures
    assert plain.per_class == moved.per_class


def test_units_of_their_own_patients_have_wilson_s_and_delong_s_intervals() -> None:
    found = classification_figures(units_of([0.9, 0.8, 0.4, 0.3, 0.6, 0.1], [1, 1, 1, 0, 0, 0]))
    interval = wilson_interval(2, 3)
    sensitivity = found.figures["sensitivity"]
    assert (sensitivity.low, sensitivity.high, sensitivity.method) == (interval.low, interval.high, "wilson")
    assert found.figures["auc"].method == "delong"
    assert found.figures["f1"].method == "bootstrap"
    assert found.n_patients == 6


def test_repeated_patches_of_a_patient_do_not_narrow_the_interval() -> None:
    positive, truth = np.array([0.9, 0.8, 0.4, 0.3, 0.6, 0.1]), np.array([1, 1, 1, 0, 0, 0])
    once = classification_figures(units_of(positive, truth, np.arange(6)))
    many = classification_figures(
        units_of(np.repeat(positive, 20), np.repeat(truth, 20), np.repeat(np.arange(6), 20))
    )
    taken_for_independent = classification_figures(units_of(np.repeat(positive, 20), np.repeat(truth, 20)))
    widths = [
        each.figures["accuracy"].high - each.figures["accuracy"].low
        for each in (once, many, taken_for_independent)
    ]
    assert many.figures["accuracy"].method == "bootstrap"
    assert widths[1] > 0.8 * widths[0]
    assert widths[2] < 0.4 * widths[1]


def test_the_bootstrap_interval_is_that_of_drawn_patients() -> None:
    # Patient 0 all right, patient 1 all wrong: a draw has accuracy 0, 1/2 or 1 with chances 1/4, 1/2, 1/4.
    units = units_of([0.1, 0.9, 0.9, 0.1], [0, 1, 0, 1], [0, 0, 1, 1])
    accuracy = classification_figures(units, FrocRule(n_bootstrap=400)).figures["accuracy"]
    assert (accuracy.value, accuracy.low, accuracy.high) == (0.5, 0.0, 1.0)


def test_all_right_falls_back_to_wilson_and_f1_says_why_it_has_none() -> None:
    found = classification_figures(units_of([0.1, 0.2, 0.9, 0.8], [0, 0, 1, 1], [0, 0, 1, 1]), QUICK)
    assert found.figures["accuracy"].method == "wilson"
    assert found.figures["accuracy"].high == 1
    assert found.figures["f1"].value == 1
    assert "every resample gave the same f1" in found.figures["f1"].note
    assert found.figures["auc"].method == "exact"


def test_what_cannot_be_said_is_nan_with_a_note() -> None:
    found = classification_figures(units_of([0.1, 0.2], [0, 0]), QUICK).figures
    assert math.isnan(found["sensitivity"].value)
    assert found["sensitivity"].note == "sensitivity is undefined: no unit to divide by"
    assert "ROC curve is undefined" in found["auc"].note
    assert found["specificity"].value == 1


def test_no_unit_leaves_every_figure_undefined() -> None:
    found = classification_figures(ClassifiedUnits(np.zeros((0, 2)), np.zeros(0, dtype=np.int64)), QUICK)
    assert all(math.isnan(each.value) for each in found.figures.values())
    assert found.n_units == found.n_patients == 0


def test_five_classes_are_scored_together_and_each_against_the_rest() -> None:
    answers = np.full((6, 5), 0.05)
    for row, called in enumerate([0, 1, 2, 2, 4, 0]):
        answers[row, called] = 0.8
    truth = np.array([0, 1, 1, 2, 3, 4])
    found = classification_figures(ClassifiedUnits(answers, truth), QUICK)
    assert found.figures["accuracy"].value == pytest.approx(3 / 6)
    # A wrong class that is no background is a hit for "anything but background".
    assert found.figures["sensitivity"].value == pytest.approx(4 / 5)
    assert found.confusion[1].tolist() == [0, 1, 1, 0, 0]
    assert found.per_class[2]["sensitivity"].value == 1
    assert found.per_class[2]["specificity"].value == pytest.approx(4 / 5)
    assert found.per_class[1]["precision"].value == 1
    assert found.per_class[4]["auc"].value == pytest.approx(auc_by_pairs(truth == 4, answers[:, 4]))


def test_one_half_is_called_background() -> None:
    assert units_of([0.5], [1]).predicted.tolist() == [0]


def test_scores_near_one_stay_apart() -> None:
    answers = np.array([[1e-20, 1e-9, 1.0], [0.0, 0.0, 1.0]])
    first, second = ClassifiedUnits(answers, np.array([1, 1])).scores
    assert first > second


@pytest.mark.parametrize(
    ("answers", "truth", "patient", "message"),
    [
        (np.zeros((2, 1)), [0, 0], None, "K >= 2 classes"),
        (np.full((2, 2), 0.5), [0], None, "got shapes"),
        (np.array([[np.nan, 1.0]]), [0], None, "a probability must be a number, got NaN"),
        (np.full((1, 2), 0.5), [2], None, "true classes must be from 0 to 1"),
        (np.full((1, 2), 0.5), [0], [-1], "one patient number of at least 0 per unit"),
        (np.full((2, 2), 0.5), [0, 1], [0], "one patient number of at least 0 per unit"),
    ],
)
def test_what_has_no_figures_is_refused(answers: Any, truth: Any, patient: Any, message: str) -> None:
    of = None if patient is None else np.array(patient)
    with pytest.raises(ValueError, match=message):
        ClassifiedUnits(answers, np.array(truth), of)


def test_mean_and_sd_over_runs_take_n_minus_one() -> None:
    runs = [
        classification_figures(units_of(p, [1, 1, 0, 0]), QUICK)
        for p in ([0.9, 0.9, 0.1, 0.1], [0.9, 0.1, 0.1, 0.1])
    ]
    by_name = {each.name: each for each in summarise_runs(runs)}
    assert by_name["accuracy"].values == (1.0, 0.75)
    assert by_name["accuracy"].mean == 0.875
    assert by_name["accuracy"].sd == pytest.approx(0.25 / math.sqrt(2))
    assert math.isnan(summarise_runs(runs[:1])[0].sd)
    with pytest.raises(ValueError, match="at least one run"):
        summarise_runs([])
