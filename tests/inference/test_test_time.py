"""Test-time augmentation: exact ways back, anchors that meet, one answer from several passes."""

from __future__ import annotations

import logging
from typing import Any, cast
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from torch import Tensor

from mammo_monai.inference import (
    AugmentedInferer,
    Execution,
    FullImageInferer,
    SectionsInferer,
    make_inferer,
)
from mammo_monai.inference.fingerprint import fingerprint
from mammo_monai.inference.test_time import MIRRORS, Mirror, mean_detections, mean_map
from mammo_monai.networks import retinanet_detector, retinanet_network
from mammo_monai.networks.box_coding import decode_boxes
from mammo_monai.networks.detector import MammoRetinaNetDetector
from tests.inference.fakes import FixedDetector, Rectangle, RectangleDetector, image_with, rowcol

WIDTH, HEIGHT = 300, 420  # no multiples of 128
RECTANGLES: list[Rectangle] = [(10, 14, 40, 50, 0.5), (152, 294, 170, 318, 0.75)]
STRAIGHT, LEFT_RIGHT, TOP_BOTTOM, BOTH = MIRRORS["flips"]


@pytest.fixture(scope="module")
def detector() -> MammoRetinaNetDetector:
    """A small RetinaNet with lively random heads, in float64 so that only true differences show."""
    torch.manual_seed(0)
    network = retinanet_network(
        "resnet18",
        fpn_channels=16,
        num_classes=2,
        num_anchors=3,
        head_norm="gn8",
        input_normalisation="half",
    )
    for layer in (network.classification_head.cls_logits, network.regression_head.bbox_reg):
        layer.weight.data.mul_(5)
    found = retinanet_detector(network, octave_scales=1, score_threshold=0.02, detections_per_image=40)
    return cast(MammoRetinaNetDetector, found.double().eval())


