"""Trains a detector or classifier: losses, precision, clipping, averaging and schedule, batch by batch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from typing import Any, Literal, cast

import torch
from ignite.engine import Events
from monai.engines import Trainer
from monai.engines.utils import IterationEvents
from torch import Tensor, nn

from mammo_monai.data.loader import STAND_IN
from mammo_monai.engines.distributed import unwrapped
from mammo_monai.engines.ema import WeightAverage
from mammo_monai.engines.small_images import told_if_too_small
from mammo_monai.errors import TrainingError
from mammo_monai.inference.precision import autocast, check_precision
from mammo_monai.networks.contract import Classifier, Detector
from mammo_monai.networks.several_processes import mean_over_processes, stand_in


class ModelTrainer(Trainer):  # type: ignore[misc]  # monai carries no types
    """A MONAI trainer for what returns its own losses: batches are lists of sample dicts.

    Its output are the losses by name and their sum as "loss"; of several processes, those of the whole batch.

    Args:
        model: sets its own network to training mode; see `Detector` and `Classifier` in `networks.contract`.
        train_data_loader: yields lists of samples with `image` (1, H, W), `record_id` and the targets: of a
            detector `box` (N, 4) in axis order (row, col, row, col) and `label` (N,); of a classifier
            `class_index`. Its `set_epoch(epoch)`, if it has one, is called before each epoch.
        target_keys: what of a sample the model is told beside the image; the model brings it to its device.
        scheduler: stepped after every iteration.
        precision: fp32, bf16, or fp16 with loss scaling (GPU only).
        max_gradient_norm: clips the norm over all trained parameters; None leaves gradients alone.
        average: exponential moving average that follows the network, or None.

    Raises:
        TrainingError: a loss or its gradient is not finite; the message names the records of the batch.
            Weights stay as they were before that batch. Or the images are too small for the network's
            normalisation.
        ValueError: less than one epoch, or a precision that the device cannot.
    """

    def __init__(  # noqa: PLR0913  # the settings of a training run, all named in a bundle's configuration
        self,
        *,
        model: Detector | Classifier,
        optimizer: torch.optim.Optimizer,
        train_data_loader: Iterable[Sequence[Mapping[str, Any]]],
        device: torch.device | str,
        max_epochs: int,
        scheduler: torch.optim.lr_scheduler.LRScheduler | None = None,
        precision: Literal["fp32", "bf16", "fp16"] = "fp32",
        max_gradient_norm: float | None = 10.0,
        average: WeightAverage | None = None,
        target_keys: Sequence[str] = ("box", "label"),
        train_handlers: Sequence[Any] = (),
    ) -> None:
        device = torch.device(device)
        if max_epochs < 1:
            raise ValueError(f"max_epochs (epochs) must be at least 1, got {max_epochs}.")
        super().__init__(device, max_epochs, train_data_loader, decollate=False)
        self.model = model
        self.target_keys = tuple(target_keys)
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.precision = check_precision(precision, device)
        self.max_gradient_norm = max_gradient_norm
        self.average = average
        self.while_running = ExitStack()
        self.loss_scaler = torch.amp.GradScaler(device.type, enabled=precision == "fp16")
        if hasattr(train_data_loader, "set_epoch"):
            self.add_event_handler(Events.EPOCH_STARTED, self._start_epoch)
        self._register_handlers(list(train_handlers))

    def run(self) -> None:
        """Trains; what `while_running` holds is given back at the end, however that comes.

        Raises:
            TrainingError: the loader has no batch, and so nothing would be learned; or the GPU's memory is
                full.
        """
        if hasattr(self.data_loader, "__len__") and len(self.data_loader) < 1:
            raise TrainingError(_no_batch(self.data_loader))
        try:
            with self.while_running:
                super().run()
        except torch.OutOfMemoryError as error:
            raise TrainingError(_too_little_memory(self.state, error)) from error

    @property
    def network(self) -> nn.Module:
        """The network that trains, without the wrapper of distributed training."""
        return unwrapped(self.model.network)

    def _start_epoch(self) -> None:
        self.data_loader.set_epoch(self.state.epoch)

    def _iteration(self, engine: Any, batch: Sequence[Mapping[str, Any]]) -> dict[str, float]:
        device = self.state.device
        images = [sample["image"].to(device, non_blocking=True) for sample in batch]
        # Targets stay where they are: the model checks them, and on a GPU every look at a value waits for it.
        targets = [{key: sample[key] for key in self.target_keys} for sample in batch]
        is_stand_in = any(sample.get(STAND_IN, False) for sample in batch)
        self.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        with (
            told_if_too_small(self.network, images),
            autocast(self.precision, device),
            stand_in() if is_stand_in else nullcontext(),
        ):
            losses = cast(dict[str, Tensor], self.model(images, targets))
        engine.fire_event(IterationEvents.FORWARD_COMPLETED)
        parts = {name: value.float() * (0 if is_stand_in else 1) for name, value in losses.items()}
        loss = torch.stack(list(parts.values())).sum()
        values = self._finite_values(loss, parts, batch)
        engine.fire_event(IterationEvents.LOSS_COMPLETED)
        self._step(loss, batch)
        engine.fire_event(IterationEvents.MODEL_COMPLETED)
        return values

    def _finite_values(
        self, loss: Tensor, losses: Mapping[str, Tensor], batch: Sequence[Mapping[str, Any]]
    ) -> dict[str, float]:
        # One copy from the device for all of them; of several processes the mean, which is the whole batch's.
        stacked = torch.stack([loss.detach(), *(value.detach() for value in losses.values())])
        values = dict(zip(("loss", *losses), mean_over_processes(stacked).tolist(), strict=True))
        if not math.isfinite(values["loss"]):
            raise self._not_finite("loss", f"{values}", batch)
        return values

    def _not_finite(self, what: str, came: str, batch: Sequence[Mapping[str, Any]]) -> TrainingError:
        records = ", ".join(str(sample.get("record_id")) for sample in batch)
        return TrainingError(
            f"the {what} is not finite at epoch {self.state.epoch}, iteration {self.state.iteration}: "
            f"{came}. Records of the batch: {records}. Look at these images; if they are sound, lower the "
            "learning rate or train with precision fp32. The last checkpoint is intact."
        )

    def _step(self, loss: Tensor, batch: Sequence[Mapping[str, Any]]) -> None:
        if not loss.requires_grad:
            raise TrainingError(
                "no parameter of the loss is trained: choose a freezing policy that trains some."
            )
        self.loss_scaler.scale(loss).backward()  # type: ignore[no-untyped-call]  # torch's own
        self.loss_scaler.unscale_(self.optimizer)
        trained = [each for group in self.optimizer.param_groups for each in group["params"]]
        limit = math.inf if self.max_gradient_norm is None else self.max_gradient_norm
        norm = float(torch.nn.utils.clip_grad_norm_(trained, limit))  # clipped to infinity they are the same
        # Under loss scaling this happens, and the scaler passes over the step with half the scale; a scale
        # below 1 says that it is not the scale.
        if not math.isfinite(norm) and self.loss_scaler.get_scale() <= 1:
            raise self._not_finite("gradient", f"its norm is {norm}, the loss {float(loss)}", batch)
        self.loss_scaler.step(self.optimizer)
        self.loss_scaler.update()
        if self.scheduler is not None:
            self.scheduler.step()
        if self.average is not None:
            self.average.update(self.network)


def _too_little_memory(state: Any, error: Exception) -> str:
    told = str(error).split(". ")[0]
    return (
        f"the GPU's memory does not hold a step of training (epoch {state.epoch}, iteration "
        f"{state.iteration}): {told}. Train with --precision bf16, a smaller --batch_size or a smaller "
        "--size_px, into another output_dir; or end what else computes on this GPU (nvidia-smi) and start "
        "again: the last checkpoint is intact."
    )


def _no_batch(loader: Any) -> str:
    n_images = len(getattr(loader, "dataset", None) or ())
    return (
        f"expected at least one batch of training images, got none: {n_images} images, batch size "
        f"{getattr(loader, 'batch_size', None)}, and a batch that is not full may be left out (drop_last). "
        "Give more training images, or a smaller --batch_size."
    )
