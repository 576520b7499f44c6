from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mammo_monai.geometry import rowcol_to_xyxy
from mammo_monai.inference import (
    Execution,
    FullImageInferer,
    SectionsInferer,
    SinglePassInferer,
    make_inferer,
    merge_boxes_p2,
)
from mammo_monai.inference.predict import detections_in_original
from mammo_monai.inference.single_pass import SEAM_PX
from mammo_monai.inference.tiles import least_tile_px
from mammo_monai.networks import retinanet_detector, retinanet_network
from tests.inference.fakes import FixedDetector, Rectangle, RectangleDetector, image_with, rowcol, sample_of
from tests.reference.single_pass_reference import single_pass

WIDTH, HEIGHT = 700, 900
EVERYTHING = Execution(skip_empty=False)


def _inferer(detector: Any, **settings: Any) -> SinglePassInferer:
    """Tiles of one cell and its halo: as many as there can be."""
    options = {"short_side_px": None, "max_tile_px": least_tile_px(128), **settings}
    return SinglePassInferer(detector, **options)


def _boxes(prediction: dict[str, Tensor]) -> list[list[float]]:
    boxes: list[list[float]] = rowcol_to_xyxy(prediction["box"].numpy()).tolist()
    return boxes


@settings(deadline=None, max_examples=25)
@given(
    corner=st.tuples(st.integers(0, 600), st.integers(0, 800)),
    side=st.tuples(st.integers(4, 250), st.integers(4, 250)),
)
def test_a_rectangle_at_any_place_is_marked_once_and_whole(
    corner: tuple[int, int], side: tuple[int, int]
) -> None:
    (x, y), (width, height) = corner, side
    box = (x, y, min(x + width, WIDTH), min(y + height, HEIGHT))
    found = _inferer(RectangleDetector())(image_with(WIDTH, HEIGHT, [(*box, 1.0)]))
    # Tiles that see the rectangle's centre within their halo see at least a part of it with the same centre.
    assert _boxes(found)[0] == list(map(float, box))
    if max(width, height) <= 128:  # no tile that answers for it cuts it
        assert len(found["box"]) == 1


@pytest.mark.parametrize("at", [(384, 384), (383, 385), (384, 60)])
def test_a_mass_on_the_border_of_cores_is_neither_lost_nor_doubled(at: tuple[int, int]) -> None:
    x, y = at
    rectangle: Rectangle = (x - 31, y - 30, x + 31, y + 31, 0.5)
    detector = RectangleDetector()
    found = _inferer(detector, short_side_px=3)(image_with(WIDTH, HEIGHT, [rectangle]))
    # The whole image, 230 times smaller, does not show it: the box is that of tiles.
    assert [float(each) for each in rectangle[:4]] in _boxes(found)
    assert len(found["box"]) == 1


def test_it_is_what_the_slow_reference_gives() -> None:
    rng = np.random.default_rng(0)
    rectangles: list[Rectangle] = [
        (int(x), int(y), int(x + w), int(y + h), float(s))
        for x, y, w, h, s in zip(
            rng.integers(0, 640, 12), rng.integers(0, 840, 12), rng.integers(5, 60, 12),
            rng.integers(5, 60, 12), rng.uniform(0.4, 1, 12), strict=True,
        )
    ]  # fmt: skip
    image = image_with(WIDTH, HEIGHT, rectangles, background=0.1)
    inferer = _inferer(RectangleDetector().eval(), execution=EVERYTHING)
    cores = [tile.core for tile in inferer.tiles(image)]
    assert len(cores) > 9
    expected = single_pass(RectangleDetector().eval(), image, cores, 128, SEAM_PX)
    found = inferer(image)
    assert _boxes(found) == [list(box) for box, _ in expected]
    assert found["label_scores"].tolist() == pytest.approx([score for _, score in expected])


def _random_detector() -> Any:
    torch.manual_seed(0)
    network = retinanet_network("resnet18", fpn_channels=16, head_norm="gn8")
    torch.nn.init.normal_(network.classification_head.cls_logits.weight, std=0.3)
    return retinanet_detector(network, detections_per_image=20).eval()


def test_one_tile_is_the_plain_pass() -> None:
    detector, image = _random_detector(), torch.rand(1, 200, 150)
    how = Execution(skip_empty=False, batch_size=1)  # two images in one call may differ in the last bit
    plain = FullImageInferer(detector)(image)
    inferer = SinglePassInferer(detector, short_side_px=None, execution=how)
    (tile,) = inferer.tiles(image)
    assert tile.core == tile.shown == (0, 0, 150, 200)
    found = inferer(image)
    # Whole image and tile are the same pass, so what is left is that pass after P2's merging.
    merged = merge_boxes_p2(_boxes(plain), plain["label_scores"].numpy(), plain["label"].numpy())
    assert 1 < len(merged.boxes) < len(plain["box"])
    assert _boxes(found) == merged.boxes.tolist()
    assert found["label_scores"].tolist() == merged.scores.tolist()


