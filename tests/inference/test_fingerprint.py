import copy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.transforms import Compose, RandFlipd, ScaleIntensityd
from torch import nn

from mammo_monai.inference import Execution, FullImageInferer, SectionsInferer
from mammo_monai.inference.fingerprint import describe, fingerprint
from mammo_monai.networks import retinanet_detector, retinanet_network
from mammo_monai.records import Laterality
from tests.inference.fakes import RectangleDetector, image_with


@dataclass(frozen=True)
class Values:
    a: object


def _seeded(seed: int = 0, threshold: float = 0.3) -> RectangleDetector:
    torch.manual_seed(seed)
    return RectangleDetector(threshold)


def test_equal_settings_and_weights_have_one_fingerprint() -> None:
    assert fingerprint(SectionsInferer(_seeded())) == fingerprint(SectionsInferer(_seeded()))


@pytest.mark.parametrize(
    "other",
    [
        lambda: FullImageInferer(_seeded()),
        lambda: SectionsInferer(_seeded(), short_side_px=601),
        lambda: SectionsInferer(_seeded(), execution=Execution(precision="bf16")),
        lambda: SectionsInferer(_seeded(seed=1)),
        lambda: SectionsInferer(_seeded(threshold=0.4)),
    ],
)
def test_inferer_settings_and_weights_change_the_fingerprint(other) -> None:  # type: ignore[no-untyped-def]
    assert fingerprint(SectionsInferer(_seeded())) != fingerprint(other())


def test_a_transforms_settings_change_the_fingerprint() -> None:
    def chain(most: float) -> Compose:
        return Compose([ScaleIntensityd("image", maxv=most), RandFlipd("image", prob=0.0)])

    assert fingerprint(chain(1.0)) == fingerprint(chain(1.0))
    assert fingerprint(chain(1.0)) != fingerprint(chain(255.0))


def test_use_of_a_detector_does_not_change_its_fingerprint() -> None:
    network = retinanet_network("resnet18", fpn_channels=32)
    inferer = FullImageInferer(retinanet_detector(network))
    before = fingerprint(inferer)
    inferer(image_with(160, 96, [], background=0.5))
    for is_training in (True, False):
        inferer.detector.train(is_training)
        assert fingerprint(inferer) == before
    other = FullImageInferer(retinanet_detector(copy.deepcopy(network), score_threshold=0.2))
    assert fingerprint(other) != before


def test_one_weight_in_low_precision_counts() -> None:
    layer = nn.Linear(3, 2).to(torch.bfloat16)
    before = fingerprint(layer)
    with torch.no_grad():
        layer.weight[1, 2] += 1
    assert fingerprint(layer) != before


def test_description_is_plain_and_without_addresses() -> None:
    described = describe(
        {
            "path": Path("a/b"),
            "enum": Laterality.LEFT,
            "class": Values,
            "function": sorted,
            "set": {2, 1},
            "tuple": (1, None, 2.5),
            "values": Values(3),
            "random": np.random.RandomState(0),
            "dtype": torch.float32,
            "own": describe,
        }
    )
    assert described == {
        "path": "a/b",
        "enum": "Laterality.LEFT",
        "class": f"{__name__}.Values",
        "function": "builtins.sorted",
        "set": ["1", "2"],
        "tuple": [1, None, 2.5],
        "values": {"class": f"{__name__}.Values", "a": 3},
        "random": {"class": "numpy.random.mtrand.RandomState"},
        "dtype": "torch.float32",
        "own": "mammo_monai.inference.fingerprint.describe",
    }


def test_arrays_count_by_shape_kind_and_bytes() -> None:
    array = np.arange(6.0).reshape(2, 3)
    alike = [describe(array), describe(array.copy()), describe(np.asfortranarray(array))]
    assert len(set(map(str, alike))) == 1
    assert len({str(describe(each)) for each in (array, array.T, array.astype("f4"), array + 1)}) == 4
    assert describe(np.float32(2)) == describe(np.array(2.0, dtype="f4"))


def test_objects_that_hold_themselves_end() -> None:
    loop: list[object] = []
    loop.append(loop)
    assert describe(loop) == ["builtins.list"]
