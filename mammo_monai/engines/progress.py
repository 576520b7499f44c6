"""Shows how far a long run is, with the time left, and logs one line per epoch."""

from __future__ import annotations

import logging
import sys
import time
from typing import Any

from ignite.engine import Engine, Events
from monai.engines import Evaluator
from tqdm import tqdm

logger = logging.getLogger(__name__)


class ProgressHandler:
    """A bar on stderr over all iterations of a training run, and an INFO line per epoch.

    Args:
        evaluator: its key metric is shown once known.
        show_bar: False leaves only the log lines; None shows the bar on a terminal only.
        label: what runs, shown before the bar.
    """

    def __init__(
        self, *, evaluator: Evaluator | None = None, show_bar: bool | None = None, label: str = "training"
    ) -> None:
        self.evaluator = evaluator
        self.show_bar = sys.stderr.isatty() if show_bar is None else show_bar
        self.label = label
        self._bar: tqdm[Any] | None = None
        self._losses: list[float] = []
        self._began, self._epochs_before = 0.0, 0

    def attach(self, trainer: Engine) -> None:
        """Hooks into a trainer; last, so that each epoch's figure is known."""
        trainer.add_event_handler(Events.STARTED, self._start)
        trainer.add_event_handler(Events.ITERATION_COMPLETED, self._advance)
        trainer.add_event_handler(Events.EPOCH_COMPLETED, self._log_epoch)
        trainer.add_event_handler(Events.COMPLETED, self._close)
        trainer.add_event_handler(Events.EXCEPTION_RAISED, self._fail)

    def _start(self, trainer: Engine) -> None:
        total = (trainer.state.max_epochs or 0) * (trainer.state.epoch_length or 0)
        self._began, self._epochs_before = time.monotonic(), trainer.state.epoch
        if self.show_bar:
            self._bar = tqdm(total=total, initial=trainer.state.iteration, desc=self.label, unit="it")

    def _advance(self, trainer: Engine) -> None:
        output: Any = trainer.state.output
        self._losses.append(output["loss"])
        if self._bar is not None:
            self._bar.set_postfix(
                epoch=f"{trainer.state.epoch}/{trainer.state.max_epochs}", loss=f"{output['loss']:.3f}"
            )
            self._bar.update()

    def _log_epoch(self, trainer: Engine) -> None:
        epoch, last = trainer.state.epoch, trainer.state.max_epochs or trainer.state.epoch
        seconds = (time.monotonic() - self._began) / max(1, epoch - self._epochs_before)
        loss = sum(self._losses) / max(1, len(self._losses))
        self._losses.clear()
        logger.info(
            "%s: epoch %d/%d, loss %.4f%s, %.0f s per epoch, %s left",
            self.label,
            epoch,
            last,
            loss,
            self._figure(epoch),
            seconds,
            tqdm.format_interval(seconds * (last - epoch)),
        )

    def _figure(self, epoch: int) -> str:
        if self.evaluator is None or self.evaluator.state.epoch != epoch:
            return ""
        name = self.evaluator.state.key_metric_name
        return f", {name} {self.evaluator.state.metrics.get(name, float('nan')):.3f}"

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()

    def _fail(self, trainer: Engine, error: BaseException) -> None:
        self._close()
        raise error
