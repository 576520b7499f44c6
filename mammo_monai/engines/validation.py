"""Validates during training: every few epochs, and always after the last."""

from __future__ import annotations

from ignite.engine import Engine, Events
from monai.engines import Evaluator

from mammo_monai.engines.random_state import random_state_kept


class Validation:
    """Runs an evaluator after every `interval`-th epoch of a trainer and after its last one.

    MONAI's ValidationHandler leaves the last epochs out where the interval does not divide their number: the
    best weights would never be among them. Random numbers that a validation draws are given back after it, so
    that the weights do not depend on how often a run was validated, nor on where it was stopped and went on.

    Args:
        validator: the evaluator.
        interval: epochs between two validations.

    Raises:
        ValueError: `interval` below 1.
    """

    def __init__(self, validator: Evaluator, interval: int = 1) -> None:
        if interval < 1:
            raise ValueError(f"interval must be at least 1 epoch, got {interval}.")
        self.validator = validator
        self.interval = interval

    def attach(self, trainer: Engine) -> None:
        """Hooks into a trainer; before the checkpoint handler, which needs the epoch's figure."""
        trainer.add_event_handler(Events.EPOCH_COMPLETED, self._validate)

    def _validate(self, trainer: Engine) -> None:
        epoch = trainer.state.epoch
        if epoch % self.interval == 0 or epoch == trainer.state.max_epochs:
            with random_state_kept():
                self.validator.run(epoch)
