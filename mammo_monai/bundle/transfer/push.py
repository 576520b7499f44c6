"""Puts a packed bundle where another site can get it: a folder, a URL that takes PUT, or a hub repository."""

from __future__ import annotations

import logging
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from mammo_monai.bundle.packing.bundle_files import Limits, open_bundle
from mammo_monai.bundle.packing.pack import pack_bundle
from mammo_monai.bundle.packing.record import PackRecord
from mammo_monai.bundle.packing.unpack import unpack
from mammo_monai.bundle.packing.verify import Verified, verify_pack
from mammo_monai.bundle.signing.packs import SIGNATURE_SUFFIX, signature_text
from mammo_monai.bundle.transfer.http_files import HttpOptions, fetch_text, has_file, send
from mammo_monai.bundle.transfer.hub import push_to_hub
from mammo_monai.bundle.transfer.places import FolderPlace, HubPlace, UrlPlace, parse_place
from mammo_monai.errors import BundleError
from mammo_monai.files import atomic_path, sha256_of, write_text_atomic

logger = logging.getLogger(__name__)
SUM_SUFFIX = ".sha256"


@dataclass(frozen=True)
class Pushed:
    """Where it is now, its SHA-256 (of the zip), and whether it was there already."""

    place: str
    sha256: str
    record: PackRecord
    was_there: bool


def push_bundle(
    bundle: str | Path, destination: str, *, is_replacing: bool = False, http: HttpOptions | None = None
) -> Pushed:
    """Packs a bundle, or takes a zip as it is, and puts it to a folder, URL or hub repository.

    Folders and URLs get NAME-VERSION.zip (a destination that ends in .zip is taken as the name) and a file
    with its SHA-256 beside it; a hub repository gets the files unpacked.

    Args:
        bundle: a name or folder, see `find_bundle`, or a zip made by `pack_bundle`.
        destination: see `parse_place`.
        is_replacing: puts it in the place of another pack.

    Raises:
        BundleError: faults of the bundle or zip, or the destination refuses or holds another pack.
        OSError: the folder cannot be written.
    """
    http = http or HttpOptions()
    place = parse_place(destination, is_http_allowed=http.is_http_allowed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(bundle)
        if not (path.is_file() and path.suffix.lower() == ".zip"):
            path = pack_bundle(bundle, Path(folder) / "pack.zip").path
        verified = verify_pack(path)
        if verified.faults:
            raise BundleError(f"{path}: not as it was packed: {verified.faults[0]} Pack it again.")
        if isinstance(place, HubPlace):
            was_there = not _to_hub(verified, Path(folder), place, is_replacing)
            where = destination
        elif isinstance(place, UrlPlace):
            where, was_there = _to_url(verified, Path(folder), place, http, is_replacing)
        else:
            where, was_there = _to_folder(verified, place, is_replacing)
    logger.info("pushed %s %s", verified.record.bundle, verified.record.version)
    return Pushed(where, verified.sha256, verified.record, was_there)


def _to_folder(verified: Verified, place: FolderPlace, is_replacing: bool) -> tuple[str, bool]:
    target = place.path if place.path.suffix.lower() == ".zip" else place.path / _file_name(verified)
    if target.is_file() and sha256_of(target) == verified.sha256:
        write_text_atomic(_sums(target), _sum_line(verified, target.name))
        _copy_signature(verified.path, target)
        return str(target), True
    if target.exists() and not is_replacing:
        raise BundleError(f"{target}: is another file. --replace puts this pack in its place.")
    with atomic_path(target) as part:
        shutil.copyfile(verified.path, part)
    write_text_atomic(_sums(target), _sum_line(verified, target.name))
    _copy_signature(verified.path, target)
    return str(target), False


def _to_url(
    verified: Verified, folder: Path, place: UrlPlace, http: HttpOptions, is_replacing: bool
) -> tuple[str, bool]:
    is_named = place.url.split("?")[0].lower().endswith(".zip")
    target = UrlPlace(place.url if is_named else f"{place.url.rstrip('/')}/{_file_name(verified)}")
    has_sums = "?" not in target.url
    if not is_replacing and has_file(target.url, http):
        there = fetch_text(target.url + SUM_SUFFIX, http, limit=1000) if has_sums else None
        if (there or "").split(" ")[0] == verified.sha256:
            return target.shown, True
        raise BundleError(f"{target.shown}: is another file. --replace puts this pack in its place.")
    send(target.url, verified.path, http, is_replacing=is_replacing)
    if has_sums:
        line = folder / "line.sha256"
        line.write_text(_sum_line(verified, target.shown.rpartition("/")[2]), encoding="utf-8")
        send(target.url + SUM_SUFFIX, line, http, is_replacing=True)
        if (signature := _signature(verified.path)).is_file():
            send(target.url + SIGNATURE_SUFFIX, signature, http, is_replacing=True)
    return target.shown, False


def _to_hub(verified: Verified, folder: Path, place: HubPlace, is_replacing: bool) -> bool:
    unpacked = folder / "unpacked"
    with open_bundle(verified.path, Limits()) as files:
        unpack(files, verified.record, unpacked)
    return push_to_hub(unpacked, verified.record, place, is_replacing=is_replacing)


def _copy_signature(pack: Path, target: Path) -> None:
    """Puts the pack's signature beside it; one of another pack that lay there goes."""
    if _signature(pack).is_file():
        write_text_atomic(_signature(target), signature_text(_signature(pack)))
    else:
        _signature(target).unlink(missing_ok=True)


def _signature(pack: Path) -> Path:
    return pack.with_name(pack.name + SIGNATURE_SUFFIX)


def _file_name(verified: Verified) -> str:
    return f"{verified.record.bundle}-{verified.record.version}.zip"


def _sums(target: Path) -> Path:
    return target.with_name(target.name + SUM_SUFFIX)


def _sum_line(verified: Verified, name: str) -> str:
    """As `sha256sum -c` reads it."""
    return f"{verified.sha256}  {name}\n"
