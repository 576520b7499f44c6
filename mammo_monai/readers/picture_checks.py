"""Holds what is written about an image against the picture itself: a breast, its side, its lesions.

Findings: picture-constant (quarantined), picture-blank, laterality-picture, lesion-outside-breast (warned),
display-reversed (repaired: transforms turn films by the picture).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mammo_monai.dicom.pixels import read_mammogram
from mammo_monai.imaging import breast_region, chest_wall_side
from mammo_monai.imaging.breast import Method
from mammo_monai.imaging.burned_in_text import text_lines
from mammo_monai.readers.audit import Audit, InvalidRecordError
from mammo_monai.readers.dicom_candidates import is_picture, stored_values_of
from mammo_monai.records import ImageRecord, Laterality
from mammo_monai.schema import Action

# Work is done on every n-th pixel, so that the longer side keeps about this many.
CHECKED_PX = 720
# Where a breast lies can be told from this many: of 58 true masses on 52 images 0.998 and more lies in it, as
# with all pixels, and of masses of the other side 93 in place of 94 in 100 lie beside it.
_OUTLINE_PX = 160
# Of films of the largest public set a quarter is scanned from the other face, of detectors' images none.
# Fewer films than this share, or fewer patients, prove no such set: then each is to be looked at.
_MIN_REVERSED_SHARE, _MIN_REVERSED_PATIENTS = 0.1, 3
# In standard display the chest wall of a left breast is at the image's left edge, the nipple points right.
_BREAST_BY_WALL = {"left": Laterality.LEFT, "right": Laterality.RIGHT}


def read_reduced(path: Path) -> NDArray[np.generic]:
    """A mammogram, dense tissue bright, every n-th pixel of it; shape (H, W), longer side at most 1440.

    Raises:
        DicomError: not readable as a mammogram for presentation.
        InvalidRecordError: a picture that cannot be decoded ("image-unreadable").
    """
    if not is_picture(path):
        return reduced(read_mammogram(path).pixels)
    pixels = stored_values_of(path)
    if pixels is None:
        found = "the file is no readable image"
        raise InvalidRecordError("image-unreadable", str(path), found, "Copy it again.")
    return reduced(pixels)


def reduced(pixels: NDArray[np.generic]) -> NDArray[np.generic]:
    """Every n-th pixel, as a copy; shape (H, W), longer side at most 1440."""
    step = max(1, max(pixels.shape) // CHECKED_PX)
    return pixels[::step, ::step].copy()


def outline_of(picture: NDArray[np.generic]) -> NDArray[np.generic]:
    """A reduced picture reduced further: enough of it to see where the breast lies."""
    step = max(1, max(picture.shape) // _OUTLINE_PX)
    return picture[::step, ::step]


def check_picture(
    pixels: NDArray[np.generic], record: ImageRecord, audit: Audit, *, method: Method = "otsu"
) -> Laterality | None:
    """Notes a blank picture, text in it and lesions outside the breast; returns the side the picture shows.

    That is the breast it would be in standard display; see `imaging.chest_wall_side`. The caller decides what
    a difference means: `note_laterality` for a detector's images, `note_displays` for scanned films.

    Args:
        pixels: shape (H, W), dense tissue bright, whole or reduced: boxes are scaled to it.
        method: of `breast_region`: "otsu" for scanned film, "global" for digital detectors.

    Raises:
        InvalidRecordError: all pixels have one value ("picture-constant").
    """
    if pixels.min() == pixels.max():
        found, remedy = "all pixels of the picture have the same value", "Copy the file again."
        raise InvalidRecordError("picture-constant", str(record.image), found, remedy)
    region = breast_region(pixels, method)
    if not region.any():
        audit.note("picture-blank", record.record_id, "no breast can be seen on the picture")
        return None
    if text_lines(pixels):
        said = "rows of letters seem to be drawn into the picture; look whether they name a patient"
        audit.note("text-burned-in", record.record_id, said)
    _note_outside(region, record, audit)
    wall = chest_wall_side(region)
    return _BREAST_BY_WALL[wall] if wall else None


def check_lesions(record: ImageRecord, audit: Audit, *, method: Method = "otsu") -> None:
    """Decodes an image that has lesions and notes those outside its breast; nothing else of it is judged.

    A picture without a breast region says nothing.

    Args:
        method: as of `check_picture`.

    Raises:
        DicomError, InvalidRecordError: as `read_reduced`.
    """
    if record.lesions:
        region = breast_region(outline_of(read_reduced(record.image)), method)
        if region.any():
            _note_outside(region, record, audit)


def lesions_outside(region: NDArray[np.bool_], record: ImageRecord) -> int:
    """How many lesions' boxes hold no pixel of the breast region, which may be of reduced size."""
    scale_y, scale_x = region.shape[0] / record.height, region.shape[1] / record.width
    count = 0
    for x_min, y_min, x_max, y_max in record.boxes.tolist():
        rows = slice(int(y_min * scale_y), int(np.ceil(y_max * scale_y)))
        columns = slice(int(x_min * scale_x), int(np.ceil(x_max * scale_x)))
        count += not region[rows, columns].any()
    return count


