"""The square copy: the same for a picture and its stretched version, and back at the image's size."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from mammo_monai.imaging.square_copy import square_copy

SIDE = 400


@pytest.mark.parametrize(
    "shape", [(1, 1), (30, 47), (399, 300), (401, 960), (800, 800), (1700, 2303), (4432, 2864)]
)
def test_each_side_is_cut_to_its_limit_and_the_mask_comes_back(shape: tuple[int, int]) -> None:
    image = np.zeros(shape, dtype=np.uint16)
    image[: shape[0] // 2 + 1, : shape[1] // 3 + 1] = 60_000
    copy = square_copy(image, SIDE)
    assert copy.pixels.shape == (min(SIDE, shape[0]), min(SIDE, shape[1]))
    back = copy.enlarged(copy.pixels > 30_000)
    assert back.shape == shape
    assert back.flags.c_contiguous
    step_px = [-(-length // SIDE) for length in shape]
    assert np.count_nonzero((back != (image > 0))[:, 0]) <= step_px[0]
    assert np.count_nonzero((back != (image > 0))[0]) <= step_px[1]


def test_the_copy_holds_means() -> None:
    image = np.arange(24.0).reshape(4, 6)
    np.testing.assert_allclose(square_copy(image, 2).pixels, [[4, 7], [16, 19]])
    thirds = square_copy(
        np.array([[0.0], [4.0], [8.0], [12.0]]), 3
    ).pixels  # the middle one holds two centres
    np.testing.assert_allclose(thirds[:, 0], [0, 6, 12])


def test_a_picture_and_its_stretched_version_have_the_same_copy() -> None:
    rows, columns = np.mgrid[:1500, :900] / np.array([1500.0, 900.0])[:, None, None]
    film = (1000 * (1 + np.sin(9 * rows) * np.cos(7 * columns))).astype(np.float32)
    stretched = np.asarray(Image.fromarray(film).resize((800, 800), Image.Resampling.BOX))
    np.testing.assert_allclose(
        square_copy(film, SIDE).pixels, square_copy(stretched, SIDE).pixels, atol=0.005 * 2000
    )


def test_lengths_are_shares_of_the_side_they_lie_along() -> None:
    assert square_copy(np.zeros((900, 700)), SIDE).steps == (1, 1)
    assert square_copy(np.zeros((100, 50)), SIDE).steps == (1, 2)


def test_any_dtype_and_order_is_taken() -> None:
    mask = np.zeros((5, 7), dtype=np.bool_)
    mask[1, 2] = True
    np.testing.assert_array_equal(square_copy(mask, SIDE).pixels, mask)
    np.testing.assert_array_equal(square_copy(mask[:, ::-1], SIDE).pixels, mask[:, ::-1])
