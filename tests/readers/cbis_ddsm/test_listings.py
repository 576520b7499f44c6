"""Listings of the downloads lead to files whose folders say nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from mammo_monai.readers.audit import Audit
from mammo_monai.readers.cbis_ddsm.listings import read_listings
from mammo_monai.readers.file_index import FileIndex


def index_of(root: Path, *files: str) -> FileIndex:
    for name in files:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    index = FileIndex(root)
    read_listings(index, Audit())
    return index


@pytest.mark.parametrize(
    "location", [r".\CBIS-DDSM\old name\st-1\se-1", "./CBIS-DDSM/old name/st-1/se-1", "/abs/st-1/se-1/"]
)
def test_a_series_is_found_by_its_last_two_folders_first(tmp_path: Path, location: str) -> None:
    (tmp_path / "metadata.csv").write_text(f"Series UID,Subject ID,File Location\n1.2.3,Case_1,{location}\n")
    index = index_of(tmp_path, "new/st-1/se-1/1-1.dcm", "other/st-2/se-1/1-1.dcm")
    for sought in ("x/y/1.2.3/0.dcm", "case_1/y/z/0.dcm"):
        assert [path.parent.parent.name for path in index.locate(sought)] == ["st-1"]


def test_a_series_is_found_by_its_last_folder_if_the_study_was_renamed(tmp_path: Path) -> None:
    (tmp_path / "metadata.csv").write_text("Series UID,Subject ID,File Location\n1.2.3,C,.\\a\\st-1\\se-1\n")
    index = index_of(tmp_path, "renamed/se-1/1-1.dcm")
    assert len(index.locate("x/y/1.2.3/0.dcm")) == 1


def test_pictures_are_found_by_series_folder_and_stem(tmp_path: Path) -> None:
    text = "image_path,PatientID,SeriesInstanceUID\nCBIS-DDSM/jpeg/1.2.9/2-241.jpg,Case_1,1.2.3\n"
    (tmp_path / "dicom_info.csv").write_text(text)
    index = index_of(tmp_path, "jpeg/1.2.9/2-241.jpg", "jpeg/1.2.9/1-249.jpg", "jpeg/1.2.8/2-241.jpg")
    assert [path.as_posix()[-19:] for path in index.locate("x/y/1.2.3/0.dcm")] == ["peg/1.2.9/2-241.jpg"]
