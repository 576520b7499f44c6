"""Which files of a folder or list are images that can be read."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from mammo_monai.dicom.preamble import is_dicom
from mammo_monai.errors import ManifestError
from mammo_monai.readers.folders import folders_below
from mammo_monai.transforms.load import IMAGE_SUFFIXES
from mammo_monai.words import counted

logger = logging.getLogger(__name__)


def image_files(paths: Sequence[Path]) -> list[tuple[Path, str]]:
    """Image files named or found in folders, absolute, sorted within each folder, each once.

    Folders are searched to any depth, behind links too (see `folders_below`): files with a suffix in
    `IMAGE_SUFFIXES`, and files of other names that begin as DICOM does. What else lies there is passed over.

    Returns:
        `(file, identity)`: the identity is the path relative to what was named, so that a folder gives the
        same record ids wherever it is copied.

    Raises:
        ManifestError: a path that does not exist, a file of a kind that cannot be read, or a folder without
            images. OSError: a file or folder that may not be read.
    """
    found: dict[Path, str] = {}
    for path in paths:
        for file, identity in _found(Path(os.path.abspath(path))):  # noqa: PTH100  # resolve() would follow links
            found.setdefault(file, identity)
    return _with_unique_identities(found)


def _found(path: Path) -> Iterator[tuple[Path, str]]:
    if path.is_file():
        if not _is_image(path):
            raise ManifestError(
                f"{path}: files of kind {path.suffix or '(no suffix)'} cannot be read; expected a manifest "
                f"(.json) or an image: {', '.join(IMAGE_SUFFIXES)}, or DICOM of any name."
            )
        yield path, path.name
        return
    if not path.is_dir():
        raise ManifestError(
            f"{path}: no such file or folder; expected a manifest, an image or a folder of images."
        )
    # A link to nothing or a pipe that is called like an image stays in: as one that fails, it is named.
    files = sorted(folder / name for folder, names in folders_below(path) for name in names)
    images = [each for each in files if _is_image(each)]
    if not images:
        raise ManifestError(
            f"{path}: no image among {counted(len(files), 'file')}: expected {', '.join(IMAGE_SUFFIXES)}, or "
            "DICOM of any name."
        )
    logger.debug("%s: %d images, %d other files passed over", path, len(images), len(files) - len(images))
    yield from ((each, each.relative_to(path).as_posix()) for each in images)


def _is_image(path: Path) -> bool:
    if path.name.startswith("."):
        return False
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return True
    try:
        return is_dicom(path)  # archives name files by their UID, whose end looks like a suffix
    except OSError:
        if not path.suffix:
            raise
        return False


def _with_unique_identities(found: dict[Path, str]) -> list[tuple[Path, str]]:
    counts = Counter(found.values())
    return [(file, name if counts[name] == 1 else file.as_posix()) for file, name in found.items()]
