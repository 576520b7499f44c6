from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mammo_monai.errors import GeometryError
from mammo_monai.geometry import box_iou
from mammo_monai.imaging import candidate_regions
from tests.imaging.films import scanned_film

HEIGHT, WIDTH = 220, 150


def blob(
    centre: tuple[float, float],
    sd: tuple[float, float] = (8.0, 8.0),
    shape: tuple[int, int] = (HEIGHT, WIDTH),
) -> NDArray[np.float64]:
    """A soft bright spot at `(x, y)` on even tissue of 0.3; `sd` along x and y."""
    rows, columns = np.mgrid[: shape[0], : shape[1]] + 0.5
    return np.asarray(
        0.3 + 0.3 * np.exp(-(((columns - centre[0]) / sd[0]) ** 2 + ((rows - centre[1]) / sd[1]) ** 2) / 2)
    )


def half_breast(shape: tuple[int, int] = (HEIGHT, WIDTH), *, is_right: bool = False) -> NDArray[np.bool_]:
    rows, columns = np.mgrid[: shape[0], : shape[1]] + 0.5
    x = (shape[1] - columns if is_right else columns) / shape[1] / 0.8
    return np.asarray(x**2 + ((rows / shape[0] - 0.5) / 0.45) ** 2 < 1)


@settings(deadline=None, max_examples=6)
@given(
    x=st.floats(35, 70),
    y=st.floats(70, 150),
    sd=st.floats(3.0, 11.0),
    is_right=st.booleans(),
    seed=st.integers(0, 99),
)
def test_a_bright_blob_is_the_first_candidate(
    x: float, y: float, sd: float, is_right: bool, seed: int
) -> None:
    image = blob((x, y), (sd, sd)) + np.random.default_rng(seed).normal(0, 0.01, (HEIGHT, WIDTH))
    region = half_breast()
    if is_right:
        image, region, x = image[:, ::-1], region[:, ::-1], WIDTH - x
    boxes, scores = candidate_regions(np.where(region, image, 0).clip(0, 1), region, max_regions=3)
    assert scores[0] > 0.5
    extent = 1.75 * sd
    truth = np.array([[x - extent, y - extent, x + extent, y + extent]])
    assert box_iou(truth, boxes[:1])[0, 0] > 0.4


@settings(deadline=None, max_examples=6)
@given(right=st.integers(0, 40), down=st.integers(0, 40))
def test_candidates_move_with_the_image(right: int, down: int) -> None:
    shape = (440, 300)  # a working pixel is two pixels wide
    first, moved = (
        candidate_regions(blob((110 + x, 150 + y), (12.0, 12.0), shape))[0][0]
        for x, y in ((0, 0), (right, down))
    )
    np.testing.assert_allclose(moved - first, [right, down, right, down], atol=2)


@settings(deadline=None, max_examples=6)
@given(seed=st.integers(0, 999), max_regions=st.integers(1, 60))
def test_candidates_are_ranked_inside_and_apart(seed: int, max_regions: int) -> None:
    film = scanned_film(seed=seed)
    grey, before = film.pixels / 255, film.pixels / 255
    boxes, scores = candidate_regions(grey, film.breast, max_regions=max_regions)
    assert 0 < len(boxes) == len(scores) <= max_regions
    assert scores.min() > 0
    assert np.diff(scores).max(initial=0) <= 0
    assert boxes.min() >= 0
    assert (boxes[:, 2:] <= film.pixels.shape[::-1]).all()
    overlap = box_iou(boxes, boxes)
    np.fill_diagonal(overlap, 0)
    assert overlap.max() <= 0.3 + 1e-9
    again, _ = candidate_regions(grey, film.breast, max_regions=max_regions)
    np.testing.assert_array_equal(again, boxes)
    np.testing.assert_array_equal(grey, before)


