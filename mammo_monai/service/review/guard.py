"""Who may talk to the page's server: this page alone, never another page, site or user of the machine.

Another site can make a browser send requests to 127.0.0.1, and a name can be made to point there (DNS
rebinding). So a request must carry the token that only the printed address has, name this server in Host, and
come from no other origin.
"""

from __future__ import annotations

import ipaddress
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

TOKEN_HEADER = "X-Review-Token"
_LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Guard:
    """Decides whether a request is answered.

    Attributes:
        host: the address the server is bound to. token: 43 random letters, new at every start.
    """

    host: str = "127.0.0.1"
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32))

    def refusal(self, headers: Mapping[str, str], *, port: int, token: str) -> str | None:
        """Why a request is refused, in words for its sender; None where it is answered.

        Args:
            headers: of the request, names in lower case. port: the server's.
            token: as the request carries it.
        """
        host = headers.get("host") or ""
        if not self._names_this(host, port):
            return "The Host header names another server."
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return "The request comes from another origin."
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return "The request comes from another site."
        if not secrets.compare_digest(token.encode("utf-8", "replace"), self.token.encode("ascii")):
            return "The token is missing or of an earlier start. Open the address that the command printed."
        return None

    def _names_this(self, host: str, port: int) -> bool:
        try:
            named = urlsplit(f"//{host}")
            name, at = named.hostname or "", named.port or 80
        except ValueError:
            return False
        if at != port:
            return False
        if is_local(self.host):
            return name in _LOCAL_NAMES
        return name in (self.host.lower(), socket.gethostname().lower(), *_LOCAL_NAMES) or _is_address(name)


def is_local(host: str) -> bool:
    """Whether only this machine can reach a server bound to this address.

    >>> is_local("127.0.0.1"), is_local("localhost"), is_local("0.0.0.0")
    (True, True, False)
    """
    if host == "localhost":
        return True
    return _is_address(host) and ipaddress.ip_address(host).is_loopback


def _is_address(name: str) -> bool:
    """Whether a host is an IP address: no name is looked up, so none can be rebound."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
