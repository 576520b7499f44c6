from collections.abc import Callable
from itertools import pairwise
from typing import Any, cast

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mammo_monai.geometry import ImageFrame
from mammo_monai.inference import (
    Execution,
    FullImageInferer,
    Inferer,
    SectionsInferer,
    SlidingWindowInferer2d,
    make_inferer,
    section_grid,
)
from mammo_monai.networks import Detector
from mammo_monai.transforms import ResizeShortSided
from mammo_monai.transforms.presets import MAX_ASPECT
from tests.inference.fakes import FixedDetector, Rectangle, RectangleDetector, image_with, rowcol

WIDTH, HEIGHT = 300, 420
# Every section and every window of 128 px shows these whole or not at all; what a border cuts, see below.
RECTANGLES: list[Rectangle] = [(10, 14, 40, 50, 0.5), (152, 294, 170, 318, 0.75)]
BOXES = rowcol([[152, 294, 170, 318], [10, 14, 40, 50]])


def _image() -> Tensor:
    return image_with(WIDTH, HEIGHT, RECTANGLES)


def _inferers(detector: Detector) -> list[Inferer]:
    return [
        FullImageInferer(detector),
        SectionsInferer(detector, short_side_px=None),
        SlidingWindowInferer2d(detector, 128, 0.5),
    ]


@pytest.mark.parametrize("n", [0, 1, 2])
def test_bright_rectangles_are_marked_exactly_in_every_mode(n: int) -> None:
    inferer = _inferers(RectangleDetector())[n]
    found = inferer(_image())
    assert found["box"].tolist() == BOXES
    assert found["label_scores"].tolist() == [0.75, 0.5]
    assert found["label"].tolist() == [0, 0]
    assert (found["box"].dtype, found["label"].dtype, found["label_scores"].dtype) == (
        torch.float64,
        torch.int64,
        torch.float32,
    )


@pytest.mark.parametrize("n", [0, 1, 2])
def test_an_image_without_candidates_gives_empty_columns(n: int) -> None:
    found = _inferers(RectangleDetector())[n](torch.zeros(1, 130, 100))
    assert found["box"].shape == (0, 4)
    assert found["label"].shape == found["label_scores"].shape == (0,)


@settings(max_examples=30, deadline=None)
@given(
    corner=st.tuples(st.integers(0, 250), st.integers(0, 370)),
    side=st.tuples(st.integers(2, 50), st.integers(2, 50)),
    n=st.integers(0, 2),
)
def test_one_rectangle_anywhere_comes_back_as_one_exact_box(
    corner: tuple[int, int], side: tuple[int, int], n: int
) -> None:
    (x, y), (width, height) = corner, side
    box = (x, y, min(x + width, WIDTH), min(y + height, HEIGHT))
    # Sections and windows that cut it give parts; the whole image, or a window that holds it, gives all.
    found = _inferers(RectangleDetector())[n](image_with(WIDTH, HEIGHT, [(*box, 1.0)]))
    whole = rowcol([box])[0]
    assert whole in found["box"].tolist()
    assert found["label_scores"].tolist()[0] == 1.0


def test_resizing_returns_boxes_to_the_given_frame_exactly() -> None:
    # 300 × 420 → 150 × 210; rectangles on even pixels, so halves are whole pixels and the way back is exact.
    detector = RectangleDetector()
    found = FullImageInferer(detector, short_side_px=150)(_image())
    assert detector.batches == [[(210, 150)]]
    assert found["box"].tolist() == BOXES


def test_resizing_keeps_the_ratio_and_the_scale_back_is_float64() -> None:
    # 300 × 421 → 100 × 140: rows scale by 421 / 140, which float32 cannot hold.
    inferer = FullImageInferer(FixedDetector([[10, 20, 70, 90]], [0.5]), short_side_px=100)
    found = inferer(torch.rand(1, 421, 300))
    assert found["box"].tolist() == [[10 * (421 / 140), 60.0, 70 * (421 / 140), 270.0]]


@pytest.mark.parametrize(("width", "height", "size"), [(20, 2000, (300, 3)), (2000, 20, (3, 300))])
def test_a_strip_is_resized_as_in_training_its_long_side_at_most_five_short_ones(
    width: int, height: int, size: tuple[int, int]
) -> None:
    detector, strip = RectangleDetector(), torch.zeros(1, height, width)
    FullImageInferer(detector, short_side_px=60)(strip)
    trained = ResizeShortSided(60, MAX_ASPECT * 60)(
        {"image": strip, "box": torch.zeros(0, 4), "frame": ImageFrame(width, height)}
    )
    assert detector.batches == [[size]]
    assert tuple(trained["image"].shape[1:]) == size


def test_a_strip_whose_short_side_is_right_is_still_limited() -> None:
    # 20 × 2000 → 1 × 100: factor 100 / 2000; the box comes back by 2000 / 100.
    inferer = FullImageInferer(FixedDetector([[10, 0, 30, 1]], [0.5]), short_side_px=20)
    assert inferer(torch.zeros(1, 2000, 20))["box"].tolist() == [[200, 0, 600, 20]]


