"""The gate before every run: a bundle that would do more than the known runs only if the user trusts it."""

from __future__ import annotations

import logging
from hashlib import sha256
from pathlib import Path, PurePosixPath

from mammo_monai.bundle.inspection import Code, Inspection, inspect_files
from mammo_monai.bundle.inspection.logging_entries import logging_codes
from mammo_monai.bundle.trust.snapshot import Snapshot, merged, snapshot_of
from mammo_monai.bundle.trust.trusted_list import trusted_names
from mammo_monai.errors import BundleError
from mammo_monai.parts import is_part_name

logger = logging.getLogger(__name__)
_SHOWN = 3
_NEVER = ("dangerous", "unreadable")
LOGGING = "configs/logging.conf"
_MOST_SEEN = 64
_SEEN: dict[str, Inspection] = {}


class UntrustedBundleError(BundleError):
    """A bundle would run what is not on the list of safe things; `inspection` tells what."""

    def __init__(self, message: str, inspection: Inspection) -> None:
        super().__init__(message)
        self.inspection = inspection


def admitted(root: Path, *, is_trusted: bool = False) -> tuple[Snapshot, bool]:
    """A bundle's configurations, and whether more than the known runs in them; what they say may be run.

    They may be run if everything in them is on the list of what is known (`inspect_bundle`), or if the user
    has put the very files on the list of trusted bundles, or says so now.

    Raises:
        UntrustedBundleError: none of these. BundleError: a logging.conf that would run code (nobody needs
            it), or a configuration that is unfinished or cannot be read.
    """
    snapshot = snapshot_of(root)
    found = _inspected(snapshot)
    if not found.outside:
        return snapshot, False
    _check_readable(snapshot, found)
    if not is_trusted:
        _refuse_unless_listed(snapshot, found)
    _check_logging(snapshot)
    logger.info("%s: runs %d things that are not on the list, as trusted", root.name, len(found.outside))
    return snapshot, True


def entries_text(codes: tuple[Code, ...]) -> str:
    """Up to three of the entries, each with file, id and reason, in one line of ASCII."""
    shown = [
        ascii(f"{each.file}{f', {each.id}' if each.id else ''}: {each.text:.80} ({each.reason:.120})")[1:-1]
        for each in codes[:_SHOWN]
    ]
    more = [f"and {len(codes) - _SHOWN} more"] if len(codes) > _SHOWN else []
    return "; ".join([*shown, *more])


def _refuse_unless_listed(snapshot: Snapshot, found: Inspection) -> None:
    if trusted_names(snapshot.content_sha256):
        return
    changed = " Its files are not those that you trusted." if trusted_names(None, snapshot.name) else ""
    raise UntrustedBundleError(
        f"{snapshot.name}: would run what is not known to be safe: {entries_text(found.outside)}.{changed} "
        f"`mammo-monai bundle inspect {snapshot.root}` lists all. Read it; if you trust it, "
        f"`mammo-monai bundle trust {snapshot.root}`, or --trust for once.",
        found,
    )


def _check_readable(snapshot: Snapshot, found: Inspection) -> None:
    """Says of a configuration that cannot be read what is wrong with it: no trust would mend it."""
    for each in found.outside:
        if each.kind == "file" and each.file in snapshot.contents and not each.file.endswith(".conf"):
            if is_part_name(PurePosixPath(each.file).name):
                raise BundleError(
                    f"{snapshot.root / each.file}: unfinished: a command that writes this bundle is at "
                    "work or was killed. Wait until it ends, start a killed one again, or remove this file."
                )
            merged(snapshot, [each.file])


def _check_logging(snapshot: Snapshot) -> None:
    if LOGGING not in snapshot.contents:
        return
    try:
        codes = logging_codes(LOGGING, snapshot.text(LOGGING))
    except ValueError as error:
        raise BundleError(f"{snapshot.root / LOGGING}: {error}. Mend it, or remove it.") from error
    bad = [each for each in codes if each.category in _NEVER]
    if bad:
        raise BundleError(
            f"{snapshot.root / LOGGING}: {entries_text(tuple(bad))}. Logging needs no code, and trust does "
            "not allow it: name Python's own handlers, with literals."
        )


def _inspected(snapshot: Snapshot) -> Inspection:
    """What was inspected before is not inspected again: a process opens the same bundle many times."""
    digest = sha256(repr((snapshot.name, snapshot.links)).encode("utf-8", "surrogateescape"))
    for name in sorted(snapshot.sizes):
        digest.update(f"\0{name}\0".encode("utf-8", "surrogateescape"))
        digest.update(sha256(snapshot.contents.get(name, b"")).digest())
    key = digest.hexdigest()
    if key not in _SEEN:
        if len(_SEEN) >= _MOST_SEEN:
            _SEEN.clear()
        _SEEN[key] = inspect_files(snapshot, is_run_here=True)
    return _SEEN[key]
