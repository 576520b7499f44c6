"""Keeps the best weights and the whole state of the last epoch, and goes on from it exactly."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, cast

import torch
from ignite.engine import Events
from monai.engines import Evaluator
from torch import distributed

from mammo_monai.engines.distributed import gather_lists, is_first_process
from mammo_monai.engines.random_state import random_state, restore_random_state
from mammo_monai.engines.trainer import ModelTrainer
from mammo_monai.errors import TrainingError
from mammo_monai.files import atomic_path, could_not_write
from mammo_monai.locks import LockHeldError, file_lock, stands_at
from mammo_monai.networks.contract import Network
from mammo_monai.networks.several_processes import process_count
from mammo_monai.networks.weights import save_weights
from mammo_monai.words import counted

logger = logging.getLogger(__name__)

LAST = "checkpoint_last.pt"
BEST = "model.safetensors"
LOCK = ".train.lock"
# What torch raises of files that are no checkpoints, and what other content raises here.
_UNREADABLE = (
    OSError, RuntimeError, LookupError, ValueError, EOFError, TypeError, AttributeError,
    pickle.UnpicklingError,
)  # fmt: skip


class CheckpointHandler:
    """Writes `model.safetensors` (best or newest epoch) and `checkpoint_last.pt` into `output_dir`.

    The last checkpoint holds epoch, weights, optimiser, schedule, average, loss scaler, random generators and
    the best figure so far: a run that was killed goes on as if nothing had happened, bit for bit on a CPU.
    Both files are written atomically. Without validation the newest weights count as the best.

    Several processes share one folder: the first writes, all read. A run may go on with another number of
    processes as long as the batch of all together stays.

    Args:
        output_dir: one run, one folder.
        evaluator: whose key metric chooses the best epoch.
        keep: "best", the weights of the best epoch; "last", of the newest, so that nothing is chosen by the
            validation list and its figures stay those of unseen images. A run goes on with the same word.
        resume: goes on from `checkpoint_last.pt` if it is there; False starts over.
        lineage: where the weights come from; stored with them. A checkpoint of another lineage is refused.
        early_stop_epochs: ends the run after so many epochs without a better figure; None never does. Only
            with keep "best": the validation list would choose the epoch.
        interval: epochs between two checkpoints.

    Raises:
        TrainingError: the folder holds a run with other settings, or its checkpoint cannot be read; another
            training writes there, or the folder is no more where it was.
        ValueError: another word for `keep` or `resume`, or an early stop with keep "last".
    """

    def __init__(
        self,
        output_dir: str | Path,
        *,
        evaluator: Evaluator | None = None,
        resume: bool = True,
        lineage: Mapping[str, object] | None = None,
        early_stop_epochs: int | None = None,
        interval: int = 1,
        keep: Literal["best", "last"] = "best",
    ) -> None:
        if keep not in ("best", "last"):
            raise ValueError(f"keep must be best or last, got {keep!r}.")
        if keep == "last" and early_stop_epochs is not None:
            raise ValueError(
                f"keep last chooses nothing by validation, early_stop_epochs {early_stop_epochs} would. "
                "Set early_stop_epochs to null, or keep to best."
            )
        if not isinstance(resume, bool):
            raise ValueError(f"resume must be true or false, got {resume!r}.")
        self.output_dir = Path(output_dir)
        self.evaluator = evaluator
        self.resume = resume
        self.lineage = {key: str(value) for key, value in (lineage or {}).items()}
        self.early_stop_epochs = early_stop_epochs
        self.interval = interval
        self.keep = keep
        self._lock: int | None = None

    def attach(self, trainer: ModelTrainer) -> None:
        """Hooks into a trainer; after the validation handler, so that each epoch's figure is known."""
        trainer.add_event_handler(Events.STARTED, self._start)
        trainer.add_event_handler(Events.EPOCH_COMPLETED, self._finish_epoch)

    def _start(self, trainer: ModelTrainer) -> None:
        if is_first_process():
            self._lock = self._claimed(trainer)
        path = self.output_dir / LAST
        if self.resume and self._is_there(path):
            self._restore(trainer, path)
            logger.info("going on after epoch %d of %d", trainer.state.epoch, trainer.state.max_epochs)
            self._stop_early(trainer)

    def _claimed(self, trainer: ModelTrainer) -> int:
        """Keeps other trainings out of the folder while this one runs."""
        try:
            return trainer.while_running.enter_context(file_lock(self.output_dir / LOCK, keeps_file=False))
        except LockHeldError as error:
            raise TrainingError(
                f"{self.output_dir}: another training writes here ({error.holder}). Wait until it ends, or "
                "train into another output_dir."
            ) from error
        except OSError as error:
            raise could_not_write(self.output_dir / LAST, error) from error

    def _check_place(self) -> None:
        """The files of earlier epochs are where this one's will be: a share may be gone, a folder moved."""
        if self._lock is not None and not stands_at(self.output_dir / LOCK, self._lock):
            raise TrainingError(
                f"{self.output_dir}: this folder was moved, removed or unmounted while the training ran. See "
                "that it is there again, and start the same command: it goes on after the last checkpoint "
                "in it."
            )

    def _is_there(self, path: Path) -> bool:
        seen = gather_lists([path.is_file()])
        if len(set(seen)) > 1:
            raise TrainingError(
                f"{path}: {sum(seen)} of {len(seen)} processes see this checkpoint. Give all machines one "
                "shared output_dir, or start over with --resume false."
            )
        return seen[0]

    def _finish_epoch(self, trainer: ModelTrainer) -> None:
        epoch = trainer.state.epoch
        self._check_place()
        if is_first_process() and self._is_best(epoch):
            self._save_best(trainer)
        if epoch % self.interval == 0 or epoch == trainer.state.max_epochs:
            states = gather_lists([random_state()])
            if is_first_process():
                self._save_last(trainer, states)
        self._stop_early(trainer)

    def _is_best(self, epoch: int) -> bool:
        if self.evaluator is None or self.keep == "last":
            return True
        return bool(self.evaluator.state.best_metric_epoch in (epoch, -1))

    def _stop_early(self, trainer: ModelTrainer) -> None:
        if (
            self.evaluator is None
            or self.early_stop_epochs is None
            or self.evaluator.state.best_metric_epoch < 1
        ):
            return
        waited = trainer.state.epoch - self.evaluator.state.best_metric_epoch
        if waited >= self.early_stop_epochs:
            in_vain = counted(waited, "epoch")
            logger.info("stopping after epoch %d: no better figure in %s", trainer.state.epoch, in_vain)
            trainer.terminate()

    def _save_best(self, trainer: ModelTrainer) -> None:
        metadata = {**self.lineage, "epoch": str(trainer.state.epoch), **self._figure(trainer.state.epoch)}
        if trainer.average is None:
            save_weights(cast(Network, trainer.network), self.output_dir / BEST, metadata)
            return
        with trainer.average.applied_to(trainer.network):
            save_weights(cast(Network, trainer.network), self.output_dir / BEST, metadata)

    def _figure(self, epoch: int) -> dict[str, str]:
        """The validation's figure of this epoch's weights; nothing if they were not validated."""
        if self.evaluator is None or self.evaluator.state.epoch != epoch:
            return {}
        name = str(self.evaluator.state.key_metric_name)
        return {name: repr(self.evaluator.state.metrics[name])}

    def _save_last(self, trainer: ModelTrainer, states: Sequence[dict[str, Any]]) -> None:
        parts = _parts_of(trainer)
        content: dict[str, Any] = {name: part.state_dict() for name, part in parts.items()}
        content |= {
            "epoch": trainer.state.epoch,
            "iteration": trainer.state.iteration,
            "lineage": self.lineage,
            "keep": self.keep,
        }
        content["random"], content["random_of_others"] = states[0], list(states[1:])
        content["batches_per_epoch"] = trainer.state.epoch_length
        content["images_per_batch"] = _images_per_batch(trainer)
        if self.evaluator is not None:
            state = self.evaluator.state
            content["best"] = [float(state.best_metric), int(state.best_metric_epoch)]
        with atomic_path(self.output_dir / LAST) as part:
            _save(content, part)

    def _restore(self, trainer: ModelTrainer, path: Path) -> None:
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
            self._check_lineage(path, content["lineage"])
            if content.get("keep", self.keep) != self.keep:
                raise ValueError(f"it keeps the {content['keep']} weights, asked for keep {self.keep}")
            _check_batches(content, trainer)
            for name, part in _parts_of(trainer).items():
                if name != "loss_scaler" or content[name]:  # empty of a run without fp16
                    part.load_state_dict(content[name])
            trainer.state.epoch, trainer.state.iteration = content["epoch"], content["iteration"]
            restore_random_state(_own_state([content["random"], *content.get("random_of_others", [])]))
        except _UNREADABLE as error:
            raise TrainingError(
                f"{path}: this checkpoint does not fit the run: {error}. "
                "Train into another output_dir, or start over with --resume false."
            ) from error
        if self.evaluator is not None and "best" in content:
            self.evaluator.state.best_metric, self.evaluator.state.best_metric_epoch = content["best"]

    def _check_lineage(self, path: Path, stored: Mapping[str, str]) -> None:
        changed = sorted(key for key in {*stored, *self.lineage} if stored.get(key) != self.lineage.get(key))
        if changed:
            details = "; ".join(
                f"{key}: {stored.get(key)} there, {self.lineage.get(key)} now" for key in changed
            )
            raise TrainingError(
                f"{path.parent} holds a run with other settings ({details}). "
                "Train into another output_dir, or start over with --resume false."
            )


