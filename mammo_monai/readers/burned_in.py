"""Whether an image's pixels may name a patient: by its header, else by looking for rows of letters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.utils import pixel_array

from mammo_monai.dicom.decoders import plugin_for_all
from mammo_monai.dicom.reading import damage_refused, first_text
from mammo_monai.imaging.burned_in_text import text_lines

_WITHOUT_PICTURE = {"SR", "PR", "SEG", "KO"}


def burned_in_reason(path: Path, dataset: Dataset) -> str | None:
    """Why a DICOM object's pixels may hold text, in words for a message; None where nothing speaks for it.

    Burned In Annotation (0028,0301) YES is believed, NO is not: the pixels are looked at. Of several frames
    the first is.

    Raises:
        DicomError: the pixels cannot be decoded, so that nobody knows.
    """
    if first_text(dataset, "BurnedInAnnotation").upper() == "YES":
        return "Burned In Annotation (0028,0301) YES"
    if first_text(dataset, "Modality").upper() in _WITHOUT_PICTURE or "PixelData" not in dataset:
        return None
    with damage_refused(path):
        lines = text_lines(_grey(path, dataset))
    if not lines:
        return None
    x_min, y_min, x_max, y_max = (round(edge) for edge in lines[0].box)
    return f"what looks like {lines[0].n_letters} letters in a row at x {x_min}–{x_max}, y {y_min}–{y_max}"


def _grey(path: Path, dataset: Dataset) -> NDArray[np.float32]:
    """The first frame, shape (H, W), dense tissue bright; colour as the mean of its channels."""
    plugin = plugin_for_all(path, dataset, n_frames=1)
    pixels = pixel_array(dataset, index=0, decoding_plugin=plugin).astype(np.float32)
    grey = pixels.mean(axis=-1) if pixels.ndim == 3 else pixels
    is_inverted = first_text(dataset, "PhotometricInterpretation").upper() == "MONOCHROME1"
    return grey.max() - grey if is_inverted else grey
