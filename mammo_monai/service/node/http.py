"""/health, /ready and /metrics on this machine's loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping

from mammo_monai.service.bounded_http import BoundedHandler, BoundedServer


class StatusServer:
    """Answers while the `with` block runs.

    Args:
        health: what is broken, name → words; empty is healthy. ready: the same for what keeps it from taking
            images for now.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        health: Callable[[], Mapping[str, str]],
        ready: Callable[[], Mapping[str, str]],
        metrics: Callable[[], bytes],
    ) -> None:
        def state(faults: Callable[[], Mapping[str, str]]) -> tuple[int, str, bytes]:
            found = dict(faults())
            content = {"status": "no" if found else "yes", **found}
            return (503 if found else 200), "application/json", json.dumps(content).encode()

        pages: Mapping[str, Callable[[], tuple[int, str, bytes]]] = {
            "/health": lambda: state(health),
            "/ready": lambda: state(ready),
            "/metrics": lambda: (200, "text/plain; version=0.0.4; charset=utf-8", metrics()),
        }

        class Handler(BoundedHandler):
            """Knows the three pages and nothing else."""

            timeout = 10

            def do_GET(self) -> None:  # noqa: N802  # the base's name for it
                page = pages.get(self.path.partition("?")[0])
                if not self.names_loopback():
                    status, kind, body = 403, "text/plain", b"The Host header names another server.\n"
                elif page is None:
                    status, kind, body = 404, "text/plain", b"/health, /ready or /metrics\n"
                else:
                    status, kind, body = page()
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Cache-Control", "no-store")
                self.send_header("X-Content-Type-Options", "nosniff")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Nothing: those who watch ask every few seconds."""

        self._server = BoundedServer((host, port), Handler)

    @property
    def port(self) -> int:
        """The port listened on."""
        return int(self._server.server_address[1])

    def __enter__(self) -> StatusServer:
        threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
