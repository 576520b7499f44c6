"""The Faster R-CNN detector: its contract, losses, precision, inferers, freezing, and what it refuses."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mammo_monai.engines import distributed_model, leave_process_group
from mammo_monai.engines.optimisation import epochs_for, make_optimizer
from mammo_monai.inference import FullImageInferer, SectionsInferer
from mammo_monai.inference.test_time import AugmentedInferer
from mammo_monai.networks import (
    Detector,
    FasterRCNNDetectorSettings,
    FasterRCNNSettings,
    apply_freezing,
    faster_rcnn_detector,
    faster_rcnn_network,
    retinanet_network,
    training_settings,
)
from mammo_monai.networks.architectures import settings_from, settings_text
from mammo_monai.networks.faster_rcnn_detector import MammoFasterRCNNDetector
from mammo_monai.networks.faster_rcnn_parts import PyramidRoIAlign
from mammo_monai.networks.faster_rcnn_stages import FasterRCNNDetectorOptions

NORMAL = {"box": torch.zeros(0, 4), "label": torch.zeros(0, dtype=torch.int64)}
LESIONS = {
    "box": torch.tensor([[10.0, 20.0, 70.0, 60.0], [60.0, 80.0, 100.0, 125.0]]),
    "label": torch.tensor([0, 0]),
}
LOSSES = {"objectness", "rpn_box_reg", "classification", "box_regression"}


def small_detector(version: Any = "v1", num_classes: int = 1, **settings: Any) -> MammoFasterRCNNDetector:
    torch.manual_seed(0)
    network = faster_rcnn_network(
        "resnet18", num_classes=num_classes, version=version, fpn_channels=16, representation_size=32
    )
    few = {"rpn_proposals": 40, "rpn_proposals_train": 60, "roi_samples": 40}
    return faster_rcnn_detector(network, **{**few, **settings})


def images_of(*sizes: tuple[int, int]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.rand((1, *size), generator=generator) for size in sizes]


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_batch_of_normal_images_trains_every_part_without_a_box_loss(version: str) -> None:
    detector = small_detector(version).train()
    losses = detector(images_of((96, 128), (120, 70)), [NORMAL, NORMAL])
    assert isinstance(losses, dict)
    assert losses.keys() == LOSSES
    assert losses["rpn_box_reg"].item() == losses["box_regression"].item() == 0.0
    torch.stack(list(losses.values())).sum().backward()
    gradients = {name: each.grad for name, each in detector.network.named_parameters()}
    assert all(each is not None and each.isfinite().all() for each in gradients.values())
    assert gradients["roi_heads.box_predictor.bbox_pred.weight"].abs().sum() == 0
    assert gradients["roi_heads.box_predictor.cls_score.weight"].abs().sum() > 0


def test_training_lowers_the_loss() -> None:
    detector = small_detector().train()
    optimiser = torch.optim.Adam(detector.network.parameters(), lr=1e-3)
    history = []
    for _ in range(6):
        losses = detector(images_of((96, 128), (120, 100)), [LESIONS, NORMAL])
        assert isinstance(losses, dict)
        total = torch.stack(list(losses.values())).sum()
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        history.append(total.item())
    assert history[-1] < 0.8 * history[0]


def test_detections_keep_to_the_contract() -> None:
    detector = small_detector(num_classes=2, score_threshold=0.0, detections_per_image=60).eval()
    assert isinstance(detector, Detector)
    assert isinstance(detector.network, nn.Module)
    images = images_of((100, 160), (128, 90))
    with torch.no_grad():
        detections = detector(images)
    for image, found in zip(images, detections, strict=True):
        height, width = image.shape[1:]
        boxes, scores, labels = found["box"], found["label_scores"], found["label"]
        assert boxes.shape[1] == 4
        assert 10 < len(boxes) <= 60
        assert labels.dtype == torch.int64
        assert scores.dtype == boxes.dtype == torch.float32
        assert set(labels.tolist()) == {0, 1}
        assert torch.equal(scores, scores.sort(descending=True).values)
        assert bool((boxes >= 0).all())
        assert boxes[:, 0::2].max() <= height
        assert boxes[:, 1::2].max() <= width


def test_a_threshold_that_nothing_passes_gives_no_boxes() -> None:
    with torch.no_grad():
        (found,) = small_detector(score_threshold=1.0).eval()(images_of((64, 100)))
    assert found["box"].shape == (0, 4)
    assert found["label_scores"].shape == found["label"].shape == (0,)


def test_boxes_end_at_the_image_not_at_its_padding() -> None:
    detector = small_detector(score_threshold=0.0, detections_per_image=100).eval()
    with torch.no_grad():
        small, large = detector(images_of((64, 100), (128, 192)))
    for found, (height, width) in ((small, (64, 100)), (large, (128, 192))):
        bottom, right = found["box"].amax(dim=0)[2:].tolist()
        assert 0.8 * height < bottom <= height
        assert 0.8 * width < right <= width


def test_bfloat16_moves_boxes_no_further_than_its_features_do() -> None:
    detector = small_detector(score_threshold=0.0).eval()
    images = images_of((128, 192))
    with torch.no_grad():
        exact = detector(images)[0]
        with torch.autocast("cpu", torch.bfloat16):
            rough = detector(images)[0]
            detector.train()
            losses = detector(images, [LESIONS])
    assert rough["box"].dtype == rough["label_scores"].dtype == torch.float32
    assert isinstance(losses, dict)
    assert all(each.dtype == torch.float32 and each.isfinite() for each in losses.values())
    # Anchors in bfloat16 would stand in steps of 1 px from 128 on; decoded boxes then share few corners.
    nearest = (exact["box"][:10, None] - rough["box"][None]).abs().amax(dim=2).amin(dim=1)
    assert nearest.median() < 0.5
    corners = rough["box"][(rough["box"] > 0) & (rough["box"] < 128)]
    assert ((corners - corners.round()).abs() > 1e-3).float().mean() > 0.9


def test_channels_last_gives_the_same_boxes() -> None:
    detector = small_detector("v2", score_threshold=0.0).double().eval()
    images = [image.double() for image in images_of((100, 130))]
    with torch.no_grad():
        before = detector(images)[0]
        detector.network.to(memory_format=torch.channels_last)
        after = detector(images)[0]
    torch.testing.assert_close(after["box"], before["box"], atol=1e-6, rtol=0)


def test_all_inferers_take_it_and_averaged_heads_are_refused() -> None:
    detector = small_detector(score_threshold=0.0)
    (image,) = images_of((128, 96))
    inferers = (
        FullImageInferer(detector),
        SectionsInferer(detector, short_side_px=64),
        AugmentedInferer(detector, test_time="mirror", fusion="boxes"),
    )
    for inferer in inferers:
        found = inferer(image)
        assert len(found["box"]) > 0
        assert found["box"][:, 2].max() <= 128
        assert found["box"][:, 3].max() <= 96
    with pytest.raises(TypeError, match=r'got MammoFasterRCNNDetector\. Use fusion "boxes"'):
        AugmentedInferer(detector, test_time="mirror", fusion="heads")


@pytest.mark.parametrize(
    ("policy", "trained", "frozen"),
    [
        ("all_but_stem", {"feature_extractor.body.layer2", "rpn.head"}, {"feature_extractor.body.layer1"}),
        ("top_and_heads", {"feature_extractor.body.layer4", "feature_extractor.fpn"}, {"body.layer3"}),
        ("heads", {"rpn.head", "roi_heads.box_head"}, {"feature_extractor."}),
        ("classifier", {"box_predictor.cls_score"}, {"bbox_pred", "box_head", "rpn", "feature_extractor"}),
    ],
)
def test_freezing_policies_know_its_parts(policy: Any, trained: set[str], frozen: set[str]) -> None:
    network = small_detector("v2").network
    apply_freezing(network, policy)
    for name, parameter in network.named_parameters():
        if any(part in name for part in frozen):
            assert not parameter.requires_grad, name
        elif any(part in name for part in trained):
            assert parameter.requires_grad, name


def test_the_classifier_is_one_linear_layer() -> None:
    parts = apply_freezing(small_detector().network, "classifier")
    assert parts.n_trained == 2 * 32 + 2


def test_frozen_norms_keep_their_statistics_in_training() -> None:
    detector = small_detector("v2")
    detector.network.frozen_norm = True
    norms = {
        name: value.clone() for name, value in detector.network.state_dict().items() if "running" in name
    }
    assert any("roi_heads" in name for name in norms)
    detector.train()(images_of((64, 96)), [NORMAL])
    after = detector.network.state_dict()
    assert all(torch.equal(after[name], value) for name, value in norms.items())


def test_wrapped_for_several_processes_it_trains_through_the_wrapper(tmp_path: Path) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        detector = small_detector()
        settings = training_settings("coco", "all", 1e-3, frozen_norm=False)
        optimizer = make_optimizer(detector.network, settings, name="sgd")
        wrapped = distributed_model(detector, optimizer, torch.device("cpu"))
        for targets in ([LESIONS], [NORMAL]):
            losses = wrapped.train()(images_of((100, 128)), targets)
            torch.stack(list(losses.values())).sum().backward()
            optimizer.step()
        with torch.no_grad():
            assert isinstance(wrapped.eval()(images_of((64, 80))), list)
    finally:
        leave_process_group()


def test_settings_are_plain_json() -> None:
    settings = FasterRCNNSettings("resnet101", version="v2", roi_aligned=True)
    assert settings_from(settings_text(settings)) == settings
    assert json.loads(settings_text(settings))["architecture"] == "faster_rcnn"
    rule = FasterRCNNDetectorSettings()
    assert FasterRCNNDetectorSettings(**json.loads(json.dumps(asdict(rule)))).anchors_per_location == 3
    assert FasterRCNNDetectorOptions.__annotations__.keys() == asdict(rule).keys()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rpn_negative_iou": 0.8}, "rpn_negative_iou 0.8 and rpn_positive_iou 0.7"),
        ({"roi_samples": 0}, "need roi_samples >= 1"),
        ({"rpn_positive_fraction": 0.0}, "0 < rpn_positive_fraction <= 1"),
        ({"size_divisible": 48}, "multiple of 32, got 48"),
        ({"octave_scales": 3}, "make 9 anchors per location, the network has 3. Set its num_anchors"),
        ({"anchor_sizes_px": [32]}, "set for 1 levels, the network gave 5"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small_detector(**settings).eval()(images_of((64, 96)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"version": "v3"}, "version must be one of v1, v2, got 'v3'"),
        ({"representation_size": 0}, "representation_size must be at least 1, got 0"),
        ({"backbone": "vgg16"}, "backbone must be one of resnet18, .*, got 'vgg16'"),
        ({"backbone": "resnet18", "stride_in_1x1": True}, "needs a bottleneck backbone"),
        ({"backbone": "resnet18", "roi_sampling_ratio": -1}, "roi_sampling_ratio must be 0"),
    ],
)
def test_networks_that_cannot_be_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        faster_rcnn_network(**settings)


def test_another_network_and_unfit_targets_are_refused() -> None:
    with pytest.raises(TypeError, match="faster_rcnn_network, got MammoRetinaNet"):
        faster_rcnn_detector(retinanet_network("resnet18", fpn_channels=16))
    detector = small_detector().train()
    with pytest.raises(ValueError, match="one dict with box and label per image, got none"):
        detector(images_of((64, 96)))
    with pytest.raises(ValueError, match=r"target 0: labels must lie in 0 … 0 \(num_classes 1\), got \[1\]"):
        detector(images_of((64, 96)), [{"box": LESIONS["box"][:1], "label": torch.tensor([1])}])


def test_aligned_cut_outs_lie_half_a_cell_before_torchvisions() -> None:
    ramp = torch.arange(64.0).expand(1, 1, 64, 64)  # the value of a cell is its column
    maps = {str(n): ramp[:, :, : 64 >> n, : 64 >> n] for n in range(4)}
    boxes = [torch.tensor([[40.0, 40.0, 96.0, 96.0]])]  # 14 cells of P2: two per cell of the cut-out
    half_off, exact = (PyramidRoIAlign(is_aligned=each)(maps, boxes, [(256, 256)]) for each in (False, True))
    torch.testing.assert_close(half_off - exact, torch.full_like(exact, 0.5))
    assert exact[0, 0, 0].tolist() == pytest.approx([10.5 + 2 * n for n in range(7)])


def test_epochs_of_a_number_of_batches_are_whole_and_at_least_so_many() -> None:
    assert [epochs_for(n, range(10)) for n in (1, 10, 11)] == [1, 1, 2]
    for iterations, batches in ((0, 10), (5, 0)):
        with pytest.raises(ValueError, match="at least one batch an epoch"):
            epochs_for(iterations, range(batches))
