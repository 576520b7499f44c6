"""Listens, greets each caller in a thread of its own, and makes an association of those that may have one."""

from __future__ import annotations

import gc
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from socketserver import BaseServer
from typing import Any

from pynetdicom.ae import ApplicationEntity
from pynetdicom.presentation import PresentationContext
from pynetdicom.transport import AddressInformation, ThreadedAssociationServer

from mammo_monai.dicom.network.callers import Admission
from mammo_monai.dicom.network.connections import Connection, Connections
from mammo_monai.dicom.network.greeting import Greeting, greeted
from mammo_monai.dicom.network.guarded_association import Bounds, GuardedAssociation
from mammo_monai.dicom.network.reception import Memory, Peers, ReceptionLimits
from mammo_monai.dicom.network.refusals import Refusal, Refusals, RefusedError

logger = logging.getLogger(__name__)
_LINGER_S = 0.5  # so that a refusal arrives before the end of the connection does


class SharedContexts(list[PresentationContext]):
    """Presentation contexts that associations share; none of them changes one."""

    def __deepcopy__(self, _: object) -> list[PresentationContext]:
        return list(self)


class Door:
    """Who comes in: the rules, what each may have, and who is in."""

    def __init__(self, admission: Admission, limits: ReceptionLimits, refusals: Refusals) -> None:
        self.admission = admission
        self.connections = Connections(limits)
        self.bounds = Bounds(limits, Memory(limits), Peers(limits), refusals)

    def let_in(self, connection: Connection) -> Greeting:
        """Greets a caller, and lets it in where it may.

        Raises:
            RefusedError: it may not; says why.
        """
        limits = self.bounds.limits
        greeting = greeted(connection.socket, connection.address, timeout_s=limits.association_timeout_s)
        caller = greeting.caller
        refusal = self.admission.refusal(caller)
        if refusal is None and not self.bounds.peers.may_associate(caller.address):
            refusal = Refusal.RATE
        refusal = refusal or self.connections.associate(connection)
        if refusal is not None:
            raise RefusedError(refusal, f"calling {caller.calling!r}, called {caller.called!r}")
        return greeting


class AssociationServer(ThreadedAssociationServer):  # type: ignore[misc]  # pynetdicom is not followed
    """pynetdicom's server, with a door."""

    request_queue_size = 128
    daemon_threads = True
    block_on_close = False  # keeps a list of all threads there ever were

    def __init__(
        self,
        entity: ApplicationEntity,
        address: tuple[str, int],
        door: Door,
        *,
        contexts: list[PresentationContext],
        tls: ssl.SSLContext | None,
        handlers: Sequence[tuple[Any, Callable[..., Any]]],
    ) -> None:
        self.door, self.tls = door, tls
        super().__init__(entity, address, entity.ae_title, contexts, evt_handlers=list(handlers))

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accepts only: the handshake is for the caller's thread."""
        connection, address = self.socket.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection, address

    def process_request(self, request: socket.socket, client_address: Any) -> None:
        """Notes the connection, closing another where there are too many, and starts its thread."""
        address = str(client_address[0])
        try:
            if self.tls is not None:
                request = self.tls.wrap_socket(request, server_side=True, do_handshake_on_connect=False)
            entered, evicted = self.door.connections.enter(request, address)
        except OSError:  # it went away at once
            request.close()
            return
        if evicted is not None:
            self.door.bounds.refusals(Refusal.CONNECTIONS, evicted.address)
        try:
            threading.Thread(
                target=self._greet, args=(entered, client_address), name="mammo-monai caller", daemon=True
            ).start()
        except RuntimeError:  # no more threads
            self._dropped(entered)

    def end(self, *, grace_s: float) -> None:
        """Takes nobody new, waits for those that are in, then aborts them."""
        BaseServer.shutdown(self)
        self.server_close()
        self.door.connections.shut_waiting()
        deadline = time.monotonic() + grace_s
        while self.active_associations and time.monotonic() < deadline:
            time.sleep(0.02)
        for association in self.active_associations:
            association.abort()

    def service_actions(self) -> None:
        """Collects what ended associations leave in cycles, every six seconds."""
        self._gc[0] = (self._gc[0] + 1) % self._gc[1]
        if self._gc[0] == 0:
            gc.collect()

    def _greet(self, connection: Connection, client_address: Any) -> None:
        try:
            greeting = self.door.let_in(connection)
        except RefusedError as error:
            if not connection.is_evicted:  # else it was told of already
                self.door.bounds.refusals(error.refusal, connection.address, error.detail)
            self._hang_up(connection, error.refusal.answer)
            return
        except Exception:
            self._dropped(connection)
            return
        try:
            self._associate(connection, client_address, greeting)
        except Exception:
            self._dropped(connection)

    def _associate(self, connection: Connection, client_address: Any, greeting: Greeting) -> None:
        association = GuardedAssociation(
            self.ae,
            connection.socket,
            connection.address,
            request=greeting.request,
            bounds=self.door.bounds,
            ended=lambda: self.door.connections.leave(connection),
        )
        association._server = self
        association.name = "AcceptorThread of mammo-monai"  # pynetdicom finds its associations by this word
        association.acceptor.maximum_length = self.ae.maximum_pdu_size
        association.acceptor.ae_title = self.ae_title
        association.acceptor.address_info = AddressInformation.from_tuple(self.server_address)
        association.acceptor.implementation_class_uid = self.ae.implementation_class_uid
        association.acceptor.implementation_version_name = self.ae.implementation_version_name
        association.acceptor.supported_contexts = list(self.contexts)
        association.requestor.address_info = AddressInformation.from_tuple(client_address)
        for event, handlers in self._handlers.items():
            if event.is_intervention:
                association.bind(event, *handlers)
        association.start()

    def _dropped(self, connection: Connection) -> None:
        logger.warning("a connection was dropped before it became an association")
        logger.debug("why it was dropped", exc_info=True)
        self._hang_up(connection, b"")

    def _hang_up(self, connection: Connection, last_words: bytes) -> None:
        """Ends a connection so that its last words arrive: what is unread would make the end a reset."""
        end = time.monotonic() + _LINGER_S
        with suppress(OSError, ValueError):
            connection.socket.settimeout(_LINGER_S)
            if last_words:
                connection.socket.sendall(last_words)
                socket.socket.shutdown(connection.socket, socket.SHUT_WR)
            while last_words and time.monotonic() < end and connection.socket.recv(4096):
                pass
        with suppress(OSError):
            connection.socket.close()
        self.door.connections.leave(connection)
