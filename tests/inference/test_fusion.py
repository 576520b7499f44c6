import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from mammo_monai.errors import GeometryError
from mammo_monai.geometry import box_area, box_iou
from mammo_monai.inference.fusion import (
    Candidates,
    concatenate,
    drop_small,
    fuse_passes,
    merge_boxes_p2,
    min_area_px,
)
from tests.reference import merge_reference, passes_reference

# Quarters are exact in binary, so that the fast and the slow IoU round alike; few values make ties likely.
quarters = st.integers(0, 60).map(lambda n: n / 4)
sides = st.integers(1, 40).map(lambda n: n / 4)


@st.composite
def candidate(draw: st.DrawFn) -> merge_reference.Candidate:
    x_min, y_min = draw(quarters), draw(quarters)
    score = draw(st.integers(0, 8)) / 8
    return x_min, y_min, x_min + draw(sides), y_min + draw(sides), score, draw(st.integers(0, 1))


candidate_lists = st.lists(candidate(), max_size=30)


def _merge(rows: list[merge_reference.Candidate], min_iou: float = 0.2) -> Candidates:
    columns = np.array(rows, dtype=float).reshape(-1, 6)
    return merge_boxes_p2(columns[:, :4], columns[:, 4], columns[:, 5], min_iou=min_iou)


def _rows(merged: Candidates) -> list[merge_reference.Candidate]:
    columns = zip(merged.boxes.tolist(), merged.scores.tolist(), merged.labels.tolist(), strict=True)
    return [(*box, score, label) for box, score, label in columns]


@given(rows=candidate_lists, min_iou=st.sampled_from([0.0, 0.2, 0.5, 0.9]))
def test_merging_equals_the_slow_reference(rows: list[merge_reference.Candidate], min_iou: float) -> None:
    assert _rows(_merge(rows, min_iou)) == merge_reference.merge(rows, min_iou)


@given(rows=candidate_lists)
def test_merging_keeps_the_highest_score_and_invents_no_box(rows: list[merge_reference.Candidate]) -> None:
    merged = _rows(_merge(rows))
    assert [row[4] for row in merged] == sorted((row[4] for row in merged), reverse=True)
    assert {row[:4] for row in merged} <= {row[:4] for row in rows}
    assert max((row[4] for row in merged), default=-1) == max((row[4] for row in rows), default=-1)


@given(rows=candidate_lists)
def test_candidates_that_overlap_nothing_stay_as_they_are(rows: list[merge_reference.Candidate]) -> None:
    apart = [(x + 100.0 * n, y, x2 + 100.0 * n, y2, s, lab) for n, (x, y, x2, y2, s, lab) in enumerate(rows)]
    assert sorted(_rows(_merge(apart))) == sorted(apart)


def test_largest_box_takes_the_highest_score() -> None:
    merged = merge_boxes_p2([[0, 0, 10, 20], [0, 0, 12, 24], [1, 1, 10, 20]], [0.9, 0.4, 0.7], [0, 0, 0])
    assert merged.boxes.tolist() == [[0, 0, 12, 24]]
    assert merged.scores.tolist() == [0.9]


def test_a_chain_joins_only_those_that_overlap_the_seed() -> None:
    chain = [[0, 0, 10, 8], [5, 0, 15, 8], [10, 0, 20, 8]]
    assert box_iou(np.array(chain[:1], float), np.array(chain[1:], float)).round(3).tolist() == [[0.333, 0.0]]
    merged = merge_boxes_p2(chain, [0.9, 0.8, 0.7], [0, 0, 0])
    assert merged.boxes.tolist() == [[0, 0, 10, 8], [10, 0, 20, 8]]
    assert merged.scores.tolist() == [0.9, 0.7]


def test_an_iou_equal_to_the_limit_does_not_merge() -> None:
    # Intersection 4 × 1, union 12 + 12 − 4 = 20: IoU is 0.2.
    boxes = [[0, 0, 4, 3], [0, 2, 4, 5]]
    assert len(merge_boxes_p2(boxes, [0.9, 0.8], [0, 0], min_iou=0.2).boxes) == 2
    assert len(merge_boxes_p2(boxes, [0.9, 0.8], [0, 0], min_iou=0.19).boxes) == 1


