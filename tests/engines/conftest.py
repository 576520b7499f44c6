"""A tiny detector, images with a bright square, and a loader whose order depends on the epoch alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from mammo_monai.geometry import Flip, ImageFrame
from mammo_monai.networks import retinanet_detector, retinanet_network

WIDTH, HEIGHT = 128, 256


def make_sample(index: int, *, is_normal: bool = False) -> dict[str, Any]:
    """A mirrored film with one bright square, in the form the transforms give."""
    random = np.random.default_rng(index)
    image = random.uniform(0, 0.2, (1, HEIGHT, WIDTH)).astype(np.float32)
    frame = ImageFrame(WIDTH, HEIGHT).then(Flip(WIDTH))
    boxes = np.zeros((0, 4))
    if not is_normal:
        x, y = random.integers(8, WIDTH - 48), random.integers(8, HEIGHT - 48)
        image[0, y : y + 40, x : x + 40] += 0.7
        boxes = np.array([[x, y, x + 40.0, y + 40.0]])
    return {
        "image": torch.from_numpy(image),
        "box": torch.tensor(boxes[:, [1, 0, 3, 2]], dtype=torch.float32).reshape(-1, 4),
        "label": torch.zeros(len(boxes), dtype=torch.int64),
        "box_original": frame.to_original(boxes),
        "label_original": np.zeros(len(boxes), dtype=np.int64),
        "record_id": f"{index:016x}",
        "patient_id": f"p{index}",
        "image_path": f"{index}.png",
        "pixel_spacing_mm": None,
        "frame": frame,
    }


class EpochLoader:
    """Batches of two, shuffled by the epoch; augmentation is noise drawn from torch's generator."""

    def __init__(self, samples: list[dict[str, Any]], *, noise: float = 0.0) -> None:
        self.samples, self.noise, self.epoch = samples, noise, 0

    def __len__(self) -> int:
        return len(self.samples) // 2

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self) -> Any:
        order = np.random.default_rng(self.epoch).permutation(len(self.samples))
        for start in range(0, len(order) - 1, 2):
            batch = [dict(self.samples[n]) for n in order[start : start + 2]]
            for sample in batch:
                sample["image"] = sample["image"] + self.noise * torch.randn_like(sample["image"])
            yield batch


@pytest.fixture
def make_detector() -> Any:
    """A function that builds the same tiny detector every time."""

    def make() -> Any:
        torch.manual_seed(0)
        network = retinanet_network("resnet18", fpn_channels=32, head_norm="gn8")
        return retinanet_detector(network, score_threshold=0.0)

    return make
