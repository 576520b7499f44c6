"""The pectoral muscle: found on oblique views of either side, and not where there is none."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from mammo_monai.errors import GeometryError
from mammo_monai.imaging import breast_region, chest_wall_side, pectoral_muscle
from mammo_monai.imaging.pectoral import _BEND, _dearest_path, _fuller_side
from tests.imaging.films import oblique_film, scanned_film


def overlap(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    return float((first & second).sum() / (first | second).sum())


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("shape", [(240, 150), (480, 300), (997, 640), (1301, 843), (480, 480)])
def test_the_muscle_is_found_along_its_bent_edge(shape: tuple[int, int], seed: int) -> None:
    film, muscle = oblique_film(*shape, seed=seed)
    region = breast_region(film.pixels)
    found = pectoral_muscle(film.pixels, region)
    assert found.shape == shape
    assert found.dtype == np.bool_
    assert overlap(found, muscle) > 0.92
    assert not (found & ~region).any()


def test_a_right_breast_gives_the_mirrored_muscle() -> None:
    film, _ = oblique_film()
    region = breast_region(film.pixels)
    found = pectoral_muscle(film.pixels, region)
    mirrored = pectoral_muscle(film.pixels[:, ::-1], region[:, ::-1])
    np.testing.assert_array_equal(mirrored, found[:, ::-1])
    asked = pectoral_muscle(film.pixels[:, ::-1], region[:, ::-1], chest_wall="right")
    np.testing.assert_array_equal(asked, mirrored)


def test_the_side_that_is_asked_for_is_searched() -> None:
    film, muscle = oblique_film()
    found = pectoral_muscle(film.pixels, breast_region(film.pixels), chest_wall="right")
    assert not (found & muscle)[:, :60].any()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32, np.float64])
def test_the_unit_of_grey_values_does_not_matter(dtype: type[np.generic]) -> None:
    whole = np.round(oblique_film()[0].pixels)
    region = breast_region(whole)
    scale, offset = (1.0, 0.0) if dtype == np.uint8 else (100.0, 3000.0)
    found = pectoral_muscle((whole * scale + offset).astype(dtype), region)
    # Rounding turns the path by a pixel where two are equally good.
    assert (found != pectoral_muscle(whole, region)).mean() < 1e-3


def test_the_inputs_are_not_changed() -> None:
    pixels = oblique_film()[0].pixels
    region = breast_region(pixels)
    before = pixels.copy(), region.copy()
    pectoral_muscle(pixels, region)
    np.testing.assert_array_equal(pixels, before[0])
    np.testing.assert_array_equal(region, before[1])


@pytest.mark.parametrize("seed", range(3))
def test_a_film_without_an_edge_has_no_muscle(seed: int) -> None:
    film, _ = oblique_film(muscle_contrast=0, seed=seed)
    smooth = np.where(film.breast, 90.0, 14.0)
    assert not pectoral_muscle(smooth, film.breast).any()


def test_a_breast_below_the_top_has_no_muscle() -> None:
    film = scanned_film()
    assert not pectoral_muscle(film.pixels, breast_region(film.pixels)).any()


def test_more_than_half_the_region_is_no_muscle() -> None:
    rows, columns = np.mgrid[:240, :150] / np.array([240, 150])[:, None, None]
    region = columns < 0.4 - 0.3 * rows
    muscle = columns < 0.36 - 0.3 * rows
    assert not pectoral_muscle(np.where(muscle, 200.0, 20.0 + 60.0 * region), region).any()


@pytest.mark.parametrize("value", [0.0, 7.0])
def test_a_constant_image_has_no_muscle(value: float) -> None:
    region = np.zeros((90, 60), dtype=np.bool_)
    region[:70, :40] = True
    assert not pectoral_muscle(np.full((90, 60), value), region).any()


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (7, 1), (2, 3), (5, 200), (900, 3)])
def test_tiny_images_do_not_fail(shape: tuple[int, int]) -> None:
    image = np.arange(np.prod(shape), dtype=np.float64).reshape(shape)[::-1, ::-1]
    assert pectoral_muscle(image, np.ones(shape, dtype=np.bool_)).shape == shape


def test_a_region_of_a_few_pixels_does_not_fail() -> None:
    region = np.zeros((2000, 1300), dtype=np.bool_)
    region[0, 0] = True  # lost in the working copy
    assert not pectoral_muscle(np.random.default_rng(0).random(region.shape), region).any()


def test_what_cannot_be_searched_is_refused() -> None:
    image, region = np.zeros((4, 6)), np.ones((4, 6), dtype=np.bool_)
    with pytest.raises(GeometryError, match="got an empty one: no breast was found"):
        pectoral_muscle(image, ~region)
    with pytest.raises(GeometryError, match=r"boolean region of the image's shape \(4, 6\)"):
        pectoral_muscle(image, region[:2])
    with pytest.raises(GeometryError, match=r"got \(1, 4, 6\)\. Take one channel"):
        pectoral_muscle(image[None], region)
    with pytest.raises(ValueError, match="chest_wall must be 'left', 'right' or None, got 'L'"):
        pectoral_muscle(image, region, chest_wall="L")  # type: ignore[arg-type]


def test_an_unclear_chest_wall_is_taken_at_the_edge_that_more_of_the_region_reaches() -> None:
    away = np.zeros((10, 60), dtype=np.bool_)
    away[2:8, 33:40] = True
    assert chest_wall_side(away) is None
    assert _fuller_side(away) == "right"
    assert _fuller_side(away[:, ::-1]) == "left"
    assert _fuller_side(np.ones((3, 8), dtype=np.bool_)) == "left"


@given(gain=arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(1, 4)), elements=st.floats(-1, 1)))
def test_the_dearest_path_equals_the_best_of_all_paths(gain: NDArray[np.float64]) -> None:
    rows, columns = gain.shape

    def worth(path: tuple[int, ...]) -> float:
        steps = np.abs(np.diff(path))
        return float(gain[np.arange(rows), path].sum() - _BEND * steps.sum())

    paths = itertools.product(range(columns), repeat=rows)
    best = max(worth(path) for path in paths if not (np.abs(np.diff(path)) > 1).any())
    found = tuple(int(column) for column in _dearest_path(gain))
    assert not (np.abs(np.diff(found)) > 1).any()
    assert worth(found) == pytest.approx(best, abs=1e-12)
