from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mammo_monai.phantoms.rle import packed_rows, rle_frame


def unpacked(packed: bytes) -> bytes:
    """PackBits read byte by byte, as PS3.5 G.3.2 tells it."""
    out, at = bytearray(), 0
    while at < len(packed):
        header = packed[at]
        if header < 128:
            out += packed[at + 1 : at + 2 + header]
            at += 2 + header
        elif header > 128:
            out += packed[at + 1 : at + 2] * (257 - header)
            at += 2
        else:
            at += 1
    return bytes(out)


planes = arrays.arrays(
    np.uint8, st.tuples(st.integers(1, 5), st.integers(1, 400)), elements=st.integers(0, 2)
)


@settings(max_examples=75, deadline=None)
@given(plane=planes)
def test_packed_rows_unpack_to_the_plane(plane: np.ndarray) -> None:
    assert unpacked(packed_rows(plane)) == plane.tobytes()


@settings(max_examples=30, deadline=None)
@given(plane=planes)
def test_no_run_crosses_a_row(plane: np.ndarray) -> None:
    assert packed_rows(plane) == b"".join(packed_rows(row[None]) for row in plane)


def test_other_pixels_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(H, W\) uint8 or uint16, got \(2, 3\) int32"):
        rle_frame(np.zeros((2, 3), dtype=np.int32))  # type: ignore[arg-type]
