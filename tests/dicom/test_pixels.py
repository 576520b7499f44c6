"""Grey values: every transformation in its order, over its own range."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from mammo_monai.dicom import read_mammogram
from mammo_monai.errors import DicomError
from tests.dicom_factory import (
    grey_ramp,
    lut_item,
    mammogram_dataset,
    write_bare,
    write_mammogram,
    write_scanned_film,
)

SYNTAXES = (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    RLELossless,
)


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: syntax.name)
@pytest.mark.parametrize(("bits", "signed"), [(8, False), (12, False), (14, False), (16, False), (16, True)])
def test_stored_values_come_back_in_every_syntax(
    tmp_path: Path, syntax: UID, bits: int, signed: bool
) -> None:
    stored = grey_ramp(bits=bits, signed=signed)
    mammogram = read_mammogram(write_mammogram(tmp_path / "a.dcm", stored, bits_stored=bits, syntax=syntax))
    np.testing.assert_array_equal(mammogram.pixels, stored.astype(np.float32))
    assert mammogram.pixels.dtype == np.float32
    assert mammogram.pixels.flags.c_contiguous
    assert mammogram.output_range == (float(stored.min()), float(stored.max()))


def test_output_range_is_of_the_bits_and_not_of_the_content(tmp_path: Path) -> None:
    dim = np.full((3, 5), 100, dtype=np.uint16)
    assert read_mammogram(write_mammogram(tmp_path / "a.dcm", dim)).output_range == (0.0, 16383.0)


def test_monochrome1_is_inverted_over_the_stored_range(tmp_path: Path) -> None:
    dim = np.array([[0, 100, 200], [5, 6, 7]], dtype=np.uint16)
    mammogram = read_mammogram(write_mammogram(tmp_path / "a.dcm", dim, photometric="MONOCHROME1"))
    np.testing.assert_array_equal(mammogram.pixels, 16383 - dim.astype(np.float32))
    assert mammogram.attributes.photometric_interpretation == "MONOCHROME1"


def test_monochrome1_is_inverted_over_the_range_of_the_voi_lut(tmp_path: Path) -> None:
    stored = grey_ramp(bits=14)
    entries = (np.arange(16384) * 3).astype(np.uint16)
    tags = {"VOILUTSequence": lut_item(entries, bits=16)}
    path = write_mammogram(tmp_path / "a.dcm", stored, photometric="MONOCHROME1", tags=tags)
    mammogram = read_mammogram(path)
    np.testing.assert_array_equal(mammogram.pixels, 65535 - 3 * stored.astype(np.float32))
    assert mammogram.output_range == (0.0, 65535.0)
    assert mammogram.pixels.min() >= 0


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize(("slope", "intercept"), [(1, 0), (2, -50), (0.5, 10), (-1, 16383)])
def test_rescale_agrees_with_pydicom(tmp_path: Path, signed: bool, slope: float, intercept: float) -> None:
    stored = grey_ramp(bits=14, signed=signed)
    tags = {"RescaleSlope": str(slope), "RescaleIntercept": str(intercept)}
    path = write_mammogram(tmp_path / "a.dcm", stored, tags=tags)
    mammogram = read_mammogram(path)
    np.testing.assert_allclose(mammogram.pixels, apply_modality_lut(stored, dcmread(path)), rtol=1e-6)
    low, high = sorted((float(stored.min()) * slope + intercept, float(stored.max()) * slope + intercept))
    assert mammogram.output_range == (low, high)


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID", None])
@pytest.mark.parametrize(("center", "width"), [("8000", "4000"), ("100.5", "37.5"), ("0", "1"), ("9", "3e4")])
def test_windows_agree_with_pydicom(tmp_path: Path, function: str | None, center: str, width: str) -> None:
    stored = grey_ramp((20, 31), bits=14)
    tags = {"WindowCenter": center, "WindowWidth": width, "VOILUTFunction": function}
    path = write_mammogram(tmp_path / "a.dcm", stored, tags=tags)
    mammogram = read_mammogram(path)
    expected = apply_voi_lut(stored, dcmread(path))
    np.testing.assert_allclose(mammogram.pixels, expected, rtol=1e-5, atol=1e-3)
    assert mammogram.output_range == (0.0, 16383.0)


def test_the_first_of_several_windows_is_used(tmp_path: Path) -> None:
    one = write_mammogram(tmp_path / "1.dcm", tags={"WindowCenter": "8000", "WindowWidth": "4000"})
    tags = {"WindowCenter": ["8000", "100"], "WindowWidth": ["4000", "10"]}
    two = write_mammogram(tmp_path / "2.dcm", tags=tags)
    np.testing.assert_array_equal(read_mammogram(one).pixels, read_mammogram(two).pixels)


def test_a_voi_lut_comes_before_a_window(tmp_path: Path) -> None:
    entries = np.arange(16384, dtype=np.uint16)[::-1].copy()
    tags = {"VOILUTSequence": lut_item(entries, bits=14), "WindowCenter": "5", "WindowWidth": "3"}
    stored = grey_ramp()
    pixels = read_mammogram(write_mammogram(tmp_path / "a.dcm", stored, tags=tags)).pixels
    np.testing.assert_array_equal(pixels, 16383 - stored.astype(np.float32))


@pytest.mark.parametrize("vr", ["US", "OW"])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_voi_luts_agree_with_pydicom(tmp_path: Path, vr: str, syntax: UID) -> None:
    stored = grey_ramp()
    entries = np.sort(np.random.default_rng(5).integers(0, 4096, 12000)).astype(np.uint16)
    tags = {"VOILUTSequence": lut_item(entries, first=1500, bits=12, vr=vr)}
    path = write_mammogram(tmp_path / "a.dcm", stored, syntax=syntax, tags=tags)
    mammogram = read_mammogram(path)
    np.testing.assert_array_equal(mammogram.pixels, apply_voi_lut(stored, dcmread(path)))
    assert mammogram.output_range == (0.0, 4095.0)


def test_a_voi_lut_in_big_endian_keeps_its_entries(tmp_path: Path) -> None:
    entries = np.arange(16384, dtype=np.uint16)
    tags = {"VOILUTSequence": lut_item(entries, bits=14)}
    path = write_mammogram(tmp_path / "a.dcm", syntax=ExplicitVRBigEndian, tags=tags)
    np.testing.assert_array_equal(read_mammogram(path).pixels, grey_ramp().astype(np.float32))


def test_a_lut_of_packed_bytes_is_read_entry_by_entry(tmp_path: Path) -> None:
    stored = grey_ramp(bits=8)
    entries = np.arange(256, dtype=np.uint8)[::-1].copy()
    tags = {"VOILUTSequence": lut_item(entries, bits=8, vr="OW")}
    mammogram = read_mammogram(write_mammogram(tmp_path / "a.dcm", stored, bits_stored=8, tags=tags))
    np.testing.assert_array_equal(mammogram.pixels, 255 - stored.astype(np.float32))
    assert mammogram.output_range == (0.0, 255.0)


def test_a_lut_may_begin_below_zero(tmp_path: Path) -> None:
    stored = grey_ramp(bits=8, signed=True).astype(np.int16)
    entries = np.arange(256, dtype=np.uint16) * 2
    tags = {"VOILUTSequence": lut_item(entries, first=-128, bits=10)}
    pixels = read_mammogram(write_mammogram(tmp_path / "a.dcm", stored, bits_stored=12, tags=tags)).pixels
    np.testing.assert_array_equal(pixels, (stored.astype(np.float32) + 128) * 2)


def test_a_first_input_written_unsigned_beside_signed_values_is_negative(tmp_path: Path) -> None:
    stored = grey_ramp(bits=8, signed=True).astype(np.int16)
    item = lut_item(np.arange(256, dtype=np.uint16), first=65536 - 128, bits=8)
    path = tmp_path / "a.dcm"
    # Implicit VR: the reader must decide between US and SS itself.
    write_mammogram(
        path, stored, bits_stored=12, syntax=ImplicitVRLittleEndian, tags={"VOILUTSequence": item}
    )
    np.testing.assert_array_equal(read_mammogram(path).pixels, stored.astype(np.float32) + 128)
    write_mammogram(path, stored, bits_stored=12, tags={"VOILUTSequence": item})
    np.testing.assert_array_equal(read_mammogram(path).pixels, stored.astype(np.float32) + 128)


def test_a_count_above_32767_beside_signed_values_is_not_negative(tmp_path: Path) -> None:
    """In implicit VR the whole descriptor is read as SS where pixels are signed."""
    stored = np.array([[-5, 0, 100, 30000]], dtype=np.int16)
    item = lut_item(np.arange(40000, dtype=np.uint16), first=-5, vr="OW")
    path = write_mammogram(
        tmp_path / "a.dcm",
        stored,
        bits_stored=16,
        syntax=ImplicitVRLittleEndian,
        tags={"VOILUTSequence": item},
    )
    np.testing.assert_array_equal(read_mammogram(path).pixels, [[0, 5, 105, 30005]])


def test_a_lut_of_65536_entries_has_the_count_0(tmp_path: Path) -> None:
    stored = grey_ramp(bits=16)
    tags = {"VOILUTSequence": lut_item(np.arange(65536, dtype=np.uint16), vr="OW")}
    mammogram = read_mammogram(write_mammogram(tmp_path / "a.dcm", stored, bits_stored=16, tags=tags))
    np.testing.assert_array_equal(mammogram.pixels, stored.astype(np.float32))


def test_entries_beyond_the_declared_bits_stay_within_the_range(tmp_path: Path) -> None:
    entries = np.linspace(0, 4000, 16384).astype(np.uint16)
    tags = {"VOILUTSequence": lut_item(entries, bits=10)}
    assert read_mammogram(write_mammogram(tmp_path / "a.dcm", tags=tags)).output_range == (0.0, 4095.0)


def test_modality_lut_then_window(tmp_path: Path) -> None:
    stored = grey_ramp()
    entries = (np.arange(16384) // 4).astype(np.uint16)
    tags = {
        "ModalityLUTSequence": lut_item(entries, bits=12),
        "WindowCenter": "2048",
        "WindowWidth": "4096",
        "VOILUTFunction": "LINEAR_EXACT",
    }
    mammogram = read_mammogram(write_mammogram(tmp_path / "a.dcm", stored, tags=tags))
    expected = (stored // 4).astype(np.float64) / 4096 * 4095
    np.testing.assert_allclose(mammogram.pixels, expected, rtol=1e-5)
    assert mammogram.output_range == (0.0, 4095.0)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_is_background_in_either_photometric(tmp_path: Path, photometric: str) -> None:
    stored = np.array([[7, 9, 5000], [16383, 12, 300]], dtype=np.uint16)
    tags = {"PixelPaddingValue": 9, "PixelPaddingRangeLimit": 12}
    path = write_mammogram(tmp_path / "a.dcm", stored, photometric=photometric, tags=tags)
    pixels = read_mammogram(path).pixels
    assert pixels[0, 1] == pixels[1, 1] == 0.0
    assert pixels[0, 2] == (16383 - 5000 if photometric == "MONOCHROME1" else 5000)


def test_one_padding_value_of_a_signed_image(tmp_path: Path) -> None:
    stored = np.array([[-2000, 5, 6]], dtype=np.int16)
    tags = {"PixelPaddingValue": -2000}
    pixels = read_mammogram(write_mammogram(tmp_path / "a.dcm", stored, bits_stored=12, tags=tags)).pixels
    np.testing.assert_array_equal(pixels, [[-2048, 5, 6]])


def test_bits_above_bits_stored_are_ignored(tmp_path: Path) -> None:
    stored = np.array([[1, 2, 3]], dtype=np.uint16)
    path = write_mammogram(tmp_path / "a.dcm", stored | 0xC000)
    np.testing.assert_array_equal(read_mammogram(path).pixels, [[1, 2, 3]])


def test_a_padding_value_written_unsigned_beside_signed_pixels_is_negative(tmp_path: Path) -> None:
    stored = np.array([[-2000, -1990, 5, 6]], dtype=np.int16)
    dataset = mammogram_dataset(stored, bits_stored=12)
    dataset.add_new("PixelPaddingValue", "US", 65536 - 2000)
    dataset.add_new("PixelPaddingRangeLimit", "US", 65536 - 1990)
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    np.testing.assert_array_equal(read_mammogram(tmp_path / "a.dcm").pixels, [[-2048, -2048, 5, 6]])


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless])
@pytest.mark.parametrize("signed", [False, True])
def test_bits_at_the_top_of_the_word_are_read_where_high_bit_says_so(
    tmp_path: Path, signed: bool, syntax: UID
) -> None:
    stored = grey_ramp(bits=12, signed=signed)
    path = write_mammogram(
        tmp_path / "a.dcm", stored << 4, bits_stored=12, syntax=syntax, tags={"HighBit": 15}
    )
    mammogram = read_mammogram(path)
    np.testing.assert_array_equal(mammogram.pixels, stored.astype(np.float32))
    assert mammogram.output_range == (stored.min(), stored.max())


@pytest.mark.parametrize("high_bit", [15, 7, 99])
def test_a_high_bit_that_the_pixels_contradict_is_passed_over(tmp_path: Path, high_bit: int) -> None:
    stored = grey_ramp(bits=12)
    path = write_mammogram(tmp_path / "a.dcm", stored, bits_stored=12, tags={"HighBit": high_bit})
    np.testing.assert_array_equal(read_mammogram(path).pixels, stored.astype(np.float32))


def test_missing_intent_is_accepted_and_for_processing_refused(tmp_path: Path) -> None:
    film = read_mammogram(write_scanned_film(tmp_path / "film.dcm"))
    assert film.attributes.presentation_intent is None
    raw = write_mammogram(tmp_path / "raw.dcm", tags={"PresentationIntentType": "FOR PROCESSING"})
    with pytest.raises(
        DicomError, match=r"raw\.dcm.*FOR PROCESSING.*FOR PRESENTATION image of the same"
    ) as refused:
        read_mammogram(raw)
    assert "require_" not in str(refused.value), "whoever typed a command has no parameter to pass"
    np.testing.assert_array_equal(read_mammogram(raw, require_presentation=False).pixels, grey_ramp())


@pytest.mark.parametrize(
    ("implicit", "little"), [(True, True), (False, True), (False, False)], ids=["implicit", "explicit", "big"]
)
def test_files_without_preamble_are_read(tmp_path: Path, implicit: bool, little: bool) -> None:
    syntax = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
    dataset = mammogram_dataset(grey_ramp(), syntax=syntax)
    path = write_bare(tmp_path / "bare.dcm", dataset, implicit=implicit, little=little)
    np.testing.assert_array_equal(read_mammogram(path).pixels, grey_ramp().astype(np.float32))


BROKEN_TAGS = {
    "slope of zero": (
        {"RescaleSlope": "0", "RescaleIntercept": "1"},
        "Rescale Slope must be finite and not 0",
    ),
    "window of zero": ({"WindowCenter": "5", "WindowWidth": "0"}, "Window Width must be at least 1"),
    "unknown function": (
        {"WindowCenter": "5", "WindowWidth": "9", "VOILUTFunction": "CUBIC"},
        "VOI LUT Function must be LINEAR, LINEAR_EXACT or SIGMOID, got another term",
    ),
}


@pytest.mark.parametrize("name", BROKEN_TAGS)
def test_broken_grey_scale_tags_are_refused_with_their_name(tmp_path: Path, name: str) -> None:
    tags, message = BROKEN_TAGS[name]
    dataset = mammogram_dataset(grey_ramp(), tags=tags)
    path = tmp_path / "a.dcm"
    dataset.save_as(path, enforce_file_format=True)
    with pytest.raises(DicomError, match=f"a.dcm: .*{message}.*"):
        read_mammogram(path)


def test_32_bits_allocated_are_refused(tmp_path: Path) -> None:
    path = write_mammogram(tmp_path / "a.dcm", grey_ramp().astype(np.uint32), bits_stored=20)
    with pytest.raises(DicomError, match="Bits Allocated 8 or 16 and Bits Stored within, got 32 and 20"):
        read_mammogram(path)


def test_a_lut_shorter_than_its_descriptor_is_refused(tmp_path: Path) -> None:
    item = lut_item(np.arange(100, dtype=np.uint16))
    item[0].LUTDescriptor = [300, 0, 16]
    with pytest.raises(DicomError, match="LUT Data must hold 300 entries of 8 or 16 bits, got 200 bytes"):
        read_mammogram(write_mammogram(tmp_path / "a.dcm", tags={"VOILUTSequence": item}))


def test_a_descriptor_of_two_numbers_is_refused(tmp_path: Path) -> None:
    item = lut_item(np.arange(100, dtype=np.uint16))
    item[0].LUTDescriptor = [100, 0]
    with pytest.raises(DicomError, match="LUT Descriptor must hold 3 numbers, got 2"):
        read_mammogram(write_mammogram(tmp_path / "a.dcm", tags={"VOILUTSequence": item}))
