"""Who may open an association: AE title, address and certificate belong together.

An AE title is a name that anybody can say. What holds is the certificate that TLS has verified, pinned to the
AE title; an address holds as far as the network does.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mammo_monai.dicom.network.peers import check_ae_title
from mammo_monai.dicom.network.refusals import Refusal

_FINGERPRINT = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Certificate:
    """What a caller's verified certificate says of it.

    Attributes:
        fingerprint: `sha256:` and 64 hexadecimal digits, of the whole certificate.
        names: its common names, DNS names, addresses and URIs.
    """

    fingerprint: str
    names: frozenset[str] = frozenset()

    @classmethod
    def of(cls, encoded: bytes, content: Mapping[str, object]) -> Certificate:
        """From DER and from the dictionary that `ssl.SSLSocket.getpeercert` gives."""
        subject: Sequence[Sequence[tuple[str, str]]] = content.get("subject", ())  # type: ignore[assignment]
        others: Sequence[tuple[str, str]] = content.get("subjectAltName", ())  # type: ignore[assignment]
        common = {value for part in subject for key, value in part if key == "commonName"}
        fingerprint = f"sha256:{hashlib.sha256(encoded).hexdigest()}"
        return cls(fingerprint, frozenset(common | {value for _, value in others}))


@dataclass(frozen=True)
class Caller:
    """Somebody who asks for an association.

    Attributes:
        address: IP address. calling, called: AE titles as it says them, without spaces around.
        certificate: verified by TLS; None where it showed none.
    """

    address: str
    calling: str
    called: str
    certificate: Certificate | None = None


@dataclass(frozen=True)
class AllowedPeer:
    """One that may call, and how it is told from others.

    Attributes:
        networks: addresses it may call from, as CIDR; none is any.
        certificate: a name in its certificate, or `sha256:` and the certificate's fingerprint (colons and
            capitals as openssl prints them are taken too).

    Raises:
        ValueError: no network, or no fingerprint. NetworkError: no AE title.
    """

    ae_title: str
    networks: tuple[str, ...] = ()
    certificate: str | None = None

    def __post_init__(self) -> None:
        check_ae_title(self.ae_title)
        check_networks(self.networks)
        pinned = self.certificate or ""
        if pinned.lower().startswith("sha256") and not _FINGERPRINT.fullmatch(_normal(pinned)):
            raise ValueError(
                f"certificate must be a name, or sha256: and 64 hexadecimal digits, got {pinned!r}."
            )

    @property
    def is_recognised(self) -> bool:
        """Whether more than the AE title, which anybody can say, is asked for."""
        return bool(self.networks) or self.certificate is not None

    def holds_certificate(self, certificate: Certificate | None) -> bool:
        """Whether a caller's certificate is the one that is pinned here."""
        if self.certificate is None:
            return True
        if certificate is None:
            return False
        pinned = _normal(self.certificate)
        is_fingerprint = _FINGERPRINT.fullmatch(pinned) is not None
        return pinned == certificate.fingerprint if is_fingerprint else self.certificate in certificate.names


@dataclass(frozen=True)
class Admission:
    """Decides who may open an association.

    Attributes:
        called: our AE title, where callers must say it; None takes any.
        peers: who may call; None is any AE title. One AE title may stand there more than once.
        networks: addresses that all callers must have; none is any.

    Raises:
        ValueError: `peers` names nobody.

    >>> admission = Admission(peers=(AllowedPeer("PACS", ("10.1.0.0/16",)),))
    >>> admission.refusal(Caller("10.1.2.3", "PACS", "NODE")) is None
    True
    >>> admission.refusal(Caller("10.2.2.3", "PACS", "NODE")).word
    'address'
    """

    called: str | None = None
    peers: tuple[AllowedPeer, ...] | None = None
    networks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_networks(self.networks)
        if self.peers == ():
            raise ValueError("peers must name somebody, or be None for anybody.")

    def refusal(self, caller: Caller) -> Refusal | None:
        """Why a caller is refused; None where it is let in."""
        if not _is_within(caller.address, self.networks):
            return Refusal.ADDRESS
        if self.peers is not None and (refusal := _unknown(caller, self.peers)) is not None:
            return refusal
        if self.called is not None and caller.called != self.called.strip():
            return Refusal.CALLED
        return None


def check_networks(networks: Sequence[str]) -> None:
    """Refuses what is no address or network, and one with bits beyond its mask.

    Raises:
        ValueError: one is none.
    """
    for each in networks:
        try:
            ipaddress.ip_network(each)
        except ValueError as error:
            raise ValueError(
                f"a network must be an address or CIDR such as 10.1.0.0/16, got {each!r} ({error})."
            ) from error


def _unknown(caller: Caller, peers: Sequence[AllowedPeer]) -> Refusal | None:
    named = [each for each in peers if each.ae_title.strip() == caller.calling]
    if not named:
        return Refusal.CALLING
    near = [each for each in named if _is_within(caller.address, each.networks)]
    if not near:
        return Refusal.ADDRESS
    if not any(each.holds_certificate(caller.certificate) for each in near):
        return Refusal.CERTIFICATE
    return None


def _is_within(address: str, networks: Sequence[str]) -> bool:
    if not networks:
        return True
    found = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(found, "ipv4_mapped", None)  # an IPv4 caller of a socket that speaks IPv6 too
    return any((mapped or found) in ipaddress.ip_network(each) for each in networks)


def _normal(fingerprint: str) -> str:
    kind, _, digits = fingerprint.lower().partition(":")
    return f"{kind}:{digits.replace(':', '')}"
