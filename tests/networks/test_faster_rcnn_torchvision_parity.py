"""The same weights in torchvision's Faster R-CNN and in ours give the same boxes and losses."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN
from torchvision.ops import MultiScaleRoIAlign

from mammo_monai.geometry.axes import rowcol_to_xyxy, xyxy_to_rowcol
from mammo_monai.networks import convert_faster_rcnn, faster_rcnn_detector, faster_rcnn_network
from mammo_monai.networks.faster_rcnn_detector import MammoFasterRCNNDetector
from mammo_monai.networks.faster_rcnn_parts import PyramidRoIAlign
from tests.reference.torchvision_faster_rcnn import (
    random_torchvision_faster_rcnn,
    small_torchvision_faster_rcnn,
)

VERSIONS = ("v1", "v2")
# Fewer regions than usual: the second stage of v2 takes most of the time.
FEW = {"rpn_post_nms_top_n_test": 40, "rpn_post_nms_top_n_train": 60}
SIZES = [(120, 90), (100, 128)]  # (height, width), padded to one batch
BOXES = torch.tensor([[10.0, 20.0, 60.0, 80.0], [30.0, 5.0, 38.0, 12.0]])
LABELS = torch.tensor([0, 1])


def our_detector(model: FasterRCNN, in_channels: int = 3, **settings: Any) -> MammoFasterRCNNDetector:
    """Ours with torchvision's weights; epsilons as the model has them, not as its published file."""
    converted = convert_faster_rcnn(model.state_dict())
    facts: dict[str, Any] = {**converted.facts, "bn_eps": 1e-5, "in_channels": in_channels}
    network = faster_rcnn_network(**facts)
    own = network.state_dict()
    network.load_state_dict({**own, **converted.state})
    assert own.keys() - converted.state.keys() == {n for n in own if n.endswith("num_batches_tracked")}
    return faster_rcnn_detector(
        network,
        **{
            "score_threshold": 0.0,
            "detections_per_image": 100,
            "size_divisible": 32,
            "rpn_proposals": 40,
            "rpn_proposals_train": 60,
            **settings,
        },
    ).eval()


def random_images(channels: int = 3, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    generator = torch.Generator().manual_seed(3)
    return [
        torch.rand((channels, *size), generator=generator, dtype=torch.float64).to(dtype) for size in SIZES
    ]


def assert_same_detections(theirs: dict[str, Tensor], ours: dict[str, Tensor]) -> None:
    assert len(theirs["boxes"]) >= 10
    assert len(set(theirs["labels"].tolist())) >= 2
    assert torch.equal(rowcol_to_xyxy(ours["box"]), theirs["boxes"])
    assert torch.equal(ours["label_scores"], theirs["scores"])
    assert torch.equal(ours["label"], theirs["labels"] - 1)


@pytest.mark.parametrize("version", VERSIONS)
@torch.no_grad()
def test_every_box_of_torchvisions_resnet50_model_is_ours_to_the_last_bit(version: str) -> None:
    model = random_torchvision_faster_rcnn(version, rpn_post_nms_top_n_test=20)
    detector = our_detector(model, rpn_proposals=20)
    images = [image[:, :80, :88] for image in random_images()[:1]]
    for theirs, ours in zip(model(images), detector(images), strict=True):
        assert_same_detections(theirs, ours)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@torch.no_grad()
def test_grey_equals_torchvision_on_grey_repeated_three_times(version: str, dtype: torch.dtype) -> None:
    model = small_torchvision_faster_rcnn(version, **FEW).to(dtype)
    detector = our_detector(model, in_channels=1).to(dtype)
    images = random_images(1, dtype)
    for theirs, ours in zip(model([i.expand(3, -1, -1) for i in images]), detector(images), strict=True):
        assert_same_detections(theirs, ours)


@torch.no_grad()
def test_padding_to_other_multiples_is_torchvisions_too() -> None:
    model = small_torchvision_faster_rcnn("v1", **FEW)
    model.transform.size_divisible = 64
    detector = our_detector(model, size_divisible=64)
    images = [image.repeat(1, 2, 1)[:, :150] for image in random_images()]  # 192 px, with 32 it were 160
    for theirs, ours in zip(model(images), detector(images), strict=True):
        assert_same_detections(theirs, ours)


@pytest.mark.parametrize("version", VERSIONS)
def test_losses_equal_torchvisions_with_the_same_draw(version: str) -> None:
    model = small_torchvision_faster_rcnn(version, **FEW)
    detector = our_detector(model)
    model.train()
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.eval()
    detector.network.frozen_norm = True
    detector.train()
    none = torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64)
    truth = ((BOXES, LABELS), none)
    torch.manual_seed(5)
    theirs = model(random_images(), [{"boxes": boxes, "labels": labels + 1} for boxes, labels in truth])
    torch.manual_seed(5)
    ours = detector(
        random_images(), [{"box": xyxy_to_rowcol(boxes), "label": labels} for boxes, labels in truth]
    )
    assert isinstance(ours, dict)
    names = {
        "objectness": "loss_objectness",
        "rpn_box_reg": "loss_rpn_box_reg",
        "classification": "loss_classifier",
        "box_regression": "loss_box_reg",
    }
    assert ours.keys() == names.keys()
    for own, name in names.items():
        assert theirs[name] > 0
        torch.testing.assert_close(ours[own], theirs[name], rtol=1e-6, atol=0)


def test_cut_outs_equal_torchvisions_on_every_level() -> None:
    generator = torch.Generator().manual_seed(2)
    maps = {str(n): torch.rand((2, 3, 512 >> n, 256 >> n), generator=generator) for n in range(4)}
    sides = torch.tensor([5.0, 60.0, 150.0, 300.0, 900.0])  # P2, P2, P3, P4, P5
    corners = torch.rand((5, 2), generator=generator) * 100
    boxes = [torch.cat([corners, corners + sides[:, None]], dim=1), torch.zeros(0, 4)]
    sizes = [(2048, 1024)] * 2
    theirs = MultiScaleRoIAlign(list("0123"), 7, 2)(maps, boxes, sizes)
    ours = PyramidRoIAlign()(maps, boxes, sizes)
    assert PyramidRoIAlign().level_of(boxes).tolist() == [0, 0, 1, 2, 3]
    assert torch.equal(ours, theirs)


def test_strides_are_not_guessed_from_padding() -> None:
    generator = torch.Generator().manual_seed(2)
    maps = {str(n): torch.rand((1, 2, 16 >> n, 16 >> n), generator=generator) for n in range(4)}
    boxes = [torch.tensor([[4.0, 8.0, 36.0, 30.0]])]
    right = MultiScaleRoIAlign(list("0123"), 7, 2)(maps, boxes, [(64, 64)])
    # An image of 40 px, padded to 64.
    assert torch.equal(PyramidRoIAlign()(maps, boxes, [(40, 40)]), right)
    assert not torch.equal(MultiScaleRoIAlign(list("0123"), 7, 2)(maps, boxes, [(40, 40)]), right)
