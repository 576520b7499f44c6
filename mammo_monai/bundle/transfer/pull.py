"""Gets a pack from another site: checked, and listed what it would run, before it appears under its name."""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256 as sha256_hash
from pathlib import Path

from mammo_monai.bundle.inspection import Inspection, inspect_bundle
from mammo_monai.bundle.packing.bundle_files import Limits, open_bundle
from mammo_monai.bundle.packing.record import RECORD
from mammo_monai.bundle.packing.unpack import unpack
from mammo_monai.bundle.packing.verify import Verified, verify_pack
from mammo_monai.bundle.signing.packs import Signed
from mammo_monai.bundle.transfer.http_files import HttpOptions, fetch, fetch_text
from mammo_monai.bundle.transfer.hub import pull_from_hub
from mammo_monai.bundle.transfer.places import HubPlace, Place, UrlPlace, in_folder, parse_place
from mammo_monai.bundle.transfer.placing import put_in_place, work_folder
from mammo_monai.bundle.transfer.progress import Progress, TransferLog
from mammo_monai.bundle.transfer.push import SUM_SUFFIX
from mammo_monai.bundle.transfer.signatures import refuse_older, signature_of
from mammo_monai.bundle.trust import UntrustedBundleError, snapshot_of, trust_bundle
from mammo_monai.errors import BundleError
from mammo_monai.words import bytes_text

logger = logging.getLogger(__name__)
HOME = Path("bundles")  # where `find_bundle` looks in a working directory


@dataclass(frozen=True)
class PullOptions:
    """What a pull may do.

    Attributes:
        sha256: expected, of the zip, or of pack.json where the source is unpacked (a hub repository).
        is_trusted: takes a bundle that would run more than is on the list of safe things.
        is_signed: takes only what a publisher on the user's list has signed; so it is, too, as soon as the
            list names one.
        is_older_allowed: takes a signed pack of an older version than the bundle that is there.
        is_replacing: takes it although another bundle of its name is there, which is moved aside.
        http: how to talk to servers, and the most bytes that may come.
        show: called with bytes done and in all.
    """

    sha256: str | None = None
    is_trusted: bool = False
    is_replacing: bool = False
    http: HttpOptions = field(default_factory=HttpOptions)
    show: Progress | None = None
    is_signed: bool = False
    is_older_allowed: bool = False


@dataclass(frozen=True)
class Pulled:
    """Where the bundle is, what was checked, what it would run, where a replaced one went, who signed."""

    folder: Path
    verified: Verified
    inspection: Inspection
    is_pinned: bool
    was_there: bool
    replaced: Path | None
    signed: Signed | None = None


def pull_bundle(source: str, home: Path = HOME, options: PullOptions | None = None) -> Pulled:
    """Fetches a pack, verifies it, lists what it would run, and only then puts it to `home/NAME`.

    Killed at any moment, the same call goes on: what was fetched lies in `home/.pull`, and the bundle
    appears whole or not at all. A bundle that is there with the same content is left as it is.

    Args:
        source: a zip, a folder with one, a folder that one was unpacked to, a URL, or a hub repository; see
            `parse_place`.

    Raises:
        UntrustedBundleError: it would run what is not on the list, and `is_trusted` is not set.
        BundleError: the source cannot be had, is another than expected, damaged, or too large; or another
            bundle of its name is there.
        OSError: the disk is full or `home` cannot be written.
    """
    options = options or PullOptions()
    place = parse_place(source, is_http_allowed=options.http.is_http_allowed)
    pin = _pin(place, options)
    # Whatever stands in the fragment or in the options, the same source is the same work.
    key = sha256_hash(repr(place.url if isinstance(place, UrlPlace) else place).encode()).hexdigest()[:16]
    with work_folder(Path(home).absolute(), key) as work:
        fetched = _fetched(place, work, options)
        limits = Limits(n_bytes=options.http.limit_bytes)
        with _named(fetched, place):
            verified = _verified(fetched, pin, limits, work)
            signed = signature_of(place, verified, options.http, is_asked=options.is_signed)
        unpacked = work / "unpacked" / verified.record.bundle
        with open_bundle(fetched, limits) as files:
            unpack(files, verified.record, unpacked)
        inspection = inspect_bundle(unpacked)  # the copy that will be used: a source can change meanwhile
        if inspection.outside and not (options.is_trusted or signed):
            raise UntrustedBundleError(_untrusted(inspection), inspection)
        folder = Path(home) / verified.record.bundle
        if signed and not options.is_older_allowed:
            refuse_older(folder, verified)
        was_there = _is_same(folder, verified)
        if folder.exists() and not was_there and not options.is_replacing:
            raise BundleError(
                f"{folder}: is another bundle, or was changed here. --replace moves it aside (nothing is "
                "deleted); -o DIR puts this one elsewhere."
            )
        replaced = None if was_there else put_in_place(unpacked, Path(home), work)
    if inspection.outside:
        trust_bundle(snapshot_of(folder), f"signed by {signed.key.id}" if signed else "pull --trust")
    logger.info("pulled %s %s", verified.record.bundle, verified.record.version)
    return Pulled(folder, verified, inspection, pin is not None, was_there, replaced, signed)


