from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mammo_monai.inference.dense_scores import dense_scores, tiles
from mammo_monai.inference.patch_grid import PatchGrid, dense_grid
from mammo_monai.inference.patch_scores import sliding_scores
from tests.inference.patch_fakes import STRIDE_PX, BrightnessNetwork


def _all(grid: PatchGrid) -> NDArray[np.bool_]:
    return np.ones((len(grid.rows), len(grid.cols)), dtype=np.bool_)


@settings(deadline=None, max_examples=30)
@given(
    height=st.integers(1, 120),
    width=st.integers(1, 150),
    tile_px=st.sampled_from([1, 64, 110, 1536]),
    seed=st.integers(0, 99),
)
def test_without_padding_in_the_network_dense_equals_sliding(
    height: int, width: int, tile_px: int, seed: int
) -> None:
    image = torch.rand(1, height, width, generator=torch.Generator().manual_seed(seed))
    network = BrightnessNetwork()
    grid = dense_grid(height, width, patch_px=32, stride_px=STRIDE_PX)
    with torch.no_grad():
        expected = sliding_scores(network, image, grid, _all(grid), batch_size=64)
        found = dense_scores(network, image, grid, _all(grid), batch_size=7, tile_px=tile_px)
    np.testing.assert_allclose(found, expected, atol=1e-5)  # pooled over 8 × 8 px in another order


@given(
    n_steps=st.integers(0, 60), cells=st.integers(1, 9), extra=st.integers(1, 20), margin=st.integers(1, 6)
)
def test_tiles_have_one_size_and_their_parts_of_value_follow_without_gap(
    n_steps: int, cells: int, extra: int, margin: int
) -> None:
    per_tile = 2 * margin + extra
    found = tiles(n_steps, per_tile, cells, margin)
    assert found[0].low == 0
    assert found[-1].high == n_steps + cells
    for before, after in pairwise(found):
        assert after.low <= before.high  # the last tile may lie further back, and is written last
        assert after.low - after.start == margin
        assert before.start + per_tile + cells - before.high == margin
    for each in found:
        assert each.low < each.high <= each.start + min(per_tile, n_steps) + cells


def test_features_are_computed_once_and_only_where_patches_are_wanted() -> None:
    network = BrightnessNetwork()
    image = torch.rand(1, 200, 90, generator=torch.Generator().manual_seed(0))
    grid = dense_grid(200, 90, patch_px=32, stride_px=STRIDE_PX)
    with torch.no_grad():
        dense_scores(network, image, grid, _all(grid), batch_size=1000)
        assert network.seen == [(1, 1, 200, 96)]  # up to a multiple of the stride
        assert network.windows_px == [32]
        whole = dense_scores(network, image, grid, _all(grid), batch_size=1000, tile_px=96)
        n_tiles = len(network.seen) - 1
        top = _all(grid)
        top[2:] = False
        part = dense_scores(network, image, grid, top, batch_size=1000, tile_px=96)
    assert 0 < len(network.seen) - 1 - n_tiles < n_tiles
    np.testing.assert_array_equal(part, np.where(top, whole, 0))


def test_windows_reach_the_head_in_strips_of_wanted_rows_and_columns() -> None:
    network = BrightnessNetwork()
    grid = dense_grid(64, 80, patch_px=32, stride_px=STRIDE_PX)
    wanted = _all(grid)  # 5 rows of 7
    wanted[3:, :5] = wanted[4] = False
    with torch.no_grad():
        scores = dense_scores(network, torch.rand(1, 64, 80), grid, wanted, batch_size=15)
        dense_scores(network, torch.rand(1, 64, 80), grid, wanted, batch_size=1)
    assert network.head_sizes == [14, 14, 7, 7, 7, 2]
    assert ((scores > 0) == wanted).all()


def test_nothing_wanted_costs_nothing() -> None:
    network = BrightnessNetwork()
    grid = dense_grid(64, 80, patch_px=32, stride_px=STRIDE_PX)
    assert not dense_scores(network, torch.rand(1, 64, 80), grid, ~_all(grid), batch_size=10).any()
    assert network.seen == []


@pytest.mark.parametrize("num_classes", [2, 5])
def test_five_classes_work_too(num_classes: int) -> None:
    network = BrightnessNetwork(num_classes)
    grid = dense_grid(40, 56, patch_px=32, stride_px=STRIDE_PX)
    image = torch.rand(1, 40, 56, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = sliding_scores(network, image, grid, _all(grid), batch_size=64, positive_classes=[1])
        found = dense_scores(network, image, grid, _all(grid), batch_size=64, positive_classes=[1])
    np.testing.assert_allclose(found, expected, atol=1e-5)
