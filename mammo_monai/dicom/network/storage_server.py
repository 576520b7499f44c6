"""A DICOM storage SCP: takes instances as they were sent, never decodes them, and answers what `store` says.

C-ECHO, C-STORE of every standard storage class in every common transfer syntax, and both halves of storage
commitment: requests of others (N-ACTION) and reports on our own (N-EVENT-REPORT).
"""

from __future__ import annotations

import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from enum import IntEnum
from functools import cache
from socketserver import BaseServer

from pydicom.dataset import Dataset
from pynetdicom import AE, AllStoragePresentationContexts, build_context, evt
from pynetdicom._handlers import (
    standard_dimse_recv_handler,
    standard_dimse_sent_handler,
    standard_pdu_recv_handler,
    standard_pdu_sent_handler,
)
from pynetdicom.presentation import PresentationContext
from pynetdicom.sop_class import StorageCommitmentPushModel, Verification
from pynetdicom.transport import ThreadedAssociationServer

from mammo_monai.dicom.network.commitment_messages import (
    CommitmentReport,
    CommitmentRequest,
    commitment_report_of,
    commitment_request_of,
)
from mammo_monai.dicom.network.received import ReceivedInstance
from mammo_monai.dicom.network.transfer_syntaxes import STORED_SYNTAXES

logger = logging.getLogger(__name__)
MAX_PDU_BYTES = 1 << 17  # a film of 25 MB in 200 pieces instead of 1600
_COMMITMENT_SYNTAXES = STORED_SYNTAXES[:2]  # data sets of messages: uncompressed little endian


class StoreStatus(IntEnum):
    """What a C-STORE is answered.

    Source: DICOM PS3.4 B.2.3 and table B.2-1; PS3.7 C.5 for 0110 and 0124.
    """

    SUCCESS = 0x0000
    PROCESSING_FAILURE = 0x0110
    NOT_AUTHORISED = 0x0124
    OUT_OF_RESOURCES = 0xA700
    DATA_SET_MISMATCH = 0xA900
    CANNOT_UNDERSTAND = 0xC000
    CONTENT_CONFLICT = 0xC001

    @property
    def comment(self) -> str:
        """For Error Comment (0000,0902), 64 characters at most; "" on success."""
        return _COMMENTS.get(self, "")


_COMMENTS = {
    StoreStatus.PROCESSING_FAILURE: "not stored: an error in the receiver, see its log; send again",
    StoreStatus.NOT_AUTHORISED: "not stored: this sender may not store here",
    StoreStatus.OUT_OF_RESOURCES: "not stored: disk or queue is full; send again later",
    StoreStatus.DATA_SET_MISMATCH: "not stored: class or instance UID differs from the request's",
    StoreStatus.CANNOT_UNDERSTAND: "not stored: the data set is damaged or cut short",
    StoreStatus.CONTENT_CONFLICT: "not stored: this UID is here already with other content",
}


