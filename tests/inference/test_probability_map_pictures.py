from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from mammo_monai.inference.probability_map import probability_map_inferer
from mammo_monai.inference.probability_map_pictures import draw_probability_map, save_probability_maps
from mammo_monai.records import Lesion
from mammo_monai.reports.pictures.overlays import MARK_COLOURS, Mark
from tests.inference.fakes import sample_of
from tests.inference.patch_fakes import FakeClassifier, breast_with_disc

WIDTH, HEIGHT = 150, 110
AMBER = tuple(int(MARK_COLOURS["hit"][n : n + 2], 16) for n in (1, 3, 5))
GREEN = tuple(int(MARK_COLOURS["lesion"][n : n + 2], 16) for n in (1, 3, 5))


def _share(pixels: NDArray[np.generic], colour: tuple[int, ...]) -> float:
    return float((pixels == colour).all(axis=-1).mean())


def test_the_map_lies_over_the_right_half_and_the_marks_over_the_left() -> None:
    film = np.full((80, 60), 0.4, dtype=np.float32)
    values = np.zeros((80, 60), dtype=np.float32)
    values[20:40, 10:30] = 1.0
    picture = draw_probability_map(film, values, [Mark((10.0, 20, 30, 40), "hit", "0.9")], size=(120, 160))
    pixels = np.asarray(picture)
    left, right = pixels[:, :120], pixels[:, 120:240]
    assert _share(left, AMBER) > 0
    assert _share(right, AMBER) == 0
    assert (right[120:, 80:] == 102).all()  # the film alone: 0.4 · 255
    inside = right[50:70, 30:50].astype(int)
    assert (inside[..., 0] - inside[..., 2] > 30).all()  # towards pale yellow
    assert pixels.shape[1] > 240


def test_film_and_map_must_show_the_same_pixels() -> None:
    with pytest.raises(ValueError, match=r"the map has 50 × 40 px \(width × height\), the film 60 × 40"):
        draw_probability_map(np.zeros((40, 60), np.float32), np.zeros((40, 50), np.float32), [])


def test_maps_are_saved_on_the_film_as_it_was(tmp_path: Path) -> None:
    film = breast_with_disc(WIDTH, HEIGHT, (60, 50))
    Image.fromarray((film[0].numpy() * 255).astype(np.uint8)).save(tmp_path / "film.png")
    path = str(tmp_path / "film.png")
    samples = [
        sample_of(film, "ab12", image_path=path),
        sample_of(film, "cd34", is_right=True, crop=(10, 0, 120, 100), image_path=path),
        sample_of(torch.zeros_like(film), "ef56", image_path=path),
    ]
    inferer = probability_map_inferer(FakeClassifier(), "dense")
    lesions = {"ab12": [Lesion((40.0, 30.0, 80.0, 70.0))]}
    pictures = save_probability_maps(inferer, samples, tmp_path / "maps", lesions=lesions)
    assert [each.name for each in pictures] == ["ab12_map.png", "cd34_map.png", "ef56_map.png"]
    shown = [np.asarray(Image.open(each)).astype(int) for each in pictures]
    half = (shown[0].shape[1] - 64) // 2
    warmth = [each[:, half : 2 * half, 0] - each[:, half : 2 * half, 2] for each in shown]
    # The mirrored and cropped sample leads back to the same place; a black one shows the film alone.
    hot = [np.argwhere(each > 40).mean(axis=0) * HEIGHT / shown[0].shape[0] for each in warmth[:2]]
    np.testing.assert_allclose(hot, [[50, 60], [50, 60]], atol=6)
    assert (warmth[2] == 0).all()
    assert _share(shown[0][:, :half], GREEN) > 0
    assert _share(shown[1][:, :half], GREEN) == 0
    assert _share(shown[1][:, :half], AMBER) > 0
    assert _share(shown[2][:, :half], AMBER) == 0
    assert all("Software" not in Image.open(each).info for each in pictures)


def test_the_picture_says_whose_map_it_is_and_draws_what_the_operating_point_shows(tmp_path: Path) -> None:
    film = breast_with_disc(WIDTH, HEIGHT, (60, 50))
    Image.fromarray((film[0].numpy() * 255).astype(np.uint8)).save(tmp_path / "film.png")
    samples = [sample_of(film, "ab12", image_path=str(tmp_path / "film.png"))]
    inferer, amber = probability_map_inferer(FakeClassifier(), "dense"), []
    model = {"bundle": "patches", "version": "0.2.0", "weights_sha256": "ab" * 32}
    for threshold in (0.01, 1.0):
        shown = {**model, "operating_point": {"threshold": threshold, "fppi": 0.25}}
        (path,) = save_probability_maps(inferer, samples, tmp_path, model=shown)
        picture = Image.open(path)
        line = (
            f"patches 0.2.0, weights abababababab, software unknown, marks of score {threshold:.4g} and above"
        )
        assert picture.info["Software"] == f"{line} (0.25 false positives per image)"
        amber.append(_share(np.asarray(picture), AMBER))
    assert amber[0] > 0 == amber[1]
