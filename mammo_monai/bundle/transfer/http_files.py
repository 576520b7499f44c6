"""Files over http: fetched in pieces that survive a kill, sent whole."""

from __future__ import annotations

import http.client
import json
import logging
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import mammo_monai
from mammo_monai.bundle.transfer.places import check_url, is_loopback, shown_url
from mammo_monai.errors import BundleError
from mammo_monai.files import write_json_atomic
from mammo_monai.words import bytes_text

logger = logging.getLogger(__name__)

TOKEN = "MAMMO_MONAI_TOKEN"  # the variable's name
_BLOCK = 1 << 18
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")
_DROPPED = (ConnectionError, TimeoutError, http.client.HTTPException, urllib.error.URLError)


@dataclass(frozen=True)
class HttpOptions:
    """How to talk to servers: plain http or not, sizes, patience."""

    is_http_allowed: bool = False
    limit_bytes: int = 4_000_000_000
    timeout_s: float = 60.0
    pauses_s: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0)


def fetch(url: str, part: Path, options: HttpOptions, progress: Callable[[int, int], None]) -> None:
    """Fetches `url` into `part`; what is there of the same file, from a run that was killed, is gone on from.

    The server's ETag or date, kept beside `part`, tells whether its file is still the same; where it is not,
    or the server knows no ranges, fetching begins anew. Dropped connections are taken up again.

    Args:
        progress: called with bytes done and in all, 0 where the server does not tell.

    Raises:
        BundleError: the server refuses or does not answer, or the file is larger than the limit.
        OSError: the disk is full or the folder cannot be written.
    """
    for pause_s in (*options.pauses_s, None):
        try:
            _fetch_on(url, part, options, progress)
            return
        except urllib.error.HTTPError as error:
            error.close()
            if error.code < 500 or pause_s is None:
                raise BundleError(
                    f"{shown_url(url)}: the server answers {error.code} {error.reason}."
                ) from error
        except _DROPPED as error:
            reason = getattr(error, "reason", None) or error
            if pause_s is None:
                kept = "What came is kept; the same command goes on from there."
                raise BundleError(
                    f"{shown_url(url)}: no answer, or a dropped connection ({reason}). {kept}"
                ) from error
            logger.warning("%s: %s; trying again in %g s", shown_url(url), reason, pause_s)
        time.sleep(pause_s)


def fetch_text(url: str, options: HttpOptions, *, limit: int) -> str | None:
    """The first `limit` bytes of a text; None where the server has none, refuses or does not answer."""
    try:
        with _opened(url, "GET", options) as response:
            return bytes(response.read(limit)).decode("utf-8", "replace")
    except (*_DROPPED, OSError) as error:
        logger.debug("%s: %s", shown_url(url), error)
        return None


def has_file(url: str, options: HttpOptions) -> bool:
    """Whether the server says that it has a file there."""
    try:
        with _opened(url, "HEAD", options) as response:
            return int(response.status) == 200
    except _DROPPED:
        return False


def send(url: str, path: Path, options: HttpOptions, *, is_replacing: bool) -> None:
    """Puts a file to a URL, whole.

    Raises:
        BundleError: the server takes none, or refuses, or has one already and `is_replacing` is not set.
    """
    headers = {"Content-Type": "application/octet-stream", "Content-Length": str(path.stat().st_size)}
    if not is_replacing:
        headers["If-None-Match"] = "*"
    try:
        with path.open("rb") as stream, _opened(url, "PUT", options, headers, stream):
            return
    except urllib.error.HTTPError as error:
        error.close()
        raise BundleError(
            f"{shown_url(url)}: {_refusal(error.code)} ({error.code} {error.reason})."
        ) from error
    except _DROPPED as error:
        reason = getattr(error, "reason", None) or error
        raise BundleError(f"{shown_url(url)}: not sent: {reason}. Send it again.") from error


