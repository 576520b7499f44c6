"""What is wrong with the films of CBIS-DDSM is a row each, and the other images go on."""

from __future__ import annotations

import re
import shutil
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread

from mammo_monai.readers.audit import Audit
from mammo_monai.readers.cbis_ddsm.reader import CbisOptions, read_cbis_ddsm
from mammo_monai.readers.reading import Reading
from mammo_monai.records import Laterality, ViewPosition
from mammo_monai.schema import Action

IMAGE = "image file path"
FIRST, SECOND = "Mass-Training_P_00001_RIGHT_CC", "Mass-Training_P_00002_LEFT_CC"


def read(cbis: Any, **options: Any) -> tuple[Any, Audit]:
    audit = Audit()
    records = read_cbis_ddsm(cbis.write_tables(), Reading("s", audit), CbisOptions(**options)).records
    audit.finish()
    return records, audit


def codes(audit: Audit) -> list[str]:
    return [each.code for each in audit.findings if each.code != "table-empty"]


@pytest.mark.parametrize("check_pictures", [True, False])
def test_a_half_downloaded_folder_gives_a_row_per_image_that_is_not_whole(
    cbis: Any, check_pictures: bool, caplog: pytest.LogCaptureFixture
) -> None:
    cases = [f"Mass-Training_P_0000{n}_LEFT_CC" for n in range(1, 8)]
    for case in cases:
        cbis.add(case)
    cbis.file(cases[1]).unlink()
    cut_short(cbis.file(cases[2]))
    cbis.file(cases[3]).write_bytes(b"")
    shutil.rmtree(cbis.root / f"{cases[4]}_1")
    cbis.file(cases[5], "roi").write_bytes(b"half a download")
    records, audit = read(cbis, check_pictures=check_pictures)
    assert [record.patient_id for record in records] == ["P_00001", "P_00007"]
    assert codes(audit) == [
        "image-missing",
        "file-truncated",
        "file-truncated",
        "mask-missing",
        "mask-unreadable",
    ]
    assert all(re.fullmatch("[0-9a-f]{16}", each.record_id) for each in audit.quarantined)
    assert "P_0000" not in "".join(each.found for each in audit.findings)
    assert cases[1] in caplog.text  # on stderr the file is named


def test_an_empty_image_path_is_a_missing_image_and_each_row_its_own(cbis: Any) -> None:
    cbis.add(FIRST, **{IMAGE: ""})
    cbis.add(SECOND, **{IMAGE: ""})
    records, audit = read(cbis)
    assert records == ()
    assert codes(audit) == ["image-missing", "image-missing"]


def test_two_candidates_for_the_image_are_not_guessed(cbis: Any, dicom_writer: Any) -> None:
    cbis.add(FIRST)
    path = cbis.file(FIRST)
    path.rename(path.with_name("a.dcm"))
    dicom_writer(path.with_name("b.dcm"), np.eye(9, dtype=np.uint8))
    uid = dcmread(path.with_name("a.dcm")).SeriesInstanceUID
    records, audit = read(cbis)
    assert len(records) == 1  # only one of them is of the table's series
    dicom_writer(path.with_name("b.dcm"), np.eye(9, dtype=np.uint8), SeriesInstanceUID=uid)
    records, audit = read(cbis)
    assert records == ()
    assert codes(audit) == ["image-ambiguous"]


