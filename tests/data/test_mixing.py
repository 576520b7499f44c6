"""Mixed samples: boxes follow what was mixed, nothing is changed in place, no edge shows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mammo_monai.data import copy_paste, mixed, mixup, mosaic
from mammo_monai.data.pasting import DARKEST, blended, cut_mass, free_places
from mammo_monai.geometry import ImageFrame, box_iou, rowcol_to_xyxy
from tests.transforms.films import HEIGHT, INSIDE, WIDTH, assert_same_sample, bright_box, copy_of, film_sample

SMALL = (24, 80, 40, 100)
SEEDS = st.integers(0, 2**32 - 1)


def textured(
    boxes: Any = (INSIDE,), *, seed: int = 0, size: tuple[int, int] = (WIDTH, HEIGHT)
) -> dict[str, Any]:
    """Breast all over the image, grain of 0.01, lesions 0.3 brighter than the tissue; labels 5, 6, …"""
    width, height = size
    pixels = 0.4 + 0.01 * np.random.default_rng(seed).standard_normal((height, width))
    for x_min, y_min, x_max, y_max in boxes:
        rows, columns = np.mgrid[:height, :width] + 0.5
        way = np.hypot(
            (columns - (x_min + x_max) / 2) / (x_max - x_min), (rows - (y_min + y_max) / 2) / (y_max - y_min)
        )
        pixels[way < 0.5] += 0.3
    sample = film_sample(boxes)
    sample["image"] = torch.from_numpy(pixels.astype(np.float32))[None]
    return {**sample, "frame": ImageFrame(width, height), "label": sample["label"] + 5}


def xyxy(sample: dict[str, Any]) -> np.ndarray:
    return rowcol_to_xyxy(sample["box"].numpy().astype(np.float64))


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS)
def test_a_pasted_mass_lies_in_its_box_and_nothing_else_has_changed(seed: int) -> None:
    host, donor = textured([INSIDE]), textured([SMALL], seed=1)
    before = copy_of(host), copy_of(donor)
    out = copy_paste(host, donor, np.random.default_rng(seed))
    assert out is not None
    assert out["label"].tolist() == [5, 5]
    assert out["box"].dtype == torch.float32
    assert torch.equal(out["box"][0], host["box"][0])
    x_min, y_min, x_max, y_max = xyxy(out)[1]
    assert 0.75 * 16 <= x_max - x_min <= 1.3 * 16
    assert 0.75 * 20 <= y_max - y_min <= 1.3 * 20
    assert box_iou(xyxy(out)[:1], xyxy(out)[1:])[0, 0] == 0
    rise = (out["image"] - host["image"])[0].numpy()
    rows, columns = np.nonzero(np.abs(rise) > 0.15)
    assert columns.min() >= x_min - 1.5
    assert columns.max() < x_max + 1.5
    assert rows.min() >= y_min - 1.5
    assert rows.max() < y_max + 1.5
    far = np.ones(rise.shape, dtype=bool)
    reach_x, reach_y = 0.3 * (x_max - x_min) + 2, 0.3 * (y_max - y_min) + 2
    far[
        max(0, int(y_min - reach_y)) : int(y_max + reach_y) + 1,
        max(0, int(x_min - reach_x)) : int(x_max + reach_x) + 1,
    ] = False
    assert not rise[far].any()
    assert out["frame"] is None
    assert_same_sample(host, before[0])
    assert_same_sample(donor, before[1])


def test_the_pasted_mass_is_the_one_of_the_drawn_label() -> None:
    donor = textured([SMALL, (70, 120, 90, 150)], seed=1)
    labels = {
        int(cut.label)
        for seed in range(20)
        if (cut := cut_mass(donor, np.random.default_rng(seed))) is not None
    }
    assert labels == {5, 6}


def test_no_edge_shows_where_a_mass_was_pasted() -> None:
    # Donor and host differ in brightness and slope; across the window's rim the steps stay the grain's.
    host, donor = textured([]), textured([SMALL], seed=1)
    donor["image"] = donor["image"] * 0.5 + torch.linspace(0, 0.3, WIDTH)
    out = copy_paste(host, donor, np.random.default_rng(3))
    assert out is not None
    change = np.abs((out["image"] - host["image"])[0].numpy())
    rows, columns = np.nonzero(change)
    assert change[rows.min()].max() < 0.01
    assert change[rows.max()].max() < 0.01
    assert change[:, columns.min()].max() < 0.01
    assert change[:, columns.max()].max() < 0.01
    assert change.max() > 0.1


def test_nothing_is_pasted_outside_the_breast() -> None:
    host = film_sample([])
    host["image"] = torch.where(
        host["image"] > 0, host["image"] + 0.01 * torch.rand(host["image"].shape, generator=_generator()), 0.0
    )
    outside = host["image"] == 0
    for seed in range(20):
        out = copy_paste(host, textured([SMALL], seed=1), np.random.default_rng(seed))
        assert out is not None
        assert torch.equal(out["image"] == 0, outside)
        assert not out["image"][outside].any()


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize(
    "donor_boxes",
    [[], [(0, 80, 20, 100)], [(100, 80, 119, 100)], [SMALL, (30, 90, 50, 110)]],
    ids=["no mass", "at the left edge", "at the right edge", "two that overlap"],
)
def test_a_mass_that_is_not_whole_and_alone_is_not_pasted(donor_boxes: Any) -> None:
    host = textured([])
    assert copy_paste(host, textured(donor_boxes, seed=1), np.random.default_rng(0)) is None


def test_a_mass_at_the_skin_is_not_pasted() -> None:
    donor = textured([SMALL], seed=1)
    donor["image"][:, 88:92, :24] = 0
    assert copy_paste(textured([]), donor, np.random.default_rng(0)) is None


def test_a_host_without_room_stays_as_it_is() -> None:
    host, donor = textured([(0, 0, WIDTH, HEIGHT)]), textured([SMALL], seed=1)
    assert copy_paste(host, donor, np.random.default_rng(0)) is None
    assert_same_sample(mixed("copy_paste", host, [donor] * 3, np.random.default_rng(0)), host)
    tiny = textured([], size=(8, 9))
    assert copy_paste(tiny, donor, np.random.default_rng(0)) is None


def test_a_mass_nobody_could_see_is_not_pasted() -> None:
    donor = textured([], seed=1)
    donor["box"], donor["label"] = textured([SMALL])["box"], torch.tensor([5])
    assert copy_paste(textured([]), donor, np.random.default_rng(0)) is None
    white = textured([])
    white["image"] = torch.ones_like(white["image"])
    assert copy_paste(white, textured([SMALL], seed=1), np.random.default_rng(0)) is None


def test_flat_surroundings_take_a_mass_as_it_is() -> None:
    patch = np.full((20, 30), 0.25, dtype=np.float32)
    patch[8:12, 12:18] = 0.5
    pasted = blended(np.full((20, 30), 0.5, dtype=np.float32), patch)
    assert pasted is not None
    assert pasted[10, 15] == pytest.approx(0.75)
    assert pasted[0, 0] == 0.5
    assert pasted.min() >= DARKEST


def test_a_mass_of_less_than_a_pixel_is_not_cut() -> None:
    donor = textured([(30.2, 90.2, 31.2, 91.2)], seed=1)
    cuts = [cut_mass(donor, np.random.default_rng(seed)) for seed in range(20)]
    assert None in cuts


@settings(max_examples=40, deadline=None)
@given(
    seed=SEEDS,
    size=st.tuples(st.integers(1, 7), st.integers(1, 9)),
    boxes=st.lists(st.tuples(*[st.integers(-1, 9)] * 4), max_size=2),
)
def test_free_places_are_all_and_only_those_found_one_by_one(
    seed: int, size: tuple[int, int], boxes: list[tuple[int, int, int, int]]
) -> None:
    image = (np.random.default_rng(seed).random((8, 6)) < 0.9).astype(np.float32)
    corners = np.array(
        [(min(a, c), min(b, d), max(a, c) + 0.5, max(b, d) + 0.5) for a, b, c, d in boxes], dtype=float
    ).reshape(-1, 4)
    slow = [
        [x, y]
        for y in range(8 - size[1] + 1)
        for x in range(6 - size[0] + 1)
        if all(
            image[row, column] > 0
            and not any(l < column + 1 and r > column and t < row + 1 and b > row for l, t, r, b in corners)  # noqa: E741
            for row in range(y, y + size[1])
            for column in range(x, x + size[0])
        )
    ]
    assert free_places(image, corners, size).tolist() == slow


def test_a_mosaic_holds_four_breasts_at_half_their_size_with_their_boxes() -> None:
    samples = [film_sample([INSIDE]), film_sample([]), film_sample([]), film_sample([])]
    places = set()
    for seed in range(20):
        out = mosaic(samples, np.random.default_rng(seed))
        assert out["image"].shape == (1, HEIGHT, WIDTH)
        assert np.abs(out["box"].numpy()[0] - bright_box(out["image"])).max() <= 1
        places.add((bool(out["box"][0, 0] >= HEIGHT / 2), bool(out["box"][0, 1] >= WIDTH / 2)))
        for rows in (slice(0, 100), slice(100, 200)):
            for columns in (slice(0, 60), slice(60, 120)):
                assert (out["image"][0, rows, columns] > 0).float().mean() > 0.3
    assert len(places) == 4


def test_a_mosaic_keeps_the_ratio_of_images_of_another_size_and_drops_small_boxes() -> None:
    tall = {**textured([(2, 10, 12, 30)], size=(20, 90)), "record_id": "other"}
    host = film_sample([INSIDE])
    out = mosaic([host, tall, tall, tall], np.random.default_rng(0))
    assert out["record_id"] == host["record_id"]
    assert len(out["box"]) == 4  # 90 px become 100: 1.11 times as large
    small = textured([(2, 10, 12, 30)], size=(40, 200))
    assert mosaic([host, small, small, small], np.random.default_rng(0))["label"].tolist() == [0]


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS)
def test_a_mixup_is_a_weighted_mean_with_the_boxes_of_both(seed: int) -> None:
    host, other = textured([INSIDE]), textured([(60, 20, 90, 60), SMALL], seed=1)
    before = copy_of(host), copy_of(other)
    out = mixup(host, other, np.random.default_rng(seed))
    assert torch.equal(out["box"], torch.cat([host["box"], other["box"]]))
    assert out["label"].tolist() == [5, 5, 6]
    difference = (host["image"] - other["image"]).numpy().ravel().astype(np.float64)
    weight = difference @ (out["image"] - other["image"]).numpy().ravel() / (difference @ difference)
    assert weight + 1e-6 >= 0.5
    assert weight < 0.95
    assert torch.allclose(out["image"], weight * host["image"] + (1 - weight) * other["image"], atol=1e-5)
    assert_same_sample(host, before[0])
    assert_same_sample(other, before[1])


def test_a_mixup_of_other_sizes_is_as_large_as_the_host() -> None:
    host, larger = textured([INSIDE], size=(60, 120)), textured([SMALL, (80, 150, 110, 180)], seed=1)
    out = mixup(host, larger, np.random.default_rng(0))
    assert out["image"].shape == (1, 120, 60)
    assert out["label"].tolist() == [5, 5]


@pytest.mark.parametrize("mix", ["copy_paste", "mosaic", "mixup"])
def test_the_same_generator_mixes_the_same(mix: Any) -> None:
    host, others = textured([INSIDE]), [textured([SMALL], seed=n) for n in (1, 2, 3)]
    first, again, other = (mixed(mix, host, others, np.random.default_rng(seed)) for seed in (4, 4, 5))
    assert_same_sample(first, again)
    assert not torch.equal(first["image"], other["image"])
