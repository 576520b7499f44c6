from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from mammo_monai.phantoms.texture import Grid, grid_over, power_law_field, resample, ridges, streaks, tiled


@pytest.mark.parametrize("beta", [2.0, 3.0, 4.0])
def test_field_spectrum_falls_with_beta(beta: float) -> None:
    field = power_law_field(np.random.default_rng(0), Grid(256, 256, 1.0), beta, longest_mm=1e4)
    power = np.abs(np.fft.fft2(field)) ** 2
    frequency = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.fftfreq(256)[None, :])
    band = (frequency > 0.02) & (frequency < 0.3)
    slope = np.polyfit(np.log(frequency[band]), np.log(power[band]), 1)[0]
    # 22 000 exponential samples leave an error of the slope near 0.02.
    assert_allclose(slope, -beta, atol=0.12)


def test_field_has_unit_deviation_on_odd_and_even_sizes() -> None:
    for rows, columns in ((41, 30), (64, 97)):
        field = power_law_field(np.random.default_rng(1), Grid(rows, columns, 0.5), 3.0)
        assert field.shape == (rows, columns)
        assert field.dtype == np.float32
        assert_allclose([field.mean(), field.std()], [0, 1], atol=1e-4)


def test_resample_keeps_a_ramp_where_it_is_in_mm() -> None:
    coarse, fine = Grid(30, 20, 0.6), grid_over(18.0, 12.0, 0.15)
    image = np.broadcast_to(coarse.x_mm + 2 * coarse.y_mm, (30, 20)).astype(np.float32)
    found = resample(image, fine, coarse.spacing_mm)
    assert found.shape == (fine.rows, fine.columns)
    inner = slice(4, -4)
    assert_allclose(found[inner, inner], (fine.x_mm + 2 * fine.y_mm)[inner, inner], atol=1e-4)


def test_streaks_are_longer_towards_the_point_than_across() -> None:
    grid = Grid(120, 120, 0.5)
    field = streaks(np.random.default_rng(2), grid, (90.0, 30.0), stretch=4.0, beta=2.8)
    middle = field[40:80, 20:60]
    along, across = np.abs(np.diff(middle, axis=1)).mean(), np.abs(np.diff(middle, axis=0)).mean()
    assert across > 2 * along


def test_ridges_are_bright_at_zero_only() -> None:
    assert_allclose(ridges(np.array([[0.0, 1.0, -1.0]], dtype=np.float32), 0.1), [[1, 0, 0]], atol=1e-6)


def test_a_tile_covers_a_grid_that_is_no_multiple_of_it() -> None:
    tile = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert_allclose(tiled(tile, Grid(3, 4, 1.0)), [[0, 1, 2, 0], [3, 4, 5, 3], [0, 1, 2, 0]])
