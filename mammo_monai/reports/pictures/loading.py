"""Loads an image for looking at: grey values stretched to [0, 1], never for measuring."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mammo_monai.dicom.preamble import is_dicom

ImageLoader = Callable[[Path], NDArray[np.float32]]
_DICOM_SUFFIXES = (".dcm", ".dicom")


def load_display_image(path: Path, *, require_presentation: bool = True) -> NDArray[np.float32]:
    """Grey values of a mammogram, shape (H, W), float32 in [0, 1], dense tissue bright.

    DICOM goes through `dicom.pixels.read_mammogram`, everything else through Pillow; the darkest pixel shows
    as 0 and the brightest as 1.

    Args:
        require_presentation: refuse DICOM images FOR PROCESSING.

    Raises:
        OSError: no such file, no image format Pillow knows, or a pipe or device, which may never end.
        DicomError: the DICOM object is no mammogram for presentation.
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        raise OSError(f"{path}: expected an image file, found a folder, pipe or device.")
    if path.suffix.lower() in _DICOM_SUFFIXES or is_dicom(path):
        from mammo_monai.dicom.pixels import read_mammogram  # noqa: PLC0415  # pydicom only where DICOM is shown

        return _stretched(read_mammogram(path, require_presentation=require_presentation).pixels)
    with Image.open(path) as image:
        grey = image if image.mode in ("L", "F", "I") or image.mode.startswith("I;16") else image.convert("L")
        return _stretched(np.asarray(grey))


def _stretched(pixels: NDArray[np.generic]) -> NDArray[np.float32]:
    values = np.asarray(pixels, dtype=np.float32)
    low, high = float(values.min()), float(values.max())
    return np.asarray((values - low) / ((high - low) or 1.0), dtype=np.float32)
