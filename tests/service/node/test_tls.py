"""TLS through the node's configuration, from C-STORE to result: the right certificate, and no other."""

from __future__ import annotations

import datetime
import hashlib
import logging
import os
import signal
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import trustme
from pynetdicom import AE
from pynetdicom.sop_class import Verification

from mammo_monai.dicom.network import Peer, TlsFiles, send
from mammo_monai.dicom.network.received import ReceivedInstance
from mammo_monai.dicom.network.storage_server import StorageServer, StoreStatus
from mammo_monai.service.node import Node
from mammo_monai.service.node.run import run_node
from tests.dicom.network.raw_caller import ACCEPTED, RawCaller, association_request
from tests.dicom_factory import MAMMOGRAM_CLASS
from tests.service.node.films import LocalWorker, film, settings, until

PAST = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)


class Hospital:
    """An authority, and files that it signed; a second authority that nobody here trusts."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.authority, self.other = folder, trustme.CA(), trustme.CA()
        self.authority.cert_pem.write_to_path(folder / "ca.pem")

    def files(self, name: str, host: str, *, authority: trustme.CA | None = None, **options: Any) -> TlsFiles:
        leaf = (authority or self.authority).issue_cert(host, **options)
        found = TlsFiles(self.folder / f"{name}.pem", self.folder / f"{name}.key", self.folder / "ca.pem")
        leaf.cert_chain_pems[0].write_to_path(found.certificate)
        leaf.private_key_pem.write_to_path(found.key)
        return found


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Hospital:
    made = Hospital(tmp_path_factory.mktemp("hospital"))
    made.files("node", "127.0.0.1")
    made.files("pacs", "127.0.0.1")
    made.files("elsewhere", "elsewhere.example.org")
    made.files("sender", "sender.example.org")
    made.files("neighbour", "neighbour.example.org")
    made.files("stranger", "sender.example.org", authority=made.other)
    made.files("expired", "sender.example.org", not_before=PAST, not_after=PAST + datetime.timedelta(days=1))
    return made


def files(hospital: Hospital, name: str) -> TlsFiles:
    return TlsFiles(*(hospital.folder / each for each in (f"{name}.pem", f"{name}.key", "ca.pem")))


def named(hospital: Hospital, name: str) -> dict[str, str]:
    return {key: str(value) for key, value in vars(files(hospital, name)).items()}


@contextmanager
def running(folder: Path, hospital: Hospital, *, pacs_port: int = 1, **receiving: Any) -> Iterator[Node]:
    given = {"tls": named(hospital, "node"), "association_timeout_s": 1, **receiving}
    destination = {"name": "pacs", "peer": f"PACS@127.0.0.1:{pacs_port}", "tls": named(hospital, "node")}
    chosen = settings(folder, receiving=given, destinations=[destination])
    with mock.patch("mammo_monai.service.node.node.Worker", LocalWorker), Node(chosen) as node:
        yield node


def refused(node: Node) -> dict[str, int]:
    """Callers that were refused, by reason."""
    (family,) = (each for each in node.metrics.refused.collect())
    return {
        each.labels["reason"]: int(each.value)
        for each in family.samples
        if each.name.endswith("_total") and each.value
    }


def client(hospital: Hospital, name: str | None) -> ssl.SSLContext:
    """As another maker's node would call: Python's own context, nothing of ours in it."""
    context = ssl.create_default_context(cafile=hospital.folder / "ca.pem")
    if name is not None:
        context.load_cert_chain(hospital.folder / f"{name}.pem", hospital.folder / f"{name}.key")
    return context


def stored(node: Node, tls: ssl.SSLContext | None) -> int | None:
    """The status of a C-STORE by pynetdicom's own client; None where there is no association."""
    entity = AE("SENDER")
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = entity.connection_timeout = 5
    made = film()
    entity.add_requested_context(MAMMOGRAM_CLASS, made.file_meta.TransferSyntaxUID)
    entity.add_requested_context(Verification)
    tls_args = None if tls is None else (tls, "127.0.0.1")
    opened = entity.associate("127.0.0.1", node.port, ae_title="NODE", tls_args=tls_args)
    if not opened.is_established:
        return None
    status = int(opened.send_c_store(made).Status)
    opened.release()
    return status