def test_an_empty_image_is_shown_once_and_gives_nothing() -> None:
    detector = RectangleDetector()
    found = _inferer(detector)(torch.zeros(1, 500, 300))
    assert detector.batches == [[(500, 300)]]
    assert found["box"].shape == (0, 4)
    assert found["label"].shape == found["label_scores"].shape == (0,)


def test_tiles_show_the_breast_and_not_the_background() -> None:
    # Breast in the left 200 of 700 px, rows 0 to 300 of 900: cells 0-1 × 0-2.
    image = image_with(WIDTH, HEIGHT, [(0, 0, 200, 300, 0.2)])
    detector = RectangleDetector()
    _inferer(detector, max_tile_px=1024**2)(image)
    assert detector.batches == [[(900, 700)], [(384, 256)]]


def test_detail_has_the_resolution_of_resized_sections() -> None:
    # Sections of 300 × 420 px are 100 × 140; at a short side of 200 they are doubled, and so is the image.
    image = image_with(300, 420, [(10, 14, 40, 50, 0.5)], background=0.1)
    sections, tiles = RectangleDetector(), RectangleDetector()
    SectionsInferer(sections, short_side_px=None, section_short_side_px=200)(image)
    found = SinglePassInferer(tiles, short_side_px=None, section_short_side_px=200, execution=EVERYTHING)(
        image
    )
    assert {size for batch in sections.batches[1:] for size in batch} == {(280, 200)}
    assert tiles.batches == [[(420, 300)], [(840, 600)]]
    assert found["box"].tolist() == rowcol([[10, 14, 40, 50]])


def test_at_most_the_set_number_of_boxes_comes_from_a_tile() -> None:
    boxes = [[10.0 * n, 0.0, 10.0 * n + 4, 4.0] for n in range(10)]
    detector = FixedDetector(boxes, [0.9 - 0.05 * n for n in range(10)])
    found = _inferer(detector, max_boxes_per_tile=2)(torch.rand(1, 300, 200))
    assert sorted(set(found["label_scores"].tolist())) == pytest.approx([0.85, 0.9])


def test_a_right_breast_comes_back_in_original_pixels() -> None:
    original = image_with(WIDTH, HEIGHT, [(600, 500, 640, 560, 0.8)], background=0.1)
    sample = sample_of(original, "r", is_right=True, spacing=(0.1, 0.1))
    inferer = _inferer(RectangleDetector(), min_area_mm2=None)
    found = detections_in_original(sample, inferer(sample["image"]))
    assert found.boxes.tolist() == [[600, 500, 640, 560]]


def test_the_mode_is_made_from_the_values_of_the_others() -> None:
    inferer = make_inferer(
        RectangleDetector(), "single_pass", short_side_px=150, section_short_side_px=80, window_px=512
    )
    assert isinstance(inferer, SinglePassInferer)
    assert (inferer.short_side_px, inferer.section_short_side_px) == (150, 80)
    assert inferer.max_tile_px == 1.5 * 512 * 512
    assert inferer.min_area_mm2 == 24.5
    sections = make_inferer(RectangleDetector(), "sections", section_short_side_px=80, skip_empty=False)
    assert isinstance(sections, SectionsInferer)
    assert sections.section_short_side_px == 80
    assert not sections.execution.skip_empty


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"halo_px": 100}, "halo_px must be a multiple of 128, got 100"),
        ({"halo_px": -128}, "halo_px must be a multiple of 128, got -128"),
        ({"max_tile_px": 1000}, "max_tile_px must be at least 147456 with a halo of 128 px, got 1000"),
        ({"section_short_side_px": 0}, "at least 1 px or null, got 0"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SinglePassInferer(RectangleDetector(), **settings)  # type: ignore[arg-type]  # wrong on purpose


def test_anything_but_one_grey_image_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\(1, H, W\), got"):
        SinglePassInferer(RectangleDetector())(torch.zeros(3, 20, 30))


def test_every_tile_answers_for_its_core_alone() -> None:
    # A box of the same place in every tile: its centre lies in few cores, and comes once from each.
    detector = FixedDetector([[150.0, 150.0, 170.0, 170.0]], [0.5])
    inferer = _inferer(detector, execution=EVERYTHING)
    image = torch.rand(1, HEIGHT, WIDTH)
    found = _boxes(inferer(image))
    centres = [((box[0] + box[2]) / 2, (box[1] + box[3]) / 2) for box in found]
    tiles = inferer.tiles(image)
    expected = {(160.0, 160.0)}  # of the whole image
    for tile in tiles:
        x, y = tile.shown[0] + 160, tile.shown[1] + 160
        if tile.core[0] - SEAM_PX <= x < tile.core[2] + SEAM_PX and (
            tile.core[1] - SEAM_PX <= y < tile.core[3] + SEAM_PX
        ):
            expected.add((float(x), float(y)))
    assert set(centres) == expected
    assert len(expected) > 4