@contextmanager
def _named(fetched: Path, place: Place) -> Iterator[None]:
    """Errors of the block call what was fetched by the name that the user knows it by."""
    if isinstance(place, UrlPlace):
        shown = place.shown
    else:
        shown = f"hf://{place.repository}" if isinstance(place, HubPlace) else str(in_folder(place))
    try:
        yield
    except BundleError as error:
        error.args = (str(error).replace(str(fetched), shown),)
        raise


def _verified(fetched: Path, pin: str | None, limits: Limits, work: Path) -> Verified:
    try:
        verified = verify_pack(fetched, sha256=pin, limits=limits)
        if verified.faults:
            listed = "\n".join(verified.faults)
            raise BundleError(f"{fetched}: not as it was packed. Get it again.\n{listed}")
    except BundleError:
        _forget(work)  # whatever came is of no use: the next run begins anew
        raise
    return verified


def _pin(place: Place, options: PullOptions) -> str | None:
    """The SHA-256 that was given, in the address or beside it."""
    pins = {each.strip().lower() for each in (options.sha256, getattr(place, "sha256", None)) if each}
    if len(pins) > 1:
        raise BundleError(f"two SHA-256 are given: {' and '.join(sorted(pins))}. Give one.")
    if bad := [each for each in pins if not re.fullmatch(r"[0-9a-f]{64}", each)]:
        raise BundleError(f"expected a SHA-256 of 64 hexadecimal digits, got {bad[0]!r}.")
    return next(iter(pins), None)


def _fetched(place: Place, work: Path, options: PullOptions) -> Path:
    """A zip or an unpacked pack on this machine."""
    log = TransferLog("fetching", options.show)
    if isinstance(place, HubPlace):
        return pull_from_hub(place, work, limit_bytes=options.http.limit_bytes, progress=log)
    if isinstance(place, UrlPlace):
        path = work / "pack.zip"
        fetch(place.url, path, options.http, log)
        beside = None if "?" in place.url else fetch_text(place.url + SUM_SUFFIX, options.http, limit=1000)
        _check_sum(path, beside, place.shown, lambda: _forget(work))
        return path
    source = in_folder(place)
    if source.is_dir():
        return source  # its record is read once, and each file compared with it when it is unpacked
    # Somebody else may write to the share meanwhile: what is verified is what is unpacked.
    path = work / "pack.zip"
    with source.open("rb") as stream, path.open("wb") as copy:
        shutil.copyfileobj(stream, copy)  # copyfile would name the source where the copy's disk is full
    beside_path = source.with_name(source.name + SUM_SUFFIX)
    beside = beside_path.read_text(encoding="utf-8", errors="replace") if beside_path.is_file() else None
    _check_sum(path, beside, str(source), lambda: _forget(work))
    return path


def _check_sum(path: Path, line: str | None, shown: str, forget: Callable[[], None]) -> None:
    """Compares with the .sha256 beside the source: it tells accidents, not a source that lies."""
    expected = re.match(r"([0-9a-fA-F]{64})\b", line or "")
    if expected is None:
        return
    digest = sha256_hash()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    if digest.hexdigest() != expected[1].lower():
        size = bytes_text(path.stat().st_size)
        forget()
        raise BundleError(
            f"{shown}: {size} with SHA-256 {digest.hexdigest()}, {SUM_SUFFIX} beside it says {expected[1]}. "
            "Get it again."
        )


def _is_same(folder: Path, verified: Verified) -> bool:
    path = folder / RECORD
    if not path.is_file() or path.read_bytes() != verified.record.text().encode():
        return False
    return not verify_pack(folder).faults


def _forget(work: Path) -> None:
    for each in ("hub", "assembled"):
        shutil.rmtree(work / each, ignore_errors=True)
    for each in ("pack.zip", "pack.zip.json"):
        (work / each).unlink(missing_ok=True)


def _untrusted(inspection: Inspection) -> str:
    n = len(inspection.outside)
    return (
        f"{inspection.bundle}: {n} of its items are not on the list of what is safe to run. Read them, ask "
        "who packed it, and give --trust if you do."
    )