@settings(deadline=None, max_examples=6)
@given(left=st.integers(0, 60), top=st.integers(0, 60), seed=st.integers(0, 9))
def test_what_lies_outside_the_region_changes_nothing(left: int, top: int, seed: int) -> None:
    film = scanned_film(seed=seed)
    boxes, scores = candidate_regions(film.pixels / 255, film.breast)
    margins = ((top, 7), (left, 11))
    padded = np.pad(np.where(film.breast, film.pixels / 255, 1.0), margins, constant_values=0.4)
    other, other_scores = candidate_regions(padded, np.pad(film.breast, margins))
    inside = (boxes[:, 2:] < film.pixels.shape[::-1]).all(axis=1) & (boxes[:, :2] > 0).all(axis=1)
    found = other - [left, top, left, top]
    assert all(np.abs(found - box).max(axis=1).min() < 1e-6 for box in boxes[inside])
    assert scores[0] == pytest.approx(other_scores[0], rel=1e-4)


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_a_flat_image_has_none(value: float) -> None:
    for region in (None, half_breast(), half_breast(is_right=True)):
        boxes, scores = candidate_regions(np.full((HEIGHT, WIDTH), value), region)
        assert (boxes.shape, scores.shape) == ((0, 4), (0,))


def test_a_breast_on_a_black_background_is_no_blob_itself() -> None:
    region = half_breast(is_right=True)
    assert len(candidate_regions(np.where(region, 0.5, 0.0), region)[0]) == 0


def test_an_image_of_one_pixel_or_one_row_has_none() -> None:
    assert len(candidate_regions(np.array([[0.5]]))[0]) == 0
    assert len(candidate_regions(np.full((1, 700), 0.5))[0]) == 0
    thin = np.zeros((900, 600), dtype=bool)
    thin[::40, 3] = True  # thinner than half a pixel of the working copy
    assert len(candidate_regions(np.full((900, 600), 0.5), thin)[0]) == 0


def test_boxes_are_square_in_millimetres_where_the_spacing_is_known() -> None:
    image = blob((70, 100), (12.0, 6.0))  # round at 0.1 mm per column and 0.2 mm per row
    box = candidate_regions(image, pixel_spacing_mm=(0.2, 0.1))[0][0]
    width_mm, height_mm = 0.1 * (box[2] - box[0]), 0.2 * (box[3] - box[1])
    assert width_mm == pytest.approx(height_mm)
    np.testing.assert_allclose((box[:2] + box[2:]) / 2, [70, 100], atol=1.5)


@pytest.mark.parametrize("spacing_mm", [None, (0.5, 0.5)])
def test_sizes_keep_to_their_range(spacing_mm: tuple[float, float] | None) -> None:
    image = np.random.default_rng(0).random((HEIGHT, WIDTH))
    boxes, _ = candidate_regions(image, size_range=(9.0, 14.0), pixel_spacing_mm=spacing_mm, max_regions=200)
    whole = (boxes[:, :2] > 0).all(axis=1) & (boxes[:, 2:] < (WIDTH, HEIGHT)).all(axis=1)
    sides = (boxes[:, 2:] - boxes[:, :2])[whole] * (1.0 if spacing_mm is None else 0.5)
    assert len(sides) > 10
    assert sides.min() >= 9 - 1e-6
    assert sides.max() <= 14 + 1e-6


def test_faults_are_named() -> None:
    image = np.full((6, 9), 0.5)
    with pytest.raises(GeometryError, match=r"grey values in \[0, 1\], got 0 to 255. Use scale_range"):
        candidate_regions(np.array([[0, 255]], dtype=np.uint8))
    with pytest.raises(GeometryError, match="region with at least one pixel"):
        candidate_regions(image, image > 1)
    with pytest.raises(ValueError, match="max_regions must be at least 1, got 0"):
        candidate_regions(image, max_regions=0)
    with pytest.raises(ValueError, match=r"pixel_spacing_mm must be above 0, got \(0.1, 0\)"):
        candidate_regions(image, pixel_spacing_mm=(0.1, 0))
    with pytest.raises(ValueError, match=r"must be \(smallest, largest\), both above 0, got \(9, 3\)"):
        candidate_regions(image, size_range=(9, 3))
