import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mammo_monai.errors import WeightsError
from mammo_monai.inference.dense_head import fit_dense_head, load_dense_head, write_dense_head
from mammo_monai.inference.dense_scores import dense_scores
from mammo_monai.inference.patch_grid import PatchGrid, dense_grid
from mammo_monai.inference.patch_scores import Scores, sliding_scores
from mammo_monai.inference.probability_map import probability_map_inferer
from mammo_monai.networks.classifiers import PatchSettings
from mammo_monai.networks.weight_files import save_state
from tests.inference.patch_fakes import BrightnessNetwork, FakeClassifier

HEIGHT, WIDTH = 80, 112


class PaddedNetwork(BrightnessNetwork):
    """Three convolutions that pad with zeros, so that a patch of its own differs from a part of an image."""

    def __init__(self) -> None:
        super().__init__()
        # Weights files name a network that the package knows.
        self.settings = PatchSettings(backbone="resnet18", patch_px=32)  # type: ignore[assignment]  # a fake
        torch.manual_seed(0)
        layers = [nn.Conv2d(c, 8, 3, stride=2, padding=1) for c in (1, 8, 8)]
        self.body = nn.Sequential(*(each for layer in layers for each in (layer, nn.ReLU())))
        self.last = nn.Linear(8, 2)
        with torch.no_grad():
            for layer in layers:
                layer.bias.fill_(0.2)  # type: ignore[union-attr]  # they have one
            patches = torch.stack([film[:, :32, :32] for film in _films(40, first=200)])
            logits = self.head(self.features(patches))
            self.last.weight *= 2 / logits.std(dim=0, keepdim=True).T
            self.last.bias.sub_(self.head(self.features(patches)).mean(dim=0))
        self.seen.clear()

    def features(self, images: Tensor, *, window_px: int | None = None) -> Tensor:
        self.seen.append(tuple(images.shape))
        found: Tensor = self.body(images)
        return found

    def head(self, windows: Tensor) -> Tensor:
        logits: Tensor = self.last(windows.mean(dim=(2, 3)))
        return logits


def _films(count: int, first: int = 0) -> Iterator[Tensor]:
    for seed in range(first, first + count):
        coarse = torch.rand(1, 1, 10, 14, generator=torch.Generator().manual_seed(seed))
        yield F.interpolate(coarse, (HEIGHT, WIDTH), mode="bilinear")[0].clamp_min(0.01)


def _grid() -> PatchGrid:
    return dense_grid(HEIGHT, WIDTH, patch_px=32, stride_px=8)


def _correlation(one: Scores, other: Scores) -> float:
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


def test_a_fitted_head_brings_dense_scores_to_those_of_padded_patches() -> None:
    network = PaddedNetwork().eval()
    head = fit_dense_head(network, _films(12), n_patches=400)
    assert head.weight.shape == (2, 8, 4, 4)
    assert head.n_patches == 400
    (film,) = _films(1, first=100)
    wanted = np.ones((len(_grid().rows), len(_grid().cols)), dtype=np.bool_)
    with torch.inference_mode():
        exact = sliding_scores(network, film, _grid(), wanted, batch_size=64)
        own = dense_scores(network, film, _grid(), wanted, batch_size=64)
        fitted = dense_scores(network, film, _grid(), wanted, batch_size=64, head_map=head.head_map)
    assert exact.std() > 0.05
    assert _correlation(own, exact) < 0.9
    assert _correlation(fitted, exact) > 0.95
    assert head.correlation > 0.95


def test_without_padding_the_fitted_head_is_the_network_s_own() -> None:
    network = BrightnessNetwork().eval()
    head = fit_dense_head(network, _films(6))
    (film,) = _films(1, first=100)
    with torch.inference_mode():
        features = network.features(film[None])
        own, fitted = (each.softmax(dim=1) for each in (network.head_map(features), head.head_map(features)))
    assert float((own - fitted).abs().max()) < 0.05
    assert head.correlation > 0.999


def test_no_more_images_are_read_and_no_more_patches_taken_than_asked() -> None:
    read = []

    def films() -> Iterator[Tensor]:
        for number, film in enumerate(_films(50)):
            read.append(number)
            yield film

    head = fit_dense_head(BrightnessNetwork(), films(), n_patches=45, per_image=10)
    assert head.n_patches == 45
    assert read == [0, 1, 2, 3, 4]


