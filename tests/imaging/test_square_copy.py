"""The square copy: the same for a picture and its stretched version, and back at the image's size."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mammo_monai.geometry import mask_box
from mammo_monai.imaging.square_copy import SampledMask, square_copy

SIDE = 400


@pytest.mark.parametrize(
    "shape", [(1, 1), (30, 47), (399, 300), (401, 960), (800, 800), (1700, 2303), (4432, 2864)]
)
def test_each_side_is_cut_to_its_limit_and_the_mask_comes_back(shape: tuple[int, int]) -> None:
    image = np.zeros(shape, dtype=np.uint16)
    image[: shape[0] // 2 + 1, : shape[1] // 3 + 1] = 60_000
    copy = square_copy(image, SIDE)
    assert copy.pixels.shape == (min(SIDE, shape[0]), min(SIDE, shape[1]))
    back = copy.enlarged(copy.pixels > 30_000).whole()
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


@given(
    shape=st.tuples(st.integers(1, 23), st.integers(1, 31)),
    skip=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    seed=st.integers(0, 99),
    data=st.data(),
)
def test_a_sampled_mask_answers_as_the_whole_one(
    shape: tuple[int, int], skip: tuple[int, int], seed: int, data: st.DataObject
) -> None:
    rows, columns = (-(-length // step) for length, step in zip(shape, skip, strict=True))
    marks = np.random.default_rng(seed).random((rows, columns)) > 0.6
    marks[0, 0] = True
    mask = SampledMask(marks, skip, shape)
    whole = np.kron(marks, np.ones(skip, dtype=np.bool_)).astype(np.bool_)[: shape[0], : shape[1]]
    np.testing.assert_array_equal(mask.whole(), whole)
    assert mask.box() == mask_box(whole)
    y_min, x_min = (data.draw(st.integers(0, length - 1)) for length in shape)
    y_max, x_max = data.draw(st.integers(y_min + 1, shape[0])), data.draw(st.integers(x_min + 1, shape[1]))
    np.testing.assert_array_equal(mask.part(x_min, y_min, x_max, y_max), whole[y_min:y_max, x_min:x_max])


@pytest.mark.parametrize("shape", [(47, 30), (401, 960), (310, 4200)])
def test_a_sampled_mask_has_the_same_copy_as_the_whole_one(shape: tuple[int, int]) -> None:
    image = np.zeros(shape, dtype=np.uint16)
    image[5 : shape[0] // 2, : shape[1] // 3] = 9
    copy = square_copy(image, SIDE)
    mask = copy.enlarged(copy.pixels > 4)
    expected = square_copy(mask.whole(), SIDE)
    found = mask.square_copy(SIDE)
    np.testing.assert_array_equal(found.pixels, expected.pixels)
    assert (found.skip, found.sampled, found.shape) == (expected.skip, expected.sampled, expected.shape)
