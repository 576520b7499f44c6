"""Where the files of CBIS-DDSM are found: three downloads, and what people do to them afterwards."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread

from mammo_monai.readers.audit import Audit
from mammo_monai.readers.cbis_ddsm.reader import CbisOptions, read_cbis_ddsm
from mammo_monai.readers.image_header import elements_of
from mammo_monai.readers.reading import Reading
from mammo_monai.schema import Action

CASE, OTHER = "Mass-Training_P_00001_RIGHT_CC", "Mass-Test_P_00002_LEFT_MLO"
THIRD = "Mass-Test_P_00003_LEFT_CC"
BOX = (12, 22, 44, 60)


def read(cbis: Any, audit: Audit | None = None, **options: Any) -> Any:
    cbis.write_tables()
    reading = Reading("s", audit or Audit())
    records = read_cbis_ddsm(cbis.root, reading, CbisOptions(**options)).records
    reading.audit.finish()
    return records


def read_boxes(cbis: Any) -> Any:
    audit = Audit(strict=True)
    (record,) = read(cbis, audit)
    assert {each.code for each in audit.findings} <= {"table-empty"}
    return record.boxes.tolist()


def codes(audit: Audit) -> list[str]:
    return [each.code for each in audit.findings if each.code != "table-empty"]


@pytest.fixture
def headers_asked(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files whose headers the index read."""
    asked: list[Path] = []

    def counting(path: Path, *keywords: str) -> Any:
        asked.append(path)
        return elements_of(path, *keywords)

    monkeypatch.setattr("mammo_monai.readers.file_index.elements_of", counting)
    return asked


class TestClassicFolders:
    def test_other_file_names_in_the_series_folder(self, cbis: Any) -> None:
        cbis.add(CASE, BOX)
        for kind, name in (("full", "1-1.dcm"), ("cropped", "1-1.dcm"), ("roi", "1-2.dcm")):
            path = cbis.file(CASE, kind)
            path.rename(path.with_name(name))
        assert read_boxes(cbis) == [[*BOX]]

    def test_other_study_and_series_names_in_the_case_folder(self, cbis: Any) -> None:
        cbis.add(CASE, BOX)
        for kind in ("full", "roi"):
            study = cbis.file(CASE, kind).parent.parent
            study.rename(study.with_name("07-20-2016-DDSM-NA-1"))
            moved = study.with_name("07-20-2016-DDSM-NA-1") / cbis.file(CASE, kind).parent.name
            moved.rename(moved.with_name("1.000000-images"))
        assert read_boxes(cbis) == [[*BOX]]

    def test_series_folders_in_case_folders_of_another_name(self, cbis: Any) -> None:
        cbis.add(CASE, BOX)
        for n, case in enumerate([CASE, f"{CASE}_1"]):
            (cbis.root / case).rename(cbis.root / f"download {n}")
        assert read_boxes(cbis) == [[*BOX]]

    def test_any_depth_and_any_case_of_letters(self, cbis: Any) -> None:
        cbis.add(CASE, BOX)
        (cbis.root / CASE).rename(cbis.root / CASE.lower())
        cbis.write_tables()
        records = read_cbis_ddsm(cbis.root.parent, Reading("s", Audit(strict=True))).records
        assert records[0].boxes.tolist() == [[*BOX]]

    def test_paths_written_with_backslashes(self, cbis: Any) -> None:
        row = cbis.add(CASE, BOX)
        for name in row:
            if "file path" in name:
                row[name] = row[name].replace("/", "\\")
        assert read_boxes(cbis) == [[*BOX]]

    def test_files_that_macos_leaves_behind_are_no_images(self, cbis: Any) -> None:
        cbis.add(CASE, BOX)
        path = cbis.file(CASE)
        path.with_name(f"._{path.name}").write_bytes(b"\0\5\26\7")
        assert read_boxes(cbis) == [[*BOX]]


