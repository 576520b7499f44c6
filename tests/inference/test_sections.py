import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from mammo_monai.errors import GeometryError
from mammo_monai.inference import section_grid

image_sides = st.integers(1, 400)


@given(width=image_sides, height=image_sides)
def test_sections_cover_every_pixel_and_none_outside(width: int, height: int) -> None:
    covered = np.zeros((height, width), dtype=int)
    for x_min, y_min, x_max, y_max in section_grid(width, height):
        assert 0 <= x_min < x_max <= width
        assert 0 <= y_min < y_max <= height
        covered[y_min:y_max, x_min:x_max] += 1
    assert covered.min() >= 1


@given(width=image_sides, height=image_sides)
def test_all_sections_are_a_third_of_each_side_rounded_up(width: int, height: int) -> None:
    grid = section_grid(width, height)
    assert grid.shape == (25, 4)
    assert set(map(tuple, (grid[:, 2:] - grid[:, :2]).tolist())) == {(-(-width // 3), -(-height // 3))}


@given(width=st.integers(1, 5000), height=st.integers(1, 5000))
def test_a_step_is_half_a_section_to_within_a_pixel(width: int, height: int) -> None:
    grid = section_grid(width, height).reshape(5, 5, 4)
    section_width, section_height = grid[0, 0, 2:]
    assert np.abs(np.diff(grid[0, :, 0]) - section_width / 2).max() <= 1
    assert np.abs(np.diff(grid[:, 0, 1]) - section_height / 2).max() <= 1


@given(thirds=st.tuples(st.integers(1, 300), st.integers(1, 300)))
def test_sides_divisible_by_six_give_exact_halves(thirds: tuple[int, int]) -> None:
    width, height = 6 * thirds[0], 6 * thirds[1]
    grid = section_grid(width, height).reshape(5, 5, 4)
    assert_array_equal(grid[0, :, 0], np.arange(5) * thirds[0])
    assert_array_equal(grid[:, 0, 1], np.arange(5) * thirds[1])


def test_sections_go_row_by_row_and_end_at_the_border() -> None:
    grid = section_grid(302, 455)
    assert grid[0].tolist() == [0, 0, 101, 152]
    assert grid[1].tolist()[1] == 0
    assert grid[5].tolist()[0] == 0
    assert grid[-1].tolist()[2:] == [302, 455]


@pytest.mark.parametrize(("width", "height"), [(0, 5), (5, 0)])
def test_an_image_without_pixels_is_refused(width: int, height: int) -> None:
    with pytest.raises(GeometryError, match=f"1 × 1 px, got {width} × {height}"):
        section_grid(width, height)
