"""The loop that settles studies, has their images marked one after the other, and keeps what was made."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from mammo_monai.service.node.outbox import NewResult, Outbox
from mammo_monai.service.node.queue import Queue
from mammo_monai.service.node.settings import Marking
from mammo_monai.service.node.spool import Spool, stem_of
from mammo_monai.service.node.worker import (
    STUDY_KINDS,
    Failed,
    Made,
    Task,
    Worker,
    WorkerDiedError,
    study_result_uid,
)

logger = logging.getLogger(__name__)
DISK_WAIT_S = 10.0


class MarkingLoop:
    """One step at a time: an image, else a study's own result, else nothing.

    Args:
        told: gets the outcome of each image and the seconds it took, for metrics.
    """

    def __init__(
        self,
        queue: Queue,
        outbox: Outbox,
        spool: Spool,
        worker: Worker,
        *,
        kinds: Sequence[str],
        told: Callable[[str, float], None] = lambda _, __: None,
    ) -> None:
        self.queue, self.outbox, self.spool, self.worker = queue, outbox, spool, worker
        self.image_kinds = tuple(kind for kind in kinds if kind not in STUDY_KINDS)
        self.study_kinds = tuple(kind for kind in kinds if kind in STUDY_KINDS)
        self._told = told
        self.is_stopping = False

    @property
    def marking(self) -> Marking:
        """Settings of the worker, which are this loop's too."""
        return self.worker.marking

    def step(self) -> float:
        """Does what is next; returns the seconds to wait before the next step."""
        self.queue.settle(self.marking.settle_s, self.marking.settle_at_most_s)
        if (row := self.queue.take()) is not None:
            return self._mark(row)
        if (study_uid := self.queue.to_summarise()) is not None:
            return self._summarise(study_uid)
        return 0.5

    def _mark(self, row: sqlite3.Row) -> float:
        path = self.spool.path(row["file"])
        if not path.is_file():
            self.queue.fail(row["id"], "its file is gone")
            return 0.0
        parts = {kind: self.spool.part("results") for kind in self.image_kinds}
        task = Task(images=((path, row["record_id"]),), parts=parts)
        begin = time.monotonic()
        outcome, wait = "made", 0.0
        try:
            done = self._worked(task)
            if isinstance(done, Made):
                self._keep([row], done, parts, row["study_uid"])
            else:
                outcome, wait = self._not_made(row, done)
        finally:
            for part in parts.values():
                self.spool.drop(part)
        seconds = time.monotonic() - begin
        self._told(outcome, seconds)
        logger.info("record %s: %s in %.1f s", row["record_id"], outcome, seconds)
        return wait

    def _worked(self, task: Task) -> Made | Failed:
        try:
            return self.worker.work(task)
        except WorkerDiedError as error:
            return Failed(str(error))

    def _not_made(self, row: sqlite3.Row, failed: Failed) -> tuple[str, float]:
        if self.is_stopping or failed.is_disk:
            self.queue.give_back(row["id"])
            logger.warning("record %s is put back: %s", row["record_id"], failed.reason)
            return "put back", DISK_WAIT_S
        if failed.is_final:
            self.queue.fail(row["id"], failed.reason)
            logger.warning("record %s cannot be marked: %s", row["record_id"], failed.reason)
            return "failed", 0.0
        goes_on = self.queue.try_again(row["id"], failed.reason, tries=self.marking.tries)
        logger.warning("record %s was not marked: %s", row["record_id"], failed.reason)
        return ("to try again", 0.0) if goes_on else ("dead", 0.0)

    def _keep(self, rows: Sequence[sqlite3.Row], done: Made, parts: dict[str, Path], study_uid: str) -> None:
        results = [
            NewResult(uid, kind, sop_class, self.spool.keep(parts[kind], stem_of(uid)))
            for kind, (uid, sop_class) in done.results.items()
        ]
        is_image = not rows[0]["detections"]
        self.outbox.made(
            [row["id"] for row in rows],
            results,
            study_uid=study_uid,
            state="marked" if is_image and self.study_kinds else "made",
            detections=done.detections if is_image else None,
        )

    def _summarise(self, study_uid: str) -> float:
        """Makes the results of a whole study, of all its images that are here and marked."""
        found = self.queue.marked_images(study_uid)
        rows = [row for row in found if self.spool.path(row["file"]).is_file()]
        for row in found:
            if row not in rows and row["state"] == "marked":
                self.queue.fail(row["id"], "its file is gone")
        if not rows:
            return 0.0
        uids = [row["sop_uid"] for row in rows]
        due = [
            kind
            for kind in self.study_kinds
            if not self.outbox.has(study_result_uid(kind, uids, self.worker.model))
        ]
        parts = {kind: self.spool.part("results") for kind in due}
        images = tuple((self.spool.path(row["file"]), str(row["record_id"])) for row in rows)
        task = Task(images, parts, tuple(str(row["detections"]) for row in rows))
        try:
            done = self._worked(task) if due else Made("")
            if isinstance(done, Made):
                self._keep(rows, done, parts, study_uid)
                return 0.0
            return self._no_summary(rows, done)
        finally:
            for part in parts.values():
                self.spool.drop(part)

    def _no_summary(self, rows: Sequence[sqlite3.Row], failed: Failed) -> float:
        if self.is_stopping or failed.is_disk:
            return DISK_WAIT_S
        for row in rows:
            if row["state"] == "marked":
                self.queue.fail(row["id"], failed.reason)
        logger.warning("a study's result cannot be made: %s", failed.reason)
        return 0.0
