from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from mammo_monai.errors import GeometryError
from mammo_monai.phantoms import scene as scene_module
from mammo_monai.phantoms.scene import Scene, draw_breast_cases, render_breast
from mammo_monai.phantoms.texture import grid_over
from mammo_monai.records import Laterality, ViewPosition

FIELD = grid_over(233.0, 179.0, 0.8)
BOTH = ((Laterality.LEFT, 1), (Laterality.RIGHT, 1))


def scenes(patient: int, masses: int = 1) -> list[Scene]:
    sides = [(side, masses) for side, _ in BOTH]
    cases = draw_breast_cases((4, "test", patient), FIELD, sides)
    return [scene for case in cases for scene in render_breast(case, FIELD, rim_mm=10.0)]


def surroundings(scene: Scene) -> tuple[float, float]:
    """Mean attenuation in the mask, and in a frame around it."""
    mass = scene.masses[0]
    (row, column), (height, width) = mass.origin, mass.mask.shape
    inside = scene.attenuation[row : row + height, column : column + width][mass.mask].mean()
    frame = np.zeros(scene.attenuation.shape, dtype=bool)
    frame[max(row - 6, 0) : row + height + 6, max(column - 6, 0) : column + width + 6] = True
    frame[row : row + height, column : column + width] = False
    return float(inside), float(scene.attenuation[frame & (scene.coverage > 0.99)].mean())


def with_subtlety(subtlety: int, patient: int) -> Scene:
    case = draw_breast_cases((4, "test", patient), FIELD, BOTH[:1])[0]
    case = replace(case, masses=(replace(case.masses[0], subtlety=subtlety),))
    return render_breast(case, FIELD, rim_mm=10.0)[0]


def test_left_breasts_touch_the_left_edge_and_right_ones_the_right() -> None:
    for scene in scenes(0):
        left, right = scene.coverage[:, 0].sum(), scene.coverage[:, -1].sum()
        assert (left > right) == (scene.case.laterality is Laterality.LEFT)


def test_masses_lie_wholly_inside_the_breast() -> None:
    for patient in range(6):
        for scene in scenes(patient, masses=2):
            assert len(scene.masses) == 2
            for mass in scene.masses:
                (row, column), (height, width) = mass.origin, mass.mask.shape
                assert (scene.coverage[row : row + height, column : column + width][mass.mask] == 1).all()


def test_both_views_show_the_same_mass_at_the_same_depth() -> None:
    for patient in range(4):
        cc, mlo = scenes(patient)[:2]
        assert (cc.view_position, mlo.view_position) == (ViewPosition.CC, ViewPosition.MLO)
        assert cc.masses[0].plan == mlo.masses[0].plan
        assert_allclose(cc.masses[0].depth_mm, mlo.masses[0].depth_mm, atol=1e-9)


def test_obvious_masses_stand_out_more_than_subtle_ones() -> None:
    gain = {
        subtlety: np.mean([np.subtract(*surroundings(with_subtlety(subtlety, k))) for k in range(8)])
        for subtlety in (1, 3, 5)
    }
    assert gain[5] > gain[3] + 0.05 > gain[1] + 0.1
    assert gain[5] > 0.15


def test_every_mass_of_subtlety_5_is_brighter_than_its_surroundings() -> None:
    for patient in range(8):
        inside, around = surroundings(with_subtlety(5, patient))
        assert inside > around


def test_density_raises_attenuation() -> None:
    def mean(density: int) -> float:
        means = []
        for patient in range(4):
            case = draw_breast_cases((4, "test", patient), FIELD, ((Laterality.LEFT, 0),))[0]
            case = replace(case, plan=replace(case.plan, density=density), calcifications="none")
            scene = render_breast(case, FIELD, rim_mm=10.0)[0]
            means.append(scene.attenuation[scene.coverage == 1].mean())
        return float(np.mean(means))

    found = [mean(density) for density in (1, 2, 3, 4)]
    assert found == sorted(found)
    assert found[3] > found[0] + 0.1


def test_a_mass_that_fits_nowhere_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scene_module, "SKIN_MARGIN_MM", 500.0)
    monkeypatch.setattr(scene_module, "ATTEMPTS", 3)
    with pytest.raises(GeometryError, match=r"mass 0 of .* fits nowhere in 3 attempts\. Use another seed"):
        scenes(0)


def test_physical_places_and_sizes_do_not_depend_on_pixel_spacing() -> None:
    boxes = []
    for spacing_mm in (0.25, 0.75):
        field = grid_over(228.0, 180.0, spacing_mm)
        case = draw_breast_cases((4, "test", 1), field, BOTH[1:])[0]
        boxes.append(
            [
                np.array(scene.masses[0].mask_box) * spacing_mm
                for scene in render_breast(case, field, rim_mm=10.0)
            ]
        )
    # A box's side is exact to one pixel of the coarser image.
    assert_allclose(boxes[0], boxes[1], atol=0.76)
