"""Storage commitment as SCU: does the peer vouch for what it was sent, so that our copies may go?"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from pynetdicom import build_context, evt
from pynetdicom.association import Association
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance

from mammo_monai.dicom.network.associations import (
    CALLING_AE_TITLE,
    TIMEOUT_S,
    Calling,
    associated,
    serve_requests,
)
from mammo_monai.dicom.network.call_backs import listening_at
from mammo_monai.dicom.network.commitment_messages import CommitmentReport, commitment_report_of
from mammo_monai.dicom.network.errors import NetworkError
from mammo_monai.dicom.network.peers import Listening, Peer
from mammo_monai.dicom.network.statuses import is_success, status_words

_REQUEST = 1  # action type: PS3.4 J.3.2


@dataclass(frozen=True)
class Commitment:
    """What a peer vouches for.

    Attributes:
        committed: SOP Instance UIDs it keeps safely.
        failed: why it does not vouch for others, by SOP Instance UID; those its report leaves out too.
    """

    transaction_uid: str
    committed: tuple[str, ...]
    failed: Mapping[str, str]


def request_storage_commitment(
    peer: Peer,
    instances: Mapping[str, str],
    *,
    calling_ae_title: str = CALLING_AE_TITLE,
    timeout_s: float = TIMEOUT_S,
    listening: Listening | None = None,
) -> Commitment:
    """Asks a peer to vouch for instances, and waits for its report.

    Args:
        instances: SOP Class UID by SOP Instance UID.
        timeout_s: for each answer, and for the report.
        listening: where the peer may report to on an association of its own, as most do; it must know
            `calling_ae_title` at that address. None waits for a report on ours.

    Raises:
        NetworkError: no association, the peer refuses, or no report came in time.

    Source: DICOM PS3.4 J.3.
    """
    calling = Calling(calling_ae_title, timeout_s)
    transaction = str(generate_uid())
    waiting = _Waiting(transaction)
    with ExitStack() as stack:
        if listening is not None:
            stack.enter_context(listening_at(listening, calling_ae_title, commitment_reported=waiting.take))
        contexts = [build_context(StorageCommitmentPushModel)]
        handlers = [(evt.EVT_N_EVENT_REPORT, waiting.on_event)]
        association = stack.enter_context(associated(peer, contexts, calling, handlers=handlers))
        association.network_timeout = None  # silence until the report is what we wait for
        _request(peer, association, transaction, instances)
        serve_requests(association)
        report = waiting.report(timeout_s)
    if report is None:
        where = f"at {listening.host}:{listening.port}" if listening else "on our association"
        raise NetworkError(
            f"{peer}: expected a report on storage commitment within {timeout_s:g} s {where}, none came. "
            f"It reports to the address it knows for {calling_ae_title}: listen there (--listen HOST:PORT)."
        )
    return _commitment(report, instances)


class _Waiting:
    """Takes the report on one transaction, from whichever association it comes."""

    def __init__(self, transaction_uid: str) -> None:
        self._transaction_uid = transaction_uid
        self._has_come = threading.Event()
        self._report: CommitmentReport | None = None

    def take(self, report: CommitmentReport) -> None:
        """Keeps the report if it is on our transaction; peers may report on older ones first."""
        if report.transaction_uid == self._transaction_uid:
            self._report = report
            self._has_come.set()

    def on_event(self, event: evt.Event) -> tuple[int, None]:
        """A report on our own association."""
        report = commitment_report_of(event)
        if report is None:
            return 0x0115, None  # invalid argument value
        self.take(report)
        return 0x0000, None

    def report(self, timeout_s: float) -> CommitmentReport | None:
        """The report, or None if it does not come in time."""
        self._has_come.wait(timeout_s)
        return self._report


def _request(
    peer: Peer, association: Association, transaction_uid: str, instances: Mapping[str, str]
) -> None:
    content = Dataset()
    content.TransactionUID = transaction_uid
    content.ReferencedSOPSequence = []
    for instance, sop_class in instances.items():
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, instance
        content.ReferencedSOPSequence.append(item)
    status, _ = association.send_n_action(
        content, _REQUEST, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
    )
    code = status.get("Status")
    if code is None:
        raise NetworkError(f"{peer}: expected an answer to a storage commitment request, none came.")
    if not is_success(code):
        raise NetworkError(
            f"{peer}: expected it to take a storage commitment request, it answered {status_words(code)}."
        )


def _commitment(report: CommitmentReport, instances: Mapping[str, str]) -> Commitment:
    committed = tuple(uid for _, uid in report.committed if uid in instances)
    failed = dict.fromkeys(instances, "its report does not name it")
    failed |= {uid: status_words(reason) for _, uid, reason in report.failed}
    for uid in committed:
        failed.pop(uid, None)
    return Commitment(report.transaction_uid, committed, failed)
