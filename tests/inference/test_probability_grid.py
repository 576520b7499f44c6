import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammo_monai.inference.patch_grid import sliding_grid
from mammo_monai.inference.probability_grid import ProbabilityGrid
from tests.reference.probability_map_reference import interpolated


def _grid(height: int, width: int, seed: int = 0) -> ProbabilityGrid:
    grid = sliding_grid(height, width, patch_px=8, stride_px=5)
    values = np.random.default_rng(seed).random((len(grid.rows), len(grid.cols))).astype(np.float32)
    return ProbabilityGrid(grid, values)


@settings(deadline=None, max_examples=25)
@given(height=st.integers(9, 30), width=st.integers(9, 40), seed=st.integers(0, 99))
def test_the_map_agrees_with_interpolation_pixel_by_pixel(height: int, width: int, seed: int) -> None:
    found = _grid(height, width, seed)
    scores = {
        (top, left): float(found.values[row, col])
        for row, top in enumerate(found.grid.rows.tolist())
        for col, left in enumerate(found.grid.cols.tolist())
    }
    np.testing.assert_allclose(found.sampled(), interpolated(scores, height, width, 8), atol=1e-6)


@pytest.mark.parametrize("step_px", [1, 2, 3, 7])
def test_at_a_patch_s_centre_the_map_is_its_probability(step_px: int) -> None:
    found = _grid(33, 48)
    sampled = found.sampled(step_px)
    assert sampled.shape == (-(-33 // step_px), -(-48 // step_px))
    assert sampled.max() == found.values.max()
    rows, cols = (
        (each // step_px).astype(np.int64) for each in (found.grid.row_centres, found.grid.col_centres)
    )
    if step_px <= 3:  # else a cell may hold two centres
        np.testing.assert_array_equal(sampled[np.ix_(rows, cols)], found.values)


def test_past_the_last_centres_the_map_holds_or_is_zero() -> None:
    found = _grid(20, 31)
    held, zero = found.sampled(border="hold"), found.sampled(border="zero")
    assert (held[:4, :4] == found.values[0, 0]).all()
    assert (zero[:4] == 0).all()
    assert (zero[:, -3:] == 0).all()
    np.testing.assert_array_equal(held[4:16, 4:27], zero[4:16, 4:27])


def test_an_image_smaller_than_a_patch_has_one_value() -> None:
    grid = sliding_grid(5, 3, patch_px=8, stride_px=5)
    small = ProbabilityGrid(grid, np.array([[0.7]], dtype=np.float32))
    assert (small.sampled() == np.float32(0.7)).all()
    assert small.sampled(4).shape == (2, 1)


def test_a_step_or_a_word_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="step_px must be at least 1 and border hold or zero, got 0"):
        _grid(20, 30).sampled(0)
    with pytest.raises(ValueError, match="got 1 and 'mirror'"):
        _grid(20, 30).sampled(border="mirror")  # type: ignore[arg-type]  # wrong on purpose
