"""Parses a DICOM file in bounded time and memory, whatever its bytes claim.

pydicom believes a file: it inflates a few kilobytes to gigabytes, and goes through gigabytes of zeros eight
bytes at a time, an empty element each. A download whose end was never filled in holds just such zeros.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, cast

from pydicom.dataelem import RawDataElement
from pydicom.dataset import FileDataset
from pydicom.filereader import read_partial
from pydicom.tag import BaseTag, Tag
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from mammo_monai.errors import DicomError

# A film of 24 × 30 cm scanned at 25 µm has 115 million pixels; shown as float32 this many take 0.5 GiB.
MAX_PIXELS = 1 << 27
# One such image of 16 bits, and as much again for what else a header may hold.
MAX_INFLATED_BYTES = 4 * MAX_PIXELS
# Films deflate to a half or a quarter, an empty image of 60 million pixels to a thousandth.
_FREELY_INFLATED_BYTES = 128 << 20
_MAX_RATIO = 100
# Two to three for each element, of which a mammogram has some hundreds and a segmentation some ten thousands.
MAX_READS = 300_000
# Sequences are parsed when they are asked for: ten VOI LUTs of 65536 entries take 1.3 MB.
MAX_SEQUENCE_BYTES = 16 << 20
MAX_ITEMS = 100_000

_ITEMS = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")
_INFLATED_AT_ONCE = 1 << 22
# The transfer syntax stands behind the two UIDs of the object, of 64 bytes at most.
_SEARCHED_BYTES = 512
_LONGEST_META_BYTES = 1 << 20
_HARMLESS_BYTES = 1 << 20
_PREAMBLE_BYTES = 132
PIXEL_DATA = 0x7FE00010
_PIXELS = frozenset((0x7FE00008, 0x7FE00009, PIXEL_DATA))
_DEFLATED, _PLAIN = DeflatedExplicitVRLittleEndian.encode(), ExplicitVRLittleEndian.encode()
_REMEDY = "It is damaged, or made to exhaust what reads it: copy it again from its source, or leave it out."


def read_bounded(
    source: Path | BinaryIO,
    *,
    name: Path,
    headers_only: bool = False,
    specific_tags: Sequence[int] | None = None,
    force: bool = False,
) -> FileDataset:
    """The data set of a file, as pydicom's `dcmread` gives it, up to Pixel Data; `name` serves messages.

    What stands behind Pixel Data is padding, signatures, or what a broken copy left there: it is not parsed.

    Args:
        source: a path, or a stream that stands at its beginning; it is left where reading stopped.
        headers_only: stop before Pixel Data.

    Raises:
        DicomError: more elements, more sequence items or more inflated bytes than any image has.
        Exception: whatever pydicom raises on bytes that break its expectations; see `damage_refused`.

    Source: DICOM PS3.5 A.5 (deflated), 7.5 (sequences).
    """
    if isinstance(source, Path):
        with source.open("rb") as stream:
            return read_bounded(
                stream, name=name, headers_only=headers_only, specific_tags=specific_tags, force=force
            )
    plain = _inflated(source, name)
    dataset = read_partial(
        cast(BinaryIO, _Counted(plain or source, name)),
        stop_when=_Stop(headers_only),
        specific_tags=[Tag(each) for each in specific_tags] if specific_tags is not None else None,
        force=force,
    )
    if plain is not None:
        dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.buffer = None  # not this stream, which will be closed
    _refuse_long_sequences(dataset, name)
    return dataset


class _Stop:
    """Ends reading before pixels, or behind Pixel Data; asked before each element of the file itself."""

    def __init__(self, headers_only: bool) -> None:
        self._headers_only, self._had_pixels = headers_only, False

    def __call__(self, tag: BaseTag, vr: str | None, length: int) -> bool:
        if self._had_pixels:
            return True
        self._had_pixels = tag == PIXEL_DATA
        return self._headers_only and tag in _PIXELS


class _Counted:
    """A stream that ends a parser which asks too often."""

    def __init__(self, stream: BinaryIO, name: Path) -> None:
        self._read, self.seek, self.tell = stream.read, stream.seek, stream.tell
        self.name, self._left = str(name), MAX_READS  # pydicom keeps the name as the data set's file name

    def read(self, size: int = -1) -> bytes:
        self._left -= 1
        if self._left < 0:
            raise DicomError(
                f"{self.name}: expected the elements of an image, got more than {MAX_READS // 3}. {_REMEDY}"
            )
        if size < 0:  # only to inflate all that follows, which is done here, within bounds
            raise DicomError(f"{self.name}: expected File Meta Information that can be followed. {_REMEDY}")
        return self._read(size)


def _inflated(stream: BinaryIO, name: Path) -> BinaryIO | None:
    """A deflated file as the plain one it was made of; None of all others.

    Raises:
        DicomError: it inflates to more than any mammogram has.
        zlib.error: it is no deflated stream, or ends too early.
    """
    begin = stream.tell()
    is_likely = _DEFLATED in stream.read(_SEARCHED_BYTES)
    stream.seek(begin)
    if not is_likely:
        return None
    head = stream.read(_LONGEST_META_BYTES)
    end = _end_of_meta(head)
    is_deflated = _DEFLATED in head[:end]
    stream.seek(begin + end if is_deflated else begin)
    if not is_deflated:
        return None
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    # Padded to its old length with the NULs that end UIDs (PS3.5 9.1): no length has to be written anew.
    plain = io.BytesIO()
    plain.write(head[:end].replace(_DEFLATED, _PLAIN.ljust(len(_DEFLATED), b"\0"), 1))
    deflated = stream.read()
    most_bytes = min(MAX_INFLATED_BYTES, max(_FREELY_INFLATED_BYTES, _MAX_RATIO * len(deflated)))
    while deflated and not inflater.eof:
        plain.write(inflater.decompress(deflated, _INFLATED_AT_ONCE))
        deflated = inflater.unconsumed_tail
        if plain.tell() > most_bytes:
            raise DicomError(
                f"{name}: expected a deflated image of at most {most_bytes >> 20} MiB, "
                f"got one that inflates to more. {_REMEDY}"
            )
    if not inflater.eof:
        raise zlib.error("incomplete or truncated stream")
    plain.seek(0)
    return plain


def _end_of_meta(head: bytes) -> int:
    """Where the File Meta Information ends, 0 where there is none.

    Source: DICOM PS3.10 7.1: group 0002 in Explicit VR Little Endian, after the preamble.
    """
    at = _PREAMBLE_BYTES if head[128:_PREAMBLE_BYTES] == b"DICM" else 0
    end = 0
    while at + 12 <= len(head) and head[at : at + 2] == b"\x02\x00":
        is_long = head[at + 4 : at + 6] in (b"OB", b"UN")
        length_at, size = (at + 8, 4) if is_long else (at + 6, 2)
        at = end = length_at + size + int.from_bytes(head[length_at : length_at + size], "little")
    return min(end, len(head))


def _refuse_long_sequences(dataset: FileDataset, name: Path) -> None:
    """Raises where a sequence that is not parsed yet would take seconds once it is asked for."""
    for element in dataset.values():
        if not isinstance(element, RawDataElement) or not element.value or element.tag == PIXEL_DATA:
            continue
        if element.length < _HARMLESS_BYTES or element.VR not in ("SQ", "UN", None):
            continue
        if element.length > MAX_SEQUENCE_BYTES or max(map(element.value.count, _ITEMS)) > MAX_ITEMS:
            raise DicomError(
                f"{name}: expected sequences of at most {MAX_ITEMS} items and "
                f"{MAX_SEQUENCE_BYTES >> 20} MiB, got more in {element.tag}. {_REMEDY}"
            )
