"""Writing a zip whose bytes depend on its files alone: sorted, fixed times, stored as they are."""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path

_EARLIEST = (1980, 1, 1, 0, 0, 0)  # the first time a zip can tell
_BLOCK = 1 << 20


def write_archive(path: Path, folder: str, files: Mapping[str, Path | bytes], *, first: str) -> None:
    """Writes `files` under `folder/`; the same files give the same bytes on every machine.

    Nothing is compressed: float16 weights lose a tenth at most, and compressors differ from machine to
    machine, so their bytes would.

    Args:
        files: by name relative to `folder`; a path to copy, or the content.
        first: the name that comes first, so that a reader knows soon what follows.
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name in sorted(files, key=lambda each: (each != first, each)):
            source = files[name]
            info = zipfile.ZipInfo(f"{folder}/{name}", _EARLIEST)
            info.create_system = 3  # Unix, wherever it is written: the permissions below are of that kind
            info.external_attr = (stat.S_IFREG | 0o644) << 16
            info.file_size = len(source) if isinstance(source, bytes) else source.stat().st_size
            with archive.open(info, "w") as target:
                if isinstance(source, bytes):
                    target.write(source)
                    continue
                with source.open("rb") as stream:
                    while block := stream.read(_BLOCK):
                        target.write(block)
