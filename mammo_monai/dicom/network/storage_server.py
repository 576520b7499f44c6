"""A DICOM storage SCP: takes instances as they were sent, never decodes them, and answers what `store` says.

C-ECHO, C-STORE of every standard storage class in every common transfer syntax, and both halves of storage
commitment: requests of others (N-ACTION) and reports on our own (N-EVENT-REPORT).
"""

from __future__ import annotations

import logging
import ssl
import threading
from collections.abc import Callable
from enum import IntEnum
from functools import cache

from pydicom.dataset import Dataset
from pynetdicom import AE, AllStoragePresentationContexts, build_context, evt
from pynetdicom.presentation import PresentationContext
from pynetdicom.sop_class import StorageCommitmentPushModel, Verification

from mammo_monai.dicom.network.association_server import AssociationServer, Door, SharedContexts
from mammo_monai.dicom.network.callers import Admission
from mammo_monai.dicom.network.commitment_messages import (
    CommitmentReport,
    CommitmentRequest,
    commitment_report_of,
    commitment_request_of,
)
from mammo_monai.dicom.network.guarded_association import MAX_PDU_BYTES
from mammo_monai.dicom.network.received import ReceivedInstance
from mammo_monai.dicom.network.reception import ReceptionLimits
from mammo_monai.dicom.network.refusals import Refusals
from mammo_monai.dicom.network.transfer_syntaxes import STORED_SYNTAXES

logger = logging.getLogger(__name__)
_NO_LIMIT = 1 << 30
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
        admission: who may open an association; anybody where it says nothing.
        limits: how much each caller and all together may have.
        tls: context of a server; the handshake runs in the caller's thread, so a silent one holds up nobody.
        commit: takes a storage commitment request and returns whether it will be reported on, on its own
            association or by `send_commitment_report`; None refuses all.
        commitment_reported: gets reports on commitments that we asked others for.
        refused: gets a word for each caller that was refused or cut off, see `Refusal`.

    Raises:
        ValueError: an AE title that cannot be.
    """

    def __init__(  # noqa: PLR0913  # a server's settings, all by name
        self,
        *,
        ae_title: str,
        store: Callable[[ReceivedInstance], StoreStatus],
        host: str = "127.0.0.1",
        port: int = 0,
        admission: Admission | None = None,
        limits: ReceptionLimits | None = None,
        tls: ssl.SSLContext | None = None,
        commit: Callable[[CommitmentRequest], bool] | None = None,
        commitment_reported: Callable[[CommitmentReport], None] | None = None,
        refused: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.host = host
        self._asked_port = port
        self._store, self._commit, self._commitment_reported = store, commit, commitment_reported
        self._tls = tls
        self._server: AssociationServer | None = None
        self._door = Door(admission or Admission(), limits or ReceptionLimits(), Refusals(refused))
        self._entity = entity = AE(ae_title)
        entity.maximum_pdu_size = MAX_PDU_BYTES
        entity.maximum_associations = _NO_LIMIT  # the door counts
        timeout_s = self._door.bounds.limits.network_timeout_s
        entity.network_timeout = entity.acse_timeout = entity.dimse_timeout = timeout_s
        self._contexts = SharedContexts(_storage_contexts())
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
        self._server = AssociationServer(
            self._entity,
            (self.host, self._asked_port),
            self._door,
            contexts=self._contexts,
            tls=self._tls,
            handlers=handlers,
        )
        threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def renew_tls(self, tls: ssl.SSLContext) -> None:
        """Shows other certificates, and trusts others, from the next connection on."""
        self._tls = tls
        if self._server is not None:
            self._server.tls = tls

    def stop(self, *, grace_s: float = 0.0) -> None:
        """Takes no new association, waits `grace_s` for those under way, then aborts them."""
        server, self._server = self._server, None
        if server is not None:
            server.end(grace_s=grace_s)

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