class TestHeaders:
    def test_files_in_meaningless_folders_are_found_by_series_uid(self, cbis: Any) -> None:
        cbis.add(CASE, BOX)
        cbis.add(OTHER, BOX)
        scramble(cbis)
        audit = Audit()
        assert [each.boxes.tolist() for each in read(cbis, audit)] == [[[*BOX]], [[*BOX]]]
        assert codes(audit) == []

    def test_files_with_other_uids_are_found_by_patient_id(self, cbis: Any) -> None:
        row = cbis.add(CASE, BOX)
        for name in row:
            if "file path" in name:
                parts = row[name].split("/")
                row[name] = "/".join([parts[0], "9.9", f"9.9.{len(name)}", parts[3]])
        scramble(cbis)
        assert read_boxes(cbis) == [[*BOX]]

    def test_none_is_read_where_names_suffice_even_if_half_is_missing(
        self, cbis: Any, headers_asked: list[Path]
    ) -> None:
        for n in range(1, 6):
            cbis.add(f"Mass-Training_P_0000{n}_LEFT_CC")
        cbis.file("Mass-Training_P_00002_LEFT_CC").unlink()
        shutil.rmtree(cbis.root / "Mass-Training_P_00004_LEFT_CC_1")
        shutil.rmtree(cbis.root / "Mass-Training_P_00005_LEFT_CC")
        audit = Audit()
        assert len(read(cbis, audit)) == 2
        assert codes(audit) == ["image-missing", "mask-missing", "image-missing"]
        assert headers_asked == []

    def test_each_is_read_once_and_only_where_the_folder_says_nothing(
        self, cbis: Any, headers_asked: list[Path]
    ) -> None:
        for n in range(1, 5):
            cbis.add(f"Mass-Training_P_0000{n}_LEFT_CC", BOX)
        for n, case in enumerate(["Mass-Training_P_00003_LEFT_CC", "Mass-Training_P_00004_LEFT_CC"]):
            moved = cbis.root / f"elsewhere {n}" / "film.dcm"
            moved.parent.mkdir()
            cbis.file(case).rename(moved)
        (cbis.root / "elsewhere 0" / "noise.dcm").write_bytes(b"no dicom")
        assert len(read(cbis)) == 4
        assert sorted(path.name for path in headers_asked) == ["film.dcm", "film.dcm", "noise.dcm"]

    def test_a_file_of_another_case_in_the_cases_folder_is_quarantined(self, cbis: Any) -> None:
        cbis.add(CASE, BOX)
        cbis.add(OTHER, BOX)
        shutil.copyfile(cbis.file(OTHER), cbis.file(CASE))
        audit = Audit()
        (record,) = read(cbis, audit)
        assert record.patient_id == "P_00002"
        assert codes(audit) == ["image-mismatch"]


