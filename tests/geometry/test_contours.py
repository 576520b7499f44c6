import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammo_monai.errors import GeometryError
from mammo_monai.geometry import contour_area_px, contour_box, mask_box
from tests.reference.geometry_reference import area_by_triangles
from tests.strategies import Size, boxes_inside, image_sizes

points = st.tuples(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4))


@given(outline=st.lists(points, min_size=1, max_size=12))
def test_contour_box_is_the_least_and_the_largest_point(outline: list[tuple[float, float]]) -> None:
    columns, rows = zip(*outline, strict=True)
    assert contour_box(outline) == (min(columns), min(rows), max(columns), max(rows))


@given(data=st.data(), size=image_sizes(max_side=60))
def test_mask_box_of_a_filled_rectangle_is_the_rectangle(data: st.DataObject, size: Size) -> None:
    width, height = size
    x_min, y_min, x_max, y_max = (math.floor(each) for each in data.draw(boxes_inside(size)))
    x_max, y_max = max(x_max, x_min + 1), max(y_max, y_min + 1)
    mask = np.zeros((height, width), dtype=np.uint8)
    mask[y_min:y_max, x_min:x_max] = 255
    assert mask_box(mask) == (x_min, y_min, x_max, y_max)


def test_mask_box_is_half_open() -> None:
    mask = np.zeros((4, 7), dtype=bool)
    mask[2, 6] = True
    assert mask_box(mask) == (6.0, 2.0, 7.0, 3.0)


@given(
    angles=st.lists(st.floats(0, 2 * math.pi), min_size=3, max_size=12, unique=True).map(sorted),
    radius=st.floats(0.5, 2000),
    centre=points,
)
def test_area_agrees_with_a_fan_of_triangles(
    angles: list[float], radius: float, centre: tuple[float, float]
) -> None:
    outline = [(centre[0] + radius * math.cos(a), centre[1] + 1.5 * radius * math.sin(a)) for a in angles]
    # Heron loses half the digits on slivers: sides of s px give s² · 1e-8 px² at worst.
    tolerance = 1e-6 * (radius + 1e2) ** 2
    assert contour_area_px(outline) == pytest.approx(area_by_triangles(outline), abs=tolerance, rel=1e-6)


@given(outline=st.lists(points, min_size=1, max_size=8), start=st.integers(0, 7))
def test_area_does_not_depend_on_direction_or_first_point(
    outline: list[tuple[float, float]], start: int
) -> None:
    turned = outline[start % len(outline) :] + outline[: start % len(outline)]
    area = contour_area_px(outline)
    # products of coordinates up to 1e4 leave rounding of about 1e8 · 1e-16 each
    assert contour_area_px(outline[::-1]) == pytest.approx(area, abs=1e-6)
    assert contour_area_px(turned) == pytest.approx(area, abs=1e-6)


@pytest.mark.parametrize("outline", [[(5, 7)], [(5, 7), (9, 8)]])
def test_a_point_or_a_line_has_no_area(outline: list[tuple[float, float]]) -> None:
    assert contour_area_px(outline) == 0.0


@pytest.mark.parametrize("outline", [[], [1, 2, 3], [(1, 2, 3)]])
@pytest.mark.parametrize("function", [contour_box, contour_area_px])
def test_a_contour_of_another_shape_is_refused(function, outline) -> None:  # type: ignore[no-untyped-def]  # wrong on purpose
    with pytest.raises(
        GeometryError, match=r"contour must have shape \(K, 2\) with K >= 1: \(x, y\); got \("
    ):
        function(outline)


def test_a_contour_that_is_not_finite_is_refused() -> None:
    with pytest.raises(GeometryError, match=r"finite points.*NaN or infinity"):
        contour_box([(1, 2), (3, float("nan"))])


@pytest.mark.parametrize("points", [[[1, 2], [3]], [["a", "b"]], [[10**400, 1]]])
def test_a_contour_of_other_things_than_points_is_refused(points: list[list[object]]) -> None:
    with pytest.raises(GeometryError, match=r"a contour must hold points of two numbers \(x, y\); "):
        contour_box(points)


def test_an_empty_mask_is_refused() -> None:
    with pytest.raises(GeometryError, match="at least one pixel, this one is all zero"):
        mask_box(np.zeros((4, 7)))


def test_a_mask_of_another_shape_is_refused() -> None:
    with pytest.raises(GeometryError, match=r"shape \(H, W\), got \(1, 4, 7\)"):
        mask_box(np.ones((1, 4, 7)))
