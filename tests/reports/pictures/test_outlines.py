"""Outlines enclose exactly their mask, and stay near it when corners are dropped."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from scipy import ndimage

from mammo_monai.reports.pictures.outlines import outline_of


def area(points) -> float:
    x, y = np.array(points).T
    return abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2


def one_part(seed: int) -> np.ndarray:
    """A random connected mask without holes, of the topmost row's first part; non-square."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(30, 21)), 1 + seed % 3)
    parts, count = ndimage.label(noise > 0)
    return ndimage.binary_fill_holes(parts == 1) if count else np.zeros((30, 21), dtype=bool)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_an_outline_without_tolerance_encloses_the_pixels_of_its_mask(seed: int) -> None:
    mask = one_part(seed)
    points = outline_of(mask, tolerance=0)
    assert (area(points) if points else 0) == mask.sum()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.5, 1.2, 2.0]))
def test_a_simplified_outline_stays_within_the_tolerance(seed: int, tolerance: float) -> None:
    mask = one_part(seed)
    exact, simple = outline_of(mask, tolerance=0), outline_of(mask, tolerance=tolerance)
    assert len(simple) <= len(exact)
    assert set(simple) <= set(exact)
    if not simple:
        return
    ends = np.array([*simple, simple[0]])
    for point in np.array(exact):  # the slow way: the distance to every side
        sides, ways = ends[1:] - ends[:-1], point - ends[:-1]
        along = np.clip((ways * sides).sum(1) / np.maximum((sides**2).sum(1), 1e-9), 0, 1)
        assert np.hypot(*(ways - along[:, None] * sides).T).min() <= tolerance + 1e-9


def test_an_ellipse_needs_few_corners() -> None:
    picture = Image.new("1", (200, 300))
    ImageDraw.Draw(picture).ellipse((20, 30, 180, 280), fill=1)
    assert 12 <= len(outline_of(np.asarray(picture))) <= 60


def test_an_empty_mask_has_no_outline_and_a_full_one_its_border() -> None:
    assert outline_of(np.zeros((3, 5), dtype=bool)) == ()
    assert outline_of(np.ones((3, 5), dtype=bool)) == ((0, 0), (5, 0), (5, 3), (0, 3))


def test_pixels_that_touch_at_a_corner_are_two_parts() -> None:
    assert outline_of(np.eye(2, dtype=bool), tolerance=0) == ((0, 0), (1, 0), (1, 1), (0, 1))
