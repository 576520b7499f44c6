"""The HTTP servers on loopback, the node's and the page's, against those who stall, lie and rebind."""

from __future__ import annotations

import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from mammo_monai.service import bounded_http
from mammo_monai.service.bounded_http import BoundedHandler
from mammo_monai.service.node.http import StatusServer
from mammo_monai.service.review import ReviewServer, open_review, read_worklist
from mammo_monai.service.review.guard import Guard
from mammo_monai.service.review.server import ReviewHandler
from tests.service.review.scene import write_scene


@pytest.fixture
def node() -> Iterator[StatusServer]:
    with StatusServer(
        "127.0.0.1", 0, health=dict, ready=lambda: {"disk": "is full"}, metrics=lambda: b"a 1\n"
    ) as server:
        yield server


@pytest.fixture
def review(tmp_path: Path) -> Iterator[ReviewServer]:
    with (
        open_review(read_worklist(write_scene(tmp_path)), tmp_path / "review") as session,
        ReviewServer(session).running() as server,
    ):
        yield server


@pytest.fixture(params=["node", "review"])
def server(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


def test_the_other_loopback_is_listened_on_too(tmp_path: Path) -> None:
    with ExitStack() as stack:
        try:
            socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        except OSError:
            pytest.skip("this machine has no IPv6")
        pages = {"health": dict, "ready": dict, "metrics": lambda: b""}
        node = stack.enter_context(StatusServer("::1", 0, **pages))
        worklist = read_worklist(write_scene(tmp_path))
        session = stack.enter_context(open_review(worklist, tmp_path / "review"))
        page = stack.enter_context(ReviewServer(session, guard=Guard("::1")).running())
        assert page.address.startswith(f"http://[::1]:{page.port}/?token=")
        for address in (f"http://[::1]:{node.port}/health", page.address):
            assert urllib.request.urlopen(address, timeout=5).status == 200


def said(port: int, request: str, *, timeout_s: float = 5.0) -> bytes:
    """All that a server says to a request until it closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as connection:
        connection.sendall(request.replace("PORT", str(port)).replace("\n", "\r\n").encode("latin-1"))
        connection.shutdown(socket.SHUT_WR)
        return connection.makefile("rb").read()


def head(answer: bytes) -> str:
    return answer.partition(b"\r\n")[0].decode()


GOOD = "GET /health HTTP/1.1\nHost: 127.0.0.1:PORT\n\n"


@pytest.mark.parametrize("host", ["127.0.0.1:PORT", "localhost:PORT", "[::1]:PORT"])
def test_the_node_answers_by_its_own_names(node: StatusServer, host: str) -> None:
    answer = said(node.port, f"GET /metrics HTTP/1.1\nHost: {host}\n\n")
    assert (head(answer), answer[-4:]) == ("HTTP/1.0 200 OK", b"a 1\n")
    assert b"nosniff" in answer


def test_the_node_answers_a_health_check_without_a_host(node: StatusServer) -> None:
    assert head(said(node.port, "GET /ready HTTP/1.0\n\n")) == "HTTP/1.0 503 Service Unavailable"


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:PORT", "127.0.0.1", "127.0.0.1.evil.example:PORT", ""]
)
@pytest.mark.parametrize("path", ["/health", "/metrics", "/"])
def test_a_name_that_was_pointed_here_gets_nothing(node: StatusServer, path: str, host: str) -> None:
    answer = said(node.port, f"GET {path} HTTP/1.1\nHost: {host}\n\n")
    assert head(answer) == "HTTP/1.0 403 Forbidden"
    assert b"a 1" not in answer


@pytest.mark.parametrize(
    "request_text",
    [
        "GET / HTTP/1.1\nHost: 127.0.0.1:PORT\nTransfer-Encoding: chunked\n\n0\n\n",
        "PUT / HTTP/1.1\nHost: 127.0.0.1:PORT\nContent-Length: 2\nTransfer-Encoding: chunked\n\n{}",
        "PUT / HTTP/1.1\nHost: 127.0.0.1:PORT\nContent-Length: 2\nContent-Length: 60\n\n{}",
        "GET / HTTP/1.1\nHost: 127.0.0.1:PORT\nHost: evil.example\n\n",
        "GET / HTTP/1.1\nHost: 127.0.0.1:PORT\nContent-Length: 5\n\nGET /",
        "GET / HTTP/1.1\nHost: 127.0.0.1:PORT\nContent-Length: -1\n\n",
    ],
)
def test_a_request_that_can_be_read_in_two_ways_is_refused_and_nothing_after_it_is_read(
    server: Any, request_text: str
) -> None:
    answer = said(server.port, request_text + GOOD)
    assert " 400 Bad Request" in head(answer)
    assert answer.count(b"HTTP/1.") == 1


@pytest.mark.parametrize(
    "request_text",
    [
        "GARBAGE\n\n",
        "GET\n\n",
        "GET / HTTP/9.9\n\n",
        "\0\xff\n\n",
        "GET / HTTP/1.1\n" + "A: b\n" * 200 + "\n",
        "DELETE / HTTP/1.1\nHost: 127.0.0.1:PORT\n\n",
    ],
)
def test_what_is_no_request_is_refused_without_a_traceback(
    server: Any, request_text: str, capfd: pytest.CaptureFixture[str]
) -> None:
    said(server.port, request_text)
    assert head(said(server.port, GOOD)).startswith("HTTP/1.")
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd",
        "/api/images/../../etc/passwd",
        "/%2e%2e/etc/passwd",
        "//etc/passwd",
        "/api/images/0/../../x",
    ],
)
def test_no_path_leads_to_a_file(server: Any, path: str) -> None:
    answer = said(server.port, f"GET {path} HTTP/1.1\nHost: 127.0.0.1:PORT\n\n")
    assert " 404 " in head(answer)
    assert b"root:" not in answer


@pytest.mark.parametrize("start", ["", "GET /hea", "GET /health HTTP/1.1\r\nHost: 127.0.0.1"])
def test_a_request_byte_by_byte_is_given_up(server: Any, start: str, monkeypatch: pytest.MonkeyPatch) -> None:
    handler = ReviewHandler if isinstance(server, ReviewServer) else _handler(server)
    monkeypatch.setattr(handler, "timeout", 0.4)
    with socket.create_connection(("127.0.0.1", server.port), timeout=3) as slow:
        begin = time.monotonic()
        slow.sendall(start.encode())
        ended = threading.Event()

        def drip() -> None:
            while not ended.wait(0.05):
                try:
                    slow.sendall(b"x")
                except OSError:
                    return

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            while slow.recv(100):
                pass
        except ConnectionError:
            pass
        ended.set()
        thread.join()
    assert 0.3 < time.monotonic() - begin < 2


def _handler(server: StatusServer) -> type[BoundedHandler]:
    found: type[BoundedHandler] = server._server.RequestHandlerClass  # type: ignore[assignment]
    return found


def test_a_body_that_comes_too_slowly_changes_nothing(
    review: ReviewServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ReviewHandler, "timeout", 0.4)
    begin = time.monotonic()
    with socket.create_connection(("127.0.0.1", review.port), timeout=3) as slow:
        text = (
            f"PUT /api/images/0 HTTP/1.1\r\nHost: 127.0.0.1:{review.port}\r\n"
            f"X-Review-Token: {review.guard.token}\r\nContent-Type: application/json\r\n"
            "Content-Length: 9\r\n\r\n{"
        )
        slow.sendall(text.encode())
        assert slow.makefile("rb").read() == b""
    assert time.monotonic() - begin < 2
    assert not list((tmp_path / "review").glob("marks/*"))


def test_connections_held_open_do_not_keep_others_out(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_http, "MAX_CONNECTIONS", 5)
    before = threading.active_count()
    with ExitStack() as stack:
        held = [
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=5))
            for _ in range(30)
        ]
        assert head(said(server.port, GOOD)).startswith("HTTP/1.")
        assert until(lambda: threading.active_count() <= before + 6)
        assert held[0].recv(10) == b""
    assert until(lambda: threading.active_count() <= before)


def until(claim: Callable[[], object]) -> bool:
    end = time.monotonic() + 5
    while not claim() and time.monotonic() < end:
        time.sleep(0.01)
    return bool(claim())
