"""Looks into files that may or may not be what is sought: what cannot be read is None, not an error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mammo_monai.dicom.bounded import read_bounded
from mammo_monai.dicom.decoders import decode_stored_values
from mammo_monai.dicom.reading import damage_refused
from mammo_monai.errors import DicomError
from mammo_monai.readers.image_header import elements_of

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png")
_OTHER_PICTURE_SUFFIXES = (".tif", ".tiff", ".bmp")  # in-house sets have them, no download does
LOSSY_SUFFIXES = (".jpg", ".jpeg")


def is_picture(path: Path) -> bool:
    """Whether a file is a JPEG, PNG, TIFF or BMP by its name."""
    return path.suffix.lower() in PICTURE_SUFFIXES + _OTHER_PICTURE_SUFFIXES


def is_lossy(path: Path) -> bool:
    """Whether a file is a JPEG by its name, so that grey values near an edge are smeared."""
    return path.suffix.lower() in LOSSY_SUFFIXES


def size_of(path: Path) -> tuple[int, int] | None:
    """`(width, height)` in pixels; None if the file has none."""
    try:
        with damage_refused(path):
            if is_picture(path):
                with Image.open(path) as picture:
                    return picture.width, picture.height
            header = elements_of(path, "Rows", "Columns")
            size = (int(header.get("Columns") or 0), int(header.get("Rows") or 0)) if header else (0, 0)
    except DicomError:
        return None
    return size if min(size) > 0 else None


def stored_values_of(path: Path) -> NDArray[np.integer] | None:
    """Stored pixel values, shape (H, W); of a picture in colour, its luminance."""
    try:
        with damage_refused(path):
            if is_picture(path):
                with Image.open(path) as picture:
                    is_grey = picture.mode == "L" or picture.mode.startswith("I")  # I;16B: a TIFF of 16 bits
                    return np.array(picture if is_grey else picture.convert("L"))
            return decode_stored_values(path, read_bounded(path, name=path))
    except DicomError:
        return None
