from dataclasses import replace
from pathlib import Path

import pytest

from mammo_monai.dicom.results.sources import find_sources
from mammo_monai.errors import DicomError
from mammo_monai.records import Detections, ImageRecord
from mammo_monai.schema import Manifest, write_manifest
from tests.dicom.results.sources import digital_mammogram, nothing_marked


def image_at(path: Path, uid: str = "1.2.3") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    digital_mammogram(uid=uid).save_as(path, enforce_file_format=True)
    return path


def of(path: Path | None) -> Detections:
    return replace(nothing_marked(), image=path)


def uid_of(place: Path | None, found: Detections) -> str:
    return str(find_sources(place).marked(found, with_pixels=False).source.SOPInstanceUID)


def test_without_a_place_the_detections_say_where(tmp_path: Path) -> None:
    assert uid_of(None, of(image_at(tmp_path / "a.dcm"))) == "1.2.3"
    with pytest.raises(DicomError, match=r"expected the original DICOM file, got no path.*--sources"):
        uid_of(None, of(None))


def test_pixels_are_read_where_asked_for(tmp_path: Path) -> None:
    found = of(image_at(tmp_path / "a.dcm"))
    sources = find_sources(None)
    assert "PixelData" not in sources.marked(found, with_pixels=False).source
    assert "PixelData" in sources.marked(found, with_pixels=True).source


def test_a_folder_is_searched_by_name_and_then_by_the_folders_above(tmp_path: Path) -> None:
    for n in (1, 2):
        image_at(tmp_path / "moved" / f"case{n}" / "1-1.dcm", uid=f"1.2.{n}")
    assert uid_of(tmp_path / "moved", of(Path("/old/case2/1-1.dcm"))) == "1.2.2"
    with pytest.raises(DicomError, match=r"expected one image named 1-1.dcm below .*, found 2"):
        uid_of(tmp_path / "moved", of(Path("/old/case3/1-1.dcm")))
    with pytest.raises(DicomError, match=r"expected its image, named b.dcm, below .*found none"):
        uid_of(tmp_path / "moved", of(Path("/old/b.dcm")))
    with pytest.raises(DicomError, match="expected its image, without a file name, below"):
        uid_of(tmp_path / "moved", of(None))


def test_a_manifest_knows_path_and_size(tmp_path: Path) -> None:
    record = ImageRecord(image_at(tmp_path / "a.dcm"), "a1b2", "p", width=30, height=40)
    write_manifest(tmp_path / "m.json", Manifest(test=(record,)))
    marked = find_sources(tmp_path / "m.json").marked(of(Path("/old/a.dcm")), with_pixels=False)
    assert (marked.rows, marked.columns) == (40, 30)


def test_a_prepared_copy_is_no_source(tmp_path: Path) -> None:
    record = ImageRecord(tmp_path / "a.png", "a1b2", "p", width=30, height=40, prepared={"version": 1})
    write_manifest(tmp_path / "m.json", Manifest(test=(record,)))
    with pytest.raises(DicomError, match="expected the original DICOM file, got a prepared copy"):
        uid_of(tmp_path / "m.json", of(tmp_path / "a.png"))


def test_a_picture_has_no_study(tmp_path: Path) -> None:
    with pytest.raises(DicomError, match=r"a.PNG: expected a DICOM image, got a picture: it has no patient"):
        uid_of(None, of(tmp_path / "a.PNG"))


def test_a_place_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DicomError, match=r"none: expected a manifest.json or a folder of images"):
        find_sources(tmp_path / "none")