def test_a_black_image_is_passed_over_and_fewer_than_four_are_too_few() -> None:
    black = torch.zeros(1, HEIGHT, WIDTH)
    head = fit_dense_head(BrightnessNetwork(), [black, *_films(4)], per_image=5)
    assert head.n_patches == 20
    with pytest.raises(ValueError, match="at least four images, got 3"):
        fit_dense_head(BrightnessNetwork(), [black, *_films(3)])


def test_fitting_leaves_the_network_as_it_was() -> None:
    network = BrightnessNetwork().train()
    before = [each.clone() for each in network.parameters()]
    fit_dense_head(network, _films(4), per_image=5)
    assert network.training
    assert all(torch.equal(one, other) for one, other in zip(before, network.parameters(), strict=True))


def test_a_poor_fit_is_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING), torch.no_grad():
        network = BrightnessNetwork()
        network.gain.zero_()  # every patch scores alike: nothing to fit
        head = fit_dense_head(network, _films(4), per_image=3)
    assert head.correlation == -1
    assert "below 0.95: fit on more patches, or predict in mode sliding" in caplog.text


def test_a_saved_head_comes_back_and_knows_its_weights(tmp_path: Path) -> None:
    network = PaddedNetwork()
    path = tmp_path / "dense_head.safetensors"
    head = fit_dense_head(network, _films(6), per_image=20)
    head.save(path, network)
    loaded = load_dense_head(path, network)
    assert torch.equal(loaded.weight, head.weight)
    assert torch.equal(loaded.bias, head.bias)
    assert (loaded.network, loaded.n_patches) == (head.network, head.n_patches)
    assert loaded.correlation == pytest.approx(head.correlation, abs=1e-6)
    with torch.no_grad():
        network.last.bias.add_(1)
    with pytest.raises(WeightsError, match=r"fitted for other weights than the network has\. Fit it again"):
        load_dense_head(path, network)
    save_state({"weight": head.weight}, network.settings, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match="no dense head"):
        load_dense_head(tmp_path / "other.safetensors", network)


def test_the_inferer_takes_the_head_in_mode_dense_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    network = PaddedNetwork()
    path = tmp_path / "dense_head.safetensors"
    head = fit_dense_head(network, _films(8), per_image=40)
    head.save(path, network)
    (film,) = _films(1, first=100)
    classifier = FakeClassifier(network)
    maps = {}
    with caplog.at_level(logging.WARNING):
        for name, mode, file in (("own", "dense", None), ("fitted", "dense", path)):
            inferer = probability_map_inferer(classifier, mode, dense_head=file)  # type: ignore[arg-type]  # literals
            maps[name] = inferer.patch_probabilities(film).values
    assert inferer.dense_correlation == pytest.approx(head.correlation, abs=1e-6)
    assert caplog.text.count("without a dense head") == 1
    missing = tmp_path / "missing.safetensors"
    sliding = probability_map_inferer(classifier, stride_px=8, dense_head=missing)
    exact = sliding.patch_probabilities(film).values
    assert _correlation(maps["fitted"], exact) > 0.95 > _correlation(maps["own"], exact)
    with pytest.raises(WeightsError, match="no such weights file"):
        probability_map_inferer(classifier, "dense", dense_head=missing)


def test_a_bundle_s_step_fits_and_writes_the_head_of_a_data_set(tmp_path: Path) -> None:
    network, path = PaddedNetwork(), tmp_path / "models" / "dense_head.safetensors"
    samples = [{"image": film, "record_id": str(number)} for number, film in enumerate(_films(6))]
    written = write_dense_head(FakeClassifier(network), samples, path, n_patches=80, per_image=20, seed=1)
    loaded = load_dense_head(path, network)
    assert torch.equal(loaded.weight, written.weight)
    assert loaded.n_patches == 80
    again = write_dense_head(FakeClassifier(network), samples, path, n_patches=80, per_image=20, seed=1)
    assert torch.equal(again.weight, written.weight)
