"""Marks lie where their boxes are, at any scale and in any region."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ImageColor

from mammo_monai.reports.pictures.overlays import MARK_COLOURS, Mark, draw_overlay, region_around

PIXELS = np.full((90, 60), 0.5, dtype=np.float32)


def places_of(picture, kind) -> np.ndarray:
    """Rows and columns that have the colour of a mark."""
    colour = ImageColor.getrgb(MARK_COLOURS[kind])
    return np.argwhere((np.asarray(picture) == colour).all(axis=2))


def test_a_picture_fits_its_size_and_keeps_the_shape() -> None:
    assert draw_overlay(PIXELS, [], size=(40, 30)).size == (20, 30)
    assert draw_overlay(PIXELS, [], size=(30, 400)).size == (30, 45)


def test_grey_values_are_kept() -> None:
    assert np.unique(np.asarray(draw_overlay(PIXELS, [], size=(60, 90)))).tolist() == [128]


@settings(max_examples=40, deadline=None)
@given(x=st.integers(2, 30), y=st.integers(2, 50), side=st.integers(8, 20), scale=st.sampled_from([1, 2, 3]))
def test_a_lesion_is_drawn_at_its_box(x: int, y: int, side: int, scale: int) -> None:
    mark = Mark((x, y, x + side, y + 1.5 * side), "lesion")
    picture = draw_overlay(PIXELS, [mark], size=(60 * scale, 90 * scale))
    rows, columns = places_of(picture, "lesion").T
    expected = np.array([x, y, x + side, y + 1.5 * side]) * scale
    drawn = np.array([columns.min(), rows.min(), columns.max(), rows.max()])
    assert np.abs(drawn - expected).max() <= 2  # half the line's width, and rounding


def test_a_region_moves_the_marks_with_the_pixels() -> None:
    pixels = np.zeros((90, 60), dtype=np.float32)
    pixels[40:50, 30:40] = 1
    picture = draw_overlay(pixels, [Mark((30, 40, 40, 50), "lesion")], size=(80, 80), region=(20, 30, 60, 70))
    rows, columns = places_of(picture, "lesion").T
    assert np.abs([columns.min() - 20, rows.min() - 20, columns.max() - 40, rows.max() - 40]).max() <= 2
    assert np.asarray(picture)[30, 30].min() > 200


def test_marks_outside_the_region_are_left_out() -> None:
    picture = draw_overlay(PIXELS, [Mark((0, 0, 5, 5), "hit", "0.5")], size=(60, 60), region=(30, 30, 60, 60))
    assert not len(places_of(picture, "hit"))


def test_detections_are_dashed_and_lesions_are_solid() -> None:
    box = (5.0, 40.0, 55.0, 80.0)
    solid, dashed = (
        places_of(draw_overlay(PIXELS, [Mark(box, kind)], size=(240, 360)), kind)
        for kind in ("lesion", "false positive")
    )
    assert 0.4 < len(dashed) / len(solid) < 0.8


def test_a_score_is_written_above_its_box_or_inside_at_the_top() -> None:
    for box, above in (((20.0, 40.0, 40.0, 60.0), True), ((20.0, 0.0, 40.0, 30.0), False)):
        plain = np.asarray(draw_overlay(PIXELS, [Mark(box, "hit")], size=(240, 360)))
        named = np.asarray(draw_overlay(PIXELS, [Mark(box, "hit", "0.87")], size=(240, 360)))
        rows = np.argwhere((plain != named).any(axis=2))[:, 0]
        assert len(rows)
        assert (rows.max() < box[1] * 4) == above


def test_a_box_without_area_can_be_drawn() -> None:
    draw_overlay(PIXELS, [Mark((20, 20, 20, 20), "hit", "0.1")])


def test_a_region_outside_the_image_is_refused() -> None:
    with pytest.raises(ValueError, match=r"outside the image of 60 × 90 px"):
        draw_overlay(PIXELS, [], region=(70, 0, 80, 10))


@settings(max_examples=50, deadline=None)
@given(x=st.floats(0, 50), y=st.floats(0, 80), side=st.floats(0, 40))
def test_the_region_around_a_box_is_a_square_inside_the_image(x: float, y: float, side: float) -> None:
    box = (x, y, min(x + side, 60), min(y + side, 90))
    region = region_around(box, 60, 90)
    assert region[0] >= 0
    assert region[1] >= 0
    assert region[2] <= 60 + 1e-9
    assert region[3] <= 90 + 1e-9
    assert region[0] <= box[0] + 1e-9
    assert region[3] >= box[3] - 1e-9
    width, height = region[2] - region[0], region[3] - region[1]
    assert width == pytest.approx(min(height, 60))