def test_labels_never_merge_with_each_other() -> None:
    merged = merge_boxes_p2([[0, 0, 10, 8], [0, 0, 10, 8]], [0.9, 0.8], [0, 1])
    assert merged.labels.tolist() == [0, 1]


def test_a_box_without_area_ends_the_merging_too() -> None:
    merged = merge_boxes_p2([[3, 3, 3, 9], [3, 3, 3, 9]], [0.9, 0.8], [0, 0])
    assert merged.scores.tolist() == [0.9, 0.8]


def test_no_candidates_merge_to_none() -> None:
    merged = merge_boxes_p2([], [], [])
    assert merged.boxes.shape == (0, 4)
    assert merged.scores.dtype == np.float64
    assert merged.labels.dtype == np.int64


def test_merging_leaves_its_input_alone() -> None:
    boxes = np.array([[0.0, 0, 10, 8], [0, 0, 12, 8]])
    before = boxes.copy()
    merge_boxes_p2(boxes, [0.1, 0.9], [0, 0])
    assert_array_equal(boxes, before)


@pytest.mark.parametrize(
    ("scores", "labels", "got"),
    [([0.5], [0, 0], "2 boxes, 1 score, 2 labels"), ([0.5, np.nan], [0, 0], "1 of 2 are not")],
)
def test_columns_that_do_not_fit_are_refused(scores: list[float], labels: list[int], got: str) -> None:
    with pytest.raises(ValueError, match=got):
        merge_boxes_p2([[0, 0, 10, 8], [0, 0, 12, 8]], scores, labels)


def test_a_box_that_is_not_finite_is_refused() -> None:
    with pytest.raises(GeometryError, match="not finite"):
        merge_boxes_p2([[0, 0, np.inf, 8]], [0.5], [0])


@pytest.mark.parametrize("min_iou", [-0.1, 1.0])
def test_an_impossible_limit_is_refused(min_iou: float) -> None:
    with pytest.raises(ValueError, match=r"min_iou must be in \[0, 1\)"):
        merge_boxes_p2([[0, 0, 10, 8]], [0.5], [0], min_iou=min_iou)


@pytest.mark.parametrize("spacing_mm", [0.05, 0.07, 0.0941, 0.1, 0.2, 0.5])
def test_boxes_of_exactly_the_smallest_mass_stay(spacing_mm: float) -> None:
    # 50 × 100 px stays, 50 × 99 goes. At 0.5 mm the limit is exact, at the others it rounds up or down.
    kept = drop_small(
        [[0, 0, 50, 100], [0, 0, 50, 99]],
        [0.5, 0.9],
        [0, 0],
        min_area_mm2=5000 * spacing_mm * spacing_mm,
        pixel_spacing_mm=(spacing_mm, spacing_mm),
        image_area_px=100,
    )
    assert kept.scores.tolist() == [0.5]


def test_spacing_that_differs_by_axis_counts_by_area() -> None:
    box = [[0.0, 0, 10, 10]]  # 100 px of 0.25 mm² = 25 mm²
    kept = drop_small(box, [0.5], [0], pixel_spacing_mm=(0.5, 0.5), image_area_px=1)
    gone = drop_small(box, [0.5], [0], pixel_spacing_mm=(0.5, 0.4), image_area_px=1)
    assert (len(kept.boxes), len(gone.boxes)) == (1, 0)


def test_without_spacing_the_limit_is_a_part_of_the_image() -> None:
    limit = min_area_px(24.5, None, 800 * 800)
    assert limit == pytest.approx(236.8)
    kept = drop_small(
        [[0, 0, 16, 15], [0, 0, 16, 14]], [0.5, 0.4], [0, 0], pixel_spacing_mm=None, image_area_px=640000
    )
    assert kept.scores.tolist() == [0.5]
    assert min_area_px(49.0, None, 800 * 800) == pytest.approx(2 * limit)


def test_the_part_of_the_image_is_the_papers_limit_on_the_papers_images() -> None:
    assert min_area_px(24.5, None, 4084 * 3328) == pytest.approx(5000, rel=0.01)


