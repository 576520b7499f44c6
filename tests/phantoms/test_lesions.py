from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.spatial.distance import pdist

from mammo_monai.geometry import contour_area_px, contour_box, mask_box
from mammo_monai.phantoms.lesions import (
    SHAPES,
    MassPlan,
    add_mass,
    draw_mass_plan,
    mass_mask,
    project_mass,
    resized,
)
from mammo_monai.phantoms.texture import Grid

GRID = Grid(300, 220, 0.25)


def plan_of(shape: str, diameter_mm: float = 16.0) -> MassPlan:
    margins = {"SPICULATED": "SPICULATED", "IRREGULAR": "ILL_DEFINED"}
    plan = draw_mass_plan(np.random.default_rng(0), breast_depth_mm=80.0)
    margin = margins.get(shape, "CIRCUMSCRIBED")
    return replace(plan, shape=shape, margin=margin, diameter_mm=diameter_mm, softness_mm=0.8)


@pytest.mark.parametrize("shape", SHAPES)
def test_longest_diameter_of_the_outline_is_the_planned_one(shape: str) -> None:
    mass = project_mass(np.random.default_rng(1), plan_of(shape), (30.0, 40.0))
    through_centre = mass.radius_mm + np.roll(mass.radius_mm, len(mass.radius_mm) // 2)
    assert_allclose(through_centre.max(), 16.0, rtol=1e-5)
    # Any two points may lie a little further apart than through the centre.
    assert 15.9 < pdist(mass.contour_mm).max() < 18.0


@pytest.mark.parametrize("shape", SHAPES)
def test_mask_and_contour_bound_the_same_pixels(shape: str) -> None:
    mass = project_mass(np.random.default_rng(2), plan_of(shape), (25.3, 41.7))
    mask, (rows, columns) = mass_mask(mass, GRID)
    box = np.array(mask_box(mask)) + [columns.start, rows.start] * 2
    contour = mass.contour_mm / GRID.spacing_mm
    # Half a pixel each way: a pixel belongs to the mask when its centre does.
    assert_allclose(box, contour_box(contour), atol=0.75)
    assert_allclose(mask.sum(), contour_area_px(contour), rtol=0.02)


def test_a_mass_smaller_than_a_pixel_still_marks_one() -> None:
    mass = project_mass(np.random.default_rng(3), plan_of("ROUND", 4.0), (20.0, 31.0))
    mask, window = mass_mask(mass, Grid(12, 9, 7.0))
    assert mask.sum() == 1
    assert [window[axis].start + int(np.argwhere(mask)[0][axis]) for axis in (0, 1)] == [4, 2]


@pytest.mark.parametrize("shape", SHAPES)
def test_attenuation_lies_inside_the_outline(shape: str) -> None:
    mass = project_mass(np.random.default_rng(4), plan_of(shape), (27.0, 38.0))
    image = np.zeros((GRID.rows, GRID.columns), dtype=np.float32)
    add_mass(image, np.random.default_rng(5), mass, GRID, contrast=2.0)
    mask, window = mass_mask(mass, GRID)
    inside = image[window][mask].mean()
    outside = (image.sum() - image[window][mask].sum()) / (image.size - mask.sum())
    assert inside > 0.8
    assert abs(outside) < 0.05


def test_a_resized_mass_never_falls_below_4_mm() -> None:
    assert resized(plan_of("OVAL", 5.0), 0.1).diameter_mm == 4.0
    assert resized(plan_of("OVAL", 20.0), 0.5).diameter_mm == 10.0


def test_plans_cover_all_shapes_sizes_and_subtleties() -> None:
    rng = np.random.default_rng(6)
    plans = [draw_mass_plan(rng, breast_depth_mm=90.0) for _ in range(600)]
    assert {plan.shape for plan in plans} == set(SHAPES)
    assert {plan.subtlety for plan in plans} == {1, 2, 3, 4, 5}
    diameters = [plan.diameter_mm for plan in plans]
    assert min(diameters) >= 4
    assert max(diameters) <= 40
    assert {plan.pathology for plan in plans} == {"MALIGNANT", "BENIGN", "BENIGN_WITHOUT_CALLBACK"}
