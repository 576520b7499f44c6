"""Prediction on a pretended GPU: every way of showing an image gives the processor's boxes."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from mammo_monai.inference import Predictor, make_inferer
from mammo_monai.inference.saliency.explain import DetectorExplainer
from mammo_monai.inference.saliency.methods import MethodOptions, SaliencyMethod, saliency_map
from mammo_monai.networks import (
    faster_rcnn_detector,
    faster_rcnn_network,
    retinanet_detector,
    retinanet_network,
)
from tests.engines.conftest import make_sample
from tests.pretended_gpu.machine import pretended_gpu

P2 = {"short_side_px": 64, "window_px": 384}


def _detector(kind: str = "retinanet") -> Any:
    torch.manual_seed(0)
    found = {"score_threshold": 0.0, "detections_per_image": 5}
    if kind == "faster_rcnn":
        network: Any = faster_rcnn_network("resnet18", fpn_channels=16, representation_size=16)
        few: dict[str, Any] = {"rpn_topk_per_level_train": 50, "rpn_proposals_train": 50, "rpn_proposals": 20}
        return faster_rcnn_detector(network, **few, **found).eval()
    return retinanet_detector(retinanet_network("resnet18", fpn_channels=32, head_norm="gn8"), **found).eval()


def _image() -> torch.Tensor:
    image = torch.zeros(1, 120, 100)
    image[:, :30, :20] = torch.rand(30, 20, generator=torch.Generator().manual_seed(1))
    return image


@pytest.mark.parametrize(
    ("mode", "options"),
    [
        ("full", {"channels_last": True}),
        ("full", {"test_time": "flips"}),
        ("sections", P2),
        ("single_pass", P2),
    ],
    ids=["full", "heads", "sections", "single pass"],
)
def test_every_mode_gives_the_boxes_of_a_processor(mode: Any, options: dict[str, Any]) -> None:
    detector = _detector()
    expected = make_inferer(copy.deepcopy(detector), mode, **options)(_image())
    with pretended_gpu():
        detector.network.to("cuda:0")
        found = make_inferer(detector, mode, **options)(_image().to("cuda:0"))
        half = make_inferer(detector, "full", precision="fp16")(_image().to("cuda:0"))
    for key, value in expected.items():
        assert found[key].device.type == "cpu"
        # In px: exact with torch 2.15; torch 2.8 convolves in another order where it sees no processor.
        torch.testing.assert_close(found[key], value, rtol=0, atol=1e-3)
    assert torch.isfinite(half["label_scores"]).all()


def test_a_whole_image_is_waited_for_as_often_as_post_processing_says() -> None:
    detector = _detector()
    with pretended_gpu() as machine:
        detector.network.to("cuda:0")
        inferer, image = make_inferer(detector), _image().to("cuda:0")
        inferer(image)
    # Which candidates there are, how many of each level, the suppression; boxes, scores and labels.
    assert machine.waits == {"nonzero": 1, "_to_copy": 4, "nms": 1}


def test_images_go_to_the_gpu_from_page_locked_memory(tmp_path: Path) -> None:
    detector, samples = _detector(), _Samples([make_sample(0)])
    Predictor(make_inferer(detector), samples, tmp_path / "cpu.json").run()
    with pretended_gpu():
        detector.network.to("cuda:0")
        Predictor(make_inferer(detector), samples, tmp_path / "gpu.json", device="cuda:0").run()
    own, other = (
        json.loads((tmp_path / name).read_text())["detections"] for name in ("cpu.json", "gpu.json")
    )
    assert own == other


@pytest.mark.parametrize(
    ("kind", "method"),
    [
        ("retinanet", "gradcam++"),
        ("faster_rcnn", "occlusion"),
    ],
)
def test_a_finding_is_explained_on_a_gpu_as_on_a_processor(kind: str, method: SaliencyMethod) -> None:
    detector, sample = _detector(kind), make_sample(0)
    options = MethodOptions(method, mask_px=128, overlap=0.0)

    def explained() -> Any:
        explainer = DetectorExplainer(make_inferer(detector))
        question = explainer.question(sample, explainer.findings(sample, None)[0])
        return saliency_map(question.target, question.pixels, options)

    expected = explained()
    with pretended_gpu():
        detector.network.to("cuda:0")
        found = explained()
    assert found.score == expected.score
    assert (found.values == expected.values).all()


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_faster_rcnn_learns_on_a_gpu_as_on_a_processor(precision: str) -> None:
    detector, samples = _detector("faster_rcnn").train(), [make_sample(0), make_sample(1, is_normal=True)]

    def losses(device: str) -> dict[str, float]:
        torch.manual_seed(3)
        detector.network.to(device)
        with torch.autocast("cuda", dtype=torch.float16, enabled=device != "cpu" and precision == "fp16"):
            found = detector([each["image"].to(device) for each in samples], samples)
        torch.stack(list(found.values())).sum().backward()
        return {name: float(value.detach()) for name, value in found.items()}

    expected = losses("cpu")
    with pretended_gpu():
        detector.network.zero_grad()
        assert losses("cuda:0") == pytest.approx(expected, rel=0 if precision == "fp32" else 0.05)


class _Samples(list[dict[str, Any]]):
    """A data set that names its images."""

    @property
    def data(self) -> list[dict[str, Any]]:
        return list(self)
