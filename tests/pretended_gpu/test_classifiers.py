"""Classifiers and the probability map on a pretended GPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from mammo_monai.inference import probability_map_inferer
from mammo_monai.inference.dense_head import write_dense_head
from mammo_monai.inference.probability_map_pictures import save_probability_maps
from mammo_monai.inference.whole_image import whole_image_inferer
from mammo_monai.networks import image_classifier, patch_network, whole_image_network
from tests.inference.fakes import sample_of
from tests.pretended_gpu.machine import pretended_gpu


def _film() -> torch.Tensor:
    film = torch.zeros(1, 110, 90)
    film[:, :, :70] = 0.2 + 0.6 * torch.rand(110, 70, generator=torch.Generator().manual_seed(2))
    return film


def _patches() -> Any:
    torch.manual_seed(0)
    return image_classifier(
        patch_network("resnet18", patch_px=32, contrast="patch"), class_weights=[1.0, 3.0]
    )


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_classifier_learns_on_a_gpu_as_on_a_processor(precision: str) -> None:
    classifier = _patches().train()
    images, targets = list(torch.rand(4, 1, 32, 32)), [{"class_index": torch.tensor(n % 2)} for n in range(4)]

    def loss(device: str) -> float:
        classifier.network.to(device)
        with torch.autocast("cuda", dtype=torch.float16, enabled=device != "cpu" and precision == "fp16"):
            found = classifier([each.to(device) for each in images], targets)["classification"]
        found.backward()
        return float(found.detach())

    expected = loss("cpu")
    with pretended_gpu():
        classifier.network.zero_grad()
        assert loss("cuda:0") == pytest.approx(expected, rel=0 if precision == "fp32" else 0.02)


@pytest.mark.parametrize("mode", ["sliding", "dense"])
def test_a_map_of_a_gpu_is_that_of_a_processor(mode: Any, tmp_path: Path) -> None:
    classifier, film = _patches().eval(), _film()
    options: dict[str, Any] = {"stride_px": 32, "where": "candidates" if mode == "sliding" else "breast"}
    if mode == "dense":
        options["dense_head"] = tmp_path / "head.safetensors"
        samples: Any = [{"image": film.flip(axis)} for axis in (0, 1, 2, 1)]
        write_dense_head(classifier, samples, options["dense_head"], n_patches=16, per_image=4)
    expected = probability_map_inferer(classifier, mode, **options).probability_map(film)
    with pretended_gpu():
        classifier.network.to("cuda:0")
        inferer = probability_map_inferer(classifier, mode, **options)
        assert torch.equal(inferer.probability_map(film.to("cuda:0")), expected)
        assert inferer(film.to("cuda:0"))["box"].device.type == "cpu"
        if mode == "dense":
            write_dense_head(classifier, samples, tmp_path / "on_gpu.safetensors", n_patches=16, per_image=4)


def test_maps_are_drawn_of_a_network_on_a_gpu(tmp_path: Path) -> None:
    film = _film()
    Image.fromarray((film[0].numpy() * 255).astype(np.uint8)).save(tmp_path / "film.png")
    classifier, samples = _patches().eval(), [sample_of(film, "ab12", image_path=str(tmp_path / "film.png"))]
    with pretended_gpu():
        classifier.network.to("cuda:0")
        inferer = probability_map_inferer(classifier, "sliding", stride_px=32)
        (picture,) = save_probability_maps(inferer, samples, tmp_path / "maps")
    assert picture.is_file()


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_whole_images_score_as_on_a_processor(precision: Any) -> None:
    torch.manual_seed(0)
    network = whole_image_network("resnet18", patch_px=32, heatmap="softmax", top_widths=[8])
    classifier = image_classifier(network).eval()
    expected = whole_image_inferer(classifier, test_time="mirror")(_film())["image_score"]
    with pretended_gpu():
        network.to("cuda:0")
        inferer = whole_image_inferer(classifier, test_time="mirror", precision=precision, channels_last=True)
        found = inferer(_film().to("cuda:0"))["image_score"]
    assert found.device.type == "cpu"
    assert float(found) == pytest.approx(float(expected), abs=1e-6 if precision == "fp32" else 0.02)
