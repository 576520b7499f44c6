"""How far long work is: a line in the log now and then, with the time left. Knows nothing of the work."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from mammo_monai.words import counted, duration_text

EVERY_S = 10.0


class Pace:
    """Logs "prepared 12 of 40 images, 35 s left" at INFO, at most every ten seconds.

    Args:
        logger: of the module that does the work.
        what: before the count, "prepared".
        noun: of what is counted, in the singular.
        before: how many were done before the clock starts: found from an earlier run, or while workers start.
        tells_end: log the last one too, however soon it comes.
        clock: seconds that only grow; None takes the monotonic one.
    """

    def __init__(
        self,
        logger: logging.Logger,
        what: str = "",
        *,
        noun: str = "image",
        before: int = 0,
        tells_end: bool = False,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._logger, self._what, self._noun = logger, f"{what} " if what else "", noun
        self._before, self._tells_end, self._clock = before, tells_end, clock or time.monotonic
        self._start_s = self._last_s = self._clock()

    def __call__(self, done: int, total: int, left_s: float | None = None) -> None:
        """`done` of `total` are done, those of `before` among them.

        Args:
            left_s: where the work knows better how long the rest takes.
        """
        now_s = self._clock()
        if done <= self._before:
            self._start_s = now_s
            return
        is_told_end = self._tells_end and done == total
        if now_s - self._last_s < EVERY_S and not is_told_end:
            return
        self._last_s = now_s
        if left_s is None:
            left_s = (now_s - self._start_s) / (done - self._before) * (total - done)
        told = f"{self._what}{done} of {counted(total, self._noun)}"
        self._logger.info("%s, %s left", told, duration_text(left_s))