class TestDataRetrieverFolders:
    @pytest.fixture(autouse=True)
    def layout(self, cbis: Any) -> None:
        cbis.layout = "nbia"

    @pytest.mark.parametrize("swapped", [False, True])
    def test_crop_and_mask_lie_in_one_series_in_any_order(self, cbis: Any, swapped: bool) -> None:
        cbis.add(CASE, BOX, swapped=swapped)
        assert cbis.file(CASE, "roi").name == ("1-1.dcm" if swapped else "1-2.dcm")
        assert cbis.file(CASE, "roi").parent == cbis.file(CASE, "cropped").parent
        assert read_boxes(cbis) == [[*BOX]]

    def test_crop_and_mask_lie_in_two_studies(self, cbis: Any) -> None:
        cbis.add(CASE, BOX)
        crop = cbis.file(CASE, "cropped")
        other = crop.parents[2] / "10-04-2016-DDSM-NA-00002" / "1.000000-cropped images-00003" / "1-1.dcm"
        other.parent.mkdir(parents=True)
        crop.rename(other)
        assert read_boxes(cbis) == [[*BOX]]

    def test_several_abnormalities_each_have_their_case_folder(self, cbis: Any) -> None:
        cbis.add(CASE, BOX, abnormality=1)
        cbis.add(CASE, (30, 62, 50, 70), abnormality=2)
        assert read_boxes(cbis) == [[*BOX], [30, 62, 50, 70]]

    def test_a_case_downloaded_twice_is_kept_once(self, cbis: Any) -> None:
        cbis.add(CASE, BOX)
        shutil.copytree(cbis.root / "CBIS-DDSM", cbis.root / "manifest-2" / "CBIS-DDSM")
        audit = Audit(strict=True)
        (record,) = read(cbis, audit)
        assert record.boxes.tolist() == [[*BOX]]
        assert codes(audit) == ["file-repeated", "mask-repeated"]
        assert {each.action for each in audit.findings if each.code != "table-empty"} == {Action.REPAIRED}

    def test_the_full_image_is_told_from_a_stray_by_the_series_description(
        self, cbis: Any, dicom_writer: Any
    ) -> None:
        cbis.add(CASE, BOX)
        stray = cbis.file(CASE).parents[1] / "1.000000-something else-1" / "1-1.dcm"
        dicom_writer(stray, np.eye(9, dtype=np.uint8))
        assert read_boxes(cbis) == [[*BOX]]

    @pytest.mark.parametrize("separator", ["\\", "/"])
    def test_renamed_cases_are_found_through_metadata_csv(
        self, cbis: Any, separator: str, headers_asked: list[Path]
    ) -> None:
        cbis.add(CASE, BOX)
        write_metadata(cbis, separator)
        for n, folder in enumerate(sorted((cbis.root / "CBIS-DDSM").iterdir())):
            folder.rename(folder.with_name(f"patient {n}"))
        assert read_boxes(cbis) == [[*BOX]]
        assert headers_asked == []

    def test_a_damaged_metadata_csv_is_passed_over(self, cbis: Any, caplog: pytest.LogCaptureFixture) -> None:
        cbis.add(CASE, BOX)
        (cbis.root / "metadata.csv").write_text("Series UID,what\n1,2\n")
        audit = Audit(strict=True)
        (record,) = read(cbis, audit)
        assert record.boxes.tolist() == [[*BOX]]
        assert "the listing is passed over" in caplog.text
        (finding,) = (each for each in audit.findings if each.code != "table-empty")
        assert (finding.code, finding.place) == ("listing-unusable", "metadata.csv")
        assert finding.action is Action.WARNED

    def test_rows_of_metadata_csv_without_a_place_lead_nowhere(self, cbis: Any) -> None:
        cbis.add(CASE, BOX)
        text = "Series UID,Subject ID,File Location\n9.9,,\n,,.\\CBIS-DDSM\\gone\\series\n"
        (cbis.root / "metadata.csv").write_text(text)
        assert read_boxes(cbis) == [[*BOX]]


