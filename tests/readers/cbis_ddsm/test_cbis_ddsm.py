"""What one image of CBIS-DDSM becomes: lesions, side, official list, and the options of the reader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mammo_monai.errors import ManifestError
from mammo_monai.readers.audit import Audit
from mammo_monai.readers.cbis_ddsm.reader import CbisOptions, read_cbis_ddsm
from mammo_monai.readers.reading import Reading
from mammo_monai.records import Laterality, Split, ViewPosition, record_id_of
from mammo_monai.schema import Action

IMAGE, CROP, MASK = "image file path", "cropped image file path", "ROI mask file path"
RIGHT, LEFT = "Mass-Training_P_00001_RIGHT_CC", "Mass-Training_P_00002_LEFT_CC"


def read(cbis: Any, audit: Audit | None = None, **options: Any) -> Any:
    cbis.write_tables()
    reading = Reading("s", audit or Audit())
    found = read_cbis_ddsm(cbis.root, reading, CbisOptions(**options))
    reading.audit.finish()
    return found


def read_one(cbis: Any) -> Any:
    (record,) = read(cbis).records
    return record


def codes(audit: Audit) -> list[str]:
    return [each.code for each in audit.findings if each.code != "table-empty"]


def test_box_is_the_masks_half_open_box_in_a_non_square_right_breast(cbis: Any) -> None:
    cbis.add(box=(10, 20, 40, 50))
    record = read_one(cbis)
    assert record.boxes.tolist() == [[10, 20, 40, 50]]
    assert (record.width, record.height) == (60, 90)
    assert record.laterality is Laterality.RIGHT
    assert record.view_position is ViewPosition.CC
    assert record.patient_id == "P_00001"
    assert record.pixel_spacing_mm is None
    assert (record.breast_density, record.birads) == (3, 4)
    (lesion,) = record.lesions
    assert (lesion.id, lesion.type, lesion.label) == ("1", "mass", 0)
    assert (lesion.pathology, lesion.birads, lesion.subtlety) == ("BENIGN", 4, 2)
    assert lesion.area_mm2 is None
    assert record.image.is_absolute()
    assert record.file_size == record.image.stat().st_size
    assert record.source == "CBIS-DDSM mass_case_description_train_set.csv row 1"


def test_a_clean_image_gives_no_finding(cbis: Any) -> None:
    cbis.add(LEFT)
    cbis.add("Mass-Test_P_00009_RIGHT_MLO")
    audit = Audit(strict=True)
    assert len(read(cbis, audit).records) == 2
    assert audit.findings == []


def test_mask_is_found_when_crop_and_mask_columns_are_swapped(cbis: Any) -> None:
    cbis.add(box=(15, 26, 40, 60), swapped=True)
    assert read_one(cbis).boxes.tolist() == [[15, 26, 40, 60]]


def test_masks_of_one_image_are_grouped_in_table_order(cbis: Any) -> None:
    cbis.add(box=(10, 20, 40, 50), abnormality=1)
    cbis.add(box=(30, 55, 50, 65), abnormality=2, pathology="MALIGNANT", assessment="5")
    record = read_one(cbis)
    assert record.boxes.tolist() == [[10, 20, 40, 50], [30, 55, 50, 65]]
    assert [lesion.pathology for lesion in record.lesions] == ["BENIGN", "MALIGNANT"]
    assert record.birads is None  # two assessments of one image: neither is the image's


def test_each_record_has_the_list_of_its_table(cbis: Any) -> None:
    cbis.add("Mass-Training_P_00001_LEFT_CC")
    cbis.add("Mass-Test_P_00002_LEFT_MLO")
    found = read(cbis)
    assert {each.patient_id: found.official[each.record_id] for each in found.records} == {
        "P_00001": Split.TRAINING,
        "P_00002": Split.TEST,
    }


def test_published_counts_come_along(cbis: Any) -> None:
    cbis.add()
    counts = read(cbis).published.counts
    assert (counts["training images"], counts["test images"]) == (1231, 361)
    assert (counts["training masses"], counts["test masses"]) == (1318, 378)
    assert (counts["images"], counts["masses"], counts["patients"]) == (1592, 1696, 892)
    assert "training calcifications" not in counts
    assert read(cbis, calcifications=True).published.counts["training calcifications"] == 1546


def test_images_without_a_uid_are_told_by_their_path_below_the_root(cbis: Any, dicom_writer: Any) -> None:
    row = cbis.add()
    dicom_writer(cbis.file(RIGHT), np.arange(60 * 90, dtype=np.uint16).reshape(90, 60), SOPInstanceUID=None)
    assert read_one(cbis).record_id == record_id_of(row[IMAGE], "s")


@pytest.mark.parametrize("workers", [1, 3])
def test_order_of_records_and_findings_does_not_depend_on_workers(cbis: Any, workers: int) -> None:
    for n in range(1, 7):
        cbis.add(f"Mass-Training_P_0000{n}_LEFT_CC")
    cbis.file("Mass-Training_P_00002_LEFT_CC").unlink()
    cbis.file("Mass-Training_P_00005_LEFT_CC").unlink()
    cbis.write_tables()
    audit, seen = Audit(), list[tuple[int, int]]()
    reading = Reading("s", audit, workers, lambda done, total: seen.append((done, total)))
    found = read_cbis_ddsm(cbis.root, reading)
    assert [each.patient_id for each in found.records] == ["P_00001", "P_00003", "P_00004", "P_00006"]
    assert [each.place[-5:] for each in audit.findings if each.code == "image-missing"] == ["row 2", "row 5"]
    assert seen[-1] == (6, 6)


class TestCalcifications:
    CALC = "Calc-Training_P_00001_RIGHT_CC"

    def test_are_left_out_unless_asked_for(self, cbis: Any) -> None:
        cbis.add(RIGHT)
        cbis.add("Calc-Training_P_00007_LEFT_CC")
        assert [each.patient_id for each in read(cbis).records] == ["P_00001"]

    def test_are_lesions_of_their_own_type_and_label(self, cbis: Any) -> None:
        cbis.add("Calc-Training_P_00007_LEFT_CC", box=(12, 30, 30, 60))
        (record,) = read(cbis, calcifications=True).records
        assert [(each.type, each.label) for each in record.lesions] == [("calcification", 1)]
        assert record.has_mass is False
        assert record.boxes.tolist() == [[12, 30, 30, 60]]

    def test_a_view_in_both_kinds_of_tables_is_one_image_with_both_lesions(self, cbis: Any) -> None:
        cbis.add(RIGHT, box=(10, 20, 40, 50))
        cbis.add(self.CALC, box=(20, 55, 45, 62))
        (record,) = read(cbis, calcifications=True).records
        assert [(each.type, each.id) for each in record.lesions] == [("mass", "1"), ("calcification", "1")]
        assert record.boxes.tolist() == [[10, 20, 40, 50], [20, 55, 45, 62]]
        assert record.image == cbis.file(RIGHT).absolute()

    @pytest.mark.parametrize("check_pictures", [True, False])
    @pytest.mark.parametrize("shape", [(90, 60), (180, 120)])
    def test_a_view_whose_two_files_show_different_pictures_is_quarantined(
        self, cbis: Any, check_pictures: bool, shape: tuple[int, int]
    ) -> None:
        cbis.add(RIGHT)
        other = np.arange(shape[0] * shape[1], dtype=np.uint16).reshape(shape)
        cbis.add(self.CALC, box=(20, 55, 45, 62), pixels=other)
        audit = Audit()
        assert read(cbis, audit, calcifications=True, check_pictures=check_pictures).records == ()
        assert codes(audit) == ["table-missing", "views-differ"]

    def test_a_patient_stays_in_the_list_of_the_mass_tables(self, cbis: Any) -> None:
        cbis.add("Mass-Test_P_00001_RIGHT_MLO")
        cbis.add(self.CALC)
        cbis.add("Calc-Training_P_00002_LEFT_CC")
        audit = Audit()
        found = read(cbis, audit, calcifications=True)
        assert [found.official[each.record_id] for each in found.records] == [
            Split.TEST,
            Split.TEST,
            Split.TRAINING,
        ]
        (moved,) = [each for each in audit.findings if each.code == "split-follows-patient"]
        assert moved.found.startswith("1 images follow")
        assert moved.place == "calc_case_description_train_set.csv"


class TestPictures:
    def test_a_patients_film_that_points_another_way_than_the_others_is_warned_of(self, cbis: Any) -> None:
        for view in ("LEFT_CC", "LEFT_MLO", "RIGHT_CC"):
            cbis.add(f"Mass-Training_P_00001_{view}")
        cbis.add("Mass-Training_P_00001_RIGHT_MLO", pixels=cbis.film(60, 90, "LEFT"))
        audit = Audit()
        records = read(cbis, audit).records
        (finding,) = [each for each in audit.findings if each.code == "laterality-picture"]
        assert finding.record_id == records[3].record_id
        assert finding.action is Action.WARNED
        assert records[3].laterality is Laterality.RIGHT

    def test_patients_all_of_whose_films_are_reversed_are_counted_not_warned_of_one_by_one(
        self, cbis: Any
    ) -> None:
        for n in range(1, 4):
            cbis.add(f"Mass-Training_P_0000{n}_RIGHT_MLO", pixels=cbis.film(60, 90, "LEFT", n))
        cbis.add("Mass-Training_P_00004_RIGHT_MLO")
        audit = Audit()
        read(cbis, audit)
        assert codes(audit) == ["display-reversed"]
        assert audit.findings[-1].found.startswith("3 films")

    def test_a_lesion_outside_the_breast_is_warned_of(self, cbis: Any) -> None:
        cbis.add(RIGHT, box=(0, 0, 8, 6))
        audit = Audit()
        assert len(read(cbis, audit).records) == 1
        assert codes(audit) == ["lesion-outside-breast"]

    def test_pictures_are_not_looked_at_when_not_asked_for(self, cbis: Any) -> None:
        cbis.add(RIGHT, box=(0, 0, 8, 6))
        audit = Audit()
        read(cbis, audit, check_pictures=False)
        assert codes(audit) == []

    def test_a_constant_picture_is_quarantined(self, cbis: Any) -> None:
        cbis.add(RIGHT, pixels=np.full((90, 60), 77, np.uint16))
        audit = Audit()
        assert read(cbis, audit).records == ()
        assert codes(audit) == ["picture-constant"]


def test_tables_may_lie_in_a_folder_of_their_own(cbis: Any, tmp_path: Path) -> None:
    cbis.add()
    root = cbis.write_tables()
    folder = tmp_path / "tables"
    folder.mkdir()
    for table in root.glob("*.csv"):
        table.rename(folder / table.name)
    with pytest.raises(ManifestError, match=r"expected mass_case_description_train_set\.csv"):
        read_cbis_ddsm(root, Reading("s"))
    assert len(read_cbis_ddsm(root, Reading("s"), CbisOptions(csv_dir=folder)).records) == 1


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"nowhere: no such folder"):
        read_cbis_ddsm(tmp_path / "nowhere", Reading("s"))


def test_several_cells_of_a_row_survive_a_crop_column_that_is_empty(cbis: Any) -> None:
    cbis.add(**{CROP: "", MASK: ""})
    assert read_one(cbis).boxes.tolist() == [[10, 20, 40, 50]]
