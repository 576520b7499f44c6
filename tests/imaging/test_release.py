"""The stretched 8-bit release of a film."""

from __future__ import annotations

import numpy as np
import pytest

from mammo_monai.errors import GeometryError
from mammo_monai.imaging import eight_bit_square


def test_the_whole_film_is_stretched_and_grey_values_keep_their_share_of_the_range() -> None:
    film = np.zeros((90, 50), dtype=np.uint16)
    film[45:, :25] = 32896  # 128 of 255
    made = eight_bit_square(film, 60)
    assert (made.shape, made.dtype) == ((60, 60), np.dtype("uint8"))
    assert (made[35:, :25] == 128).all()
    assert not made[:25].any()
    assert not made[:, 35:].any()


def test_a_release_is_800_px_wide_and_high() -> None:
    assert eight_bit_square(np.zeros((9, 5), dtype=np.uint8)).shape == (800, 800)


def test_what_has_no_range_or_no_side_is_refused() -> None:
    with pytest.raises(ValueError, match="a float has no range of its own"):
        eight_bit_square(np.zeros((3, 4)))
    with pytest.raises(ValueError, match="side_px must be at least 1, got 0"):
        eight_bit_square(np.zeros((3, 4), dtype=np.uint8), 0)
    with pytest.raises(GeometryError, match=r"shape \(H, W\)"):
        eight_bit_square(np.zeros((1, 3, 4), dtype=np.uint8))
