"""Telling DICOM files by their content."""

from __future__ import annotations

import stat
from pathlib import Path

_PREAMBLE = 128


def is_dicom(path: Path) -> bool:
    """Whether a file begins as a DICOM file does, whatever its name: `DICM` after 128 bytes.

    A pipe, socket or device is none, and is not opened: a pipe would wait for a writer for ever.

    Raises:
        OSError: the file cannot be opened.

    Source: DICOM PS3.10 7.1.
    """
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        return False
    with path.open("rb") as stream:
        stream.seek(_PREAMBLE)
        return stream.read(4) == b"DICM"
