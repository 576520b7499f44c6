from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from scipy import ndimage

from mammo_monai.errors import GeometryError
from mammo_monai.imaging import NOISE_METHODS, estimate_noise, reduce_noise

METHODS = st.sampled_from(NOISE_METHODS)
SIZES = st.sampled_from([3, 5, 7])
DTYPES = [np.uint8, np.uint16, np.int32, np.float32, np.float64]


@st.composite
def images(draw: st.DrawFn) -> NDArray[Any]:
    height, width = draw(st.tuples(st.integers(1, 14), st.integers(1, 19)).filter(lambda x: x[0] != x[1]))
    values = draw(arrays.arrays(np.uint8, (height, width)))
    return values.astype(draw(st.sampled_from(DTYPES)))


@settings(deadline=None, max_examples=30)
@given(image=images(), size_px=SIZES)
def test_the_median_is_that_of_each_window(image: NDArray[Any], size_px: int) -> None:
    expected = ndimage.median_filter(image, size_px, mode="nearest")
    np.testing.assert_array_equal(reduce_noise(image, size_px=size_px), expected)


def test_the_median_is_exact_over_several_blocks_of_rows() -> None:
    image = np.random.default_rng(0).integers(0, 60000, (61, 5000)).astype(np.uint16)
    expected = ndimage.median_filter(image, 5, mode="nearest")
    np.testing.assert_array_equal(reduce_noise(image, size_px=5), expected)


@settings(deadline=None, max_examples=20)
@given(image=images(), method=METHODS, size_px=SIZES, seed=st.integers(0, 99))
def test_background_stays_and_does_not_count(
    image: NDArray[Any], method: Any, size_px: int, seed: int
) -> None:
    region = np.random.default_rng(seed).random(image.shape) < 0.6
    region[0, 0] = True
    reduced = reduce_noise(image, method, size_px=size_px, region=region, noise_sd=3.0)
    np.testing.assert_array_equal(reduced[~region], image[~region])
    other = np.where(region, image, image.dtype.type(77))
    from_other = reduce_noise(other, method, size_px=size_px, region=region, noise_sd=3.0)
    np.testing.assert_array_equal(from_other[region], reduced[region])
    assert image[region].min() <= reduced[region].min()
    assert reduced[region].max() <= image[region].max()


@settings(deadline=None, max_examples=20)
@given(image=images(), method=METHODS, size_px=SIZES, axis=st.sampled_from([0, 1]))
def test_a_mirrored_image_gives_the_mirrored_result(
    image: NDArray[Any], method: Any, size_px: int, axis: int
) -> None:
    before = image.copy()
    reduced = reduce_noise(image, method, size_px=size_px, noise_sd=4.0)
    mirrored = np.flip(reduce_noise(np.flip(image, axis), method, size_px=size_px, noise_sd=4.0), axis)
    assert (reduced.dtype, reduced.shape) == (image.dtype, image.shape)
    # The sum of a mean depends on its order by rounding, and that may turn an integer's last digit.
    tolerance = 1e-3 if np.issubdtype(image.dtype, np.floating) else 1
    np.testing.assert_allclose(mirrored.astype(float), reduced.astype(float), atol=tolerance)
    np.testing.assert_array_equal(image, before)


@settings(deadline=None, max_examples=30)
@given(value=st.integers(0, 255), method=METHODS, size_px=SIZES, dtype=st.sampled_from(DTYPES))
def test_a_constant_image_stays(value: int, method: Any, size_px: int, dtype: Any) -> None:
    image = np.full((5, 8), value, dtype)
    np.testing.assert_array_equal(reduce_noise(image, method, size_px=size_px), image)


@pytest.mark.parametrize("method", ["median", "gaussian", "bilateral"])
def test_white_noise_shrinks_and_the_skin_line_stays_sharp(method: Any) -> None:
    rng = np.random.default_rng(2)
    image = np.zeros((90, 60))
    image[:, :40] = 1000 + rng.normal(0, 20, (90, 40))
    region = image > 0
    reduced = reduce_noise(image, method, size_px=5, region=region)
    assert reduced[5:-5, 5:35].std() < 0.5 * image[5:-5, 5:35].std()
    assert abs(reduced[:, 39].mean() - 1000) < 10
    assert not reduced[:, 40:].any()


def test_impulses_go_and_everything_else_stays_bit_for_bit() -> None:
    rng = np.random.default_rng(3)
    clean = (2000 + rng.normal(0, 10, (80, 50))).astype(np.uint16)
    image = clean.copy()
    image[20, 30], image[60, 9] = 9000, 0  # dust, a dead pixel
    image[:, 41] = 6000  # a scratch
    reduced = reduce_noise(image, "impulse")
    touched = reduced != image
    assert touched[20, 30]
    assert touched[60, 9]
    assert touched[:, 41].all()
    assert touched.sum() == 82
    assert abs(reduced[:, 41].astype(float).mean() - 2000) < 20


def test_bilateral_keeps_an_edge_that_a_gaussian_softens() -> None:
    image = np.full((40, 60), 100.0)
    image[:, 30:] = 400
    image += np.random.default_rng(4).normal(0, 5, image.shape)
    steps = {
        method: np.diff(reduce_noise(image, method, size_px=5, noise_sd=5.0).mean(axis=0)).max()
        for method in ("bilateral", "gaussian")
    }
    assert steps["bilateral"] > 290
    assert steps["gaussian"] < 150


@pytest.mark.parametrize("sd", [0.0, 3.0, 40.0])
def test_the_noise_is_found_under_tissue_and_beside_background(sd: float) -> None:
    rows, columns = np.mgrid[:400, :300]
    tissue = 3000 + 500 * np.sin(rows / 30) * np.cos(columns / 40)
    noisy = tissue + np.random.default_rng(5).normal(0, sd, tissue.shape)
    region = columns < 200
    assert estimate_noise(np.where(region, noisy, 0), region) == pytest.approx(sd, rel=0.05, abs=1.0)


def test_integers_have_at_least_the_noise_of_rounding() -> None:
    assert estimate_noise(np.full((9, 7), 5)) == pytest.approx(12**-0.5)
    assert estimate_noise(np.full((9, 7), 5.0)) == 0
    assert estimate_noise(np.array([[5]])) == pytest.approx(12**-0.5)


def test_faults_are_named() -> None:
    image = np.zeros((4, 6))
    with pytest.raises(ValueError, match=r"method must be median, .* impulse, got 'mean'"):
        reduce_noise(image, "mean")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="size_px must be 3, 5 or 7 pixels of the image, got 4"):
        reduce_noise(image, size_px=4)
    with pytest.raises(ValueError, match="noise_sd must not be negative, got nan"):
        reduce_noise(image, "bilateral", noise_sd=float("nan"))
    with pytest.raises(GeometryError, match="expected a region with at least one pixel"):
        reduce_noise(image, region=image > 0)
    with pytest.raises(GeometryError, match=r"expected a grey image of shape \(H, W\)"):
        reduce_noise(np.zeros((1, 4, 6)))
