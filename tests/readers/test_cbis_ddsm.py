from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mammo_monai.errors import ManifestError
from mammo_monai.readers import Action, Audit, read_case_table, read_cbis_ddsm
from mammo_monai.records import Laterality, Split, ViewPosition, record_id_of

IMAGE = "image file path"
CROP = "cropped image file path"
MASK = "ROI mask file path"


def read_one(root: Path) -> Any:
    (record,) = read_cbis_ddsm(root, salt="s")
    return record


def test_box_is_the_masks_half_open_box_in_a_non_square_right_breast(cbis: Any) -> None:
    cbis.add(box=(10, 20, 40, 50))
    record = read_one(cbis.write_tables())
    assert record.boxes.tolist() == [[10, 20, 40, 50]]
    assert (record.width, record.height) == (60, 90)
    assert record.laterality is Laterality.RIGHT
    assert record.view_position is ViewPosition.CC
    assert record.patient_id == "P_00001"
    assert record.pixel_spacing_mm is None
    assert record.breast_density == 3
    (lesion,) = record.lesions
    assert (lesion.id, lesion.type, lesion.label) == ("1", "mass", 0)
    assert (lesion.pathology, lesion.birads, lesion.subtlety) == ("BENIGN", 4, 2)
    assert lesion.area_mm2 is None
    assert record.image.is_absolute()
    assert record.image.is_file()


def test_mask_is_found_when_crop_and_mask_columns_are_swapped(cbis: Any) -> None:
    cbis.add(box=(5, 6, 20, 30), swapped=True)
    assert read_one(cbis.write_tables()).boxes.tolist() == [[5, 6, 20, 30]]


def test_masks_of_one_image_are_grouped_in_table_order(cbis: Any) -> None:
    cbis.add(box=(10, 20, 40, 50), abnormality=1)
    cbis.add(box=(1, 2, 5, 9), abnormality=2, pathology="MALIGNANT")
    record = read_one(cbis.write_tables())
    assert record.boxes.tolist() == [[10, 20, 40, 50], [1, 2, 5, 9]]
    assert [lesion.pathology for lesion in record.lesions] == ["BENIGN", "MALIGNANT"]


