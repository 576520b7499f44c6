"""Files that claim or inflate to more than any image: refused by name, in bounded time and memory."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import DeflatedExplicitVRLittleEndian

from mammo_monai.dicom import bounded, read_attributes, read_mammogram
from mammo_monai.dicom.bounded import read_bounded
from mammo_monai.dicom.decoders import decode_stored_values
from mammo_monai.dicom.segmentation import read_segmentation
from mammo_monai.dicom.wholeness import check_whole
from mammo_monai.errors import DicomError
from tests.dicom_factory import code_item, grey_ramp, mammogram_dataset, write_mammogram

READERS = (read_mammogram, read_attributes, check_whole, read_segmentation)


def deflated_zeros(path: Path, mebibytes: int) -> Path:
    """A file whose data set is nothing but zeros: a kilobyte for each mebibyte."""
    whole = write_mammogram(path, syntax=DeflatedExplicitVRLittleEndian).read_bytes()
    meta_bytes = 144 + struct.unpack("<L", whole[140:144])[0]
    deflater = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = deflater.compress(bytes(1 << 20)) + deflater.flush(zlib.Z_FULL_FLUSH)
    path.write_bytes(whole[:meta_bytes] + block * mebibytes + deflater.flush())
    return path


@pytest.mark.parametrize("read", READERS)
def test_a_file_that_inflates_to_gigabytes_is_refused(
    tmp_path: Path, read: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded, "MAX_INFLATED_BYTES", 3 << 20)
    path = deflated_zeros(tmp_path / "bomb.dcm", 5)
    assert path.stat().st_size < 10_000
    with pytest.raises(DicomError, match=r"bomb\.dcm: expected a deflated image of at most 3 MiB"):
        read(path)  # type: ignore[operator]


@pytest.mark.parametrize(
    "tail", [b"\0" * 20_000_000, b"\xff" * 5000, b"hello world\n" * 30, bytes(range(256)) * 9]
)
def test_what_stands_behind_the_pixels_is_passed_over(tmp_path: Path, tail: bytes) -> None:
    path = write_mammogram(tmp_path / "tail.dcm")
    expected = read_mammogram(path).pixels
    path.write_bytes(path.read_bytes() + tail)
    np.testing.assert_array_equal(read_mammogram(path).pixels, expected)
    check_whole(path)


@pytest.mark.parametrize("read", READERS)
def test_zeros_that_parse_as_a_million_empty_elements_are_refused(
    tmp_path: Path, read: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a download leaves that was given its full length before it broke off."""
    monkeypatch.setattr(bounded, "MAX_READS", 30_000)
    path = write_mammogram(tmp_path / "filled.dcm")
    path.write_bytes(path.read_bytes()[:400] + bytes(1 << 20))
    with pytest.raises(
        DicomError, match=r"filled\.dcm: expected the elements of an image, got more than 10000"
    ):
        read(path)  # type: ignore[operator]


def test_few_bytes_may_not_inflate_as_far_as_many(tmp_path: Path) -> None:
    with pytest.raises(DicomError, match=r"bomb\.dcm: expected a deflated image of at most 128 MiB"):
        check_whole(deflated_zeros(tmp_path / "bomb.dcm", 140))


def test_zeros_within_a_deflated_file_are_counted_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded, "MAX_READS", 30_000)
    with pytest.raises(DicomError, match=r"zeros\.dcm: expected the elements of an image"):
        read_mammogram(deflated_zeros(tmp_path / "zeros.dcm", 1))


def test_a_sequence_of_too_many_items_is_refused(tmp_path: Path) -> None:
    """Items are made when the sequence is asked for: a hundred thousand take seconds."""
    path = write_mammogram(tmp_path / "items.dcm", tags={"ViewCodeSequence": code_item("1")})
    item = struct.pack("<HHL", 0xFFFE, 0xE000, 0)
    whole = path.read_bytes()
    at = whole.index(b"\x54\x00\x20\x02SQ")
    length = struct.unpack("<L", whole[at + 8 : at + 12])[0]
    many = struct.pack("<L", len(item) * 150_000) + item * 150_000
    path.write_bytes(whole[: at + 8] + many + whole[at + 12 + length :])
    for read in (read_mammogram, read_attributes):
        with pytest.raises(DicomError, match=r"items\.dcm: expected sequences of at most 100000 items"):
            read(path)


