"""Precision, recall and F1 against counting by hand; intervals against drawing the patients one by one."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammo_monai.errors import UndefinedMetricError
from mammo_monai.metrics.bootstrap import wilson_interval
from mammo_monai.metrics.froc import froc_curve
from mammo_monai.metrics.precision_recall import (
    PrecisionRecall,
    best_f1_score,
    precision_recall_at,
    precision_recall_entry,
)
from mammo_monai.metrics.resampling import patient_draws
from mammo_monai.metrics.rule import FrocRule
from tests.metrics.scenes import Scene, found, record, scenes
from tests.reference import precision_recall_reference as slow

HIT, ASIDE = (0.0, 0.0, 4.0, 6.0), (6.0, 10.0, 9.0, 16.0)
LEAST = (0.1, 0.3, 0.5, 0.9, math.inf)
NO_DRAWS = FrocRule(n_bootstrap=0)


def two_by_two(scene: Scene) -> np.ndarray:
    return np.arange(len(scene.records)) // 2


def or_none(value: float) -> float | None:
    return None if math.isnan(value) else value


@settings(max_examples=40, deadline=None)
@given(scene=scenes(), doubles=st.booleans())
def test_counts_and_figures_are_those_of_counting_by_hand(scene: Scene, doubles: bool) -> None:
    rule = FrocRule(n_bootstrap=0, count_double_hits=doubles)
    for point in precision_recall_at(scene.matches(), LEAST, two_by_two(scene), rule):
        counts = slow.counts_at(scene.plain(), point.score, doubles)
        assert (point.true_positives, point.false_positives, point.false_negatives) == counts
        ours = [or_none(each) for each in (point.precision, point.recall, point.f1)]
        assert ours == pytest.approx(slow.figures(*counts))


@settings(max_examples=40, deadline=None)
@given(scene=scenes(), doubles=st.booleans())
def test_no_score_gives_a_better_f1_and_no_higher_one_the_same(scene: Scene, doubles: bool) -> None:
    matches = scene.matches()
    expected = slow.best_f1(scene.plain(), doubles)
    if not matches.n_lesions or expected is None:
        return
    if not (matches.is_hit | matches.is_false_positive(count_double_hits=doubles)).any():
        return
    score = best_f1_score(matches, count_double_hits=doubles)
    assert slow.figures(*slow.counts_at(scene.plain(), score, doubles))[2] == pytest.approx(expected[0])
    if expected[0] > 0:
        assert score == expected[1]


@pytest.mark.parametrize(
    ("scene", "named"),
    [
        (Scene((record(0),), (found(0, (HIT, 0.5)),)), "0 lesions and 1 detection "),
        (Scene((record(0, [HIT]),), (found(0),)), "1 lesion and 0 detections"),
    ],
)
def test_the_best_f1_without_a_lesion_or_a_detection_is_undefined(scene: Scene, named: str) -> None:
    with pytest.raises(UndefinedMetricError, match=named):
        best_f1_score(scene.matches())


def test_precision_of_nothing_marked_is_undefined_not_0() -> None:
    scene = Scene((record(0, [HIT]), record(1)), (found(0), found(1)))
    (point,) = precision_recall_at(scene.matches(), [0.5], two_by_two(scene), FrocRule(n_bootstrap=50))
    assert math.isnan(point.precision)
    assert math.isnan(point.f1)
    assert point.recall == 0
    assert (point.precision_interval, point.f1_interval) == (None, None)
    assert point.recall_interval == wilson_interval(0, 1)


def test_recall_without_a_lesion_is_undefined_and_precision_is_not() -> None:
    scene = Scene((record(0), record(1)), (found(0, (HIT, 0.9)), found(1, (HIT, 0.9))))
    (point,) = precision_recall_at(scene.matches(), [0.5], np.arange(2), FrocRule(n_bootstrap=50))
    assert point.precision == 0
    assert math.isnan(point.recall)
    assert (point.recall_interval, point.f1_interval) == (None, None)
    assert point.precision_interval == wilson_interval(0, 2)


def mixed(n_patients: int = 12) -> Scene:
    """Two images a patient, hits, misses, false positives and patients without any mark."""
    rng = np.random.default_rng(0)
    records, detections = [], []
    for n in range(2 * n_patients):
        rows = [(box, float(rng.integers(1, 5)) / 4) for box in (HIT, ASIDE) if rng.random() < 0.5]
        records.append(record(n, [HIT] if rng.random() < 0.7 else []))
        detections.append(found(n, *rows))
    return Scene(tuple(records), tuple(detections))


def test_intervals_are_the_percentiles_of_patients_drawn_one_by_one() -> None:
    scene, rule = mixed(), FrocRule(n_bootstrap=200, seed=3)
    patient, images = two_by_two(scene), scene.plain()
    (point,) = precision_recall_at(scene.matches(), [0.5], patient, rule)
    draws = []
    for weights in np.concatenate(list(patient_draws(12, rule))):
        copies = [image for n, image in enumerate(images) for _ in range(weights[patient[n]])]
        row = slow.figures(*slow.counts_at(copies, 0.5, False))
        draws.append([math.nan if each is None else each for each in row])
    low, high = np.nanpercentile(draws, [2.5, 97.5], axis=0)
    intervals = (point.precision_interval, point.recall_interval, point.f1_interval)
    assert [each.low for each in intervals if each] == pytest.approx(low.tolist())
    assert [each.high for each in intervals if each] == pytest.approx(high.tolist())
    assert {each.method for each in intervals if each} == {"bootstrap"}


def test_a_wider_confidence_gives_a_wider_interval() -> None:
    scene = mixed()
    wide, narrow = (
        precision_recall_at(
            scene.matches(), [0.5], two_by_two(scene), FrocRule(n_bootstrap=300, confidence=each)
        )[0].f1_interval
        for each in (0.99, 0.5)
    )
    assert wide is not None
    assert narrow is not None
    assert wide.low < narrow.low < narrow.high < wide.high


def test_without_draws_precision_and_recall_have_wilsons_interval_and_f1_none() -> None:
    scene = mixed()
    (point,) = precision_recall_at(scene.matches(), [0.5], two_by_two(scene), NO_DRAWS)
    marks, lesions = (point.true_positives + each for each in (point.false_positives, point.false_negatives))
    assert point.precision_interval == wilson_interval(point.true_positives, marks)
    assert point.recall_interval == wilson_interval(point.true_positives, lesions)
    assert point.f1_interval is None


@settings(max_examples=40, deadline=None)
@given(scene=scenes(), factor=st.sampled_from([0.5, 3.0]))
def test_scaled_scores_and_another_order_of_images_change_nothing(scene: Scene, factor: float) -> None:
    turned = Scene(scene.records[::-1], scene.detections[::-1])
    first = precision_recall_at(scene.matches(), LEAST, two_by_two(scene), NO_DRAWS)
    second = precision_recall_at(turned.matches(), LEAST, two_by_two(turned), NO_DRAWS)
    assert [(p.true_positives, p.false_positives, p.false_negatives) for p in first] == [
        (p.true_positives, p.false_positives, p.false_negatives) for p in second
    ]
    scaled = scene.matches()
    object.__setattr__(scaled, "scores", scaled.scores * factor)
    third = precision_recall_at(scaled, [each * factor for each in LEAST], two_by_two(scene), NO_DRAWS)
    assert [p.true_positives for p in first] == [p.true_positives for p in third]


def test_the_entry_has_a_row_for_each_operating_point_and_the_best_f1() -> None:
    records = [record(0, [HIT], patient="p"), record(1, [HIT], patient="q"), record(2, patient="r")]
    marks = [found(0, (HIT, 0.8)), found(1, (HIT, 0.4), (ASIDE, 0.6)), found(2, (ASIDE, 0.9))]
    matches = Scene(tuple(records), tuple(marks)).matches()
    rule = FrocRule(fppi=(0.1, 0.5, 1.0), n_bootstrap=100)
    entry = precision_recall_entry(matches, froc_curve(matches), np.arange(3), rule)
    nothing, first, last = entry["points"]
    assert (nothing["fppi"], nothing["score"]) == (0.1, None)
    assert (nothing["precision"], nothing["recall"], nothing["f1"]) == (None, 0, None)
    assert nothing["intervals"]["precision"] is None
    assert (first["score"], first["precision"], first["recall"], first["f1"]) == (0.8, 0.5, 0.5, 0.5)
    counts = [last[f"{name}s"] for name in ("true_positive", "false_positive", "false_negative")]
    assert (last["score"], counts) == (0.4, [2, 2, 0])
    best = entry["best_f1"]
    assert (best["score"], best["fppi"], best["f1"]) == (0.4, 2 / 3, 2 / 3)
    assert entry["n_bootstrap"] == 100
    assert set(best["intervals"]["recall"]) == {"low", "high", "interval"}
    json.dumps(entry, allow_nan=False)


@pytest.mark.parametrize(
    "scene",
    [
        Scene((record(0), record(1)), (found(0, (HIT, 0.9)), found(1))),
        Scene((record(0, [HIT]),), (found(0),)),
        Scene((record(0),), (found(0),)),
    ],
    ids=["no lesion", "no detection", "neither"],
)
def test_an_entry_of_nothing_is_none_where_undefined(scene: Scene) -> None:
    matches = scene.matches()
    entry = precision_recall_entry(matches, froc_curve(matches), np.arange(matches.n_images), FrocRule())
    assert entry["best_f1"] is None
    assert all(point["f1"] is None for point in entry["points"])
    json.dumps(entry, allow_nan=False)


def test_f1_of_only_wrong_marks_is_0() -> None:
    assert PrecisionRecall(0.5, 0, 3, 2).f1 == 0