def _note_outside(region: NDArray[np.bool_], record: ImageRecord, audit: Audit) -> None:
    if outside := lesions_outside(region, record):
        said = f"{outside} of {len(record.lesions)} lesions lie outside the breast region"
        audit.note("lesion-outside-breast", record.record_id, said)


def note_laterality(record: ImageRecord, shown: Laterality | None, audit: Audit) -> None:
    """Notes a picture that shows the other breast than the record says, in standard display."""
    if shown is not None and record.laterality is not None and shown is not record.laterality:
        said = f"the picture looks like the other breast than {record.laterality.value}; that one is kept"
        audit.note("laterality-picture", record.record_id, said)


def note_sides(records: Sequence[ImageRecord], shown: Mapping[str, Laterality | None], audit: Audit) -> None:
    """Notes pictures that show another side than their record says: each one where such are few.

    Where they are many, films of both faces are in the set: see `note_displays`.

    Args:
        shown: what `check_picture` returned, by record id.
    """
    clear = [each for each in records if each.laterality and shown.get(each.record_id)]
    odd = [each for each in clear if shown[each.record_id] is not each.laterality]
    if len(odd) > _MIN_REVERSED_SHARE * len(clear):
        note_displays(records, shown, audit)
        return
    for record in odd:
        note_laterality(record, shown[record.record_id], audit)


def note_displays(
    records: Iterable[ImageRecord], shown: Mapping[str, Laterality | None], audit: Audit
) -> None:
    """Notes films whose side differs from the other films of the same patient, and how many are reversed.

    Films may be scanned from either face, so a left breast can point either way; but all films of a patient
    are scanned alike. On 1231 films of 691 patients 325 are reversed and no patient has films of both kinds,
    so one that differs within a patient has the wrong side, or belongs to somebody else. Of one or two
    patients nobody can say: their films are noted one by one.

    Args:
        shown: what `check_picture` returned, by record id.
    """
    films: dict[str, list[tuple[ImageRecord, bool]]] = defaultdict(list)
    for record in records:
        side = shown.get(record.record_id)
        if side is not None and record.laterality is not None:
            films[record.patient_id].append((record, side is not record.laterality))
    reversed_films: dict[str, list[ImageRecord]] = {}
    for patient, each in films.items():
        count = sum(is_reversed for _, is_reversed in each)
        if count == len(each):
            reversed_films[patient] = [record for record, _ in each]
        elif count:
            # The fewer are the odd ones; of two against two nobody can say.
            odd = {True} if 2 * count < len(each) else {False} if 2 * count > len(each) else {True, False}
            for record, is_reversed in each:
                if is_reversed in odd:
                    said = "the picture points another way than other films of the same patient; side kept"
                    audit.note("laterality-picture", record.record_id, said)
    _note_reversed(reversed_films, shown, audit)


def _note_reversed(
    films: Mapping[str, Sequence[ImageRecord]], shown: Mapping[str, Laterality | None], audit: Audit
) -> None:
    """Notes patients all of whose films are reversed."""
    every = [record for each in films.values() for record in each]
    if len(films) < _MIN_REVERSED_PATIENTS:
        for record in every:
            note_laterality(record, shown[record.record_id], audit)
        return
    said = (
        f"{len(every)} films point the other way than in standard display, as do all films of "
        "their patients; their side holds, and training turns films by the picture"
    )
    audit.note("display-reversed", "", said, Action.REPAIRED)
