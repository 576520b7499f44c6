"""A step, repeated in a thread: whatever a step raises is logged, counted and tried again."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

logger = logging.getLogger(__name__)
_AFTER_ERROR_S = 5.0


class Loop:
    """Runs `step` until stopped; it returns the seconds to wait before the next.

    Args:
        name: for the log and metrics.
        told: gets the name for each error.
    """

    def __init__(
        self,
        name: str,
        step: Callable[[], float],
        *,
        told: Callable[[str], None] = lambda _: None,
        after_error_s: float = _AFTER_ERROR_S,
    ) -> None:
        self.name, self._step, self._told = name, step, told
        self._after_error_s = after_error_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"mammo-monai {name}", daemon=True)

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Lets the step under way be the last; does not wait for it."""
        self._stopping.set()

    def join(self, timeout_s: float) -> bool:
        """Waits for the step under way; says whether it ended."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                wait = self._step()
            except Exception as error:  # a full disk, a bug: the node goes on, and says so
                logger.error(
                    "%s: %s; tried again in %g s", self.name, type(error).__name__, self._after_error_s
                )
                logger.debug("what happened", exc_info=True)
                self._told(self.name)
                wait = self._after_error_s
            self._stopping.wait(wait)
