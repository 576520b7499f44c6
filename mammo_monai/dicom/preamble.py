"""Telling DICOM files by their content."""

from __future__ import annotations

from pathlib import Path

_PREAMBLE = 128


def is_dicom(path: Path) -> bool:
    """Whether a file begins as a DICOM file does, whatever its name: `DICM` after 128 bytes.

    Raises:
        OSError: the file cannot be opened.

    Source: DICOM PS3.10 7.1.
    """
    with path.open("rb") as stream:
        stream.seek(_PREAMBLE)
        return stream.read(4) == b"DICM"
