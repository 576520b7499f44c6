"""Damage that leaves every file readable and yet the truth wrong: it is a row, never a silent box or list."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread

from mammo_monai.errors import ManifestError
from mammo_monai.readers.audit import Audit
from mammo_monai.readers.cbis_ddsm.reader import CbisOptions, read_cbis_ddsm
from mammo_monai.readers.reading import Reading

FIRST, SECOND = "Mass-Training_P_00001_RIGHT_CC", "Mass-Training_P_00002_LEFT_CC"
BOX, SIZE = (120, 100, 200, 180), (240, 330)
TRAIN, TEST = "mass_case_description_train_set.csv", "mass_case_description_test_set.csv"
IMAGE, CROP, MASK = "image file path", "cropped image file path", "ROI mask file path"


def read(cbis: Any, **options: Any) -> tuple[Any, Audit]:
    audit = Audit()
    return read_cbis_ddsm(cbis.root, Reading("s", audit), CbisOptions(**options)).records, audit


def codes(audit: Audit) -> list[str]:
    return [each.code for each in audit.findings if each.code != "table-empty"]


def two_cases(cbis: Any) -> tuple[dict[str, str], dict[str, str]]:
    rows = cbis.add(FIRST, BOX, size=SIZE), cbis.add(SECOND, (30, 90, 100, 140), size=SIZE)
    cbis.write_tables()
    return rows


class TestListings:
    HEADER = "Series UID,Subject ID,File Location"

    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("metadata.csv", b""),
            ("metadata.csv", f"{HEADER}\n1.2,C".encode()),
            ("metadata.csv", f"{HEADER}\n1.2,C,x\n".encode("utf-16-le")),
            ("metadata.csv", b"<html>503 Service Unavailable</html>"),
            ("dicom_info.csv", b'image_path,PatientID,SeriesInstanceUID\n"a,b,c\n'),
        ],
        ids=["empty", "half written", "UTF-16 without BOM", "an error page", "a quote without an end"],
    )
    def test_one_that_cannot_be_read_is_a_row_and_no_image_is_lost(
        self, cbis: Any, name: str, content: bytes
    ) -> None:
        cbis.add(FIRST, BOX, size=SIZE)
        cbis.write_tables()
        (cbis.root / name).write_bytes(content)
        (record,), audit = read(cbis)
        assert record.boxes.tolist() == [[*BOX]]
        (finding,) = (each for each in audit.findings if each.code != "table-empty")
        assert (finding.code, finding.place, finding.action.value) == ("listing-unusable", name, "warned")

    def test_one_of_a_header_alone_is_a_row(self, cbis: Any) -> None:
        cbis.add(FIRST, BOX, size=SIZE)
        cbis.write_tables()
        (cbis.root / "metadata.csv").write_text(self.HEADER)
        _, audit = read(cbis)
        assert ("table-empty", "metadata.csv") in [(each.code, each.place) for each in audit.findings]


class TestTables:
    def test_train_and_test_whose_names_were_swapped_give_no_image(self, cbis: Any) -> None:
        two_cases(cbis)
        cbis.add("Mass-Test_P_00003_LEFT_MLO", BOX, size=SIZE)
        cbis.write_tables()
        train, test, other = (cbis.root / name for name in (TRAIN, TEST, "x"))
        train.rename(other), test.rename(train), other.rename(test)
        records, audit = read(cbis)
        assert records == ()
        assert codes(audit) == ["split-conflict"] * 3
        assert "the table of the training list names an image of the test list" in audit.findings[0].found

    def test_numbers_that_a_program_saved_with_decimals_are_read(self, cbis: Any) -> None:
        row = two_cases(cbis)[0]
        row.update({name: f"{row[name]}.0" for name in ("abnormality id", "assessment", "subtlety")})
        row["breast_density"] = "0.0"
        cbis.write_tables()
        records, audit = read(cbis)
        assert (len(records), codes(audit), records[0].breast_density) == (2, [], None)
        assert records[0].lesions[0].id == "1"

    def test_rows_of_calcifications_in_a_table_of_masses_are_left_out(self, cbis: Any) -> None:
        two_cases(cbis)[0]["abnormality type"] = "calcification"
        cbis.write_tables()
        (record,), audit = read(cbis)
        assert (record.patient_id, codes(audit)) == ("P_00002", ["row-conflict"])

    def test_a_table_cut_off_between_rows_of_an_image_leaves_it_out(self, cbis: Any) -> None:
        two_cases(cbis)
        cbis.add(SECOND, (60, 180, 120, 230), size=SIZE, abnormality=2)
        cbis.write_tables()  # without the row that follows
        cbis.rows[TRAIN].pop()
        cbis.write_tables()
        (record,), audit = read(cbis)
        assert (record.patient_id, codes(audit)) == ("P_00001", ["row-missing"])

    def test_a_table_cut_off_between_images_says_which_are_left_out(self, cbis: Any) -> None:
        two_cases(cbis)
        cbis.rows[TRAIN].pop()
        cbis.write_tables()
        (record,), audit = read(cbis)
        assert (record.patient_id, codes(audit)) == ("P_00001", ["row-missing"])
        assert audit.quarantined[0].image == cbis.file(SECOND)

    def test_folders_of_tables_that_are_not_read_are_no_finding(self, cbis: Any) -> None:
        two_cases(cbis)
        cbis.add("Calc-Training_P_00009_LEFT_CC", BOX, size=SIZE)
        cbis.write_tables()
        assert codes(read(cbis)[1]) == []

    @pytest.mark.parametrize("is_first", [True, False])
    def test_a_row_that_links_two_images_leaves_out_both_with_a_row_each(
        self, cbis: Any, is_first: bool
    ) -> None:
        first, second = two_cases(cbis)
        third = cbis.add(FIRST, (30, 200, 60, 240), size=SIZE, abnormality=2)
        third[IMAGE] = second[IMAGE]
        if is_first:
            cbis.rows[TRAIN] = [third, first, second]
        cbis.write_tables()
        records, audit = read(cbis)
        assert records == ()
        assert codes(audit) == ["row-conflict", "row-conflict"]
        assert len(audit.quarantined) == 2

    def test_small_letters_make_no_other_patient(self, cbis: Any) -> None:
        row = two_cases(cbis)[0]
        row["patient_id"], row["pathology"] = "p_00001", "benign"
        cbis.write_tables()
        records, audit = read(cbis)
        assert codes(audit) == []
        assert (records[0].patient_id, records[0].lesions[0].pathology) == ("P_00001", "BENIGN")

    def test_a_pathology_that_is_none_is_a_table_value(self, cbis: Any) -> None:
        two_cases(cbis)[0]["pathology"] = "MALIGNAN"
        cbis.write_tables()
        assert codes(read(cbis)[1]) == ["table-value"]

    def test_those_of_a_folder_may_have_capital_suffixes_and_the_folder_must_be_there(
        self, cbis: Any, tmp_path: Path
    ) -> None:
        two_cases(cbis)
        (tmp_path / "tables").mkdir()
        for name in (TRAIN, TEST):
            (cbis.root / name).rename(tmp_path / "tables" / name.upper())
        assert len(read(cbis, csv_dir=tmp_path / "tables")[0]) == 2
        with pytest.raises(
            ManifestError, match="nowhere: no such folder; expected the case-description tables"
        ):
            read(cbis, csv_dir=tmp_path / "nowhere")


def inverted(mask: Any) -> Any:
    return 255 - mask


def one_pixel(mask: Any) -> Any:
    out = np.zeros_like(mask)
    out[140, 160] = 255
    return out


def mirrored(mask: Any) -> Any:
    return mask[:, ::-1]


class TestMasks:
    @pytest.mark.parametrize(
        ("change", "code"), [(inverted, "mask-full"), (one_pixel, "mask-empty"), (mirrored, "mask-elsewhere")]
    )
    def test_one_that_marks_no_lesion_leaves_its_image_out(
        self, cbis: Any, change: Callable[[Any], Any], code: str
    ) -> None:
        two_cases(cbis)
        path = cbis.file(FIRST, "roi")
        dataset = dcmread(path)
        dataset.PixelData = np.ascontiguousarray(change(dataset.pixel_array)).tobytes()
        dataset.save_as(path)
        (record,), audit = read(cbis)
        assert (record.patient_id, codes(audit)) == ("P_00002", [code])

    def test_mask_and_crop_of_another_case_are_told_by_the_header(self, cbis: Any) -> None:
        two_cases(cbis)
        for kind in ("roi", "cropped"):
            shutil.copyfile(cbis.file(SECOND, kind), cbis.file(FIRST, kind))
        (record,), audit = read(cbis)
        assert (record.patient_id, codes(audit)[-1]) == ("P_00002", "mask-mismatch")

    def test_masks_of_two_lesions_in_each_others_folder_are_told_by_the_header(self, cbis: Any) -> None:
        two_cases(cbis)
        cbis.add(SECOND, (60, 180, 120, 230), size=SIZE, abnormality=2)
        cbis.write_tables()
        for kind in ("roi", "cropped"):
            one, other = cbis.file(SECOND, kind), cbis.file(SECOND, kind, 2)
            held = one.read_bytes()
            shutil.copyfile(other, one)
            other.write_bytes(held)
        _, audit = read(cbis)
        assert codes(audit) == ["mask-mismatch"]

    def test_a_crop_of_another_film_is_a_warning_where_no_header_tells(self, cbis: Any) -> None:
        cbis.layout = "jpeg"
        two_cases(cbis)
        for kind in ("roi", "cropped"):
            shutil.copyfile(cbis.file(SECOND, kind), cbis.file(FIRST, kind))
        _, audit = read(cbis)
        assert codes(audit) == ["crop-unplaced", "lossy-copy"]

    def test_a_crop_lies_in_a_film_of_inverted_grey_values(self, cbis: Any) -> None:
        two_cases(cbis)
        dataset = dcmread(cbis.file(FIRST))
        dataset.PixelData = (65535 - dataset.pixel_array).astype(np.uint16).tobytes()
        dataset.PhotometricInterpretation = "MONOCHROME1"
        dataset.save_as(cbis.file(FIRST))
        assert codes(read(cbis)[1]) == []

    def test_a_damaged_crop_is_a_warning(self, cbis: Any) -> None:
        two_cases(cbis)
        cbis.file(FIRST, "cropped").write_bytes(b"")
        records, audit = read(cbis)
        assert (len(records), codes(audit)) == (2, ["crop-unreadable"])


class TestFilms:
    def test_a_mask_in_the_place_of_a_film_is_told_by_its_header(self, cbis: Any) -> None:
        two_cases(cbis)
        shutil.copyfile(cbis.file(FIRST, "roi"), cbis.file(FIRST))
        (record,), audit = read(cbis)
        assert (record.patient_id, codes(audit)) == ("P_00002", ["image-mismatch"])

    @pytest.mark.parametrize("layout", ["classic", "jpeg"])
    def test_a_mask_in_the_place_of_a_film_is_told_by_its_picture(self, cbis: Any, layout: str) -> None:
        cbis.layout = layout
        two_cases(cbis)
        shutil.copyfile(cbis.file(FIRST, "roi"), cbis.file(FIRST))
        if layout == "classic":
            dataset = dcmread(cbis.file(FIRST))
            dataset.PatientID = FIRST
            dataset.save_as(cbis.file(FIRST))
        (record,), audit = read(cbis)
        assert (record.patient_id, "image-mismatch" in codes(audit)) == ("P_00002", True)

    def test_one_picture_of_two_patients_is_left_out(self, cbis: Any) -> None:
        cbis.layout = "jpeg"
        two_cases(cbis)
        shutil.copyfile(cbis.file(FIRST), cbis.file(SECOND))
        records, audit = read(cbis)
        assert records == ()
        assert codes(audit).count("image-repeated") == 2

    def test_of_two_copies_the_whole_one_is_used(self, cbis: Any) -> None:
        cbis.layout = "jpeg"
        two_cases(cbis)
        shutil.copytree(cbis.root / "jpeg", cbis.root / "again" / "jpeg")
        cbis.file(FIRST).write_bytes(b"")
        records, audit = read(cbis)
        assert len(records) == 2
        assert "image-ambiguous" not in codes(audit)

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
    def test_a_pipe_is_no_image_and_nobody_waits_for_it(self, cbis: Any) -> None:
        cbis.layout = "jpeg"
        two_cases(cbis)
        cbis.file(FIRST).unlink()
        os.mkfifo(cbis.file(FIRST))
        assert codes(read(cbis)[1])[0] == "image-missing"
