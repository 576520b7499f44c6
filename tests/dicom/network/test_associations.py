"""An association that does not come about says why, and what to do."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import cast
from unittest.mock import MagicMock

import pytest
from pynetdicom import build_context
from pynetdicom.association import Association

from mammo_monai.dicom.network import NetworkError, Peer, TlsFiles, echo
from mammo_monai.dicom.network.associations import (
    Calling,
    NoContextAcceptedError,
    associated,
    serve_requests,
)
from mammo_monai.dicom.network.reachability import why_unreachable
from tests.dicom.network.archive_scp import ArchiveScp, Silent

PDU_REJECT = 0x03


@contextmanager
def raw_server(answer: bytes | None, *, is_silent: bool = False) -> Iterator[Peer]:
    """Accepts, then answers the same bytes to anything and hangs up; or says nothing."""
    held: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                held.append(connection)
                if not is_silent:
                    connection.settimeout(10)
                    try:
                        connection.recv(4096)
                        if answer:
                            connection.sendall(answer)
                            connection.recv(4096)  # it hangs up first: what was sent is read
                    except OSError:
                        pass
                    connection.close()

        threading.Thread(target=serve, daemon=True).start()
        yield Peer("RAW", "127.0.0.1", listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)
        for each in held:
            each.close()


def rejection(source: int, reason: int) -> bytes:
    """A-ASSOCIATE-RJ: PS3.8 table 9-21."""
    return bytes([PDU_REJECT, 0, 0, 0, 0, 4, 0, 1, source, reason])


def test_an_echo_is_answered_and_the_association_released() -> None:
    with ArchiveScp() as archive:
        assert 0 < echo(archive.peer, timeout_s=10) < 10
        assert archive.n_associations == 1


def test_another_answer_than_success_is_an_error() -> None:
    with (
        ArchiveScp(on_echo=lambda _: 0x0122) as archive,
        pytest.raises(NetworkError, match=r"success of C-ECHO, got SOP class not supported \(0122\)"),
    ):
        echo(archive.peer)


def test_an_answer_that_does_not_come_is_an_error() -> None:
    with (
        Silent() as silent,
        ArchiveScp(on_echo=silent) as archive,
        pytest.raises(
            NetworkError, match=r"ARCHIVE@.*: expected an answer to C-ECHO within 1.5 s, none came"
        ),
    ):
        echo(archive.peer, timeout_s=1.5)


def test_a_port_nobody_listens_on_is_named() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        with pytest.raises(NetworkError, match=rf"X@127.0.0.1:{port}: .* {port}, nothing listens there"):
            echo(Peer("X", "127.0.0.1", port))


def test_a_name_that_is_unknown_is_said_to_be() -> None:
    with pytest.raises(NetworkError, match=r"the name nohost.invalid is unknown here. Check its spelling"):
        echo(Peer("X", "nohost.invalid", 104))


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (TimeoutError("timed out"), r"expected an answer, none came. Check host and port; a firewall"),
        (OSError(113, "No route to host"), "expected a connection, got No route to host"),
    ],
)
def test_a_network_that_fails_is_told_in_its_own_words(
    error: OSError, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise error

    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        monkeypatch.setattr(socket, "create_connection", fails)
        with pytest.raises(NetworkError, match=message):
            echo(Peer("X", "127.0.0.1", bound.getsockname()[1]))


def test_a_host_that_pynetdicom_cannot_resolve_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr("mammo_monai.dicom.network.associations.AE.associate", fails)
    with pytest.raises(NetworkError, match=r"nohost.invalid is unknown"):
        echo(Peer("X", "nohost.invalid", 104))


def test_a_wrong_called_ae_title_is_named() -> None:
    with (
        ArchiveScp(entity_options={"require_called_aet": True}) as archive,
        pytest.raises(NetworkError, match=r"rejected: OTHER is not its AE title. Ask its administrator"),
    ):
        echo(replace(archive.peer, ae_title="OTHER"))


def test_an_unknown_calling_ae_title_is_named() -> None:
    with (
        ArchiveScp(entity_options={"require_calling_aet": ["FRIEND"]}) as archive,
        pytest.raises(NetworkError, match=r"rejected: it does not know the calling AE title STRANGER"),
    ):
        echo(archive.peer, calling_ae_title="STRANGER")
    with ArchiveScp(entity_options={"require_calling_aet": ["FRIEND"]}) as archive:
        echo(archive.peer, calling_ae_title="FRIEND")


@pytest.mark.parametrize(
    ("source", "reason", "message"),
    [
        (1, 1, "no reason given. Ask the administrator of the peer to allow MAMMO_MONAI"),
        (3, 2, "too many associations open. Try again later"),
        (2, 7, "source 2, reason 7. Ask its administrator"),
    ],
)
def test_a_rejection_is_told_with_its_reason(source: int, reason: int, message: str) -> None:
    with raw_server(rejection(source, reason)) as peer, pytest.raises(NetworkError, match=message):
        echo(peer, timeout_s=5)


def test_a_service_that_is_not_offered_is_named() -> None:
    with (
        ArchiveScp(services=["store"]) as archive,
        pytest.raises(NoContextAcceptedError, match="to accept Verification SOP Class, it accepts none"),
    ):
        echo(archive.peer)


def test_a_web_server_is_told_from_a_dicom_node() -> None:
    with (
        raw_server(b"HTTP/1.1 400 Bad Request\r\n\r\n") as peer,
        pytest.raises(NetworkError, match="Is this port a DICOM node's, and not a web server's"),
    ):
        echo(peer, timeout_s=5)


def test_a_peer_that_says_nothing_is_given_up_after_the_time_out() -> None:
    with (
        raw_server(None, is_silent=True) as peer,
        pytest.raises(NetworkError, match="the connection was closed or no answer came"),
    ):
        echo(peer, timeout_s=0.3)


def test_an_association_is_aborted_when_its_block_fails() -> None:
    seen: list[Association] = []
    contexts = [build_context("1.2.840.10008.1.1")]
    with (
        ArchiveScp() as archive,
        suppress(ZeroDivisionError),
        associated(archive.peer, contexts, Calling()) as association,
    ):
        seen.append(association)
        raise ZeroDivisionError
    assert seen[0].is_aborted


def test_answers_are_left_to_who_waits_for_them() -> None:
    """pynetdicom's own thread asks without blocking, and would take the answer for a request of the peer."""
    contexts = [build_context("1.2.840.10008.1.1")]
    with ArchiveScp() as archive, associated(archive.peer, contexts, Calling(timeout_s=5)) as association:
        association.dimse.msg_queue.put((1, None))
        assert [association.dimse.get_msg(block=False) for _ in range(2)] == [(None, None)] * 2
        assert association.dimse.get_msg(block=True) == (1, None)
        serve_requests(association)
        serve_requests(association)
        assert "get_msg" not in vars(association.dimse)