def _fetch_on(url: str, part: Path, options: HttpOptions, progress: Callable[[int, int], None]) -> None:
    state = part.with_name(f"{part.name}.json")
    known = _state(state)
    done = part.stat().st_size if part.is_file() and known.get("url") == url and known.get("validator") else 0
    headers = {"Range": f"bytes={done}-", "If-Range": str(known["validator"])} if done else {}
    try:
        response = _opened(url, "GET", options, headers)
    except urllib.error.HTTPError as error:
        if error.code != 416 or not done:
            raise
        error.close()
        if error.headers.get("Content-Range") == f"bytes */{done}":
            return  # all of it was there
        part.unlink()
        raise ConnectionError("the server's file became shorter") from error
    with response:
        total = _total(response, done, shown_url(url), options)
        if response.status != 206:
            done = 0
            part.unlink(missing_ok=True)
            write_json_atomic(state, {"url": url, "validator": _validator(response.headers)})
        _write(response, part, (done, total), options, progress)


def _write(
    response: Any,
    part: Path,
    extent: tuple[int, int],
    options: HttpOptions,
    progress: Callable[[int, int], None],
) -> None:
    done, total = extent
    with part.open("ab") as stream:
        while block := response.read(_BLOCK):
            done += len(block)
            if done > (total or options.limit_bytes):
                stream.close()
                part.unlink()
                raise BundleError(
                    f"{shown_url(response.url)}: more came than {bytes_text(total or options.limit_bytes)}."
                )
            stream.write(block)
            progress(done, total)
    if done < total:
        raise ConnectionError(f"ended after {bytes_text(done)} of {bytes_text(total)}")


def _total(response: Any, done: int, shown: str, options: HttpOptions) -> int:
    """Bytes of the whole file, 0 where the server does not tell."""
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise BundleError(f"{shown}: comes compressed on the way; its hash and size would not be the file's.")
    if response.status == 206:
        found = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if not found or int(found[1]) != done:
            raise BundleError(
                f"{shown}: the server sent another part than was asked for. Fetch it without resuming."
            )
        total = int(found[2])
    else:
        length = response.headers.get("Content-Length", "")
        total = int(length) if length.isdecimal() else 0
    if total > options.limit_bytes:
        limit = bytes_text(options.limit_bytes)
        raise BundleError(f"{shown}: {bytes_text(total)}, expected at most {limit}; --limit-gb allows more.")
    return total


def _validator(headers: Mapping[str, str]) -> str | None:
    """What If-Range compares: a strong ETag, else the date of the last change."""
    tag = headers.get("ETag")
    return tag if tag and not tag.startswith("W/") else headers.get("Last-Modified")


def _state(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _opened(
    url: str,
    method: str,
    options: HttpOptions,
    headers: Mapping[str, str] | None = None,
    data: IO[bytes] | None = None,
) -> Any:
    check_url(url, is_http_allowed=options.is_http_allowed)
    request = urllib.request.Request(url, data=data, method=method, headers=dict(headers or {}))
    request.add_header("Accept-Encoding", "identity")
    request.add_header("User-Agent", f"mammo-monai/{mammo_monai.__version__}")
    parts = urlsplit(url)
    if (token := os.environ.get(TOKEN)) and (parts.scheme == "https" or is_loopback(parts.hostname or "")):
        # Not passed on to where a redirect leads.
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    opener = urllib.request.build_opener(_Redirects(options.is_http_allowed))
    return opener.open(request, timeout=options.timeout_s)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects only to where a user could have sent the command; never from https to plain http."""

    def __init__(self, is_http_allowed: bool) -> None:
        self._is_http_allowed = is_http_allowed

    def redirect_request(  # the base class's
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        """As the base class, after a look at the new address."""
        check_url(newurl, is_http_allowed=self._is_http_allowed)
        if req.full_url.startswith("https:") and not newurl.startswith("https:"):
            raise BundleError(
                f"{shown_url(req.full_url)}: leads from https to http. Ask for another address."
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _refusal(code: int) -> str:
    if code in (405, 501):
        return "the server takes no files by PUT; copy the zip there another way, or push to a folder"
    if code in (409, 412):
        return "there is another file already; --replace puts this one in its place"
    if code in (401, 403):
        return f"the server refuses; a token is read from the environment, {TOKEN}"
    return "the server did not take the file"
