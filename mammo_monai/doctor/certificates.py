"""Certificates of a node: whether they can be read, how long they hold, and who may read their key."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from cryptography import x509

from mammo_monai.dicom.network.peers import TlsFiles
from mammo_monai.doctor.findings import Finding, Level, quoted
from mammo_monai.words import counted

SOON_DAYS = 30
_DAY_S = 86_400.0


def certificate_findings(kind: str, name: str, tls: TlsFiles, now_s: float) -> Iterator[Finding]:
    """One finding for each file of one side.

    Args:
        name: whose files they are, as in "receiving".
    """
    if tls.certificate is not None:
        yield _validity(kind, f"certificate of {name}", Path(tls.certificate), now_s, is_chain=True)
    if tls.ca is not None:
        yield _validity(kind, f"authority of {name}", Path(tls.ca), now_s, is_chain=False)
    if tls.key is not None:
        yield _key(kind, f"key of {name}", Path(tls.key))


def _validity(kind: str, name: str, path: Path, now_s: float, *, is_chain: bool) -> Finding:
    """Whether a file holds; all of a chain must, of authorities those that do are trusted all the same."""
    private = (str(path), path.name)
    try:
        chain = x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError) as error:
        why, fix = (
            "The other side cannot be talked to by TLS.",
            f"openssl x509 -in {quoted(path)} -noout -dates",
        )
        return Finding(kind, name, Level.FAULT, f"{path} cannot be read: {error}", why, fix, private)
    holding = [each for each in chain if _begin(each) <= now_s <= _end(each)]
    if not is_chain and holding and len(holding) < len(chain):
        out = [each for each in chain if each not in holding]
        return _partly(kind, name, path, out, f"{len(out)} of {len(chain)}")
    what = "every peer refuses it" if is_chain else "peers that it vouches for are refused"
    return _days_of(kind, name, path, (chain, now_s), what)


def _begin(certificate: x509.Certificate) -> float:
    return certificate.not_valid_before_utc.timestamp()


def _end(certificate: x509.Certificate) -> float:
    return certificate.not_valid_after_utc.timestamp()


def _partly(kind: str, name: str, path: Path, out: Sequence[x509.Certificate], share: str) -> Finding:
    """Authorities of which some do not hold today."""
    names = [each.subject.rfc4514_string() for each in out]
    days = [time.strftime("%Y-%m-%d", time.gmtime(_end(each))) for each in out]
    which = "; ".join(f"{who} (until {day})" for who, day in zip(names, days, strict=True))
    found = f"{share} in {path.name} ended, or begin later: {which}"
    why = "Certificates that these issued are refused; those of the others hold."
    private = (str(path), path.name, *names)
    return Finding(kind, name, Level.WARNING, found, why, f"Take them out of {quoted(path)}", private)


def _days_of(
    kind: str, name: str, path: Path, at: tuple[Sequence[x509.Certificate], float], what: str
) -> Finding:
    """The days on which all of these hold.

    Args:
        at: certificates, and the time in s. what: what happens on other days.
    """
    chain, now_s = at
    private = (str(path), path.name)
    begins = max(_begin(each) for each in chain)
    ends = min(_end(each) for each in chain)
    day = time.strftime("%Y-%m-%d", time.gmtime(ends))
    fix = f"openssl x509 -in {quoted(path)} -noout -dates  # then have a new one issued"
    if now_s > ends:
        why = f"{what.capitalize()}."
        return Finding(kind, name, Level.FAULT, f"{path.name} ended on {day}", why, fix, private)
    if now_s < begins:
        begin = time.strftime("%Y-%m-%d", time.gmtime(begins))
        why = "It is not valid yet, or the clock is wrong."
        return Finding(kind, name, Level.FAULT, f"{path.name} begins on {begin}", why, "date -u", private)
    days = int((ends - now_s) / _DAY_S)
    found = f"{path.name} is valid until {day} ({counted(days, 'day')})"
    if days < SOON_DAYS:
        why = f"After that day {what}."
        return Finding(kind, name, Level.WARNING, found, why, fix, private)
    return Finding(kind, name, Level.OK, found, private=private)


def _key(kind: str, name: str, path: Path) -> Finding:
    """Found, readable by us, and by nobody else."""
    private = (str(path), path.name)
    try:
        mode = path.stat().st_mode
        path.open("rb").close()
    except OSError as error:
        why, fix = "The node cannot show its certificate.", f"ls -l {quoted(path)}"
        return Finding(kind, name, Level.FAULT, f"{path}: {error.strerror}", why, fix, private)
    if mode & 0o077:
        why = "Others on this machine can read it, and pass for this node."
        return Finding(
            kind,
            name,
            Level.WARNING,
            f"{path.name} has mode {mode & 0o777:o}",
            why,
            f"chmod 600 {quoted(path)}",
            private,
        )
    return Finding(kind, name, Level.OK, f"{path.name} can be read by its owner alone", private=private)
