"""The DICOM side that listens, and who may call it: nobody unnamed, where others than this machine can."""

from __future__ import annotations

from dataclasses import dataclass

from mammo_monai.dicom.network.callers import Admission, AllowedPeer, check_networks
from mammo_monai.dicom.network.peers import TlsFiles, check_ae_title
from mammo_monai.service.node.strict_json import at_least

LOOPBACK = ("127.0.0.1", "::1", "localhost")
ANYBODY = (
    'receiving: "anybody" is true: whoever reaches the port may send; name peers, or calling_ae_titles with '
    "networks"
)


@dataclass(frozen=True)
class Receiving:
    """Where and how the node listens.

    On another host than loopback callers must be told from others by more than an AE title: by `networks` or
    certificates. `anybody` lets all in, and says so in the log at each start.

    Attributes:
        peers: who may connect, with the networks and the certificate of each.
        calling_ae_titles: the same in short, where all call from the same `networks`.
        networks: addresses that callers may have, as CIDR.
        association_timeout_s: from a connection to the whole request for an association, TLS included.
        network_timeout_s: silence within an association.
        tls: certificate and key of the node; with `ca`, callers must show a certificate of that authority.
    """

    ae_title: str = "MAMMO_MONAI"
    host: str = "127.0.0.1"
    port: int = 11112
    peers: tuple[AllowedPeer, ...] | None = None
    calling_ae_titles: tuple[str, ...] | None = None
    networks: tuple[str, ...] | None = None
    anybody: bool = False
    require_called_ae_title: bool = False
    max_associations: int = 20
    association_timeout_s: float = 15.0
    network_timeout_s: float = 60.0
    tls: TlsFiles | None = None

    def __post_init__(self) -> None:
        for title in (self.ae_title, *(self.calling_ae_titles or ())):
            check_ae_title(title)
        check_networks(self.networks or ())
        at_least(self.max_associations, 1, "max_associations")
        at_least(self.association_timeout_s, 1, "association_timeout_s")
        at_least(self.network_timeout_s, 1, "network_timeout_s")
        if not 0 <= self.port < 65536:
            raise ValueError(f"port must be 0 to 65535, got {self.port}.")
        self._check_callers()

    @property
    def admission(self) -> Admission:
        """Who may open an association."""
        called = self.ae_title if self.require_called_ae_title else None
        titles = self.calling_ae_titles
        if titles is not None:
            return Admission(called, tuple(AllowedPeer(each, self.networks or ()) for each in titles))
        return Admission(called, self.peers, self.networks or ())

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is allowed but seldom meant."""
        return (ANYBODY,) if self.anybody else ()

    def _check_callers(self) -> None:
        for name in ("peers", "calling_ae_titles", "networks"):
            if getattr(self, name) == ():
                raise ValueError(f'{name} must name somebody; leave it out, or say "anybody": true.')
        named = [name for name in ("peers", "calling_ae_titles") if getattr(self, name) is not None]
        if len(named) > 1:
            raise ValueError("give peers or calling_ae_titles, not both.")
        if self.anybody and (named or self.networks):
            raise ValueError(f'"anybody": true contradicts {", ".join([*named, "networks"][:1])}.')
        if any(each.certificate for each in self.peers or ()) and (self.tls is None or self.tls.ca is None):
            raise ValueError("a peer's certificate can be asked for only with tls and its ca.")
        if self.host not in LOOPBACK and not (self.anybody or self._tells_callers_apart()):
            raise ValueError(
                f"host {self.host} can be reached by other machines, and nothing proves who sends: an AE "
                "title alone does not. Give calling_ae_titles with networks, or peers each with networks or "
                'a certificate, or tls with a ca; "anybody": true lets all in.'
            )

    def _tells_callers_apart(self) -> bool:
        if self.tls is not None and self.tls.ca is not None:
            return True
        if self.peers is not None:
            return bool(self.networks) or all(each.is_recognised for each in self.peers)
        return self.calling_ae_titles is not None and bool(self.networks)