def test_a_film_over_mutual_tls_comes_back_as_results_over_mutual_tls(
    tmp_path: Path, hospital: Hospital
) -> None:
    kept: list[ReceivedInstance] = []

    def store(instance: ReceivedInstance) -> StoreStatus:
        kept.append(instance)
        return StoreStatus.SUCCESS

    archive = StorageServer(ae_title="PACS", store=store, tls=files(hospital, "pacs").server_context())
    with archive, running(tmp_path, hospital, pacs_port=archive.port) as node:
        assert stored(node, client(hospital, "sender")) == 0x0000
        assert until(lambda: node.database.value("SELECT COUNT(*) FROM instances WHERE state = 'sent'") == 1)
        assert [each.sop_class_uid.name for each in kept] == ["Comprehensive SR Storage"]
        assert refused(node) == {}


@pytest.mark.parametrize(
    ("who", "words"),
    [
        (None, "peer did not return a certificate"),
        ("stranger", "certificate"),
        ("expired", "certificate: certificate has expired"),
    ],
)
def test_who_shows_no_good_certificate_is_refused(
    tmp_path: Path, hospital: Hospital, who: str | None, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    with running(tmp_path, hospital) as node:
        assert stored(node, client(hospital, who)) is None
        assert until(lambda: refused(node) == {"tls": 1})
        assert stored(node, client(hospital, "sender")) == 0x0000
    assert "refused 127.0.0.1: its TLS handshake failed (" in caplog.text
    assert words in caplog.text


def _old_version(context: ssl.SSLContext) -> None:
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")


def _weak_cipher(context: ssl.SSLContext) -> None:
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES128-SHA")  # CBC, no AEAD


@pytest.mark.parametrize(
    ("weaken", "words"),
    [(_old_version, "unsupported protocol"), (_weak_cipher, "no shared cipher")],
)
def test_old_versions_and_weak_suites_are_refused(
    tmp_path: Path, hospital: Hospital, weaken: Any, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    context = client(hospital, "sender")
    weaken(context)
    with running(tmp_path, hospital) as node:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            RawCaller(node.port, tls=context)
        assert until(lambda: refused(node) == {"tls": 1})
    assert words in caplog.text


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_the_two_versions_of_today_are_taken_with_forward_secrecy(
    tmp_path: Path, hospital: Hospital, version: ssl.TLSVersion
) -> None:
    context = client(hospital, "sender")
    context.minimum_version = context.maximum_version = version
    with running(tmp_path, hospital) as node, RawCaller(node.port, tls=context) as caller:
        assert caller.associate()[0] == ACCEPTED
        suite, _, _ = caller.socket.cipher()  # type: ignore[attr-defined]  # an SSLSocket
        assert suite.startswith(("ECDHE-", "TLS_"))
        assert "GCM" in suite or "CHACHA20" in suite
        caller.release()


def test_plain_dicom_to_a_tls_port_and_tls_to_a_plain_port_end_at_once(
    tmp_path: Path, hospital: Hospital, caplog: pytest.LogCaptureFixture
) -> None:
    with running(tmp_path, hospital) as node, RawCaller(node.port, timeout_s=0.9) as caller:
        caller.send(association_request())
        assert caller.is_ended()  # before the time-out of association_timeout_s
        assert refused(node) == {"tls": 1}
    with running(tmp_path, hospital, tls=None) as node:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            RawCaller(node.port, tls=client(hospital, "sender"), timeout_s=0.9)
        assert until(lambda: refused(node) == {"tls_unexpected": 1})
    assert "it speaks TLS, and receiving.tls is not set" in caplog.text


def test_half_a_handshake_is_given_up(tmp_path: Path, hospital: Hospital) -> None:
    with running(tmp_path, hospital) as node, RawCaller(node.port, timeout_s=3) as caller:
        caller.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        assert stored(node, client(hospital, "sender")) == 0x0000
        assert caller.is_ended()
        assert refused(node) == {"silent": 1}


def test_an_ae_title_is_its_certificates_and_no_others(
    tmp_path: Path, hospital: Hospital, caplog: pytest.LogCaptureFixture
) -> None:
    encoded = ssl.PEM_cert_to_DER_cert((hospital.folder / "sender.pem").read_text())
    pinned = {"SENDER": f"sha256:{hashlib.sha256(encoded).hexdigest()}", "WARD": "neighbour.example.org"}
    peers = [{"ae_title": title, "certificate": pin} for title, pin in pinned.items()]
    with running(tmp_path, hospital, peers=peers) as node:
        assert stored(node, client(hospital, "sender")) == 0x0000
        assert stored(node, client(hospital, "neighbour")) is None  # of the same authority, another device
        with RawCaller(node.port, tls=client(hospital, "neighbour")) as caller:
            assert caller.associate("WARD")[0] == ACCEPTED
            caller.release()
        assert refused(node) == {"certificate": 1}
        metrics = node.metrics.text().decode()
    assert 'mammo_node_refused_total{reason="certificate"} 1.0' in metrics
    assert 'mammo_node_refused_total{reason="address"} 0.0' in metrics
    assert "its certificate is not that of its AE title (calling 'SENDER', called 'NODE')" in caplog.text


def test_a_destination_that_shows_another_hosts_certificate_gets_nothing(
    tmp_path: Path, hospital: Hospital, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="mammo_monai")
    kept: list[ReceivedInstance] = []
    tls = files(hospital, "elsewhere").server_context()
    archive = StorageServer(
        ae_title="PACS", store=lambda each: kept.append(each) or StoreStatus.SUCCESS, tls=tls
    )  # type: ignore[func-returns-value]
    with archive, running(tmp_path, hospital, pacs_port=archive.port) as node:
        assert stored(node, client(hospital, "sender")) == 0x0000
        assert until(lambda: "pacs cannot be reached: results wait" in caplog.text)
    assert kept == []


def test_certificates_are_read_again_and_bad_ones_leave_the_old(
    tmp_path: Path, hospital: Hospital, caplog: pytest.LogCaptureFixture
) -> None:
    own = Hospital(tmp_path)
    own.files("node", "127.0.0.1")
    own.files("sender", "sender.example.org")

    def shown(port: int) -> bytes:
        with RawCaller(port, tls=client(own, "sender")) as caller:
            return caller.socket.getpeercert(binary_form=True)  # type: ignore[attr-defined, no-any-return]

    with running(tmp_path, own) as node:
        first = shown(node.port)
        own.files("node", "127.0.0.1")
        assert shown(node.port) == first
        node.renew_certificates()
        second = shown(node.port)
        assert second != first
        (tmp_path / "node.pem").write_text("no certificate")
        node.renew_certificates()
        assert shown(node.port) == second
    assert "the certificates could not be read again, the old ones stay: TLS: expected a PEM" in caplog.text


def test_a_hangup_signal_reads_them_again(tmp_path: Path, hospital: Hospital) -> None:
    calls: list[str] = []

    class Watched(Node):
        def renew_certificates(self) -> None:
            calls.append("renewed")
            os.kill(os.getpid(), signal.SIGTERM)

    numbers = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT)
    before, mask = {each: signal.getsignal(each) for each in numbers}, os.umask(0o077)
    chosen = settings(tmp_path, receiving={"tls": named(hospital, "node")})
    timer = threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGHUP))
    try:
        with (
            mock.patch("mammo_monai.service.node.node.Worker", LocalWorker),
            mock.patch("mammo_monai.service.node.run.Node", Watched),
        ):
            timer.start()
            run_node(chosen)
    finally:
        os.umask(mask)
        for number, handler in before.items():
            signal.signal(number, handler)
    assert calls == ["renewed"]


def test_our_own_sender_speaks_tls_to_our_own_node(tmp_path: Path, hospital: Hospital) -> None:
    with running(tmp_path, hospital) as node:
        peer = Peer("NODE", "127.0.0.1", node.port, files(hospital, "sender"))
        assert [each.status for each in send(peer, [film()])] == ["sent"]
