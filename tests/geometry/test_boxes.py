import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from mammo_monai.errors import GeometryError
from mammo_monai.geometry import (
    box_area,
    box_iou,
    check_boxes,
    clip_boxes,
    enlarge_boxes,
    flip_boxes,
    merge_overlapping_boxes,
    scale_boxes,
)
from mammo_monai.records import Boxes
from tests.reference.geometry_reference import area_by_counting, groups_by_relabelling, iou_by_counting
from tests.strategies import Size, crowded_boxes, image_sizes, valid_boxes

NO_BOXES = np.zeros((0, 4))


@given(boxes=crowded_boxes())
def test_area_counts_quarter_pixels(boxes: Boxes) -> None:
    assert_array_equal(box_area(boxes), [area_by_counting(box) for box in boxes.tolist()])


def test_area_of_a_reversed_box_is_zero() -> None:
    assert box_area(np.array([[5.0, 1, 2, 9], [2, 9, 5, 1], [5, 9, 2, 1]])).tolist() == [0, 0, 0]


@given(boxes=crowded_boxes(max_boxes=4), others=crowded_boxes(max_boxes=3))
def test_iou_agrees_with_counting_quarter_pixels(boxes: Boxes, others: Boxes) -> None:
    expected = [[iou_by_counting(box, other) for other in others.tolist()] for box in boxes.tolist()]
    assert_allclose(box_iou(boxes, others), np.reshape(expected, (len(boxes), len(others))), rtol=1e-12)


any_corner = st.floats(-1e6, 1e6)
any_boxes = st.lists(st.tuples(*[any_corner] * 4), max_size=5).map(
    lambda rows: np.sort(np.array(rows).reshape(-1, 2, 2), axis=1).reshape(-1, 4)
)


@given(boxes=any_boxes, others=any_boxes)
def test_iou_is_symmetric_and_between_0_and_1(boxes: Boxes, others: Boxes) -> None:
    iou = box_iou(boxes, others)
    assert_array_equal(iou, box_iou(others, boxes).T)
    assert ((iou >= 0) & (iou <= 1)).all()


@given(boxes=valid_boxes(min_boxes=1))
def test_iou_of_a_box_with_itself_is_1(boxes: Boxes) -> None:
    assert_array_equal(np.diag(box_iou(boxes, boxes)), 1.0)


def test_iou_of_boxes_that_touch_or_have_no_area_is_zero() -> None:
    point = np.array([[3.0, 3, 3, 3]])
    assert box_iou(np.array([[0.0, 0, 2, 5]]), np.array([[2.0, 0, 4, 5]])).tolist() == [[0.0]]
    assert box_iou(point, point).tolist() == [[0.0]]


def test_iou_without_boxes_keeps_its_shape() -> None:
    assert box_iou(NO_BOXES, np.ones((3, 4))).shape == (0, 3)
    assert box_iou(np.ones((3, 4)), NO_BOXES).shape == (3, 0)


@given(data=st.data(), size=image_sizes())
def test_flip_is_its_own_inverse_and_stays_inside(data: st.DataObject, size: Size) -> None:
    boxes = data.draw(valid_boxes(size))
    flipped = flip_boxes(boxes, size[0])
    check_boxes(flipped, width=size[0], height=size[1])
    assert_array_equal(flip_boxes(flipped, size[0]), boxes)  # exact: quarter pixels


@given(boxes=valid_boxes(), scale_x=st.floats(0.01, 100), scale_y=st.floats(0.01, 100))
def test_scaling_back_returns_the_boxes(boxes: Boxes, scale_x: float, scale_y: float) -> None:
    scaled = scale_boxes(boxes, scale_x, scale_y)
    assert_allclose(
        box_area(scaled), box_area(boxes) * scale_x * scale_y, rtol=1e-9, atol=1e-9 * scaled.max(initial=1)
    )
    assert_allclose(scale_boxes(scaled, 1 / scale_x, 1 / scale_y), boxes, atol=1e-9)


def test_scale_stretches_columns_by_x_and_rows_by_y() -> None:
    assert scale_boxes(np.array([[1.0, 2, 3, 4]]), 10, 100).tolist() == [[10.0, 200.0, 30.0, 400.0]]


@given(data=st.data(), size=image_sizes())
def test_clipped_boxes_lie_inside_and_inside_boxes_stay(data: st.DataObject, size: Size) -> None:
    boxes = data.draw(valid_boxes(size))
    assert_array_equal(clip_boxes(boxes, *size), boxes)
    shifted = boxes + np.array([size[0], -size[1], size[0], -size[1]]) / 2
    clipped = clip_boxes(shifted, *size)
    check_boxes(clipped, width=size[0], height=size[1], allow_empty=True)
    assert (box_area(clipped) <= box_area(shifted)).all()


