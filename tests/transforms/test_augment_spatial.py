from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mammo_monai.transforms import RandCropKeepingBoxesd, RandFlipsd, RandQuarterTurnsd, RandRotateScaled
from mammo_monai.transforms.augment_spatial import Placement
from mammo_monai.transforms.sample import boxes_of
from tests.transforms.films import (
    HEIGHT,
    LESION,
    WIDTH,
    assert_same_sample,
    bright_box,
    copy_of,
    film_pixels,
    film_sample,
)

CENTRAL = (45.0, 80.0, 75.0, 130.0)
KINDS: dict[str, Callable[[float], Any]] = {
    "flips": lambda prob: RandFlipsd(prob, prob),
    "turns": RandQuarterTurnsd,
    "rotate": lambda prob: RandRotateScaled(prob, shift_fraction=0.05, box_shape="rectangle"),
    "crop": RandCropKeepingBoxesd,
}
seeds = st.integers(0, 2**31)
kinds = st.sampled_from(sorted(KINDS))


@given(kind=kinds, seed=seeds)
def test_bright_rectangle_stays_in_its_box(kind: str, seed: int) -> None:
    sample = film_sample([CENTRAL])
    before = copy_of(sample)
    moved = KINDS[kind](1.0).set_random_state(seed)(sample)
    seen, box = bright_box(moved["image"]), moved["box"][0].numpy()
    # Bilinear sampling shows half-bright pixels up to one pixel outside the exact edge.
    assert np.all(seen[:2] >= box[:2] - 1)
    assert np.all(seen[2:] <= box[2:] + 1)
    # The corners of a rotated rectangle are thinner than a pixel: their last two pixels are not bright.
    np.testing.assert_allclose(seen, box, atol=2.5 if kind == "rotate" else 0.01)
    assert_same_sample(sample, before)


@given(seed=seeds)
def test_bright_ellipse_touches_the_sides_of_its_box(seed: int) -> None:
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    inside = ((columns - 60) / 15) ** 2 + ((rows - 105) / 25) ** 2 < 1
    sample = film_sample([CENTRAL])
    sample["image"] = torch.from_numpy(np.where(inside, LESION, 0).astype(np.float32))[None]
    moved = RandRotateScaled(1.0, shift_fraction=0.05).set_random_state(seed)(sample)
    np.testing.assert_allclose(bright_box(moved["image"]), moved["box"][0], atol=1.5)


@given(kind=kinds, seed=seeds)
def test_prob_0_is_identity(kind: str, seed: int) -> None:
    assert_same_sample(KINDS[kind](0.0).set_random_state(seed)(film_sample()), film_sample())


@given(kind=kinds, seed=seeds)
def test_normal_image_stays_normal_and_loses_its_frame(kind: str, seed: int) -> None:
    moved = KINDS[kind](1.0).set_random_state(seed)(film_sample([]))
    assert moved["box"].shape == (0, 4)
    assert moved["label"].shape == (0,)
    assert moved["frame"] is None
    assert moved["image"].is_contiguous()


@given(kind=kinds, seed=seeds)
def test_same_seed_gives_the_same_sample(kind: str, seed: int) -> None:
    first, second = (KINDS[kind](0.5).set_random_state(seed)(film_sample()) for _ in range(2))
    assert_same_sample(first, second)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_other_seeds_give_other_samples(kind: str) -> None:
    made = [KINDS[kind](0.7).set_random_state(seed)(film_sample()) for seed in range(12)]
    assert len({(*each["image"].shape, *each["box"].flatten().tolist()) for each in made}) >= 3


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_apply_repeats_what_was_drawn(kind: str) -> None:
    transform = KINDS[kind](1.0).set_random_state(3)
    transform.randomize()
    assert_same_sample(transform.apply(film_sample()), transform.apply(film_sample()))


def test_flips_along_both_axes_mirror_both_coordinates() -> None:
    moved = RandFlipsd(1.0, 1.0)(film_sample([(10.0, 20, 30, 60)]))
    assert boxes_of(moved).tolist() == [[90, 140, 110, 180]]
    assert torch.equal(moved["image"], film_sample([(10.0, 20, 30, 60)])["image"].flip(-1, -2))


def test_all_three_quarter_turns_occur() -> None:
    shapes = [RandQuarterTurnsd(1.0).set_random_state(seed) for seed in range(20)]
    for transform in shapes:
        transform.randomize()
    assert {transform._turns for transform in shapes} == {1, 2, 3}


def test_quarter_turn_changes_width_and_height() -> None:
    transform = RandQuarterTurnsd(1.0)
    transform.randomize()
    transform._turns = 1
    assert tuple(transform.apply(film_sample())["image"].shape) == (1, WIDTH, HEIGHT)


def test_right_angle_rotation_agrees_with_exact_turning() -> None:
    square = film_pixels([CENTRAL])[:WIDTH]
    placed = Placement(90.0, 1.0, (0.0, 0.0)).image(torch.from_numpy(square)[None])
    np.testing.assert_allclose(placed[0], np.rot90(square, -1), atol=1e-3)


def test_shift_moves_pixels_and_boxes_alike() -> None:
    placement = Placement(0.0, 1.0, (7.0, -11.0))
    image = placement.image(film_sample([CENTRAL])["image"])
    box = placement.boxes(np.array([CENTRAL]), (WIDTH, HEIGHT), "ellipse")[0]
    assert box.tolist() == [52, 69, 82, 119]
    np.testing.assert_allclose(bright_box(image)[[1, 0, 3, 2]], box, atol=0.01)


def test_box_pushed_out_of_the_image_is_dropped() -> None:
    transform = RandRotateScaled(1.0, rotate_deg=0, scale=(1.25, 1.25))
    moved = transform(film_sample([(0.0, 0.0, 10.0, 10.0), CENTRAL]))
    assert moved["label"].tolist() == [1]


@given(seed=seeds, fraction=st.floats(0.1, 1.0))
def test_crop_never_cuts_a_box(seed: int, fraction: float) -> None:
    boxes = [(0.0, 150.0, 8.0, 160.0), (70.0, 180.0, 100.0, 200.0)]
    moved = RandCropKeepingBoxesd(1.0, fraction).set_random_state(seed)(film_sample(boxes))
    sides = boxes_of(moved)[:, 2:] - boxes_of(moved)[:, :2]
    assert sides.tolist() == [[8, 10], [30, 20]]
    height, width = moved["image"].shape[1:]
    assert boxes_of(moved).min() >= 0
    assert np.all(boxes_of(moved)[:, 2:] <= (width, height))


def test_crop_of_a_normal_image_is_as_large_as_drawn() -> None:
    made = [RandCropKeepingBoxesd(1.0, 0.5).set_random_state(seed)(film_sample([])) for seed in range(20)]
    widths = [each["image"].shape[2] for each in made]
    assert min(widths) >= WIDTH / 2
    assert max(widths) < WIDTH
    assert len(set(widths)) > 5


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(ValueError, match=r"scale must be \(smallest, largest\)"):
        RandRotateScaled(scale=(1.2, 0.8))
    with pytest.raises(ValueError, match="box_shape must be ellipse or rectangle"):
        RandRotateScaled(box_shape="circle")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="min_fraction must be above 0"):
        RandCropKeepingBoxesd(min_fraction=0)
