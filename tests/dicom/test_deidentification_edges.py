"""What cannot be copied without patient data is refused with its reason."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from mammo_monai.dicom.deidentification.cleaning import clean_contribution
from mammo_monai.dicom.deidentification.files import deidentify_files
from mammo_monai.dicom.deidentification.profile import deidentified
from mammo_monai.dicom.deidentification.pseudonyms import Pseudonyms
from mammo_monai.dicom.deidentification.values import mapped
from mammo_monai.errors import DicomError
from mammo_monai.parts import part_name
from tests.dicom_factory import grey_ramp, mammogram_dataset, write_mammogram

NAMES = Pseudonyms("a salt of some length")


def reason(source: Path, folder: Path) -> str:
    found = deidentify_files([source], folder, NAMES)
    assert found.files == ()
    return found.refused[source]


def test_sources_that_are_not_there_or_hold_nothing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DicomError, match=r"gone: expected a DICOM file or a folder of them, found nothing"):
        deidentify_files([tmp_path / "gone"], tmp_path / "out", NAMES)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DicomError, match=r"empty: expected DICOM files, found none"):
        deidentify_files([tmp_path / "empty"], tmp_path / "out", NAMES)


def test_what_a_killed_command_left_in_a_folder_is_not_copied(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    film = write_mammogram(tmp_path / "in" / "film.dcm")
    (tmp_path / "in" / part_name("other.dcm")).write_bytes(film.read_bytes()[:-20])
    found = deidentify_files([tmp_path / "in"], tmp_path / "out", NAMES)
    assert (len(found.files), found.refused) == (1, {})


def test_no_dicom_no_identity_and_documents_are_refused_with_their_reason(tmp_path: Path) -> None:
    text = tmp_path / "note.dcm"
    text.write_text("no DICOM " * 40)
    assert "expected a DICOM file (DICM at byte 128)" in reason(text, tmp_path / "out")
    path = write_mammogram(tmp_path / "film.dcm")
    film = mammogram_dataset(grey_ramp((20, 12)))
    del film.SOPInstanceUID
    film.save_as(path, enforce_file_format=True)
    assert "expected SOP class and instance UID, got none" in reason(path, tmp_path / "out")
    film = mammogram_dataset(grey_ramp((20, 12)))
    film.SOPClassUID = "1.2.840.10008.5.1.4.1.1.104.1"
    film.save_as(path, enforce_file_format=True)
    assert "got an encapsulated document" in reason(path, tmp_path / "out")


def test_an_unknown_option_is_refused() -> None:
    with pytest.raises(ValueError, match="keep must be among longitudinal-dates, got names"):
        deidentified(mammogram_dataset(grey_ramp((20, 12))), NAMES, keep=("names",))


def test_values_of_unknown_representation_go_and_every_uid_of_a_list_is_mapped() -> None:
    film = mammogram_dataset(grey_ramp((20, 12)))
    unknown = DataElement(0x00181030, "LO", "DOE^JANE")
    unknown.VR = "UN"
    film.add(unknown)
    assert 0x00181030 not in deidentified(film, NAMES)
    several = mapped(DataElement(0x00081250, "UI", ["1.2.3", "1.2.4"]), NAMES)
    assert list(several.value) == [NAMES.uid("1.2.3"), NAMES.uid("1.2.4")]


def test_a_contribution_keeps_no_free_text() -> None:
    item = Dataset()
    item.ContributionDescription = "asked by Dr Doe"
    clean_contribution(item)
    assert "Doe" not in item.ContributionDescription
