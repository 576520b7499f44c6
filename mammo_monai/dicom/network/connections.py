"""Connections that are open: how many, whose, and which one goes when there is no room for another."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field

from mammo_monai.dicom.network.reception import ReceptionLimits
from mammo_monai.dicom.network.refusals import Refusal

_WAITING_PER_ASSOCIATION = 2


@dataclass(eq=False)
class Connection:
    """One connection.

    Attributes:
        is_associated: it was let in; before, it may be closed to make room.
    """

    address: str
    socket: socket.socket
    is_associated: bool = False
    is_evicted: bool = field(default=False, init=False)

    def shut(self) -> None:
        """Ends it from any thread: whoever reads it hears the end."""
        with suppress(OSError):  # it has ended already
            socket.socket.shutdown(self.socket, socket.SHUT_RDWR)


class Connections:
    """All connections of a server, in the order they came.

    A caller that has not asked for an association yet costs a thread and a file. Their number is bounded;
    beyond it the oldest of the address that has most of them is closed. So a good sender, who asks at once,
    gets in while others hold connections open.
    """

    def __init__(self, limits: ReceptionLimits) -> None:
        self._limits = limits
        self._most_waiting = max(8, _WAITING_PER_ASSOCIATION * limits.associations)
        self._open: list[Connection] = []
        self._lock = threading.Lock()

    def enter(self, connection: socket.socket, address: str) -> tuple[Connection, Connection | None]:
        """Notes a new connection; returns it, and the one that was closed for it."""
        entered, evicted = Connection(address, connection), None
        with self._lock:
            waiting = [each for each in self._open if not each.is_associated and not each.is_evicted]
            if len(waiting) >= self._most_waiting:
                ((most, _),) = Counter(each.address for each in waiting).most_common(1)
                evicted = next(each for each in waiting if each.address == most)
                evicted.is_evicted = True
            self._open.append(entered)
        if evicted is not None:
            evicted.shut()
        return entered, evicted

    def associate(self, connection: Connection) -> Refusal | None:
        """Makes a connection an association; or why not."""
        with self._lock:
            if connection.is_evicted:
                return Refusal.CONNECTIONS
            associated = [each.address for each in self._open if each.is_associated]
            if len(associated) >= self._limits.associations:
                return Refusal.ASSOCIATIONS
            if associated.count(connection.address) >= self._limits.associations_per_peer:
                return Refusal.PEER_ASSOCIATIONS
            connection.is_associated = True
        return None

    def leave(self, connection: Connection) -> None:
        """A connection has ended; a second time changes nothing."""
        with self._lock, suppress(ValueError):
            self._open.remove(connection)

    def shut_waiting(self) -> None:
        """Ends all that have not become associations."""
        with self._lock:
            waiting = [each for each in self._open if not each.is_associated]
        for each in waiting:
            each.shut()

    def __len__(self) -> int:
        return len(self._open)
