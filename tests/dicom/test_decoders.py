"""Decoders: the fastest that is safe, the same bits from each, and an error that says what to install."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.pixels.decoders.base import Decoder, get_decoder
from pydicom.pixels.encoders.base import get_encoder
from pydicom.uid import (
    MPEG2MPML,
    UID,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from mammo_monai.dicom import decoders, gdcm_apart, read_mammogram
from mammo_monai.dicom.decoders import decode_stored_values, plugin_for_all, plugin_for_frame
from mammo_monai.doctor.decoders import made_image
from mammo_monai.errors import DicomError
from tests.dicom_factory import grey_ramp, mammogram_dataset, write_mammogram, write_scanned_film

RLELosslessDecoder = get_decoder(RLELossless)


class PanicException(BaseException):
    """As a Rust decoder's panic arrives in Python."""


def noise(shape: tuple[int, int] = (31, 45)) -> NDArray[np.uint16]:
    rng = np.random.default_rng(4)
    values = rng.integers(0, 65536, shape).astype(np.uint16)
    values[5:12] = 7  # runs beside literals
    return values


@pytest.mark.parametrize("plugin", RLELosslessDecoder.available_plugins)
def test_every_installed_rle_decoder_gives_the_same_bits(tmp_path: Path, plugin: str) -> None:
    path = write_scanned_film(tmp_path / "1.dcm", noise())
    values = decoders._decode(RLELosslessDecoder, dcmread(path), plugin)
    np.testing.assert_array_equal(values, noise())
    np.testing.assert_array_equal(values, decode_stored_values(path, dcmread(path)))
    assert values.dtype == np.uint16


@pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEG2000Lossless], ids=lambda syntax: syntax.name)
@pytest.mark.parametrize("bits", [8, 14, 16])
def test_lossless_compression_returns_the_same_bits(tmp_path: Path, syntax: UID, bits: int) -> None:
    if not get_encoder(syntax).is_available or not get_decoder(syntax).is_available:
        pytest.skip(f"no codec installed for {syntax.name}: pip install mammo-monai[decoders]")
    stored = grey_ramp((64, 96), bits=bits)  # the JPEG 2000 encoder wants at least 32
    path = write_mammogram(tmp_path / "1.dcm", stored, bits_stored=bits, syntax=syntax)
    np.testing.assert_array_equal(read_mammogram(path).pixels, stored.astype(np.float32))


def test_the_fastest_decoder_comes_first_and_the_others_follow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Decoder, "available_plugins", ("pydicom", "pylibjpeg", "gdcm"))
    assert decoders._plugins_of(RLELosslessDecoder) == ("pylibjpeg", "pydicom")


def test_a_decoder_that_can_end_the_process_is_never_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Decoder, "available_plugins", ("gdcm", "pillow"))
    assert decoders._plugins_of(get_decoder(JPEGBaseline8Bit)) == ("pillow",)
    monkeypatch.setattr(Decoder, "available_plugins", ("gdcm", "gdcm apart"))
    assert decoders._plugins_of(get_decoder(JPEGLosslessSV1)) == ("gdcm apart",)


def test_where_it_is_the_only_one_the_safe_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = mammogram_dataset(grey_ramp())
    dataset.file_meta.TransferSyntaxUID = JPEGLSLossless
    monkeypatch.setattr(Decoder, "available_plugins", ("gdcm",))
    with pytest.raises(DicomError, match=r"1\.dcm.*Install the decoder \(pip install pyjpegls\)"):
        decode_stored_values(Path("1.dcm"), dataset)


@pytest.mark.parametrize("failure", [ValueError("broken"), PanicException("index out of bounds")])
def test_a_decoder_that_fails_is_followed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    path = write_scanned_film(tmp_path / "1.dcm", noise())
    whole = decoders._decode

    def decode(decoder: Decoder, dataset: Dataset, plugin: str) -> NDArray[np.integer]:
        if plugin == "fast":
            raise failure
        return whole(decoder, dataset, "pydicom")

    monkeypatch.setattr(decoders, "_plugins_of", lambda _: ("fast", "pydicom"))
    monkeypatch.setattr(decoders, "_decode", decode)
    np.testing.assert_array_equal(read_mammogram(path).pixels, noise().astype(np.float32))


def test_an_interrupt_is_not_taken_for_a_decoding_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> NDArray[np.integer]:
        raise KeyboardInterrupt

    monkeypatch.setattr(decoders, "_decode", interrupt)
    with pytest.raises(KeyboardInterrupt):
        read_mammogram(write_scanned_film(tmp_path / "1.dcm"))


def test_a_decoder_giving_another_shape_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shape = np.zeros((10, 6), dtype=np.uint16)
    monkeypatch.setattr(Decoder, "as_array", lambda *_, **__: (shape, {}))
    with pytest.raises(DicomError, match=r"expected 6 × 10 pixels .*decoded shape \(10, 6\)"):
        read_mammogram(write_mammogram(tmp_path / "1.dcm"))


