"""Storage commitment that others ask of this node: noted, then answered from what the queue holds."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping

from mammo_monai.dicom.network import NetworkError, Peer
from mammo_monai.dicom.network.commitment_messages import (
    CLASS_CONFLICT,
    NO_SUCH_INSTANCE,
    CommitmentReport,
    CommitmentRequest,
    send_commitment_report,
)
from mammo_monai.service.node.database import Database
from mammo_monai.service.node.outbox import back_off
from mammo_monai.service.node.settings import Sending
from mammo_monai.words import counted

logger = logging.getLogger(__name__)
SAME_ASSOCIATION_AFTER_S = 1.0
"""Most senders close the association after they asked; those that stay get the report on it."""


class Commitments:
    """Requests and reports. No archive: what is committed to lies here as long as `keeping` says.

    Args:
        peers: where reports go, by AE title; a sender that is not among them gets its report on the
            association it asked on, or none.
        is_there: whether a file of the queue is on disk, by its name.
    """

    def __init__(
        self,
        database: Database,
        peers: Mapping[str, Peer],
        *,
        ae_title: str,
        sending: Sending,
        clock: Callable[[], float] = time.time,
        is_there: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self.database, self.peers, self._is_there = database, peers, is_there
        self.ae_title, self.sending, self.clock = ae_title, sending, clock

    def __call__(self, request: CommitmentRequest) -> bool:
        """Takes a request; a known sender's outlives a kill."""
        if request.calling_ae_title not in self.peers:
            later = threading.Timer(SAME_ASSOCIATION_AFTER_S, self._reply, (request,))
            later.daemon = True
            later.start()
            return True
        self.database.run(
            "INSERT OR REPLACE INTO commitments (transaction_uid, asked_by, instances, received) "
            "VALUES (?, ?, ?, ?)",
            request.transaction_uid,
            request.calling_ae_title,
            json.dumps(request.instances),
            self.clock(),
        )
        return True

    def report(self, transaction_uid: str, instances: list[tuple[str, str]]) -> CommitmentReport:
        """Says of each instance whether its file is here and in the queue."""
        committed, failed = [], []
        for sop_class, uid in instances:
            rows = self.database.rows(
                "SELECT sop_class, file FROM instances WHERE sop_uid = ? AND file IS NOT NULL", uid
            )
            known = [row["sop_class"] for row in rows if self._is_there(row["file"])]
            if known == [sop_class]:
                committed.append((sop_class, uid))
            else:
                failed.append((sop_class, uid, CLASS_CONFLICT if known else NO_SUCH_INSTANCE))
        return CommitmentReport(transaction_uid, tuple(committed), tuple(failed))

    def step(self) -> float:
        """Reports to one that asked; returns the seconds to wait before the next step."""
        rows = self.database.rows(
            "SELECT * FROM commitments WHERE next_try <= ? ORDER BY next_try LIMIT 1", self.clock()
        )
        if not rows:
            return 0.5
        row = rows[0]
        uid, tries = row["transaction_uid"], row["tries"] + 1
        peer = self.peers.get(row["asked_by"])
        report = self.report(uid, [(each[0], each[1]) for each in json.loads(row["instances"])])
        if peer is not None and self._delivered(peer, report):
            committed = counted(len(report.committed), "instance")
            logger.info("%s: %s committed, %d not", peer.ae_title, committed, len(report.failed))
        elif peer is not None and self.clock() - row["received"] < self.sending.give_up_after_h * 3600:
            self.database.run(
                "UPDATE commitments SET tries = ?, next_try = ? WHERE transaction_uid = ?",
                tries,
                self.clock() + back_off(tries, self.sending),
                uid,
            )
            return 0.0
        else:
            logger.warning("a storage commitment report could not be delivered in %d tries: given up", tries)
        self.database.run("DELETE FROM commitments WHERE transaction_uid = ?", uid)
        return 0.0

    def _delivered(self, peer: Peer, report: CommitmentReport) -> bool:
        try:
            return send_commitment_report(peer, report, calling_ae_title=self.ae_title)
        except NetworkError:
            return False

    def _reply(self, request: CommitmentRequest) -> None:
        if not request.reply(self.report(request.transaction_uid, list(request.instances))):
            logger.warning(
                "%s asked for storage commitment and went away; name it in commitment_peers to report to it",
                request.calling_ae_title,
            )
