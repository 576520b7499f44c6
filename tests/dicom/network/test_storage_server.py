"""The storage server against real senders on loopback: pynetdicom, and bytes written by hand."""

from __future__ import annotations

import hashlib
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    RLELossless,
)
from pynetdicom import AE, build_context, build_role, evt
from pynetdicom.dsutils import encode_file_meta
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance, Verification

from mammo_monai.dicom.network import Peer, TlsFiles
from mammo_monai.dicom.network.callers import Admission, AllowedPeer
from mammo_monai.dicom.network.commitment_messages import (
    NO_SUCH_INSTANCE,
    CommitmentReport,
    CommitmentRequest,
    ask_for_commitment,
    send_commitment_report,
)
from mammo_monai.dicom.network.received import ReceivedInstance
from mammo_monai.dicom.network.reception import ReceptionLimits
from mammo_monai.dicom.network.storage_server import StorageServer, StoreStatus
from mammo_monai.dicom.network.transfer_syntaxes import STORED_SYNTAXES
from mammo_monai.errors import DicomError
from tests.dicom_factory import MAMMOGRAM_CLASS, SOP_INSTANCE_UID, grey_ramp, mammogram_dataset

INSTANCES = ((str(MAMMOGRAM_CLASS), "1.2.3"), (str(MAMMOGRAM_CLASS), "1.2.4"))


class Kept(list[ReceivedInstance]):
    def store(self, instance: ReceivedInstance) -> StoreStatus:
        self.append(instance)
        return StoreStatus.SUCCESS


@pytest.fixture
def kept() -> Kept:
    return Kept()


def serving(kept: Kept, **options: Any) -> StorageServer:
    return StorageServer(**{"ae_title": "NODE", "store": kept.store, **options})


@contextmanager
def association(
    server: StorageServer,
    syntaxes: list[UID] | None = None,
    *,
    calling: str = "SENDER",
    called: str = "NODE",
    **options: Any,
) -> Iterator[Any]:
    entity = AE(calling)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 10
    entity.add_requested_context(MAMMOGRAM_CLASS, syntaxes or [ExplicitVRLittleEndian])
    entity.add_requested_context(Verification)
    entity.add_requested_context(StorageCommitmentPushModel)
    opened = entity.associate("127.0.0.1", server.port, ae_title=called, **options)
    yield opened
    if opened.is_established:
        opened.release()


def stored(server: StorageServer, dataset: Dataset) -> Dataset:
    with association(server, [dataset.file_meta.TransferSyntaxUID]) as opened:
        answer: Dataset = opened.send_c_store(dataset)
    return answer


def until(claim: Callable[[], object]) -> bool:
    """Waits for what another thread does; False after 10 s."""
    end = time.monotonic() + 10
    while not claim() and time.monotonic() < end:
        time.sleep(0.01)
    return bool(claim())


@pytest.mark.parametrize(
    "syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, RLELossless]
)
def test_an_instance_is_kept_as_it_was_sent(kept: Kept, tmp_path: Path, syntax: UID) -> None:
    dataset = mammogram_dataset(grey_ramp((40, 70)), syntax=syntax)
    with serving(kept) as server:
        assert stored(server, dataset).Status == 0x0000
    (instance,) = kept
    assert instance.transfer_syntax_uid == syntax
    assert (instance.sop_class_uid, instance.sop_instance_uid) == (MAMMOGRAM_CLASS, SOP_INSTANCE_UID)
    assert (instance.calling_ae_title, instance.called_ae_title) == ("SENDER", "NODE")
    assert instance.sha256() == hashlib.sha256(instance.data).hexdigest()
    instance.save(tmp_path / "kept.dcm")
    assert (tmp_path / "kept.dcm").stat().st_size == instance.size
    again = dcmread(tmp_path / "kept.dcm")
    assert (again.pixel_array == grey_ramp((40, 70))).all()
    assert again.file_meta.TransferSyntaxUID == syntax


