"""How far a long transfer is: a call per instance, and now and then a line in the log with the time left."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)
Progress = Callable[[int, int], None]
"""Called with how many are done, and how many there are."""


class Pace:
    """Counts instances.

    Args:
        every_s: the least time between two lines in the log.
    """

    def __init__(self, what: str, total: int, progress: Progress | None, *, every_s: float = 15.0) -> None:
        self._what, self._total, self._progress, self._every_s = what, total, progress, every_s
        self._done = 0
        self._start = self._last = time.monotonic()

    def step(self) -> None:
        """One more is done."""
        self._done += 1
        if self._progress is not None:
            self._progress(self._done, self._total)
        now = time.monotonic()
        if now - self._last >= self._every_s and self._done < self._total:
            self._last = now
            left_s = (now - self._start) / self._done * (self._total - self._done)
            logger.info("%s: %d of %d, about %.0f s left", self._what, self._done, self._total, left_s)
