from __future__ import annotations

import logging

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from torch import Tensor

from mammo_monai.errors import GeometryError
from mammo_monai.geometry import Crop, Flip, ImageFrame, Scale
from mammo_monai.transforms.sample import (
    after_step,
    boxes_of,
    clipped,
    crop_image,
    frame_of,
    image_of,
    size_of,
    undo_step,
    with_boxes,
)
from tests.transforms.films import HEIGHT, INSIDE, WIDTH, assert_same_sample, copy_of, film_sample


def test_foreign_meta_tensor_becomes_a_plain_tensor() -> None:
    sample = film_sample() | {"image": MetaTensor(film_sample()["image"])}
    assert type(image_of(sample)) is Tensor


@pytest.mark.parametrize("shape", [(HEIGHT, WIDTH), (3, HEIGHT, WIDTH), (1, 0, WIDTH)])
def test_other_image_shapes_are_refused_with_the_record(shape: tuple[int, ...]) -> None:
    with pytest.raises(GeometryError, match=r"00000000000000ab: image must have shape \(1, H, W\)"):
        image_of(film_sample() | {"image": torch.zeros(shape)})


def test_sample_without_boxes_stays_without() -> None:
    sample = {"image": torch.zeros(1, 4, 6)}
    assert boxes_of(sample).shape == (0, 4)
    assert "box" not in with_boxes(sample, np.zeros((0, 4)))


def test_boxes_without_labels_can_be_chosen() -> None:
    sample = {"image": torch.zeros(1, 4, 6), "box": torch.tensor([[0.0, 1, 2, 3], [1, 1, 2, 2]])}
    kept = with_boxes(sample, boxes_of(sample), np.array([False, True]))
    assert kept["box"].tolist() == [[1, 1, 2, 2]]


def test_frame_starts_at_the_first_transform_if_nothing_loaded_it() -> None:
    assert frame_of({}, torch.zeros(1, 4, 6)) == ImageFrame(6, 4)


def test_unrecorded_resize_is_found() -> None:
    sample = film_sample() | {"image": torch.zeros(1, 7, 9)}
    with pytest.raises(GeometryError, match=r"the image is 9 × 7 px .* its frame says 120 × 200 px"):
        after_step(sample, torch.zeros(1, 7, 9), Flip(9))


@pytest.mark.parametrize("step", [Crop(-5, 20, 60, 190), Flip(WIDTH), Scale(WIDTH, HEIGHT, 60, 100)])
def test_undo_gives_back_size_boxes_and_frame(step: Crop | Flip | Scale) -> None:
    sample = film_sample()
    before = copy_of(sample)
    width, height = step.size_after((WIDTH, HEIGHT))
    after = after_step(sample, torch.zeros(1, height, width), step)
    undone = undo_step(after, (type(step),))
    assert size_of(undone["image"]) == (WIDTH, HEIGHT)
    assert undone["frame"] == sample["frame"]
    assert torch.equal(undone["box"], sample["box"])
    assert_same_sample(sample, before)


def test_undo_refuses_a_step_of_another_kind() -> None:
    after = after_step(film_sample(), torch.zeros(1, HEIGHT, WIDTH), Flip(WIDTH))
    with pytest.raises(GeometryError, match=r"expected to undo a Crop or Scale, the last step is Flip"):
        undo_step(after, (Crop, Scale))


def test_undo_refuses_an_augmented_sample() -> None:
    with pytest.raises(GeometryError, match="only samples without augmentation can be inverted"):
        undo_step(film_sample() | {"frame": None}, (Crop,))


def test_steps_after_an_augmentation_leave_no_frame() -> None:
    after = after_step(film_sample() | {"frame": None}, torch.zeros(1, HEIGHT, WIDTH), Flip(WIDTH))
    assert after["frame"] is None


def test_crop_pads_with_zeros_where_it_reaches_outside() -> None:
    cropped = crop_image(torch.ones(1, 3, 4), Crop(-1, 2, 3, 2))
    assert cropped[0].tolist() == [[0, 1, 1], [0, 0, 0]]


def test_boxes_cut_below_the_limit_are_dropped_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    boxes = [INSIDE, (-30.0, 0.0, 10.0, 10.0), (-30.0, 20.0, 60.0, 30.0), (119.5, 0.0, 120.0, 9.0)]
    sample = film_sample([INSIDE]) | {
        "box": torch.tensor([[b[1], b[0], b[3], b[2]] for b in boxes], dtype=torch.float32),
        "label": torch.tensor([5, 6, 7, 8]),
    }
    with caplog.at_level(logging.DEBUG, logger="mammo_monai.transforms.sample"):
        kept = clipped(sample, min_area_fraction=0.3)
    assert kept["label"].tolist() == [5, 7]
    assert boxes_of(kept)[1].tolist() == [0, 20, 60, 30]
    assert "record 00000000000000ab: dropped 2 of 4 boxes" in caplog.text
