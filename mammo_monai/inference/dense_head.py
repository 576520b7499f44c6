"""A linear head for dense passes, fitted without labels so that dense logits are those of single patches.

A patch of its own is padded with zeros by every convolution; in a dense pass the same cells see tissue, and
the network's own head answers otherwise. A linear layer with a weight for every channel **and cell** of the
window learns what padding does at which cell; docs/explanation/probability-map.md measures how well. It has
closed form: ridge regression from dense windows to the logits that the network gives to those patches one by
one. Truth is not asked for.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from mammo_monai.errors import WeightsError
from mammo_monai.inference.dense_scores import dense_windows
from mammo_monai.inference.fingerprint import fingerprint
from mammo_monai.inference.patch_grid import dense_grid, in_breast
from mammo_monai.inference.patch_scores import PatchNetwork, mass_probability, sliding_logits
from mammo_monai.networks.weight_files import read_weights, save_state

if TYPE_CHECKING:
    from mammo_monai.inference.sources import Samples
    from mammo_monai.networks.contract import Classifier

logger = logging.getLogger(__name__)
ENOUGH = 0.95
_RIDGES = (0.01, 0.1, 1.0)  # as a share of the mean squared length of a sample
_LEAST_SD = 1e-4


@dataclass(frozen=True, eq=False)
class DenseHead:
    """A head for feature maps of a network with certain weights.

    Attributes:
        weight: (K, C, cells, cells). bias: (K,).
        network: fingerprint of the network's weights it was fitted for.
        correlation: Pearson's, of mass probabilities of held-out images' patches, dense with single ones.
        n_patches: it rests on.
    """

    weight: Tensor
    bias: Tensor
    network: str
    correlation: float
    n_patches: int

    def head_map(self, features: Tensor) -> Tensor:
        """Logits (B, K, h - cells + 1, w - cells + 1) of every window of a map (B, C, h, w)."""
        return F.conv2d(features.float(), self.weight.to(features.device), self.bias.to(features.device))

    def save(self, path: Path, network: PatchNetwork) -> None:
        """Writes it as .safetensors, whole or not at all."""
        about = {
            "dense_head": self.network,
            "correlation": f"{self.correlation:.6f}",
            "n_patches": str(self.n_patches),
        }
        save_state({"weight": self.weight, "bias": self.bias}, network.settings, path, about)


def load_dense_head(path: Path, network: PatchNetwork) -> DenseHead:
    """The head of a file, if it was fitted for these weights.

    Raises:
        WeightsError: no such file, damaged, none of a dense head, or fitted for other weights.
    """
    file = read_weights(Path(path))
    if "dense_head" not in file.metadata or not {"weight", "bias"} <= file.tensors.keys():
        raise WeightsError(f"{path}: no dense head. Write one with inference.fit_dense_head.")
    if file.metadata["dense_head"] != weights_fingerprint(network):
        raise WeightsError(
            f"{path}: the dense head was fitted for other weights than the network has. "
            "Fit it again after training (inference.fit_dense_head)."
        )
    weight, bias = (cast(Tensor, file.tensors[name]) for name in ("weight", "bias"))
    return DenseHead(
        weight,
        bias,
        file.metadata["dense_head"],
        float(file.metadata["correlation"]),
        int(file.metadata["n_patches"]),
    )


def fit_dense_head(
    network: PatchNetwork,
    images: Iterable[Tensor],
    *,
    n_patches: int = 1000,
    per_image: int = 50,
    batch_size: int = 64,
    seed: int = 0,
) -> DenseHead:
    """Ridge regression from windows of a dense pass to the logits of the same patches shown one by one.

    A quarter of the images chooses the ridge and gives `correlation`; all go into the fit. Give training
    images: at least four. The network is used in evaluation mode and left as it was.

    Args:
        images: (1, H, W) in [0, 1] as the inferer gets them; not read further than `n_patches` asks.
        n_patches: in all; at most `per_image` of an image, drawn among those in the breast.

    Raises:
        ValueError: fewer than four images with breast.
    """
    was_training = cast(nn.Module, network).training
    cast(nn.Module, network).eval()
    with torch.inference_mode():
        parts = _samples(network, images, n_patches, per_image, batch_size, np.random.default_rng(seed))
    cast(nn.Module, network).train(was_training)
    if len(parts) < 4:
        raise ValueError(f"a dense head needs patches of at least four images, got {len(parts)}.")
    held = max(1, len(parts) // 4)
    train, test = _joined(parts[:-held]), _joined(parts[-held:])
    found = [_correlation(_ridge(*train, each), *test) for each in _RIDGES]
    correlation = max(found)
    weight, bias = _ridge(*_joined(parts), _RIDGES[found.index(correlation)])
    n_fitted = sum(len(each[0]) for each in parts)
    logger.info("dense head: %d patches, correlation %.3f on held-out images", n_fitted, correlation)
    if not correlation >= ENOUGH:
        logger.warning(
            "dense maps correlate by %.3f with sliding ones, below %.2f: fit on more patches, or predict in "
            "mode sliding.",
            correlation,
            ENOUGH,
        )
    return DenseHead(weight, bias, weights_fingerprint(network), correlation, n_fitted)


def write_dense_head(
    classifier: Classifier,
    dataset: Samples,
    output: Path | str,
    *,
    n_patches: int = 1000,
    per_image: int = 50,
    seed: int = 0,
) -> DenseHead:
    """Fits a dense head on images of a data set, drawn in random order, and writes it: a step of a bundle.

    Args:
        classifier: of a patch network, with the weights that are to predict.
        dataset: samples with `image` as the inferer gets them; of the training list.
        output: the .safetensors file, for `dense_head` of `probability_map_inferer`.
        n_patches, per_image, seed: see `fit_dense_head`.

    Raises:
        ValueError: see `fit_dense_head`.
        OSError: the file cannot be written.
    """
    network = cast(PatchNetwork, classifier.network)
    device = next(classifier.network.parameters()).device
    order = np.random.default_rng(seed).permutation(len(dataset))
    images = (dataset[int(index)]["image"].to(device) for index in order)
    head = fit_dense_head(network, images, n_patches=n_patches, per_image=per_image, seed=seed)
    head.save(Path(output), network)
    logger.info("wrote %s", output)
    return head


def weights_fingerprint(network: PatchNetwork) -> str:
    """A hash of a network's weights, whatever its mode."""
    return fingerprint(dict(cast(nn.Module, network).state_dict()))


