"""NaN in an image or in a network is an error of that image, never an image without findings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mammo_monai.errors import MammoError
from mammo_monai.inference import Inferer, Predictor, make_inferer, probability_map_inferer
from mammo_monai.inference.whole_image import whole_image_inferer
from mammo_monai.networks import (
    faster_rcnn_detector,
    faster_rcnn_network,
    image_classifier,
    patch_network,
    retinanet_detector,
    retinanet_network,
    whole_image_network,
)
from tests.inference.fakes import sample_of

HEIGHT, WIDTH = 150, 140
MODES = ("full", "single_pass", "sliding")


def retinanet(mode: Any) -> Inferer:
    detector = retinanet_detector(retinanet_network("resnet18", fpn_channels=16))
    return make_inferer(detector, mode, window_px=384 if mode == "single_pass" else 128)


def mirrored() -> Inferer:
    detector = retinanet_detector(retinanet_network("resnet18", fpn_channels=16))
    return make_inferer(detector, test_time="mirror")


def faster_rcnn() -> Inferer:
    network = faster_rcnn_network("resnet18", fpn_channels=16, representation_size=8)
    return make_inferer(faster_rcnn_detector(network))


def patch_map(mode: Any) -> Inferer:
    classifier = image_classifier(patch_network("resnet18", patch_px=64))
    return probability_map_inferer(classifier, mode, stride_px=32)


def whole_image() -> Inferer:
    return whole_image_inferer(image_classifier(whole_image_network("resnet18", top_widths=(8,))))


WAYS: dict[str, Callable[[], Inferer]] = {
    **{mode: lambda mode=mode: retinanet(mode) for mode in MODES},  # type: ignore[misc]  # bound now
    "mirrored": mirrored,
    "faster_rcnn": faster_rcnn,
    "map_sliding": lambda: patch_map("sliding"),
    "map_dense": lambda: patch_map("dense"),
    "whole_image": whole_image,
}


def outcome(inferer: Inferer, folder: Path, *, pixel: float = 0.5) -> tuple[int, int]:
    """Images with a result, and images that failed: one is sound, one has this pixel, one is times it."""
    good = torch.rand(1, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0)) / 2 + 0.1
    bad = good.clone()
    bad[0, 70, 60] = pixel
    samples = [sample_of(good, "good"), sample_of(bad, "bad"), sample_of(good * pixel, "all")]
    written = Predictor(inferer, samples, folder / "d.json", on_error="skip").run()
    return written.n_images, written.n_failed


@pytest.mark.parametrize("way", WAYS)
def test_an_image_with_nan_fails_alone(way: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    inferer = WAYS[way]()
    assert outcome(inferer, tmp_path) == (3, 0)
    assert outcome(inferer, tmp_path, pixel=float("nan")) == (1, 2)


@pytest.mark.parametrize("way", ["full", "faster_rcnn", "map_sliding", "whole_image"])
def test_weights_with_nan_fail_on_every_image(way: str, tmp_path: Path) -> None:
    inferer = WAYS[way]()
    model = getattr(inferer, "detector", None) or inferer.classifier  # type: ignore[attr-defined]  # one of the two
    torch.nn.init.constant_(list(model.network.parameters())[-1], float("nan"))
    if way == "full":  # the last weight places boxes, whose anchors need not be candidates
        torch.nn.init.constant_(model.network.classification_head.cls_logits.bias, float("nan"))
    if way == "faster_rcnn":
        torch.nn.init.constant_(model.network.roi_heads["box_predictor"].cls_score.bias, float("nan"))
    assert outcome(inferer, tmp_path) == (0, 3)


def test_a_first_stage_with_nan_proposes_no_image_without_findings() -> None:
    inferer = faster_rcnn()
    network = inferer.detector.network  # type: ignore[attr-defined]  # a FullImageInferer
    torch.nn.init.constant_(network.rpn["head"].cls_logits.bias, float("inf"))
    with pytest.raises(MammoError, match="numbers that are not finite"):
        inferer(torch.zeros(1, HEIGHT, WIDTH))
