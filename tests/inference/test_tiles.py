import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mammo_monai.inference.tiles import CELL_PX, breast_cells, least_tile_px, plan_tiles

sides = st.integers(1, 1700)
limits = st.sampled_from([1, 2, 4, 50])


def _full(width: int, height: int) -> np.ndarray:
    return np.ones((-(-height // CELL_PX), -(-width // CELL_PX)), dtype=bool)


@settings(deadline=None, max_examples=60)
@given(width=sides, height=sides, halo=st.sampled_from([0, 128, 256]), limit=limits)
def test_cores_partition_the_image_and_lie_in_what_is_shown(
    width: int, height: int, halo: int, limit: int
) -> None:
    limit_px = limit * least_tile_px(halo)
    tiles = plan_tiles(_full(width, height), (width, height), max_tile_px=limit_px, halo_px=halo)
    covered = np.zeros((height, width), dtype=np.uint8)
    for tile in tiles:
        (x_min, y_min, x_max, y_max), shown = tile.core, tile.shown
        covered[y_min:y_max, x_min:x_max] += 1
        # The halo reaches as far as the image does.
        expected = (x_min - halo, y_min - halo, x_max + halo, y_max + halo)
        assert shown == (
            max(expected[0], 0), max(expected[1], 0), min(expected[2], width), min(expected[3], height)
        )  # fmt: skip
        padded = [-(-(shown[n + 2] - shown[n]) // CELL_PX) * CELL_PX for n in (0, 1)]
        assert padded[0] * padded[1] <= limit_px
    assert covered.min() == covered.max() == 1


@settings(deadline=None, max_examples=60)
@given(data=st.data(), halo=st.sampled_from([0, 128]), limit=limits)
def test_every_cell_with_breast_is_in_one_core_and_shown_with_the_breast_of_its_halo(
    data: st.DataObject, halo: int, limit: int
) -> None:
    rows, cols = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 7))
    bits = data.draw(st.lists(st.booleans(), min_size=rows * cols, max_size=rows * cols))
    cells = np.array(bits).reshape(rows, cols)
    tiles = plan_tiles(
        cells,
        (cols * CELL_PX, rows * CELL_PX),
        max_tile_px=limit * least_tile_px(halo),
        halo_px=halo,
    )
    reach = halo // CELL_PX
    for row, col in np.argwhere(cells):
        (tile,) = [t for t in tiles if _has(t.core, row, col)]
        near = cells[max(row - reach, 0) : row + reach + 1, max(col - reach, 0) : col + reach + 1]
        for other_row, other_col in _moved(np.argwhere(near), row - reach, col - reach):
            assert _has(tile.shown, other_row, other_col)
    assert all(cells[_cells_of(tile.core)].any() for tile in tiles)


def _moved(places: np.ndarray, row: int, col: int) -> np.ndarray:
    return np.asarray(places + np.array([max(row, 0), max(col, 0)]))


def _has(rectangle: tuple[int, int, int, int], row: int, col: int) -> bool:
    x, y = (col + 0.5) * CELL_PX, (row + 0.5) * CELL_PX
    return rectangle[0] <= x < rectangle[2] and rectangle[1] <= y < rectangle[3]


def _cells_of(rectangle: tuple[int, int, int, int]) -> tuple[slice, slice]:
    x_min, y_min, x_max, y_max = (edge // CELL_PX for edge in rectangle)
    return slice(y_min, y_max), slice(x_min, x_max)


def test_an_image_within_the_limit_is_one_tile_cut_to_the_breast() -> None:
    cells = np.zeros((5, 4), dtype=bool)
    cells[1:4, 2:] = True  # the chest wall on the right
    (tile,) = plan_tiles(cells, (500, 600), max_tile_px=5 * 4 * CELL_PX**2, halo_px=128)
    assert tile.core == (0, 0, 500, 600)
    assert tile.shown == (256, 128, 500, 512)


def test_no_breast_gives_no_tile() -> None:
    assert plan_tiles(np.zeros((5, 4), dtype=bool), (500, 600), max_tile_px=10**6, halo_px=128) == []


def test_the_plan_shows_no_more_than_any_single_grid_that_fits() -> None:
    # Two breasts' worth of cells with a gap: cutting in the gap shows neither twice.
    cells = np.array([[True, True, False, False, True, True]] * 3)
    tiles = plan_tiles(cells, (768, 384), max_tile_px=6 * 3 * CELL_PX**2, halo_px=0)
    assert sum((t.shown[2] - t.shown[0]) * (t.shown[3] - t.shown[1]) for t in tiles) == 12 * CELL_PX**2


def test_cells_with_one_bright_pixel_are_breast() -> None:
    image = torch.full((1, 300, 200), 0.25)
    image[0, 299, 199] = 0.5
    assert breast_cells(image).tolist() == [[False, False], [False, False], [False, True]]
    assert not breast_cells(torch.zeros(1, 300, 200)).any()


@pytest.mark.parametrize("halo", [0, 128, 256])
def test_the_least_tile_is_one_cell_and_its_halo(halo: int) -> None:
    tiles = plan_tiles(_full(900, 700), (900, 700), max_tile_px=least_tile_px(halo), halo_px=halo)
    assert {(t.core[2] - t.core[0], t.core[3] - t.core[1]) for t in tiles} <= {
        (w, h) for w in (128, 4) for h in (128, 60)
    }
