"""Writes the pictures of one explained finding, and the note that says they are whole, last."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mammo_monai.errors import ManifestError
from mammo_monai.files import atomic_path
from mammo_monai.inference.saliency.frames import map_in_original
from mammo_monai.reports.pictures.loading import load_display_image
from mammo_monai.reports.saliency.notes import SaliencyNote, file_paths, read_note, write_note
from mammo_monai.reports.saliency.pictures import (
    ExplainedFilm,
    capture_picture,
    crop_pair,
    overlay_picture,
)
from mammo_monai.transforms.prepared_file import prepared_frame

logger = logging.getLogger(__name__)
UNITS = {"guided_backprop": "logit per grey value"}
MAX_16_BIT = 65535


def film_in_original(image: Path) -> NDArray[np.float32]:
    """Grey values (H, W) to look at, in original pixels; a prepared copy is stretched back, blurred by that.

    Raises:
        OSError, DicomError: as `load_display_image`. ManifestError: a damaged prepared copy.
        GeometryError: a prepared copy of another size than its frame.
    """
    film, frame = load_display_image(image), prepared_frame(image)
    return film if frame is None else map_in_original(film, frame)


def is_finished(folder: Path, stem: str, fingerprint: str) -> bool:
    """Whether a finding's files are all there and rest on the same model, method, image and box."""
    note = folder / f"{stem}.json"
    if not note.is_file() or not all(path.is_file() for path in file_paths(folder, stem).values()):
        return False
    try:
        return read_note(note).fingerprint == fingerprint
    except ManifestError as error:
        logger.warning("%s is made again: %s", note.name, error)
        return False


def save_finding(folder: Path, shown: ExplainedFilm, note: SaliencyNote) -> None:
    """Writes overlay, RGB capture, 16-bit map and crops, each whole or not at all, and the note last.

    A note of other files is removed first, so that a kill in between leaves no note beside pictures it does
    not belong to.

    Raises:
        OSError: a file cannot be written.
    """
    paths = file_paths(folder, note.stem)
    (folder / f"{note.stem}.json").unlink(missing_ok=True)
    film_crop, map_crop = crop_pair(shown)
    levels = np.floor(shown.values.astype(np.float64) * MAX_16_BIT + 0.5).astype(np.uint16)
    pictures = {
        "overlay": overlay_picture(shown),
        "capture": Image.fromarray(capture_picture(shown)),
        "map": Image.fromarray(levels),
        "film_crop": film_crop,
        "map_crop": map_crop,
    }
    for name, picture in pictures.items():
        with atomic_path(paths[name]) as part:
            # compress_level 3: a film of 13 megapixels in a third of the time, a tenth larger.
            options = {"quality": 88} if part.suffix == ".jpg" else {"compress_level": 3}
            picture.save(part, **options)
    write_note(folder, note)


def unit_of(method: str) -> str:
    """What a map's raw maximum is measured in."""
    return UNITS.get(method, "logit")
