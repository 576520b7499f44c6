"""Mutations that know DICOM: lies about sizes and lengths, bombs, depth, and the wrong encoding."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable

from tests.fuzz.dicom_layout import PIXEL_DATA, TRANSFER_SYNTAX, UNDEFINED, Layout, Place, layout_of
from tests.fuzz.mutations import INTERESTING_INTEGERS

_ROOT = b"1.2.840.10008.1.2"
SYNTAXES = (
    *(b"", b".1", b".2", b".1.99", b".1.98", b".5", b".4.50", b".4.51", b".4.57", b".4.70", b".4.80"),
    *(b".4.81", b".4.90", b".4.91", b".4.92", b".4.100", b".4.201", b".4.202", b".4.203", b".6.1", b".99"),
)
# Tags whose numbers decide how much is allocated and which way pixels are decoded.
_SIZES = (0x00280010, 0x00280011, 0x00280002, 0x00280100, 0x00280101, 0x00280102, 0x00280103, 0x00280006)
_NUMBER_OF_FRAMES = 0x00280008
_SPECIFIC_CHARACTER_SET = 0x00080005
_CHARSETS = (b"ISO 2022 IR 87", b"\\ISO 2022 IR 149", b"GB18030", b"ISO_IR 192", b"ISO_IR 999", b"\xff\xfe")
_VRS = (
    *(
        b"AE",
        b"AS",
        b"AT",
        b"CS",
        b"DA",
        b"DS",
        b"DT",
        b"FD",
        b"FL",
        b"IS",
        b"LO",
        b"LT",
        b"OB",
        b"OD",
        b"OF",
    ),
    *(
        b"OL",
        b"OV",
        b"OW",
        b"PN",
        b"SH",
        b"SL",
        b"SQ",
        b"SS",
        b"ST",
        b"SV",
        b"TM",
        b"UC",
        b"UI",
        b"UL",
        b"UN",
    ),
    *(b"UR", b"US", b"UT", b"UV", b"ZZ"),
)
_VALUES = (
    *(b"", b"0", b"-1", b"1e309", b"nan", b"inf", b"-inf", b"1e-320", b"99999999999999999999", b"1.5"),
    *(
        b"\xc3\x28\x1b$B",
        b"0\\0",
        b"1\\2\\3\\4",
        b"A" * 2000,
        b"\\" * 40,
        b"\0\0",
        b"\xff\xff",
        b"MONOCHROME1",
    ),
    *(
        b"RGB",
        b"YBR_FULL_422",
        b"PALETTE COLOR",
        b"MG",
        b"SEG",
        b"FOR PROCESSING",
        b"LABELMAP",
        b"FRACTIONAL",
    ),
)
# A JPEG or JPEG-LS frame header, a JPEG 2000 size segment, and where each says height, width and the like.
_FRAME_MARKERS = (b"\xff\xc0", b"\xff\xc1", b"\xff\xc2", b"\xff\xc3", b"\xff\xf7")
_SIZE_MARKER = b"\xff\x4f\xff\x51"
_DEPTHS = (5, 50, 50, 400, 400, 1100)
_RARE_DEPTHS = (20_000, 100_000)
_RARE = 0.02
_INFLATED_BLOCK_BYTES = 1 << 16


def lie_in_length(data: bytes, drawn: random.Random) -> bytes:
    """An element's length says something else."""
    place, layout = _any_place(data, drawn)
    if place is None:
        return data
    letter = "L" if place.length_size == 4 else "H"
    near = place.end - place.value + drawn.choice((-2, -1, 1, 2, 100))
    number = drawn.choice((UNDEFINED, near, _number(drawn)))
    written = struct.pack(layout.order + letter, number & (UNDEFINED if letter == "L" else 0xFFFF))
    return data[: place.length_at] + written + data[place.length_at + place.length_size :]


def lie_in_size(data: bytes, drawn: random.Random) -> bytes:
    """Rows, Columns, bits or samples say something else: up to 65535 × 65535 pixels."""
    layout = layout_of(data)
    for tag in drawn.sample(_SIZES, drawn.choice((1, 2, 2, 3))):
        place = layout.of(tag)
        if place is not None and place.end - place.value == 2:
            bits = drawn.choice((1, 8, 12, 16, 32, 64))
            number = drawn.choice((65535, 65535, _number(drawn) & 0xFFFF, bits))
            data = data[: place.value] + struct.pack(f"{layout.order}H", number) + data[place.end :]
    return data


def claim_frames(data: bytes, drawn: random.Random) -> bytes:
    """Number of Frames says something else."""
    text = drawn.choice((b"1 ", b"0 ", b"2 ", b"-1", b"2147483647", b"9999999999", b"1.0 ", b"1\\2", b"x "))
    return _put(data, drawn, _NUMBER_OF_FRAMES, b"IS", text)


