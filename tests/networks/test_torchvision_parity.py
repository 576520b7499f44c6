"""The same weights in torchvision's RetinaNet and in ours give the same head maps, boxes and losses."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torchvision.models.detection import RetinaNet
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.retinanet import _default_anchorgen

from mammo_monai.geometry.axes import rowcol_to_xyxy, xyxy_to_rowcol
from mammo_monai.networks import convert_state_dict, retinanet_detector, retinanet_network
from mammo_monai.networks.anchors import GridAnchors
from mammo_monai.networks.detector import MammoRetinaNetDetector
from tests.reference.torchvision_retinanet import NETWORK_KWARGS, random_torchvision_retinanet

# float64: the same operations on the same numbers, 1e-5 px leaves room for another order of additions.
# float32: a box of 500 px carries rounding of 1e-4 px per operation.
BOX_TOLERANCE_PX = {torch.float64: 1e-5, torch.float32: 1e-2}
# Sizes (height, width): a multiple of 128, and 416 px, where P6 and P7 get strides 59 and 104.
STRIDES = (8, 16, 32, 64, 128)
SIZES = {128: [(256, 128), (200, 100)], 32: [(96, 416), (90, 300)]}


def our_detector(model: RetinaNet, version: str, **settings: Any) -> MammoRetinaNetDetector:
    kwargs: dict[str, Any] = {"num_classes": 3, "in_channels": 3, **NETWORK_KWARGS[version]}
    network = retinanet_network("resnet50", **kwargs)
    converted = convert_state_dict(model.state_dict())
    own = network.state_dict()
    network.load_state_dict({**own, **converted.state})
    assert own.keys() - converted.state.keys() == {n for n in own if n.endswith("num_batches_tracked")}
    return retinanet_detector(network, score_threshold=0.0, detections_per_image=1000, **settings).eval()


def random_images(sizes: list[tuple[int, int]], dtype: torch.dtype, channels: int = 3) -> list[Tensor]:
    generator = torch.Generator().manual_seed(3)
    return [
        torch.rand((channels, *size), generator=generator, dtype=torch.float64).to(dtype) for size in sizes
    ]


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("size_divisible", [128, 32])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@torch.no_grad()
def test_every_box_equals_torchvisions(version: str, size_divisible: int, dtype: torch.dtype) -> None:
    model = random_torchvision_retinanet(version, size_divisible=size_divisible).to(dtype)
    detector = our_detector(model, version, size_divisible=size_divisible).to(dtype)
    images = random_images(SIZES[size_divisible], dtype)
    for theirs, ours in zip(model(images), detector(images), strict=True):
        assert len(theirs["boxes"]) >= 200
        torch.testing.assert_close(ours["label_scores"], theirs["scores"], atol=1e-6, rtol=0)
        torch.testing.assert_close(ours["label"], theirs["labels"])
        boxes = rowcol_to_xyxy(ours["box"])
        torch.testing.assert_close(boxes, theirs["boxes"], atol=BOX_TOLERANCE_PX[dtype], rtol=0)
        assert len(set(theirs["labels"].tolist())) >= 2


@pytest.mark.parametrize("version", ["v1", "v2"])
@torch.no_grad()
def test_head_maps_equal_torchvisions(version: str) -> None:
    model = random_torchvision_retinanet(version)
    detector = our_detector(model, version)
    images = torch.stack(random_images([(128, 256)], torch.float32))
    normalised, _ = model.transform(list(images))
    theirs = model.head(list(model.backbone(normalised.tensors).values()))
    maps = detector.network(images)
    logits = detector._reshape_maps(maps["classification"])
    offsets = rowcol_to_xyxy(detector._reshape_maps(maps["box_regression"]))
    assert theirs["cls_logits"].std() > 0.5
    torch.testing.assert_close(logits, theirs["cls_logits"], atol=1e-5, rtol=0)
    torch.testing.assert_close(offsets, theirs["bbox_regression"], atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", [(256, 128), (96, 416), (160, 1056)])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_anchors_equal_torchvisions_bit_for_bit(size: tuple[int, int], dtype: torch.dtype) -> None:
    images = torch.zeros(1, 1, *size)
    maps = [torch.zeros(1, 1, -(-size[0] // stride), -(-size[1] // stride)).to(dtype) for stride in STRIDES]
    theirs = _default_anchorgen()(ImageList(images, [size]), maps)[0]
    ours = GridAnchors()(images, maps)[0]
    assert ours.dtype == dtype
    assert torch.equal(rowcol_to_xyxy(ours), theirs)


@pytest.mark.parametrize(("version", "box_loss"), [("v1", "l1"), ("v2", "giou")])
def test_losses_of_one_image_equal_torchvisions(version: str, box_loss: str) -> None:
    model = random_torchvision_retinanet(version)
    detector = our_detector(model, version, box_loss=box_loss)
    images = random_images([(200, 128)], torch.float32)
    boxes = torch.tensor([[20.0, 30.0, 90.0, 120.0], [5.0, 100.0, 40.0, 190.0], [60.0, 60.0, 64.0, 66.0]])
    labels = torch.tensor([0, 2, 1])
    model.train()
    model.backbone.eval()  # the batch norms' statistics
    detector.network.frozen_norm = True
    detector.train()
    theirs = model(images, [{"boxes": boxes, "labels": labels}])
    ours = detector(images, [{"box": xyxy_to_rowcol(boxes), "label": labels}])
    torch.testing.assert_close(ours["classification"], theirs["classification"], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(ours["box_regression"], theirs["bbox_regression"], atol=1e-5, rtol=1e-5)
    assert theirs["bbox_regression"] > 0.1


@torch.no_grad()
def test_grey_equals_torchvision_on_grey_repeated_three_times() -> None:
    model = random_torchvision_retinanet("v1")
    colour = our_detector(model, "v1")
    grey_network = retinanet_network("resnet50", num_classes=3, **NETWORK_KWARGS["v1"])  # type: ignore[arg-type]
    grey_network.load_state_dict(colour.network.state_dict())
    grey = retinanet_detector(grey_network, score_threshold=0.0, detections_per_image=1000).eval()
    images = random_images([(100, 128), (128, 60)], torch.float32, channels=1)
    for ours, theirs in zip(grey(images), model([i.expand(3, -1, -1) for i in images]), strict=True):
        torch.testing.assert_close(rowcol_to_xyxy(ours["box"]), theirs["boxes"], atol=1e-2, rtol=0)
