"""The loop that brings results to one destination, however long it is away."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Sequence

from pydicom.uid import generate_uid

from mammo_monai.dicom.network import NetworkError
from mammo_monai.service.node.couriers import Answer, Courier
from mammo_monai.service.node.outbox import Outbox, back_off
from mammo_monai.service.node.spool import Spool
from mammo_monai.words import counted

logger = logging.getLogger(__name__)
_IDLE_S = 0.5


class SendingLoop:
    """One step at a time: a batch of results that are due.

    A destination that cannot be reached is asked again with one association per wait, which grows; a result
    that it refuses waits by itself, and is a dead letter after some tries.

    Args:
        ask_commitment: asks the destination to commit to results, pairs of SOP Class and Instance UID, in a
            transaction; says whether it will report. None where commitment is not wanted.
        told: gets the outcome of each result, for metrics.
    """

    def __init__(
        self,
        outbox: Outbox,
        spool: Spool,
        courier: Courier,
        *,
        destination: str,
        ask_commitment: Callable[[str, Sequence[tuple[str, str]]], bool] | None = None,
        told: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.outbox, self.spool, self.courier = outbox, spool, courier
        self.destination = destination
        self._ask_commitment, self._told = ask_commitment, told
        self._silences = 0

    def step(self) -> float:
        """Sends what is due; returns the seconds to wait before the next step."""
        self.outbox.commitment_overdue()
        rows = self.outbox.due(self.destination)
        if not rows:
            return _IDLE_S
        try:
            answers = self.courier([self.spool.path(row["file"]) for row in rows])
        except NetworkError:
            return self._silent("cannot be reached")
        sent = []
        for row, answer in zip(rows, answers, strict=True):
            if answer.is_sent:
                sent.append(row)
            elif answer.is_refusal:
                self._refused(row, answer)
        silence = self._sent(sent) if sent else None
        for answer in answers:
            if not answer.is_sent and not answer.is_refusal:
                silence = answer.reason
        if silence is not None:
            return self._silent(silence)
        self._silences = 0
        return 0.0

    def _sent(self, rows: Sequence[sqlite3.Row]) -> str | None:
        """Notes what was sent; returns why commitment could not be asked for, so that all is sent again."""
        for _ in rows:
            self._told("sent")
        logger.info("%s: %s sent", self.destination, counted(len(rows), "result"))
        if self._ask_commitment is None:
            for row in rows:
                self.outbox.delivered(row["result_id"], self.destination)
            return None
        transaction = str(generate_uid())  # noted before it is asked: the report may come at once
        self.outbox.asked([row["result_id"] for row in rows], self.destination, transaction)
        try:
            will_report = self._ask_commitment(transaction, [(row["sop_class"], row["uid"]) for row in rows])
        except NetworkError:
            will_report = False
        if not will_report:
            self.outbox.not_asked(transaction)
            return "took results, but no request for storage commitment"
        return None

    def _refused(self, row: sqlite3.Row, answer: Answer) -> None:
        self._told("refused")
        if self.outbox.refused(row["result_id"], self.destination, f"{self.destination} {answer.reason}"):
            logger.warning("%s refused a result: it %s", self.destination, answer.reason)
        else:
            self._told("dead")
            logger.warning("%s: a result is given up: it %s", self.destination, answer.reason)

    def _silent(self, reason: str) -> float:
        self._silences += 1
        self._told("silent")
        given_up = self.outbox.silent(self.destination, f"{self.destination} {reason}")
        for _ in range(given_up):
            self._told("dead")
        wait = back_off(self._silences, self.outbox.sending)
        logger.warning(
            "%s %s: results wait, next try in %.0f s; %d given up", self.destination, reason, wait, given_up
        )
        return wait
