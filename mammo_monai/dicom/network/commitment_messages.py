"""Storage commitment as messages: what is asked (N-ACTION) and what is answered (N-EVENT-REPORT)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pynetdicom import build_context, build_role, evt
from pynetdicom.association import Association
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance

from mammo_monai.dicom.network.associations import Calling, associated
from mammo_monai.dicom.network.peers import Peer
from mammo_monai.dicom.reading import first_text

NO_SUCH_INSTANCE = 0x0112
"""Failure Reason (0008,1197) of an instance that is not here: DICOM PS3.3 C.14.1.1."""
CLASS_CONFLICT = 0x0119
"""Failure Reason of an instance that is here under another SOP class."""


@dataclass(frozen=True)
class CommitmentReport:
    """Whether instances are kept safely.

    Attributes:
        committed: pairs of SOP Class UID and SOP Instance UID.
        failed: SOP Class UID, SOP Instance UID and Failure Reason of the others.

    Source: DICOM PS3.4 J.3.3, N-EVENT-REPORT of types 1 and 2.
    """

    transaction_uid: str
    committed: tuple[tuple[str, str], ...]
    failed: tuple[tuple[str, str, int], ...] = ()

    @property
    def event_type(self) -> int:
        """1 where all are kept, 2 where some are not."""
        return 2 if self.failed else 1


@dataclass(frozen=True)
class CommitmentRequest:
    """Somebody asks whether instances are kept safely.

    Attributes:
        instances: pairs of SOP Class UID and SOP Instance UID.
        reply: reports on the association that the request came on, once it was answered; says whether the
            report was taken. False at once where the association is closed, as most senders do.

    Source: DICOM PS3.4 J.3.2, N-ACTION of type 1.
    """

    transaction_uid: str
    calling_ae_title: str
    instances: tuple[tuple[str, str], ...]
    reply: Callable[[CommitmentReport], bool] = lambda _: False


def send_commitment_report(peer: Peer, report: CommitmentReport, *, calling_ae_title: str) -> bool:
    """Reports on a new association to the one that asked; says whether the report was taken.

    Raises:
        NetworkError: it cannot be reached, or takes no reports.

    Source: DICOM PS3.4 J.3.3: the reporting side asks for the SCP role when it opens the association.
    """
    role = build_role(StorageCommitmentPushModel, scu_role=False, scp_role=True)
    calling = Calling(calling_ae_title)
    with associated(peer, [build_context(StorageCommitmentPushModel)], calling, roles=[role]) as association:
        return _reported(association, report)


def ask_for_commitment(  # a request and how it is sent
    peer: Peer,
    transaction_uid: str,
    instances: Sequence[tuple[str, str]],
    *,
    calling_ae_title: str,
) -> bool:
    """Asks a peer to commit to instances, without waiting for its report; says whether it will report.

    The report comes to our own storage server, `commitment_reported`.

    Args:
        instances: pairs of SOP Class UID and SOP Instance UID.

    Raises:
        NetworkError: it cannot be reached, or knows no storage commitment.
    """
    content = _information(CommitmentReport(transaction_uid, tuple(instances)))
    calling = Calling(calling_ae_title)
    with associated(peer, [build_context(StorageCommitmentPushModel)], calling) as association:
        status, _ = association.send_n_action(
            content, 1, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
        )
        return bool(status.get("Status") == 0)


def commitment_request_of(event: evt.Event) -> CommitmentRequest | None:
    """The request of pynetdicom's N-ACTION event; None where it is none that can be answered."""
    try:
        content = event.action_information
        instances = tuple(_reference(item) for item in content.get("ReferencedSOPSequence") or ())
        transaction = first_text(content, "TransactionUID")
    except Exception:  # pydicom parses late and raises anything on damage
        return None
    if event.action_type != 1 or not transaction or not instances:
        return None
    association = event.assoc
    title = association.requestor.ae_title.strip()
    return CommitmentRequest(transaction, title, instances, lambda report: _reported(association, report))


def commitment_report_of(event: evt.Event) -> CommitmentReport | None:
    """The report of pynetdicom's N-EVENT-REPORT event; None where it names no transaction."""
    try:
        content = event.event_information
        transaction = first_text(content, "TransactionUID")
        committed = tuple(_reference(item) for item in content.get("ReferencedSOPSequence") or ())
        failed = tuple(
            (*_reference(item), int(item.get("FailureReason") or 0x0110))
            for item in content.get("FailedSOPSequence") or ()
        )
    except Exception:  # pydicom parses late and raises anything on damage
        return None
    return CommitmentReport(transaction, committed, failed) if transaction else None


def _reported(association: Association, report: CommitmentReport) -> bool:
    if not association.is_established:
        return False
    try:
        status, _ = association.send_n_event_report(
            _information(report),
            report.event_type,
            StorageCommitmentPushModel,
            StorageCommitmentPushModelInstance,
        )
    except (ValueError, RuntimeError):  # no context for it was agreed on, or the association just ended
        return False
    return bool(status.get("Status") == 0)


def _information(report: CommitmentReport) -> Dataset:
    content = Dataset()
    content.TransactionUID = report.transaction_uid
    if report.committed:
        content.ReferencedSOPSequence = [_item(*each) for each in report.committed]
    if report.failed:
        content.FailedSOPSequence = [_item(*each) for each in report.failed]
    return content


def _item(sop_class: str, sop_instance: str, reason: int | None = None) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, sop_instance
    if reason is not None:
        item.FailureReason = reason
    return item


def _reference(item: Dataset) -> tuple[str, str]:
    return first_text(item, "ReferencedSOPClassUID"), first_text(item, "ReferencedSOPInstanceUID")
