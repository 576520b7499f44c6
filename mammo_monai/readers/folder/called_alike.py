"""Images that an annotation may be of although it names another: `left.png` and `masks/left_lesion_1.png`."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from mammo_monai.readers.annotations.annotated import AnnotatedImage, bare_name
from mammo_monai.readers.annotations.names import plain_path

# A number of one or two digits stands in too many names to tell anything.
_MIN_LENGTH = 3
_BETWEEN_WORDS = re.compile(r"[ ._+()-]+")
_UID = re.compile(r"[\d.]+", re.ASCII)  # one may well begin another, and they are of two images


def called_alike(orphans: Sequence[AnnotatedImage], images: Sequence[Path]) -> dict[Path, AnnotatedImage]:
    """Of each image with which the name of an orphan begins or ends, that orphan.

    Labelling programs put words before and behind the names they were given.

    Args:
        orphans: annotations of images that are not there. images: those without any annotation.
    """
    by_stem: dict[str, list[Path]] = defaultdict(list)
    for path in images:
        by_stem[_stem(path.as_posix())].append(path)
    found: dict[Path, AnnotatedImage] = {}
    for each in orphans:
        for part in {part for name in each.names for part in _beginnings_and_ends(_stem(name))}:
            for path in by_stem.get(part, ()):
                found.setdefault(path, each)
    return found


def _beginnings_and_ends(stem: str) -> Iterator[str]:
    for between in () if _UID.fullmatch(stem) else _BETWEEN_WORDS.finditer(stem):
        yield from (
            part for part in (stem[: between.start()], stem[between.end() :]) if len(part) >= _MIN_LENGTH
        )


def _stem(name: str) -> str:
    return bare_name(PurePosixPath(plain_path(name)).name).casefold()
