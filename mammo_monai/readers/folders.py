"""Walks the folders of a data set: links followed, each folder once, what systems leave passed over."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

logger = logging.getLogger(__name__)

# Thumbnails, waste baskets and snapshots of network disks and systems: pictures in them are no images of the
# set, files in them may bear the names of images. Hidden folders, as those of git, are left out too.
_LEFT_BEHIND = frozenset(
    (
        *("@eadir", "@recycle", "@recently-snapshot", "@tmp", "#recycle", "#snapshot"),
        *("$recycle.bin", "system volume information", "lost+found", "__macosx"),
    )
)


def is_left_behind(name: str) -> bool:
    """Whether a folder is one that computers make beside people's own, by its name.

    >>> is_left_behind("@eaDir"), is_left_behind(".git"), is_left_behind("INbreast Release 1.0")
    (True, True, False)
    """
    return name.startswith(".") or name.lower() in _LEFT_BEHIND


def folders_below(
    root: Path, *, on_error: Callable[[OSError], None] | None = None
) -> Iterator[tuple[Path, list[str]]]:
    """`root` and every folder below it once, with the names of its files in order.

    Links to folders are followed, also those in a circle: images often lie on another disk. Broken links and
    pipes are among the names. Folders that `is_left_behind` are left out, unless `root` itself is one.

    Args:
        on_error: called where a folder cannot be looked into; None logs a warning. The walk goes on.
    """
    visited: set[str] = set()
    for folder, subfolders, names in os.walk(root, followlinks=True, onerror=on_error or _warn):
        if (place := os.path.realpath(folder)) in visited:
            subfolders.clear()
            continue
        visited.add(place)
        subfolders[:] = sorted(name for name in subfolders if not is_left_behind(name))
        yield Path(folder), sorted(names)


def _warn(error: OSError) -> None:
    logger.warning("%s: cannot be looked into, its files are not seen: %s", error.filename, error.strerror)
