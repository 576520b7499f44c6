"""DICOM RLE Lossless encoding in numpy: the same bytes everywhere, and fast enough for whole films."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]


def rle_frame(pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> bytes:
    """One RLE frame: header and one segment per byte plane, most significant first.

    Args:
        pixels: shape (H, W), uint8 or uint16.

    Raises:
        ValueError: another shape or dtype.

    Source: DICOM PS3.5 annex G.
    """
    if pixels.ndim != 2 or pixels.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"pixels must be (H, W) uint8 or uint16, got {pixels.shape} {pixels.dtype}.")
    planes = [pixels] if pixels.dtype == np.uint8 else [pixels >> 8, pixels & 0xFF]
    segments = [packed_rows(plane.astype(np.uint8)) for plane in planes]
    segments = [segment + b"\0" * (len(segment) % 2) for segment in segments]
    offsets = np.cumsum([64, *(len(segment) for segment in segments[:-1])])
    header = struct.pack(f"<{1 + len(offsets)}L", len(offsets), *(int(offset) for offset in offsets))
    return header.ljust(64, b"\0") + b"".join(segments)


def packed_rows(plane: Bytes) -> bytes:
    """PackBits of each row of a byte plane, shape (H, W); no run crosses a row (PS3.5 G.3.1).

    Runs of three and more become one count and the byte, up to 128 at a time; what lies between is literal.

    >>> packed_rows(np.array([[7, 7, 7, 7, 1, 2]], dtype=np.uint8)).hex(" ")
    'fd 07 01 01 02'
    """
    flat = np.ascontiguousarray(plane).reshape(-1)
    starts, lengths, is_run, is_row = _runs(flat, plane.shape[1])
    # A group is one long run, or all the short ones between two long runs or row ends.
    opens = is_run | is_row
    opens[1:] |= is_run[:-1]
    first = np.flatnonzero(opens)
    group_start, group_is_run = starts[first], is_run[first]
    group_length = np.add.reduceat(lengths, first)
    chunks = -(-group_length // 128)
    owner = np.repeat(np.arange(len(first)), chunks)
    place = np.arange(len(owner)) - np.repeat(np.cumsum(chunks) - chunks, chunks)
    size = np.minimum(group_length[owner] - place * 128, 128)
    runs = group_is_run[owner]
    out_size = np.where(runs, 2, size + 1)
    offset = np.cumsum(out_size) - out_size
    packed = np.empty(int(out_size.sum()), dtype=np.uint8)
    literal_out = np.ones(len(packed), dtype=bool)
    literal_out[offset] = False
    literal_out[offset[runs] + 1] = False
    packed[offset] = np.where(runs, (257 - size) & 0xFF, size - 1)
    packed[offset[runs] + 1] = flat[group_start[owner[runs]]]
    packed[literal_out] = flat[np.repeat(~group_is_run, group_length)]
    return packed.tobytes()


def _runs(
    flat: Bytes, width: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.bool_], NDArray[np.bool_]]:
    changes = np.empty(len(flat), dtype=bool)
    changes[0] = True
    np.not_equal(flat[1:], flat[:-1], out=changes[1:])
    changes[::width] = True
    starts = np.flatnonzero(changes)
    lengths = np.diff(starts, append=len(flat))
    return starts, lengths, lengths >= 3, starts % width == 0
