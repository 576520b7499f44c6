import numpy as np
import torch
from hypothesis import given
from numpy.testing import assert_array_equal

from mammo_monai.geometry import rowcol_to_xyxy, xyxy_to_rowcol
from mammo_monai.records import Boxes
from tests.strategies import valid_boxes


@given(boxes=valid_boxes())
def test_the_swap_exchanges_x_with_col_and_y_with_row(boxes: Boxes) -> None:
    x_min, y_min, x_max, y_max = boxes.T
    assert_array_equal(xyxy_to_rowcol(boxes), np.stack([y_min, x_min, y_max, x_max], axis=1))


@given(boxes=valid_boxes())
def test_each_direction_undoes_the_other(boxes: Boxes) -> None:
    assert_array_equal(rowcol_to_xyxy(xyxy_to_rowcol(boxes)), boxes)
    assert_array_equal(xyxy_to_rowcol(rowcol_to_xyxy(boxes)), boxes)


def test_a_box_covers_the_same_pixels_in_both_orders() -> None:
    image = np.zeros((6, 9))
    image[1:3, 4:8] = 1  # rows 1–2, columns 4–7
    row_min, col_min, row_max, col_max = xyxy_to_rowcol(np.array([[4, 1, 8, 3]]))[0]
    assert image[row_min:row_max, col_min:col_max].sum() == image.sum() == 8


def test_tensors_stay_tensors_of_their_type_and_are_new() -> None:
    boxes = torch.tensor([[1.0, 2.0, 3.0, 5.0]], dtype=torch.float32)
    swapped = xyxy_to_rowcol(boxes)
    assert swapped.dtype == torch.float32
    assert swapped.tolist() == [[2.0, 1.0, 5.0, 3.0]]
    assert rowcol_to_xyxy(swapped).tolist() == boxes.tolist() == [[1.0, 2.0, 3.0, 5.0]]


def test_no_boxes_stay_no_boxes() -> None:
    assert xyxy_to_rowcol(np.zeros((0, 4))).shape == (0, 4)
    assert tuple(rowcol_to_xyxy(torch.zeros((0, 4))).shape) == (0, 4)