def test_every_common_syntax_is_taken_alone(kept: Kept) -> None:
    contexts = [build_context(MAMMOGRAM_CLASS, syntax) for syntax in STORED_SYNTAXES]
    with serving(kept) as server:
        opened = AE("SENDER").associate("127.0.0.1", server.port, contexts=contexts)
        assert [cx.transfer_syntax[0] for cx in opened.accepted_contexts] == STORED_SYNTAXES
        opened.release()


def test_plain_pixels_are_preferred_where_the_sender_can_convert(kept: Kept) -> None:
    offered = [JPEGBaseline8Bit, RLELossless, ExplicitVRLittleEndian]
    with serving(kept) as server, association(server, offered) as opened:
        chosen = {cx.abstract_syntax: cx.transfer_syntax[0] for cx in opened.accepted_contexts}
    assert chosen[MAMMOGRAM_CLASS] == ExplicitVRLittleEndian


def test_echo_is_answered(kept: Kept) -> None:
    with serving(kept) as server, association(server) as opened:
        assert opened.send_c_echo().Status == 0x0000


def test_a_refusal_says_why() -> None:
    refusals = [each for each in StoreStatus if each is not StoreStatus.SUCCESS]
    answers = iter(refusals)
    dataset = mammogram_dataset(grey_ramp())
    with (
        StorageServer(ae_title="NODE", store=lambda _: next(answers)) as server,
        association(server) as opened,
    ):
        for status in refusals:
            answer = opened.send_c_store(dataset)
            assert answer.Status == status
            assert answer.ErrorComment == status.comment
            assert 0 < len(status.comment) <= 64


def test_an_error_in_the_receiver_costs_one_instance_and_quotes_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fails(_: ReceivedInstance) -> StoreStatus:
        raise RuntimeError("secret-name")

    dataset = mammogram_dataset(grey_ramp())
    server = StorageServer(ae_title="NODE", store=fails)
    with server, caplog.at_level(logging.INFO), association(server) as opened:
        assert opened.send_c_store(dataset).Status == StoreStatus.PROCESSING_FAILURE
        assert opened.send_c_echo().Status == 0x0000
    assert "an instance was not stored: RuntimeError" in caplog.text
    assert "secret-name" not in caplog.text


def test_an_unknown_caller_is_rejected(kept: Kept) -> None:
    with serving(kept, admission=Admission("NODE", (AllowedPeer("SENDER"),))) as server:
        with association(server) as opened:
            assert opened.is_established
        with association(server, calling="STRANGER") as opened:
            assert opened.is_rejected
        with association(server, called="OTHER") as opened:
            assert opened.is_rejected


def test_an_empty_list_of_callers_is_refused() -> None:
    with pytest.raises(ValueError, match="must name somebody, or be None for anybody"):
        Admission(peers=())


def test_too_many_associations_are_rejected_and_may_come_again(kept: Kept) -> None:
    with serving(kept, limits=ReceptionLimits(associations=1)) as server:
        with association(server) as first, association(server) as second:
            assert first.is_established
            assert second.is_rejected
        assert until(lambda: not _threads_of_acceptors())
        with association(server) as third:
            assert third.is_established


def _threads_of_acceptors() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if "AcceptorThread" in each.name]


def test_an_association_aborted_in_the_middle_of_an_instance_stores_nothing(kept: Kept) -> None:
    dataset = mammogram_dataset(grey_ramp((400, 300)))
    with serving(kept) as server:
        with association(server) as opened:
            _send_first_part(opened, dataset)
            opened.abort()
        with association(server) as opened:
            _send_first_part(opened, dataset)
            opened.dul.socket.socket.close()  # a cable pulled out
        assert kept == []
        assert stored(server, dataset).Status == 0x0000
    assert len(kept) == 1