def test_tls_with_certificates_of_one_authority_works(certificates: dict[str, TlsFiles]) -> None:
    with ArchiveScp(tls=certificates["server"], peer_tls=certificates["client"]) as archive:
        assert echo(archive.peer) > 0


def test_a_peer_that_wants_tls_says_so(certificates: dict[str, TlsFiles]) -> None:
    with (
        ArchiveScp(tls=certificates["server"]) as archive,
        pytest.raises(NetworkError, match=r"expected a DICOM node without TLS, it speaks TLS. Use TLS"),
    ):
        echo(archive.peer, timeout_s=2)


@pytest.mark.parametrize(
    ("answer", "is_silent", "message"),
    [
        (b"", False, "expected TLS, "),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", False, "expected TLS, the handshake failed"),
        (b"", True, "expected an association over TLS, no answer came"),
    ],
)
def test_a_peer_without_tls_says_so(
    answer: bytes, is_silent: bool, message: str, certificates: dict[str, TlsFiles]
) -> None:
    with raw_server(answer, is_silent=is_silent) as peer, pytest.raises(NetworkError, match=message):
        echo(replace(peer, tls=certificates["client"]), timeout_s=0.5)


def test_a_certificate_of_a_stranger_is_not_trusted(certificates: dict[str, TlsFiles]) -> None:
    trusting = TlsFiles(ca=certificates["client"].ca)
    with (
        ArchiveScp(tls=replace(certificates["stranger"], ca=None), peer_tls=trusting) as archive,
        pytest.raises(NetworkError, match=r"a certificate we trust for 127.0.0.1, got one that is not"),
    ):
        echo(archive.peer, timeout_s=2)


def test_a_certificate_for_another_host_is_not_trusted(certificates: dict[str, TlsFiles]) -> None:
    trusting = TlsFiles(ca=certificates["client"].ca)
    with (
        ArchiveScp(tls=replace(certificates["nameless"], ca=None), peer_tls=trusting) as archive,
        pytest.raises(NetworkError, match="Name the authority that signed it, and the host"),
    ):
        echo(archive.peer, timeout_s=2)


def test_a_missing_certificate_of_ours_is_named(certificates: dict[str, TlsFiles]) -> None:
    trusting = TlsFiles(ca=certificates["client"].ca)
    with (
        ArchiveScp(tls=certificates["server"], peer_tls=trusting) as archive,
        pytest.raises(NetworkError, match="or it wants a certificate of ours that it trusts"),
    ):
        echo(archive.peer, timeout_s=2)


class ScriptedContext:
    """A client's context whose handshake, and what comes after it, go as a test wants."""

    def __init__(self, fault: OSError | None) -> None:
        self._fault = fault

    def wrap_socket(self, _: socket.socket, *, server_hostname: str) -> MagicMock:
        assert server_hostname == "127.0.0.1"
        encrypted = MagicMock()
        encrypted.__enter__.return_value.recv.side_effect = self._fault
        return encrypted


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (None, "expected an association over TLS, the connection was closed. Is this port"),
        (TimeoutError(), "expected an association over TLS, no answer came. Is this port a DICOM"),
        (ConnectionResetError(), "expected TLS, the connection was closed. The peer may not speak TLS"),
        (ssl.SSLError(1, "tlsv13 alert certificate required"), "certificate of ours that it trusts"),
    ],
)
def test_what_follows_a_handshake_is_told_apart(fault: OSError | None, message: str) -> None:
    with raw_server(b"") as peer:
        context = cast(ssl.SSLContext, ScriptedContext(fault))
        assert message in why_unreachable(peer, context, timeout_s=1.0)
