"""Lays a record of a manifest beside its image file: is it there, whole, with the same bytes and header?"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mammo_monai.dicom.attributes import MammogramAttributes
from mammo_monai.dicom.preamble import is_dicom
from mammo_monai.errors import DicomError
from mammo_monai.files import sha256_of
from mammo_monai.readers.audit import Audit, InvalidRecordError
from mammo_monai.readers.image_header import (
    DICOM_SUFFIXES,
    note_unsuitable,
    read_dicom_header,
    read_image_header,
)
from mammo_monai.readers.whole_files import refuse_cut_short_dicom, refuse_cut_short_picture, refuse_empty
from mammo_monai.records import ImageRecord, ViewPosition, record_id_of

logger = logging.getLogger(__name__)

# Side and view out of names and descriptions are the reader's own fallbacks, no second opinion.
_LATERALITY_TAGS = ("ImageLaterality", "Laterality", "FrameLaterality")
_VIEW_TAGS = ("ViewPosition", "ViewCodeSequence", "PatientOrientation")


@dataclass(frozen=True)
class FileHeader:
    """What a file says now; `attributes` only of DICOM."""

    width: int
    height: int
    attributes: MammogramAttributes | None = None


def header_now(record: ImageRecord, audit: Audit) -> FileHeader | None:
    """What the image file of a record says now; None, with a finding, if it cannot be used."""
    try:
        return read_whole_file(record.image)
    except InvalidRecordError as error:
        logger.debug("%s", error)
        audit.note(error.code, record.record_id, error.found)
        return None


def note_differences(record: ImageRecord, header: FileHeader, audit: Audit) -> None:
    """Notes how file and header differ from what the record says of them; unknown on a side is no difference.

    A file is hashed where its record has a hash and its length has not changed. Of a prepared copy only the
    file is looked at: the rest of its record describes the original.
    """
    _note_bytes(record, audit)
    if record.prepared is not None:
        return
    if (header.width, header.height) != (record.width, record.height):
        found = (
            f"the image has {header.width} × {header.height} px (width × height), "
            f"the manifest says {record.width} × {record.height}"
        )
        audit.note("image-size-differs", record.record_id, found)
    if header.attributes is not None:
        _note_attributes(record, header.attributes, audit)
        note_unsuitable(audit, record.record_id, header.attributes.reasons)


def is_identified(record: ImageRecord, header: FileHeader, salt: str, audit: Audit) -> bool:
    """Whether the header's SOPInstanceUID gives the record id; one that gives another is noted.

    Without a UID, as in a PNG, nothing is noted: such ids come from paths relative to a root unknown here.
    """
    uid = header.attributes.sop_instance_uid if header.attributes else ""
    if uid and record_id_of(uid, salt) != record.record_id:
        found = "another image (SOPInstanceUID) than when the manifest was made stands at the path"
        audit.note("uid-differs", record.record_id, found)
        return False
    return bool(uid)


def read_whole_file(path: Path) -> FileHeader:
    """The header of an image file that is there and whole.

    Raises:
        InvalidRecordError: code `file-missing`, `file-unreadable` or `file-truncated`.
    """
    try:
        refuse_empty(path)
        return _read(path)
    except FileNotFoundError:
        found, remedy = "the image file is not there", "Bring it back, or make the manifest again."
        raise InvalidRecordError("file-missing", str(path), found, remedy) from None
    except OSError as error:
        found = f"the image file cannot be read: {error.strerror or type(error).__name__}"
        raise InvalidRecordError("file-unreadable", str(path), found, "Look at its rights.") from error
    except DicomError as error:
        found = "the DICOM file is not usable as a mammogram"
        raise InvalidRecordError("file-unreadable", str(path), found, str(error)) from error
    except InvalidRecordError as error:
        if error.code == "file-truncated":
            raise
        raise InvalidRecordError("file-unreadable", str(path), error.found, str(error)) from error


def _read(path: Path) -> FileHeader:
    if path.suffix.lower() in DICOM_SUFFIXES or is_dicom(path):
        attributes = read_dicom_header(path)
        refuse_cut_short_dicom(path)
        return FileHeader(attributes.columns, attributes.rows, attributes)
    refuse_cut_short_picture(path)
    header = read_image_header(path)
    return FileHeader(header.width, header.height)


def _note_bytes(record: ImageRecord, audit: Audit) -> None:
    size = record.image.stat().st_size
    if record.file_size is not None and size != record.file_size:
        found = f"the file has {size} bytes, {record.file_size} when the manifest was made"
        audit.note("file-size-differs", record.record_id, found)
    elif record.sha256 is not None and sha256_of(record.image) != record.sha256.lower():
        found = "the file's bytes (SHA-256) are others than when the manifest was made"
        audit.note("file-changed", record.record_id, found)


def _note_attributes(record: ImageRecord, header: MammogramAttributes, audit: Audit) -> None:
    if header.laterality_source in _LATERALITY_TAGS:
        _note_difference("laterality-differs", header.laterality, record.laterality, record, audit)
    if header.view_position_source in _VIEW_TAGS and header.view_position is not ViewPosition.OTHER:
        _note_difference("view-differs", header.view_position, record.view_position, record, audit)
    now, recorded = header.pixel_spacing_mm, record.pixel_spacing_mm
    if now is None or recorded is None or not np.allclose(now, recorded, rtol=1e-6, atol=0):
        _note_difference("spacing-differs", now, recorded, record, audit)


def _note_difference(code: str, now: object, recorded: object, record: ImageRecord, audit: Audit) -> None:
    if now is None or recorded is None or now == recorded:
        return
    header, manifest = (getattr(each, "value", each) for each in (now, recorded))
    found = f"the file's header says {header}, the manifest {manifest}"
    audit.note(code, record.record_id, found)