def picture(height: int, width: int) -> Tensor:
    return torch.rand((1, height, width), generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def mirrored_boxes(boxes: Tensor, mirror: Mirror, height: int, width: int) -> Tensor:
    """Boxes (row, col, row, col) by the definition: every corner to the other side."""
    row_min, col_min, row_max, col_max = boxes.T
    if mirror.rows:
        row_min, row_max = height - row_max, height - row_min
    if mirror.cols:
        col_min, col_max = width - col_max, width - col_min
    return torch.stack([row_min, col_min, row_max, col_max], dim=1)


# --- boxes: any detector


@pytest.mark.parametrize("test_time", ["mirror", "flips"])
@pytest.mark.parametrize("batch_size", [1, 3, 4])
def test_a_detector_that_flips_do_not_change_gives_its_boxes_to_the_last_bit(
    test_time: Any, batch_size: int
) -> None:
    execution = Execution(batch_size=batch_size)
    image = image_with(WIDTH, HEIGHT, RECTANGLES)
    found = AugmentedInferer(RectangleDetector(), test_time=test_time, fusion="boxes", execution=execution)(
        image
    )
    plain = FullImageInferer(RectangleDetector())(image)
    assert all(torch.equal(found[key], plain[key]) for key in plain)
    assert [found[key].dtype for key in plain] == [plain[key].dtype for key in plain]


@settings(max_examples=30, deadline=None)
@given(
    corner=st.tuples(st.integers(0, WIDTH - 2), st.integers(0, HEIGHT - 2)),
    side=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    brightness=st.floats(0.3125, 1.0, width=32, exclude_min=True),
)
def test_one_rectangle_anywhere_comes_back_as_one_exact_box(
    corner: tuple[int, int], side: tuple[int, int], brightness: float
) -> None:
    (x, y), (width, height) = corner, side
    box = (x, y, min(x + width, WIDTH), min(y + height, HEIGHT))
    inferer = AugmentedInferer(RectangleDetector(), test_time="flips", fusion="boxes")
    found = inferer(image_with(WIDTH, HEIGHT, [(*box, brightness)]))
    assert found["box"].tolist() == rowcol([box])
    assert found["label_scores"].tolist() == [brightness]


def test_flips_share_one_call_and_sizes_do_not() -> None:
    detector = RectangleDetector()
    inferer = AugmentedInferer(detector, test_time="flips", fusion="boxes", scales=(1.0, 0.5))
    inferer(image_with(WIDTH, HEIGHT, RECTANGLES))
    assert detector.batches == [[(420, 300)] * 4, [(210, 150)] * 4]


@pytest.mark.parametrize("test_time", ["none", "flips"])
def test_sizes_return_boxes_exactly(test_time: Any) -> None:
    # Rectangles on even pixels: whole pixels at half size and at double size.
    inferer = AugmentedInferer(
        RectangleDetector(threshold=0.4), test_time=test_time, fusion="boxes", scales=(1.0, 0.5)
    )
    found = inferer(image_with(WIDTH, HEIGHT, RECTANGLES))
    assert found["box"].tolist() == rowcol([[152, 294, 170, 318], [10, 14, 40, 50]])
    assert found["label_scores"].tolist() == [0.75, 0.5]


def test_a_size_follows_the_asked_short_side() -> None:
    detector = RectangleDetector()
    AugmentedInferer(detector, scales=(1.0, 1.5), short_side_px=150)(image_with(WIDTH, HEIGHT, RECTANGLES))
    assert detector.batches == [[(210, 150)], [(315, 225)]]


def test_what_only_the_straight_pass_marks_keeps_a_quarter_of_its_score() -> None:
    # The detector marks the same corner of whatever it sees: four places of the image.
    found = AugmentedInferer(FixedDetector([[0, 0, 20, 10]], [0.5]), test_time="flips", fusion="boxes")(
        torch.zeros(1, HEIGHT, WIDTH)
    )
    assert sorted(found["box"].tolist()) == sorted(
        [[0, 0, 20, 10], [0, 290, 20, 300], [400, 0, 420, 10], [400, 290, 420, 300]]
    )
    assert found["label_scores"].tolist() == [0.125] * 4


@pytest.mark.parametrize("test_time", ["none", "mirror", "flips"])
def test_a_normal_image_gives_empty_columns(test_time: Any) -> None:
    inferer = AugmentedInferer(RectangleDetector(), test_time=test_time, fusion="boxes", scales=(1.0, 0.8))
    found = inferer(torch.zeros(1, 130, 100))
    assert found["box"].shape == (0, 4)
    assert found["label"].shape == found["label_scores"].shape == (0,)


# --- heads: this package's RetinaNet


@pytest.mark.parametrize("size", [(128, 256), (100, 200), (130, 70)])
def test_the_straight_pass_alone_is_the_detector_to_the_last_bit(
    detector: MammoRetinaNetDetector, size: tuple[int, int]
) -> None:
    image = picture(*size)
    with torch.inference_mode():
        plain = cast(list[dict[str, Tensor]], detector([image]))[0]
        found = mean_detections(detector, image, [STRAIGHT])
    assert len(plain["box"]) > 10
    assert all(torch.equal(found[key], plain[key]) for key in plain)


@pytest.mark.parametrize("mirror", [LEFT_RIGHT, TOP_BOTTOM, BOTH])
def test_a_mirrored_pass_alone_is_the_detector_on_the_mirrored_image(
    detector: MammoRetinaNetDetector, mirror: Mirror
) -> None:
    image = picture(128, 256)
    with torch.inference_mode():
        plain = cast(list[dict[str, Tensor]], detector([mirror.of(image)]))[0]
        found = mean_detections(detector, image, [mirror])
    assert len(plain["box"]) > 10
    assert torch.allclose(found["box"], mirrored_boxes(plain["box"], mirror, 128, 256), atol=1e-6)
    assert torch.allclose(found["label_scores"], plain["label_scores"], atol=1e-9)
    assert torch.equal(found["label"], plain["label"])


@pytest.mark.parametrize("fusion", ["heads", "boxes"])
@pytest.mark.parametrize(
    ("test_time", "mirror"), [("mirror", LEFT_RIGHT), ("flips", TOP_BOTTOM), ("flips", BOTH)]
)
def test_the_answer_to_a_mirrored_image_is_the_mirrored_answer(
    detector: MammoRetinaNetDetector, test_time: Any, mirror: Mirror, fusion: Any
) -> None:
    image = picture(256, 128)
    inferer = AugmentedInferer(detector, test_time=test_time, fusion=fusion)
    found, of_mirrored = inferer(image), inferer(mirror.of(image))
    assert len(found["box"]) > 10
    assert torch.allclose(of_mirrored["box"], mirrored_boxes(found["box"], mirror, 256, 128), atol=1e-6)
    assert torch.allclose(of_mirrored["label_scores"], found["label_scores"], atol=1e-6)
    assert torch.equal(of_mirrored["label"], found["label"])


@pytest.mark.parametrize(
    ("test_time", "size"), [("mirror", (128, 200)), ("flips", (90, 256)), ("flips", (128, 256))]
)
def test_the_mean_goes_over_the_same_anchor_of_every_pass(
    detector: MammoRetinaNetDetector, test_time: Any, size: tuple[int, int]
) -> None:
    image = picture(*size)
    with torch.inference_mode():
        mean_detections(detector, image, MIRRORS[test_time], batch_size=3)
        anchors, expected = detector.anchors[0].clone(), anchors_by_place(detector, image, test_time)
        seen = captured_means(detector, image, test_time)
    assert len(expected) > 2000
    found = {
        tuple(anchor): row
        for anchor, row in zip(anchors.tolist(), torch.cat(seen, dim=1).tolist(), strict=True)
        if np.isfinite(row).all()
    }
    assert set(found) == set(expected)
    means = np.array([np.mean(passes, axis=0) for passes in expected.values()])
    assert_allclose(np.array([found[place] for place in expected]), means, atol=1e-9)


def captured_means(detector: MammoRetinaNetDetector, image: Tensor, test_time: Any) -> tuple[Tensor, Tensor]:
    """Mean logits and mean offsets, one row per anchor, as the selection of boxes receives them."""
    with mock.patch.object(
        detector, "postprocess_detections", wraps=detector.postprocess_detections
    ) as selection:
        mean_detections(detector, image, MIRRORS[test_time])
    maps = selection.call_args.args[0]
    return maps["classification"][0], maps["box_regression"][0]


def anchors_by_place(
    detector: MammoRetinaNetDetector, image: Tensor, test_time: Any
) -> dict[tuple[float, ...], list[list[float]]]:
    """Logits and offsets of every pass by the anchor's place in the straight image, one pass after the other.

    The slow way: each pass alone, its anchors mirrored corner by corner, its offsets found anew from its
    decoded box mirrored corner by corner.
    """
    height, width = 128, 256
    batch = torch.full((1, 1, height, width), 0.5, dtype=torch.float64)  # the mean grey of "half"
    batch[0, :, : image.shape[1], : image.shape[2]] = image
    places: dict[tuple[float, ...], list[list[float]]] = {}
    for mirror in MIRRORS[test_time]:
        mirrored = mirror.of(batch)
        maps = detector.network(mirrored)
        detector.generate_anchors(mirrored, maps)
        logits = detector._reshape_maps(maps["classification"])[0]
        offsets = detector._reshape_maps(maps["box_regression"])[0]
        anchors = detector.anchors[0]
        boxes = mirrored_boxes(decode_boxes(offsets, anchors), mirror, height, width)
        places_of = mirrored_boxes(anchors, mirror, height, width)
        sides = places_of[:, 2:] - places_of[:, :2]
        shift = ((boxes[:, :2] + boxes[:, 2:]) - (places_of[:, :2] + places_of[:, 2:])) / 2 / sides
        rows = torch.cat([logits, shift, offsets[:, 2:]], dim=1).tolist()
        for place, row in zip(places_of.tolist(), rows, strict=True):
            places.setdefault(tuple(place), []).append(row)
    return places


def test_each_channel_of_an_offset_turns_with_its_own_axis() -> None:
    # One cell, one anchor: row, col, height, width of the straight pass and of the one mirrored both ways.
    straight, both = torch.tensor([4.0, 2.0, 1.0, 0.0]), torch.tensor([8.0, 6.0, 3.0, 2.0])
    maps = torch.stack([straight, both]).reshape(2, 4, 1, 1)
    mean = mean_map(maps, [STRAIGHT, BOTH], (2, 2), is_offsets=True)
    assert mean[0, :, 0, 0].tolist() == [4, 2, 1, 0]
    assert mean[0, :, 1, 1].tolist() == [-8, -6, 3, 2]
    assert mean[0, :, 0, 1].tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(("batch_size", "calls"), [(1, [1, 1, 1, 1]), (3, [3, 1]), (4, [4]), (16, [4])])
def test_flips_go_through_the_network_in_batches_of_the_asked_size(
    detector: MammoRetinaNetDetector, batch_size: int, calls: list[int]
) -> None:
    seen: list[int] = []
    stem = detector.network.feature_extractor.body.conv1
    hook = stem.register_forward_hook(lambda _, inputs, output: seen.append(len(inputs[0])))
    image = picture(100, 128)
    with torch.inference_mode():
        whole = mean_detections(detector, image, MIRRORS["flips"])
        seen.clear()
        parts = mean_detections(detector, image, MIRRORS["flips"], batch_size=batch_size)
    hook.remove()
    assert seen == calls
    assert torch.allclose(whole["box"], parts["box"], atol=1e-9)


def test_boxes_stay_inside_an_image_that_is_padded(detector: MammoRetinaNetDetector) -> None:
    found = AugmentedInferer(detector, test_time="flips")(picture(70, 150))
    assert len(found["box"]) > 10
    assert (found["box"] >= 0).all()
    assert (found["box"][:, 2] <= 70).all()
    assert (found["box"][:, 3] <= 150).all()


def test_every_pass_pads_with_mean_grey(detector: MammoRetinaNetDetector) -> None:
    image = picture(100, 200)
    padded = torch.full((1, 128, 256), 0.5, dtype=torch.float64)  # the mean grey of "half"
    padded[:, :100, :200] = image
    small, large = (captured_means(detector, each, "flips") for each in (image, padded))
    assert all(torch.allclose(a, b, atol=1e-12) for a, b in zip(small, large, strict=True))


def test_heads_at_two_sizes_join_as_boxes(detector: MammoRetinaNetDetector) -> None:
    image = picture(128, 128)
    found = AugmentedInferer(detector, test_time="mirror", scales=(1.0, 1.0))(image)
    once = AugmentedInferer(detector, test_time="mirror")(image)
    assert all(torch.equal(found[key], once[key]) for key in once)


WAYS: list[Any] = [("heads", "fp32"), ("heads", "bf16"), ("boxes", "bf16")]


def test_bf16_is_computed_in_bf16_and_stays_near_fp32() -> None:
    torch.manual_seed(0)
    network = retinanet_network("resnet18", fpn_channels=16, head_norm="gn8")
    network.classification_head.cls_logits.weight.data.mul_(5)
    single = retinanet_detector(network, score_threshold=0.0, nms_iou=0.9, detections_per_image=50)
    image = picture(100, 128).float()
    autocast: list[bool] = []
    stem = network.feature_extractor.body.conv1
    hook = stem.register_forward_hook(lambda *_: autocast.append(torch.is_autocast_enabled("cpu")))
    exact, rough, _ = (
        AugmentedInferer(single, test_time="flips", fusion=fusion, execution=Execution(precision=precision))(
            image
        )
        for fusion, precision in WAYS
    )
    hook.remove()
    assert autocast == [False, True, True]
    # bfloat16 keeps 8 bits, over some thirty layers.
    assert rough["label_scores"][0] == pytest.approx(exact["label_scores"][0].item(), rel=0.2)
    assert rough["label_scores"][0] != exact["label_scores"][0]


def test_fp16_without_a_gpu_is_refused(detector: MammoRetinaNetDetector) -> None:
    inferer = AugmentedInferer(detector, test_time="mirror", execution=Execution(precision="fp16"))
    with pytest.raises(ValueError, match="fp16 needs a CUDA device"):
        inferer(picture(64, 96))


def test_the_detector_returns_to_the_mode_it_was_in(detector: MammoRetinaNetDetector) -> None:
    detector.train()
    found = AugmentedInferer(detector, test_time="mirror")(picture(64, 96))
    assert detector.training
    assert not any(each.requires_grad or each.is_inference() for each in found.values())
    detector.eval()


def test_an_image_after_test_time_augmentation_is_detected_as_before(
    detector: MammoRetinaNetDetector,
) -> None:
    # The detector keeps its anchors between calls; those of the larger canvas must not linger.
    image, plain = picture(128, 256), FullImageInferer(detector)
    before = plain(image)
    AugmentedInferer(detector, test_time="flips")(image)
    after = plain(image)
    assert all(torch.equal(before[key], after[key]) for key in before)


# --- the factory, and what is refused


def test_without_augmentation_the_factory_makes_what_it_made() -> None:
    plain = make_inferer(RectangleDetector(), "full", test_time="none", scales=[1.0])
    assert type(plain) is FullImageInferer


def test_the_factory_hands_every_value_on(detector: MammoRetinaNetDetector) -> None:
    inferer = make_inferer(
        detector, test_time="flips", scales=[1, 1.25], fusion="boxes", short_side_px=64, batch_size=2
    )
    assert isinstance(inferer, AugmentedInferer)
    assert (inferer.test_time, inferer.scales, inferer.fusion) == ("flips", (1.0, 1.25), "boxes")
    assert (inferer.short_side_px, inferer.execution) == (64, Execution(batch_size=2))
    assert inferer.min_area_mm2 is None


def test_another_mode_shows_the_image_once_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        sections = make_inferer(RectangleDetector(), "sections", test_time="flips")
    assert isinstance(sections, SectionsInferer)
    assert "test_time and scales work in mode full only" in caplog.text


def test_another_augmentation_is_another_fingerprint(detector: MammoRetinaNetDetector) -> None:
    words: list[Any] = ["none", "mirror", "flips"]
    prints = {fingerprint(make_inferer(detector, test_time=word)) for word in words}
    prints |= {fingerprint(make_inferer(detector, test_time="flips", fusion="boxes"))}
    prints |= {fingerprint(make_inferer(detector, test_time="flips", scales=(1.0, 1.2)))}
    assert len(prints) == 5


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"test_time": "rotate"}, "test_time must be none, mirror, flips, got 'rotate'"),
        ({"test_time": "mirror", "fusion": "logits"}, "fusion must be heads or boxes, got 'logits'"),
        ({"scales": []}, r"scales must be positive numbers, at least one, got \[\]"),
        ({"scales": [1.0, 0.0]}, r"got \[1.0, 0.0\]"),
        ({"scales": [float("nan")]}, r"got \[nan\]"),
        ({"test_time": "mirror", "fusion": "boxes", "short_side_px": 0}, "at least 1 px or null, got 0"),
    ],
)
def test_impossible_settings_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_inferer(RectangleDetector(), **values)


def test_an_unknown_option_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match=r"make_inferer\(\) got an unexpected keyword argument 'batch'"):
        make_inferer(RectangleDetector(), batch=8)  # type: ignore[call-arg]  # a bundle's values are not typed


def test_heads_of_a_foreign_detector_are_refused_with_the_way_out() -> None:
    with pytest.raises(TypeError, match=r'retinanet_detector, got RectangleDetector. Use fusion "boxes"'):
        make_inferer(RectangleDetector(), test_time="flips")


def test_anchors_that_do_not_meet_are_refused(detector: MammoRetinaNetDetector) -> None:
    odd = retinanet_detector(detector.network, octave_scales=1, size_divisible=32)
    with pytest.raises(ValueError, match="multiple of 128, got 32: mirrored anchors would lie elsewhere"):
        make_inferer(odd, test_time="mirror")
