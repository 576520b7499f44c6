"""The node's own time, by which it deletes, gives up and tries again: a jump of the clock moves it little.

While the node runs, its time goes by the monotonic clock. Over a restart it goes on by what the machine's
clock says has passed, at least nothing and at most `LONGEST_OFF_H`: a clock that went back a year makes
nothing wait for a year, one that went forward a year deletes nothing that was to stay.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from mammo_monai.service.node.database import Database

logger = logging.getLogger(__name__)
LONGEST_OFF_H = 24.0
"""A node that was off for longer takes up its times as if it had been off so long."""
_NOTE_EVERY_S = 30.0
_DOUBTED_S = 3600.0  # an hour back is no summer time: that does not change seconds since 1970


class NodeClock:
    """Seconds since 1970, nearly: never goes back. Called for the time.

    Args:
        wall: the machine's clock, seconds since 1970. monotonic: seconds that only grow while it is on.
    """

    def __init__(
        self,
        database: Database,
        *,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database, self._wall, self._monotonic = database, wall, monotonic
        self._began_s = self._taken_up()
        self._monotonic_s = monotonic()

    def __call__(self) -> float:
        """The time."""
        return self._began_s + max(0.0, self._monotonic() - self._monotonic_s)

    def step(self) -> float:
        """Notes the time for the next start; returns the seconds to wait before the next note."""
        with self._database.transaction():
            for name, value in (("clock", self()), ("clock_wall", self._wall())):
                self._database.run("INSERT OR REPLACE INTO facts VALUES (?, ?)", name, repr(value))
        return _NOTE_EVERY_S

    def _taken_up(self) -> float:
        noted, noted_wall = self._fact("clock"), self._fact("clock_wall")
        now = self._wall()
        if noted is None or noted_wall is None:
            newest = self._database.value("SELECT MAX(changed) FROM instances")
            return max(now, float(newest or 0.0))
        off = now - noted_wall
        if off < -_DOUBTED_S or off > LONGEST_OFF_H * 3600:
            logger.warning(
                "the machine's clock is %.1f h %s where it was when the node last ran; the node counts "
                "%.0f h. Look after the clock if the node was not off so long.",
                abs(off) / 3600,
                "behind" if off < 0 else "ahead of",
                LONGEST_OFF_H if off > 0 else 0,
            )
        return noted + min(max(off, 0.0), LONGEST_OFF_H * 3600)

    def _fact(self, name: str) -> float | None:
        value = self._database.value("SELECT value FROM facts WHERE name = ?", name)
        return None if value is None else float(value)
