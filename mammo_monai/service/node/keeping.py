"""What a start finds on disk, and what has been there long enough."""

from __future__ import annotations

import hashlib
import logging
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from mammo_monai.dicom.bounded import read_bounded
from mammo_monai.dicom.reading import damage_refused, first_text
from mammo_monai.dicom.wholeness import check_whole
from mammo_monai.errors import DicomError
from mammo_monai.service.node.database import Database
from mammo_monai.service.node.queue import NewInstance, Queue
from mammo_monai.service.node.settings import Keeping
from mammo_monai.service.node.spool import Spool
from mammo_monai.service.node.states import InstanceState
from mammo_monai.words import counted

logger = logging.getLogger(__name__)
# Preamble, "DICM", then (0002,0000): eight bytes of tag, VR and length, four of value (PS3.10 7.1).
_LENGTH_AT, _AFTER_LENGTH = 140, 144


def take_up(queue: Queue, spool: Spool) -> dict[str, int]:
    """Makes disk and queue agree after a kill; returns how many of what were found.

    Parts were never acknowledged: they go. A whole image without a row was renamed and not yet noted, or its
    queue was lost: it is noted now, and its sender, who heard nothing, may send it again. A result without a
    row was never noted and will be made again. Rows whose file is gone say so.
    """
    database = queue.database
    found = {"unfinished files": 0, "images taken up": 0, "results removed": 0, "files gone": 0}
    for part in spool.parts():
        spool.drop(part)
        found["unfinished files"] += 1
    known = _files(database, "instances")
    for name in spool.files("images"):
        if name not in known:
            found["images taken up"] += _adopt(queue, spool, name)
    results = _files(database, "results")
    for name in spool.files("results"):
        if name not in results:
            spool.drop(name)
            found["results removed"] += 1
    for name in results:
        if not spool.path(name).is_file():
            found["files gone"] += _make_again(database, name)
    for name in known:
        if not spool.path(name).is_file():
            found["files gone"] += database.run(
                "UPDATE instances SET state = 'failed', reason = 'its file is gone' "
                "WHERE file = ? AND state IN ('received', 'settled', 'marking')",
                name,
            )
    return found


def _files(database: Database, table: str) -> set[str]:
    return {row["file"] for row in database.rows(f"SELECT file FROM {table} WHERE file IS NOT NULL")}


def _adopt(queue: Queue, spool: Spool, name: str) -> bool:
    path = spool.path(name)
    try:
        new = _instance_of(path)
    except DicomError:  # not whole: nobody was told that it is here
        spool.drop(name)
        return False
    known = queue.find(new.sop_uid)
    if known is not None and known["file"] is not None and spool.path(known["file"]).is_file():
        spool.drop(name)  # it was to take that one's place, and its sender will send it again
        return False
    queue.add(new, InstanceState.RECEIVED, file=name)
    return True


def _instance_of(path: Path) -> NewInstance:
    check_whole(path)
    with damage_refused(path):
        header = read_bounded(path, name=path, headers_only=True)
        content = path.read_bytes()
        start = _AFTER_LENGTH + int.from_bytes(content[_LENGTH_AT:_AFTER_LENGTH], "little")
        return NewInstance(
            sop_uid=first_text(header, "SOPInstanceUID"),
            sop_class=first_text(header, "SOPClassUID"),
            study_uid=first_text(header, "StudyInstanceUID"),
            sha256=hashlib.sha256(content[start:]).hexdigest(),
            bytes=len(content),
            sender="",
        )


def _make_again(database: Database, name: str) -> int:
    """A result that somebody removed is made again where a destination still waits for it."""
    with database.transaction():
        waiting = database.value(
            "SELECT r.id FROM results AS r JOIN deliveries AS d ON d.result_id = r.id "
            "WHERE r.file = ? AND d.state IN ('waiting', 'asked')",
            name,
        )
        if waiting is None:
            return 0
        database.run(
            "UPDATE instances SET state = 'settled', detections = NULL WHERE file IS NOT NULL AND id IN "
            "(SELECT instance_id FROM sources WHERE result_id = ?)",
            waiting,
        )
        return database.run("DELETE FROM results WHERE id = ?", waiting)


class Housekeeper:
    """Deletes what has been there long enough: nothing of a patient stays longer than configured."""

    def __init__(
        self, database: Database, spool: Spool, keeping: Keeping, *, clock: Callable[[], float] = time.time
    ) -> None:
        self.database, self.spool, self.keeping, self.clock = database, spool, keeping, clock

    def step(self) -> float:
        """Deletes what is due; returns the seconds to wait before the next step."""
        removed = self.purge(self.keeping.done_h, self.keeping.failed_h)
        if removed:
            logger.info("deleted %s: the time to keep is over", counted(removed, "image"))
        return 30.0

    def purge(self, done_h: float, failed_h: float) -> int:
        """Deletes images that ended so long ago, with their results; returns how many.

        Files go before rows: a kill in between leaves a row, never a file that nobody knows.
        """
        now = self.clock()
        rows = self.database.rows(
            "SELECT id, file FROM instances WHERE (state IN ('sent', 'ignored', 'refused') AND changed <= ?) "
            "OR (state IN ('failed', 'dead') AND changed <= ?)",
            now - done_h * 3600,
            now - failed_h * 3600,
        )
        for row in rows:
            self._remove(row)
        if rows:
            self.database.rows("PRAGMA wal_checkpoint(TRUNCATE)")
        return len(rows)

    def _remove(self, row: sqlite3.Row) -> None:
        # A result of a whole study stays until the last of its images goes.
        results = self.database.rows(
            "SELECT r.id, r.file FROM results AS r JOIN sources AS s ON s.result_id = r.id "
            "WHERE s.instance_id = ? AND NOT EXISTS "
            "(SELECT 1 FROM sources WHERE result_id = r.id AND instance_id <> s.instance_id)",
            row["id"],
        )
        for each in (row, *results):
            self.spool.drop(each["file"])
        with self.database.transaction():
            for result in results:
                self.database.run("DELETE FROM results WHERE id = ?", result["id"])
            self.database.run("DELETE FROM instances WHERE id = ?", row["id"])
