from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammo_monai.data.patch_regions import ELLIPSE_POINTS, area_within, is_inside, lesion_regions
from mammo_monai.geometry import Crop, Flip, ImageFrame, Scale
from mammo_monai.geometry.contours import contour_area_px
from mammo_monai.records import ImageRecord, Lesion
from tests.reference.patch_reference import area_by_points, inside_by_angle

STAR = [(1.0, 1.0), (9.0, 2.0), (5.0, 4.0), (11.0, 9.0), (4.0, 6.0), (2.0, 10.0)]  # concave


def record_of(*lesions: Lesion) -> ImageRecord:
    return ImageRecord(Path("x.png"), "0" * 16, "P0", 120, 200, lesions)


@given(x=st.floats(-1, 13), y=st.floats(-1, 13))
def test_a_point_is_inside_as_the_angles_of_the_edges_say(x: float, y: float) -> None:
    # Off the edges: on them, either answer is right.
    polygon = np.array(STAR)
    edges = np.roll(polygon, -1, axis=0) - polygon
    cross = edges[:, 0] * (y - polygon[:, 1]) - edges[:, 1] * (x - polygon[:, 0])
    if (np.abs(cross) < 1e-6).any():
        return
    assert is_inside(polygon, np.array([[x, y]]))[0] == inside_by_angle(STAR, x, y)


@pytest.mark.parametrize("box", [(0, 0, 12, 11), (3, 2, 8, 7), (-4, 5, 3, 20), (5, 4, 6, 5)])
def test_area_in_a_box_is_that_counted_point_by_point(box: tuple[float, float, float, float]) -> None:
    # A lattice of 8 points a px misses at most about half a cell along 40 px of edge.
    assert area_within(np.array(STAR), box) == pytest.approx(area_by_points(STAR, box), abs=0.4)


def test_area_in_a_box_beside_the_polygon_is_none_and_around_it_all() -> None:
    assert area_within(np.array(STAR), (20, 20, 30, 25)) == 0
    assert area_within(np.array(STAR), (0, 0, 99, 50)) == pytest.approx(contour_area_px(STAR))


def test_a_lesion_without_contour_is_the_ellipse_in_its_box() -> None:
    (region,) = lesion_regions(record_of(Lesion((20, 70, 50, 110))), ImageFrame(120, 200))
    assert len(region.polygon) == ELLIPSE_POINTS
    assert region.box == pytest.approx((20, 70, 50, 110))
    assert contour_area_px(region.polygon) == pytest.approx(np.pi * 15 * 20, rel=0.003)
    corner_centre = np.array([[21.0, 71.0], [35.0, 90.0]])
    assert is_inside(region.polygon, corner_centre).tolist() == [False, True]


def test_a_contour_follows_crop_mirror_and_scale() -> None:
    contour = ((30.0, 80.0), (50.0, 80.0), (50.0, 110.0))
    frame = ImageFrame(120, 200).then(Crop(10, 20, 60, 160)).then(Flip(60)).then(Scale(60, 160, 30, 40))
    (region,) = lesion_regions(record_of(Lesion((30, 80, 50, 110), contour=contour)), frame)
    assert region.polygon.tolist() == [[20.0, 15.0], [10.0, 15.0], [10.0, 22.5]]


def test_a_lesion_that_was_cropped_away_is_left_out_and_numbers_stay() -> None:
    frame = ImageFrame(120, 200).then(Crop(60, 0, 60, 200))
    lesions = (Lesion((20, 70, 50, 110)), Lesion((70, 70, 90, 110)))
    assert [each.number for each in lesion_regions(record_of(*lesions), frame)] == [1]


def test_a_dot_is_the_ellipse_of_its_box() -> None:
    (region,) = lesion_regions(record_of(Lesion((3, 4, 4, 5), contour=((3.5, 4.5),))), ImageFrame(12, 20))
    assert len(region.polygon) == ELLIPSE_POINTS
