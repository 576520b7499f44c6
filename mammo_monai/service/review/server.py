"""The HTTP server of a review: pages and pictures out, changes in; on this machine alone unless asked."""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

import numpy as np

from mammo_monai.errors import MammoError
from mammo_monai.schema.json_text import json_value
from mammo_monai.service.bounded_http import BoundedHandler, BoundedServer
from mammo_monai.service.review.guard import TOKEN_HEADER, Guard, is_local
from mammo_monai.service.review.marks import ReviewError, review_json
from mammo_monai.service.review.page import content_security_policy, review_page
from mammo_monai.service.review.pixels import GreyImage
from mammo_monai.service.review.session import ReviewSession
from mammo_monai.service.review.store import ConflictError

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 4_000_000  # 5000 marks with comments
_IMAGE = re.compile(r"/api/images/(\d{1,9})")
_PIXELS = re.compile(r"/api/images/(\d{1,9})/pixels")


class ReviewServer(BoundedServer):
    """Serves one session.

    Raises:
        OSError: the port is taken.
    """

    def __init__(self, session: ReviewSession, *, port: int = 0, guard: Guard | None = None) -> None:
        self.session = session
        self.guard = guard or Guard()
        super().__init__((self.guard.host, port), ReviewHandler)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.server_address[1])

    @property
    def address(self) -> str:
        """What to open in a browser, token included."""
        host = "127.0.0.1" if self.guard.host in ("0.0.0.0", "localhost") else self.guard.host
        host = f"[{host}]" if ":" in host else host
        return f"http://{host}:{self.port}/?token={self.guard.token}"

    @contextmanager
    def running(self) -> Iterator[ReviewServer]:
        """Serves in a thread until the block ends."""
        thread = threading.Thread(target=self.serve_forever, name="review", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.shutdown()
            self.server_close()
            thread.join()

    def server_bind(self) -> None:
        """Binds, and says so where others can reach it."""
        super().server_bind()
        if not is_local(self.guard.host):
            logger.warning(
                "bound to %s: other machines can reach the page, and nothing is encrypted", self.guard.host
            )


class ReviewHandler(BoundedHandler):
    """Answers one connection."""

    server: ReviewServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:  # noqa: N802
        """The page, the worklist, an image's review, or its grey values."""
        session, path = self.server.session, urlsplit(self.path).path
        if path == "/":
            token = parse_qs(urlsplit(self.path).query).get("token", [""])[0]
            self._guarded(token, self._send_page)
        elif path == "/api/worklist":
            self._answer(session.overview)
        elif found := _IMAGE.fullmatch(path):
            number = int(found[1])
            self._answer(lambda: session.image(number))
        elif found := _PIXELS.fullmatch(path):
            number = int(found[1])
            self._guarded(self._token(), lambda: self._send_pixels(session.grey(number, self._level())))
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "There is no such page.")

    def do_PUT(self) -> None:  # noqa: N802
        """Saves a changed review."""
        if found := _IMAGE.fullmatch(urlsplit(self.path).path):
            number = int(found[1])
            self._answer(lambda: self.server.session.save(number, self._body()))
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "There is no such page.")

    def do_POST(self) -> None:  # noqa: N802
        """Exports the corrected boxes."""
        if urlsplit(self.path).path == "/api/export":
            self._answer(lambda: self.server.session.export(self._kinds()))
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "There is no such page.")

    def log_message(self, format: str, *args: object) -> None:  # the base's name for it
        """Requests at DEBUG, without query: the token stands there."""
        logger.debug("%s %s", self.command, urlsplit(getattr(self, "path", "")).path)

    def refuse_request(self, reason: str) -> None:
        """A request that can be read in two ways."""
        self._refuse(HTTPStatus.BAD_REQUEST, reason)

    def _answer(self, make: Callable[[], object]) -> None:
        self._guarded(self._token(), lambda: self._send_json(HTTPStatus.OK, make()))

    def _guarded(self, token: str, answer: Callable[[], None]) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        reason = self.server.guard.refusal(headers, port=self.server.port, token=token)
        if reason is not None:
            self._refuse(HTTPStatus.FORBIDDEN, reason)
            return
        try:
            answer()
        except ConflictError as error:
            review = review_json(error.current)
            self._send_json(HTTPStatus.CONFLICT, {"error": str(error), "current": review})
        except LookupError as error:
            self._refuse(HTTPStatus.NOT_FOUND, str(error.args[0]))
        except (MammoError, ValueError) as error:
            self._refuse(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))
        except (ConnectionError, TimeoutError):
            self.close_connection = True  # the browser went away, or sends its body too slowly
        except OSError as error:
            logger.error("not saved: %s", error)
            self._refuse(HTTPStatus.INSUFFICIENT_STORAGE, f"Not saved: {error.strerror or 'the disk fails'}.")

    def _token(self) -> str:
        return self.headers.get(TOKEN_HEADER) or ""

    def _level(self) -> int:
        text = parse_qs(urlsplit(self.path).query).get("level", ["0"])[0]
        if not text.isdecimal():
            raise ValueError(f"level must be a whole number, got {text!r:.20}.")
        return int(text)

    def _kinds(self) -> object:
        body = self._body()
        return body.get("kinds") if isinstance(body, dict) else body

    def _body(self) -> object:
        length = self.headers.get("Content-Length") or ""
        kind = self.headers.get_content_type()
        if kind != "application/json" or not length.isdecimal() or int(length) > MAX_BODY_BYTES:
            raise ReviewError(f"expected JSON of at most {MAX_BODY_BYTES} bytes with its length.")
        raw = self.rfile.read(int(length))
        if len(raw) < int(length):
            raise ReviewError("the request was cut short; nothing was changed.")
        try:
            return json_value(raw)
        except ValueError as error:
            raise ReviewError(f"expected JSON, got something else: {error}.") from error

    def _send_page(self) -> None:
        page = review_page(self.server.guard.token).encode("utf-8")
        self._send(HTTPStatus.OK, "text/html; charset=utf-8", page)

    def _send_pixels(self, image: GreyImage) -> None:
        height, width = image.values.shape
        low, high = image.output_range
        self._send(
            HTTPStatus.OK,
            "application/octet-stream",
            np.ascontiguousarray(image.values, dtype="<u2").data.cast("B"),
            {
                "X-Size": f"{width} {height}",
                "X-Range": f"{low:g} {high:g}",
                "X-Window": f"{image.window[0]} {image.window[1]}",
            },
        )

    def _send_json(self, status: HTTPStatus, content: object) -> None:
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        self._send(status, "application/json; charset=utf-8", text.encode("utf-8"))

    def _refuse(self, status: HTTPStatus, reason: str) -> None:
        self.close_connection = True  # a body that was not read would be taken for the next request
        self._send_json(status, {"error": reason})

    def _send(
        self, status: HTTPStatus, kind: str, body: bytes | memoryview, more: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        for name, value in {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
            "Content-Security-Policy": content_security_policy(),
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            **({"Connection": "close"} if self.close_connection else {}),
            **(more or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