class StorageServer:
    """Listens while the `with` block runs; `store` is called in the thread of each association.

    An association that is aborted in the middle of an instance calls nothing: what `store` gets is complete
    as the sender framed it. An exception in `store` answers 0110 and costs that instance alone.

    Args:
        ae_title: our own, up to 16 characters.
        port: 0 takes a free one, see `port`.
        store: keeps an instance, durably, before it returns SUCCESS.
        calling_ae_titles: who may connect; None is anybody.
        require_called_ae_title: whether callers must name `ae_title`.
        tls: context of a server; the handshake runs in the caller's thread, so a silent one holds up nobody.
        commit: takes a storage commitment request and returns whether it will be reported on, on its own
            association or by `send_commitment_report`; None refuses all.
        commitment_reported: gets reports on commitments that we asked others for.
        max_associations: at once; more are rejected with "local limit exceeded", and senders come again.
        network_timeout_s: a sender that says nothing for so long is cut off.

    Raises:
        ValueError: an empty list of callers, or an AE title that cannot be.
    """

    def __init__(  # noqa: PLR0913  # a server's settings, all by name
        self,
        *,
        ae_title: str,
        store: Callable[[ReceivedInstance], StoreStatus],
        host: str = "127.0.0.1",
        port: int = 0,
        calling_ae_titles: Collection[str] | None = None,
        require_called_ae_title: bool = False,
        tls: ssl.SSLContext | None = None,
        commit: Callable[[CommitmentRequest], bool] | None = None,
        commitment_reported: Callable[[CommitmentReport], None] | None = None,
        max_associations: int = 20,
        network_timeout_s: float = 60.0,
    ) -> None:
        self.host = host
        self._asked_port = port
        self._store, self._commit, self._commitment_reported = store, commit, commitment_reported
        self._tls = tls
        self._server: _Server | None = None
        self._entity = entity = AE(ae_title)
        entity.maximum_pdu_size = MAX_PDU_BYTES
        entity.maximum_associations = max_associations
        entity.network_timeout = entity.acse_timeout = entity.dimse_timeout = network_timeout_s
        entity.require_called_aet = require_called_ae_title
        if calling_ae_titles is not None:
            if not calling_ae_titles:  # to pynetdicom an empty list is anybody
                raise ValueError("calling_ae_titles must name somebody, or be None for anybody.")
            entity.require_calling_aet = list(calling_ae_titles)
        self._contexts = _Contexts(_storage_contexts())
        if commit is not None or commitment_reported is not None:
            context = build_context(StorageCommitmentPushModel, _COMMITMENT_SYNTAXES)
            context.scu_role = context.scp_role = True  # we ask others, others ask us
            self._contexts.append(context)

    @property
    def port(self) -> int:
        """The port listened on.

        Raises:
            RuntimeError: it is not started.
        """
        if self._server is None:
            raise RuntimeError("StorageServer is not started: use it in a `with` block.")
        return int(self._server.server_address[1])

    def __enter__(self) -> StorageServer:
        handlers = [
            (evt.EVT_C_STORE, self._on_store),
            (evt.EVT_N_ACTION, self._on_commitment_request),
            (evt.EVT_N_EVENT_REPORT, self._on_commitment_report),
        ]
        address = (self.host, self._asked_port)
        self._server = self._entity.make_server(
            address,
            contexts=self._contexts,
            ssl_context=self._tls,
            evt_handlers=handlers,
            server_class=_Server,
        )
        threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self, *, grace_s: float = 0.0) -> None:
        """Takes no new association, waits `grace_s` for those under way, then aborts them."""
        server, self._server = self._server, None
        if server is None:
            return
        BaseServer.shutdown(server)
        server.server_close()
        end = time.monotonic() + grace_s
        while server.active_associations and time.monotonic() < end:
            time.sleep(0.02)
        for association in server.active_associations:
            association.abort()

    def _on_store(self, event: evt.Event) -> Dataset:
        try:
            status = self._store(ReceivedInstance.of_event(event))
        except Exception as error:  # whatever it is, the sender must hear that nothing was stored
            logger.error("an instance was not stored: %s", type(error).__name__)
            logger.debug("why it was not stored", exc_info=True)
            status = StoreStatus.PROCESSING_FAILURE
        answer = Dataset()
        answer.Status = int(status)
        if status.comment:
            answer.ErrorComment = status.comment
        return answer

    def _on_commitment_request(self, event: evt.Event) -> tuple[int, None]:
        request = commitment_request_of(event)
        if request is None:
            return 0x0115, None  # invalid argument value, PS3.7 10.1.4.1.10
        if self._commit is None or not self._commit(request):
            return 0x0110, None
        return 0x0000, None

    def _on_commitment_report(self, event: evt.Event) -> tuple[int, None]:
        report = commitment_report_of(event)
        if report is None:
            return 0x0115, None
        if self._commitment_reported is None:
            return 0x0110, None
        self._commitment_reported(report)
        return 0x0000, None


@cache
def _storage_contexts() -> tuple[PresentationContext, ...]:
    """C-ECHO, and C-STORE of all 170 standard storage classes."""
    classes = (each.abstract_syntax for each in AllStoragePresentationContexts)
    return (build_context(Verification), *(build_context(each, STORED_SYNTAXES) for each in classes))


class _Contexts(list[PresentationContext]):
    """Presentation contexts that associations share: pynetdicom copies them deeply for each, in 50 ms."""

    def __deepcopy__(self, _: object) -> list[PresentationContext]:
        return list(self)


class _Server(ThreadedAssociationServer):  # type: ignore[misc]  # pynetdicom is not followed
    """pynetdicom's server, with the TLS handshake and a time limit in the connection's own thread."""

    request_queue_size = 64
    daemon_threads = True

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **options)
        # They put together every message's text for a log that nobody keeps.
        for event, handler in (
            (evt.EVT_DIMSE_RECV, standard_dimse_recv_handler),
            (evt.EVT_DIMSE_SENT, standard_dimse_sent_handler),
            (evt.EVT_PDU_RECV, standard_pdu_recv_handler),
            (evt.EVT_PDU_SENT, standard_pdu_sent_handler),
        ):
            self.unbind(event, handler)

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        """Accepts only; see `process_request_thread`."""
        accepted: tuple[socket.socket, tuple[str, int]] = self.socket.accept()
        return accepted

    def process_request_thread(self, request: socket.socket, client_address: tuple[str, int]) -> None:
        """Shakes hands and hands over to an association; a caller that stalls is cut off."""
        request.settimeout(self.ae.network_timeout)
        if self.ssl_context is not None:
            try:
                request = self.ssl_context.wrap_socket(request, server_side=True)
            except OSError as error:
                logger.warning("a caller's TLS handshake failed: %s", type(error).__name__)
                with suppress(OSError):
                    request.close()
                return
        super().process_request_thread(request, client_address)

    def handle_error(self, request: object, client_address: object) -> None:
        """Logs in one line what socketserver would print with a traceback."""
        logger.warning("a connection was dropped before it became an association")
        logger.debug("why it was dropped", exc_info=True)