def _send_first_part(opened: Any, dataset: Dataset) -> None:
    """The command and the first fragment of the data set, which never gets a last one."""
    from pynetdicom.dimse_messages import C_STORE_RQ
    from pynetdicom.dimse_primitives import C_STORE

    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = dataset.SOPClassUID, dataset.SOPInstanceUID
    buffer = BytesIO()
    dataset.save_as(buffer, implicit_vr=False, little_endian=True)
    request.DataSet = BytesIO(buffer.getvalue()[300:])
    message = C_STORE_RQ()
    message.primitive_to_message(request)
    context = next(cx for cx in opened.accepted_contexts if cx.abstract_syntax == MAMMOGRAM_CLASS)
    fragments = list(message.encode_msg(context.context_id, 4096))
    assert len(fragments) > 10
    for fragment in fragments[:5]:
        opened.dul.send_pdu(fragment)
    time.sleep(0.05)


def test_what_is_no_association_is_dropped_and_the_server_goes_on(kept: Kept) -> None:
    with serving(kept, limits=ReceptionLimits(association_timeout_s=0.5)) as server:
        with socket.create_connection(("127.0.0.1", server.port)) as raw:
            raw.sendall(b"GET / HTTP/1.1\r\n\r\n")
            raw.settimeout(10)
            while raw.recv(100):
                pass
        with socket.create_connection(("127.0.0.1", server.port)) as stalled:
            stalled.sendall(b"\x01\x00\x00\x00\x40\x00 half a request")
            assert stored(server, mammogram_dataset(grey_ramp())).Status == 0x0000


