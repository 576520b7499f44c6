"""The user's list of bundles that may run though they do more than the known, by the hash of their files."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from mammo_monai.bundle.trust.own_folder import changing, own_file, read_private, write_private
from mammo_monai.bundle.trust.snapshot import Snapshot
from mammo_monai.errors import BundleError

SCHEMA = "mammo-monai/trusted-bundles/1"
NAME = "trusted_bundles.json"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_REMEDY = "Remove the file, and trust the bundles anew with `mammo-monai bundle trust`."


@dataclass(frozen=True)
class TrustedBundle:
    """One entry of the list.

    Attributes:
        content_sha256: see `Snapshot.content_sha256`.
        reason: the user's, or how it came there; it should name nobody.
        when: UTC, to the second.
    """

    bundle: str
    content_sha256: str
    reason: str
    when: str


def trusted_bundles() -> tuple[TrustedBundle, ...]:
    """The list, oldest first; empty where there is none.

    Raises:
        BundleError: the file is damaged, or others may write it.
    """
    path = own_file(NAME)
    if (text := read_private(path)) is None:
        return ()
    try:
        content: Any = json.loads(text)
        if content["schema"] != SCHEMA:
            raise ValueError(f"expected schema {SCHEMA}")
        found = tuple(TrustedBundle(**each) for each in content["trusted"])
        if not all(isinstance(value, str) for each in found for value in asdict(each).values()):
            raise ValueError("an entry is no text")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BundleError(f"{path}: not a list of trusted bundles: {error}. {_REMEDY}") from error
    return found


def trusted_names(content_sha256: str | None, bundle: str | None = None) -> tuple[str, ...]:
    """Names of the trusted bundles of a hash, or of a name; None stands for any."""
    return tuple(
        each.bundle
        for each in trusted_bundles()
        if content_sha256 in (None, each.content_sha256) and bundle in (None, each.bundle)
    )


def trust_bundle(snapshot: Snapshot, reason: str) -> TrustedBundle:
    """Puts the files of a snapshot on the list; an older entry of the same name and files goes.

    Raises:
        BundleError: as `trusted_bundles`. OSError: the list cannot be written; it is as it was.
    """
    when = datetime.now(timezone.utc).isoformat(timespec="seconds")
    entry = TrustedBundle(snapshot.name, snapshot.content_sha256, reason, when)
    same = (entry.bundle, entry.content_sha256)
    with changing(own_file(NAME)):
        _write([each for each in trusted_bundles() if (each.bundle, each.content_sha256) != same] + [entry])
    return entry


def distrust(bundle: str) -> int:
    """Takes a bundle off the list, by its name or hash; how many entries went.

    Raises:
        BundleError: as `trusted_bundles`; or none is there.
    """
    wanted = bundle if _SHA256.fullmatch(bundle) else Path(bundle).name
    with changing(own_file(NAME)):
        there = trusted_bundles()
        kept = [each for each in there if wanted not in (each.bundle, each.content_sha256)]
        if len(kept) == len(there):
            named = ", ".join(sorted({each.bundle for each in there})) or "nothing"
            raise BundleError(f"{bundle}: not on the list of trusted bundles, which names {named}.")
        _write(kept)
    return len(there) - len(kept)


def _write(entries: Sequence[TrustedBundle]) -> None:
    content = {"schema": SCHEMA, "trusted": [asdict(each) for each in entries]}
    write_private(own_file(NAME), json.dumps(content, indent=1) + "\n")
