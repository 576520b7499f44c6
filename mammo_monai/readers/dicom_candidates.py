"""Looks into files that may or may not be what is sought: what cannot be read is None, not an error."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from mammo_monai.dicom.decoders import decode_stored_values
from mammo_monai.errors import DicomError

# What pydicom raises on damaged files.
_DAMAGE = (
    AttributeError,
    EOFError,
    InvalidDicomError,
    KeyError,
    NotImplementedError,
    OSError,
    OverflowError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
)


def header_of(path: Path, *keywords: str) -> Dataset | None:
    """The named elements of a DICOM file."""
    try:
        return pydicom.dcmread(path, specific_tags=list(keywords), stop_before_pixels=True)
    except _DAMAGE:
        return None


def size_of(path: Path) -> tuple[int, int] | None:
    """`(width, height)` in pixels; None if a DICOM file has no pixels."""
    header = header_of(path, "Rows", "Columns")
    size = (int(header.get("Columns") or 0), int(header.get("Rows") or 0)) if header else (0, 0)
    return size if min(size) > 0 else None


def stored_values_of(path: Path) -> NDArray[np.integer] | None:
    """Stored pixel values, shape (H, W)."""
    try:
        return decode_stored_values(path, pydicom.dcmread(path))
    except (*_DAMAGE, DicomError):
        return None
