"""Two sets of detections of one image: pairs, differences of scores, boxes that only one of them has."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammo_monai.errors import GeometryError
from mammo_monai.metrics import detection_agreement
from mammo_monai.records import Detections
from tests.reference.geometry_reference import cells, iou_by_counting

ROW = st.tuples(
    st.integers(0, 30), st.integers(0, 50), st.integers(0, 12), st.integers(1, 12), st.integers(0, 9)
)


def detections(*rows: tuple[float, ...], labels: list[int] | None = None, image: str = "a") -> Detections:
    """Rows are x_min, y_min, width, height, score."""
    table = np.array(rows, dtype=float).reshape(-1, 5)
    boxes = np.concatenate([table[:, :2], table[:, :2] + table[:, 2:4]], axis=1)
    return Detections(image, boxes, table[:, 4], np.array(labels or [0] * len(table), dtype=np.int64))


def iou(box: list[float], other: list[float]) -> float:
    return iou_by_counting(box, other) if cells(box) | cells(other) else 0.0


def slow_pairs(first: Detections, second: Detections, min_iou: float) -> list[tuple[int, int]]:
    """Takes the best pair that is left, over and over."""
    left = {
        (row, column): iou(box, other)
        for row, box in enumerate(first.boxes.tolist())
        for column, other in enumerate(second.boxes.tolist())
    }
    pairs: list[tuple[int, int]] = []
    while left and max(left.values()) >= min_iou:
        best = max(left, key=lambda pair: left[pair])  # the first of equals
        pairs.append(best)
        left = {pair: each for pair, each in left.items() if pair[0] != best[0] and pair[1] != best[1]}
    return pairs


@given(
    rows=st.lists(ROW, max_size=5),
    others=st.lists(ROW, max_size=5),
    min_iou=st.sampled_from([0.1, 0.5, 1.0]),
    from_score=st.sampled_from([0.0, 4.0, 20.0]),
)
def test_pairs_are_those_of_a_slow_search(
    rows: list[tuple[int, ...]], others: list[tuple[int, ...]], min_iou: float, from_score: float
) -> None:
    first, second = detections(*rows), detections(*others)
    found = detection_agreement(first, second, min_iou=min_iou, from_score=from_score)
    pairs = slow_pairs(first, second, min_iou)
    counted = [(r, c) for r, c in pairs if max(first.scores[r], second.scores[c]) >= from_score]
    assert list(zip(found.first.tolist(), found.second.tolist(), strict=True)) == counted
    np.testing.assert_allclose(
        found.iou, [iou(first.boxes[r].tolist(), second.boxes[c].tolist()) for r, c in counted]
    )
    assert found.score_difference.tolist() == [second.scores[c] - first.scores[r] for r, c in counted]
    for alone, own, paired in (
        (found.only_first, first, {r for r, _ in pairs}),
        (found.only_second, second, {c for _, c in pairs}),
    ):
        scores = own.scores.tolist()
        assert alone.tolist() == [n for n, s in enumerate(scores) if s >= from_score and n not in paired]


@given(rows=st.lists(ROW, max_size=6))
def test_a_set_agrees_with_itself(rows: list[tuple[int, ...]]) -> None:
    own = detections(*[(x, y, width + 1, height, score) for x, y, width, height, score in rows])
    found = detection_agreement(own, own)
    assert found.n_unmatched == 0
    assert found.iou.tolist() == [1.0] * len(rows)
    assert not found.score_difference.any()


def test_a_box_just_below_the_threshold_is_a_partner_and_one_far_below_is_nothing() -> None:
    first = detections((0, 0, 10, 20, 0.51), (30, 0, 10, 20, 0.1))
    second = detections((0, 0, 10, 20, 0.49), (60, 0, 10, 20, 0.2))
    found = detection_agreement(first, second, from_score=0.5)
    assert found.score_difference.tolist() == pytest.approx([-0.02])
    assert found.n_unmatched == 0


def test_a_box_that_only_one_set_has_is_named() -> None:
    first = detections((0, 0, 10, 20, 0.9), (30, 0, 10, 20, 0.6))
    found = detection_agreement(first, detections((30, 2, 10, 20, 0.6)), from_score=0.5)
    assert (found.only_first.tolist(), found.only_second.tolist()) == ([0], [])
    assert (found.first.tolist(), found.second.tolist()) == ([1], [0])


def test_boxes_of_other_labels_are_no_partners() -> None:
    row = (0, 0, 10, 20, 0.9)
    assert detection_agreement(detections(row), detections(row, labels=[1])).n_unmatched == 2


def test_nothing_on_either_side_agrees() -> None:
    found = detection_agreement(Detections("a"), Detections("a"))
    assert len(found.first) == len(found.iou) == found.n_unmatched == 0


def test_wrong_input_is_refused() -> None:
    with pytest.raises(ValueError, match=r"min_iou must be in \(0, 1\], got 0"):
        detection_agreement(Detections("a"), Detections("a"), min_iou=0)
    with pytest.raises(ValueError, match="two sets of one image, got a and b"):
        detection_agreement(Detections("a"), Detections("b"))
    with pytest.raises(GeometryError, match="is reversed"):
        detection_agreement(detections((5, 0, -3, 4, 0.5)), Detections("a"))
