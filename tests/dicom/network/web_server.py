"""A small DICOMweb server that really listens, with the faults that tests ask for."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from email.parser import BytesParser
from fnmatch import fnmatchcase
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pydicom import dcmread
from pydicom.dataset import Dataset

from mammo_monai.dicom.network import TlsFiles

LEVEL_KEYS = {"studies": "StudyInstanceUID", "series": "SeriesInstanceUID", "instances": "SOPInstanceUID"}
BOUNDARY = "between-parts"


@dataclass
class Fault:
    """What a request is answered instead; `n_left` requests long."""

    status: int
    n_left: int = 1_000
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass
class WebServer:
    """Listens on a free port of 127.0.0.1 within a `with` block.

    Attributes:
        fault: of a request's method and path; None lets it through. "hang up" closes the connection.
        page: matches in one answer; `knows_offset` False answers the first page for ever.
        stored_answer: what a store answers instead of success: status and data set.
        seen: method, path with query, and headers of each request.
    """

    held: Sequence[Dataset] = ()
    fault: Callable[[str, str], Fault | str | None] = lambda *_: None
    page: int = 1_000
    knows_offset: bool = True
    stored_answer: tuple[int, Dataset] | None = None
    sends_instead: Dataset | None = None
    tls: TlsFiles | None = None
    stored: list[Dataset] = field(default_factory=list)
    seen: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)

    def __enter__(self) -> WebServer:
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.web = self
        if self.tls is not None:
            context = self.tls.server_context()
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        scheme = "https" if self.tls else "http"
        return f"{scheme}://127.0.0.1:{self._server.server_address[1]}/dicom-web"

    def matches(self, path: str) -> list[dict[str, Any]]:
        """DICOM JSON of what a search finds."""
        parts, query = urlsplit(path).path.split("/")[2:], parse_qs(urlsplit(path).query)
        level = parts[-1]
        wanted = {LEVEL_KEYS[name]: uid for name, uid in zip(parts[:-1:2], parts[1::2], strict=True)}
        wanted |= {name: values[0] for name, values in query.items() if name not in _OPTIONS}
        found: dict[str, Dataset] = {}
        for each in self.held:
            if all(fnmatchcase(str(each.get(name, "")), value) for name, value in wanted.items()):
                found.setdefault(each[LEVEL_KEYS[level]].value, each)
        offset = int(query.get("offset", ["0"])[0]) if self.knows_offset else 0
        limit = min(int(query.get("limit", [self.page])[0]), self.page)
        keys = [*LEVEL_KEYS.values(), "SOPClassUID", *query.get("includefield", [])]
        return [_some(each, keys) for each in list(found.values())[offset : offset + limit]]


_OPTIONS = {"offset", "limit", "includefield", "fuzzymatching"}


class _Server(ThreadingHTTPServer):
    web: WebServer
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Clients that hang up are meant to."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def log_message(self, *_: object) -> None:
        """Says nothing."""

    def do_GET(self) -> None:
        if self._is_faulty():
            return
        web, parts = self.server.web, urlsplit(self.path).path.split("/")[2:]
        if len(parts) < 6:
            self._answer(200, json.dumps(web.matches(self.path)).encode(), "application/dicom+json")
            return
        found = next((each for each in web.held if each.SOPInstanceUID == parts[5]), None)
        if found is None:
            self._answer(404, b"", "text/plain")
            return
        stream = BytesIO()
        (web.sends_instead or found).save_as(stream, enforce_file_format=True)
        head = f"\r\n--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        body = head + stream.getvalue() + f"\r\n--{BOUNDARY}--".encode()
        self._answer(200, body, f'multipart/related; type="application/dicom"; boundary={BOUNDARY}')

    def do_POST(self) -> None:
        body = self._body()
        if self._is_faulty():
            return
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        for part in BytesParser().parsebytes(head + body).get_payload():
            self.server.web.stored.append(dcmread(BytesIO(part.get_payload(decode=True))))
        status, answer = self.server.web.stored_answer or (200, Dataset())
        self._answer(status, answer.to_json().encode(), "application/dicom+json")

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _is_faulty(self) -> bool:
        web = self.server.web
        web.seen.append((self.command, self.path, dict(self.headers)))
        fault = web.fault(self.command, self.path)
        if fault == "hang up":
            self.close_connection = True
            self.connection.close()
            return True
        if isinstance(fault, Fault) and fault.n_left > 0:
            fault.n_left -= 1
            self._answer(fault.status, fault.body, "text/html", fault.headers)
            return True
        return False

    def _answer(self, status: int, body: bytes, kind: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def _some(held: Dataset, keys: Sequence[str]) -> dict[str, Any]:
    match = Dataset()
    for key in keys:
        if key in held:
            match[key] = held[key]
    content: dict[str, Any] = match.to_json_dict()
    return content


def failing(reason: int, uid: str) -> Dataset:
    """A store's answer that names an instance with a Failure Reason."""
    answer = Dataset()
    answer.FailedSOPSequence = [Dataset()]
    answer.FailedSOPSequence[0].ReferencedSOPInstanceUID = uid
    answer.FailedSOPSequence[0].FailureReason = reason
    return answer


def warning(reason: int, uid: str) -> Dataset:
    """A store's answer that took an instance with a Warning Reason."""
    answer = Dataset()
    answer.ReferencedSOPSequence = [Dataset()]
    answer.ReferencedSOPSequence[0].ReferencedSOPInstanceUID = uid
    answer.ReferencedSOPSequence[0].WarningReason = reason
    return answer