class TestRepeatedUids:
    def test_the_same_bytes_under_two_patients_are_both_left_out(self, cbis: Any) -> None:
        cbis.add(FIRST)
        cbis.add(SECOND)
        shutil.copyfile(cbis.file(FIRST), cbis.file(SECOND))
        retag(cbis, FIRST, PatientID="unnamed")
        shutil.copyfile(cbis.file(FIRST), cbis.file(SECOND))
        records, audit = read(cbis)
        assert records == ()
        assert codes(audit).count("uid-conflict") == 2
        assert "different patients" in audit.findings[-1].found

    def test_different_images_with_one_uid_are_both_left_out(self, cbis: Any) -> None:
        for case in (FIRST, SECOND, "Mass-Test_P_00003_LEFT_CC"):
            cbis.add(case)
        retag(cbis, SECOND, SOPInstanceUID=dcmread(cbis.file(FIRST)).SOPInstanceUID)
        records, audit = read(cbis)
        assert [record.patient_id for record in records] == ["P_00003"]
        assert codes(audit) == ["uid-conflict", "uid-conflict"]
        assert audit.findings[-1].found == "2 different images have the same SOPInstanceUID"
        assert {each.image for each in audit.quarantined} == {cbis.file(FIRST), cbis.file(SECOND)}

    def test_an_image_that_two_series_hold_is_kept_once_with_all_lesions(self, cbis: Any) -> None:
        first = cbis.add(FIRST, (10, 20, 40, 50), abnormality=1)
        second = cbis.add(FIRST, (30, 55, 50, 65), abnormality=2)
        copy = cbis.root / FIRST / "1.2.9" / "1.2.9.3" / "000000.dcm"
        copy.parent.mkdir(parents=True)
        shutil.copyfile(cbis.file(FIRST), copy)
        second[IMAGE] = copy.relative_to(cbis.root).as_posix()
        assert first[IMAGE] != second[IMAGE]
        (record,), audit = read(cbis)
        assert record.boxes.tolist() == [[10, 20, 40, 50], [30, 55, 50, 65]]
        assert [(each.code, each.action) for each in audit.findings if each.code != "table-empty"] == [
            ("row-differs", Action.REPAIRED)
        ]


class TestHeaders:
    def test_side_and_view_of_the_table_are_kept_and_the_difference_said(self, cbis: Any) -> None:
        cbis.add(FIRST)
        retag(cbis, FIRST, ImageLaterality="L", ViewPosition="MLO")
        (record,), audit = read(cbis)
        assert (record.laterality, record.view_position) == (Laterality.RIGHT, ViewPosition.CC)
        assert codes(audit) == ["laterality-differs", "view-differs"]
        assert "the table says R, the file L" in "".join(each.found for each in audit.findings)

    def test_a_side_that_the_tables_own_path_contradicts_is_said(self, cbis: Any) -> None:
        cbis.layout = "jpeg"
        cbis.add(FIRST, **{"left or right breast": "LEFT", "image view": "MLO"})
        (record,), audit = read(cbis, check_pictures=False)
        assert (record.laterality, record.view_position) == (Laterality.LEFT, ViewPosition.MLO)
        assert codes(audit) == ["laterality-differs", "view-differs", "lossy-copy"]

    def test_an_image_for_processing_is_quarantined(self, cbis: Any) -> None:
        cbis.add(FIRST)
        retag(cbis, FIRST, PresentationIntentType="FOR PROCESSING")
        records, audit = read(cbis)
        assert records == ()
        assert codes(audit) == ["for-processing"]


def cut_short(path: Any) -> None:
    path.write_bytes(path.read_bytes()[:-500])


def retag(cbis: Any, case: str, **tags: str) -> None:
    dataset = dcmread(cbis.file(case))
    for name, value in tags.items():
        setattr(dataset, name, value)
    dataset.save_as(cbis.file(case))


def test_one_film_of_many_that_shows_the_other_breast_is_said_with_its_record(cbis: Any) -> None:
    for n in range(1, 12):
        cbis.add(f"Mass-Training_P_000{n:02d}_LEFT_CC")
    path = cbis.file("Mass-Training_P_00003_LEFT_CC")
    header = dcmread(path)
    header.PixelData = header.pixel_array[:, ::-1].tobytes()
    header.save_as(path)
    records, audit = read(cbis)
    said = [each for each in audit.findings if each.code == "laterality-picture"]
    (odd,) = [record for record in records if record.patient_id == "P_00003"]
    assert [(each.record_id, each.action) for each in said] == [(odd.record_id, Action.WARNED)]