def _own_state(states: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """This process's generators; of another number of processes than before, the first one's."""
    rank, count = (distributed.get_rank(), distributed.get_world_size()) if _is_joined() else (0, 1)
    return states[rank if len(states) == count else 0]


def _check_batches(content: Mapping[str, Any], trainer: ModelTrainer) -> None:
    """Refuses another batch of all processes together: schedule, order and losses count by it."""
    now = {"batches_per_epoch": trainer.state.epoch_length, "images_per_batch": _images_per_batch(trainer)}
    for name, told in (
        ("batches_per_epoch", "epochs have {} batches"),
        ("images_per_batch", "batches have {} images"),
    ):
        there = content.get(name)  # checkpoints of earlier versions do not say it
        if None not in (there, now[name]) and there != now[name]:
            raise ValueError(
                f"its {told.format(there)}, now {now[name]}: keep the images and the batch of all processes "
                "together, which is batch_size times their number"
            )


def _images_per_batch(trainer: ModelTrainer) -> int | None:
    """Of all processes together; None where the loader does not say."""
    own = getattr(trainer.data_loader, "batch_size", None)
    return own * process_count() if isinstance(own, int) else None


def _is_joined() -> bool:
    return distributed.is_available() and distributed.is_initialized()


def _save(content: Mapping[str, Any], path: Path) -> None:
    try:
        with path.open("wb") as stream:
            torch.save(content, stream)
    except RuntimeError as error:
        # torch's writer hides a full disk ("unexpected pos 768 vs 662"); the stream's own error says it.
        if isinstance(error.__context__, OSError):
            raise error.__context__ from None
        raise


def _parts_of(trainer: ModelTrainer) -> dict[str, Any]:
    parts: dict[str, Any] = {"network": trainer.network, "optimizer": trainer.optimizer}
    optional = {
        "scheduler": trainer.scheduler,
        "average": trainer.average,
        "loss_scaler": trainer.loss_scaler,
    }
    return parts | {name: part for name, part in optional.items() if part is not None}
