"""How far a long transfer is: a call per instance, and now and then a line in the log with the time left."""

from __future__ import annotations

import logging
from collections.abc import Callable

from mammo_monai.pace import Pace

logger = logging.getLogger(__name__)
Progress = Callable[[int, int], None]
"""Called with how many are done, and how many there are."""


class Steps:
    """Counts instances, for `progress` and for the log."""

    def __init__(self, what: str, total: int, progress: Progress | None) -> None:
        self._total, self._progress, self._done = total, progress, 0
        self._pace = Pace(logger, what, noun="instance")

    def step(self) -> None:
        """One more is done."""
        self._done += 1
        if self._progress is not None:
            self._progress(self._done, self._total)
        self._pace(self._done, self._total)
