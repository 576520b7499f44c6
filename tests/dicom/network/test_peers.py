"""Peers, addresses and TLS files: what is accepted, and what each refusal says."""

from __future__ import annotations

import ssl
from dataclasses import replace
from pathlib import Path

import pytest

from mammo_monai.dicom.network import Listening, NetworkError, Peer, TlsFiles
from mammo_monai.dicom.network.associations import Calling
from mammo_monai.dicom.network.statuses import is_success, is_temporary, status_words


@pytest.mark.parametrize("text", ["ORTHANC@127.0.0.1:4242", "A B@pacs.example.org:104", "X@[::1]:11112"])
def test_a_peer_is_written_as_it_is_read(text: str) -> None:
    assert str(Peer.parse(text)) == text


def test_blanks_around_a_peer_are_let_be() -> None:
    assert Peer.parse(" PACS@host:104 ") == Peer("PACS", "host", 104)


@pytest.mark.parametrize(
    "text", ["", "PACS", "PACS@host", "host:104", "@host:104", "PACS@host:x", "PACS@::1:104"]
)
def test_what_is_no_peer_is_refused_with_the_form_it_should_have(text: str) -> None:
    with pytest.raises(NetworkError, match="expected a DICOM node as AETITLE@host:port"):
        Peer.parse(text)


@pytest.mark.parametrize("title", ["", "  ", "x" * 17, "a\\b", "Ärzte", "a\tb"])
def test_what_is_no_ae_title_is_refused(title: str) -> None:
    with pytest.raises(NetworkError, match="expected an AE title of 1 to 16 printable ASCII"):
        Peer(title, "host", 104)
    with pytest.raises(NetworkError, match="AE title"):
        Calling(title)


@pytest.mark.parametrize("port", [0, 65536, 99999])
def test_a_port_that_cannot_be_is_refused(port: int) -> None:
    with pytest.raises(NetworkError, match=f"expected a port from 1 to 65535, got {port}"):
        Peer.parse(f"PACS@host:{port}")


def test_a_time_out_must_be_positive() -> None:
    with pytest.raises(NetworkError, match="time-out above 0 s, got 0"):
        Calling(timeout_s=0)


def test_an_address_to_listen_on_is_read() -> None:
    assert Listening.parse("[::1]:0") == Listening("::1", 0)


@pytest.mark.parametrize("text", ["", "11112", ":11112", "host:", "host:x", "host:70000"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(NetworkError, match="expected an address of this machine as HOST:PORT"):
        Listening.parse(text)


def test_a_server_with_an_authority_asks_callers_for_a_certificate(certificates: dict[str, TlsFiles]) -> None:
    assert certificates["server"].server_context().verify_mode == ssl.CERT_REQUIRED
    assert replace(certificates["server"], ca=None).server_context().verify_mode == ssl.CERT_NONE


def test_a_client_verifies_by_the_system_where_no_authority_is_given() -> None:
    context = TlsFiles().client_context()
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


def test_files_for_tls_that_do_not_fit_are_refused_by_name(
    certificates: dict[str, TlsFiles], tmp_path: Path
) -> None:
    server, client = certificates["server"], certificates["client"]
    text = tmp_path / "text.pem"
    text.write_text("no certificate")
    for files, message in (
        (TlsFiles(ca=tmp_path / "nowhere.pem"), "expected a PEM file at .*nowhere.pem, found none"),
        (TlsFiles(key=server.key), "expected a certificate for the key .*server.key, got none"),
        (TlsFiles(ca=text), "expected PEM certificates in .*text.pem, got none"),
        (
            TlsFiles(server.certificate, client.key),
            "server.pem and its private key in .*client.key",
        ),
        (TlsFiles(server.certificate), "its private key in the same file, got others"),
    ):
        with pytest.raises(NetworkError, match=message):
            files.client_context()
    with pytest.raises(NetworkError, match="a server needs a certificate, got none"):
        TlsFiles().server_context()


def test_a_status_is_said_in_words_with_its_code() -> None:
    words = {
        0x0000: "success (0000)",
        0xA701: "out of resources: matches cannot be counted (A701)",
        0xA7FF: "out of resources (A7FF)",
        0xB123: "warning (B123)",
        0xC0DE: "cannot understand or process (C0DE)",
        0x9999: "unknown status (9999)",
    }
    assert {code: status_words(code) for code in words} == words
    assert [is_success(each) for each in (0x0000, 0xB007, 0xA700, 0x0110)] == [True, True, False, False]
    assert [is_temporary(each) for each in (0xA700, 0x0110, 0xA900, 0x0122)] == [True, True, False, False]
