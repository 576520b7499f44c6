"""The breast region: found without its surroundings, in any unit, size and direction."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from mammo_monai.errors import GeometryError
from mammo_monai.imaging import breast_bounding_box, breast_region, with_margin
from mammo_monai.imaging.breast import _otsu, box_with_margin, breast_outline, outline_with_margin
from tests.imaging.films import digital_image, oblique_film, scanned_film


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("fog", [0.0, 14.0, 25.0])
def test_scanned_film_keeps_the_breast_and_nothing_else(seed: int, fog: float) -> None:
    film = scanned_film(fog=fog, seed=seed)
    region = breast_region(film.pixels)
    assert film.overlap(region) > 0.96
    assert (region & film.artifacts).sum() <= 0.02 * film.artifacts.sum()


def test_digital_image_keeps_the_breast_and_not_its_marker() -> None:
    film = digital_image()
    region = breast_region(film.pixels, method="global")
    assert film.overlap(region) > 0.98
    assert not (region & film.artifacts).any()


@pytest.mark.parametrize(
    ("shape", "least"),
    [((60, 44), 0.88), ((121, 203), 0.93), ((480, 300), 0.96), ((997, 640), 0.96), ((2203, 1409), 0.96)],
)
def test_every_size_finds_the_breast(shape: tuple[int, int], least: float) -> None:
    film = scanned_film(*shape)
    region = breast_region(film.pixels.astype(np.float32))
    assert region.shape == shape
    assert region.dtype == np.bool_
    assert region.flags.c_contiguous
    assert film.overlap(region) > least  # smoothing weighs more on small images


def test_a_right_breast_is_found_as_the_mirrored_left_one() -> None:
    film = scanned_film()
    right = breast_region(film.mirrored().pixels)
    assert film.mirrored().overlap(right) > 0.96
    assert (right[:, ::-1] != breast_region(film.pixels)).mean() < 0.01


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.int32, np.float32, np.float64])
def test_the_unit_of_grey_values_does_not_matter(dtype: type[np.generic]) -> None:
    whole = np.round(scanned_film().pixels)
    scale, offset = (1.0, 0.0) if dtype == np.uint8 else (100.0, 3000.0)
    region = breast_region((whole * scale + offset).astype(dtype))
    assert (region != breast_region(whole)).mean() < 1e-3


def test_the_image_is_not_changed() -> None:
    pixels = scanned_film().pixels
    before = pixels.copy()
    breast_region(pixels)
    np.testing.assert_array_equal(pixels, before)


def test_holes_are_filled_and_the_nipple_is_kept() -> None:
    film = scanned_film()
    pixels = film.pixels.copy()
    pixels[230:250, 40:60] = 0
    region = breast_region(pixels)
    assert region[230:250, 40:60].all()
    assert region[240, int(0.57 * 300)]


def test_dust_beside_the_skin_is_not_kept() -> None:
    film = scanned_film()
    pixels = film.pixels.copy()
    edge = int(np.flatnonzero(film.breast[150])[-1])
    pixels[148:152, edge + 8 : edge + 11] = 255
    assert not breast_region(pixels)[148:152, edge + 8 : edge + 11].any()


def test_white_rows_are_cut_but_not_a_breast_that_fills_the_film() -> None:
    film = scanned_film()
    assert not breast_region(film.pixels)[:4].any()
    full = np.random.default_rng(4).normal(180, 8, (200, 130))
    full[:, 120:] = 5.0
    region = breast_region(full)
    assert region[0, :100].all()
    assert region[-1, :100].all()


def test_a_grey_strip_along_the_chest_wall_ends_near_the_breast() -> None:
    film = scanned_film()
    pixels = film.pixels.copy()
    strip = 9  # px: 3 % of the width
    pixels[:, :strip] = np.maximum(pixels[:, :strip], 120)
    region = breast_region(pixels)
    drawn = np.flatnonzero(film.breast.any(axis=1))
    found = np.flatnonzero(region.any(axis=1))
    assert found[0] > drawn[0] - 0.05 * 480
    assert found[-1] < drawn[-1] + 0.05 * 480


@pytest.mark.parametrize("method", ["otsu", "global"])
def test_an_inverted_picture_gives_an_empty_region(method: str) -> None:
    for film in (scanned_film(), digital_image(), oblique_film()[0]):
        assert breast_region(film.pixels, method).any()  # type: ignore[arg-type]
        inverted = film.pixels.max() - film.pixels
        assert not breast_region(inverted, method).any()  # type: ignore[arg-type]


@pytest.mark.parametrize("strip_share", [0.0, 0.02, 0.028, 0.06])
@pytest.mark.parametrize("is_right", [False, True])
def test_a_film_and_its_release_stretched_to_a_square_show_the_same_breast(
    strip_share: float, is_right: bool
) -> None:
    # A strip 2 to 2.7 % wide was cut off where the film keeps its ratio, and kept where it is stretched.
    film = scanned_film(1450, 850)
    pixels = film.pixels.copy()
    strip = round(strip_share * 850)
    pixels[:, :strip] = np.maximum(pixels[:, :strip], 120)
    pixels = np.ascontiguousarray(pixels[:, ::-1]) if is_right else pixels
    small = Image.fromarray(np.round(pixels).astype(np.uint8)).resize((800, 800), Image.Resampling.BICUBIC)
    stretched = breast_region(np.asarray(small))
    region = breast_region(np.round(pixels * 257).astype(np.uint16))
    shares = [
        np.array(breast_bounding_box(each, 0.01)) / np.tile(each.shape[::-1], 2)
        for each in (region, stretched)
    ]
    np.testing.assert_allclose(*shares, atol=0.004)
    back = np.asarray(Image.fromarray(stretched).resize((850, 1450), Image.Resampling.NEAREST))
    assert (region & back).sum() / (region | back).sum() > 0.99


def blank(name: str) -> NDArray[np.float64]:
    rng = np.random.default_rng(2)
    pixels = np.full((240, 170), 20.0)
    if name == "noise":
        pixels += rng.normal(0, 3, pixels.shape)
    if name == "dust":
        pixels[rng.integers(0, 240, 30), rng.integers(0, 170, 30)] = 255
    if name == "border":
        pixels[:5] = pixels[-5:] = 255
        pixels[:, :3] = pixels[:, -3:] = 255
    if name == "label":
        pixels[20:32, 100:125] = 255
    return pixels


@pytest.mark.parametrize("name", ["constant", "noise", "dust", "border", "label"])
@pytest.mark.parametrize("method", ["otsu", "global"])
def test_a_blank_film_gives_an_empty_region(name: str, method: str) -> None:
    region = breast_region(blank(name), method)  # type: ignore[arg-type]
    assert region.shape == (240, 170)
    assert not region.any()


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (7, 1), (2, 3)])
def test_tiny_images_do_not_fail(shape: tuple[int, int]) -> None:
    assert breast_region(np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)).shape == shape


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((1, 4, 5)), r"shape \(H, W\).*got \(1, 4, 5\)\. Take one channel"),
        (np.zeros((0, 5)), r"at least one pixel, got \(0, 5\)"),
        (np.array([[1.0, np.nan]]), "finite grey values, got NaN"),
        (np.array([[1j, 0]]), "real numbers, got dtype complex128"),
        (np.array([["a", "b"]]), "real numbers, got dtype <U1"),
    ],
)
def test_what_is_no_grey_image_is_refused(image: NDArray[np.generic], message: str) -> None:
    with pytest.raises(GeometryError, match=message):
        breast_region(image)


def test_an_unknown_method_is_named() -> None:
    with pytest.raises(ValueError, match="method must be 'otsu' or 'global', got 'magic'"):
        breast_region(np.zeros((3, 4)), "magic")  # type: ignore[arg-type]


@given(
    top=st.integers(0, 20),
    left=st.integers(0, 30),
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    margin=st.sampled_from([0.0, 0.05, 0.5]),
)
def test_bounding_box_holds_the_region_and_its_margin(
    top: int, left: int, height: int, width: int, margin: float
) -> None:
    mask = np.zeros((30, 40), dtype=np.bool_)
    mask[top : top + height, left : left + width] = True
    beside, above = round(margin * 40), round(margin * 30)
    expected = (left - beside, top - above, left + width + beside, top + height + above)
    clipped = (max(expected[0], 0), max(expected[1], 0), min(expected[2], 40), min(expected[3], 30))
    assert breast_bounding_box(mask, margin) == clipped


def test_bounding_box_of_nothing_and_negative_margins_are_refused() -> None:
    with pytest.raises(GeometryError, match="got an empty one: no breast was found"):
        breast_bounding_box(np.zeros((4, 6), dtype=np.bool_))
    with pytest.raises(ValueError, match=r"margin must not be negative, got -0\.1"):
        breast_bounding_box(np.ones((4, 6), dtype=np.bool_), -0.1)


@given(
    marked=st.lists(st.tuples(st.integers(0, 13), st.integers(0, 20)), max_size=5),
    margin=st.sampled_from([0.0, 0.05, 0.2, 2.0]),
)
def test_margin_marks_what_lies_near_the_region_and_no_more(
    marked: list[tuple[int, int]], margin: float
) -> None:
    region = np.zeros((14, 21), dtype=np.bool_)
    expected = np.zeros_like(region)
    for row, column in marked:
        region[row, column] = True
        rows, columns = np.mgrid[:14, :21]
        expected |= ((rows - row) / 14) ** 2 + ((columns - column) / 21) ** 2 <= (margin + 1e-9) ** 2
    np.testing.assert_array_equal(with_margin(region, margin), expected)


def test_margin_grows_a_region_of_full_size_by_its_share() -> None:
    region = np.zeros((2000, 1300), dtype=np.bool_)
    region[700:900, :400] = True
    grown = with_margin(region, 0.02)
    assert grown.shape == region.shape
    assert grown[region].all()
    reach = np.flatnonzero(grown[800])[-1] - 399, np.flatnonzero(grown[:, 100])[-1] - 899
    np.testing.assert_allclose(reach, (26, 40), atol=5)  # a working pixel is 3.25 wide and 5 high
    with pytest.raises(ValueError, match=r"margin must not be negative, got -0\.1"):
        with_margin(region, -0.1)


@pytest.mark.parametrize("shape", [(300, 170), (2700, 310)])
@pytest.mark.parametrize("margin", [0.0, 0.02])
def test_the_outline_says_the_same_as_the_whole_region(shape: tuple[int, int], margin: float) -> None:
    film = scanned_film(*shape).pixels
    outline, region = breast_outline(film), breast_region(film)
    np.testing.assert_array_equal(outline.whole(), region)
    assert box_with_margin(outline.box(), outline.shape, margin) == breast_bounding_box(region, margin)
    np.testing.assert_array_equal(outline_with_margin(outline, margin).whole(), with_margin(region, margin))


def test_otsu_equals_the_best_split_of_a_slow_search() -> None:
    rng = np.random.default_rng(6)
    values = np.concatenate([rng.normal(0, 1, 700), rng.normal(6, 2, 300)]).astype(np.float32)
    counts, edges = np.histogram(values, bins=256)
    centres = (edges[:-1] + edges[1:]) / 2
    best, best_variance = 0.0, -1.0
    for split in range(1, 256):
        below, above = counts[:split].sum(), counts[split:].sum()
        means = (counts[:split] @ centres[:split] / below, counts[split:] @ centres[split:] / above)
        variance = below * above * (means[0] - means[1]) ** 2
        if variance > best_variance:
            best, best_variance = edges[split], variance
    assert _otsu(values) == pytest.approx(best)
