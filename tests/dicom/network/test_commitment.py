"""Asking for storage commitment: reports on our association, on one of the peer's own, and none."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

import pytest
from pydicom.dataset import Dataset
from pynetdicom import evt
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance

from mammo_monai.dicom.network import Listening, NetworkError, Peer, request_storage_commitment
from mammo_monai.dicom.network.call_backs import refuse
from mammo_monai.dicom.network.commitment_messages import CommitmentReport, send_commitment_report
from mammo_monai.dicom.network.storage_server import StoreStatus
from tests.dicom.network.archive_scp import ArchiveScp

CLASS = "1.2.840.10008.5.1.4.1.1.7"
INSTANCES = {"1.2.3": CLASS, "1.2.4": CLASS, "1.2.5": CLASS}


def on_our_association(*contents: Callable[[str], Dataset]) -> Callable[[evt.Event], tuple[int, None]]:
    """Answers success, then reports what is given on the same association."""

    def answer(event: evt.Event) -> tuple[int, None]:
        transaction = str(event.action_information.TransactionUID)

        def report() -> None:
            for each in contents:
                event.assoc.send_n_event_report(
                    each(transaction), 2, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
                )

        threading.Timer(0.2, report).start()
        return 0x0000, None

    return answer


def a_report(transaction: str) -> Dataset:
    content = Dataset()
    content.TransactionUID = transaction
    content.ReferencedSOPSequence = [Dataset()]
    content.ReferencedSOPSequence[0].ReferencedSOPClassUID = CLASS
    content.ReferencedSOPSequence[0].ReferencedSOPInstanceUID = "1.2.3"
    content.FailedSOPSequence = [Dataset()]
    content.FailedSOPSequence[0].ReferencedSOPClassUID = CLASS
    content.FailedSOPSequence[0].ReferencedSOPInstanceUID = "1.2.4"
    content.FailedSOPSequence[0].FailureReason = 0x0112
    return content


def nameless() -> Dataset:
    content = a_report("")
    del content.TransactionUID
    return content


def test_a_report_on_our_association_says_which_are_kept() -> None:
    older = on_our_association(lambda _: a_report("1.9.9"), lambda _: nameless(), a_report)
    with ArchiveScp(on_commit=older) as archive:
        commitment = request_storage_commitment(archive.peer, INSTANCES, timeout_s=10)
    assert commitment.committed == ("1.2.3",)
    assert commitment.failed == {
        "1.2.4": "no such instance (0112)",
        "1.2.5": "its report does not name it",
    }


def test_a_report_on_an_association_of_the_peers_is_taken_at_our_address() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]

    def answer(event: evt.Event) -> tuple[int, None]:
        transaction = str(event.action_information.TransactionUID)
        report = CommitmentReport(transaction, tuple((CLASS, uid) for uid in INSTANCES))
        back = Peer("MAMMO_MONAI", "127.0.0.1", port)
        threading.Timer(0.1, lambda: send_commitment_report(back, report, calling_ae_title="ARCHIVE")).start()
        return 0x0000, None

    with ArchiveScp(on_commit=answer) as archive:
        commitment = request_storage_commitment(
            archive.peer, INSTANCES, timeout_s=10, listening=Listening("127.0.0.1", port)
        )
    assert commitment.committed == tuple(INSTANCES)
    assert commitment.failed == {}


def test_who_waits_for_a_report_keeps_no_instances() -> None:
    assert refuse(None) == StoreStatus.NOT_AUTHORISED  # type: ignore[arg-type]  # whatever it is


@pytest.mark.parametrize("is_listening", [False, True])
def test_a_report_that_does_not_come_is_an_error_with_the_address(is_listening: bool) -> None:
    listening = Listening("127.0.0.1", 0) if is_listening else None
    where = "at 127.0.0.1:0" if is_listening else "on our association"
    with (
        ArchiveScp() as archive,
        pytest.raises(NetworkError, match=rf"within 1 s {where}, none came.*--listen HOST:PORT"),
    ):
        request_storage_commitment(archive.peer, INSTANCES, timeout_s=1.0, listening=listening)


def test_a_peer_that_refuses_says_so() -> None:
    with (
        ArchiveScp(on_commit=lambda _: (0x0110, None)) as archive,
        pytest.raises(NetworkError, match=r"to take a storage commitment request, .* failure \(0110\)"),
    ):
        request_storage_commitment(archive.peer, INSTANCES)


def test_a_peer_that_breaks_off_says_nothing() -> None:
    def abort(event: evt.Event) -> tuple[int, None]:
        event.assoc.abort()
        return 0x0000, None

    with (
        ArchiveScp(on_commit=abort) as archive,
        pytest.raises(NetworkError, match="an answer to a storage commitment request, none came"),
    ):
        request_storage_commitment(archive.peer, INSTANCES, timeout_s=5)


def test_a_peer_without_the_service_is_named() -> None:
    with (
        ArchiveScp(services=["echo"]) as archive,
        pytest.raises(NetworkError, match="to accept Storage Commitment Push Model SOP Class"),
    ):
        request_storage_commitment(archive.peer, INSTANCES)
