"""HTTP requests that try again within bounds and say what went wrong; who we are to a server."""

from __future__ import annotations

import ipaddress
import json
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests
from pydicom.dataset import Dataset

from mammo_monai.dicom.network.errors import NetworkError
from mammo_monai.dicom.network.peers import TlsFiles

logger = logging.getLogger(__name__)

USER, PASSWORD, TOKEN = (f"MAMMO_MONAI_DICOMWEB_{each}" for each in ("USER", "PASSWORD", "TOKEN"))
_BUSY = (408, 425, 429, 500, 502, 503, 504)
_MAX_WAIT_S = 30.0
_Answer = TypeVar("_Answer")
_STATUSES = {
    400: "bad request. The server may not support one of the keys.",
    401: f"not authorised. Set {USER} and {PASSWORD}, or {TOKEN}.",
    403: "forbidden. These credentials may not do this; ask the server's administrator.",
    404: "not found. Is this the URL of its DICOMweb services, such as https://HOST/dicom-web?",
    406: "not acceptable: the server does not give the stored transfer syntax.",
    409: "conflict: the server does not take it. Its log says more.",
    413: "too large. Have the limit of the server, or of a proxy before it, raised.",
    415: "unsupported media type: the server takes no application/dicom.",
}


class WebError(NetworkError):
    """A request that was not answered as hoped.

    Attributes:
        status: of the answer; None where none came.
        content: the data set of the answer, where it is one.
    """

    def __init__(self, message: str, *, status: int | None = None, content: Dataset | None = None) -> None:
        super().__init__(message)
        self.status, self.content = status, content


@dataclass(frozen=True)
class Credentials:
    """A user with a password, or a bearer token; never shown."""

    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)

    @classmethod
    def of_environment(cls) -> Credentials:
        """From MAMMO_MONAI_DICOMWEB_USER and _PASSWORD, or _TOKEN: a command line is seen by everybody."""
        return cls(*(os.environ.get(each, "") for each in (USER, PASSWORD, TOKEN)))

    def __bool__(self) -> bool:
        return bool(self.user or self.token)


def web_session(url: str, credentials: Credentials, tls: TlsFiles | None) -> requests.Session:
    """A session that identifies us to the server of `url`.

    Raises:
        NetworkError: no http or https URL, one with a password in it, or files for TLS that cannot be read.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise NetworkError(f"{url!r}: expected a URL such as https://pacs.example.org/dicom-web.")
    if "@" in parts.netloc:
        raise NetworkError(
            f"{parts.scheme}://…@{parts.hostname}: expected a URL without user and password. Set {USER} and "
            f"{PASSWORD}: what stands on a command line is seen by everybody on this machine."
        )
    session = _Session()
    if credentials and parts.scheme == "http" and not _is_loopback(parts.hostname):
        logger.warning("user, password or token go unencrypted to %s: use https", parts.hostname)
    if credentials.token:
        session.auth = _Bearer(credentials.token)
    elif credentials.user:
        session.auth = (credentials.user, credentials.password)
    if tls is not None:
        tls.client_context()  # its messages on files that do not fit are clearer
        if tls.ca is not None:
            session.verify = str(tls.ca)
        if tls.certificate is not None:
            session.cert = (str(tls.certificate), str(tls.key or tls.certificate))
    return session


@dataclass(frozen=True)
class Requests:
    """Makes requests of one server.

    Args:
        attempts: at most; only where the server is busy, or the connection breaks.
        back_off_s: before the second one, doubled before each other; Retry-After of the server goes first.
    """

    url: str
    attempts: int
    back_off_s: float

    def made(self, what: str, request: Callable[[], _Answer]) -> _Answer:
        """The answer to a request.

        Raises:
            WebError: no answer, a refusal, or an answer that is no DICOM; names no key and no value.
        """
        for attempt in range(1, self.attempts):
            try:
                return self._tried(what, request)
            except _BusyError as error:
                wait_s = min(error.wait_s or self.back_off_s * 2 ** (attempt - 1), _MAX_WAIT_S)
                logger.debug("attempt %d of %d failed, the next in %.1f s", attempt, self.attempts, wait_s)
                time.sleep(wait_s)
        return self._tried(what, request)

    def _tried(self, what: str, request: Callable[[], _Answer]) -> _Answer:
        try:
            return request()
        except requests.HTTPError as error:
            raise self._refusal(what, error.response) from error
        except requests.exceptions.SSLError as error:
            raise WebError(
                f"{self.url}: expected a certificate we trust, got one that is not. "
                "Name the authority that signed it (--tls-ca)."
            ) from error
        except requests.Timeout as error:
            raise _BusyError(
                f"{self.url}: expected {what}, no answer came in time. Try again later."
            ) from error
        except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError) as error:
            raise _BusyError(
                f"{self.url}: expected {what}, the connection failed ({type(error).__name__}). "
                "Check host, port and that the server runs."
            ) from error
        except Exception as error:  # what pydicom and the client raise on an answer that is none
            raise WebError(
                f"{self.url}: expected {what}, got an answer that is no DICOM ({type(error).__name__}). "
                "Is this the URL of its DICOMweb services?",
                status=200,
            ) from error

    def _refusal(self, what: str, response: requests.Response) -> WebError:
        status = response.status_code
        words = _STATUSES.get(
            status, "an error of the server. Its log says more." if status >= 500 else "refused."
        )
        message = f"{self.url}: expected {what}, got HTTP status {status}: {words}"
        if status in _BUSY:
            return _BusyError(
                message, status=status, wait_s=_seconds(response.headers.get("Retry-After", ""))
            )
        return WebError(message, status=status, content=_dataset_in(response))


class _BusyError(WebError):
    """A refusal that may pass."""

    def __init__(self, message: str, *, status: int | None = None, wait_s: float = 0.0) -> None:
        super().__init__(message, status=status)
        self.wait_s = wait_s


class _Session(requests.Session):  # type: ignore[misc]  # requests has no types here
    """What dicomweb-client asks for, put right where servers stumble over it."""

    def request(self, method: str, url: str, **options: Any) -> requests.Response:
        """Wild cards stay readable: Orthanc takes %2A for a letter. The Host header keeps its port.

        The authority that was named goes before REQUESTS_CA_BUNDLE of the environment.
        """
        headers = {
            name: value for name, value in (options.pop("headers", None) or {}).items() if name != "Host"
        }
        url = url.replace("%2A", "*").replace("%3F", "?")
        return super().request(method, url, headers=headers, **{"verify": self.verify, **options})


class _Bearer(requests.auth.AuthBase):  # type: ignore[misc]  # requests has no types here
    """A token in the Authorization header; requests drops it when a server redirects to another host."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _seconds(text: str) -> float:
    """Retry-After in seconds; 0 where it is absent or a date."""
    return float(text) if text.isdecimal() else 0.0


def _dataset_in(response: requests.Response) -> Dataset | None:
    """The data set that a refusal to store carries: PS3.18 10.5.3."""
    try:
        return Dataset.from_json(json.loads(response.content))
    except Exception:  # most are pages for people
        return None
