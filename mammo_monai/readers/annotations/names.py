"""Names of images as annotations spell them: foreign slashes, accents taken apart, addresses of a server."""

from __future__ import annotations

import unicodedata
from pathlib import PurePosixPath
from urllib.parse import unquote


def plain_path(name: str) -> str:
    """A path by slashes; accents as one character each: some disks and archives take them apart.

    >>> plain_path("./p1\\\\left.png"), plain_path("")
    ('p1/left.png', '')
    """
    whole = unicodedata.normalize("NFC", name)
    return str(PurePosixPath(whole.replace("\\", "/").removeprefix("./"))) if name else ""


def one_blank(name: str) -> str:
    """A plain path in which blanks, also tabs and line breaks, are one blank, as in the cells of a table.

    >>> one_blank(" p1/MAMMO  L\\tCC.png")
    'p1/MAMMO L CC.png'
    """
    return "/".join(" ".join(part.split()) for part in plain_path(name).split("/"))


def spellings(name: str) -> tuple[str, ...]:
    """A name as it stands, then as a path where it is an address of a labelling server: %20 is a blank.

    >>> spellings("left.png"), spellings("my%20left.png")
    (('left.png',), ('my%20left.png', 'my left.png'))
    >>> spellings("https://host/data/left.png?token=1")
    ('https://host/data/left.png?token=1', 'host/data/left.png')
    """
    path = unquote(name)
    if "://" in path:
        path = path.partition("://")[2].partition("?")[0].partition("#")[0]
    return (name,) if path == name else (name, path)
