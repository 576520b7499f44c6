import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from mammo_monai.errors import GeometryError
from mammo_monai.geometry import Crop, Flip, ImageFrame, Scale
from mammo_monai.records import Boxes
from tests.strategies import frames, valid_boxes


@given(frame=frames())
def test_a_frame_comes_back_from_its_json(frame: ImageFrame) -> None:
    assert ImageFrame.from_json(json.loads(json.dumps(frame.as_json()))) == frame


@given(frame=frames(), boxes=valid_boxes())
def test_boxes_return_to_original_pixels(frame: ImageFrame, boxes: Boxes) -> None:
    assert_allclose(frame.to_original(frame.to_model(boxes)), boxes, rtol=0, atol=1e-9)


@given(frame=frames(), boxes=valid_boxes())
def test_boxes_of_the_model_return_to_the_model(frame: ImageFrame, boxes: Boxes) -> None:
    # shrinking eightfold five times and back costs 8⁵ · 1e-16 of 6000 px
    assert_allclose(frame.to_model(frame.to_original(boxes)), boxes, rtol=0, atol=1e-6)


@given(frame=frames(), boxes=valid_boxes())
def test_boxes_keep_their_corners_in_order(frame: ImageFrame, boxes: Boxes) -> None:
    for moved in (frame.to_model(boxes), frame.to_original(boxes)):
        assert (moved[:, 2:] > moved[:, :2]).all()


@given(frame=frames(max_steps=3))
def test_undoing_every_step_gives_the_original_frame(frame: ImageFrame) -> None:
    undone, steps = frame, []
    while undone.steps:
        undone, step = undone.without_last()
        steps.append(step)
    assert undone == ImageFrame(frame.width, frame.height)
    for step in reversed(steps):
        undone = undone.then(step)
    assert undone == frame


@given(data=st.data())
def test_boxes_follow_pixels(data: st.DataObject) -> None:
    """A bright rectangle stays in its box through crop, flip and an enlargement by whole factors."""
    image = np.zeros((14, 19), dtype=int)
    image[5:9, 6:13] = 1
    box = np.array([[6.0, 5, 13, 9]])
    x_min, y_min = data.draw(st.integers(0, 6)), data.draw(st.integers(0, 5))
    width, height = data.draw(st.integers(13, 19)) - x_min, data.draw(st.integers(9, 14)) - y_min
    factor_x, factor_y = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3))
    frame = ImageFrame(19, 14).then(Crop(x_min, y_min, width, height)).then(Flip(width))
    frame = frame.then(Scale(width, height, width * factor_x, height * factor_y))

    moved = image[y_min : y_min + height, x_min : x_min + width][:, ::-1]
    moved = moved.repeat(factor_y, axis=0).repeat(factor_x, axis=1)
    assert frame.size == moved.shape[::-1]
    left, top, right, bottom = frame.to_model(box)[0].round(9).astype(int)
    assert moved[top:bottom, left:right].all()
    assert moved[top:bottom, left:right].sum() == moved.sum()


def test_size_follows_the_steps() -> None:
    frame = ImageFrame(100, 80).then(Crop(-5, 3, 60, 90))
    assert frame.size == (60, 90)
    assert frame.then(Flip(60)).size == (60, 90)
    assert frame.then(Scale(60, 90, 30, 20)).size == (30, 20)


def test_no_boxes_move_without_complaint() -> None:
    frame = ImageFrame(100, 80).then(Crop(1, 2, 50, 40)).then(Flip(50)).then(Scale(50, 40, 5, 9))
    assert_array_equal(frame.to_original(frame.to_model(np.zeros((0, 4)))), np.zeros((0, 4)))


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (Flip(80), r"Flip\(width=80\) does not fit an image of 100 × 80 px"),
        (Scale(80, 100, 5, 5), "Scale.*width=80.* does not fit an image of 100 × 80 px"),
        (Crop(0, 0, 0, 5), "Crop.* leaves no pixel of an image of 100 × 80 px"),
        (Scale(100, 80, 10, 0), "Scale.* leaves no pixel of an image of 100 × 80 px"),
    ],
)
def test_a_step_for_another_image_is_refused(step: Crop | Flip | Scale, message: str) -> None:
    with pytest.raises(GeometryError, match=message):
        ImageFrame(100, 80).then(step)


def test_an_original_frame_has_nothing_to_undo() -> None:
    with pytest.raises(GeometryError, match="nothing to undo: the image is in its original frame"):
        ImageFrame(100, 80).without_last()
