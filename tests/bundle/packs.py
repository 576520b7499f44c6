"""Packs for tests: a small published bundle, zips taken apart and put together again, servers on loopback."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from mammo_monai.bundle.packing.record import RECORD, PackedFile, PackRecord, parse_record
from mammo_monai.bundle.published import expected_sums
from tests.bundle.light import edit

WEIGHTS = "models/model.safetensors"


def publish_tiny(bundle: Path, seed: int = 0) -> str:
    """Gives a bundle weights of a few bytes and declares them; the hash."""
    content = save({"a": torch.full((3, 2), float(seed)), "b": torch.ones(5, dtype=torch.float16)})
    (bundle / "models").mkdir(exist_ok=True)
    (bundle / WEIGHTS).write_bytes(content)
    found = hashlib.sha256(content).hexdigest()
    edit(bundle, lambda metadata: metadata.update(weights_sha256=found, weights_bytes=len(content)))
    (bundle / "models" / "SHA256SUMS").write_text(expected_sums(bundle))
    return found


def unzipped(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(path: Path, files: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def record_in(files: Mapping[str, bytes], folder: str = "light") -> PackRecord:
    return parse_record(files[f"{folder}/{RECORD}"], "test")


def resealed(files: Mapping[str, bytes], folder: str = "light", **changes: Any) -> dict[str, bytes]:
    """The files with a record that fits them: what somebody does who packs a changed bundle anew."""
    names = {
        name.removeprefix(f"{folder}/"): each for name, each in files.items() if not name.endswith(RECORD)
    }
    packed = {name: PackedFile(hashlib.sha256(each).hexdigest(), len(each)) for name, each in names.items()}
    record = replace(record_in(files, folder), **{"files": packed, **changes})
    return {**files, f"{folder}/{RECORD}": record.text().encode()}


class FileServer:
    """Serves bytes by path, with ranges; tests tell it to drop, refuse, redirect or forget."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.drop_after: list[int] = []  # bytes of the next answers, after which the line goes dead
        self.redirects: dict[str, str] = {}
        self.has_ranges = True
        self.takes_put = True
        self.hides_length = False
        self.status: list[int] = []  # of the next answers
        self.answers: dict[tuple[str, str], Callable[[bytes], tuple[int, dict[str, str], bytes]]] = {}
        self.url = ""


def _handler(server: FileServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def answer(self, code: int, headers: Mapping[str, str] | None = None, content: bytes = b"") -> None:
            self.send_response(code)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            if not server.hides_length and "Content-Length" not in (headers or {}):
                self.send_header("Content-Length", str(len(content)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.close_connection = True
            if self.command == "HEAD":
                return
            if code in (200, 206) and server.drop_after:
                content = content[: server.drop_after.pop(0)]
            with contextlib.suppress(ConnectionError):
                self.wfile.write(content)

        def handle_any(self) -> None:
            path = self.path.split("?")[0]
            server.requests.append((self.command, self.path, dict(self.headers.items())))
            body = self.body()
            if (self.command, path) in server.answers:
                return self.answer(*server.answers[self.command, path](body))
            if server.status:
                return self.answer(server.status.pop(0))
            if path in server.redirects:
                return self.answer(302, {"Location": server.redirects[path]})
            if self.command == "PUT":
                return self.put(path, body)
            if path not in server.files:
                return self.answer(404)
            return self.get(server.files[path])

        def body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

        def put(self, path: str, body: bytes) -> None:
            if not server.takes_put:
                return self.answer(405)
            if self.headers.get("If-None-Match") == "*" and path in server.files:
                return self.answer(412)
            server.files[path] = body
            return self.answer(201)

        def get(self, content: bytes) -> None:
            tag = f'"{hashlib.md5(content).hexdigest()}"'
            asked = self.headers.get("Range")
            if not asked or not server.has_ranges or self.headers.get("If-Range") not in (None, tag):
                return self.answer(200, {"ETag": tag}, content)
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            if start >= len(content):
                return self.answer(416, {"Content-Range": f"bytes */{len(content)}"})
            extent = f"bytes {start}-{len(content) - 1}/{len(content)}"
            return self.answer(206, {"ETag": tag, "Content-Range": extent}, content[start:])

        do_GET = do_HEAD = do_PUT = do_POST = handle_any  # noqa: N815  # http.server's names

    return Handler


@contextlib.contextmanager
def file_server() -> Iterator[FileServer]:
    """A server on an ephemeral port of loopback, stopped afterwards."""
    server = FileServer()
    http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(server))
    server.url = f"http://127.0.0.1:{http.server_address[1]}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


def as_json(content: object) -> bytes:
    return json.dumps(content).encode()
