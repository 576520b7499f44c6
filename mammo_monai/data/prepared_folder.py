"""The folder of a prepared set: one run at a time, what lies in it, what is stale."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from mammo_monai.errors import ManifestError
from mammo_monai.locks import LockHeldError, file_lock
from mammo_monai.schema import Manifest, read_manifest
from mammo_monai.schema.manifest import MANIFEST_NAME

IMAGES = "images"
LOCK = ".prepare.lock"
_COPY = re.compile(r"([0-9a-z]{1,64})-[0-9a-f]{16}\.png")
_LEFTOVER = re.compile(
    r"\.([0-9a-z]{1,64}-[0-9a-f]{16}\.png|manifest\.json|audit\.csv)\.[0-9a-f]{8}\.part\.(png|json|csv)"
)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Makes the folder and keeps other runs out of it; the system frees the lock of a killed run.

    Raises:
        OSError: the folder cannot be written. ManifestError: another run works there.
    """
    path = folder / LOCK
    with ExitStack() as stack:
        try:
            (folder / IMAGES).mkdir(parents=True, exist_ok=True)
            stack.enter_context(file_lock(path))
        except LockHeldError as error:
            raise ManifestError(
                f"{folder}: another mammo-monai prepare ({error.holder}) works in this folder. Wait until it "
                "is done, or choose another --out."
            ) from None
        except OSError as error:
            reason = error.strerror or str(error)
            raise OSError(
                error.errno, f"could not write {error.filename or path}: {reason}. Choose another --out."
            ) from error
        yield


def copies_in(folder: Path) -> dict[str, list[Path]]:
    """Prepared images by the stem of their record, see `prepared_image.file_stem`; others are not ours."""
    found: dict[str, list[Path]] = {}
    with os.scandir(folder / IMAGES) as entries:
        for entry in entries:
            if match := _COPY.fullmatch(entry.name):
                found.setdefault(match[1], []).append(Path(entry.path))
    return found


def remove_leftovers(folder: Path) -> None:
    """Deletes half-written files of killed runs; not those of other tools, whose folder it may be too."""
    for path in (*folder.iterdir(), *(folder / IMAGES).iterdir()):
        if _LEFTOVER.fullmatch(path.name):
            path.unlink(missing_ok=True)


def stale_copies(folder: Path, used: Collection[Path], spared: Collection[str] = ()) -> list[Path]:
    """Prepared images that no list of the manifest names: of other recipes, or of images that are gone.

    Args:
        spared: stems (`prepared_image.file_stem`) of images that cannot be prepared today: a copy of one may
            be all there is of it.
    """
    names = {path.name for path in used}
    copies = ((stem, path) for stem, paths in copies_in(folder).items() for path in paths)
    return sorted(path for stem, path in copies if path.name not in names and stem not in spared)


def check_out(source: Manifest, folder: Path) -> None:
    """Refuses a folder whose manifest is not ours to replace, and a source that is prepared itself.

    Raises:
        ManifestError: see above.
    """
    if any(record.prepared is not None for record in source.images()):
        raise ManifestError(
            f"{source.path}: these images are prepared already. Give the manifest they were prepared from."
        )
    path = folder / MANIFEST_NAME
    if not path.exists():
        return
    try:
        present = read_manifest(path)
        is_prepared = all(record.prepared is not None for record in present.images())
    except ManifestError:
        is_prepared = False
    if not is_prepared:
        raise ManifestError(
            f"{path}: this is no prepared manifest and would be overwritten. Choose another --out, or move "
            "that file away."
        )
    ids = {record.record_id for record in source.images()}
    if ids.isdisjoint(record.record_id for record in present.images()):
        raise ManifestError(f"{path}: prepared from another data set. Choose another --out.")
