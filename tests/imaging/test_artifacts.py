from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mammo_monai.errors import GeometryError
from mammo_monai.imaging import radiopaque_mask, suppress_radiopaque
from tests.imaging.films import Film, scanned_film

HEIGHT, WIDTH = 480, 300
MARKER_PX = 4  # radius; 2 mm on a film of 240 mm


def disc(x: float, y: float, radius: float) -> NDArray[np.bool_]:
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    return np.asarray((columns - x) ** 2 + (rows - y) ** 2 < radius**2)


def film(*, seed: int = 0) -> Film:
    """A breast of moderate density: there is room between tissue and white."""
    made = scanned_film(HEIGHT, WIDTH, seed=seed)
    pixels = np.where(made.breast, 0.5 * made.pixels, made.pixels)
    return Film(pixels, made.breast, made.artifacts)


@settings(deadline=None, max_examples=4)
@given(x=st.floats(25, 90), y=st.floats(160, 320), seed=st.integers(0, 20), is_right=st.booleans())
def test_a_lead_marker_takes_the_grey_of_its_surroundings(
    x: float, y: float, seed: int, is_right: bool
) -> None:
    made, marker = film(seed=seed), disc(x, y, MARKER_PX)
    clean = made.pixels.round().astype(np.uint8)
    image, region = np.where(marker, 255, clean).astype(np.uint8), made.breast
    if is_right:
        image, clean = image[:, ::-1], clean[:, ::-1]
        region, marker = region[:, ::-1], marker[:, ::-1]
    before = image.copy()
    suppressed = suppress_radiopaque(image, region)
    changed = suppressed != image
    assert changed[marker].all()
    assert abs(suppressed[marker].astype(float).mean() - clean[marker].astype(float).mean()) < 30
    assert not changed[~disc(WIDTH - x if is_right else x, y, MARKER_PX + 8)].any()
    assert (suppressed <= image).all()
    assert suppressed.dtype == np.uint8
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize(
    ("height", "width", "share"), [(80, 4, 0.005), (150, 4, 0.012), (430, 8, 0.06), (430, 20, 0.15)]
)
@pytest.mark.parametrize("is_right", [False, True])
def test_a_white_strip_at_the_chest_wall_goes_whatever_its_share_of_the_breast(
    height: int, width: int, share: float, is_right: bool
) -> None:
    made = film()
    strip = np.zeros_like(made.breast)
    strip[240 - height // 2 : 240 + height // 2, :width] = True
    strip &= made.breast
    assert strip.sum() > share * made.breast.sum()
    image, region = np.where(strip, 255, made.pixels), made.breast
    if is_right:
        image, region, strip = image[:, ::-1], region[:, ::-1], strip[:, ::-1]
    suppressed = suppress_radiopaque(image, region)
    assert suppressed[strip].max() < 150
    assert (suppressed != image)[~strip].sum() < 0.02 * region.sum()
    np.testing.assert_array_equal(suppressed[~region], image[~region])


def test_a_strip_takes_no_more_with_it_than_a_small_one_would() -> None:
    made, marker = film(), disc(60, 240, MARKER_PX)
    image = np.where(marker, 255, made.pixels)
    with_strip = image.copy()
    with_strip[20:460, :10] = 255  # a tenth of the breast
    far = made.breast & (np.arange(WIDTH) > 20)
    assert radiopaque_mask(image, made.breast)[marker].all()
    np.testing.assert_array_equal(
        radiopaque_mask(with_strip, made.breast)[far], radiopaque_mask(image, made.breast)[far]
    )


def test_masses_and_small_calcifications_stay_bit_for_bit() -> None:
    made = film(seed=1)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    mass = 70 * np.exp(-((columns - 60) ** 2 + (rows - 240) ** 2) / (2 * 9.0**2))
    image = np.where(made.breast, made.pixels + mass, made.pixels).clip(0, 255)
    for x, y in ((40, 200), (44, 203), (80, 300)):
        image[y, x] = 255
    assert not radiopaque_mask(image, made.breast).any()
    suppressed = suppress_radiopaque(image, made.breast)
    np.testing.assert_array_equal(suppressed, image)
    assert suppressed is not image


def test_sixteen_bits_at_full_size_are_marked_like_the_reduced_film() -> None:
    made, marker = film(), disc(60, 240, MARKER_PX)
    small = np.where(marker, 255, made.pixels.clip(0, 255)).astype(np.uint8)
    image = np.kron(small, np.full((5, 5), 257)).astype(np.uint16)[:-3, :-2]
    region = np.kron(made.breast, np.ones((5, 5), dtype=bool))[:-3, :-2]
    mask = radiopaque_mask(image, region)
    whole = np.kron(marker, np.ones((5, 5), dtype=bool))[:-3, :-2]
    assert mask[whole].all()
    assert mask.sum() < 4 * whole.sum()
    suppressed = suppress_radiopaque(image, region)
    np.testing.assert_array_equal(suppressed != image, mask & (suppressed != image))
    assert suppressed[whole].max() < 40000


def test_the_higher_the_contrast_the_less_is_marked() -> None:
    made = film(seed=2)
    image = made.pixels.copy()
    for n, radius in enumerate((3, 4, 5)):
        image[disc(30 + 25 * n, 240, radius)] = 130 + 60 * n
    counts = [int(radiopaque_mask(image, made.breast, contrast=each).sum()) for each in (0.2, 0.5, 0.9, 5.0)]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[2] > counts[3] == 0


@pytest.mark.parametrize("value", [0, 255])
def test_a_flat_film_has_nothing_radiopaque(value: int) -> None:
    image = np.full((40, 30), value, dtype=np.uint8)
    region = np.ones_like(image, dtype=bool)
    assert not radiopaque_mask(image, region).any()
    np.testing.assert_array_equal(suppress_radiopaque(image, region), image)
    thin = np.zeros((3000, 40), dtype=bool)
    thin[5, 5] = True  # vanishes on the working copy
    assert not radiopaque_mask(np.zeros((3000, 40)), thin).any()


@pytest.mark.parametrize("width", [1, 3, 12])
def test_a_region_thinner_than_any_marker_has_nothing_radiopaque(width: int) -> None:
    image = np.random.default_rng(width).integers(0, 200, (HEIGHT, WIDTH)).astype(np.uint16)
    region = np.zeros_like(image, dtype=bool)
    region[100:300, -width:] = True
    np.testing.assert_array_equal(suppress_radiopaque(image, region), image)


def test_faults_are_named() -> None:
    image = np.zeros((4, 6))
    for function in (radiopaque_mask, suppress_radiopaque):
        with pytest.raises(GeometryError, match="expected a region with at least one pixel"):
            function(image, image > 0)
        with pytest.raises(ValueError, match="contrast must be above 0, got 0"):
            function(image, image == 0, contrast=0)
