from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from mammo_monai.geometry import Crop
from mammo_monai.transforms import CutSectiond
from mammo_monai.transforms.sample import boxes_of
from tests.transforms.films import (
    HEIGHT,
    WIDTH,
    assert_same_sample,
    bright_box,
    copy_of,
    film_sample,
)

SECTION = (1, 67, 40)  # a third of 200 rows and of 120 columns, rounded up
seeds = st.integers(0, 2**31)


@given(
    seed=seeds,
    x=st.integers(0, WIDTH - 21),
    y=st.integers(0, HEIGHT - 31),
)
def test_lesion_lies_whole_in_its_section(seed: int, x: int, y: int) -> None:
    sample = film_sample([(x, y, x + 20, y + 30)]) | {"section": 0}
    before = copy_of(sample)
    section = CutSectiond().set_random_state(seed)(sample)
    assert tuple(section["image"].shape) == SECTION
    np.testing.assert_array_equal(bright_box(section["image"]), section["box"][0])
    assert_same_sample(sample, before)


def test_place_of_the_lesion_varies() -> None:
    sample = film_sample() | {"section": 0}
    corners = {CutSectiond().set_random_state(seed)(sample)["frame"].steps[0] for seed in range(20)}
    assert len(corners) > 10


@given(seed=seeds)
def test_lesion_larger_than_the_section_fills_it(seed: int) -> None:
    sample = film_sample([(10.0, 40.0, 110.0, 190.0)]) | {"section": 0}
    section = CutSectiond(min_area_fraction=0.1).set_random_state(seed)(sample)
    assert boxes_of(section).tolist() == [[0, 0, 40, 67]]


@given(seed=seeds)
def test_background_holds_no_lesion_but_tissue(seed: int) -> None:
    section = CutSectiond().set_random_state(seed)(
        film_sample([(5.0, 60, 25, 80)]) | {"section": "background"}
    )
    assert tuple(section["image"].shape) == SECTION
    assert section["box"].shape == (0, 4)
    assert float(section["image"].max()) < 0.5
    # Counted on a grid of eight pixels: the share is known to about 0.1.
    assert float((section["image"] > 0).float().mean()) > 0.2


def test_background_without_a_free_place_takes_the_one_with_least_lesion() -> None:
    everywhere = film_sample([(0.0, 0.0, 120.0, 200.0), (50.0, 90.0, 60.0, 100.0)]) | {
        "section": "background"
    }
    transform = CutSectiond()
    for seed in range(10):
        section = transform.set_random_state(seed)(everywhere)
        assert 1 not in section["label"].tolist()


def test_image_without_boxes_gives_background_for_any_row() -> None:
    section = CutSectiond().set_random_state(0)(film_sample([]) | {"section": 2})
    assert float((section["image"] > 0).float().mean()) > 0.2


def test_row_counts_round_where_boxes_were_dropped() -> None:
    sample = film_sample([(10.0, 60, 20, 70), (40.0, 120, 50, 130)])
    first, second = (CutSectiond().set_random_state(1)(sample | {"section": row}) for row in (1, 3))
    assert torch.equal(first["image"], second["image"])


def test_whole_image_passes_with_an_empty_step() -> None:
    sample = film_sample()
    whole = CutSectiond()(sample)
    assert whole["frame"].steps == (Crop(0, 0, WIDTH, HEIGHT),)
    assert_same_sample(whole | {"frame": sample["frame"]}, sample)


def test_other_lesions_are_cut_or_dropped() -> None:
    sample = film_sample([(10.0, 60, 20, 70), (12.0, 62, 22, 72), (80.0, 90, 90, 99)]) | {"section": 0}
    section = CutSectiond().set_random_state(2)(sample)
    assert 2 not in section["label"].tolist()
    assert boxes_of(section).min() >= 0


def test_inverse_puts_the_section_back_in_its_place() -> None:
    sample, transform = film_sample() | {"section": 0}, CutSectiond().set_random_state(4)
    inverted = transform.inverse(transform(sample))
    assert torch.equal(inverted["box"], sample["box"])
    np.testing.assert_array_equal(bright_box(inverted["image"]), sample["box"][0])


def test_sections_are_as_large_as_those_of_inference() -> None:
    from mammo_monai.inference.sections import section_grid

    x_min, y_min, x_max, y_max = section_grid(WIDTH, HEIGHT)[0]
    assert (1, y_max - y_min, x_max - x_min) == SECTION
