"""What is refused, and what the refusal says: the file, what was expected, what to do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import RLELossless

from mammo_monai.dicom import read_attributes, read_mammogram
from mammo_monai.dicom.reading import first_text
from mammo_monai.errors import DicomError
from tests.dicom_factory import grey_ramp, mammogram_dataset, write_bare, write_mammogram, write_scanned_film

REFUSED: dict[str, tuple[dict[str, object], str]] = {
    "another modality": (
        {"Modality": "CT"},
        r"expected Modality \(0008,0060\) MG, got CT.*leave this file",
    ),
    "no modality": (
        {"Modality": "", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"},
        r"expected Modality \(0008,0060\) MG, got none",
    ),
    "several frames": ({"NumberOfFrames": 40}, r"expected one frame, got 40 \(tomosynthesis.*2-D mammogram"),
    "no frame": ({"NumberOfFrames": 0}, r"Number of Frames \(0028,0008\) of 1, got 0\. Correct the tag"),
    "a tomosynthesis object": (
        {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.13.1.3"},
        "expected one frame, got 1 .*2-D mammogram or the synthesised view",
    ),
    "colour": (
        {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"},
        "MONOCHROME1 or MONOCHROME2, one channel, got RGB with 3 samples.*use the original image",
    ),
    "no photometric interpretation": (
        {"PhotometricInterpretation": None},
        "got none with 1 samples per pixel",
    ),
    "no rows": ({"Rows": None}, r"expected Rows \(0028,0010\) of at least 1, got none"),
    "no columns": ({"Columns": 0}, r"expected Columns \(0028,0011\) of at least 1, got none"),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("read", [read_mammogram, read_attributes])
def test_other_objects_are_refused(tmp_path: Path, name: str, read: object) -> None:
    tags, message = REFUSED[name]
    path = write_mammogram(tmp_path / "object.dcm", tags=tags)
    with pytest.raises(DicomError, match=rf"object\.dcm: .*{message}"):
        read(path)  # type: ignore[operator]


def test_a_mammography_object_without_modality_is_accepted(tmp_path: Path) -> None:
    assert read_attributes(write_mammogram(tmp_path / "1.dcm", tags={"Modality": None})).rows == 6


def test_a_count_that_is_no_number_is_damage(tmp_path: Path) -> None:
    path = write_mammogram(tmp_path / "1.dcm")
    raw = path.read_bytes()
    path.write_bytes(raw.replace(b"\x28\x00\x02\x00US\x02\x00\x01\x00", b"\x28\x00\x02\x00LO\x02\x00ab"))
    with pytest.raises(DicomError, match=r"expected a whole DICOM file.*ValueError"):
        read_attributes(path)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(DicomError, match=r"gone\.dcm: expected a DICOM file, found nothing there"):
        read_mammogram(tmp_path / "gone.dcm")
    with pytest.raises(DicomError, match=r"found a folder\. Check the path"):
        read_attributes(tmp_path)


def test_an_unreadable_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_mammogram(tmp_path / "1.dcm")

    def refuse(*_: object, **__: object) -> Dataset:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("mammo_monai.dicom.reading.read_bounded", refuse)  # root may read everything
    with pytest.raises(DicomError, match=r"1\.dcm: expected a readable file, got Permission denied"):
        read_mammogram(path)


@pytest.mark.parametrize("content", ["text", "zeros", "picture", "empty", "random"])
def test_files_that_are_no_dicom_are_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "note.dcm"
    if content == "picture":
        Image.fromarray(np.zeros((9, 7), dtype=np.uint8)).save(path, format="PNG")
    else:
        rng = np.random.default_rng(1)
        texts = {
            "text": b"Dear colleague,\n" * 50,
            "zeros": bytes(900),
            "empty": b"",
            "random": rng.bytes(900),
        }
        path.write_bytes(texts[content])
    with pytest.raises(
        DicomError, match=r"note\.dcm: expected a.*DICOM file.*(Give the original|copy it again)"
    ):
        read_mammogram(path)


def test_a_bare_header_without_an_image_is_refused(tmp_path: Path) -> None:
    dataset = mammogram_dataset(grey_ramp(), tags={"Rows": None})
    with pytest.raises(DicomError, match="got something else"):
        read_mammogram(write_bare(tmp_path / "1", dataset))


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
@pytest.mark.parametrize("kind", ["plain", "rle", "deflated"])
def test_a_file_cut_short_is_refused(tmp_path: Path, kind: str, share: float) -> None:
    noise = np.random.default_rng(2).integers(0, 16384, (40, 60)).astype(np.uint16)
    syntax = {"plain": "1.2.840.10008.1.2.1", "rle": RLELossless, "deflated": "1.2.840.10008.1.2.1.99"}[kind]
    path = write_mammogram(tmp_path / "1.dcm", noise, syntax=type(RLELossless)(syntax))
    raw = path.read_bytes()
    path.write_bytes(raw[: 132 + int((len(raw) - 132) * share)])
    with pytest.raises(DicomError, match=r"1\.dcm: expected .*"):
        read_mammogram(path)


def test_compressed_pixels_cut_short_are_called_damaged_and_not_no_mammogram(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 1 << 14, (60, 90)).astype(np.uint16)
    path = write_mammogram(tmp_path / "1.dcm", noise, syntax=RLELossless)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(DicomError, match=r"1\.dcm: expected a whole DICOM file.*copy it again"):
        read_mammogram(path)


def test_random_damage_gives_pixels_or_a_dicom_error_and_nothing_else(tmp_path: Path) -> None:
    path = write_scanned_film(tmp_path / "1.dcm", grey_ramp((20, 33), bits=16))
    raw, rng = path.read_bytes(), np.random.default_rng(3)
    outcomes: set[int | str] = set()
    for _ in range(300):
        damaged = bytearray(raw)
        for position in rng.integers(0, len(raw), rng.integers(1, 9)):
            damaged[position] = rng.integers(0, 256)
        path.write_bytes(damaged)
        try:
            outcomes.add(read_mammogram(path).pixels.ndim)
        except DicomError:
            outcomes.add("refused")
    assert outcomes == {2, "refused"}


def test_the_patient_name_never_reaches_a_message(tmp_path: Path) -> None:
    path = write_mammogram(tmp_path / "1.dcm", tags={"Modality": "CT"})
    assert dcmread(path).PatientName == "Nobody"
    with pytest.raises(DicomError) as refusal:
        read_mammogram(path)
    assert "Nobody" not in str(refusal.value)
    assert "patient-7" not in str(refusal.value)


def test_first_text_takes_the_first_value_and_knows_empty_ones() -> None:
    dataset = Dataset()
    dataset.WindowCenter = [3.0, 5.0]
    dataset.Modality = " MG "
    dataset.add_new("WindowWidth", "DS", [])
    assert first_text(dataset, "WindowCenter") == "3.0"
    assert first_text(dataset, "Modality") == "MG"
    assert first_text(dataset, "WindowWidth") == first_text(dataset, "PatientID") == ""
