"""Refuses image files that are cut short, by their own lengths and end marks; no pixel is decoded."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from mammo_monai.dicom.preamble import is_dicom
from mammo_monai.dicom.wholeness import check_whole
from mammo_monai.errors import DicomError
from mammo_monai.readers.audit import InvalidRecordError
from mammo_monai.readers.image_header import DICOM_SUFFIXES

_PNG_START, _JPEG_START = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"
_TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
# Offsets, then lengths, of strips or of tiles.
_TIFF_PARTS = ((273, 324), (279, 325))
_JPEG_SCAN, _JPEG_END = 0xDA, b"\xff\xd9"
# What stands behind the end of a JPEG (a preview, a maker's note) is rarely longer; no source known.
_JPEG_TAIL_BYTES = 1 << 16


def refuse_cut_short(path: Path) -> None:
    """Raises when an image file, DICOM by its content or name, else a picture, ends early.

    Raises:
        InvalidRecordError: code `file-truncated`.
        OSError: the file cannot be read.
    """
    if path.suffix.lower() in DICOM_SUFFIXES or is_dicom(path):
        refuse_cut_short_dicom(path)
    else:
        refuse_cut_short_picture(path)


def refuse_empty(path: Path) -> None:
    """Raises when a file holds no byte, as interrupted downloads leave it.

    Raises:
        InvalidRecordError: code `file-truncated`.
        OSError: the file is not there.
    """
    if path.stat().st_size == 0:
        raise InvalidRecordError("file-truncated", str(path), "the file holds no byte", "Copy it again.")


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
    """Raises when a PNG, JPEG, TIFF or BMP ends before its own end; other kinds pass.

    The end is that of the last chunk, the end mark, the last strip or tile, the length in the header.

    Raises:
        InvalidRecordError: code `file-truncated`.
        OSError: the file cannot be read.

    Source: PNG specification 5.3 (chunks), 11.2.5 (IEND); ISO/IEC 10918-1 B.1.1 (JPEG markers); TIFF 6.0
    sections 8 (strips) and 15 (tiles).
    """
    with path.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        start = stream.read(len(_PNG_START))
        is_png, is_jpeg = start == _PNG_START, start.startswith(_JPEG_START)
        is_tiff, is_bmp = start[:4] in _TIFF_STARTS, start.startswith(b"BM")
        is_short = (
            (is_png and not _reaches_end_chunk(stream, size))
            or (is_jpeg and not _reaches_end_mark(stream, size))
            or (is_tiff and not _reaches_last_strip(path, stream, size))
            or (is_bmp and int.from_bytes(start[2:6], "little") > size)
        )
    if is_short or not start:
        kinds = {"PNG": is_png, "JPEG": is_jpeg, "TIFF": is_tiff, "BMP": is_bmp}
        kind = next((kind for kind, is_one in kinds.items() if is_one), "file of no bytes")
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


def _reaches_last_strip(path: Path, stream: BinaryIO, size: int) -> bool:
    """Whether the directory of a TIFF, and the strips or tiles it tells of, lie inside the file."""
    try:
        with Image.open(path) as picture:
            tags = getattr(picture, "tag_v2", {})
            offsets, lengths = (tags.get(strips) or tags.get(tiles) or () for strips, tiles in _TIFF_PARTS)
    except (OSError, ValueError, SyntaxError, TypeError, Image.DecompressionBombError):
        return True  # damage of another kind: opening it as an image will tell
    ends = [offset + length for offset, length in zip(offsets, lengths, strict=False)]
    return bool(ends) and max(*ends, _end_of_directory(stream)) <= size


def _end_of_directory(stream: BinaryIO) -> int:
    """Where the first directory of a TIFF ends: a count, the entries, the offset of the next directory."""
    stream.seek(0)
    start = stream.read(16)
    order = "<" if start.startswith(b"I") else ">"
    is_big = start[2:4] in (b"+\0", b"\0+")
    (offset,) = struct.unpack_from(f"{order}{'Q' if is_big else 'L'}", start, 8 if is_big else 4)
    stream.seek(offset)
    count = int.from_bytes(stream.read(8 if is_big else 2), "little" if order == "<" else "big")
    return int(offset) + (8 + 20 * count + 8 if is_big else 2 + 12 * count + 4)


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