def claim_syntax(data: bytes, drawn: random.Random) -> bytes:
    """The transfer syntax that is announced is not the one that is there."""
    layout = layout_of(data)
    place = layout.of(TRANSFER_SYNTAX)
    if place is None:
        return data
    uid = _ROOT + drawn.choice(SYNTAXES)
    uid += b"\0" * (len(uid) % 2)
    head = struct.pack("<HH2sH", 2, 0x10, b"UI", len(uid))
    return data[: place.start] + head + uid + data[place.end :]


def nest_deeply(data: bytes, drawn: random.Random) -> bytes:
    """Sequences in sequences, up to 100 000 deep, with or without lengths and ends."""
    layout = layout_of(data)
    depth = drawn.choice(_RARE_DEPTHS if drawn.random() < _RARE else _DEPTHS)
    tag = drawn.choice((0x00081140, 0x0040A730, 0x00283010, 0x52009229, 0x00091001, 0x00540220))
    head = layout.element(tag, b"SQ", b"", length=UNDEFINED)
    item = struct.pack(f"{layout.order}HHL", 0xFFFE, 0xE000, UNDEFINED)
    ends = struct.pack(f"{layout.order}HHLHHL", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
    kind = drawn.randrange(3)
    if kind == 0:
        nested = (head + item) * depth + ends * drawn.choice((depth, depth - 1, 0))
    elif kind == 1:
        nested = b"".join(_with_lengths(layout, tag, min(depth, 3000)))
    else:
        nested = (head + item) * depth + layout.element(tag, b"SQ", b"", length=0) + ends * depth
    return _inserted(data, drawn, layout, nested)


def inflate_to_much(data: bytes, drawn: random.Random) -> bytes:
    """A deflated data set whose few bytes become many megabytes, rarely gigabytes."""
    layout = layout_of(data)
    syntax = layout.of(TRANSFER_SYNTAX)
    if syntax is None:
        return data
    blocks = (
        drawn.choice((320, 16_000, 50_000)) if drawn.random() < _RARE else drawn.choice((1, 1, 1, 1, 1, 16))
    )
    last_meta = max(place.end for place in layout.places if place.tag >> 16 == 2)
    length = drawn.choice((blocks * _INFLATED_BLOCK_BYTES, UNDEFINED, 0, 100))
    tag, vr = drawn.choice(((PIXEL_DATA, b"OW"), (0x00091001, b"OB"), (0x00204000, b"UT")))
    plain = layout.element(tag, vr, b"", length=length)
    whole = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    beginning = whole.compress(data[last_meta:][:4000] * drawn.randrange(2) + plain)
    beginning += whole.flush(zlib.Z_FULL_FLUSH)
    block = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    zeros = block.compress(bytes(_INFLATED_BLOCK_BYTES)) + block.flush(zlib.Z_FULL_FLUSH)
    end = block.flush(zlib.Z_FINISH)
    uid = _ROOT + b".1.99\0"
    meta = data[: syntax.start] + struct.pack("<HH2sH", 2, 0x10, b"UI", len(uid)) + uid
    return meta + data[syntax.end : last_meta] + beginning + zeros * blocks + end


def run_on_in_rle(data: bytes, drawn: random.Random) -> bytes:
    """Run-length encoded segments that expand to 64 times their length, or point outside the frame."""
    runs = drawn.choice((b"\x81\x00", b"\x81\xff", b"\x80", b"\x7f")) * drawn.choice((10, 1000, 30_000))
    count = drawn.choice((1, 2, 2, 2, 3, 15, 16, 255))
    offsets = [64 + at * (len(runs) // 2) for at in range(15)]
    if drawn.random() < 0.5:
        offsets[drawn.randrange(15)] = _number(drawn) & UNDEFINED
    frame = struct.pack("<16L", count, *offsets) + runs
    return _with_fragment(claim_syntax_as(data, b".5"), frame + b"\0" * (len(frame) % 2), drawn)


def lie_in_codestream(data: bytes, drawn: random.Random) -> bytes:
    """A JPEG, JPEG-LS or JPEG 2000 header says another size, precision or number of components."""
    begin = data.find(_SIZE_MARKER)
    if begin >= 0:
        at = begin + drawn.choice((6, 8, 12, 16, 20, 24, 28, 32, 36, 40, 42, 43, 44))
        size = drawn.choice((1, 2, 4, 4))
    else:
        starts = [at for marker in _FRAME_MARKERS if (at := data.find(marker, 132)) >= 0]
        if not starts:
            return data
        at = min(starts) + drawn.choice((2, 4, 5, 7, 9, 10, 11, 12))
        size = drawn.choice((1, 2, 2))
    number = drawn.choice((_number(drawn), 65535, 1 << 31, 38, 3, 255)) & ((1 << 8 * size) - 1)
    return data[:at] + number.to_bytes(size, "big") + data[at + size :]


def damage_pixels(data: bytes, drawn: random.Random) -> bytes:
    """Bytes changed within Pixel Data: headers of the codestream rather often, its body else."""
    place = layout_of(data).of(PIXEL_DATA)
    if place is None or place.end - place.value < 24:
        return data
    changed = bytearray(data)
    last = drawn.choice((place.end, min(place.end, place.value + 100)))
    for _ in range(drawn.choice((1, 1, 2, 4, 20))):
        changed[drawn.randrange(place.value + 16, last)] = drawn.choice(
            (0, 1, 127, 128, 255, drawn.randrange(256))
        )
    return bytes(changed)


def change_vr(data: bytes, drawn: random.Random) -> bytes:
    """An element of another VR than it is of."""
    place, _ = _any_place(data, drawn)
    if place is None or place.vr_at == 0:
        return data
    return data[: place.vr_at] + drawn.choice(_VRS) + data[place.vr_at + 2 :]


def change_value(data: bytes, drawn: random.Random) -> bytes:
    """A value that parsers of numbers and texts break at, with a length that fits."""
    place, layout = _any_place(data, drawn)
    if place is None:
        return data
    value = drawn.choice((*_VALUES, drawn.randbytes(drawn.choice((1, 2, 4, 6, 16)))))
    vr = data[place.vr_at : place.vr_at + 2] if place.vr_at else b"UN"
    return data[: place.start] + layout.element(place.tag, vr, value) + data[place.end :]


def insert_private(data: bytes, drawn: random.Random) -> bytes:
    """A private or unknown element somewhere."""
    layout = layout_of(data)
    tags = (0x00090010, 0x00091001, 0x00190010, 0x7FDF1010, 0x00010001, 0xFFFE0000, 0xFFFEE0DD, 0)
    tag = drawn.choice(tags)
    value = drawn.randbytes(drawn.choice((0, 1, 2, 8, 100)))
    length = drawn.choice((None, None, None, UNDEFINED, _number(drawn) & 0x7FFFFFFF))
    return _inserted(data, drawn, layout, layout.element(tag, drawn.choice(_VRS), value, length=length))


def claim_charset(data: bytes, drawn: random.Random) -> bytes:
    """A character set that is rare, unknown or no text at all."""
    return _put(data, drawn, _SPECIFIC_CHARACTER_SET, b"CS", drawn.choice(_CHARSETS))


def duplicate_element(data: bytes, drawn: random.Random) -> bytes:
    """An element stands there twice, out of order."""
    place, layout = _any_place(data, drawn)
    return data if place is None else _inserted(data, drawn, layout, data[place.start : place.end][:4096])


def drop_element(data: bytes, drawn: random.Random) -> bytes:
    """An element is missing."""
    place, _ = _any_place(data, drawn)
    return data if place is None else data[: place.start] + data[place.end :]


def drop_preamble(data: bytes, drawn: random.Random) -> bytes:
    """The preamble, its mark, or the whole file meta information is missing."""
    layout = layout_of(data)
    meta = [place.end for place in layout.places if place.tag >> 16 == 2]
    return data[drawn.choice((128, 132, max(meta, default=0), 4)) :]


def dangle_offsets(data: bytes, drawn: random.Random) -> bytes:
    """Offset tables, basic or extended, that point nowhere."""
    layout = layout_of(data)
    pixels = layout.of(PIXEL_DATA)
    if pixels is None:
        return data
    if drawn.random() < 0.5:
        offsets = struct.pack("<2Q", _number(drawn) & ((1 << 64) - 1), 0)
        lengths = struct.pack("<2Q", _number(drawn) & ((1 << 64) - 1), 4)
        table = layout.element(0x7FE00001, b"OV", offsets[: drawn.choice((8, 16, 4))])
        table += layout.element(0x7FE00002, b"OV", lengths[: drawn.choice((8, 16, 4))])
        return data[: pixels.start] + table + data[pixels.start :]
    offsets = b"".join(
        struct.pack("<L", _number(drawn) & UNDEFINED) for _ in range(drawn.choice((1, 2, 100)))
    )
    table = struct.pack("<HHL", 0xFFFE, 0xE000, len(offsets)) + offsets
    return data[: pixels.value] + table + data[pixels.value + drawn.choice((0, 8)) :]


def replace_pixels(data: bytes, drawn: random.Random) -> bytes:
    """Pixel Data in one fragment of noise, in none, or in many."""
    fragment = drawn.choice((b"", drawn.randbytes(64), b"\xff\xd8\xff\xd9", b"\xff\x4f\xff\x51" + bytes(60)))
    return _with_fragment(data, fragment, drawn)


def insert_lut(data: bytes, drawn: random.Random) -> bytes:
    """A LUT or a window whose numbers do not go together."""
    layout = layout_of(data)
    if drawn.random() < 0.3:
        tag = drawn.choice((0x00281050, 0x00281051, 0x00281052, 0x00281053, 0x00280120, 0x00280121))
        return _put(data, drawn, tag, drawn.choice((b"DS", b"US", b"SS")), drawn.choice(_VALUES))
    numbers = [_number(drawn) & 0xFFFF for _ in range(drawn.choice((3, 3, 3, 2, 0)))]
    item = layout.element(0x00283002, b"US", struct.pack(f"{layout.order}{len(numbers)}H", *numbers))
    entries = drawn.randbytes(drawn.choice((0, 2, 8, 9, 512, 4096)))
    item += layout.element(0x00283006, drawn.choice((b"US", b"OW", b"SS", b"UN")), entries)
    whole = struct.pack(f"{layout.order}HHL", 0xFFFE, 0xE000, len(item)) + item
    tag = drawn.choice((0x00283000, 0x00283010))
    return _inserted(data, drawn, layout, layout.element(tag, b"SQ", whole))


def claim_syntax_as(data: bytes, ending: bytes) -> bytes:
    """The file with this transfer syntax announced."""
    place = layout_of(data).of(TRANSFER_SYNTAX)
    if place is None:
        return data
    uid = _ROOT + ending
    uid += b"\0" * (len(uid) % 2)
    return data[: place.start] + struct.pack("<HH2sH", 2, 0x10, b"UI", len(uid)) + uid + data[place.end :]


def _with_fragment(data: bytes, fragment: bytes, drawn: random.Random) -> bytes:
    layout = layout_of(data)
    place = layout.of(PIXEL_DATA)
    start = place.start if place else len(data)
    items = struct.pack("<HHL", 0xFFFE, 0xE000, 0)
    items += (struct.pack("<HHL", 0xFFFE, 0xE000, len(fragment)) + fragment) * drawn.choice((1, 1, 1, 2, 0))
    items += struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
    return data[:start] + layout.element(PIXEL_DATA, b"OB", items, length=UNDEFINED)


def _with_lengths(layout: Layout, tag: int, depth: int) -> list[bytes]:
    heads: list[bytes] = []
    inside = 0
    for _ in range(depth):
        item = struct.pack(f"{layout.order}HHL", 0xFFFE, 0xE000, inside)
        head = layout.element(tag, b"SQ", b"", length=inside + len(item))
        heads.append(head + item)
        inside += len(head) + len(item)
    return heads[::-1]


def _put(data: bytes, drawn: random.Random, tag: int, vr: bytes, value: bytes) -> bytes:
    layout = layout_of(data)
    written = layout.element(tag, vr, value + b" " * (len(value) % 2))
    place = layout.of(tag)
    if place is None:
        return _inserted(data, drawn, layout, written)
    return data[: place.start] + written + data[place.end :]


def _inserted(data: bytes, drawn: random.Random, layout: Layout, written: bytes) -> bytes:
    starts = [place.start for place in layout.places if place.tag >> 16 > 2]
    at = drawn.choice(starts) if starts else len(data)
    return data[:at] + written + data[at:]


def _any_place(data: bytes, drawn: random.Random) -> tuple[Place | None, Layout]:
    layout = layout_of(data)
    return (drawn.choice(layout.places) if layout.places else None), layout


def _number(drawn: random.Random) -> int:
    return drawn.choice(INTERESTING_INTEGERS)


DICOM_MUTATIONS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    lie_in_length,
    lie_in_size,
    lie_in_size,
    claim_frames,
    claim_syntax,
    nest_deeply,
    inflate_to_much,
    run_on_in_rle,
    lie_in_codestream,
    lie_in_codestream,
    change_vr,
    change_value,
    change_value,
    insert_private,
    claim_charset,
    duplicate_element,
    drop_element,
    drop_preamble,
    dangle_offsets,
    replace_pixels,
    insert_lut,
    damage_pixels,
)
# For compressed images alone: decoders in C, C++ and Rust, where damage may end the process.
CODESTREAM_MUTATIONS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    lie_in_codestream,
    lie_in_codestream,
    damage_pixels,
    damage_pixels,
    damage_pixels,
    lie_in_size,
    claim_syntax,
    run_on_in_rle,
    replace_pixels,
    dangle_offsets,
)
