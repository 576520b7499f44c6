"""pynetdicom's association of an acceptor, with bounds: on a PDU's length and time, on messages, on memory.

pynetdicom reads as many bytes as a PDU announces, waits for each piece of it anew, keeps a message in memory
however large it grows, queues requests that come before the last is answered, and lets an error in a message
end its thread with a traceback.
"""

from __future__ import annotations

import logging
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from ssl import SSLSocket
from typing import Any

from pynetdicom import evt
from pynetdicom._globals import MODE_ACCEPTOR
from pynetdicom._handlers import (
    standard_dimse_recv_handler,
    standard_dimse_sent_handler,
    standard_pdu_recv_handler,
    standard_pdu_sent_handler,
)
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dul import DULServiceProvider
from pynetdicom.fsm import TRANSITION_TABLE, StateMachine
from pynetdicom.pdu_primitives import P_DATA
from pynetdicom.transport import AssociationSocket

from mammo_monai.dicom.network.greeting import HEADER_BYTES, read_bytes
from mammo_monai.dicom.network.reception import Memory, Peers, ReceptionLimits
from mammo_monai.dicom.network.refusals import Refusal, Refusals

logger = logging.getLogger(__name__)
MAX_PDU_BYTES = 1 << 17  # a film of 25 MB in 200 pieces instead of 1600
_LENGTH_SLACK = 64  # some senders count the header of a PDU or of its fragments, others do not
_CONTROL_BYTES = 1 << 18  # other PDUs than P-DATA: none of an association under way is longer
_MAX_COMMAND_BYTES = 1 << 16
# Events of the state machine, PS3.8 table 9-10: the transport connection is closed, a PDU is invalid.
_CLOSED, _INVALID = "Evt17", "Evt19"
_UNEXPECTED = "AA-8"  # PS3.8 table 9-9: an A-ABORT for a PDU that has no place in the state
_MOST_REPORTS = 4
# They put together every message's text for a log that nobody keeps.
_TALKATIVE = (
    (evt.EVT_DIMSE_RECV, standard_dimse_recv_handler),
    (evt.EVT_DIMSE_SENT, standard_dimse_sent_handler),
    (evt.EVT_PDU_RECV, standard_pdu_recv_handler),
    (evt.EVT_PDU_SENT, standard_pdu_sent_handler),
)
_P_DATA, _LAST_TYPE = 0x04, 0x07
_COMMAND = 1  # bit of a fragment's control header: PS3.8 E.2


@dataclass(frozen=True)
class Bounds:
    """What the associations of a server share."""

    limits: ReceptionLimits
    memory: Memory
    peers: Peers
    refusals: Refusals


class GuardedAssociation(Association):  # type: ignore[misc]  # pynetdicom is not followed
    """An association that was asked for by a request already read.

    Args:
        ended: called once when it is over, whatever ended it.
    """

    def __init__(
        self,
        entity: ApplicationEntity,
        connection: socket.socket,
        address: str,
        *,
        request: bytes,
        bounds: Bounds,
        ended: Callable[[], None],
    ) -> None:
        super().__init__(entity, MODE_ACCEPTOR)
        self.address, self.bounds, self._ended = address, bounds, ended
        self.is_cut = False
        self.n_reports = 0  # requests that pynetdicom serves in threads of their own
        self.dul, self.dimse = _Provider(self), GuardedMessages(self)
        self.acse_timeout, self.network_timeout = entity.acse_timeout, entity.network_timeout
        for event, handler in _TALKATIVE:
            self.unbind(event, handler)
        self.set_socket(GuardedSocket(self, connection, request))

    def cut(self, refusal: Refusal, detail: str = "") -> None:
        """Ends it for a reason: told to the peer as an A-ABORT, to the operator in the log."""
        if not self.is_cut:
            self.is_cut = True
            self.bounds.refusals(refusal, self.address, detail)
        guard: GuardedSocket = self.dul.socket
        guard.hang_up(refusal.answer)

    def run_reactor(self) -> None:
        """Serves until the end, and leaves nothing open then."""
        try:
            super().run_reactor()
        except Exception as error:  # a bug, here or there: it must cost this association alone
            logger.error("an association ended: %s", type(error).__name__)
            logger.debug("why it ended", exc_info=True)
        finally:
            self.dul.kill_dul()
            self.dimse.forget()
            guard: GuardedSocket | None = self.dul.socket
            if guard is not None:
                guard.release()
            self._ended()

    def _serve_request(self, *request: object) -> None:
        is_report = threading.current_thread() is not self
        self.n_reports += is_report
        try:
            super()._serve_request(*request)
        finally:
            self.n_reports -= is_report


