"""The detector: its losses, its batches, mixed precision, and what it refuses."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mammo_monai.networks import Detector, DetectorSettings, retinanet_detector, retinanet_network
from mammo_monai.networks.box_coding import decode_boxes
from mammo_monai.networks.detector import DetectorOptions, MammoRetinaNetDetector
from tests.reference import retinanet_loss

TARGETS = [
    {
        "box": torch.tensor([[10.0, 20.0, 70.0, 60.0], [60.0, 80.0, 100.0, 125.0]]),
        "label": torch.tensor([0, 1]),
    },
    {"box": torch.zeros(0, 4), "label": torch.zeros(0, dtype=torch.int64)},
    {"box": torch.tensor([[30.0, 5.0, 38.0, 12.0]]), "label": torch.tensor([1])},
]


def small_detector(num_classes: int = 2, **settings: Any) -> MammoRetinaNetDetector:
    torch.manual_seed(0)
    network = retinanet_network("resnet18", fpn_channels=32, num_classes=num_classes)
    network.frozen_norm = True
    for layer in (network.classification_head.cls_logits, network.regression_head.bbox_reg):
        layer.weight.data.mul_(5)
    return retinanet_detector(network, **settings)


def images_of(*sizes: tuple[int, int]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.rand((1, *size), generator=generator) for size in sizes]


@pytest.mark.parametrize("box_loss", ["l1", "smooth_l1", "giou"])
def test_losses_of_a_batch_agree_with_the_slow_reference(box_loss: str) -> None:
    detector = small_detector(box_loss=box_loss, focal_alpha=0.3, focal_gamma=1.5).double().train()
    images = [image.double() for image in images_of((100, 128), (128, 90), (64, 64))]
    losses = detector(images, TARGETS)
    logits, offsets = head_outputs(detector, images)
    truth = [{name: value.tolist() for name, value in target.items()} for target in TARGETS]
    expected = retinanet_loss.losses(
        logits.tolist(), offsets.tolist(), detector.anchors[0].tolist(), truth, (0.3, 1.5, box_loss)
    )
    assert isinstance(losses, dict)
    assert losses["classification"].item() == pytest.approx(expected[0], rel=1e-9)
    assert losses["box_regression"].item() == pytest.approx(expected[1], rel=1e-6)


def head_outputs(detector: MammoRetinaNetDetector, images: list[Tensor]) -> tuple[Tensor, Tensor]:
    batch = torch.zeros(len(images), 1, 128, 128, dtype=torch.float64)
    for place, image in zip(batch, images, strict=True):
        place[:, : image.shape[1], : image.shape[2]] = image
    maps = detector.network(batch, [tuple(image.shape[1:]) for image in images])
    return detector._reshape_maps(maps["classification"]), detector._reshape_maps(maps["box_regression"])


@pytest.mark.parametrize("matcher", ["iou", "atss"])
def test_a_batch_of_normal_images_keeps_a_gradient(matcher: str) -> None:
    detector = small_detector(matcher=matcher).train()
    losses = detector(images_of((96, 128), (128, 100)), [TARGETS[1], TARGETS[1]])
    assert isinstance(losses, dict)
    assert losses["box_regression"].item() == 0.0
    sum(losses.values()).backward()  # type: ignore[union-attr]
    heads = detector.network.regression_head, detector.network.classification_head
    gradients = [parameter.grad for head in heads for parameter in head.parameters()]
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)
    assert heads[1].cls_logits.weight.grad.abs().sum() > 0


def test_the_best_anchor_of_a_small_lesion_is_positive() -> None:
    detector = small_detector().train()
    detector(images_of((128, 128)), [TARGETS[2]])
    matched = detector.compute_anchor_matched_idxs(detector.anchors, [TARGETS[2]], [256, 64, 16, 4, 1])[0]
    assert (matched == 0).sum() >= 1


def test_atss_matches_anchors_of_every_lesion() -> None:
    detector = small_detector(matcher="atss").train()
    detector(images_of((128, 256)), TARGETS[:1])
    locations = [512, 128, 32, 8, 2]
    matched = detector.compute_anchor_matched_idxs(detector.anchors, TARGETS[:1], locations)[0]
    assert {0, 1} <= set(matched.tolist())


def test_training_lowers_the_loss() -> None:
    detector = small_detector().train()
    detector.network.frozen_norm = False  # random weights without normalisation diverge
    optimiser = torch.optim.Adam(detector.network.parameters(), lr=1e-3)
    history = []
    for _ in range(6):
        losses = detector(images_of((96, 128)), TARGETS[2:])
        assert isinstance(losses, dict)
        total = losses["classification"] + losses["box_regression"]
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        history.append(total.item())
    assert history[-1] < 0.8 * history[0]


def test_detections_keep_to_the_contract() -> None:
    detector = small_detector(score_threshold=0.0, detections_per_image=40).eval()
    assert isinstance(detector, Detector)
    assert isinstance(detector.network, nn.Module)
    images = images_of((100, 160), (128, 90))
    with torch.no_grad():
        detections = detector(images)
    for image, found in zip(images, detections, strict=True):
        height, width = image.shape[1:]
        boxes, scores, labels = found["box"], found["label_scores"], found["label"]
        assert boxes.shape == (40, 4)
        assert labels.dtype == torch.int64
        assert scores.dtype == torch.float32
        assert torch.equal(scores, scores.sort(descending=True).values)
        assert (boxes >= 0).all()
        assert (boxes <= torch.tensor([height, width, height, width])).all()
        assert boxes[:, 2].max() > 0.9 * height


def test_an_image_is_detected_alike_alone_and_in_a_batch() -> None:
    detector = small_detector(score_threshold=0.0, detections_per_image=40).eval()
    images = images_of((100, 100), (128, 128))
    with torch.no_grad():
        together, alone = detector(images)[0], detector(images[:1])[0]
    torch.testing.assert_close(together["box"], alone["box"], atol=1e-3, rtol=0)


def test_one_tensor_and_a_list_give_the_same_detections() -> None:
    detector = small_detector(score_threshold=0.0, detections_per_image=10).eval()
    images = images_of((128, 256), (128, 256))
    with torch.no_grad():
        assert torch.equal(detector(torch.stack(images))[1]["box"], detector(images)[1]["box"])


def test_nothing_above_the_threshold_gives_empty_detections() -> None:
    with torch.no_grad():
        found = small_detector(score_threshold=0.99).eval()(images_of((128, 160)))[0]
    assert found["box"].shape == (0, 4)
    assert found["label"].shape == found["label_scores"].shape == (0,)


def test_autocast_gives_finite_float32_losses_with_a_gradient() -> None:
    detector = small_detector().train()
    with torch.autocast("cpu", torch.bfloat16):
        losses = detector(images_of((128, 256)), TARGETS[:1])
    assert isinstance(losses, dict)
    assert all(loss.dtype == torch.float32 and loss.isfinite() for loss in losses.values())
    sum(losses.values()).backward()  # type: ignore[union-attr]
    assert all(p.grad is None or p.grad.isfinite().all() for p in detector.parameters())


@torch.no_grad()
def test_autocast_moves_boxes_by_a_few_pixels_and_anchors_not_at_all() -> None:
    detector = small_detector(nms_iou=1.0, score_threshold=0.0, detections_per_image=10**6).eval()
    images = images_of((256, 512))
    with torch.autocast("cpu", torch.bfloat16):
        rough = detector(images)[0]
        boxes_rough = all_boxes(detector, images)
    exact = detector(images)[0]
    fresh = small_detector(nms_iou=1.0, score_threshold=0.0, detections_per_image=10**6).eval()(images)[0]
    assert torch.equal(exact["box"], fresh["box"])
    assert not torch.equal(rough["box"], exact["box"])
    # bfloat16 has 8 bits: offsets of some 0.3 anchor sides are off by 0.1 % of anchors of up to 800 px.
    assert (boxes_rough - all_boxes(detector, images)).abs().max() < 4


def all_boxes(detector: MammoRetinaNetDetector, images: list[Tensor]) -> Tensor:
    offsets = detector._reshape_maps(detector.network(torch.stack(images))["box_regression"])[0]
    return decode_boxes(offsets, detector.anchors[0])


def test_anchors_follow_dtype_and_image_size() -> None:
    detector = small_detector().eval()
    with torch.no_grad():
        detector(images_of((128, 256)))
        first = detector.anchors[0]
        detector(images_of((100, 200)))
        assert detector.anchors[0] is first
        detector(images_of((256, 128)))
        assert detector.anchors[0].shape == first.shape
        assert not torch.equal(detector.anchors[0], first)
        detector.double()([image.double() for image in images_of((256, 128))])
    assert detector.anchors[0].dtype == torch.float64


def test_targets_are_not_changed() -> None:
    target = {"box": torch.tensor([[1, 2, 60, 70]]), "label": torch.tensor([0], dtype=torch.int32)}
    small_detector().train()(images_of((128, 128)), [target])
    assert target["box"].dtype == torch.int64
    assert target["label"].dtype == torch.int32


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (None, "one dict with box and label per image, got none"),
        ([], "got 0 targets for 1 image"),
        ([{"box": torch.ones(2, 4), "label": torch.zeros(1)}], "target 0: 2 boxes but 1 label"),
        ([{"box": torch.tensor([[0.0, 0, 5, 5]]), "label": torch.tensor([2])}], r"labels must lie in 0 … 1"),
        ([{"box": torch.tensor([[5.0, 5, 5, 9]]), "label": torch.tensor([0])}], r"positive height and width"),
        ([{"box": torch.tensor([[0, 0, 5, float("nan")]]), "label": torch.tensor([0])}], "finite corners"),
        # Every anchor overlaps a box far off alike, by nothing: all of them would be positive.
        (
            [{"box": torch.tensor([[4e3, 0, 4e3 + 9, 9]]), "label": torch.tensor([0])}],
            r"image of 64 rows and 9",
        ),
        (
            [{"box": torch.tensor([[0, 96.0, 5, 99]]), "label": torch.tensor([0])}],
            r"got .*96\.0, 5\.0, 99\.0\]",
        ),
        ([{"box": torch.tensor([[-9.0, 0, 0, 9]]), "label": torch.tensor([0])}], "must touch its image"),
    ],
)
def test_targets_that_cannot_be_trained_on_are_refused(targets: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small_detector().train()(images_of((64, 96)), targets)


def test_a_box_that_overhangs_its_image_is_trained_on() -> None:
    target = {"box": torch.tensor([[-5.0, 90, 60, 110]]), "label": torch.tensor([0])}
    detector = small_detector().train()
    losses = detector(images_of((64, 96)), [target])
    assert isinstance(losses, dict)
    matched = detector.compute_anchor_matched_idxs(detector.anchors, [target], [])[0]
    assert 1 <= int((matched >= 0).sum()) < len(matched) / 10


def test_images_of_the_wrong_shape_are_refused() -> None:
    detector = small_detector().eval()
    with pytest.raises(ValueError, match=r"list of \(channels, H, W\) images, at least one, got shapes \[\]"):
        detector([])
    with pytest.raises(ValueError, match=r"got shapes \[\[64, 64\]\]"):
        detector([torch.rand(64, 64)])
    with pytest.raises(ValueError, match=r"shape \(B, 1, H, W\), got \[1, 3, 128, 128\]"):
        detector([torch.rand(3, 64, 64)])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"matcher": "best"}, "matcher must be iou or atss, got 'best'"),
        ({"box_loss": "l2"}, "box_loss must be l1, smooth_l1 or giou, got 'l2'"),
        ({"negative_iou": 0.6}, "negative_iou 0.6 and positive_iou 0.5"),
        ({"size_divisible": 100}, "size_divisible must be a multiple of 32, got 100"),
        ({"octave_scales": 2}, "anchors at each location"),
    ],
)
def test_settings_outside_their_choices_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small_detector(**settings)


def test_too_few_anchor_levels_are_refused() -> None:
    detector = small_detector(anchor_sizes_px=[16, 32]).eval()
    with pytest.raises(ValueError, match="set for 2 levels, the network gave 5"):
        detector(images_of((128, 128)))


def test_options_and_settings_have_the_same_names() -> None:
    assert DetectorOptions.__annotations__.keys() == DetectorSettings.__dataclass_fields__.keys()


def test_settings_come_from_json() -> None:
    text = json.dumps({"anchor_sizes_px": [16, 32, 64, 128, 256], "matcher": "atss", "size_divisible": 32})
    detector = small_detector(**json.loads(text)).eval()
    with torch.no_grad():
        detector(images_of((96, 160)))
    assert detector.anchors[0][0].tolist() == [-6.0, -11.0, 6.0, 11.0]


@torch.no_grad()
def test_monais_sliding_window_runs_on_the_same_detector() -> None:
    detector = small_detector(score_threshold=0.0, detections_per_image=5).eval()
    detector.set_sliding_window_inferer(roi_size=(128, 128), overlap=0.0)
    assert detector(images_of((128, 256)), use_inferer=True)[0]["box"].shape == (5, 4)
