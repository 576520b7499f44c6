"""Shows how far a long run is, with the time left: a bar on a terminal, lines in a log elsewhere."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from typing import Any

from ignite.engine import Engine, Events
from monai.engines import Evaluator
from tqdm import tqdm

from mammo_monai.engines.distributed import is_first_process

logger = logging.getLogger(__name__)


class ProgressHandler:
    """A bar on stderr over all iterations of a training run; an INFO line per epoch, without the bar more.

    Args:
        evaluator: its key metric is shown once known.
        show_bar: False leaves only the log lines; None shows the bar on a terminal only.
        label: what runs, shown before the bar.
        log_every_s: without the bar, seconds between two lines at the least; None leaves one per epoch.
        clock: seconds that only grow.

    Raises:
        ValueError: `log_every_s` is not above 0.
    """

    def __init__(
        self,
        *,
        evaluator: Evaluator | None = None,
        show_bar: bool | None = None,
        label: str = "training",
        log_every_s: float | None = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if log_every_s is not None and not log_every_s > 0:
            raise ValueError(f"log_every_s must be above 0 seconds, or null for none, got {log_every_s}.")
        self.evaluator = evaluator
        self.show_bar = sys.stderr.isatty() if show_bar is None else show_bar
        self.label = label
        self.log_every_s = log_every_s
        self._clock = clock
        self._bar: tqdm[Any] | None = None
        self._losses: list[float] = []
        self._began, self._epochs_before, self._iterations_before = 0.0, 0, 0
        self._line_at = 0.0  # when the last line was written
        self._since, self._losses_before = 0.0, 0  # what the next line's means begin with

    def attach(self, trainer: Engine) -> None:
        """Hooks into a trainer; last, so that each epoch's figure is known. The first process tells."""
        if not is_first_process():
            return
        trainer.add_event_handler(Events.STARTED, self._start)
        trainer.add_event_handler(Events.EPOCH_STARTED, self._start_epoch)
        trainer.add_event_handler(Events.ITERATION_COMPLETED, self._advance)
        trainer.add_event_handler(Events.EPOCH_COMPLETED, self._log_epoch)
        trainer.add_event_handler(Events.COMPLETED, self._close)
        trainer.add_event_handler(Events.EXCEPTION_RAISED, self._fail)

    def _start(self, trainer: Engine) -> None:
        self._began = self._line_at = self._clock()
        self._epochs_before, self._iterations_before = trainer.state.epoch, trainer.state.iteration
        if self.show_bar:
            self._bar = tqdm(
                total=_all_iterations(trainer), initial=trainer.state.iteration, desc=self.label, unit="it"
            )

    def _start_epoch(self) -> None:
        # The validation since the last epoch is no part of the seconds per iteration.
        self._since, self._losses_before = self._clock(), 0
        self._losses.clear()

    def _advance(self, trainer: Engine) -> None:
        output: Any = trainer.state.output
        self._losses.append(output["loss"])
        if self._bar is not None:
            self._bar.set_postfix(
                epoch=f"{trainer.state.epoch}/{trainer.state.max_epochs}", loss=f"{output['loss']:.3f}"
            )
            self._bar.update()
        elif self.log_every_s is not None and self._clock() - self._line_at >= self.log_every_s:
            self._log_iteration(trainer, self._clock())

    def _log_iteration(self, trainer: Engine, now: float) -> None:
        """Loss and seconds are means since the last line; the time left counts validations, as so far."""
        state = trainer.state
        losses = self._losses[self._losses_before :]
        seconds = (now - self._since) / len(losses)
        total = _all_iterations(trainer)
        left = (now - self._began) / (state.iteration - self._iterations_before) * (total - state.iteration)
        logger.info(
            "%s: epoch %d/%d, iteration %d/%d, loss %.4f, %.2f s per iteration, %s left",
            self.label,
            state.epoch,
            state.max_epochs,
            state.iteration,
            total,
            sum(losses) / len(losses),
            seconds,
            tqdm.format_interval(left),
        )
        self._line_at = self._since = now
        self._losses_before = len(self._losses)

    def _log_epoch(self, trainer: Engine) -> None:
        epoch, last = trainer.state.epoch, trainer.state.max_epochs or trainer.state.epoch
        self._line_at = self._clock()
        seconds = (self._line_at - self._began) / max(1, epoch - self._epochs_before)
        logger.info(
            "%s: epoch %d/%d, loss %.4f%s, %.0f s per epoch, %s left",
            self.label,
            epoch,
            last,
            sum(self._losses) / max(1, len(self._losses)),
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


def _all_iterations(trainer: Engine) -> int:
    return (trainer.state.max_epochs or 0) * (trainer.state.epoch_length or 0)