class _States(StateMachine):  # type: ignore[misc]  # pynetdicom is not followed
    """The state machine of PS3.8 9.2: a PDU that has no place in a state ends the association, and counts."""

    def do_action(self, event: str) -> None:
        association = self.dul.assoc
        if TRANSITION_TABLE.get((event, self.current_state)) == _UNEXPECTED and not association.is_cut:
            association.is_cut = True
            refusal = Refusal.MESSAGE if event == _INVALID else Refusal.ORDER
            association.bounds.refusals(refusal, association.address)
        super().do_action(event)


class _Provider(DULServiceProvider):  # type: ignore[misc]  # pynetdicom is not followed
    """The thread that reads and sends: an event that its state does not know ends it without a traceback."""

    def __init__(self, association: GuardedAssociation) -> None:
        super().__init__(association)
        self.state_machine = _States(self)

    def run_reactor(self) -> None:
        try:
            super().run_reactor()
        except Exception as error:  # whatever it is, the association's own thread finds this one ended
            logger.debug("a connection's thread ended: %s", type(error).__name__, exc_info=True)

    def idle_timer_expired(self) -> bool:
        """Whether the peer has been silent for too long; the association is aborted then.

        A PDU under way, in or out, has its own time, and nothing else could be sent before that ends.
        """
        is_expired = super().idle_timer_expired() and not self.socket.is_busy
        if is_expired and not self.assoc.is_cut:
            self.assoc.is_cut = True
            self.assoc.bounds.refusals(Refusal.IDLE, self.assoc.address)
        return is_expired

    def _decode_pdu(self, bytestream: bytearray) -> Any:
        try:
            return super()._decode_pdu(bytestream)
        except Exception:  # pynetdicom raises anything on damage
            self.assoc.cut(Refusal.MESSAGE)
            raise


class GuardedSocket(AssociationSocket):  # type: ignore[misc]  # pynetdicom is not followed
    """Reads PDUs of bounded length in bounded time, and not before there is room for the next message."""

    def __init__(self, association: GuardedAssociation, connection: socket.socket, request: bytes) -> None:
        super().__init__(association, client_socket=connection)
        self._connection = connection
        self._timeout_s = association.bounds.limits.network_timeout_s
        self._unread = request
        self._body: int | None = None  # bytes still to come of a PDU whose header was read
        self.is_busy = False
        self._end = 0.0
        self._poll = select.poll()  # select() knows no file beyond the 1024th
        self._poll.register(connection, select.POLLIN)
        self.read_again_at = 0.0

    @property
    def ready(self) -> bool:
        """Whether there is something to read, and we want it now."""
        if self._unread:
            return True
        if self.socket is None or self.assoc.dimse.is_full or time.monotonic() < self.read_again_at:
            return False
        if isinstance(self.socket, SSLSocket) and self.socket.pending():
            return True
        return bool(self._poll.poll(0))

    def recv(self, nr_bytes: int) -> bytearray:
        """A PDU's header, or the rest of it.

        Raises:
            OSError: the connection broke, or was cut.
        """
        if self._unread:
            piece, self._unread = self._unread[:nr_bytes], self._unread[nr_bytes:]
            return bytearray(piece)
        is_header = self._body is None
        if is_header:
            self._end = time.monotonic() + self._timeout_s
        self._body, self.is_busy = None, True
        try:
            piece = read_bytes(self._connection, nr_bytes, self._end)
        except TimeoutError:
            self.assoc.cut(Refusal.PDU_TIME)
            raise
        if is_header and len(piece) == HEADER_BYTES:
            self._check_header(piece[0], int.from_bytes(piece[2:], "big"))
        self.is_busy = self._body is not None
        return bytearray(piece)

    def send(self, bytestream: bytes) -> None:
        """Sends within the time for one PDU: who does not read is cut off."""
        self.is_busy = True
        try:
            self._connection.settimeout(self._timeout_s)
            self._connection.sendall(bytestream)
        except TimeoutError:
            self.assoc.cut(Refusal.DEAF)
            self.event_queue.put(_CLOSED)
        except (OSError, ValueError):
            self.event_queue.put(_CLOSED)
        finally:
            self.is_busy = False

    def hang_up(self, last_words: bytes) -> None:
        """Sends what fits, and ends both directions; whoever reads hears the end."""
        with suppress(OSError, ValueError):
            self._connection.settimeout(1.0)
            self._connection.sendall(last_words)
        with suppress(OSError):
            socket.socket.shutdown(self._connection, socket.SHUT_RDWR)

    def release(self) -> None:
        """Closes the file, whatever state the connection is in."""
        self._shutdown_socket()

    def _check_header(self, kind: int, length: int) -> None:
        if not 0 < kind <= _LAST_TYPE:
            self.assoc.cut(Refusal.PDU_TYPE)
            raise ConnectionAbortedError("no PDU")
        most = MAX_PDU_BYTES + _LENGTH_SLACK if kind == _P_DATA else _CONTROL_BYTES
        if length > most:
            self.assoc.cut(Refusal.PDU_LENGTH, f"{length} bytes, {MAX_PDU_BYTES} agreed")
            raise ConnectionAbortedError("a PDU longer than agreed")
        self._body = length

    def _shutdown_socket(self) -> None:
        with suppress(OSError):
            socket.socket.shutdown(self._connection, socket.SHUT_RDWR)
        with suppress(OSError):  # pynetdicom leaves it open where the peer was the first to go
            self._connection.close()


