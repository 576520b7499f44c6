"""Where the elements of a DICOM file stand: a walk over headers that never fails, for mutations to aim."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

_MAGIC_AT = 128
_BEGINNING = 132
_LONG_VRS = frozenset(
    (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
)
_SEQUENCE_END = b"\xfe\xff\xdd\xe0"
UNDEFINED = 0xFFFFFFFF
TRANSFER_SYNTAX = 0x00020010
PIXEL_DATA = 0x7FE00010


@dataclass(frozen=True)
class Place:
    """One element: `start` of its tag, `value` of its value, and where the next one begins.

    Attributes:
        length_at: where the length is written, in `length_size` bytes.
        vr_at: where the VR is written; 0 in implicit encoding.
    """

    tag: int
    start: int
    vr_at: int
    length_at: int
    length_size: int
    value: int
    end: int


@dataclass(frozen=True)
class Layout:
    """The top level of a file, as far as it can be followed."""

    is_explicit: bool
    order: str
    places: tuple[Place, ...]

    def of(self, tag: int) -> Place | None:
        """The first element of this tag."""
        return next((place for place in self.places if place.tag == tag), None)

    def element(self, tag: int, vr: bytes, value: bytes, *, length: int | None = None) -> bytes:
        """An element as this file writes it; `length` may lie."""
        written = len(value) if length is None else length
        group, number = tag >> 16, tag & 0xFFFF
        if not self.is_explicit:
            return struct.pack("<HHL", group, number, written) + value
        if vr in _LONG_VRS:
            head = struct.pack(f"{self.order}HH2s2xL", group, number, vr, written)
        else:
            head = struct.pack(f"{self.order}HH2sH", group, number, vr, min(written, 65535))
        return head + value


def layout_of(data: bytes) -> Layout:
    """The elements of a file with or without preamble; empty where nothing looks like an element."""
    has_meta = data[_MAGIC_AT:_BEGINNING] == b"DICM"
    start = _BEGINNING if has_meta else 0
    meta = tuple(_walk(data, start, "<", is_explicit=True, is_meta=True)) if has_meta else ()
    start = meta[-1].end if meta else start
    syntax = next((data[each.value : each.end] for each in meta if each.tag == TRANSFER_SYNTAX), b"")
    name = syntax.rstrip(b"\0 ")
    order = ">" if name == b"1.2.840.10008.1.2.2" else "<"
    is_explicit = data[start + 4 : start + 6].isalpha()
    rest = () if name.endswith(b".1.99") else tuple(_walk(data, start, order, is_explicit=is_explicit))
    return Layout(is_explicit, order, meta + rest)


def _walk(
    data: bytes, start: int, order: str, *, is_explicit: bool, is_meta: bool = False
) -> Iterator[Place]:
    while start + 8 <= len(data):
        group, number = struct.unpack_from(f"{order}HH", data, start)
        if is_meta and group != 2:
            return
        vr = data[start + 4 : start + 6]
        if not is_explicit:
            length_at, size = start + 4, 4
        elif vr in _LONG_VRS:
            length_at, size = start + 8, 4
        else:
            length_at, size = start + 6, 2
        value = length_at + size
        if value > len(data):
            return
        length = int(struct.unpack_from(order + ("L" if size == 4 else "H"), data, length_at)[0])
        end = value + length
        if length == UNDEFINED:
            found = data.rfind(_SEQUENCE_END, value) if group == 0x7FE0 else data.find(_SEQUENCE_END, value)
            end = found + 8 if found >= 0 else len(data)
        end = min(end, len(data))
        vr_at = start + 4 if is_explicit else 0
        yield Place(group << 16 | number, start, vr_at, length_at, size, value, end)
        start = end