@given(rows=candidate_lists, min_area_mm2=st.floats(0.0, 50.0))
def test_small_boxes_go_and_the_rest_keep_their_order(
    rows: list[merge_reference.Candidate], min_area_mm2: float
) -> None:
    columns = np.array(rows, dtype=float).reshape(-1, 6)
    kept = drop_small(
        columns[:, :4],
        columns[:, 4],
        columns[:, 5],
        min_area_mm2=min_area_mm2,
        pixel_spacing_mm=(0.5, 1.0),
        image_area_px=1.0,
    )
    expected = [row for row in rows if merge_reference.area(row) * 0.5 >= min_area_mm2 * (1 - 1e-9)]
    assert _rows(kept) == expected


@given(rows=candidate_lists, limit=st.integers(0, 5))
def test_best_is_a_stable_sort_cut_off(rows: list[merge_reference.Candidate], limit: int) -> None:
    columns = np.array(rows, dtype=float).reshape(-1, 6)
    best = Candidates.of(columns[:, :4], columns[:, 4], columns[:, 5]).best(limit)
    assert _rows(best) == sorted(rows, key=lambda row: -row[4])[:limit]


def test_joining_no_parts_gives_no_candidates() -> None:
    assert box_area(concatenate([]).boxes).shape == (0,)


def _candidates(rows: list[merge_reference.Candidate]) -> Candidates:
    columns = np.array(rows, dtype=float).reshape(-1, 6)
    return Candidates.of(columns[:, :4], columns[:, 4], columns[:, 5])


@given(
    passes=st.lists(st.lists(candidate(), max_size=8), min_size=1, max_size=4),
    min_iou=st.sampled_from([0.0, 0.3, 0.55]),
)
def test_fusing_passes_equals_the_slow_reference(
    passes: list[list[merge_reference.Candidate]], min_iou: float
) -> None:
    fused = _rows(fuse_passes([_candidates(rows) for rows in passes], min_iou=min_iou))
    expected = passes_reference.fuse(passes, min_iou)
    # The mean box is summed in another order: equal to rounding.
    assert np.array(fused).reshape(-1, 6) == pytest.approx(np.array(expected).reshape(-1, 6), abs=1e-9)


@given(rows=candidate_lists, n_passes=st.integers(1, 6))
def test_passes_that_agree_give_back_their_candidates_to_the_last_bit(
    rows: list[merge_reference.Candidate], n_passes: int
) -> None:
    thirds = [
        (x / 3, y / 3, x2 / 3, y2 / 3, float(np.float32(s / 3)), label) for x, y, x2, y2, s, label in rows
    ]
    agreed = _candidates(thirds).best()
    assert _rows(fuse_passes([_candidates(thirds)] * n_passes)) == _rows(agreed)


def test_a_candidate_that_half_the_passes_see_keeps_half_its_score() -> None:
    seen, blind = _candidates([(0, 0, 10, 8, 0.5, 0)]), _candidates([])
    fused = fuse_passes([seen, blind, seen, blind])
    assert _rows(fused) == [(0, 0, 10, 8, 0.25, 0)]


def test_neighbours_of_one_pass_never_join() -> None:
    # IoU 0.6 with each other: two candidates in each pass, two in the answer.
    rows: list[merge_reference.Candidate] = [(0, 0, 8, 10, 0.75, 0), (2, 0, 10, 10, 0.5, 0)]
    assert _rows(fuse_passes([_candidates(rows), _candidates(rows)])) == rows


def test_the_closest_partner_joins_not_the_best_scored() -> None:
    seed = _candidates([(0, 0, 10, 10, 1.0, 0)])
    partners = _candidates([(0, 0, 10, 14, 0.75, 0), (0, 0, 10, 11, 0.5, 0)])
    assert fuse_passes([seed, partners]).scores.tolist() == [0.75, 0.375]


def test_scores_of_zero_fuse_to_the_plain_mean() -> None:
    passes = [_candidates([(0, 0, 10, 8, 0.0, 0)]), _candidates([(0, 0, 12, 8, 0.0, 0)])]
    assert _rows(fuse_passes(passes)) == [(0, 0, 11, 8, 0.0, 0)]


def test_passes_without_candidates_fuse_to_none() -> None:
    assert fuse_passes([_candidates([]), _candidates([])]).boxes.shape == (0, 4)


def test_no_pass_and_an_impossible_limit_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one pass, got none"):
        fuse_passes([])
    with pytest.raises(ValueError, match=r"min_iou must be in \[0, 1\), got 1.0"):
        fuse_passes([_candidates([])], min_iou=1.0)
