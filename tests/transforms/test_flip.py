from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mammo_monai.geometry import Crop, Flip
from mammo_monai.imaging import chest_wall_side
from mammo_monai.transforms import FlipRightd
from mammo_monai.transforms.flip import right_half_is_brighter
from tests.strategies import boxes_inside
from tests.transforms.films import HEIGHT, WIDTH, assert_same_sample, bright_box, copy_of, film_sample


def test_right_breast_is_mirrored_and_its_box_follows() -> None:
    sample = film_sample([(80.0, 60.0, 100.0, 100.0)], is_right=True)
    before = copy_of(sample)
    flipped = FlipRightd()(sample)
    assert flipped["box"].tolist() == [[60, 20, 100, 40]]
    np.testing.assert_array_equal(bright_box(flipped["image"]), flipped["box"][0])
    assert flipped["frame"].steps == (Flip(WIDTH),)
    assert_same_sample(sample, before)


def test_left_breast_stays_as_it_is() -> None:
    sample = film_sample()
    flipped = FlipRightd()(sample)
    assert flipped["frame"].steps == (Crop(0, 0, WIDTH, HEIGHT),)
    assert_same_sample(flipped | {"frame": sample["frame"]}, sample)


@pytest.mark.parametrize("is_right", [False, True])
def test_side_is_found_from_brightness_where_unknown(is_right: bool) -> None:
    sample = film_sample(is_right=is_right) | {"laterality": None}
    sample["image"] = sample["image"] + 0.1
    flipped = FlipRightd()(sample)
    assert isinstance(flipped["frame"].steps[0], Flip) is is_right


@pytest.mark.parametrize("is_right", [False, True])
@pytest.mark.parametrize("said", ["L", "R", None])
def test_where_the_picture_is_clear_it_decides(is_right: bool, said: str | None) -> None:
    """A film scanned from its other face shows a left breast as a right one."""
    sample = film_sample(is_right=is_right) | {"laterality": said}
    assert chest_wall_side(sample["image"][0].numpy() > 0) == ("right" if is_right else "left")
    flipped = FlipRightd()(sample)
    assert isinstance(flipped["frame"].steps[0], Flip) is is_right
    assert chest_wall_side(flipped["image"][0].numpy() > 0) == "left"


def test_laterality_wins_over_brightness_and_may_have_another_key() -> None:
    sample = film_sample(is_right=True) | {"side": "L"}
    sample["image"] = sample["image"] + 0.1  # a film's ground is not black: no region to see
    assert chest_wall_side(sample["image"][0].numpy() > 0) is None
    assert not isinstance(FlipRightd(laterality_key="side")(sample)["frame"].steps[0], Flip)


def test_middle_column_belongs_to_no_half() -> None:
    assert not right_half_is_brighter(torch.tensor([[[1.0, 9.0, 1.0]]]))


@given(box=boxes_inside((WIDTH, HEIGHT)), is_right=st.booleans())
def test_inverse_gives_the_sample_back(box: tuple[float, float, float, float], is_right: bool) -> None:
    sample, transform = film_sample(is_right=is_right), FlipRightd()
    sample["box"] = torch.tensor([[box[1], box[0], box[3], box[2]]])
    assert_same_sample(transform.inverse(transform(sample)), sample)


def test_a_right_breast_of_16_bit_is_mirrored_where_torch_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch 2.13 and older: "flip_cpu" not implemented for 'UInt16'. Every right breast failed."""
    sample = film_sample(is_right=True)
    sample["image"] = (sample["image"] * 65535).to(torch.uint16)
    by_torch = torch.Tensor.flip

    def flip_of_old(image: torch.Tensor, *dims: int) -> torch.Tensor:
        if image.dtype == torch.uint16:
            raise NotImplementedError("\"flip_cpu\" not implemented for 'UInt16'")
        return by_torch(image, *dims)

    monkeypatch.setattr(torch.Tensor, "flip", flip_of_old)
    flipped = FlipRightd()(sample)
    np.testing.assert_array_equal(flipped["image"].numpy(), sample["image"].numpy()[..., ::-1])
    np.testing.assert_array_equal(FlipRightd().inverse(flipped)["image"].numpy(), sample["image"].numpy())
