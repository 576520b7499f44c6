"""Who is talked to over DIMSE: AE title, host, port, and the files that encrypt the way there."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass
from pathlib import Path

from mammo_monai.dicom.network.errors import NetworkError

_PEER = re.compile(r"(?P<ae_title>[^@]+)@(?:\[(?P<host6>[^\]]+)\]|(?P<host>[^:\[\]@]+)):(?P<port>\d{1,5})")
MAX_AE_TITLE = 16


@dataclass(frozen=True)
class TlsFiles:
    """PEM files for TLS 1.2 or later.

    Attributes:
        certificate, key: our own; a client needs them only where the server asks for them.
        ca: certificates that the other side's must descend from; None trusts those of the system.
    """

    certificate: Path | None = None
    key: Path | None = None
    ca: Path | None = None

    def client_context(self) -> ssl.SSLContext:
        """Verifies the server's certificate and its host name; shows ours if there is one.

        Raises:
            NetworkError: a file is missing, is no PEM, or key and certificate do not belong together.
        """
        context = _bound(ssl.create_default_context(ssl.Purpose.SERVER_AUTH))
        self._load_into(context)
        return context

    def server_context(self) -> ssl.SSLContext:
        """Shows our certificate; where `ca` is given, callers must show one that descends from it.

        Raises:
            NetworkError: no certificate, a file is missing, is no PEM, or key and certificate do not match.
        """
        if self.certificate is None:
            raise NetworkError("TLS: a server needs a certificate, got none. Give a certificate and its key.")
        context = _bound(ssl.create_default_context(ssl.Purpose.CLIENT_AUTH))
        self._load_into(context)
        if self.ca is not None:
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def _load_into(self, context: ssl.SSLContext) -> None:
        if self.key is not None and self.certificate is None:
            raise NetworkError(f"TLS: expected a certificate for the key {self.key}, got none. Give both.")
        for path in (self.certificate, self.key, self.ca):
            if path is not None and not Path(path).is_file():
                raise NetworkError(f"TLS: expected a PEM file at {path}, found none. Check the path.")
        try:
            if self.ca is not None:
                context.load_verify_locations(self.ca)
        except ssl.SSLError as error:
            raise NetworkError(f"TLS: expected PEM certificates in {self.ca}, got none ({error}).") from error
        try:
            if self.certificate is not None:
                context.load_cert_chain(self.certificate, self.key)
        except ssl.SSLError as error:
            raise NetworkError(
                f"TLS: expected a PEM certificate in {self.certificate} and its private key in "
                f"{self.key or 'the same file'}, got others ({error.reason or error}). "
                "They must be made together; a key with a pass phrase is not read."
            ) from error


def _bound(context: ssl.SSLContext) -> ssl.SSLContext:
    """Both ways: nothing older than TLS 1.2, and of that only suites with forward secrecy and AEAD.

    Source: DICOM PS3.15 B.12, Modified BCP 195 RFC 8996, 9325 TLS Secure Transport Connection Profile;
    RFC 9325 3.1.1 and 4.2.
    """
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")  # of TLS 1.2; all suites of TLS 1.3 are such
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    return context


@dataclass(frozen=True)
class Peer:
    """A DICOM node.

    Attributes:
        ae_title: 1 to 16 characters, as the node calls itself.
        tls: None talks in the clear.

    Raises:
        NetworkError: an AE title or port that cannot be.

    >>> str(Peer.parse("ORTHANC@127.0.0.1:4242"))
    'ORTHANC@127.0.0.1:4242'
    """

    ae_title: str
    host: str
    port: int
    tls: TlsFiles | None = None

    def __post_init__(self) -> None:
        check_ae_title(self.ae_title)
        if not 0 < self.port < 65536:
            raise NetworkError(f"{self}: expected a port from 1 to 65535, got {self.port}.")

    @classmethod
    def parse(cls, text: str, tls: TlsFiles | None = None) -> Peer:
        """A peer from `AETITLE@host:port`; an IPv6 address stands in brackets.

        Raises:
            NetworkError: the text has another form.
        """
        found = _PEER.fullmatch(text.strip())
        if found is None:
            raise NetworkError(
                f"{text!r}: expected a DICOM node as AETITLE@host:port, such as PACS@pacs.example.org:11112. "
                "The administrator of the archive knows all three."
            )
        return cls(found["ae_title"].strip(), found["host6"] or found["host"], int(found["port"]), tls)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.ae_title}@{host}:{self.port}"


@dataclass(frozen=True)
class Listening:
    """Where we listen while others call us back: for C-MOVE and for reports on storage commitment.

    >>> Listening.parse("0.0.0.0:11112")
    Listening(host='0.0.0.0', port=11112)
    """

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Listening:
        """An address from `HOST:PORT`.

        Raises:
            NetworkError: the text has another form.
        """
        host, _, port = text.rpartition(":")
        if not (host and port.isdecimal() and int(port) < 65536):
            raise NetworkError(
                f"{text!r}: expected an address of this machine as HOST:PORT, such as 0.0.0.0:11112."
            )
        return cls(host.strip("[]"), int(port))


def check_ae_title(title: str) -> None:
    r"""Refuses what is no AE title: 1 to 16 printable ASCII characters but `\`, not only spaces.

    Raises:
        NetworkError: the title is none.

    Source: DICOM PS3.5 table 6.2-1 (AE).
    """
    is_printable = all(" " <= each <= "~" and each != "\\" for each in title)
    if not (title.strip() and len(title) <= MAX_AE_TITLE and is_printable):
        raise NetworkError(
            f"{title!r}: expected an AE title of 1 to {MAX_AE_TITLE} printable ASCII characters "
            "without a backslash."
        )
