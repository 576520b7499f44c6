"""Results on their way to each destination: made once, kept until all have them, or dead with a reason."""

from __future__ import annotations

import json
import random
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mammo_monai.service.node.database import Database
from mammo_monai.service.node.settings import Sending

_OPEN = "('waiting', 'asked')"


@dataclass(frozen=True)
class NewResult:
    """A result whose file is on disk.

    Attributes:
        file: its name in the spool.
    """

    uid: str
    kind: str
    sop_class: str
    file: str


class Outbox:
    """Results with one delivery for each destination, see `DeliveryState`."""

    def __init__(
        self,
        database: Database,
        destinations: Sequence[str],
        sending: Sending | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.database = database
        self.destinations = tuple(destinations)
        self.sending = sending or Sending()
        self.clock = clock

    def made(
        self,
        instance_ids: Sequence[int],
        results: Sequence[NewResult],
        *,
        study_uid: str,
        state: str = "made",
        detections: str | None = None,
    ) -> None:
        """Notes the results of some images and the images' new state, all in one transaction.

        A result that is there already is not made again: only deliveries it lacks are added.

        Args:
            detections: of the image, as text; None leaves what is noted.
        """
        now = self.clock()
        with self.database.transaction():
            for result in results:
                self._add(result, instance_ids, study_uid, now)
            for instance_id in instance_ids:
                self.database.run(
                    "UPDATE instances SET state = ?, reason = '', detections = COALESCE(?, detections), "
                    "changed = ? WHERE id = ?",
                    state,
                    detections,
                    now,
                    instance_id,
                )
                self._end_images("id = ?", instance_id)  # all may have arrived before, of a result known

    def _add(self, result: NewResult, instance_ids: Sequence[int], study_uid: str, now: float) -> None:
        known = self.database.value("SELECT id FROM results WHERE uid = ?", result.uid)
        result_id = known or self.database.insert("results", **vars(result), study_uid=study_uid, made=now)
        for instance_id in instance_ids:
            self.database.run("INSERT OR IGNORE INTO sources VALUES (?, ?)", result_id, instance_id)
        for name in self.destinations:
            self.database.run(
                "INSERT OR IGNORE INTO deliveries (result_id, destination, state, changed) "
                "VALUES (?, ?, 'waiting', ?)",
                result_id,
                name,
                now,
            )

    def has(self, uid: str) -> bool:
        """Whether a result of this UID was made here."""
        return self.database.value("SELECT 1 FROM results WHERE uid = ?", uid) is not None

    def due(self, destination: str) -> list[sqlite3.Row]:
        """What to send now, least tried first, then oldest: result_id, uid, file, tries, made."""
        return self.database.rows(
            "SELECT d.*, r.uid, r.sop_class, r.file, r.made FROM deliveries AS d "
            "JOIN results AS r ON r.id = d.result_id "
            "WHERE d.destination = ? AND d.state = 'waiting' AND d.next_try <= ? "
            "ORDER BY d.tries, r.made, r.id LIMIT 50",
            destination,
            self.clock(),
        )

    def delivered(self, result_id: int, destination: str) -> None:
        """The destination has it; images whose results all have arrived are done."""
        self._set(result_id, destination, "sent", "")

    def asked(self, result_ids: Sequence[int], destination: str, transaction_uid: str) -> None:
        """The destination has them and was asked for storage commitment."""
        with self.database.transaction():
            for result_id in result_ids:
                self.database.run(
                    "UPDATE deliveries SET state = 'asked', transaction_uid = ?, changed = ? "
                    "WHERE result_id = ? AND destination = ?",
                    transaction_uid,
                    self.clock(),
                    result_id,
                    destination,
                )

    def not_asked(self, transaction_uid: str) -> None:
        """The destination did not take the request for commitment: all is sent and asked for again."""
        self.database.run(
            "UPDATE deliveries SET state = 'waiting', transaction_uid = NULL "
            "WHERE transaction_uid = ? AND state = 'asked'",
            transaction_uid,
        )

    def committed(self, transaction_uid: str, committed: Sequence[str]) -> int:
        """Takes a commitment report: what it lacks waits to be sent again; returns how many those are."""
        with self.database.transaction():
            rows = self.database.rows(
                "SELECT d.result_id, d.destination, r.uid FROM deliveries AS d JOIN results AS r "
                "ON r.id = d.result_id WHERE d.transaction_uid = ? AND d.state = 'asked'",
                transaction_uid,
            )
            refused = [row for row in rows if row["uid"] not in set(committed)]
            for row in rows:
                if row not in refused:
                    self.delivered(row["result_id"], row["destination"])
            for row in refused:
                self.refused(row["result_id"], row["destination"], "its storage was not committed")
        return len(refused)

    def commitment_overdue(self) -> int:
        """Sends again what nobody reported on for `commitment_timeout_s`."""
        return self.database.run(
            "UPDATE deliveries SET state = 'waiting', next_try = 0, transaction_uid = NULL "
            "WHERE state = 'asked' AND changed <= ?",
            self.clock() - self.sending.commitment_timeout_s,
        )

    def refused(self, result_id: int, destination: str, reason: str) -> bool:
        """Counts a refusal; False where it was the last and the delivery is dead."""
        with self.database.transaction():
            tries = 1 + int(
                self.database.value(
                    "SELECT tries FROM deliveries WHERE result_id = ? AND destination = ?",
                    result_id,
                    destination,
                )
            )
            if tries >= self.sending.tries:
                self._set(result_id, destination, "dead", f"{reason} ({tries} times)", tries=tries)
                return False
            wait = back_off(tries, self.sending)
            self._set(result_id, destination, "waiting", reason, tries=tries, next_try=self.clock() + wait)
        return True

    def silent(self, destination: str, reason: str) -> int:
        """The destination did not answer: gives up what is too old; returns how many deliveries that are."""
        oldest = self.clock() - self.sending.give_up_after_h * 3600
        with self.database.transaction():
            self.database.run(
                "UPDATE deliveries SET reason = ? WHERE destination = ? AND state = 'waiting'",
                reason,
                destination,
            )
            rows = self.database.rows(
                "SELECT d.result_id FROM deliveries AS d JOIN results AS r ON r.id = d.result_id "
                "WHERE d.destination = ? AND d.state = 'waiting' AND MAX(r.made, d.changed) <= ?",
                destination,
                oldest,
            )
            for row in rows:
                hours = f"{self.sending.give_up_after_h:g}"
                self._set(row["result_id"], destination, "dead", f"{reason}, for {hours} hours")
        return len(rows)

    def without_destination(self) -> int:
        """Ends deliveries to destinations that are no longer configured; returns how many."""
        known = json.dumps(self.destinations)
        rows = self.database.rows(
            f"SELECT result_id, destination FROM deliveries WHERE state IN {_OPEN} "
            "AND destination NOT IN (SELECT value FROM json_each(?))",
            known,
        )
        for row in rows:
            self._set(row["result_id"], row["destination"], "dead", "the destination is no longer configured")
        return len(rows)

    def retry(self) -> int:
        """Sends every dead letter again; returns how many."""
        with self.database.transaction():
            self.database.run(
                "UPDATE instances SET state = 'made', reason = '' WHERE state = 'dead' AND id IN "
                "(SELECT instance_id FROM sources JOIN deliveries USING (result_id) WHERE state = 'dead')"
            )
            return self.database.run(
                "UPDATE deliveries SET state = 'waiting', tries = 0, next_try = 0, reason = '', changed = ? "
                "WHERE state = 'dead'",
                self.clock(),
            )

    def _set(  # the columns of one row
        self,
        result_id: int,
        destination: str,
        state: str,
        reason: str,
        *,
        tries: int | None = None,
        next_try: float = 0.0,
    ) -> None:
        with self.database.transaction():
            self.database.run(
                "UPDATE deliveries SET state = ?, reason = ?, tries = COALESCE(?, tries), next_try = ?, "
                "transaction_uid = NULL, changed = CASE WHEN ? = 'waiting' THEN changed ELSE ? END "
                "WHERE result_id = ? AND destination = ?",
                *(state, reason, tries, next_try, state, self.clock(), result_id, destination),
            )
            if state in ("sent", "dead"):
                self._end_images("id IN (SELECT instance_id FROM sources WHERE result_id = ?)", result_id)

    def _end_images(self, which: str, value: int) -> None:
        """Images none of whose results is under way any more are sent, or dead where one was given up."""
        of_image = (
            "SELECT 1 FROM sources AS s JOIN deliveries AS d ON d.result_id = s.result_id "
            "WHERE s.instance_id = instances.id AND d.state"
        )
        self.database.run(
            f"UPDATE instances SET state = CASE WHEN EXISTS ({of_image} = 'dead') THEN 'dead' "
            "ELSE 'sent' END, "
            f"reason = CASE WHEN EXISTS ({of_image} = 'dead') THEN 'a result was given up' ELSE '' END, "
            f"changed = ? WHERE state = 'made' AND {which} AND NOT EXISTS ({of_image} IN {_OPEN})",
            self.clock(),
            value,
        )


def back_off(tries: int, sending: Sending) -> float:
    """Seconds to wait after so many failures: doubled each time up to the most, then 50 to 100 % of it.

    >>> 5 <= back_off(1, Sending(retry_first_s=10)) <= 10
    True
    >>> 300 <= back_off(1000, Sending(retry_most_s=600)) <= 600
    True
    """
    longest = min(sending.retry_most_s, sending.retry_first_s * 2.0 ** min(tries - 1, 60))
    return longest * random.uniform(0.5, 1.0)
