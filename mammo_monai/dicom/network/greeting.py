"""A caller's first words, read whole before anything is made for it: TLS, then its A-ASSOCIATE-RQ.

Everything up to there has one deadline together, so that who sends one byte now and then gains nothing.

Source: DICOM PS3.8 9.3.1 and 9.3.2 (PDUs, A-ASSOCIATE-RQ).
"""

from __future__ import annotations

import socket
import ssl
import time
from dataclasses import dataclass

from pynetdicom.pdu import A_ASSOCIATE_RQ

from mammo_monai.dicom.network.callers import Caller, Certificate
from mammo_monai.dicom.network.refusals import Refusal, RefusedError

MAX_REQUEST_BYTES = 1 << 18  # 128 contexts with 40 transfer syntaxes each are 160 kB
MAX_CONTEXTS = 128  # their ids are the odd numbers of one byte: PS3.8 9.3.2.2
HEADER_BYTES = 6
_A_ASSOCIATE_RQ, _A_ABORT = 0x01, 0x07
_TLS_HANDSHAKE = b"\x16\x03"  # record type and major version: RFC 8446 5.1


@dataclass(frozen=True)
class Greeting:
    """A request for an association, and whose.

    Attributes:
        request: the whole PDU.
    """

    caller: Caller
    request: bytes


def greeted(connection: socket.socket, address: str, *, timeout_s: float) -> Greeting:
    """Shakes hands where the connection is TLS, and reads the request.

    Raises:
        RefusedError: TLS fails, time is over, or what came is no request.
    """
    end = time.monotonic() + timeout_s
    certificate = _shaken(connection, timeout_s)
    request = _request(connection, end)
    try:
        pdu = A_ASSOCIATE_RQ()
        pdu.decode(request)
        caller = Caller(address, pdu.calling_ae_title.strip(), pdu.called_ae_title.strip(), certificate)
        n_contexts = len(pdu.presentation_context)
        identifiers = {each.context_id for each in pdu.presentation_context}
        is_sound = 0 < n_contexts == len(identifiers) <= MAX_CONTEXTS and pdu.user_information is not None
    except Exception as error:  # pynetdicom raises anything on damage
        raise RefusedError(Refusal.REQUEST) from error
    if not is_sound:
        raise RefusedError(Refusal.REQUEST, f"{n_contexts} presentation contexts")
    return Greeting(caller, request)


def read_bytes(connection: socket.socket, n_bytes: int, end: float) -> bytes:
    """So many bytes, or fewer where the other side closes.

    Args:
        end: of `time.monotonic`.

    Raises:
        TimeoutError: they did not come in time.
        OSError: the connection broke.
    """
    content = bytearray(n_bytes)
    view, n_read = memoryview(content), 0
    while n_read < n_bytes:
        left_s = end - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the time is over")
        connection.settimeout(left_s)
        got = connection.recv_into(view[n_read:])
        if not got:
            break
        n_read += got
    view.release()
    return bytes(content[:n_read])


def _shaken(connection: socket.socket, timeout_s: float) -> Certificate | None:
    if not isinstance(connection, ssl.SSLSocket):
        return None
    connection.settimeout(timeout_s)  # of the whole handshake
    try:
        connection.do_handshake()
        encoded = connection.getpeercert(binary_form=True)
        content = connection.getpeercert()
    except TimeoutError as error:
        raise RefusedError(Refusal.SILENT, "within the TLS handshake") from error
    except ssl.SSLError as error:
        raise RefusedError(Refusal.HANDSHAKE, _tls_words(error)) from error
    except (OSError, ValueError) as error:
        raise RefusedError(Refusal.HANDSHAKE, "the connection was closed") from error
    return Certificate.of(encoded, dict(content)) if encoded and content else None


def _tls_words(error: ssl.SSLError) -> str:
    """What OpenSSL says, for an operator: "peer did not return a certificate", "http request", and so on."""
    verified = getattr(error, "verify_message", None)
    reason = (getattr(error, "reason", None) or type(error).__name__).replace("_", " ").lower()
    return f"certificate: {verified}" if verified else str(reason)


def _request(connection: socket.socket, end: float) -> bytes:
    try:
        header = read_bytes(connection, HEADER_BYTES, end)
        if len(header) < HEADER_BYTES:
            raise RefusedError(Refusal.NO_DICOM, "closed" if header else "closed without a word")
        length = _announced(header)
        body = read_bytes(connection, length, end)
    except TimeoutError as error:
        raise RefusedError(Refusal.SILENT) from error
    except ssl.SSLError as error:  # with TLS 1.3 the end of a handshake may fail here
        raise RefusedError(Refusal.HANDSHAKE, _tls_words(error)) from error
    except OSError as error:
        raise RefusedError(Refusal.NO_DICOM, "closed") from error
    if len(body) < length:
        raise RefusedError(Refusal.REQUEST, "closed in the middle of it")
    return header + body


def _announced(header: bytes) -> int:
    """The length of an A-ASSOCIATE-RQ."""
    if header.startswith(_TLS_HANDSHAKE):
        raise RefusedError(Refusal.WANTS_TLS)
    length = int.from_bytes(header[2:HEADER_BYTES], "big")
    if header[0] != _A_ASSOCIATE_RQ:
        is_pdu = _A_ASSOCIATE_RQ < header[0] <= _A_ABORT
        raise RefusedError(Refusal.NO_DICOM, f"a PDU of type {header[0]}" if is_pdu else "")
    if length > MAX_REQUEST_BYTES:
        raise RefusedError(Refusal.REQUEST, f"{length} bytes announced, {MAX_REQUEST_BYTES} taken")
    return length