def test_no_pixel_data_is_named(tmp_path: Path) -> None:
    path = write_mammogram(tmp_path / "1.dcm", tags={"PixelData": None})
    with pytest.raises(DicomError, match=r"1\.dcm: expected Pixel Data \(7FE0,0010\), got none"):
        read_mammogram(path)


@pytest.mark.parametrize(
    ("syntax", "package"),
    [
        (JPEG2000Lossless, "pylibjpeg pylibjpeg-openjpeg"),
        (JPEGLosslessSV1, "python-gdcm"),
        (JPEGLSLossless, "pyjpegls"),
        (RLELossless, None),
    ],
)
def test_a_syntax_without_decoder_names_itself_and_the_package(
    monkeypatch: pytest.MonkeyPatch, syntax: str, package: str | None
) -> None:
    dataset = mammogram_dataset(grey_ramp())
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
    monkeypatch.setattr(Decoder, "is_available", False)
    remedy = rf"Install the decoder \(pip install {package}\), or convert" if package else "Convert the file"
    with pytest.raises(DicomError, match=rf"1\.dcm.*got .*\({syntax}\)\. {remedy}"):
        decode_stored_values(Path("1.dcm"), dataset)


def test_12_bit_jpeg_is_read_by_gdcm_apart_alone() -> None:
    pytest.importorskip("gdcm")
    dataset, expected = made_image("JPEGExtended12Bit")
    for name in (plugin_for_frame(Path("1.dcm"), dataset, 0), plugin_for_all(Path("1.dcm"), dataset)):
        assert name == gdcm_apart.LABEL
    found = decode_stored_values(Path("1.dcm"), dataset)
    assert found.dtype == np.uint16
    assert np.abs(found.astype(int) - expected).max() <= 1  # lossy, at quality 95


def test_12_bit_jpeg_without_gdcm_names_the_package_and_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoders, "_plugins_of", lambda _: ("pillow",))
    dataset, _ = made_image("JPEGExtended12Bit")
    for read in (decode_stored_values, partial(plugin_for_frame, index=0)):
        with pytest.raises(DicomError, match=r"1\.dcm: .*of 12 bits\. .*python-gdcm\), or .*dcmdjpeg"):
            read(Path("1.dcm"), dataset)


def test_its_8_bit_form_is_read_and_never_by_what_can_end_the_process() -> None:
    dataset, expected = made_image("JPEGBaseline8Bit")
    dataset.file_meta.TransferSyntaxUID = JPEGExtended12Bit
    assert plugin_for_frame(Path("1.dcm"), dataset, 0) == "pillow"
    assert np.abs(decode_stored_values(Path("1.dcm"), dataset).astype(int) - expected).max() <= 8


def test_lossy_jpeg_under_a_lossless_name_reaches_no_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset, _ = made_image("JPEGExtended12Bit")
    dataset.file_meta.TransferSyntaxUID = JPEGLossless
    monkeypatch.setattr(Decoder, "is_available", True)
    monkeypatch.setattr(decoders, "_plugins_of", lambda _: ("one",))
    monkeypatch.setattr(decoders, "_decode", lambda *_: pytest.fail("a decoder was asked"))
    with pytest.raises(DicomError, match="no whole JPEG header of its transfer syntax"):
        decode_stored_values(Path("1.dcm"), dataset)


@pytest.mark.parametrize("syntax", [MPEG2MPML, "1.2.3", ""])
def test_a_syntax_that_is_not_for_still_images_is_named(syntax: str) -> None:
    dataset = mammogram_dataset(grey_ramp())
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
    with pytest.raises(DicomError, match=rf"expected a transfer syntax.*\({syntax or 'no UID'}\).*onvert"):
        decode_stored_values(Path("1.dcm"), dataset)


def test_a_frame_is_also_looked_at_where_an_extended_table_says_it_is(tmp_path: Path) -> None:
    """Source: DICOM PS3.3 C.7.6.3: offsets from the first fragment, lengths without padding, 64 bits each."""
    dataset = mammogram_dataset(grey_ramp((64, 80)), syntax=JPEG2000Lossless)
    frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    dataset.ExtendedOffsetTable = (0).to_bytes(8, "little")
    dataset.ExtendedOffsetTableLengths = len(frame).to_bytes(8, "little")
    path = tmp_path / "extended.dcm"
    dataset.save_as(path, enforce_file_format=True)
    assert read_mammogram(path).pixels.shape == (64, 80)
    dataset.ExtendedOffsetTableLengths = (4).to_bytes(8, "little")
    dataset.save_as(path, enforce_file_format=True)
    with pytest.raises(DicomError, match=r"extended\.dcm"):
        read_mammogram(path)
