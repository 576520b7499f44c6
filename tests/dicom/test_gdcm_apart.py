"""Lossless JPEG is decoded in a process of its own: what ends GDCM costs a file, never the caller."""

from __future__ import annotations

import base64
import io
import json
import logging
import subprocess
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import Decoder, get_decoder
from pydicom.uid import JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1, JPEGLSLossless

from mammo_monai.dicom import gdcm_apart, gdcm_child
from mammo_monai.dicom.decoders import decode_stored_values
from mammo_monai.doctor.decoders import made_image, samples
from mammo_monai.errors import DicomError
from mammo_monai.readers.burned_in import burned_in_reason

pytest.importorskip("gdcm")
FRAME = base64.b64decode(samples()["JPEGLosslessSV1"])
FATAL = FRAME[:11] + b"\x02" + FRAME[12:]  # version 2 of JFIF
_SCAN = FRAME.index(b"\xff\xda")


def film(frame: bytes) -> Dataset:
    dataset, _ = made_image("JPEGLosslessSV1")
    dataset.PixelData = encapsulate([frame])
    return dataset


@pytest.mark.parametrize("syntax", ["JPEGLossless", "JPEGLosslessSV1"])
def test_whole_frames_come_back_bit_for_bit(syntax: str) -> None:
    dataset, expected = made_image(syntax)
    np.testing.assert_array_equal(decode_stored_values(Path("1.dcm"), dataset), expected)


def test_a_12_bit_frame_cut_in_its_middle_or_of_8_bits_is_refused() -> None:
    dataset, _ = made_image("JPEGExtended12Bit")
    frame = base64.b64decode(samples()["JPEGExtended12Bit"])
    scan = frame.index(b"\xff\xda")
    half = frame[: scan + (len(frame) - scan) // 2] + b"\xff\xd9"
    for body in (half, base64.b64decode(samples()["JPEGBaseline8Bit"])):
        dataset.PixelData = encapsulate([body])
        with pytest.raises(DicomError, match=r"1\.dcm: .*cannot be decoded|1\.dcm: .*JPEG"):
            decode_stored_values(Path("1.dcm"), dataset)


def test_a_frame_that_ends_gdcm_is_refused_and_the_process_lives() -> None:
    """GDCM 3.2.6: "terminate called after throwing an instance of 'gdcm::Exception'", signal 6."""
    with pytest.raises(DicomError, match=r"1\.dcm: .*cannot be decoded \(gdcm apart: .*copy it again"):
        decode_stored_values(Path("1.dcm"), film(FATAL))


def test_looking_for_text_in_it_costs_the_file_alone() -> None:
    assert burned_in_reason(Path("1.dcm"), film(FRAME)) is None
    with pytest.raises(DicomError, match=r"1\.dcm: "):
        burned_in_reason(Path("1.dcm"), film(FATAL))


def test_a_frame_without_its_second_half_is_refused_though_gdcm_makes_up_the_rest() -> None:
    half = FRAME[: _SCAN + (len(FRAME) - _SCAN) // 2] + b"\xff\xd9"
    with pytest.raises(DicomError, match=r"1\.dcm: .*cannot be decoded .*damaged or cut short"):
        decode_stored_values(Path("1.dcm"), film(half))


def test_the_child_decodes_what_it_is_asked_and_nothing_else() -> None:
    dataset, expected = made_image("JPEGLosslessSV1")
    about = {
        "folder": "nowhere",
        **{"rows": 16, "columns": 24, "samples": 1, "planar": 0},
        **{"bits_allocated": 16, "bits_stored": 12, "is_signed": 0},
        **{"photometric": "MONOCHROME2", "syntax": str(dataset.file_meta.TransferSyntaxUID)},
    }
    answer = io.BytesIO()
    gdcm_child.main(io.BytesIO(json.dumps(about).encode() + b"\n" + FRAME), answer)
    assert answer.getvalue() == expected.astype("<u2").tobytes()


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (subprocess.TimeoutExpired("gdcm", 1), "no answer within 300 s"),
        (OSError(12, "Cannot allocate memory"), "Cannot allocate memory"),
    ],
)
def test_a_child_that_hangs_or_cannot_be_started_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, failure: Exception, said: str
) -> None:
    def run(*_: object, **__: object) -> None:
        raise failure

    monkeypatch.setattr(subprocess, "run", run)
    with caplog.at_level(logging.WARNING), pytest.raises(DicomError, match="cannot be decoded"):
        decode_stored_values(Path("1.dcm"), film(FRAME))
    assert said in caplog.text


def test_it_is_offered_once_and_for_lossless_and_12_bit_jpeg_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    gdcm_apart.offer()
    for syntax in (JPEGLossless, JPEGLosslessSV1, JPEGExtended12Bit):
        assert get_decoder(syntax).available_plugins.count(gdcm_apart.LABEL) == 1
    assert not gdcm_apart.is_available(JPEGLSLossless)
    monkeypatch.setattr(gdcm_apart.in_process, "is_available", lambda _: False)
    monkeypatch.setattr(Decoder, "available_plugins", ())
    gdcm_apart.offer()
    assert get_decoder(JPEGLossless).available_plugins == ()
