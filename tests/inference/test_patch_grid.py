import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mammo_monai.inference.patch_grid import dense_grid, in_boxes, in_breast, sliding_grid
from tests.inference.patch_fakes import breast_with_disc
from tests.reference.probability_map_reference import patch_starts

SIDES = st.integers(1, 90)


@given(height=SIDES, width=SIDES, patch_px=st.integers(1, 40), stride_px=st.integers(1, 30))
def test_every_pixel_that_a_stride_can_reach_lies_in_a_patch(
    height: int, width: int, patch_px: int, stride_px: int
) -> None:
    for grid, over in (
        (sliding_grid(height, width, patch_px=patch_px, stride_px=stride_px), 0),
        (dense_grid(height, width, patch_px=patch_px, stride_px=stride_px), stride_px - 1),
    ):
        for starts, side in ((grid.rows, height), (grid.cols, width)):
            assert (np.diff(starts) > 0).all()
            assert (np.diff(starts) <= stride_px).all()
            assert starts[0] <= 0
            assert starts[-1] + patch_px >= side
            if side > patch_px:
                assert starts[0] == 0
                assert starts[-1] + patch_px <= side + over


@given(side=st.integers(11, 200), stride_px=st.integers(1, 30))
def test_the_sliding_grid_is_the_reference_s(side: int, stride_px: int) -> None:
    grid = sliding_grid(side, 5, patch_px=10, stride_px=stride_px)
    assert grid.rows.tolist() == patch_starts(side, 10, stride_px)


def test_an_image_smaller_than_a_patch_lies_in_the_middle_of_one() -> None:
    grid = sliding_grid(20, 7, patch_px=32, stride_px=8)
    assert (grid.rows.tolist(), grid.cols.tolist()) == ([-6], [-12])
    assert grid.row_centres.tolist() == [10.0]
    padded = grid.padded(torch.ones(1, 20, 7))
    assert padded.shape == (1, 32, 32)
    assert padded[0, 6:26, 12:19].min() == 1
    assert padded.sum() == 140


def test_patches_off_the_breast_or_with_too_little_of_it_are_left_out() -> None:
    image = breast_with_disc(100, 64, None)  # breast up to column 80
    grid = sliding_grid(64, 100, patch_px=32, stride_px=8)
    centred = in_breast(grid, image, min_share=0.0)
    assert centred.all(axis=0).tolist() == (grid.col_centres < 80).tolist()
    assert (centred.any(axis=0) == centred.all(axis=0)).all()
    much = in_breast(grid, image, min_share=1.0)
    assert much.all(axis=0).tolist() == (grid.cols + 32 <= 80).tolist()
    assert not in_breast(grid, torch.zeros_like(image), min_share=0.0).any()
    mirrored = in_breast(grid, breast_with_disc(100, 64, None, is_right=True), min_share=1.0)
    assert mirrored.all(axis=0).tolist() == (grid.cols >= 20).tolist()


def test_a_dark_pixel_at_the_centre_makes_no_hole() -> None:
    image = breast_with_disc(100, 64, None)
    grid = sliding_grid(64, 100, patch_px=32, stride_px=8)
    speckled = image.clone()
    speckled[0, 16::8, 16::8] = 0
    expected = in_breast(grid, image, min_share=0.25)
    assert (in_breast(grid, speckled, min_share=0.25) == expected).all()


def test_a_length_below_one_is_named() -> None:
    with pytest.raises(ValueError, match="stride_px must be at least 1, got 0"):
        sliding_grid(10, 20, patch_px=8, stride_px=0)
    with pytest.raises(ValueError, match="height must be at least 1, got 0"):
        dense_grid(0, 20, patch_px=8, stride_px=8)


def test_patches_of_a_box_have_their_centre_in_it() -> None:
    grid = sliding_grid(40, 56, patch_px=16, stride_px=8)  # centres at y 8…32, x 8…48
    found = in_boxes(grid, np.array([[8.0, 8, 24, 16], [40, 30, 60, 40]]))
    assert np.argwhere(found).tolist() == [[0, 0], [0, 1], [3, 4], [3, 5]]
    assert not in_boxes(grid, np.zeros((0, 4))).any()
