"""Writes the files of a pack into a folder, each compared with the record while it is written."""

from __future__ import annotations

import os
import shutil
from hashlib import sha256
from pathlib import Path

from mammo_monai.bundle.packing.bundle_files import BundleFiles, blocks
from mammo_monai.bundle.packing.record import RECORD, PackRecord
from mammo_monai.bundle.packing.safe_names import name_fault
from mammo_monai.errors import BundleError


def unpack(files: BundleFiles, record: PackRecord, folder: Path) -> None:
    """Makes `folder` anew with the files that the record names, and the record; nothing else of the source.

    Raises:
        BundleError: a file that is missing or not the one recorded.
        OSError: the disk is full or the folder cannot be written.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in (RECORD, *record.files):
        if fault := name_fault(name):
            raise BundleError(f"{name!r} {fault}. Do not unpack it.")
        if name not in files.sizes:
            raise BundleError(f"{name} is missing. Get the pack again.")
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        digest = sha256()
        with path.open("xb") as stream:
            for block in blocks(files, name):
                digest.update(block)
                stream.write(block)
            stream.flush()
            os.fsync(stream.fileno())
        expected = sha256(record.text().encode()).hexdigest() if name == RECORD else record.files[name].sha256
        if digest.hexdigest() != expected:
            raise BundleError(
                f"{name} has SHA-256 {digest.hexdigest()}, expected {expected}. Get the pack again."
            )
