"""What a compressed frame says of its own size, checked before a decoder in C or C++ believes it.

Some of them end the whole process at a precision of 255 bits, at a width of none or at 65535 components,
which no exception handler can undo; others allocate whatever a header claims. Found by `tests/fuzz`.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydicom.uid import (
    HTJ2K,
    UID,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000TransferSyntaxes,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSTransferSyntaxes,
    JPEGTransferSyntaxes,
)

from mammo_monai.dicom.unquoted import AttributeValueError

_JPEG_BEGIN, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
_LOSSY_HEADERS = frozenset((0xC0, 0xC1, 0xC2))
# Given another process under a lossless name, GDCM 3.2 decodes that, and ends the whole process at damage.
_LOSSLESS_HEADERS = frozenset((0xC3,))
_LS_FRAME_HEADER = 0xF7
_SCAN = 0xDA
_ALONE = frozenset((0x01, *range(0xD0, 0xD8)))  # markers without a segment
_JPEG2000_BEGIN = b"\xff\x4f\xff\x51"
_JP2_BEGIN = b"\x00\x00\x00\x0cjP  \r\n\x87\n"
_JP2_SEARCHED_BYTES = 4096
_MAX_TILES = 65535
_MAX_BITS = 16


@dataclass(frozen=True)
class _Claim:
    rows: int
    columns: int
    components: int
    bits: int


def check_codestream(frame: bytes, syntax: UID, *, rows: int, columns: int, components: int = 1) -> None:
    """Refuses a frame that does not hold one image of the size that the data set says, grey unless said.

    Frames of transfer syntaxes without such a header (RLE, uncompressed) pass.

    Args:
        frame: all fragments of the frame, joined.
        rows, columns: as in the data set. components: its Samples per Pixel.

    Raises:
        AttributeValueError: no header, damaged, or of another size, precision or number of components; or,
            for JPEG-LS, no end.

    Source: ISO/IEC 10918-1 B.2 (JPEG), 14495-1 C.2 (JPEG-LS), 15444-1 A.5.1 (JPEG 2000).
    """
    if syntax in (JPEGLossless, JPEGLosslessSV1):
        claim = _jpeg_claim(frame, _LOSSLESS_HEADERS)
    elif syntax in JPEGTransferSyntaxes:
        claim = _jpeg_claim(frame, _LOSSY_HEADERS)
    elif syntax in JPEGLSTransferSyntaxes:
        claim = _jpeg_claim(frame, {_LS_FRAME_HEADER})
        _refuse_no_end(frame)
    elif syntax in (*JPEG2000TransferSyntaxes, HTJ2K, HTJ2KLossless, HTJ2KLosslessRPCL):
        claim = _jpeg2000_claim(frame)
    else:
        return
    if claim.components != components or not 2 <= claim.bits <= _MAX_BITS:
        raise AttributeValueError(
            f"the codestream is of {claim.components} components of {claim.bits} bits, "
            f"not of {components} of 2 to 16"
        )
    if (claim.rows, claim.columns) != (rows, columns):
        raise AttributeValueError(f"the codestream is of {claim.rows} × {claim.columns} pixels")


def _jpeg_claim(frame: bytes, headers: frozenset[int] | set[int]) -> _Claim:
    """The one frame header before the first scan; each segment must lie within the data."""
    if frame[:2] != _JPEG_BEGIN:
        raise AttributeValueError("the codestream does not begin as a JPEG image")
    at, claim = 2, None
    while at + 4 <= len(frame) and frame[at] == 0xFF:
        marker, length = frame[at + 1], int.from_bytes(frame[at + 2 : at + 4], "big")
        if marker == 0xFF or marker in _ALONE:
            at += 1 if marker == 0xFF else 2
            continue
        segment = frame[at + 4 : at + 2 + length]
        if length < 2 or len(segment) != length - 2:
            break
        if marker == _SCAN and claim is not None:
            return claim
        if marker in headers:
            if claim is not None or len(segment) < 6 or len(segment) != 6 + 3 * segment[5]:
                break
            claim = _Claim(
                rows=int.from_bytes(segment[1:3], "big"),
                columns=int.from_bytes(segment[3:5], "big"),
                components=segment[5],
                bits=segment[0],
            )
        at += 2 + length
    raise AttributeValueError("the codestream has no whole JPEG header of its transfer syntax")


def _refuse_no_end(frame: bytes) -> None:
    """CharLS 2.4 looks for the end of a frame that is cut short for up to 14 s before it refuses it."""
    if frame.rfind(_JPEG_END) < 0:
        raise AttributeValueError("the codestream has no end marker: it is cut short")


def _jpeg2000_claim(frame: bytes) -> _Claim:
    """The size segment, which comes first; some writers wrap the codestream into a JP2 file."""
    begin = frame.find(_JPEG2000_BEGIN, 0, _JP2_SEARCHED_BYTES) if frame.startswith(_JP2_BEGIN) else 0
    head = frame[max(begin, 0) :][:49]
    if not head.startswith(_JPEG2000_BEGIN) or len(head) < 45:
        raise AttributeValueError("the codestream does not begin as a JPEG 2000 image")
    length, components = int.from_bytes(head[4:6], "big"), int.from_bytes(head[40:42], "big")
    numbers = [int.from_bytes(head[start : start + 4], "big") for start in range(8, 40, 4)]
    width, height, left, top, tile_width, tile_height, tile_left, tile_top = numbers
    is_grid = (
        tile_left <= left < width
        and tile_top <= top < height
        and tile_left + tile_width > left
        and tile_top + tile_height > top
    )
    tiles = -((tile_left - width) // tile_width) * -((tile_top - height) // tile_height) if is_grid else 0
    if length != 38 + 3 * components or head[43:45] != b"\x01\x01" or not 0 < tiles <= _MAX_TILES:
        raise AttributeValueError("the codestream has no size segment that can be")
    return _Claim(height - top, width - left, components, (head[42] & 0x7F) + 1)