def _samples(
    network: PatchNetwork,
    images: Iterable[Tensor],
    n_patches: int,
    per_image: int,
    batch_size: int,
    rng: np.random.Generator,
) -> list[tuple[Tensor, Tensor]]:
    """Windows (n, C, cells, cells) and logits (n, K) of each image, on the CPU."""
    parts: list[tuple[Tensor, Tensor]] = []
    left = n_patches
    for image in images:
        height, width = image.shape[1:]
        grid = dense_grid(height, width, patch_px=network.settings.patch_px, stride_px=network.stride_px)
        places = np.argwhere(in_breast(grid, image, min_share=0.25))
        if not len(places):
            continue
        chosen = np.sort(rng.permutation(len(places))[: min(per_image, left)])
        wanted = np.zeros((len(grid.rows), len(grid.cols)), dtype=np.bool_)
        wanted[tuple(places[chosen].T)] = True
        logits = sliding_logits(network, image, grid, wanted, batch_size=batch_size)
        parts.append((dense_windows(network, image, grid, wanted).cpu(), logits.cpu()))
        left -= len(chosen)
        if left <= 0:
            break
    return parts


def _joined(parts: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    windows, logits = zip(*parts, strict=True)
    return torch.cat(windows).float(), torch.cat(logits).float()


def _ridge(windows: Tensor, logits: Tensor, ridge: float) -> tuple[Tensor, Tensor]:
    """Weight and bias, by the dual form: samples are fewer than channels × cells.

    Logits are taken about their mean over the classes: probabilities do not depend on it.
    """
    x = windows.flatten(1)
    centre, spread = x.mean(dim=0), x.std(dim=0, correction=0).clamp_min(_LEAST_SD)
    x = (x - centre) / spread
    y = (logits - logits.mean(dim=1, keepdim=True)).double()
    offset = y.mean(dim=0)
    kernel = (x @ x.T).double()
    # At least a whisper: one sample, or equal ones, have no spread at all.
    penalty = ridge * kernel.diagonal().mean() + 1e-9
    dual = torch.linalg.solve(kernel + penalty * torch.eye(len(x), dtype=torch.float64), y - offset)
    weight = (x.T @ dual.float()) / spread[:, None]
    bias = offset.float() - centre @ weight
    return weight.T.reshape(-1, *windows.shape[1:]).contiguous(), bias


def _correlation(head: tuple[Tensor, Tensor], windows: Tensor, logits: Tensor) -> float:
    found, expected = (
        mass_probability(each).numpy() for each in (F.conv2d(windows, *head)[:, :, 0, 0], logits)
    )
    return _pearson(found, expected)


def _pearson(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Pearson's correlation; -1 where one of the two does not vary."""
    if one.std() == 0 or other.std() == 0:
        return -1.0
    return float(np.corrcoef(one, other)[0, 1])
