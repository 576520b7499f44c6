"""Tells what stands in the place of an image that was never downloaded: a web page, a pointer, an archive."""

from __future__ import annotations

import re
from pathlib import Path

from mammo_monai.readers.audit import InvalidRecordError

UNFINISHED_SUFFIXES = (".part", ".partial", ".crdownload", ".filepart")
"""What browsers and download programs call a file until it is whole."""
# s5cmd, with which the Imaging Data Commons is fetched, puts a random number behind the name, and writes the
# parts of a file in any order: what is cut short has its full length, and holes of zeros.
_NUMBERED = re.compile(r"(.+\.(?:dcm|dicom|png|jpe?g|tiff?))\d{5,20}", re.ASCII | re.IGNORECASE)
_READ_BYTES = 64
_BEGINNINGS: dict[bytes, tuple[str, str]] = {
    b"version https://git-lfs": (
        "a pointer of git-lfs stands in its place",
        "Fetch the files themselves with git lfs pull.",
    ),
    b"<!doctype html": (
        "a web page stands in its place, the download failed",
        "Download it again; the page may ask for a login.",
    ),
    b"\x1f\x8b": ("it is packed with gzip", "Unpack it."),
    b"pk\x03\x04": ("it is a zip archive", "Unpack it."),
}
_BEGINNINGS[b"<html"] = _BEGINNINGS[b"<!doctype html"]


def finished_name(name: str) -> str | None:
    """What a file is to be called once its download is finished; None where its name says nothing of one.

    >>> finished_name("left.dcm.part"), finished_name("left.dcm2874652910"), finished_name("left.dcm")
    ('left.dcm', 'left.dcm', None)
    """
    if name.lower().endswith(UNFINISHED_SUFFIXES):
        return name.rpartition(".")[0]
    match = _NUMBERED.fullmatch(name)
    return match[1] if match else None


def refuse_stand_in(path: Path, code: str, said: str) -> None:
    """Raises where a file that cannot be read as an image is known to be something else; call it after that.

    Args:
        code, said: of the finding, which goes on with what stands there.

    Raises:
        InvalidRecordError: says what stands there and what to do.
    """
    if not path.is_file():  # to open a pipe would wait for ever
        return
    try:
        with path.open("rb") as stream:
            start = stream.read(_READ_BYTES)
    except OSError:  # the error before has said so
        return
    if not start:
        raise InvalidRecordError(code, str(path), f"{said}: it holds no byte", "Copy it again.")
    for beginning, (found, remedy) in _BEGINNINGS.items():
        if start.lstrip().lower().startswith(beginning):
            raise InvalidRecordError(code, str(path), f"{said}: {found}", remedy)
