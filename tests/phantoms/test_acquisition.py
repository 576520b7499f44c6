from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mammo_monai.phantoms.acquisition import STORED_MAX, DigitalImage, digital_look, film_look
from mammo_monai.phantoms.labels import lead_letters
from mammo_monai.phantoms.scene import Scene, draw_breast_cases, render_breast
from mammo_monai.phantoms.texture import grid_over
from mammo_monai.records import Laterality


@pytest.fixture(scope="module")
def scene() -> Scene:
    field = grid_over(220.0, 150.0, 0.8)
    case = draw_breast_cases((1, "look", 0), field, ((Laterality.RIGHT, 1),))[0]
    return render_breast(case, field, rim_mm=20.0)[0]


def shown(image: DigitalImage) -> np.ndarray:
    """The image as a viewer shows it: VOI LUT or window, then inversion (PS3.3 C.11.2)."""
    values, top = image.pixels.astype(float), float(STORED_MAX)
    if image.voi_lut is not None:
        values, top = image.voi_lut[image.pixels].astype(float), 2.0**image.voi_lut_bits - 1
    elif image.window is not None:
        centre, width = image.window
        values, top = np.clip((values - centre) / width + 0.5, 0, 1), 1.0
    return (top - values if image.is_monochrome1 else values) / top


def test_film_breast_is_bright_on_black(scene: Scene) -> None:
    for seed in range(5):
        pixels = film_look(scene, np.random.default_rng(seed))
        assert pixels.dtype == np.uint16
        deep = pixels[(scene.coverage == 1) & (scene.attenuation > 0.3)]
        air = pixels[scene.coverage == 0]
        assert np.median(deep) > 8000
        assert np.median(air) < 500


def test_film_has_letters_and_white_borders_outside_the_breast(scene: Scene) -> None:
    traces = [
        (film_look(scene, np.random.default_rng(seed))[scene.coverage == 0] > 30000).sum()
        for seed in range(12)
    ]
    assert np.median(traces) > 100


def test_all_digital_kinds_appear_and_show_the_breast_bright(scene: Scene) -> None:
    images = [digital_look(scene, np.random.default_rng(seed)) for seed in range(60)]
    kinds = {(image.is_monochrome1, image.window is not None, image.voi_lut is not None) for image in images}
    assert len(kinds) == 6
    assert {image.voi_lut_bits for image in images if image.voi_lut is not None} == {12, 16}
    for image in images:
        assert image.pixels.max() <= STORED_MAX
        view = shown(image)
        assert view[scene.coverage == 1].mean() > view[scene.coverage == 0].mean() + 0.05


def test_digital_background_is_one_value(scene: Scene) -> None:
    for seed in range(5):
        image = digital_look(scene, np.random.default_rng(seed))
        assert len(np.unique(image.pixels[scene.coverage == 0])) == 1


def test_letters_stay_outside_the_breast_on_either_side(scene: Scene) -> None:
    flipped = replace(
        scene,
        case=replace(scene.case, laterality=Laterality.LEFT),
        attenuation=np.ascontiguousarray(scene.attenuation[:, ::-1]),
        coverage=np.ascontiguousarray(scene.coverage[:, ::-1]),
    )
    middle = scene.grid.columns // 2
    for view, far in ((scene, slice(8, middle)), (flipped, slice(middle, -8))):
        lit = [
            (film_look(view, np.random.default_rng(seed))[8:-8, far] > 16000)[
                view.coverage[8:-8, far] == 0
            ].sum()
            for seed in range(6)
        ]
        assert min(lit) > 5


def test_a_letter_without_a_glyph_is_named() -> None:
    with pytest.raises(ValueError, match="lead letters exist for LRCMO, got 'X' in 'LXC'"):
        lead_letters("LXC", height_mm=8.0, turn_deg=0.0, spacing_mm=0.5)


def test_letters_have_the_height_asked_for() -> None:
    letters = lead_letters("LCC", height_mm=14.0, turn_deg=0.0, spacing_mm=0.25)
    lit = np.flatnonzero((letters > 0.5).any(axis=1))
    assert 12.0 < (lit[-1] - lit[0] + 1) * 0.25 < 18.0