@pytest.mark.parametrize("newline", ["\r\n", "\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("density", ["breast_density", "breast density"])
def test_tables_are_read_with_any_line_break_bom_and_spelling(
    cbis: Any, newline: str, encoding: str, density: str
) -> None:
    cbis.add()
    header = [density if "density" in name else name for name in cbis.rows["train"][0]]
    root = cbis.write_tables(newline=newline, encoding=encoding, header=header)
    assert len(read_one(root).lesions) == 1


def test_case_table_has_all_columns_converted(cbis: Any) -> None:
    cbis.add(subtlety="0", assessment="0")
    (row,) = read_case_table(cbis.write_tables() / "mass_case_description_train_set.csv")
    assert (row.patient_id, row.laterality, row.view_position) == (
        "P_00001",
        Laterality.RIGHT,
        ViewPosition.CC,
    )
    assert (row.abnormality_id, row.abnormality_type, row.pathology) == ("1", "mass", "BENIGN")
    assert (row.birads, row.breast_density, row.subtlety) == (0, 3, None)
    assert row.mask_path.endswith("/000001.dcm")


def test_wrong_columns_name_file_expected_and_found(cbis: Any) -> None:
    cbis.add()
    header = [name.replace("pathology", "diagnosis") for name in cbis.rows["train"][0]]
    root = cbis.write_tables(header=header)
    with pytest.raises(
        ManifestError, match=r"train_set\.csv: expected .*pathology.*found .*diagnosis.*missing: pathology"
    ):
        read_cbis_ddsm(root, salt="s")


def test_calcification_tables_are_not_read_as_masses(cbis: Any) -> None:
    cbis.add()
    root = cbis.write_tables()
    text = (root / "mass_case_description_train_set.csv").read_text()
    (root / "calc_case_description_train_set.csv").write_text(text.replace("P_00001", "P_00009"))
    assert read_one(root).patient_id == "P_00001"


def test_split_selects_the_official_list(cbis: Any) -> None:
    cbis.add("Mass-Training_P_00001_LEFT_CC")
    cbis.add("Mass-Test_P_00002_LEFT_MLO")
    root = cbis.write_tables()
    patients = {
        split: [record.patient_id for record in read_cbis_ddsm(root, salt="s", split=split)]
        for split in (Split.TRAINING, Split.TEST, None)
    }
    assert patients == {Split.TRAINING: ["P_00001"], Split.TEST: ["P_00002"], None: ["P_00001", "P_00002"]}


def test_images_without_a_uid_are_told_by_their_path_below_the_root(cbis: Any, dicom_writer: Any) -> None:
    row = cbis.add()
    image = np.arange(60 * 90, dtype=np.uint16).reshape(90, 60)
    dicom_writer(cbis.root / row[IMAGE], image, SOPInstanceUID=None)
    assert read_one(cbis.write_tables()).record_id == record_id_of(row[IMAGE], "s")


def test_tables_may_lie_in_a_folder_of_their_own(cbis: Any, tmp_path: Path) -> None:
    cbis.add()
    root = cbis.write_tables()
    folder = tmp_path / "tables"
    folder.mkdir()
    for table in root.glob("*.csv"):
        table.rename(folder / table.name)
    with pytest.raises(ManifestError, match=r"expected mass_case_description_train_set\.csv"):
        read_cbis_ddsm(root, salt="s")
    assert len(read_cbis_ddsm(root, salt="s", csv_dir=folder)) == 1


def test_missing_table_of_two_is_said(cbis: Any) -> None:
    cbis.add()
    (cbis.write_tables() / "mass_case_description_test_set.csv").unlink()
    audit = Audit()
    assert len(read_cbis_ddsm(cbis.root, salt="s", audit=audit)) == 1
    assert [finding.code for finding in audit.findings] == ["table-missing"]


def test_table_in_two_places_is_read_once(cbis: Any, caplog: pytest.LogCaptureFixture) -> None:
    cbis.add()
    root = cbis.write_tables()
    copy = root / "copy" / "mass_case_description_train_set.csv"
    copy.parent.mkdir()
    copy.write_bytes((root / copy.name).read_bytes())
    assert len(read_cbis_ddsm(root, salt="s")) == 1
    assert "lies in 2 places" in caplog.text


class TestFilesAreFound:
    def test_by_series_folder_when_the_file_has_another_name(self, cbis: Any) -> None:
        row = cbis.add(box=(1, 2, 30, 40))
        path = cbis.root / row[IMAGE]
        path.rename(path.with_name("1-1.dcm"))
        mask = cbis.root / row[MASK].strip()
        mask.rename(mask.with_name("1-2.dcm"))
        assert read_one(cbis.write_tables()).boxes.tolist() == [[1, 2, 30, 40]]

    def test_by_case_folder_when_study_and_series_have_other_names(self, cbis: Any) -> None:
        row = cbis.add(box=(1, 2, 30, 40))
        for cell in (row[IMAGE], row[MASK]):
            series = (cbis.root / cell.strip()).parent
            series.parent.rename(series.parent.with_name(f"07-20-2016-{series.parent.name}"))
            moved = series.parent.with_name(f"07-20-2016-{series.parent.name}") / series.name
            moved.rename(moved.with_name("1.000000-full mammogram images"))
        assert read_one(cbis.write_tables()).boxes.tolist() == [[1, 2, 30, 40]]

    def test_by_series_folder_alone(self, cbis: Any) -> None:
        row = cbis.add(box=(1, 2, 30, 40))
        for n, cell in enumerate((row[IMAGE], row[MASK])):
            case = cbis.root / Path(cell).parts[0]
            case.rename(case.with_name(f"download {n}"))
        assert read_one(cbis.write_tables()).boxes.tolist() == [[1, 2, 30, 40]]

    def test_by_series_uid_in_the_header(self, cbis: Any, dicom_writer: Any) -> None:
        row = cbis.add(box=(1, 2, 30, 40))
        image = np.arange(60 * 90, dtype=np.uint16).reshape(90, 60)
        mask = np.zeros((90, 60), np.uint8)
        mask[2:40, 1:30] = 1
        for folder in [each for each in cbis.root.iterdir() if each.is_dir()]:
            for path in folder.rglob("*.dcm"):
                path.unlink()
        dicom_writer(cbis.root / "a" / "1-1.dcm", image, SeriesInstanceUID=Path(row[IMAGE]).parts[-2])
        dicom_writer(cbis.root / "b" / "1-1.dcm", mask, SeriesInstanceUID=Path(row[MASK]).parts[-2])
        (cbis.root / "b" / "noise.dcm").write_bytes(b"no dicom")
        assert read_one(cbis.write_tables()).boxes.tolist() == [[1, 2, 30, 40]]

    def test_below_any_depth(self, cbis: Any) -> None:
        cbis.add(box=(1, 2, 30, 40))
        cbis.write_tables()
        assert read_one(cbis.root.parent).boxes.tolist() == [[1, 2, 30, 40]]


class TestMasks:
    def test_of_another_size_are_scaled_per_axis_and_noted(self, cbis: Any) -> None:
        mask = np.zeros((180, 120), np.uint8)
        mask[40:100, 20:80] = 255
        cbis.add(mask=mask)
        audit = Audit()
        (record,) = read_cbis_ddsm(cbis.write_tables(), salt="s", audit=audit)
        assert record.boxes.tolist() == [[10, 20, 40, 50]]
        (finding,) = audit.findings
        assert (finding.code, finding.record_id, finding.action) == (
            "mask-rescaled",
            record.record_id,
            Action.REPAIRED,
        )

    def test_axes_are_scaled_each_by_its_own_factor(self, cbis: Any) -> None:
        mask = np.zeros((901, 600), np.uint8)
        mask[0:901, 100:300] = 1
        cbis.add(mask=mask)
        assert read_one(cbis.write_tables()).boxes.tolist() == [[10, 0, 30, 90]]

    def test_of_another_aspect_ratio_are_refused(self, cbis: Any) -> None:
        mask = np.zeros((90, 80), np.uint8)
        mask[3:9, 4:8] = 255
        cbis.add(mask=mask)
        with pytest.raises(
            ManifestError, match="a mask of 80 × 90 px cannot belong to an image of 60 × 90 px"
        ):
            read_one(cbis.write_tables())

    def test_all_zero_are_refused(self, cbis: Any) -> None:
        cbis.add(mask=np.zeros((90, 60), np.uint8))
        with pytest.raises(ManifestError, match="all zero"):
            read_one(cbis.write_tables())

    def test_missing_name_the_row_and_the_path(self, cbis: Any) -> None:
        row = cbis.add()
        (cbis.root / row[MASK].strip()).unlink()
        with pytest.raises(
            ManifestError, match=r"train_set\.csv, row 1: no ROI mask for abnormality 1 .*000001\.dcm"
        ):
            read_one(cbis.write_tables())

    def test_two_different_ones_for_a_row_are_refused(self, cbis: Any, dicom_writer: Any) -> None:
        row = cbis.add()
        mask = np.zeros((90, 60), np.uint8)
        mask[1:2, 1:2] = 255
        dicom_writer((cbis.root / row[MASK].strip()).with_name("000002.dcm"), mask)
        with pytest.raises(ManifestError, match="2 different ROI masks"):
            read_one(cbis.write_tables())

    def test_unreadable_neighbours_do_not_hide_the_mask(self, cbis: Any) -> None:
        row = cbis.add()
        (cbis.root / row[CROP].strip()).write_bytes(b"half a download")
        assert len(read_one(cbis.write_tables()).lesions) == 1

    def test_files_without_pixels_count_as_no_mask(self, cbis: Any, dicom_writer: Any) -> None:
        row = cbis.add()
        dicom_writer(cbis.root / row[MASK].strip(), np.eye(9, dtype=np.uint8), Rows=None)
        with pytest.raises(ManifestError, match="no ROI mask"):
            read_one(cbis.write_tables())

    def test_cut_off_files_count_as_no_mask(self, cbis: Any) -> None:
        row = cbis.add()
        path = cbis.root / row[MASK].strip()
        path.write_bytes(path.read_bytes()[:-2000])
        with pytest.raises(ManifestError, match="no ROI mask"):
            read_one(cbis.write_tables())

    def test_a_binary_crop_is_no_mask(self, cbis: Any, dicom_writer: Any) -> None:
        row = cbis.add()
        dicom_writer(cbis.root / row[CROP].strip(), np.eye(30, dtype=np.uint8))
        assert read_one(cbis.write_tables()).boxes.tolist() == [[10, 20, 40, 50]]

    def test_the_same_box_twice_is_said(self, cbis: Any) -> None:
        cbis.add(abnormality=1)
        cbis.add(abnormality=2)
        audit = Audit()
        (record,) = read_cbis_ddsm(cbis.write_tables(), salt="s", audit=audit)
        assert len(record.lesions) == 2
        assert [finding.code for finding in audit.findings] == ["box-repeated"]


class TestFaults:
    @pytest.mark.parametrize(
        ("column", "value", "message"),
        [
            ("left or right breast", "UP", "'left or right breast' must be LEFT or RIGHT, got 'UP'"),
            ("image view", "LAT", "'image view' must be CC or MLO, got 'LAT'"),
            ("assessment", "7", "'assessment' must be a whole number from 0 to 6, got '7'"),
            ("breast_density", "x", "'breast density' must be a whole number from 1 to 4, got 'x'"),
            ("patient_id", " ", "'patient id' must be filled in, got ''"),
        ],
    )
    def test_a_bad_value_names_row_column_and_value(
        self, cbis: Any, column: str, value: str, message: str
    ) -> None:
        cbis.add(**{column: value})
        with pytest.raises(ManifestError, match=rf"train_set\.csv, row 1: {message}"):
            read_one(cbis.write_tables())

    def test_missing_image_names_its_path(self, cbis: Any) -> None:
        row = cbis.add()
        (cbis.root / row[IMAGE]).unlink()
        with pytest.raises(ManifestError, match=f"the full image was not found.*{row[IMAGE]}"):
            read_one(cbis.write_tables())

    def test_empty_image_path_is_a_missing_image(self, cbis: Any) -> None:
        cbis.add(**{IMAGE: ""})
        with pytest.raises(ManifestError, match="the full image was not found"):
            read_one(cbis.write_tables())

    def test_two_candidates_for_the_image_are_not_guessed(self, cbis: Any, dicom_writer: Any) -> None:
        row = cbis.add()
        series = (cbis.root / row[IMAGE]).parent
        (series / "000000.dcm").rename(series / "a.dcm")
        dicom_writer(series / "b.dcm", np.eye(9, dtype=np.uint8))
        with pytest.raises(ManifestError, match="2 files could be the full image"):
            read_one(cbis.write_tables())

    def test_all_faults_are_counted_and_the_first_is_told(self, cbis: Any) -> None:
        for n in (1, 2, 3):
            cbis.add(f"Mass-Training_P_0000{n}_LEFT_CC", **{"assessment": "9"})
        with pytest.raises(ManifestError, match=r"row 1: .* 2 more images have a fault\..*--skip-invalid"):
            read_cbis_ddsm(cbis.write_tables(), salt="s")

    def test_skipping_drops_the_whole_image_and_keeps_the_others(
        self, cbis: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        cbis.add("Mass-Training_P_00001_LEFT_CC")
        row = cbis.add("Mass-Training_P_00002_LEFT_CC", abnormality=1)
        cbis.add("Mass-Training_P_00002_LEFT_CC", box=(1, 2, 8, 9), abnormality=2)
        (cbis.root / row[MASK].strip()).unlink()
        audit = Audit(skip_invalid=True)
        (record,) = read_cbis_ddsm(cbis.write_tables(), salt="s", audit=audit)
        assert record.patient_id == "P_00001"
        (finding,) = audit.findings
        assert (finding.code, finding.action) == ("mask-missing", Action.SKIPPED)
        assert len(finding.record_id) == 16
        assert "P_00002" not in finding.found
        assert "left out" in caplog.text

    def test_the_same_image_under_two_names_is_refused(self, cbis: Any) -> None:
        first = cbis.add("Mass-Training_P_00001_LEFT_CC")
        second = cbis.add("Mass-Training_P_00002_LEFT_CC")
        (cbis.root / second[IMAGE]).write_bytes((cbis.root / first[IMAGE]).read_bytes())
        with pytest.raises(ManifestError, match=r"stands twice in the data set\. First: CBIS-DDSM .*row 1"):
            read_cbis_ddsm(cbis.write_tables(), salt="s")

    def test_unreadable_image_is_a_fault(self, cbis: Any) -> None:
        row = cbis.add()
        (cbis.root / row[IMAGE]).write_bytes(b"half a download")
        audit = Audit(skip_invalid=True)
        assert read_cbis_ddsm(cbis.write_tables(), salt="s", audit=audit) == []
        assert [finding.code for finding in audit.findings] == ["dicom-unusable"]

    def test_laterality_of_the_table_is_kept_and_the_difference_said(self, cbis: Any) -> None:
        cbis.add("Mass-Training_P_00001_LEFT_CC", **{"left or right breast": "RIGHT"})
        audit = Audit()
        (record,) = read_cbis_ddsm(cbis.write_tables(), salt="s", audit=audit)
        assert record.laterality is Laterality.RIGHT
        assert [finding.code for finding in audit.findings] == ["laterality-differs"]

    def test_a_folder_that_is_not_there_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(ManifestError, match=r"nowhere: no such folder"):
            read_cbis_ddsm(tmp_path / "nowhere", salt="s")
