"""Images in the queue: every change of state is one transaction, on disk when the call returns."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from mammo_monai.records import record_id_of
from mammo_monai.service.node.database import Database
from mammo_monai.service.node.states import WAITING, InstanceState

MAX_STARTS = 10
"""Times a node may be killed while it marks one image, before that image is suspected of doing it."""


@dataclass(frozen=True)
class NewInstance:
    """What the queue keeps of an image beside its file: UIDs, never names."""

    sop_uid: str
    sop_class: str
    study_uid: str
    sha256: str
    bytes: int
    sender: str


class Queue:
    """Images from `received` to `made`, see `InstanceState`; deliveries are in `Outbox`.

    Args:
        clock: seconds since 1970.
    """

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self.database = database
        self.clock = clock
        self._salt = database.salt

    def record_id(self, sop_uid: str) -> str:
        """What logs and people call an image: 16 hex digits that only this node's salt leads to."""
        return record_id_of(sop_uid, self._salt)

    def find(self, sop_uid: str) -> sqlite3.Row | None:
        """The image's row."""
        found = self.database.rows("SELECT * FROM instances WHERE sop_uid = ?", sop_uid)
        return found[0] if found else None

    def add(
        self, new: NewInstance, state: InstanceState, *, file: str | None = None, reason: str = ""
    ) -> None:
        """Adds an image in place of what was noted of its UID before; the caller saw that it may go."""
        now = self.clock()
        with self.database.transaction():
            self.database.run("DELETE FROM instances WHERE sop_uid = ?", new.sop_uid)
            self.database.insert(
                "instances",
                record_id=self.record_id(new.sop_uid),
                **vars(new),
                file=file,
                state=state.value,
                reason=reason,
                received=now,
                changed=now,
            )

    def n_waiting(self) -> int:
        """Images that are still to be marked."""
        return int(self.database.value(f"SELECT COUNT(*) FROM instances WHERE state IN {_listed(WAITING)}"))

    def settle(self, settle_s: float, at_most_s: float) -> int:
        """Closes studies to which nothing was added for `settle_s`, or that wait since `at_most_s`."""
        now = self.clock()
        return self.database.run(
            "UPDATE instances SET state = 'settled', changed = ? WHERE state = 'received' AND study_uid IN "
            "(SELECT study_uid FROM instances WHERE state = 'received' GROUP BY study_uid "
            "HAVING MAX(received) <= ? OR MIN(received) <= ?)",
            now,
            now - settle_s,
            now - at_most_s,
        )

    def take(self) -> sqlite3.Row | None:
        """The image to mark next, now `marking`: what never failed first, then the oldest.

        There is one that takes: what is `marking` already was left by a kill or a full disk. An image over
        which the node was killed too often is given up, for it may be what kills it.
        """
        with self.database.transaction():
            self.database.run(
                "UPDATE instances SET state = 'dead', reason = ?, changed = ? "
                "WHERE state = 'marking' AND starts >= ?",
                f"the node was stopped {MAX_STARTS} times while it marked this image",
                self.clock(),
                MAX_STARTS,
            )
            found = self.database.rows(
                "SELECT * FROM instances WHERE state IN ('settled', 'marking') "
                "ORDER BY tries, received, id LIMIT 1"
            )
            if not found:
                return None
            self.database.run(
                "UPDATE instances SET state = 'marking', starts = starts + 1, changed = ? WHERE id = ?",
                self.clock(),
                found[0]["id"],
            )
            return found[0]

    def give_back(self, instance_id: int) -> None:
        """Puts an image back that was not worked on to its end, through no fault of its own."""
        self.database.run(
            "UPDATE instances SET state = 'settled', starts = starts - 1, changed = ? "
            "WHERE id = ? AND state = 'marking'",
            self.clock(),
            instance_id,
        )

    def fail(self, instance_id: int, reason: str) -> None:
        """Ends an image that cannot be marked, however often it is tried."""
        self._end(instance_id, InstanceState.FAILED, reason)

    def try_again(self, instance_id: int, reason: str, *, tries: int) -> bool:
        """Counts a failed try; False where that was the last one and the image is given up."""
        with self.database.transaction():
            self.database.run(
                "UPDATE instances SET state = 'settled', tries = tries + 1, reason = ?, changed = ? "
                "WHERE id = ?",
                reason,
                self.clock(),
                instance_id,
            )
            counted = int(self.database.value("SELECT tries FROM instances WHERE id = ?", instance_id))
            if counted >= tries:
                self._end(instance_id, InstanceState.DEAD, f"{reason} ({counted} times)")
        return counted < tries

    def to_summarise(self) -> str | None:
        """A study whose images are all marked and that waits for the result it gets as a whole."""
        found = self.database.value(
            "SELECT study_uid FROM instances AS one WHERE state = 'marked' AND NOT EXISTS "
            "(SELECT 1 FROM instances WHERE study_uid = one.study_uid "
            f"AND state IN {_listed(WAITING)}) LIMIT 1"
        )
        return None if found is None else str(found)

    def marked_images(self, study_uid: str) -> list[sqlite3.Row]:
        """Images of a study with their marks, files still there, in a fixed order."""
        return self.database.rows(
            "SELECT * FROM instances WHERE study_uid = ? AND detections IS NOT NULL AND file IS NOT NULL "
            "ORDER BY sop_uid",
            study_uid,
        )

    def retry(self) -> int:
        """Gives every failed and dead image without results another start; returns how many.

        One that is marked, and whose study's result could not be made, waits for that again.
        """
        with self.database.transaction():
            summarised = self.database.run(
                "UPDATE instances SET state = 'marked', reason = '', changed = ? "
                "WHERE state = 'failed' AND file IS NOT NULL AND detections IS NOT NULL",
                self.clock(),
            )
            return summarised + self.database.run(
                "UPDATE instances SET state = 'settled', tries = 0, starts = 0, reason = '', changed = ? "
                "WHERE state IN ('failed', 'dead') AND file IS NOT NULL AND detections IS NULL",
                self.clock(),
            )

    def _end(self, instance_id: int, state: InstanceState, reason: str) -> None:
        self.database.run(
            "UPDATE instances SET state = ?, reason = ?, changed = ? WHERE id = ?",
            state.value,
            reason,
            self.clock(),
            instance_id,
        )


def _listed(states: Iterable[InstanceState]) -> str:
    return f"({', '.join(repr(each.value) for each in states)})"
