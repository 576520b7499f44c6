"""What a network gets of two files of one mammogram is compared pixel by pixel and edge by edge."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mammo_monai.errors import GeometryError
from mammo_monai.geometry import Crop, Flip, ImageFrame, Scale
from mammo_monai.imaging import eight_bit_square
from mammo_monai.transforms import inference_transforms, input_difference
from tests.imaging.films import scanned_film


def sample(values: list[list[float]], frame: ImageFrame | None) -> dict[str, object]:
    return {"image": torch.tensor([values]), "frame": frame, "record_id": "a"}


def test_grey_values_and_edges_are_compared() -> None:
    first = ImageFrame(100, 200).then(Crop(10, 0, 50, 200)).then(Flip(50)).then(Scale(50, 200, 3, 2))
    second = ImageFrame(40, 40).then(Crop(4, 2, 20, 38)).then(Flip(20)).then(Scale(20, 38, 3, 2))
    found = input_difference(
        sample([[0.0, 0.5, 1.0], [0.0, 0.2, 0.4]], first), sample([[0.1, 0.7, 1.0], [0.0, 0.1, 0.4]], second)
    )
    assert found.mean_absolute == pytest.approx(0.4 / 6)
    assert found.mean_absolute_breast == pytest.approx(0.3 / 4)
    np.testing.assert_allclose(found.edges, [0, 0.05, 0, 0], atol=1e-12)


def test_black_images_have_no_breast_to_compare() -> None:
    frame = ImageFrame(2, 1)
    found = input_difference(sample([[0.0, 0.0]], frame), sample([[0.0, 1.0]], frame))
    assert math.isnan(found.mean_absolute_breast)
    assert found.mean_absolute == 0.5


def test_images_that_cannot_be_compared_are_refused() -> None:
    wide, high = sample([[0.0, 0.0]], ImageFrame(2, 1)), sample([[0.0], [0.0]], ImageFrame(1, 2))
    with pytest.raises(GeometryError, match=r"got \(1, 2\) and \(2, 1\).*fixed_size or fixed_portrait"):
        input_difference(wide, high)
    with pytest.raises(GeometryError, match="no frame"):
        input_difference(wide, {**wide, "frame": None})


@pytest.mark.parametrize("is_right", [False, True])
def test_a_network_sees_the_same_of_a_film_and_of_its_release(tmp_path: Path, is_right: bool) -> None:
    film = scanned_film(1400, 820)
    pixels = np.round((film.mirrored() if is_right else film).pixels * 257).astype(np.uint16)
    Image.fromarray(pixels).save(tmp_path / "film.png")
    Image.fromarray(eight_bit_square(pixels)).save(tmp_path / "release.jpg", quality=75)
    prepare = inference_transforms(preset="fixed_portrait", size_px=768, intensity="percentile")
    found = input_difference(
        *(
            prepare({"image": tmp_path / name, "record_id": name, "laterality": None, "view_position": None})
            for name in ("film.png", "release.jpg")
        )
    )
    assert np.abs(found.edges).max() < 0.004
    assert found.mean_absolute < 0.015