def test_more_pixels_than_the_largest_film_are_refused(tmp_path: Path) -> None:
    path = write_mammogram(tmp_path / "huge.dcm", tags={"Rows": 65535, "Columns": 65535})
    for read in (read_mammogram, read_attributes):
        with pytest.raises(DicomError, match=r"huge\.dcm: expected at most 134217728 pixels.*65535 × 65535"):
            read(path)


def test_pixels_of_more_than_the_largest_film_are_not_decoded() -> None:
    dataset = mammogram_dataset(grey_ramp(), tags={"Rows": 65535, "Columns": 4000})
    with pytest.raises(DicomError, match=r"1\.dcm: expected at most 134217728 pixels.*65535 × 4000"):
        decode_stored_values(Path("1.dcm"), dataset)


@pytest.mark.parametrize(
    ("tags", "said"), [({}, "at most 512 MiB, got a file of 600 MiB"), ({"NumberOfFrames": 9}, "one frame")]
)
def test_a_file_larger_than_any_mammogram_is_not_loaded(
    tmp_path: Path, tags: dict[str, object], said: str
) -> None:
    path = write_mammogram(tmp_path / "large.dcm", tags=tags)
    with path.open("r+b") as stream:
        stream.truncate(600 << 20)
    with pytest.raises(DicomError, match=rf"large\.dcm: expected .*{said}"):
        read_mammogram(path)
    if not tags:
        assert read_attributes(path).rows == 6


def test_a_deflated_mammogram_is_read_as_pydicom_reads_it(tmp_path: Path) -> None:
    path = write_mammogram(tmp_path / "1.dcm", syntax=DeflatedExplicitVRLittleEndian)
    dataset = read_bounded(path, name=path)
    assert dataset == dcmread(path)
    assert dataset.file_meta == dcmread(path).file_meta
    assert dataset.filename == str(path)
    np.testing.assert_array_equal(read_mammogram(path).pixels, grey_ramp().astype(np.float32))


def test_the_name_of_the_deflated_syntax_elsewhere_deflates_nothing(tmp_path: Path) -> None:
    path = write_mammogram(tmp_path / "1.dcm", tags={"PatientComments": DeflatedExplicitVRLittleEndian})
    assert read_bounded(path, name=path) == dcmread(path)


def test_a_deflated_stream_without_its_end_is_damage(tmp_path: Path) -> None:
    path = write_mammogram(tmp_path / "1.dcm", syntax=DeflatedExplicitVRLittleEndian)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DicomError, match=r"1\.dcm: expected a whole DICOM file.*incomplete or truncated"):
        read_mammogram(path)


@pytest.mark.parametrize("depth", [500, 5000, 100_000])
def test_sequences_in_sequences_without_end_are_damage(tmp_path: Path, depth: int) -> None:
    path = write_mammogram(tmp_path / "deep.dcm")
    whole = path.read_bytes()
    at = whole.index(b"\x28\x00\x02\x00US")
    level = b"\x08\x00\x12\x21SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    path.write_bytes(whole[:at] + level * depth + whole[at:])
    for read in (read_mammogram, read_attributes):
        with pytest.raises(DicomError, match=r"deep\.dcm: expected a"):
            read(path)


def test_a_stream_is_left_where_reading_stopped() -> None:
    stream = io.BytesIO()
    mammogram_dataset(grey_ramp()).save_as(stream, enforce_file_format=True)
    stream.seek(0)
    read_bounded(stream, name=Path("1.dcm"), headers_only=True)
    assert stream.read(4) == b"\xe0\x7f\x10\x00"


def test_an_ordinary_nested_header_passes(tmp_path: Path) -> None:
    items = Sequence([Dataset() for _ in range(2000)])
    for number, item in enumerate(items):
        item.CodeValue = str(number)
    path = write_mammogram(tmp_path / "1.dcm", tags={"AcquisitionContextSequence": items})
    assert len(read_bounded(path, name=path).AcquisitionContextSequence) == 2000
