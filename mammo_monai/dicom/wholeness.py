"""Whether a file holds all its pixel data: a walk over lengths, no pixel is read and none decoded.

A download that broke off leaves a file with a perfect header. pydicom reads its header without a word, so it
would fail in the middle of a training run; here it takes a fraction of a millisecond to find out before.

A file that was filled up with zeros to its full length is seen where pixels are compressed (zeros are no
items), but not where they are plain: only looking at the picture tells.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import BinaryIO

from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.tag import Tag
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from mammo_monai.dicom.bounded import PIXEL_DATA, read_bounded
from mammo_monai.dicom.reading import damage_refused, first_text
from mammo_monai.errors import DicomError

_ITEM, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE0DD
UNDEFINED_LENGTH = 0xFFFFFFFF
_REMEDY = "The file is cut short or damaged: copy it again from its source."
# What the length of the pixels follows from; all other elements are stepped over.
_SIZE_KEYWORDS = (
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "BitsAllocated",
    "NumberOfFrames",
    "PhotometricInterpretation",
)
_SIZE_TAGS = [int(Tag(keyword)) for keyword in _SIZE_KEYWORDS]


def check_whole(path: Path | str) -> None:
    """Refuses a DICOM file whose Pixel Data are missing or cut short.

    Plain pixels: the element must be as long as rows × columns × samples × bits × frames ask for, and lie
    within the file. Compressed pixels: item must follow item up to the Sequence Delimitation Item, with a
    fragment at least for every frame. Deflated files are inflated: there is no shorter way. Bytes behind the
    pixels are no fault.

    Raises:
        DicomError: missing, unreadable or not DICOM; no Pixel Data; fewer of them than the header asks for.

    Source: DICOM PS3.5 section 8.1 (native pixels), A.4 (encapsulated), A.5 (deflated).
    """
    path = Path(path)
    if not path.is_file():
        there = "a folder" if path.is_dir() else "nothing there"
        raise DicomError(f"{path}: expected a DICOM file, found {there}. Check the path.")
    with damage_refused(path), path.open("rb") as stream:
        header = _header(path, stream)
        if _syntax(header) == DeflatedExplicitVRLittleEndian:
            _check_deflated(path)
        else:
            _check_element(path, stream, header)


def _header(path: Path, stream: BinaryIO) -> Dataset:
    """The size of the image; the stream then stands at Pixel Data, or at its end."""
    try:
        return read_bounded(stream, name=path, headers_only=True, specific_tags=_SIZE_TAGS)
    except InvalidDicomError:  # a bare data set without preamble; bytes of another kind hold no Pixel Data
        stream.seek(0)
        return read_bounded(stream, name=path, headers_only=True, specific_tags=_SIZE_TAGS, force=True)


def _syntax(header: Dataset) -> UID:
    return UID(header.file_meta.get("TransferSyntaxUID", ""))


def _check_deflated(path: Path) -> None:
    """zlib itself refuses a stream without its end; what was deflated may have been short before."""
    dataset = read_bounded(path, name=path, specific_tags=[*_SIZE_TAGS, PIXEL_DATA])
    if "PixelData" not in dataset:
        raise _no_pixel_data(path)
    _refuse_fewer(path, dataset, len(dataset.get_item("PixelData").value or b""))


def _check_element(path: Path, stream: BinaryIO, header: Dataset) -> None:
    is_implicit, is_little = header.original_encoding
    length = _pixel_data_length(path, stream, "<" if is_little else ">", is_implicit=bool(is_implicit))
    size = os.fstat(stream.fileno()).st_size
    present = size - stream.tell()
    if length == UNDEFINED_LENGTH:
        frames = int(first_text(header, "NumberOfFrames") or 1)
        _refuse_fewer_fragments(path, _fragments(path, stream, size), frames)
        return
    if length > present:
        raise DicomError(
            f"{path}: expected {length} bytes of Pixel Data, the file ends after {present}. {_REMEDY}"
        )
    syntax = _syntax(header)
    if not (syntax.is_transfer_syntax and syntax.is_compressed):
        _refuse_fewer(path, header, length)


def _pixel_data_length(path: Path, stream: BinaryIO, order: str, *, is_implicit: bool) -> int:
    """The length as written; the stream then stands at the value."""
    head = stream.read(8)
    if len(head) < 8 or _tag(head, order) != PIXEL_DATA:
        raise _no_pixel_data(path)
    if is_implicit:
        return _number(head[4:], order)
    return _number(stream.read(4), order)  # OB, OW and UN: two reserved bytes, then four of length


def _fragments(path: Path, stream: BinaryIO, size: int) -> int:
    """Walks the items, which are little endian in every compressed syntax; counts those that hold bytes.

    The first item is the Basic Offset Table, not pixels.
    """
    count = -1
    while len(head := stream.read(8)) == 8:
        tag, length = _tag(head, "<"), _number(head[4:], "<")
        if tag == _SEQUENCE_END:
            return count
        if tag != _ITEM:
            raise DicomError(
                f"{path}: expected an item (FFFE,E000) of the Pixel Data at byte {stream.tell() - 8}, "
                f"got {tag >> 16:04X},{tag & 0xFFFF:04X}. {_REMEDY}"
            )
        if length > size - stream.tell():
            break
        stream.seek(length, os.SEEK_CUR)
        count += int(count < 0 or length > 0)
    raise DicomError(
        f"{path}: expected Pixel Data up to the Sequence Delimitation Item (FFFE,E0DD), "
        f"the file ends before. {_REMEDY}"
    )


def _refuse_fewer_fragments(path: Path, fragments: int, frames: int) -> None:
    if fragments < frames:
        raise DicomError(
            f"{path}: expected a fragment of Pixel Data for each of {frames} frames, "
            f"got {max(fragments, 0)}. {_REMEDY}"
        )


def _refuse_fewer(path: Path, header: Dataset, length: int) -> None:
    """Raises when the element is shorter than what the header's own numbers multiply to."""
    rows, columns, samples, bits = (int(first_text(header, keyword) or 1) for keyword in _SIZE_KEYWORDS[:4])
    frames = int(first_text(header, "NumberOfFrames") or 1)
    expected = -(-rows * columns * samples * bits * frames // 8)
    if first_text(header, "PhotometricInterpretation").upper() == "YBR_FULL_422":
        expected = expected * 2 // 3  # two samples share their colour: PS3.3 C.7.6.3.1.2
    if length < max(expected, 1):
        raise DicomError(
            f"{path}: expected {expected} bytes of Pixel Data for {rows} × {columns} pixels of {bits} bits, "
            f"got {length}. {_REMEDY}"
        )


def _no_pixel_data(path: Path) -> DicomError:
    return DicomError(
        f"{path}: expected Pixel Data (7FE0,0010), the file ends without. It was cut short in its header, "
        "or is no image: copy it again from its source, or leave it out."
    )


def _tag(head: bytes, order: str) -> int:
    group, element = struct.unpack(f"{order}HH", head[:4])
    return int(group) << 16 | int(element)


def _number(four_bytes: bytes, order: str) -> int:
    return int(struct.unpack(f"{order}L", four_bytes)[0])
