import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammo_monai.errors import GeometryError
from mammo_monai.geometry import Crop, Flip, ImageFrame, Scale
from mammo_monai.inference.saliency import map_in_original


@given(
    left=st.integers(-5, 30),
    top=st.integers(-5, 20),
    is_right=st.booleans(),
    factor=st.sampled_from((0.5, 1.0, 2.0)),
    column=st.integers(4, 35),
    row=st.integers(4, 55),
)
@settings(max_examples=30, deadline=None)
def test_a_hot_spot_returns_to_its_place_on_the_film(
    left: int, top: int, is_right: bool, factor: float, column: int, row: int
) -> None:
    frame = ImageFrame(90, 110).then(Crop(left, top, 40, 60))
    frame = frame.then(Flip(40)) if is_right else frame
    frame = frame.then(Scale(40, 60, round(40 * factor), round(60 * factor)))
    spot = np.array([[left + column - 2.0, top + row - 2.0, left + column + 2.0, top + row + 2.0]])
    x_min, y_min, x_max, y_max = frame.to_model(spot)[0].round().astype(int)
    values = np.zeros((frame.size[1], frame.size[0]), dtype=np.float32)
    values[y_min:y_max, x_min:x_max] = 1.0
    found = map_in_original(values, frame)
    assert found.shape == (110, 90)
    centre = (np.argwhere(found > 0.5).mean(axis=0) + 0.5)[::-1]
    # A pixel of the smaller image, in original pixels.
    np.testing.assert_allclose(centre, spot.reshape(2, 2).mean(axis=0), atol=1.01)


def test_what_a_crop_left_out_is_0() -> None:
    found = map_in_original(np.ones((4, 3), dtype=np.float32), ImageFrame(10, 8).then(Crop(5, 2, 3, 4)))
    assert found[2:6, 5:8].min() == 1
    assert found.sum() == 12


def test_a_map_of_another_size_is_refused() -> None:
    with pytest.raises(GeometryError, match=r"3 × 4 px \(width × height\), its frame 10 × 8"):
        map_in_original(np.ones((4, 3), dtype=np.float32), ImageFrame(10, 8))