def test_a_thread_keeps_one_pixel() -> None:
    detector = RectangleDetector()
    FullImageInferer(detector, short_side_px=20)(torch.zeros(1, 2000, 3))
    assert detector.batches == [[(100, 1)]]


def test_up_to_five_short_sides_a_long_side_is_free_and_an_image_of_the_asked_size_is_not_touched() -> None:
    detector = RectangleDetector()
    FullImageInferer(detector, short_side_px=WIDTH)(_image())
    FullImageInferer(detector, short_side_px=600)(_image())
    assert detector.batches == [[(420, 300)], [(840, 600)]]


def test_sections_are_the_resized_whole_and_25_parts_at_native_resolution() -> None:
    detector = RectangleDetector()
    inferer = SectionsInferer(
        detector, short_side_px=150, execution=Execution(batch_size=7, skip_empty=False)
    )
    inferer(_image())
    assert detector.batches[0] == [(210, 150)]
    assert [len(batch) for batch in detector.batches[1:]] == [7, 7, 7, 4]
    assert {size for batch in detector.batches[1:] for size in batch} == {(140, 100)}


def test_sections_can_be_resized_too() -> None:
    detector = RectangleDetector()
    found = SectionsInferer(detector, short_side_px=None, section_short_side_px=200)(_image())
    assert {size for batch in detector.batches[1:] for size in batch} == {(280, 200)}
    assert found["box"].tolist() == BOXES


def test_sections_find_what_the_resized_whole_has_lost() -> None:
    lost = image_with(WIDTH, HEIGHT, [(40, 41, 43, 44, 0.5)])  # 3 px fade when the image shrinks tenfold
    detector = RectangleDetector()
    assert len(FullImageInferer(detector, short_side_px=30)(lost)["box"]) == 0
    found = SectionsInferer(detector, short_side_px=30)(lost)
    assert found["box"].tolist() == rowcol([[40, 41, 43, 44]])


def test_the_whole_image_joins_a_mass_that_every_section_cuts() -> None:
    # Wider and taller than a section (100 × 140): sections give pieces, the whole gives the box.
    image = image_with(WIDTH, HEIGHT, [(50, 60, 250, 360, 0.5)])
    found = SectionsInferer(RectangleDetector(), short_side_px=None)(image)
    assert found["box"].tolist()[0] == rowcol([[50, 60, 250, 360]])[0]


def test_at_most_the_set_number_of_boxes_comes_from_a_section() -> None:
    boxes = [[10.0 * n, 0.0, 10.0 * n + 4, 4.0] for n in range(10)]
    scores = [0.9 - 0.05 * n for n in range(10)]
    inferer = SectionsInferer(FixedDetector(boxes, scores), short_side_px=None, max_boxes_per_section=2)
    found = inferer(image_with(WIDTH, HEIGHT, [], background=0.1) + torch.rand(1, HEIGHT, WIDTH) * 0.1)
    assert sorted(set(found["label_scores"].tolist())) == pytest.approx([0.85, 0.9])


@pytest.mark.parametrize("mode", ["sections", "sliding"])
def test_skipping_empty_views_saves_passes_and_changes_nothing(mode: str) -> None:
    results, passes = [], []
    for skip_empty in (True, False):
        detector, execution = RectangleDetector(), Execution(skip_empty=skip_empty)
        if mode == "sections":
            inferer: Inferer = SectionsInferer(detector, short_side_px=None, execution=execution)
        else:
            inferer = SlidingWindowInferer2d(detector, 128, 0.5, execution=execution)
        results.append(inferer(image_with(WIDTH, HEIGHT, RECTANGLES[:1], background=0.1)))
        passes.append(sum(len(batch) for batch in detector.batches))
    assert passes[0] < passes[1]
    assert all(torch.equal(results[0][key], results[1][key]) for key in results[0])


def test_windows_overlap_reach_the_border_and_have_one_size() -> None:
    detector = RectangleDetector()
    execution = Execution(batch_size=1, skip_empty=False)
    SlidingWindowInferer2d(detector, 128, 0.25, execution=execution)(_image())
    # ceil((300 − 128) / 96) + 1 = 3 columns, ceil((420 − 128) / 96) + 1 = 5 rows
    assert detector.batches == [[(128, 128)]] * 15


def test_an_image_smaller_than_the_window_is_shown_whole() -> None:
    detector = RectangleDetector()
    found = SlidingWindowInferer2d(detector, 512)(_image())
    assert detector.batches == [[(420, 300)]]
    assert found["box"].tolist() == BOXES


def test_candidates_are_clipped_to_the_image_and_those_outside_go() -> None:
    detector = FixedDetector([[-10, 5, 500, 50], [430, 10, 440, 20], [7, 7, 7, 9]], [0.9, 0.8, 0.7])
    found = FullImageInferer(detector)(_image())
    assert found["box"].tolist() == [[0, 5, HEIGHT, 50]]


