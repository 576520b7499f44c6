"""The optimiser and its learning-rate schedule, from the settings a bundle names."""

from __future__ import annotations

import math
from collections.abc import Sized
from typing import Literal

import torch

from mammo_monai.networks.contract import Network
from mammo_monai.networks.freezing import TrainingSettings, apply_freezing

Schedule = Literal["constant", "cosine", "step"]


def make_optimizer(
    network: Network,
    settings: TrainingSettings,
    *,
    name: Literal["adam", "adamw", "sgd"] = "adam",
    weight_decay: float = 0.0,
) -> torch.optim.Optimizer:
    """Freezes what `settings` freezes and returns an optimiser over the rest.

    Args:
        network: changed in place: `requires_grad` and frozen normalisation.
        settings: freezing policy and learning rate, from `networks.training_settings`.
        name: Adam is P0's choice.

    Raises:
        ValueError: another `name` or freezing policy.

    Source: P0 § training: Adam, learning rate 1e-5.
    """
    parts = apply_freezing(network, settings.freeze, frozen_norm=settings.frozen_norm)
    parameters = list(parts.parameters)
    if name == "sgd":
        return torch.optim.SGD(parameters, lr=settings.learning_rate, momentum=0.9, weight_decay=weight_decay)
    if name not in ("adam", "adamw"):
        raise ValueError(f"optimizer must be adam, adamw or sgd, got {name!r}.")
    kind = torch.optim.Adam if name == "adam" else torch.optim.AdamW
    return kind(parameters, lr=settings.learning_rate, weight_decay=weight_decay)


def epochs_for(iterations: int, loader: Sized) -> int:
    """Whole epochs that see at least so many batches, for recipes that count these.

    Args:
        loader: its length is the number of batches in an epoch.

    Raises:
        ValueError: fewer than one iteration, or a loader without a batch.

    >>> epochs_for(24_000, range(149))  # 2378 images in batches of 16, as in P1
    162
    """
    if iterations < 1 or len(loader) < 1:
        raise ValueError(
            f"iterations must be at least 1, got {iterations}, of a loader that has at least one batch an "
            f"epoch, got {len(loader)}. Give training images, or set epochs."
        )
    return math.ceil(iterations / len(loader))


def make_schedule(
    optimizer: torch.optim.Optimizer,
    *,
    kind: Schedule = "constant",
    iterations: int | None = None,
    warmup_iterations: int = 0,
    step_at: float = 0.75,
) -> torch.optim.lr_scheduler.LambdaLR:
    """A learning-rate schedule stepped after every iteration.

    Args:
        kind: `constant`; `cosine` down to 1 % of the rate; `step`, ×0.1 at `step_at` of the run.
        iterations: length of the whole run; `constant` needs none.
        warmup_iterations: linear rise at the start.

    Raises:
        ValueError: another kind, or `cosine` or `step` of a run of unknown length.

    Source: step at 18 000 of 24 000 iterations: P1.
    """
    if kind not in ("constant", "cosine", "step"):
        raise ValueError(f"schedule must be constant, cosine or step, got {kind!r}.")
    if kind != "constant" and (iterations is None or iterations < 1):
        raise ValueError(
            f"schedule {kind} needs iterations, the batches of the whole run, got {iterations}. Are there "
            "fewer images than batch_size? An incomplete batch is left out: give a smaller --batch_size."
        )
    length = iterations or 1

    def factor(iteration: int) -> float:
        warmup = min(1.0, (iteration + 1) / max(1, warmup_iterations))
        done = min(1.0, iteration / length)
        if kind == "cosine":
            return warmup * (0.01 + 0.99 * (1 + math.cos(math.pi * done)) / 2)
        return warmup * (0.1 if kind == "step" and done >= step_at else 1.0)

    return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
