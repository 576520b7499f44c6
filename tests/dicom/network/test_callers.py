"""Who may associate: AE title, address and certificate, each alone and together."""

from __future__ import annotations

import hashlib

import pytest

from mammo_monai.dicom.network import NetworkError
from mammo_monai.dicom.network.callers import Admission, AllowedPeer, Caller, Certificate
from mammo_monai.dicom.network.refusals import Refusal

DIGITS = hashlib.sha256(b"certificate").hexdigest()
SHOWN = Certificate(f"sha256:{DIGITS}", frozenset({"pacs.example.org", "PACS of the ward"}))
COLONS = ":".join(DIGITS[each : each + 2] for each in range(0, 64, 2)).upper()


def refusal(*peers: AllowedPeer, networks: tuple[str, ...] = (), **caller: object) -> Refusal | None:
    said = {"address": "10.1.2.3", "calling": "PACS", "called": "NODE", **caller}
    return Admission("NODE", peers or None, networks).refusal(Caller(**said))  # type: ignore[arg-type]


def test_anybody_is_anybody_and_must_still_call_us() -> None:
    assert refusal() is None
    assert refusal(called="OTHER") is Refusal.CALLED
    assert Admission().refusal(Caller("::1", "", "OTHER")) is None


def test_an_unknown_title_is_refused_before_anything_else() -> None:
    assert refusal(AllowedPeer("PACS"), calling="PACS2", called="OTHER") is Refusal.CALLING
    assert refusal(AllowedPeer("PACS"), calling="pacs") is Refusal.CALLING
    assert refusal(AllowedPeer(" PACS ")) is None


@pytest.mark.parametrize(
    ("networks", "address", "is_in"),
    [
        ((), "192.0.2.1", True),
        (("10.1.0.0/16",), "10.1.255.255", True),
        (("10.1.0.0/16",), "10.2.0.0", False),
        (("10.2.2.2", "10.1.2.3"), "10.1.2.3", True),
        (("10.1.0.0/16",), "::ffff:10.1.2.3", True),  # IPv4 on a socket for both
        (("fd00::/8",), "fd00::1%eth0", True),
        (("fd00::/8",), "10.1.2.3", False),
    ],
)
def test_an_address_is_in_a_network_or_not(networks: tuple[str, ...], address: str, is_in: bool) -> None:
    expected = None if is_in else Refusal.ADDRESS
    assert refusal(AllowedPeer("PACS", networks), address=address) is expected
    assert refusal(address=address, networks=networks) is expected


@pytest.mark.parametrize(
    ("pinned", "shown", "is_held"),
    [
        (None, None, True),
        ("pacs.example.org", SHOWN, True),
        ("PACS of the ward", SHOWN, True),
        ("pacs.example", SHOWN, False),
        ("pacs.example.org", None, False),
        (f"sha256:{DIGITS}", SHOWN, True),
        (f"SHA256:{COLONS}", SHOWN, True),
        (f"sha256:{DIGITS[::-1]}", SHOWN, False),
        (f"sha256:{DIGITS}", None, False),
    ],
)
def test_a_pinned_certificate_is_shown_or_not(
    pinned: str | None, shown: Certificate | None, is_held: bool
) -> None:
    expected = None if is_held else Refusal.CERTIFICATE
    assert refusal(AllowedPeer("PACS", (), pinned), certificate=shown) is expected


def test_a_certificate_of_one_peer_is_none_for_another_and_a_title_may_have_two_devices() -> None:
    other = Certificate("sha256:" + "0" * 64, frozenset({"ward.example.org"}))
    peers = (
        AllowedPeer("PACS", ("10.1.0.0/16",), "pacs.example.org"),
        AllowedPeer("WARD", (), "ward.example.org"),
        AllowedPeer("PACS", ("10.9.0.0/16",), "ward.example.org"),
    )
    assert refusal(*peers, certificate=SHOWN) is None
    assert refusal(*peers, calling="WARD", certificate=SHOWN) is Refusal.CERTIFICATE
    assert refusal(*peers, certificate=other) is Refusal.CERTIFICATE
    assert refusal(*peers, certificate=other, address="10.9.1.1") is None
    assert refusal(*peers, certificate=SHOWN, address="10.3.1.1") is Refusal.ADDRESS


def test_a_certificate_is_read_from_what_tls_gives() -> None:
    content = {
        "subject": ((("organizationName", "Hospital"),), (("commonName", "PACS"),)),
        "subjectAltName": (("DNS", "pacs.example.org"), ("IP Address", "10.1.2.3")),
    }
    found = Certificate.of(b"certificate", content)
    assert found == Certificate(f"sha256:{DIGITS}", frozenset({"PACS", "pacs.example.org", "10.1.2.3"}))


def test_rules_that_cannot_be_are_refused() -> None:
    with pytest.raises(NetworkError, match="AE title of 1 to 16"):
        AllowedPeer("")
    with pytest.raises(ValueError, match=r"address or CIDR such as .*, got 'pacs'"):
        AllowedPeer("A", ("pacs",))
    with pytest.raises(ValueError, match="64 hexadecimal digits"):
        AllowedPeer("A", (), "sha256:" + "0" * 63)
