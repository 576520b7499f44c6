"""Refuses image files that are cut short, by their own lengths and end marks; no pixel is decoded."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import BinaryIO

from mammo_monai.dicom.wholeness import check_whole
from mammo_monai.errors import DicomError
from mammo_monai.readers.audit import InvalidRecordError
from mammo_monai.readers.image_header import DICOM_SUFFIXES, has_dicom_preamble

_PNG_START, _JPEG_START = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"
_JPEG_SCAN, _JPEG_END = 0xDA, b"\xff\xd9"
# What stands behind the end of a JPEG (a preview, a maker's note) is rarely longer; no source known.
_JPEG_TAIL_BYTES = 1 << 16


def refuse_cut_short(path: Path) -> None:
    """Raises when an image file, DICOM by its content or name, else a picture, ends early.

    Raises:
        InvalidRecordError: code `file-truncated`.
        OSError: the file cannot be read.
    """
    if path.suffix.lower() in DICOM_SUFFIXES or has_dicom_preamble(path):
        refuse_cut_short_dicom(path)
    else:
        refuse_cut_short_picture(path)


def refuse_cut_short_dicom(path: Path) -> None:
    """Raises when a DICOM file does not hold all the pixel data its header speaks of.

    Raises:
        InvalidRecordError: code `file-truncated`.
    """
    try:
        check_whole(path)
    except DicomError as error:
        raise _cut_short(path, str(error)) from error


def refuse_cut_short_picture(path: Path) -> None:
    """Raises when a PNG ends before its last chunk, or a JPEG without its end mark; other kinds pass.

    Raises:
        InvalidRecordError: code `file-truncated`.
        OSError: the file cannot be read.

    Source: PNG specification 5.3 (chunks), 11.2.5 (IEND); ISO/IEC 10918-1 B.1.1 (JPEG markers).
    """
    with path.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        start = stream.read(len(_PNG_START))
        is_png, is_jpeg = start == _PNG_START, start.startswith(_JPEG_START)
        is_short = (is_png and not _reaches_end_chunk(stream, size)) or (
            is_jpeg and not _reaches_end_mark(stream, size)
        )
    if is_short or not start:
        kind = "PNG" if is_png else "JPEG" if is_jpeg else "file of no bytes"
        raise _cut_short(path, f"{path}: expected a whole picture, got a {kind} that ends early")


def _cut_short(path: Path, reason: str) -> InvalidRecordError:
    found = "the file is cut short: its pixels are not all there"
    return InvalidRecordError("file-truncated", str(path), found, f"Copy it again. {reason}")


def _reaches_end_chunk(stream: BinaryIO, size: int) -> bool:
    while len(head := stream.read(8)) == 8:
        length, kind = struct.unpack(">L4s", head)
        end = stream.tell() + length + 4  # behind each chunk stands its CRC
        if end > size:
            return False
        if kind == b"IEND":
            return True
        stream.seek(end)
    return False


def _reaches_end_mark(stream: BinaryIO, size: int) -> bool:
    """Steps over the segments, whose previews may hold end marks of their own, to the first scan."""
    stream.seek(len(_JPEG_START))
    while len(head := stream.read(4)) == 4:
        mark, kind, length = struct.unpack(">BBH", head)
        if mark != 0xFF or kind == 0xFF or length < 2:
            return True  # padding or damage: decoding will tell, this walk cannot
        stream.seek(length - 2, os.SEEK_CUR)
        if kind == _JPEG_SCAN:
            stream.seek(max(stream.tell(), size - _JPEG_TAIL_BYTES))
            return _JPEG_END in stream.read()
    return False
