"""Which parts of a network a transfer stage trains; a policy is named after what it trains, not freezes."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from torch import nn

from mammo_monai.networks.contract import Network
from mammo_monai.networks.pyramid import batch_norms, check_choice

logger = logging.getLogger(__name__)

FreezingPolicy = Literal["all", "all_but_stem", "top_and_heads", "heads", "classifier"]
POLICIES: tuple[FreezingPolicy, ...] = ("all", "all_but_stem", "top_and_heads", "heads", "classifier")
# A network of random weights does not learn at the rates of fine-tuning (1e-6 … 1e-5).
MIN_RATE_FROM_RANDOM = 1e-4


@dataclass(frozen=True)
class TrainableParts:
    """What is trained: the parameters in the network's order, and how many numbers they hold."""

    policy: FreezingPolicy
    frozen_norm: bool
    n_trained: int
    n_total: int
    parameters: tuple[nn.Parameter, ...] = field(repr=False)

    @property
    def summary(self) -> str:
        """One line for a log."""
        share = 100 * self.n_trained / self.n_total
        norm = "frozen" if self.frozen_norm else "trainable"
        count = f"{self.n_trained:,} of {self.n_total:,} parameters trained ({share:.1f} %)"
        return f"policy {self.policy}: {count}, batch norm {norm}"


@dataclass(frozen=True)
class TrainingSettings:
    """Freezing, learning rate and batch norm that go together with where the weights come from."""

    freeze: FreezingPolicy
    learning_rate: float
    frozen_norm: bool


def apply_freezing(
    network: Network, policy: FreezingPolicy, *, frozen_norm: bool | None = None
) -> TrainableParts:
    """Sets `requires_grad` of every parameter by a policy, replacing any earlier one.

    | policy | trained | where |
    |---|---|---|
    | all | everything | from scratch, ablation |
    | all_but_stem | all but the body up to stride 4 | ImageNet start, torchvision's habit in detection |
    | top_and_heads | the body's last stage (ResNet: layer4), pyramid, heads | stage 1 |
    | heads | the heads (RetinaNet: both) | ablation |
    | classifier | the classification head alone | stage 2 |

    What these parts are called is the network's to say (`Network.parts`).

    Batch norms in frozen parts keep their statistics, also after `.train()`; with `frozen_norm` all of them
    do that weights came for (not those of a pyramid or head drawn anew), and their weights are frozen too.
    Group norms of the heads belong to their head.

    Args:
        network: changed in place.
        policy: one of `POLICIES`.
        frozen_norm: None keeps what the network has (`initialise` sets it).

    Raises:
        ValueError: unknown policy.

    Source: the paper on two-stage transfer learning of RetinaNet. Its stage 1 trains "the classifier and the
    top layers of the convolutional base", its stage 2 the classifier only. It says that "the classifier is
    used for image classification" and names the box regression subnet apart, so `classifier` is the
    classification subnet without the box subnet; `heads` is the other reading.
    """
    check_choice("freezing policy", policy, POLICIES)
    if frozen_norm is not None:
        network.frozen_norm = frozen_norm
    fresh = {network.get_submodule(name) for name in network.fresh_norms or ()}
    kept = [norm for norm in batch_norms(network) if network.frozen_norm and norm not in fresh]
    norms = {id(parameter) for norm in kept for parameter in norm.parameters()}
    is_trained = _chooser(network, policy)
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(is_trained(name) and id(parameter) not in norms)
    network.train(network.training)  # batch norms take their mode from their weights' requires_grad
    trained = tuple(p for p in network.parameters() if p.requires_grad)
    total = sum(p.numel() for p in network.parameters())
    parts = TrainableParts(policy, network.frozen_norm, sum(p.numel() for p in trained), total, trained)
    logger.info("%s", parts.summary)
    return parts


def check_training(policy: str, learning_rate: float) -> None:
    """Refuses a freezing policy that there is not, and a learning rate that nothing can be trained at.

    Raises:
        ValueError: either.
    """
    check_choice("freezing policy", policy, POLICIES)
    if not 0 < learning_rate < math.inf:
        raise ValueError(f"learning_rate must be above 0 and finite, got {learning_rate}.")


def _chooser(network: Network, policy: FreezingPolicy) -> Callable[[str], bool]:
    """Whether the parameter of a name is trained."""
    parts = network.parts
    trained: dict[FreezingPolicy, tuple[str, ...]] = {
        "top_and_heads": (*parts.top, *parts.neck, *parts.heads),
        "heads": parts.heads,
        "classifier": parts.classifier,
    }
    if policy == "all_but_stem":
        return lambda name: not name.startswith(parts.stem)
    prefixes = trained.get(policy, ("",))
    return lambda name: name.startswith(prefixes)


def training_settings(
    init: str, freeze: FreezingPolicy, learning_rate: float, *, frozen_norm: bool = True
) -> TrainingSettings:
    """Freezing policy, learning rate and batch norm for a start from `init`.

    With `init` none there is nothing worth freezing: all layers train, batch norms too, at a rate of at least
    1e-4, and a WARNING says so. With any other start the choices stand.

    Args:
        frozen_norm: keep the batch norms' statistics and weights of the start. False suits batches of eight
            and more, and a start from photographs.

    Raises:
        ValueError: see `check_training`.

    >>> training_settings("coco", "top_and_heads", 1e-5)
    TrainingSettings(freeze='top_and_heads', learning_rate=1e-05, frozen_norm=True)
    """
    check_training(freeze, learning_rate)
    if init != "none":
        return TrainingSettings(freeze, learning_rate, frozen_norm)
    rate = max(learning_rate, MIN_RATE_FROM_RANDOM)
    logger.warning(
        "init none: random weights, so all layers and batch norms are trained at learning rate %g "
        "(asked for: freeze %s, learning rate %g). For transfer learning give init coco, imagenet or a path.",
        rate,
        freeze,
        learning_rate,
    )
    return TrainingSettings("all", rate, frozen_norm=False)
