"""Reads what a file says of its image without decoding it: DICOM attributes, or the size of a PNG, JPG."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import ExifTags, Image
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from mammo_monai.dicom.attributes import MammogramAttributes, read_attributes
from mammo_monai.dicom.bounded import read_bounded
from mammo_monai.dicom.preamble import is_dicom
from mammo_monai.dicom.reading import damage_refused, first_text
from mammo_monai.dicom.refusal_codes import ACCEPTABLE, REDUCED_COPIES
from mammo_monai.errors import DicomError
from mammo_monai.readers.audit import Audit, InvalidRecordError
from mammo_monai.readers.stand_ins import refuse_stand_in
from mammo_monai.records import Laterality, ViewPosition

DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")
# A PNG may say so too, but only behind its pixels, and seldom does.
_TURNABLE_SUFFIXES = (".jpg", ".jpeg", ".tif", ".tiff")


@dataclass(frozen=True)
class ImageHeader:
    """Size in pixels and, from DICOM only, the rest; None and "" are unknown."""

    width: int
    height: int
    sop_instance_uid: str = ""
    patient_id: str = ""
    laterality: Laterality | None = None
    view_position: ViewPosition | None = None
    pixel_spacing_mm: tuple[float, float] | None = None
    reasons: tuple[str, ...] = ()


def read_dicom_header(path: Path) -> MammogramAttributes:
    """The attributes of a DICOM mammogram that may stand in a manifest.

    Raises:
        DicomError: no mammogram, or not readable.
        InvalidRecordError: for processing: such pixels look unlike what models are trained on. Or a web page,
            an archive, nothing at all stands in the place of the file.
    """
    try:
        attributes = read_attributes(path)
    except DicomError:
        refuse_stand_in(path, "dicom-unusable", "the DICOM file is not usable as a mammogram")
        raise
    if attributes.presentation_intent == "FOR PROCESSING":
        remedy = "Use the image FOR PRESENTATION of the same view."
        raise InvalidRecordError("for-processing", str(path), "the image is FOR PROCESSING", remedy)
    return attributes


def note_unsuitable(audit: Audit, record_id: str, reasons: Sequence[str]) -> None:
    """Notes why a model should not mark an image, or with care; the image stays, for training and people."""
    told = [each for each in reasons if each not in REDUCED_COPIES]
    if told:
        refuses = any(each in ACCEPTABLE for each in told)
        code = "image-unsuitable" if refuses else "image-special"
        audit.note(code, record_id, f"the header says {', '.join(told)}")


def elements_of(path: Path, *keywords: str) -> Dataset | None:
    """The named elements of a DICOM file of any kind, None if it is none or damaged."""
    try:
        with damage_refused(path):
            tags = [int(Tag(keyword)) for keyword in keywords]
            return read_bounded(path, name=path, headers_only=True, specific_tags=tags)
    except DicomError:
        return None


def modality_of(path: Path) -> str:
    """Modality (0008,0060) of a DICOM file of any kind, "" if it says none or cannot be read."""
    elements = elements_of(path, "Modality")
    return "" if elements is None else first_text(elements, "Modality").upper()


def read_image_header(path: Path) -> ImageHeader:
    """The header of an image file, DICOM by content or name, else a picture.

    Raises:
        DicomError, InvalidRecordError: a DICOM file that is no mammogram for presentation, or no image.
        OSError: the file cannot be opened.
    """
    refuse_special_file(path)
    if path.suffix.lower() in DICOM_SUFFIXES or is_dicom(path):
        attributes = read_dicom_header(path)
        return ImageHeader(
            width=attributes.columns,
            height=attributes.rows,
            sop_instance_uid=attributes.sop_instance_uid,
            patient_id=attributes.patient_id,
            laterality=attributes.laterality,
            view_position=attributes.view_position,
            pixel_spacing_mm=attributes.pixel_spacing_mm,
            reasons=attributes.reasons,
        )
    try:
        with Image.open(path) as image:
            pages = getattr(image, "n_frames", 1)
            width, height = image.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        refuse_stand_in(path, "image-unreadable", "the file is no readable image")
        raise InvalidRecordError(
            "image-unreadable", str(path), "the file is no readable image", f"{error}. Copy it again."
        ) from error
    if pages > 1:
        found = f"expected one image in the file, got {pages} pages"
        raise InvalidRecordError("image-unreadable", str(path), found, "Save each page as a file of its own.")
    return ImageHeader(width, height)


def refuse_turned_picture(path: Path) -> None:
    """Raises for a JPEG or TIFF that viewers turn before they show it: boxes may be of either.

    Raises:
        InvalidRecordError: code `orientation-unclear`.

    Source: Exif 2.3, tag 0x0112; TIFF 6.0, Orientation.
    """
    if path.suffix.lower() not in _TURNABLE_SUFFIXES:
        return
    try:
        with damage_refused(path), Image.open(path) as image:
            orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except DicomError:  # damaged tags turn nothing
        return
    if orientation in range(2, 9):
        found = f"viewers turn the picture (Orientation {orientation}): its boxes may be of either"
        remedy = "Save it upright, without that mark, and annotate that."
        raise InvalidRecordError("orientation-unclear", str(path), found, remedy)


def refuse_special_file(path: Path) -> None:
    """Raises for a pipe, socket or device: reading a pipe would wait for a writer for ever.

    Raises:
        InvalidRecordError: code `file-unreadable`.
        OSError: the file is not there.
    """
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        found = "a pipe, socket or device stands in the place of the file"
        raise InvalidRecordError("file-unreadable", str(path), found, "Put the image there.")
