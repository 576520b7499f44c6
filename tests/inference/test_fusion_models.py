"""Candidates of several models: each method against a slow reference, and what may not decide the result."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from mammo_monai.inference import (
    Candidates,
    FusionRule,
    fuse_models,
    weighted_box_clustering,
    weighted_box_fusion,
)
from mammo_monai.inference.fusion_methods import FUSION_METHODS
from mammo_monai.inference.fusion_pool import corners_of, iou_with, pool_models
from tests.inference.test_fusion import _rows, candidate
from tests.reference import fusion_reference
from tests.reference.merge_reference import Candidate

Models = list[list[Candidate]]

model_lists = st.lists(st.lists(candidate(), max_size=9), min_size=1, max_size=4)
# Quarters can give an IoU of exactly one half, which rounding may put on either side; these none.
overlaps = st.sampled_from([0.0, 0.2113, 0.5477])


def candidates_of(models: Models) -> list[Candidates]:
    tables = [np.array(rows, dtype=float).reshape(-1, 6) for rows in models]
    return [Candidates.of(rows[:, :4], rows[:, 4], rows[:, 5]) for rows in tables]


def weights_for(models: Models, draw: st.DataObject) -> list[float]:
    return draw.draw(st.lists(st.sampled_from([0.5, 1.0, 3.0]), min_size=len(models), max_size=len(models)))


def assert_same(found: Candidates, expected: list[Candidate]) -> None:
    """The same boxes with the same scores, in any order; sums round differently, by far less than 1e-9."""
    table = np.array(_rows(found)).reshape(-1, 6)
    other = np.array(expected, dtype=float).reshape(-1, 6)
    assert len(table) == len(other)

    def order(rows: np.ndarray) -> np.ndarray:
        return np.asarray(np.lexsort(rows.round(6).T))

    assert_allclose(table[order(table)], other[order(other)], atol=1e-9)
    assert (np.diff(found.scores) <= 0).all()


@given(models=model_lists, min_iou=overlaps, conf_type=st.sampled_from(["min", "count"]), data=st.data())
def test_box_fusion_equals_the_paper_written_out(
    models: Models, min_iou: float, conf_type: str, data: st.DataObject
) -> None:
    weights = weights_for(models, data)
    found = weighted_box_fusion(
        candidates_of(models),
        weights=weights,
        min_iou=min_iou,
        conf_type="min" if conf_type == "min" else "count",
    )
    assert_same(found, fusion_reference.fuse(models, weights, min_iou, conf_type))


@given(models=model_lists, min_iou=overlaps, data=st.data())
def test_clustering_equals_the_paper_written_out(models: Models, min_iou: float, data: st.DataObject) -> None:
    weights = weights_for(models, data)
    found = weighted_box_clustering(candidates_of(models), weights=weights, min_iou=min_iou)
    assert_same(found, fusion_reference.cluster(models, weights, min_iou))


@given(models=model_lists, min_iou=overlaps)
def test_suppression_equals_the_slow_reference(models: Models, min_iou: float) -> None:
    found = fuse_models(candidates_of(models), FusionRule("nms", min_iou))
    assert_same(found, fusion_reference.suppress(models, min_iou))


@given(models=model_lists, method=st.sampled_from(FUSION_METHODS), seed=st.integers(0, 99))
def test_the_order_of_models_and_boxes_decides_nothing(models: Models, method: str, seed: int) -> None:
    random = np.random.default_rng(seed)
    shuffled = [[rows[n] for n in random.permutation(len(rows))] for rows in models]
    shuffled = [shuffled[n] for n in random.permutation(len(models))]
    rule = FusionRule(method)  # type: ignore[arg-type]  # sampled from its own values
    first, second = (fuse_models(candidates_of(each), rule) for each in (models, shuffled))
    assert _rows(first) == _rows(second)  # to the last bit


@given(models=model_lists, method=st.sampled_from(FUSION_METHODS))
def test_fused_scores_and_boxes_stay_within_those_of_the_models(models: Models, method: str) -> None:
    fused = fuse_models(candidates_of(models), FusionRule(method))  # type: ignore[arg-type]  # its own values
    rows = np.array([row for each in models for row in each]).reshape(-1, 6)
    if not len(rows):
        assert len(fused.scores) == 0
        return
    assert np.isfinite(fused.boxes).all()
    assert (fused.boxes >= rows[:, :4].min(axis=0) - 1e-9).all()
    assert (fused.boxes <= rows[:, :4].max(axis=0) + 1e-9).all()
    assert 0 <= fused.scores.min() <= fused.scores.max() <= rows[:, 4].max() + 1e-12
    assert set(fused.labels) == set(rows[:, 5])


@pytest.mark.parametrize("method", ["wbf", "clustering"])
@given(rows=st.lists(candidate(), min_size=1, max_size=1))
def test_models_that_agree_give_back_what_they_agree_on(method: str, rows: list[Candidate]) -> None:
    fused = fuse_models(candidates_of([rows, rows, rows]), FusionRule(method))  # type: ignore[arg-type]  # as above
    assert _rows(fused) == [pytest.approx(rows[0])]
    assert fused.boxes.tolist() == [list(rows[0][:4])]  # to the last bit


@pytest.mark.parametrize("method", ["wbf", "clustering"])
def test_what_one_model_of_three_sees_keeps_a_third_of_its_score(method: str) -> None:
    alone = Candidates.of([[0, 0, 30, 20]], [0.9], [0])
    none = Candidates.of([], [], [])
    fused = fuse_models([alone, none, none], FusionRule(method))  # type: ignore[arg-type]  # as above
    assert fused.scores.tolist() == pytest.approx([0.3])


def test_a_heavier_model_draws_the_box_and_its_lone_box_scores_more() -> None:
    a = Candidates.of([[0, 0, 10, 8], [50, 0, 60, 8]], [0.5, 0.8], [0, 0])
    b = Candidates.of([[0, 0, 10, 10]], [0.5], [0])
    for method in ("wbf", "clustering"):
        rule = FusionRule(method, weights=(3.0, 1.0))
        fused = fuse_models([a, b], rule)
        plain = fuse_models([a, b], FusionRule(method))
        pair, plain_pair = (each.boxes[each.boxes[:, 0] == 0][0, 3] for each in (fused, plain))
        assert 8 < pair < plain_pair < 10
    assert weighted_box_fusion([a, b], weights=[3, 1]).scores.tolist() == pytest.approx([0.6, 0.5])


def test_boxes_without_score_or_area_are_no_fault() -> None:
    zero = Candidates.of([[0, 0, 10, 8], [1, 0, 10, 8]], [0.0, 0.0], [0, 0])
    thin = Candidates.of([[5, 0, 5, 8], [5, 0, 5, 8]], [0.4, 0.2], [0, 0])
    for method in FUSION_METHODS:
        fused = fuse_models([zero, thin], FusionRule(method))
        assert np.isfinite(fused.boxes).all()
        assert np.isfinite(fused.scores).all()
        assert len(fused.scores) == 3
        assert [5, 0, 5, 8] in fused.boxes.tolist()


def test_counting_all_boxes_may_exceed_one_and_says_nothing_of_agreement() -> None:
    a = Candidates.of([[0, 0, 10, 8], [0, 0, 10, 9]], [1.0, 1.0], [0, 0])
    none = Candidates.of([], [], [])
    assert weighted_box_fusion([a, none], conf_type="count").scores.tolist() == [1.0]
    assert weighted_box_fusion([a], conf_type="count").scores.tolist() == [2.0]
    assert weighted_box_fusion([a]).scores.tolist() == [1.0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "mean"}, "must be wbf, clustering, merge, nms, got 'mean'"),
        ({"min_iou": 1.0}, r"in \[0, 1\), got 1.0"),
        ({"weights": (1.0, 0.0)}, "must be above 0"),
        ({"weights": (float("nan"), 1.0)}, "must be above 0"),
        ({"labels": (-3,)}, r"labels to fuse must be 0 or more, got \[-3\]"),
        (
            {"method": "nms", "weights": (1.0, 2.0)},
            "nms takes the highest score, whatever the models' weights",
        ),
    ],
)
def test_a_rule_that_cannot_be_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FusionRule(**options)  # type: ignore[arg-type]  # wrong on purpose


def test_an_ensemble_has_two_models_and_a_weight_for_each() -> None:
    with pytest.raises(ValueError, match="at least two models, got 1"):
        FusionRule().check_models(1)
    with pytest.raises(ValueError, match="one weight for each of 3 models"):
        FusionRule(weights=(1.0, 2.0)).check_models(3)
    FusionRule(weights=(1.0, 2.0)).check_models(2)


def test_models_that_cannot_be_pooled_are_refused() -> None:
    one = Candidates.of([[0, 0, 4, 3]], [1.5], [0])
    for fuse in (weighted_box_fusion, weighted_box_clustering):
        with pytest.raises(ValueError, match=r"scores from 0 to 1, got 1\.5"):
            fuse([one])
        with pytest.raises(ValueError, match="at least one model, got none"):
            fuse([])
        with pytest.raises(ValueError, match="one weight above 0 for each of 1 models"):
            fuse([one], weights=[1, 2])
        with pytest.raises(ValueError, match=r"min_iou must be in \[0, 1\)"):
            fuse([one], min_iou=-0.1)
    with pytest.raises(ValueError, match="conf_type must be min or count"):
        weighted_box_fusion([one], conf_type="max")  # type: ignore[arg-type]  # wrong on purpose
    assert pool_models([Candidates.of([], [], [])]).weights.tolist() == [1.0]


def test_the_fast_overlap_is_the_overlap() -> None:
    boxes = np.array([[0.0, 0, 10, 8], [5, 0, 15, 8], [20, 20, 30, 21], [3, 3, 3, 9]])
    areas = np.array([80.0, 80, 10, 0])
    corners = corners_of(boxes)
    assert iou_with(corners[:, :1], 80.0, corners, areas).round(4).tolist() == [1.0, 0.3333, 0.0, 0.0]
