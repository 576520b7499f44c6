"""A small RetinaNet, and a cache folder in which it is exported once for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from mammo_monai.data.phantoms import CACHE_VARIABLE
from mammo_monai.networks import MammoRetinaNet, retinanet_detector, retinanet_network
from mammo_monai.networks.detector import MammoRetinaNetDetector


@pytest.fixture(scope="session")
def network() -> MammoRetinaNet:
    torch.manual_seed(0)
    return retinanet_network("resnet18", fpn_channels=16, head_norm="gn8").eval()


@pytest.fixture(scope="session")
def detector(network: MammoRetinaNet) -> MammoRetinaNetDetector:
    return retinanet_detector(network, score_threshold=0.0, detections_per_image=20).eval()


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CACHE_VARIABLE, str(folder))
        yield folder
