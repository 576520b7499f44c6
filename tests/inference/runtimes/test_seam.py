"""A detector or classifier on another engine gives what torch gives, at every size, padding included."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from numpy.testing import assert_allclose
from torch import Tensor, nn

from mammo_monai.inference import make_inferer, probability_map_inferer, whole_image_inferer
from mammo_monai.inference.fingerprint import fingerprint
from mammo_monai.inference.runtimes import on_engine, seam
from mammo_monai.inference.runtimes.choice import EngineName
from mammo_monai.inference.runtimes.compiled import compiled_run
from mammo_monai.networks import (
    MammoRetinaNet,
    faster_rcnn_detector,
    faster_rcnn_network,
    image_classifier,
    patch_network,
    whole_image_network,
)
from mammo_monai.networks.detector import MammoRetinaNetDetector

FILE_ENGINES: tuple[EngineName, ...] = ("onnx", "openvino")
# Float32 in another order; boxes are compared in pixels of images of a few hundred.
TOLERANCE = {"rtol": 1e-3, "atol": 2e-3}


@pytest.fixture(autouse=True)
def _quick_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Captures graphs as engine compile does, and leaves the minutes of generating code out."""
    monkeypatch.setattr(seam, "compiled_run", lambda core: compiled_run(core, backend="eager"))


def images(*sizes: tuple[int, int]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.rand((1, *size), generator=generator) for size in sizes]


def answers(model: Any, pixels: list[Tensor]) -> Any:
    with torch.inference_mode():
        return model(pixels)


APART = ((200, 130), (256, 90))  # two images of one batch, each with padding of its own


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize(
    ("engine", "sizes"),
    [
        *((engine, ((256, 128),)) for engine in FILE_ENGINES),
        *((engine, ((384, 256),) * 3) for engine in FILE_ENGINES),
        *((engine, ((40, 300),)) for engine in FILE_ENGINES),
        *((engine, APART) for engine in ("compile", *FILE_ENGINES)),
    ],
)
def test_detections_are_those_of_torch_whatever_the_size_and_padding(
    detector: MammoRetinaNetDetector, engine: EngineName, sizes: tuple[tuple[int, int], ...]
) -> None:
    pixels = images(*sizes)
    expected, found = answers(detector, pixels), answers(on_engine(detector, engine), pixels)
    for one, other in zip(expected, found, strict=True):
        assert_allclose(other["label_scores"], one["label_scores"], **TOLERANCE)
        order, others = (each["box"].sum(dim=1).argsort() for each in (one, other))
        assert_allclose(other["box"][others], one["box"][order], **TOLERANCE)
        assert other["label_scores"].dtype == torch.float32


@pytest.mark.usefixtures("cache")
def test_the_detector_itself_is_left_on_torch(
    detector: MammoRetinaNetDetector, network: MammoRetinaNet
) -> None:
    twin = on_engine(detector, "onnx")
    assert twin is not detector
    assert detector.network is network
    assert on_engine(detector, "torch") is detector


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("engine", FILE_ENGINES)
def test_mirrors_joined_by_their_heads_are_those_of_torch(
    detector: MammoRetinaNetDetector, engine: EngineName
) -> None:
    (image,) = images((200, 140))
    plain, other = (
        make_inferer(detector, test_time="flips", engine=each)(image) for each in ("torch", engine)
    )
    assert_allclose(other["label_scores"], plain["label_scores"], **TOLERANCE)


@pytest.mark.usefixtures("cache")
def test_the_fingerprint_tells_engines_apart_and_holds_the_weights(detector: MammoRetinaNetDetector) -> None:
    changed = copy.deepcopy(detector)
    with torch.no_grad():
        changed.network.classification_head.cls_logits.bias += 1
    of_each = [
        fingerprint(make_inferer(model, engine=engine))  # type: ignore[arg-type]  # one of its words
        for model, engine in ((detector, "torch"), (detector, "onnx"), (detector, "openvino"))
    ]
    assert len(set(of_each)) == 3
    assert fingerprint(make_inferer(detector, engine="onnx")) == of_each[1]
    assert fingerprint(make_inferer(changed, engine="onnx")) != of_each[1]


@pytest.mark.usefixtures("cache")
def test_an_image_without_breast_has_the_same_answer(detector: MammoRetinaNetDetector) -> None:
    empty = torch.zeros((1, 256, 128))
    plain, other = (make_inferer(detector, engine=each)(empty) for each in ("torch", "openvino"))
    assert_allclose(other["label_scores"], plain["label_scores"], **TOLERANCE)


def test_bfloat16_in_openvino_stays_near_float32(detector: MammoRetinaNetDetector, cache: Path) -> None:
    assert cache.is_dir()
    pixels = images((256, 128))
    expected, found = answers(detector, pixels), answers(on_engine(detector, "openvino", "bf16"), pixels)
    # Eight bits of mantissa: scores of about .01 move in their third digit.
    assert_allclose(found[0]["label_scores"], expected[0]["label_scores"], atol=5e-3)


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("engine", ["compile", *FILE_ENGINES])
def test_classifiers_of_patches_and_images_give_what_torch_gives(engine: EngineName) -> None:
    torch.manual_seed(0)
    image = images((200, 150))[0]
    patches = image_classifier(patch_network("resnet18", patch_px=64)).eval()
    whole = image_classifier(whole_image_network("resnet18", top_widths=(16,))).eval()
    for make, model, key in (
        (probability_map_inferer, patches, "label_scores"),
        (whole_image_inferer, whole, "image_score"),
    ):
        plain, other = (make(model, engine=each)(image)[key] for each in ("torch", engine))  # type: ignore[operator]
        assert_allclose(other, plain, **TOLERANCE)


def test_two_stage_networks_are_refused_with_the_reason() -> None:
    network = faster_rcnn_network("resnet18", fpn_channels=16, representation_size=32)
    with pytest.raises(
        TypeError, match=r"got MammoFasterRCNN\. Faster R-CNN's second stage has a size of its"
    ):
        on_engine(faster_rcnn_detector(network), "onnx")


def test_a_network_nobody_knows_is_refused() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = nn.Linear(2, 2)

    with pytest.raises(TypeError, match=r"got Linear\. Take engine torch"):
        on_engine(Model(), "compile")