class TestJpegs:
    @pytest.fixture(autouse=True)
    def layout(self, cbis: Any) -> None:
        cbis.layout = "jpeg"

    @pytest.mark.parametrize("swapped", [False, True])
    def test_are_found_by_series_and_accepted_with_one_warning(self, cbis: Any, swapped: bool) -> None:
        cbis.add(CASE, (120, 100, 200, 180), size=(240, 330), swapped=swapped)
        cbis.add(OTHER, (30, 90, 100, 140), size=(240, 330))
        audit = Audit()
        records = read(cbis, audit)
        assert [record.boxes.tolist() for record in records] == [[[120, 100, 200, 180]], [[30, 90, 100, 140]]]
        assert [record.image.suffix for record in records] == [".jpg", ".jpg"]
        (finding,) = audit.findings
        assert (finding.code, finding.record_id, finding.action) == ("lossy-copy", "", Action.WARNED)
        assert finding.found.startswith("2 images are JPEG copies of 8 bits")

    def test_renamed_series_are_found_through_dicom_info_csv(self, cbis: Any) -> None:
        row = cbis.add(CASE, BOX)
        write_dicom_info(cbis)
        for name in row:
            if "file path" in name:  # the series in the table are others than those of the files
                parts = row[name].split("/")
                row[name] = "/".join([*parts[:2], "9.9.9", parts[3]])
        (record,) = read(cbis, Audit(strict=True))
        assert record.boxes.tolist() == [[*BOX]]

    def test_a_listing_row_without_a_folder_leads_nowhere(self, cbis: Any) -> None:
        cbis.add(CASE, BOX)
        text = "image_path,PatientID,SeriesInstanceUID\nfilm.jpg,,\n"
        (cbis.root / "csv").mkdir()
        (cbis.root / "csv" / "dicom_info.csv").write_text(text)
        (record,) = read(cbis, Audit(strict=True))
        assert record.boxes.tolist() == [[*BOX]]

    def test_a_cut_off_film_is_quarantined(self, cbis: Any) -> None:
        cbis.add(CASE, BOX)
        cbis.add(OTHER, BOX)
        path = cbis.file(CASE)
        path.write_bytes(path.read_bytes()[:-300])
        audit = Audit()
        (record,) = read(cbis, audit)
        assert record.patient_id == "P_00002"
        assert codes(audit) == ["file-truncated", "lossy-copy"]


def scramble(cbis: Any) -> None:
    """Moves every image into a folder that says nothing."""
    for n, path in enumerate(sorted(cbis.root.rglob("*.dcm"))):
        moved = cbis.root / "x" / f"folder{n}" / f"{n}.dcm"
        moved.parent.mkdir(parents=True)
        path.rename(moved)
    for folder in [each for each in cbis.root.iterdir() if each.name != "x"]:
        shutil.rmtree(folder)


