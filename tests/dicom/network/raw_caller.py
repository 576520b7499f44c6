"""A caller that sends what it is told, byte by byte if need be: what pynetdicom's own would never send."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator, Sequence
from functools import cache
from io import BytesIO
from types import TracebackType
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import build_context
from pynetdicom.dimse_messages import C_ECHO_RQ, C_STORE_RQ
from pynetdicom.dimse_primitives import C_ECHO, C_STORE
from pynetdicom.dsutils import decode
from pynetdicom.pdu import A_ASSOCIATE_RQ, P_DATA_TF
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    MaximumLengthNotification,
)
from pynetdicom.sop_class import Verification

from tests.dicom_factory import MAMMOGRAM_CLASS

ACCEPTED, REJECTED, DATA, RELEASED, ABORTED, CLOSED = 2, 3, 4, 6, 7, 0
RELEASE = b"\x05\0\0\0\0\x04\0\0\0\0"
ABORT = b"\x07\0\0\0\0\x04\0\0\0\0"
ECHO_CONTEXT, STORE_CONTEXT = 1, 3


@cache
def association_request(
    calling: str = "SENDER", called: str = "NODE", syntax: UID = ExplicitVRLittleEndian
) -> bytes:
    """An A-ASSOCIATE-RQ for C-ECHO and C-STORE of mammograms."""
    return encoded_request(
        calling, called, [(Verification, ImplicitVRLittleEndian), (MAMMOGRAM_CLASS, syntax)]
    )


def encoded_request(
    calling: str, called: str, contexts: list[tuple[Any, Any]], *, more: Sequence[Any] = ()
) -> bytes:
    """Args: more: items of user information."""
    request = A_ASSOCIATE()
    request.application_context_name = "1.2.840.10008.3.1.1.1"
    request.calling_ae_title, request.called_ae_title = calling, called
    proposed = []
    for number, (abstract, syntax) in enumerate(contexts):
        context = build_context(abstract, syntax)
        context.context_id = (2 * number + 1) % 256
        proposed.append(context)
    request.presentation_context_definition_list = proposed
    length, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
    length.maximum_length_received = 16384
    implementation.implementation_class_uid = UID("1.2.3.4")
    request.user_information = [length, implementation, *more]
    pdu = A_ASSOCIATE_RQ()
    pdu.from_primitive(request)
    return bytes(pdu.encode())


@cache
def echo_request() -> bytes:
    """One C-ECHO, as a P-DATA-TF."""
    request = C_ECHO()
    request.MessageID, request.AffectedSOPClassUID = 1, Verification
    message = C_ECHO_RQ()
    message.primitive_to_message(request)
    return b"".join(_pdus(message, ECHO_CONTEXT, 16384))


def store_request(dataset: Dataset, *, pdu_bytes: int = 16384) -> list[bytes]:
    """One C-STORE, as P-DATA-TFs of at most so many bytes."""
    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = dataset.SOPClassUID, dataset.SOPInstanceUID
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    content = buffer.getvalue()  # a file: its preamble and File Meta Information do not travel
    buffer = BytesIO(content[144 + int.from_bytes(content[140:144], "little") :])
    request.DataSet = buffer
    message = C_STORE_RQ()
    message.primitive_to_message(request)
    return list(_pdus(message, STORE_CONTEXT, pdu_bytes))


def _pdus(message: Any, context: int, pdu_bytes: int) -> Iterator[bytes]:
    for primitive in message.encode_msg(context, pdu_bytes):
        pdu = P_DATA_TF()
        pdu.from_primitive(primitive)
        yield bytes(pdu.encode())


class RawCaller:
    """One connection.

    Args:
        source: the address it comes from; all of 127.0.0.0/8 is this machine.
        tls: context of a client; its handshake is done at once.
    """

    def __init__(
        self,
        port: int,
        *,
        source: str = "127.0.0.1",
        tls: ssl.SSLContext | None = None,
        timeout_s: float = 10.0,
    ) -> None:
        self.socket: socket.socket = socket.create_connection(
            ("127.0.0.1", port), timeout_s, source_address=(source, 0)
        )
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            try:
                self.socket = tls.wrap_socket(self.socket, server_hostname="127.0.0.1")
            except BaseException:
                self.socket.close()
                raise

    def __enter__(self) -> RawCaller:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.socket.close()

    def send(self, content: bytes) -> None:
        self.socket.sendall(content)

    def associate(self, calling: str = "SENDER", **options: Any) -> bytes:
        """The answer to an A-ASSOCIATE-RQ: its first byte is its type."""
        self.send(association_request(calling, **options))
        return self.read()

    def store(self, dataset: Dataset) -> int | None:
        """The status of a C-STORE; None where the association ended instead."""
        self.send(b"".join(store_request(dataset)))
        return self.status()

    def echo(self) -> int | None:
        self.send(echo_request())
        return self.status()

    def status(self) -> int | None:
        answer = self.read()
        if answer[:1] != bytes((DATA,)):
            return None
        return int(decode(BytesIO(answer[12:]), True, True).Status)

    def release(self) -> None:
        self.send(RELEASE)
        self.read()

    def read(self) -> bytes:
        """The next PDU; empty where the connection ends."""
        try:
            header = self._exactly(6)
            return header + self._exactly(int.from_bytes(header[2:], "big")) if len(header) == 6 else b""
        except (ConnectionError, ssl.SSLError):
            return b""

    def is_ended(self) -> bool:
        """Whether the other side ends the connection before the time-out, whatever it says before."""
        try:
            while self.socket.recv(4096):
                pass
        except TimeoutError:
            return False
        except OSError:
            return True
        return True

    def _exactly(self, n_bytes: int) -> bytes:
        content = b""
        while len(content) < n_bytes:
            piece = self.socket.recv(n_bytes - len(content))
            if not piece:
                break
            content += piece
        return content
