"""A crop proves its place in a film, or nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mammo_monai.readers.cbis_ddsm.crops import agrees, locate_crop, locate_near


def texture(height: int, width: int, seed: int = 0) -> NDArray[np.float64]:
    """Smooth enough to be reduced, as tissue is, and nowhere twice the same."""
    return np.random.default_rng(seed).normal(size=(height, width)).cumsum(axis=0).cumsum(axis=1)


FILM = texture(330, 240)


@given(x=st.integers(0, 180), y=st.integers(0, 260), width=st.integers(20, 60), height=st.integers(20, 70))
def test_a_crop_is_found_where_it_was_cut(x: int, y: int, width: int, height: int) -> None:
    crop = FILM[y : y + height, x : x + width]
    assert locate_crop(FILM, crop) == (x, y, x + width, y + height)


def test_other_contrast_and_eight_bits_do_not_matter() -> None:
    crop = FILM[100:190, 60:140]
    low, high = crop.min(), crop.max()
    eight_bit = ((crop - low) / (high - low) * 255).astype(np.uint8)
    assert locate_crop(FILM, eight_bit) == (60, 100, 140, 190)


def test_a_large_crop_is_found_to_the_pixel_although_the_search_is_coarse() -> None:
    film = texture(900, 700, seed=3)
    assert locate_crop(film, film[301:700, 203:500]) == (203, 301, 500, 700)


@pytest.mark.parametrize(
    "crop",
    [
        texture(60, 60, seed=9),
        np.full((60, 60), 7.0),
        FILM[100:110, 60:70],
        texture(400, 100),
        np.random.default_rng(1).normal(size=(60, 60)),
    ],
    ids=["another film", "flat", "too small", "larger than the film", "noise"],
)
def test_what_proves_nothing_is_none(crop: NDArray[np.float64]) -> None:
    assert locate_crop(FILM, crop) is None


def test_a_flat_film_proves_nothing() -> None:
    assert locate_crop(np.zeros((90, 60)), FILM[:30, :30]) is None


@pytest.mark.parametrize(
    ("box", "is_it"),
    [
        ((10, 10, 30, 30), True),
        ((8, 8, 34, 34), True),
        ((0, 10, 20, 30), False),
        ((10, 10, 13, 13), False),
        ((50, 50, 60, 60), False),
    ],
    ids=["inside", "the crop itself", "half outside", "a speck of it", "elsewhere"],
)
def test_a_lesion_agrees_with_a_crop_that_shows_it(box: tuple[int, int, int, int], is_it: bool) -> None:
    assert agrees(box, (8, 8, 34, 34)) is is_it


def test_a_crop_is_found_near_its_place_and_nowhere_far_from_it() -> None:
    crop = FILM[100:150, 60:100]
    assert locate_near(FILM, crop, (70, 110, 90, 140)) == (60, 100, 100, 150)
    assert locate_near(FILM, crop, (0, 0, 10, 10)) is None