def test_candidates_come_highest_score_first() -> None:
    detector = FixedDetector([[0, 0, 4, 4], [10, 0, 14, 4], [20, 0, 24, 4]], [0.2, 0.9, 0.5], [0, 1, 0])
    found = FullImageInferer(detector)(_image())
    assert found["label_scores"].tolist() == pytest.approx([0.9, 0.5, 0.2])
    assert found["label"].tolist() == [1, 0, 0]


def test_the_detector_returns_to_the_mode_it_was_in() -> None:
    detector = RectangleDetector()
    detector.train()
    FullImageInferer(detector)(_image())
    assert detector.training
    detector.eval()
    FullImageInferer(detector)(_image())
    assert not detector.training


def test_autocast_is_on_when_asked_and_a_callers_is_left_alone() -> None:
    detector = RectangleDetector()
    plain, amp = FullImageInferer(detector), FullImageInferer(detector, execution=Execution(precision="bf16"))
    plain(_image())
    amp(_image())
    with torch.autocast("cpu", torch.bfloat16):
        plain(_image())
    assert [is_on for _, is_on in detector.calls] == [False, True, True]


def test_channels_last_changes_the_layout_of_the_weights_only() -> None:
    detector = RectangleDetector()
    detector.network = torch.nn.Conv2d(4, 8, 3)
    before = detector.network.weight.detach().clone()
    FullImageInferer(detector, execution=Execution(channels_last=True))
    weight = detector.network.weight
    assert weight.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(weight, before)


def test_no_gradient_is_kept() -> None:
    image = _image().requires_grad_()
    found = FullImageInferer(FixedDetector([[0, 0, 4, 4]], [0.5]))(image)
    assert not any(each.requires_grad or each.is_inference() for each in found.values())


@pytest.mark.parametrize("shape", [(20, 30), (3, 20, 30), (1, 0, 30)])
def test_anything_but_one_grey_image_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"\(1, H, W\), got"):
        SectionsInferer(RectangleDetector())(torch.zeros(shape))


def test_a_detector_that_answers_with_losses_is_named() -> None:
    class Stuck(RectangleDetector):
        def eval(self) -> "Stuck":
            return self

    with pytest.raises(
        TypeError, match="list of 1 predictions from the detector in evaluation mode, got dict"
    ):
        FullImageInferer(Stuck())(_image())


def test_the_factory_makes_each_mode_from_one_set_of_values() -> None:
    values = {"short_side_px": 150, "batch_size": 2, "window_px": 256, "overlap": 0.5, "precision": "bf16"}
    detector = RectangleDetector()
    full, sections, sliding = (
        make_inferer(detector, mode, **values)  # type: ignore[arg-type]  # a bundle's values are not typed either
        for mode in ("full", "sections", "sliding")
    )
    assert isinstance(full, FullImageInferer)
    assert isinstance(sections, SectionsInferer)
    assert isinstance(sliding, SlidingWindowInferer2d)
    assert full.short_side_px == sections.short_side_px == 150
    assert (sliding.window_px, sliding.overlap) == (256, 0.5)
    assert (
        full.execution == sections.execution == sliding.execution == Execution(batch_size=2, precision="bf16")
    )


def test_only_sections_filter_by_size() -> None:
    detector = RectangleDetector()
    limits = [make_inferer(detector, mode).min_area_mm2 for mode in ("full", "sections", "sliding")]
    assert limits == [None, 24.5, None]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda d: make_inferer(d, cast(Any, "patches")),
            "mode must be full, sections, single_pass or sliding, got 'patches'",
        ),
        (lambda d: make_inferer(d, "sliding", window_px=200), "multiple of 128, got 200"),
        (lambda d: make_inferer(d, "sliding", overlap=1.0), r"overlap must be in \[0, 1\), got 1.0"),
        (lambda d: make_inferer(d, "full", batch_size=0), "batch_size must be at least 1, got 0"),
        (lambda d: make_inferer(d, "full", short_side_px=0), "at least 1 px or null, got 0"),
    ],
)
def test_impossible_settings_are_refused(make: Callable[[Detector], Inferer], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(RectangleDetector())


def test_a_section_boundary_leaves_no_gap() -> None:
    # Any place of half a section's size lies whole in some section: the reason for the overlap.
    starts = sorted(set(section_grid(WIDTH, HEIGHT)[:, 0].tolist()))
    assert np.diff(starts).max() <= 50
    assert all(b - a <= 50 for a, b in pairwise(starts))


def test_fp16_without_a_gpu_is_refused_and_never_taken_for_fp32() -> None:
    with pytest.raises(ValueError, match="fp16 needs a CUDA device"):
        make_inferer(RectangleDetector(), precision="fp16")(torch.zeros(1, 64, 96))
