"""How far a transfer is, for a bar and for the log, with the time left."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from mammo_monai.words import bytes_text, duration_text

logger = logging.getLogger(__name__)
Progress = Callable[[int, int], None]
_EVERY_S = 10.0


class TransferLog:
    """Called with bytes done and in all (0 where unknown); logs every ten seconds what is left."""

    def __init__(self, what: str, show: Progress | None = None) -> None:
        self._what, self._show = what, show
        self._start = self._last = time.monotonic()
        self._first: int | None = None

    def __call__(self, done: int, total: int) -> None:
        """Shows it, and logs it from time to time."""
        if self._show is not None and total:
            self._show(done, total)
        now = time.monotonic()
        if self._first is None:
            self._first = done  # what an earlier run fetched does not count as fast
        if now - self._last >= _EVERY_S:
            self._last = now
            logger.info("%s", self._line(done, total, now - self._start))

    def _line(self, done: int, total: int, seconds: float) -> str:
        speed = (done - (self._first or 0)) / seconds if seconds else 0.0
        left = f", {duration_text((total - done) / speed)} left" if total and speed else ""
        return f"{self._what}: {bytes_text(done)}{f' of {bytes_text(total)}' if total else ''}{left}"