class GuardedMessages(DIMSEServiceProvider):  # type: ignore[misc]  # pynetdicom is not followed
    """Puts messages together from fragments, within bounds of size, speed and memory."""

    def __init__(self, association: GuardedAssociation) -> None:
        super().__init__(association)
        self._bounds = association.bounds
        self.message: Any = None
        self._begun_at: float | None = None
        self._command_bytes = self._bytes = 0
        self._waiting: deque[int] = deque()  # bytes of each message in `msg_queue`
        self._served = 0  # bytes of the message that is being served

    @property
    def is_full(self) -> bool:
        """Whether a message waits for the one before it: no sender needs more, and each would cost memory."""
        return bool(self._waiting) or self.assoc.n_reports >= _MOST_REPORTS

    def receive_primitive(self, primitive: P_DATA) -> None:
        """Takes fragments; what goes beyond a bound ends the association."""
        refusal = self._taken(primitive)
        if refusal is None:
            n_before = self.msg_queue.qsize()
            try:
                super().receive_primitive(primitive)
            except Exception as error:  # pynetdicom raises anything on damage
                logger.debug("why a message was refused", exc_info=True)
                refusal = Refusal.MESSAGE if not isinstance(error, MemoryError) else Refusal.MEMORY
            else:
                if _INVALID in self.dul.event_queue.queue:
                    refusal = Refusal.MESSAGE
                elif self.message is None:
                    self._completed(is_queued=self.msg_queue.qsize() > n_before)
        if refusal is not None:
            self.message = None
            self._give_back(self._bytes)
            self._bytes = 0
            self.assoc.cut(refusal)
            self.dul.event_queue.put(_CLOSED)

    def get_msg(self, block: bool = False) -> Any:
        """The next message; asking for it says that the one before is done with."""
        found = super().get_msg(block)
        if self._served:
            self._give_back(self._served)
            self._served = 0
            self.dul._idle_timer.restart()  # our own time to serve it was no silence of the peer's
        if found[1] is not None and self._waiting:
            self._served = self._waiting.popleft()
        return found

    def forget(self) -> None:
        """Gives back all memory."""
        self._give_back(self._bytes + self._served + sum(self._waiting))
        self._bytes = self._served = 0
        self._waiting.clear()
        self.message = None

    def _taken(self, primitive: P_DATA) -> Refusal | None:
        now, limits = time.monotonic(), self._bounds.limits
        self._begun_at = begun = now if self._begun_at is None else self._begun_at
        fragments = [data for _, data in primitive.presentation_data_value_list if data]
        self._command_bytes += sum(len(each) for each in fragments if each[0] & _COMMAND)
        n_bytes = sum(map(len, fragments))
        if self._command_bytes > _MAX_COMMAND_BYTES:
            return Refusal.MESSAGE
        if self._bytes + n_bytes > limits.instance_bytes:
            return Refusal.INSTANCE
        if not self._bounds.memory.take(n_bytes):
            return Refusal.MEMORY
        self._bytes += n_bytes
        took_s = now - begun
        if took_s > limits.network_timeout_s and self._bytes < took_s * limits.bytes_per_s:
            return Refusal.SLOW
        return None

    def _completed(self, *, is_queued: bool) -> None:
        if is_queued:
            self._waiting.append(max(1, self._bytes))
        else:
            self._give_back(self._bytes)
        self._bytes = self._command_bytes = 0
        self._begun_at = None
        pause_s = self._bounds.peers.pause_s(self.assoc.address)
        most = self._bounds.limits.network_timeout_s / 2  # the network time-out must not see us pausing
        self.dul.socket.read_again_at = time.monotonic() + min(pause_s, most)

    def _give_back(self, n_bytes: int) -> None:
        self._bounds.memory.give_back(n_bytes)