def write_metadata(cbis: Any, separator: str) -> None:
    """metadata.csv as the Data Retriever writes it."""
    with (cbis.root / "metadata.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["Series UID", "Collection", "Subject ID", "Series Description", "File Location"])
        for row in cbis.rows["mass_case_description_train_set.csv"]:
            for kind, column in (("full", "image file path"), ("roi", "ROI mask file path")):
                parts = row[column].split("/")
                place = cbis.file(CASE, kind).parent.relative_to(cbis.root).parts
                location = separator.join([".", *place])
                writer.writerow([parts[2], "CBIS-DDSM", parts[0], kind, location])


def write_dicom_info(cbis: Any) -> None:
    """dicom_info.csv as the re-release has it."""
    (cbis.root / "csv").mkdir(parents=True, exist_ok=True)
    with (cbis.root / "csv" / "dicom_info.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["file_path", "image_path", "PatientID", "SeriesDescription", "SeriesInstanceUID"])
        for (case, number, kind), path in cbis.files.items():
            label = f"{case}_{number}" if number else case
            shown = f"CBIS-DDSM/jpeg/{path.parent.name}/{path.name}"
            writer.writerow([shown.replace("jp", "dc"), shown, label, kind, path.parent.name])


def name_by_uid(cbis: Any, place: str) -> None:
    """Moves every image to where the Imaging Data Commons would have put it, by the UIDs in its header."""
    for path in sorted(cbis.root.rglob("*.dcm")):
        header = elements_of(path, "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "PatientID")
        moved = cbis.root / "idc" / place.format(header=header, uuid=uuid5(NAMESPACE_OID, path.as_posix()))
        moved.parent.mkdir(parents=True, exist_ok=True)
        path.rename(moved)
    for folder in [each for each in cbis.root.iterdir() if each.is_dir() and each.name != "idc"]:
        shutil.rmtree(folder)


UID_PLACES = {
    "one folder": "{header.SOPInstanceUID}.dcm",
    "without suffix": "{header.SOPInstanceUID}",
    "series folders": "{header.SeriesInstanceUID}/{header.SOPInstanceUID}.dcm",
    "UUIDs": "{uuid}/{uuid}.dcm",
    "by patient": "cbis_ddsm/{header.PatientID}/{header.SeriesInstanceUID}/MG_{uuid}/{uuid}.dcm",
}


@pytest.mark.parametrize("place", UID_PLACES.values(), ids=[*UID_PLACES])
class TestFilesNamedByUid:
    def test_are_found_without_any_listing(self, cbis: Any, place: str) -> None:
        cbis.add(CASE, BOX, swapped=True)
        cbis.add(OTHER, BOX)
        name_by_uid(cbis, place)
        audit = Audit()
        found = read(cbis, audit)
        assert {(each.patient_id, *each.boxes[0].tolist()) for each in found} == {
            ("P_00001", *BOX),
            ("P_00002", *BOX),
        }
        assert codes(audit) == []

    def test_tell_of_rows_that_the_table_lost(self, cbis: Any, place: str) -> None:
        cbis.add(CASE, BOX)
        cbis.add(OTHER, BOX)
        cbis.add(OTHER, (10, 10, 20, 22), abnormality=2)
        cbis.add(THIRD, BOX)
        for rows in cbis.rows.values():
            del rows[1:]  # the second lesion of one image, and an image
        name_by_uid(cbis, place)
        audit = Audit()
        (record,) = read(cbis, audit)
        assert (record.patient_id, codes(audit)) == ("P_00001", ["row-missing"] * 2)


def test_thumbnails_that_a_network_disk_made_are_no_films(cbis: Any) -> None:
    cbis.layout = "jpeg"
    cbis.add(CASE, BOX)
    for path in list(cbis.root.rglob("*.jpg")):
        (path.parent / "@eaDir" / path.name).mkdir(parents=True)
        Image.new("L", (60, 90), 7).save(path.parent / "@eaDir" / path.name / "SYNOPHOTO_THUMB_M.jpg")
    audit = Audit()
    assert [each.boxes.tolist() for each in read(cbis, audit)] == [[[*BOX]]]
    assert codes(audit) == ["lossy-copy"]


def test_copies_are_told_by_the_series_of_a_path_with_backslashes(cbis: Any) -> None:
    row = cbis.add(CASE, BOX)
    stray = cbis.file(CASE).with_name("0.dcm")
    stray.write_bytes(cbis.file(CASE).read_bytes())
    change_series(stray)
    cbis.file(CASE).rename(cbis.file(CASE).with_name("1.dcm"))
    for name in row:
        row[name] = row[name].replace("/", "\\")
    assert read_boxes(cbis) == [[*BOX]]


def change_series(path: Path) -> None:
    dataset = dcmread(path)
    dataset.SeriesInstanceUID = "1.2.3"
    dataset.save_as(path)


@pytest.mark.parametrize(
    ("kind", "code"), [("roi", "mask-missing"), ("full", "image-missing"), ("cropped", "")]
)
def test_what_s5cmd_has_not_finished_is_not_there(cbis: Any, kind: str, code: str) -> None:
    cbis.add(CASE, BOX)
    cbis.add(OTHER, (10, 20, 30, 40))
    whole = cbis.file(CASE, kind)
    part = whole.with_name("00950be6.dcm2874652910")
    part.write_bytes(whole.read_bytes()[:-4000] + bytes(4000))  # of full length, its end still to come
    assert read_whole(cbis) == [[[*BOX]], [[10, 20, 30, 40]]]
    whole.unlink()
    audit = Audit()
    assert len(read(cbis, audit)) == (1 if code else 2)
    assert codes(audit) == [code] * bool(code)


def read_whole(cbis: Any) -> Any:
    audit = Audit(strict=True)
    records = read(cbis, audit)
    assert codes(audit) == []
    return [record.boxes.tolist() for record in records]