@given(boxes=valid_boxes(), fraction=st.floats(0, 2))
def test_enlarging_keeps_the_centre_and_grows_both_sides(boxes: Boxes, fraction: float) -> None:
    enlarged = enlarge_boxes(boxes, fraction)
    assert_allclose(enlarged[:, :2] + enlarged[:, 2:], boxes[:, :2] + boxes[:, 2:], atol=1e-9)
    sides, before = enlarged[:, 2:] - enlarged[:, :2], boxes[:, 2:] - boxes[:, :2]
    assert_allclose(sides, before * (1 + fraction), atol=1e-9)


@given(boxes=crowded_boxes(), min_iou=st.sampled_from([0.0, 0.1, 0.5]))
def test_merged_groups_partition_the_boxes_and_enclose_their_members(boxes: Boxes, min_iou: float) -> None:
    merged, groups = merge_overlapping_boxes(boxes, min_iou)
    assert sorted(member for group in groups for member in group) == list(range(len(boxes)))
    assert groups == groups_by_relabelling(boxes.tolist(), min_iou)
    assert merged.shape == (len(groups), 4)
    for box, group in zip(merged, groups, strict=True):
        assert_array_equal(box[:2], boxes[group, :2].min(axis=0))
        assert_array_equal(box[2:], boxes[group, 2:].max(axis=0))


def test_a_chain_of_overlaps_is_one_group() -> None:
    chain = np.array([[0.0, 0, 4, 3], [6, 0, 10, 3], [3, 0, 7, 3]])
    assert merge_overlapping_boxes(chain)[1] == [[0, 1, 2]]


def test_merging_no_boxes_gives_no_groups() -> None:
    merged, groups = merge_overlapping_boxes(NO_BOXES)
    assert merged.shape == (0, 4)
    assert groups == []


@given(boxes=crowded_boxes())
def test_no_function_changes_its_input(boxes: Boxes) -> None:
    before = boxes.copy()
    check_boxes(boxes)
    clip_boxes(boxes, 3, 2)
    scale_boxes(boxes, 2, 3)
    flip_boxes(boxes, 9)
    enlarge_boxes(boxes, 0.1)
    merge_overlapping_boxes(boxes)
    assert_array_equal(boxes, before)


@given(data=st.data(), size=image_sizes())
def test_check_accepts_every_box_inside_its_image(data: st.DataObject, size: Size) -> None:
    boxes = data.draw(valid_boxes(size))
    checked = check_boxes(boxes.tolist(), width=size[0], height=size[1])
    assert checked.dtype == np.float64
    assert_array_equal(checked, boxes)


def test_check_gives_no_boxes_the_shape_0_4() -> None:
    assert check_boxes([]).shape == (0, 4)


def test_check_allows_boxes_without_area_only_if_asked() -> None:
    assert check_boxes([[2, 3, 2, 8]], allow_empty=True).shape == (1, 4)
    with pytest.raises(GeometryError, match="reversed or has no area"):
        check_boxes([[2, 3, 2, 8]])
    with pytest.raises(GeometryError, match="reversed or has no area"):
        check_boxes([[3, 3, 2, 8]], allow_empty=True)


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        ([[0, 0, 5]], r"shape \(N, 4\): x_min, y_min, x_max, y_max; got \(1, 3\)"),
        ([1, 2, 3, 4], r"got \(4,\)"),
        (None, r"got \(\)"),
        ([[0, 0, 5, 5], [1, 2]], "rows of four numbers: x_min, y_min, x_max, y_max; .*inhomogeneous"),
        ([["a", 0, 5, 5]], "rows of four numbers.*'a'"),
        ({}, "rows of four numbers"),
        ([[0, 0, 10**400, 5]], "rows of four numbers.*too large"),
        (
            [[0, 0, 5, 5], [0, 0, float("nan"), 5]],
            r"box 1 \[0.0, 0.0, nan, 5.0\] is not finite \(1 of 2 boxes\)",
        ),
        ([[5, 0, 1, 5], [5, 0, 2, 5]], r"box 0 \[5.0, 0.0, 1.0, 5.0\] is reversed .*x_max > x_min.*\(2 of 2"),
        ([[0, 0, 5, 5], [0, 0, 9, 7]], r"box 1 .* lies outside the image of 9 × 6 px \(width × height\)"),
        ([[0, 0, 10, 6]], r"box 0 .* lies outside the image of 9 × 6 px"),
        ([[-1, 0, 9, 6]], r"box 0 .* lies outside the image of 9 × 6 px"),
    ],
)
def test_check_names_the_first_bad_box_and_the_reason(boxes: object, message: str) -> None:
    with pytest.raises(GeometryError, match=message):
        check_boxes(boxes, width=9, height=6)  # type: ignore[arg-type]  # wrong on purpose