def test_a_connection_that_cannot_be_handled_is_logged(
    kept: Kept, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(kept) as server:

        def fails(*_: object) -> None:
            raise RuntimeError("no threads left")

        monkeypatch.setattr(server._server, "_associate", fails)
        with association(server):
            assert until(lambda: "dropped before it became an association" in caplog.text)
        monkeypatch.undo()
        assert stored(server, mammogram_dataset(grey_ramp())).Status == 0x0000


def test_stop_lets_an_association_end_and_then_aborts(kept: Kept) -> None:
    server = serving(kept).__enter__()
    with association(server) as opened:
        server.stop(grace_s=0.1)
        assert until(lambda: opened.is_aborted or not opened.is_established)
    server.stop()
    with pytest.raises(RuntimeError, match="not started"):
        _ = server.port


def test_a_header_that_cannot_be_parsed_is_refused() -> None:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = UID("1.2"), UID("1.3")
    header = b"\0" * 128 + b"DICM" + encode_file_meta(meta)
    syntax = DeflatedExplicitVRLittleEndian
    instance = ReceivedInstance(UID("1.2"), UID("1.3"), syntax, "A", "B", header, b"not deflated")
    with pytest.raises(DicomError, match="the received instance: expected a whole data set"):
        instance.attributes()


# Storage commitment


def test_a_commitment_request_is_answered_on_the_same_association(kept: Kept) -> None:
    requests: list[CommitmentRequest] = []
    reports: list[Dataset] = []

    def reported(event: evt.Event) -> tuple[int, None]:
        reports.append(event.event_information)
        return 0x0000, None

    handlers = [(evt.EVT_N_EVENT_REPORT, reported)]
    with serving(kept, commit=lambda asked: not requests.append(asked)) as server:  # type: ignore[func-returns-value]
        with association(server, evt_handlers=handlers) as opened:
            status, _ = opened.send_n_action(
                _reference_set("1.9"), 1, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
            )
            assert status.Status == 0x0000
            (request,) = requests
            assert (request.transaction_uid, request.calling_ae_title) == ("1.9", "SENDER")
            assert request.instances == INSTANCES
            answer = CommitmentReport("1.9", INSTANCES[:1], ((*INSTANCES[1], NO_SUCH_INSTANCE),))
            assert request.reply(answer)
        assert until(lambda: not _threads_of_acceptors())
        assert not request.reply(answer)
    (report,) = reports
    assert report.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == "1.2.3"
    assert report.FailedSOPSequence[0].FailureReason == NO_SUCH_INSTANCE


def _reference_set(transaction: str | None) -> Dataset:
    content = Dataset()
    if transaction is not None:
        content.TransactionUID = transaction
    content.ReferencedSOPSequence = []
    for sop_class, uid in INSTANCES:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, uid
        content.ReferencedSOPSequence.append(item)
    return content


@pytest.mark.parametrize(("transaction", "action", "status"), [(None, 1, 0x0115), ("1.9", 2, 0x0115)])
def test_a_request_that_asks_nothing_is_refused(
    kept: Kept, transaction: str | None, action: int, status: int
) -> None:
    with serving(kept, commit=lambda _: True) as server, association(server) as opened:
        answer, _ = opened.send_n_action(
            _reference_set(transaction),
            action,
            StorageCommitmentPushModel,
            StorageCommitmentPushModelInstance,
        )
    assert answer.Status == status


def test_what_is_not_committed_to_is_said(kept: Kept) -> None:
    with serving(kept, commit=lambda _: False) as server:
        peer = Peer("NODE", "127.0.0.1", server.port)
        assert not ask_for_commitment(peer, "1.9", INSTANCES, calling_ae_title="SENDER")


@pytest.mark.parametrize("failed", [(), ((*INSTANCES[1], NO_SUCH_INSTANCE),)])
def test_a_report_on_a_new_association_arrives(kept: Kept, failed: tuple[tuple[str, str, int], ...]) -> None:
    reports: list[CommitmentReport] = []
    with serving(kept, commitment_reported=reports.append) as server:
        peer = Peer("NODE", "127.0.0.1", server.port)
        report = CommitmentReport("1.9", INSTANCES[:1], failed)
        assert send_commitment_report(peer, report, calling_ae_title="ARCHIVE")
    assert reports == [report]


def test_a_report_that_nobody_waits_for_or_that_names_nothing_is_refused(kept: Kept) -> None:
    with serving(kept, commit=lambda _: True) as server:
        peer = Peer("NODE", "127.0.0.1", server.port)
        assert not send_commitment_report(peer, CommitmentReport("1.9", INSTANCES), calling_ae_title="A")
    with serving(kept, commitment_reported=lambda _: None) as server:
        peer = Peer("NODE", "127.0.0.1", server.port)
        assert not send_commitment_report(peer, CommitmentReport("", INSTANCES), calling_ae_title="A")


class _Event:
    """An event whose content cannot be parsed, as pydicom finds out when it is asked for."""

    action_type = 1

    @property
    def action_information(self) -> Dataset:
        raise ValueError("damaged")

    event_information = action_information


def test_messages_that_cannot_be_parsed_are_refused(kept: Kept) -> None:
    server = serving(kept, commit=lambda _: True)
    assert server._on_commitment_request(_Event()) == (0x0115, None)
    assert server._on_commitment_report(_Event()) == (0x0115, None)


def test_a_report_needs_a_context_for_it(kept: Kept) -> None:
    entity = AE("SENDER")
    entity.add_requested_context(Verification)
    with serving(kept) as server:
        opened = entity.associate(
            "127.0.0.1", server.port, ext_neg=[build_role(Verification, scu_role=True, scp_role=True)]
        )
        from mammo_monai.dicom.network.commitment_messages import _reported

        assert not _reported(opened, CommitmentReport("1.9", INSTANCES))
        opened.release()


# TLS


def _client(files: TlsFiles, *, shows_itself: bool) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=files.ca)
    if shows_itself:
        context.load_cert_chain(files.certificate, files.key)
    return context


def test_mutual_tls_lets_in_who_shows_a_certificate(kept: Kept, certificates: dict[str, TlsFiles]) -> None:
    own, client = certificates["server"], certificates["client"]
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=own.ca)
    context.load_cert_chain(own.certificate, own.key)
    context.verify_mode = ssl.CERT_REQUIRED
    with ExitStack() as stack:
        server = stack.enter_context(serving(kept, tls=context))
        # Says nothing, and holds up nobody.
        stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
        known = (_client(client, shows_itself=True), "127.0.0.1")
        with association(server, tls_args=known) as opened:
            assert opened.send_c_store(mammogram_dataset(grey_ramp())).Status == 0x0000
        unknown = (_client(client, shows_itself=False), "127.0.0.1")
        with association(server, tls_args=unknown) as opened:
            assert not opened.is_established
        with association(server) as opened:
            assert not opened.is_established
    assert len(kept) == 1
