"""Staged unfreezing: what is trained, and how fast, changes between epochs, from the top layers down."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
from ignite.engine import Events
from torch.nn.parallel import DistributedDataParallel

from mammo_monai.engines.distributed import distributed_model
from mammo_monai.engines.optimisation import make_optimizer
from mammo_monai.engines.trainer import ModelTrainer
from mammo_monai.networks.contract import Network
from mammo_monai.networks.freezing import (
    MIN_RATE_FROM_RANDOM,
    FreezingPolicy,
    TrainingSettings,
    apply_freezing,
    check_training,
)
from mammo_monai.networks.pyramid import batch_norms

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingStage:
    """What is trained (`apply_freezing`), how fast, for how many epochs.

    Raises:
        ValueError: another policy, a rate that nothing can be trained at, or less than one epoch.
    """

    freeze: FreezingPolicy
    learning_rate: float
    epochs: int

    def __post_init__(self) -> None:
        check_training(self.freeze, self.learning_rate)
        if self.epochs < 1:
            raise ValueError(f"a stage lasts at least 1 epoch, got {self.epochs}.")


@dataclass(frozen=True)
class TrainingPlan:
    """The stages of a run in their order, and whether batch norms that came with the weights stay.

    `freeze` and `learning_rate` tell all stages, for the lineage of the weights.
    """

    stages: tuple[TrainingStage, ...]
    frozen_norm: bool

    @property
    def epochs(self) -> int:
        """Length of the run."""
        return sum(stage.epochs for stage in self.stages)

    @property
    def freeze(self) -> str:
        """Policies and epochs, such as `classifier x 3, all x 37`."""
        return ", ".join(f"{stage.freeze} x {stage.epochs}" for stage in self.stages)

    @property
    def learning_rate(self) -> tuple[float, ...]:
        """One rate per stage."""
        return tuple(stage.learning_rate for stage in self.stages)

    def stage_at(self, epoch: int) -> TrainingStage:
        """The stage of an epoch, counted from 1.

        Raises:
            ValueError: an epoch that no stage covers.
        """
        left = epoch
        for stage in self.stages:
            if 1 <= left <= stage.epochs:
                return stage
            left -= stage.epochs
        raise ValueError(
            f"epoch {epoch} lies outside the stages, which last {self.epochs} epochs. Lengthen the last one."
        )


def training_stages(
    init: str, stages: Sequence[Mapping[str, Any]], *, frozen_norm: bool = False
) -> TrainingPlan:
    """The stages of a run that starts from `init`.

    With `init` none there is nothing worth freezing: every stage trains all layers, at 1e-4 at least, and a
    WARNING says so, as `networks.training_settings` does.

    Args:
        stages: each a dict of `freeze`, `learning_rate`, `epochs`.
        frozen_norm: keep statistics and weights of the start's batch norms. False suits a start from
            photographs, and batches of eight and more.

    Raises:
        ValueError: no stage, a stage with missing or unknown fields, or values outside their range.

    Source: P4, § 5, after Shen et al., 2019: patches, last layer at 1e-3 for 3 epochs, top layers at 1e-4 for
    10, all at 1e-5 for 37; whole images, added layers at 1e-4 for 30, all at 1e-5 for 20 (VGG16: 200 more).

    >>> plan = training_stages("imagenet", [{"freeze": "heads", "learning_rate": 1e-4, "epochs": 30},
    ...                                     {"freeze": "all", "learning_rate": 1e-5, "epochs": 20}])
    >>> plan.epochs, plan.stage_at(30).freeze, plan.stage_at(31).freeze
    (50, 'heads', 'all')
    """
    if not stages:
        raise ValueError("give at least one stage: freeze, learning_rate, epochs.")
    for number, stage in enumerate(stages, start=1):
        if set(stage) != {"freeze", "learning_rate", "epochs"}:
            raise ValueError(
                f"stage {number} must have freeze, learning_rate and epochs, "
                f"got {', '.join(stage) or 'none of them'}."
            )
    planned = tuple(TrainingStage(**stage) for stage in stages)
    if init != "none":
        return TrainingPlan(planned, frozen_norm)
    logger.warning(
        "init none: random weights, so every stage trains all layers at %g at least. For staged unfreezing "
        "give init imagenet or a path.",
        MIN_RATE_FROM_RANDOM,
    )
    rates = [max(stage.learning_rate, MIN_RATE_FROM_RANDOM) for stage in planned]
    unfrozen = [TrainingStage("all", rate, stage.epochs) for rate, stage in zip(rates, planned, strict=True)]
    return TrainingPlan(tuple(unfrozen), frozen_norm=False)


def staged_optimizer(
    network: Network,
    plan: TrainingPlan,
    *,
    name: Literal["adam", "adamw", "sgd"] = "adam",
    weight_decay: float = 0.0,
) -> torch.optim.Optimizer:
    """An optimiser over all parameters that any stage may train, with the first stage's freezing and rate.

    A frozen parameter has no gradient, so the optimiser leaves it alone and keeps no state for it.

    Args:
        network: changed in place: `requires_grad` and frozen normalisation.
        name, weight_decay: as `make_optimizer`.
    """
    first = plan.stages[0]
    everything = TrainingSettings("all", first.learning_rate, plan.frozen_norm)
    optimizer = make_optimizer(network, everything, name=name, weight_decay=weight_decay)
    apply_freezing(network, first.freeze)
    return optimizer


class StageHandler:
    """Sets freezing and learning rate of a trainer's epochs by a plan.

    Both depend on the epoch alone, so a run that goes on from a checkpoint is the run it was. A schedule of
    `make_schedule` stays in force: its factor multiplies the stage's rate. Networks that several processes
    train are wrapped anew where a stage begins: the wrapper averages what was trainable when it was made.

    Args:
        plan: of `training_stages`; the trainer's optimiser must be of `staged_optimizer`.

    Raises:
        ValueError: as a run starts: it outlasts the plan, or the optimiser lacks what a stage trains.
        TypeError: as a stage begins: the trainer's schedule is not of `make_schedule`.
    """

    def __init__(self, plan: TrainingPlan) -> None:
        self.plan = plan
        self._stage: TrainingStage | None = None

    def attach(self, trainer: ModelTrainer) -> None:
        """Hooks into a trainer."""
        trainer.add_event_handler(Events.STARTED, self._start)
        trainer.add_event_handler(Events.EPOCH_STARTED, self._start_epoch)

    def _start(self, trainer: ModelTrainer) -> None:
        last = cast(int, trainer.state.max_epochs)
        reached = self.plan.stages.index(self.plan.stage_at(last)) + 1  # before hours of training, not after
        if reached < len(self.plan.stages):
            logger.warning(
                "the run ends after epoch %d, in stage %d of %d: the later ones are not trained. For all "
                "stages train %d epochs, or shorten the stages.",
                last,
                reached,
                len(self.plan.stages),
                self.plan.epochs,
            )
        _check_optimizer(trainer, self.plan)
        self._stage = None

    def _start_epoch(self, trainer: ModelTrainer) -> None:
        stage = self.plan.stage_at(trainer.state.epoch)
        if stage is self._stage:
            return
        self._stage = stage
        apply_freezing(cast(Network, trainer.network), stage.freeze, frozen_norm=self.plan.frozen_norm)
        if isinstance(trainer.model.network, DistributedDataParallel):
            trainer.model.network = trainer.network
            distributed_model(trainer.model, trainer.optimizer, torch.device(trainer.state.device))
        _set_rate(trainer, stage.learning_rate)
        logger.info("epoch %d: learning rate %g", trainer.state.epoch, stage.learning_rate)


def _set_rate(trainer: ModelTrainer, rate: float) -> None:
    """The rate before the schedule's factor, for all parameter groups."""
    groups = trainer.optimizer.param_groups
    for group in groups:
        group["lr"] = group["initial_lr"] = rate
    schedule = trainer.scheduler
    if schedule is None:
        return
    if not isinstance(schedule, torch.optim.lr_scheduler.LambdaLR):
        raise TypeError(
            f"stages set the learning rate under a schedule of make_schedule or none, "
            f"got {type(schedule).__name__}."
        )
    schedule.base_lrs = [rate] * len(groups)
    for group, factor in zip(groups, schedule.lr_lambdas, strict=True):
        group["lr"] = rate * factor(schedule.last_epoch)


def _check_optimizer(trainer: ModelTrainer, plan: TrainingPlan) -> None:
    held = {id(each) for group in trainer.optimizer.param_groups for each in group["params"]}
    if plan.frozen_norm:
        held |= {id(each) for norm in batch_norms(trainer.network) for each in norm.parameters()}
    missing = [name for name, each in trainer.network.named_parameters() if id(each) not in held]
    if missing:
        raise ValueError(
            f"the optimizer lacks {len(missing)} parameter tensors that a stage may train, "
            f"such as {missing[0]}. Make it with staged_optimizer."
        )
