"""Headers of compressed frames: what a data set says is what a decoder is given, or nothing is decoded."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from PIL import Image
from pydicom.encaps import encapsulate, get_frame
from pydicom.pixels.decoders.base import Decoder
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from mammo_monai.dicom import read_mammogram
from mammo_monai.dicom.codestreams import check_codestream
from mammo_monai.errors import DicomError
from tests.dicom_factory import grey_ramp, mammogram_dataset

SHAPE = (32, 40)


def jpeg() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(grey_ramp(SHAPE, bits=8)).save(stream, format="JPEG")
    return stream.getvalue()


def lossless() -> bytes:
    """A header alone, as ISO/IEC 10918-1 has it: frame header of process 14, then a scan."""
    frame = b"\xff\xc3\x00\x0b\x10\x00\x20\x00\x28\x01\x01\x11\x00"
    return b"\xff\xd8" + frame + b"\xff\xda\x00\x08\x01\x01\x00\x01\x00\x00" + b"\x12\x34"


def encoded(syntax: UID) -> bytes:
    return get_frame(mammogram_dataset(grey_ramp(SHAPE), syntax=syntax).PixelData, 0, number_of_frames=1)


FRAMES: dict[UID, Callable[[], bytes]] = {
    JPEGBaseline8Bit: jpeg,
    JPEGLosslessSV1: lossless,
    JPEGLSLossless: lambda: encoded(JPEGLSLossless),
    JPEG2000Lossless: lambda: encoded(JPEG2000Lossless),
}
FRAME_HEADER = {JPEGBaseline8Bit: b"\xff\xc0", JPEGLosslessSV1: b"\xff\xc3", JPEGLSLossless: b"\xff\xf7"}


def check(frame: bytes, syntax: UID, shape: tuple[int, int] = SHAPE) -> None:
    check_codestream(frame, syntax, rows=shape[0], columns=shape[1])


def changed(frame: bytes, at: int, value: bytes) -> bytes:
    return frame[:at] + value + frame[at + len(value) :]


@pytest.mark.parametrize("syntax", FRAMES, ids=lambda syntax: syntax.name)
def test_a_header_of_the_right_size_passes(syntax: UID) -> None:
    check(FRAMES[syntax](), syntax)


@pytest.mark.parametrize("syntax", FRAMES, ids=lambda syntax: syntax.name)
@pytest.mark.parametrize("shape", [(40, 32), (31, 40), (32, 41)])
def test_another_size_than_the_data_set_says_is_refused(syntax: UID, shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="the codestream is of 32 × 40 pixels"):
        check(FRAMES[syntax](), syntax, shape)


@pytest.mark.parametrize("syntax", FRAME_HEADER, ids=lambda syntax: syntax.name)
@pytest.mark.parametrize(
    ("offset", "value", "said"),
    [
        (4, b"\xff", "of 255 bits"),
        (4, b"\x00", "of 0 bits"),
        (5, b"\xff\xff", "65535 × 40"),
        (7, b"\x00\x00", "32 × 0"),
        (9, b"\x03", "no whole JPEG header"),
        (2, b"\xff\xff", "no whole JPEG header"),
        (1, b"\xc2", "no whole JPEG header|32 × 40"),
    ],
)
def test_what_ended_processes_is_refused(syntax: UID, offset: int, value: bytes, said: str) -> None:
    frame = FRAMES[syntax]()
    lying = changed(frame, frame.index(FRAME_HEADER[syntax]) + offset, value)
    if offset == 1 and syntax == JPEGBaseline8Bit:
        check(lying, syntax)  # another process of JPEG, which decoders know
        return
    with pytest.raises(ValueError, match=said):
        check(lying, syntax)


@pytest.mark.parametrize(
    ("at", "value", "said"),
    [
        (8, b"\x00\x00\x00\x27", "32 × 39 pixels"),
        (16, b"\x00\x00\x00\x28", "no size segment that can be"),
        (24, b"\x00\x00\x00\x00", "no size segment that can be"),
        (24, b"\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x00", "no size|pixels"),
        (40, b"\xff\xff", "no size segment that can be"),
        (42, b"\x7f", "of 128 bits"),
        (43, b"\x00", "no size segment that can be"),
    ],
)
def test_jpeg_2000_sizes_that_cannot_be_are_refused(at: int, value: bytes, said: str) -> None:
    lying = changed(FRAMES[JPEG2000Lossless](), at, value)
    if at == 24 and len(value) == 12:
        lying = changed(lying, 8, b"\x00\x00\xff\xff\x00\x00\xff\xff")  # four billion tiles of one pixel
    with pytest.raises(ValueError, match=said):
        check(lying, JPEG2000Lossless)


@pytest.mark.parametrize("syntax", FRAMES, ids=lambda syntax: syntax.name)
def test_a_frame_cut_within_its_header_is_refused(syntax: UID) -> None:
    for length in range(0, 20):
        with pytest.raises(ValueError, match="codestream"):
            check(FRAMES[syntax]()[:length], syntax)


def test_a_codestream_within_a_jp2_file_is_found() -> None:
    boxes = b"\x00\x00\x00\x0cjP  \r\n\x87\n" + b"\x00\x00\x00\x14ftypjp2 \0\0\0\0jp2 "
    check(boxes + b"\0\0\0\0jp2c" + FRAMES[JPEG2000Lossless](), JPEG2000Lossless)
    with pytest.raises(ValueError, match="does not begin"):
        check(boxes, JPEG2000Lossless)


def test_jpeg_ls_without_its_end_reaches_no_decoder() -> None:
    """CharLS 2.4.2 looks for it for up to 14 s, whatever the image's size, and then refuses."""
    whole = encoded(JPEGLSLossless)
    with pytest.raises(ValueError, match="no end marker: it is cut short"):
        check(whole[: whole.rindex(b"\xff\xd9")], JPEGLSLossless)


def test_colour_passes_only_where_the_data_set_says_so() -> None:
    stream = io.BytesIO()
    Image.fromarray(np.zeros((*SHAPE, 3), dtype=np.uint8)).save(stream, format="JPEG")
    check_codestream(stream.getvalue(), JPEGBaseline8Bit, rows=SHAPE[0], columns=SHAPE[1], components=3)
    with pytest.raises(ValueError, match="of 3 components of 8 bits, not of 1 of 2 to 16"):
        check(stream.getvalue(), JPEGBaseline8Bit)


def test_what_has_no_header_passes() -> None:
    check(b"", RLELossless)
    check(b"", ExplicitVRLittleEndian)


def test_no_decoder_sees_a_frame_that_lies(tmp_path: Path) -> None:
    dataset = mammogram_dataset(np.zeros(SHAPE, dtype=np.uint8), bits_stored=8)
    frame = jpeg()
    dataset.PixelData = encapsulate([changed(frame, frame.index(b"\xff\xc0") + 4, b"\xff")])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    dataset.save_as(tmp_path / "1.dcm", enforce_file_format=True)
    with mock.patch.object(Decoder, "as_array", side_effect=AssertionError("asked")) as asked:
        with pytest.raises(DicomError, match=r"1\.dcm: .*1 components of 255 bits"):
            read_mammogram(tmp_path / "1.dcm")
        asked.assert_not_called()


def test_fill_bytes_before_a_marker_are_passed_over() -> None:
    """Source: ISO/IEC 10918-1 B.1.1.2: any marker may be preceded by fill bytes 0xFF."""
    check(b"\xff\xd8\xff" + jpeg()[2:], JPEGBaseline8Bit)
