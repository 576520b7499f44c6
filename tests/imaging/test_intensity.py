"""Grey-value scaling: exact at hand-made values, linear, clipped, and never of a blank film."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from mammo_monai.errors import GeometryError
from mammo_monai.imaging import remove_artifacts, scale_percentile, scale_range, to_eight_bit

Function = Callable[[NDArray[np.generic]], NDArray[np.generic]]
RAMP = np.arange(60, dtype=np.uint16).reshape(6, 10) * 100
INSIDE = np.zeros(RAMP.shape, dtype=np.bool_)
INSIDE[2:4, 3:8] = True
FUNCTIONS: dict[str, Function] = {
    "scale_range": lambda image: scale_range(image, (0, 5900)),
    "scale_percentile": scale_percentile,
    "to_eight_bit": lambda image: to_eight_bit(image, "min_max"),
    "remove_artifacts": lambda image: remove_artifacts(image, INSIDE),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_input_is_not_changed(name: str) -> None:
    image = RAMP.copy()
    result = FUNCTIONS[name](image)
    np.testing.assert_array_equal(image, RAMP)
    assert result.shape == image.shape
    assert not np.shares_memory(result, image)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("image", [np.zeros((2, 3, 4)), np.zeros((0, 3))], ids=["3-D", "empty"])
def test_other_shapes_are_refused(name: str, image: NDArray[np.generic]) -> None:
    with pytest.raises(GeometryError, match=r"shape \(H, W\)"):
        FUNCTIONS[name](image)


@pytest.mark.parametrize("name", ["scale_percentile", "to_eight_bit"])
def test_a_blank_film_has_no_contrast_to_scale(name: str) -> None:
    with pytest.raises(GeometryError, match="got 7 throughout: a blank film"):
        FUNCTIONS[name](np.full((4, 6), 7, dtype=np.uint8))


def test_scale_range_of_a_blank_film_is_defined() -> None:
    np.testing.assert_array_equal(
        scale_range(np.full((2, 3), 7, dtype=np.uint8), (0, 14)), np.full((2, 3), 0.5)
    )


def test_scale_range_clips_and_is_float32() -> None:
    grey = scale_range(np.array([[-5.0, 0.0, 25.0, 100.0, 900.0]]), (0, 100))
    assert grey.dtype == np.float32
    np.testing.assert_allclose(grey, [[0, 0, 0.25, 1, 1]])


@pytest.mark.parametrize("ends", [(5, 5), (6, 5), (0, np.inf), (np.nan, 1)])
def test_an_empty_range_is_refused(ends: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match=r"output_range must be \(lo, hi\) with lo < hi"):
        scale_range(RAMP, ends)


def test_percentiles_are_of_the_region_and_scale_the_whole_image() -> None:
    grey = scale_percentile(RAMP, 0, 100, INSIDE)
    low, high = RAMP[INSIDE].min(), RAMP[INSIDE].max()
    expected = np.clip((RAMP.astype(np.float64) - low) / (float(high) - low), 0, 1)
    np.testing.assert_allclose(grey, expected, atol=1e-6)


@pytest.mark.parametrize(("low", "high"), [(50, 50), (60, 40), (-1, 50), (50, 101)])
def test_percentiles_out_of_order_are_refused(low: float, high: float) -> None:
    with pytest.raises(ValueError, match="percentiles must be 0 <= low < high <= 100"):
        scale_percentile(RAMP, low, high)


@pytest.mark.parametrize(
    ("region", "message"),
    [
        (np.ones((2, 2), dtype=np.bool_), r"boolean region of the image's shape \(6, 10\).*\(2, 2\)"),
        (np.ones((6, 10), dtype=np.uint8), "boolean region .*got uint8"),
        (np.zeros((6, 10), dtype=np.bool_), r"got an empty one.*Use the whole image instead"),
    ],
    ids=["shape", "dtype", "empty"],
)
def test_regions_that_do_not_fit_are_refused(region: NDArray[np.bool_], message: str) -> None:
    for call in (
        lambda: remove_artifacts(RAMP, region),
        lambda: scale_percentile(RAMP, region=region),
    ):
        with pytest.raises(GeometryError, match=message):
            call()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_artifacts_become_background_in_the_image_s_own_dtype(dtype: type[np.generic]) -> None:
    image = np.array([[9, 5, 3], [4, 7, 8]], dtype=dtype)
    region = np.array([[False, True, True], [False, True, False]])
    cleaned = remove_artifacts(image, region)
    np.testing.assert_array_equal(cleaned, [[3, 5, 3], [3, 7, 3]])
    assert cleaned.dtype == dtype
    np.testing.assert_array_equal(remove_artifacts(image, region, 1), [[1, 5, 3], [1, 7, 1]])
    assert remove_artifacts(image, region, 1).dtype == dtype


def test_sixteen_bits_become_eight_over_the_whole_range() -> None:
    image = np.arange(0, 65536, 257, dtype=np.uint16).reshape(16, 16)
    np.testing.assert_array_equal(to_eight_bit(image), np.arange(256).reshape(16, 16))
    half = np.array([[128, 129]], dtype=np.uint16)
    np.testing.assert_array_equal(to_eight_bit(half), [[0, 1]])
    assert to_eight_bit(image).dtype == np.uint8


@given(arrays.arrays(np.uint8, (3, 5)))
def test_eight_bits_stay_as_they_are(image: NDArray[np.uint8]) -> None:
    np.testing.assert_array_equal(to_eight_bit(image), image)


def test_the_three_ways_to_eight_bits_differ_as_documented() -> None:
    image = np.linspace(1000, 3000, 101).reshape(1, 101)
    assert to_eight_bit(image, output_range=(0, 4000))[0, [0, -1]].tolist() == [64, 191]
    assert to_eight_bit(image, "min_max")[0, [0, 50, -1]].tolist() == [0, 128, 255]
    stretched = to_eight_bit(image, "percentile", percentiles=(10, 90))
    assert stretched[0, [0, 10, 50, 90, -1]].tolist() == [0, 0, 128, 255, 255]
    region = np.zeros(image.shape, dtype=np.bool_)
    region[0, :51] = True
    assert to_eight_bit(image, "min_max", region=region)[0, 50] == 255


def test_eight_bit_misuse_is_named() -> None:
    with pytest.raises(ValueError, match="output_range must be given for dtype float64"):
        to_eight_bit(RAMP.astype(np.float64))
    with pytest.raises(ValueError, match="method must be 'range', 'min_max' or 'percentile', got 'gamma'"):
        to_eight_bit(RAMP, "gamma")  # type: ignore[arg-type]
