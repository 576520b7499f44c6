"""Certificates of a node: whether they can be read, how long they hold, and who may read their key."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from cryptography import x509

from mammo_monai.dicom.network.peers import TlsFiles
from mammo_monai.doctor.findings import Finding, Level

SOON_DAYS = 30
_DAY_S = 86_400.0


def certificate_findings(kind: str, name: str, tls: TlsFiles, now_s: float) -> Iterator[Finding]:
    """One finding for each file of one side.

    Args:
        name: whose files they are, as in "receiving".
    """
    for what, path in (("certificate", tls.certificate), ("authority", tls.ca)):
        if path is not None:
            yield _validity(kind, f"{what} of {name}", Path(path), now_s)
    if tls.key is not None:
        yield _key(kind, f"key of {name}", Path(tls.key))


def _validity(kind: str, name: str, path: Path, now_s: float) -> Finding:
    private = (str(path), path.name)
    try:
        chain = x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError) as error:
        why, fix = "The other side cannot be talked to by TLS.", f"openssl x509 -in {path} -noout -dates"
        return Finding(kind, name, Level.FAULT, f"{path} cannot be read: {error}", why, fix, private)
    begins = max(each.not_valid_before_utc.timestamp() for each in chain)
    ends = min(each.not_valid_after_utc.timestamp() for each in chain)
    day = time.strftime("%Y-%m-%d", time.gmtime(ends))
    fix = f"openssl x509 -in {path} -noout -dates  # then have a new one issued"
    if now_s > ends:
        why = "Every peer refuses it."
        return Finding(kind, name, Level.FAULT, f"{path.name} ended on {day}", why, fix, private)
    if now_s < begins:
        begin = time.strftime("%Y-%m-%d", time.gmtime(begins))
        why = "It is not valid yet, or the clock is wrong."
        return Finding(kind, name, Level.FAULT, f"{path.name} begins on {begin}", why, "date -u", private)
    days = int((ends - now_s) / _DAY_S)
    found = f"{path.name} is valid until {day} ({days} days)"
    if days < SOON_DAYS:
        why = "After that day every peer refuses it."
        return Finding(kind, name, Level.WARNING, found, why, fix, private)
    return Finding(kind, name, Level.OK, found, private=private)


def _key(kind: str, name: str, path: Path) -> Finding:
    """Found, readable by us, and by nobody else."""
    private = (str(path), path.name)
    try:
        mode = path.stat().st_mode
        path.open("rb").close()
    except OSError as error:
        why, fix = "The node cannot show its certificate.", f"ls -l {path}"
        return Finding(kind, name, Level.FAULT, f"{path}: {error.strerror}", why, fix, private)
    if mode & 0o077:
        why = "Others on this machine can read it, and pass for this node."
        return Finding(
            kind,
            name,
            Level.WARNING,
            f"{path.name} has mode {mode & 0o777:o}",
            why,
            f"chmod 600 {path}",
            private,
        )
    return Finding(kind, name, Level.OK, f"{path.name} can be read by its owner alone", private=private)
