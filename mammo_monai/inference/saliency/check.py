"""A sanity check of saliency: does the map change when the network's weights become random?

Weights are drawn anew from the top down, stage after stage, the earlier ones staying random (cascading). A
map that stays the same explains the image's edges, or the place that was asked about, not what the network
learnt.

Source: Adebayo et al., 2018 (Sanity Checks for Saliency Maps).
"""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from monai.metrics.regression import SSIMMetric
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor, nn

from mammo_monai.inference.saliency.methods import MethodOptions, SaliencyMap, saliency_map
from mammo_monai.inference.saliency.targets import ScoreTarget

logger = logging.getLogger(__name__)
Values = NDArray[np.float32]
TRAINED = "trained"
# No source: a map whose ranks still agree by half is not called dependent on the weights.
MAX_AGREEMENT = 0.5


@dataclass(frozen=True)
class Similarity:
    """How much a map is like the trained network's, over the pixels above the image's darkest.

    Attributes:
        spearman: rank correlation, −1 to 1. pearson: correlation of values. Both are nan where one of the
            maps is constant there: nothing is salient, or everything alike.
        ssim: structural similarity of the whole maps (Wang et al., 2004), at most 1.
    """

    spearman: float
    pearson: float
    ssim: float


@dataclass(frozen=True, eq=False)
class CheckStage:
    """A stage of the cascade: which weights became random last, the map then, and its similarity."""

    name: str
    map: SaliencyMap
    similarity: Similarity


@dataclass(frozen=True, eq=False)
class SanityCheck:
    """The cascade on one image; the first stage is the trained network, the last has no trained weight."""

    stages: tuple[CheckStage, ...]

    @property
    def agreement(self) -> tuple[float, ...]:
        """Absolute rank correlation with the trained map, stage by stage; 0 where a map shows nothing."""
        ranks = (stage.similarity.spearman for stage in self.stages[1:])
        return tuple(0.0 if math.isnan(each) else abs(each) for each in ranks)

    @property
    def depends_on_weights(self) -> bool | None:
        """Whether the map changes at every stage, the first one too: rank agreement below `MAX_AGREEMENT`.

        A map that survives a random head shows the image, however much it changes once all is random. None
        where the trained map shows nothing: nothing can be said.
        """
        if self.stages[0].map.raw_maximum <= 0:
            return None
        return max(self.agreement, default=1.0) < MAX_AGREEMENT


def sanity_check(
    target: ScoreTarget, image: Tensor, options: MethodOptions | None = None, *, seed: int = 0
) -> SanityCheck:
    """Maps of one target with more and more random weights, compared with the trained network's.

    The target's network is left as it is; a copy is made random.

    Args:
        image: (1, H, W) in [0, 1]. seed: of the random weights.

    Raises:
        ValueError: as `saliency_map`, or a network without parameters.
    """
    trained = saliency_map(target, image, options)
    is_breast = (image[0] > image.min()).cpu().numpy()
    stages = [CheckStage(TRAINED, trained, similarity_of(trained.values, trained.values, is_breast))]
    other = copy.deepcopy(target)
    generator = torch.Generator().manual_seed(seed)
    for name, layers in cascade(other.network).items():
        for layer in layers:
            randomise(layer, generator)
        found = saliency_map(other, image, options)
        stages.append(CheckStage(name, found, similarity_of(trained.values, found.values, is_breast)))
        logger.debug("%s random: %s", name, stages[-1].similarity)
    return SanityCheck(tuple(stages))


def similarity_of(trained: Values, other: Values, is_breast: NDArray[np.bool_]) -> Similarity:
    """Similarity of two maps (H, W), the correlations over `is_breast` (H, W)."""
    a, b = trained[is_breast].astype(np.float64), other[is_breast].astype(np.float64)
    spearman = pearson = math.nan
    if min(np.ptp(a, axis=None) if len(a) else 0, np.ptp(b, axis=None) if len(b) else 0) > 0:
        spearman = float(stats.spearmanr(a, b).statistic)
        pearson = float(stats.pearsonr(a, b).statistic)
    both = (torch.from_numpy(each)[None, None] for each in (trained, other))
    ssim = SSIMMetric(spatial_dims=2, data_range=1.0)(*both)
    return Similarity(spearman, pearson, float(ssim))


def cascade(network: nn.Module) -> Mapping[str, Sequence[nn.Module]]:
    """Layers with parameters by stage, top first: a network's own parts, else its children from the last.

    Raises:
        ValueError: no layer has a parameter.
    """
    layers = {name: layer for name, layer in network.named_modules() if _own_parameters(layer)}
    if not layers:
        raise ValueError(f"{type(network).__name__} has no parameter: there is nothing to make random.")
    stages: dict[str, list[nn.Module]] = {}
    for stage, prefixes in _stage_prefixes(network).items():
        members = [name for name in layers if f"{name}.".startswith(prefixes)]
        stages[stage] = [layers.pop(name) for name in members]
    between = "middle" if "middle" in stages else "rest"
    stages[between] = stages.get(between, []) + list(layers.values())
    return {name: members for name, members in stages.items() if members}


def _stage_prefixes(network: nn.Module) -> dict[str, tuple[str, ...]]:
    """Beginnings of layer names by stage; "middle" takes what no other stage does."""
    parts = getattr(network, "parts", None)
    if parts is None:
        return {name: (f"{name}.",) for name, _ in reversed(list(network.named_children()))}
    return {"heads": parts.heads, "neck": parts.neck, "top": parts.top, "middle": (), "stem": parts.stem}


def randomise(layer: nn.Module, generator: torch.Generator) -> None:
    """Draws a layer's own weights anew, in place, as at the start of a training.

    Kernels are normal with He's standard deviation, so that signals neither fade nor burst; biases are 0,
    norms the identity with fresh statistics.
    """
    with torch.no_grad():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            layer.reset_running_stats()
        for name, parameter in layer.named_parameters(recurse=False):
            if parameter.ndim < 2:
                parameter.fill_(1.0 if name == "weight" else 0.0)
            else:
                fan_in = parameter[0].numel()
                drawn = torch.randn(parameter.shape, generator=generator) * math.sqrt(2.0 / fan_in)
                parameter.copy_(drawn)


def _own_parameters(layer: nn.Module) -> bool:
    return any(True for _ in layer.parameters(recurse=False))
