import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mammo_monai.inference.saliency.check import (
    CheckStage,
    SanityCheck,
    Similarity,
    cascade,
    randomise,
    sanity_check,
    similarity_of,
)
from mammo_monai.inference.saliency.check_files import verdict
from mammo_monai.inference.saliency.methods import MethodOptions, SaliencyMap
from mammo_monai.inference.saliency.targets import ClassScore
from mammo_monai.networks.classifiers.tops import AddedNorm
from tests.inference.saliency_networks import TinyClassifierNetwork, small_detector


def bar_images(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Noise with a bright bar: lying in class 0, standing in class 1."""
    images = 0.3 * torch.rand((n, 1, 24, 32), generator=generator)
    classes = torch.arange(n) % 2
    for image, is_standing in zip(images, classes.tolist(), strict=True):
        start = int(torch.randint(3, 18, (), generator=generator))
        bar = image[0, :, start : start + 3] if is_standing else image[0, start : start + 3]
        bar += 0.7
    return images, classes


@pytest.fixture(scope="module")
def trained() -> TinyClassifierNetwork:
    """Tells standing bars from lying ones."""
    torch.manual_seed(0)
    network, generator = TinyClassifierNetwork(), torch.Generator().manual_seed(5)
    for layer in (network.first, network.second):
        nn.init.kaiming_normal_(layer.weight)
    optimiser = torch.optim.Adam(network.parameters(), 0.02)
    for _ in range(120):
        images, classes = bar_images(16, generator)
        loss = nn.functional.cross_entropy(network(images), classes)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch
        optimiser.step()
    images, classes = bar_images(64, generator)
    assert (network(images).argmax(1) == classes).float().mean() > 0.8
    return network


def test_a_trained_networks_map_changes_with_random_weights(trained: TinyClassifierNetwork) -> None:
    image = bar_images(2, torch.Generator().manual_seed(9))[0][1]
    before = [p.clone() for p in trained.parameters()]
    check = sanity_check(ClassScore(trained, "second"), image, MethodOptions("local_gradcam"), seed=3)
    assert [stage.name for stage in check.stages] == ["trained", "classes", "second", "first"]
    first, last = check.stages[0].similarity, check.stages[-1].similarity
    assert (first.spearman, first.pearson) == pytest.approx((1.0, 1.0))
    assert first.ssim == pytest.approx(1.0)
    assert abs(last.spearman) < 0.5
    assert all(torch.equal(a, b) for a, b in zip(before, trained.parameters(), strict=True))


def test_unchanged_weights_agree_entirely(
    trained: TinyClassifierNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mammo_monai.inference.saliency.check.randomise", lambda *_: None)
    image = bar_images(2, torch.Generator().manual_seed(9))[0][1]
    check = sanity_check(ClassScore(trained, "second"), image, MethodOptions("guided_backprop"))
    for stage in check.stages:
        assert stage.similarity.spearman == pytest.approx(1.0)
        assert stage.similarity.ssim == pytest.approx(1.0)
    assert check.depends_on_weights is False
    assert verdict([check]) == (
        "the map depends on the weights for 0 of 1 finding checked (mean rank agreement 1.00 once the "
        "classes are random, 1.00 once all weights are; below 0.5 at every stage counts as dependent)"
    )


def test_the_cascade_takes_every_layer_once_from_the_top() -> None:
    network = small_detector().network
    stages = cascade(network)
    assert list(stages) == ["heads", "neck", "top", "middle", "stem"]
    taken = [id(layer) for layers in stages.values() for layer in layers]
    owners = [id(each) for each in network.modules() if list(each.parameters(recurse=False))]
    assert sorted(taken) == sorted(owners)
    with pytest.raises(ValueError, match="Flatten has no parameter"):
        cascade(nn.Flatten())


def test_random_weights_are_those_of_a_fresh_start() -> None:
    generator = torch.Generator().manual_seed(0)
    convolution, norm = nn.Conv2d(50, 80, 3), nn.BatchNorm2d(7)
    nn.init.constant_(convolution.weight, 9.0)
    nn.init.constant_(norm.weight, 9.0)
    norm.running_mean = torch.full((7,), 3.0)
    randomise(convolution, generator)
    randomise(norm, generator)
    # 36 000 numbers: their SD is known within 0.4 %.
    assert float(convolution.weight.std()) == pytest.approx(math.sqrt(2 / 450), rel=0.02)
    assert convolution.bias is not None
    assert not convolution.bias.any()
    assert norm.weight.tolist() == [1.0] * 7
    assert norm.running_mean.tolist() == [0.0] * 7


def test_norms_of_added_layers_become_fresh_too() -> None:
    norm = AddedNorm(7)
    norm.running_mean = torch.full((7,), 3.0)
    randomise(norm, torch.Generator())
    assert norm.running_mean.tolist() == [0.0] * 7


def test_a_map_of_nothing_has_no_correlation() -> None:
    values = np.random.default_rng(0).random((20, 30), dtype=np.float32)
    found = similarity_of(values, np.zeros_like(values), np.ones(values.shape, dtype=bool))
    assert math.isnan(found.spearman)
    assert math.isnan(found.pearson)
    nothing = SaliencyMap(np.zeros_like(values), 0.0, 0.1, "gradcam")
    something = SaliencyMap(values, 1.0, 0.1, "gradcam")
    assert SanityCheck((CheckStage("trained", nothing, found),)).depends_on_weights is None
    changed = SanityCheck((CheckStage("trained", something, found), CheckStage("all", nothing, found)))
    assert changed.depends_on_weights is True
    assert changed.agreement == (0.0,)


def test_a_map_that_survives_a_random_head_does_not_depend_on_the_weights() -> None:
    shown = SaliencyMap(np.ones((2, 3), dtype=np.float32), 1.0, 0.1, "guided_backprop")
    ranks = {"trained": 1.0, "heads": 0.99, "stem": 0.1}
    stages = tuple(CheckStage(name, shown, Similarity(rank, 0.0, 0.0)) for name, rank in ranks.items())
    assert SanityCheck(stages).depends_on_weights is False
    assert SanityCheck((stages[0], stages[2])).depends_on_weights is True


def test_background_does_not_count_as_agreement() -> None:
    rng = np.random.default_rng(1)
    is_breast = np.zeros((20, 30), dtype=bool)
    is_breast[:, :10] = True
    a, b = (np.where(is_breast, rng.random((20, 30)), 0).astype(np.float32) for _ in range(2))
    assert abs(similarity_of(a, b, is_breast).spearman) < 0.2
    assert similarity_of(a, b, np.ones_like(is_breast)).spearman > 0.8
