"""An HTTP server on loopback with bounds: on connections, on a request's time, on what a request may be.

Python's own waits for each piece of a request anew, starts a thread for each connection however many there
are, and reads a request with two lengths, or with a body where none belongs, in its own way: what is left
over would be taken for the next request.
"""

from __future__ import annotations

import io
import socket
import threading
import time
from collections import deque
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MAX_CONNECTIONS = 32
_ONCE = ("host", "content-length", "content-type", "origin")
_LOCAL_NAMES = ("127.0.0.1", "localhost", "[::1]")


class BoundedServer(ThreadingHTTPServer):
    """Serves so many connections at once; a new one closes the oldest.

    A page's own connections are few, and it opens a closed one again; one that is held open by somebody else
    must not keep the page from its server.
    """

    daemon_threads = True
    block_on_close = False  # keeps a list of all threads there ever were
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], handler: type[BoundedHandler]) -> None:
        self._connections: deque[socket.socket] = deque()
        self._connections_lock = threading.Lock()
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, handler)

    def server_bind(self) -> None:
        """Binds without looking up the machine's name, which can take seconds on a ward's network."""
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        """Makes room, and starts the connection's thread."""
        oldest = None
        with self._connections_lock:
            self._connections.append(request)
            if len(self._connections) > MAX_CONNECTIONS:
                oldest = self._connections.popleft()
        if oldest is not None:
            with suppress(OSError):  # it has ended already
                oldest.shutdown(socket.SHUT_RDWR)
        super().process_request(request, client_address)

    def close_request(self, request: Any) -> None:
        """Forgets a connection that has ended."""
        with self._connections_lock, suppress(ValueError):
            self._connections.remove(request)
        super().close_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: a browser that goes away is no event, and a traceback may quote what it sent."""


class BoundedHandler(BaseHTTPRequestHandler):
    """Reads a request within `timeout` seconds in all, and refuses those that can be read in two ways.

    Source: RFC 9112 6.1, 6.3 and 11.2 (request smuggling); RFC 9110 7.2 (Host).
    """

    timeout = 60.0
    server_version, sys_version = "mammo-monai", ""

    def setup(self) -> None:
        """Puts a clock before the stream of the request."""
        super().setup()
        self.rfile.close()
        self._clock = _Clocked(self.connection, self.timeout)
        self.rfile = io.BufferedReader(self._clock)

    def handle_one_request(self) -> None:
        """One request; the time for it includes the wait for its beginning."""
        self._clock.restart()
        super().handle_one_request()

    def parse_request(self) -> bool:
        """Whether the request can be answered; where not, it was refused."""
        if not super().parse_request():
            return False
        reason = self.why_ambiguous()
        if reason is not None:
            self.close_connection = True
            self.refuse_request(reason)
        return reason is None

    def why_ambiguous(self) -> str | None:
        """What makes a request one that another reader might read in another way; None where nothing does."""
        names = [name.lower() for name in self.headers]
        if "transfer-encoding" in names:
            return "A request is sent whole, with its length."
        if any(names.count(name) > 1 for name in _ONCE):
            return "A header stands there twice."
        if self.command in ("GET", "HEAD") and self.headers.get("Content-Length", "0") != "0":
            return "A request for a page has no body."
        return None

    def refuse_request(self, reason: str) -> None:
        """Answers a request that is refused."""
        body = f"{reason}\n".encode()
        self.send_response(HTTPStatus.BAD_REQUEST)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def names_loopback(self) -> bool:
        """Whether Host names this server by a name that cannot be made to point elsewhere (DNS rebinding).

        Browsers always send one; who sends none is no page of another site.
        """
        host = self.headers.get("Host")
        port = self.server.server_address[1]  # type: ignore[index]  # of an INET socket
        return host is None or host in {f"{name}:{port}" for name in _LOCAL_NAMES}


class _Clocked(io.RawIOBase):
    """A connection's bytes, as long as the time of the request is not over."""

    def __init__(self, connection: socket.socket, most_s: float) -> None:
        self._connection, self._most_s = connection, most_s
        self.restart()

    def restart(self) -> None:
        self._end = time.monotonic() + self._most_s

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left_s = self._end - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the request took too long")
        self._connection.settimeout(left_s)
        try:
            return self._connection.recv_into(buffer)
        finally:
            with suppress(OSError):
                self._connection.settimeout(self._most_s)  # of what is written
