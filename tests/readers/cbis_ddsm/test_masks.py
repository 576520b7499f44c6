"""The one mask of an abnormality: found, chosen by what the crop shows, or its image left out."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread

from mammo_monai.readers.audit import Audit
from mammo_monai.readers.cbis_ddsm.reader import CbisOptions, read_cbis_ddsm
from mammo_monai.readers.reading import Reading
from mammo_monai.schema import Action

CASE = "Mass-Training_P_00001_RIGHT_CC"
TABLE = "mass_case_description_train_set.csv"
# Large enough for a crop that proves its place.
SIZE, BOX, ELSEWHERE = (120, 180), (40, 60, 90, 120), (60, 70, 110, 130)


def read(cbis: Any) -> tuple[Any, Audit]:
    audit = Audit()
    records = read_cbis_ddsm(cbis.write_tables(), Reading("s", audit)).records
    audit.finish()
    return records, audit


def found(audit: Audit) -> list[tuple[str, Action, str]]:
    return [(each.code, each.action, each.place) for each in audit.findings if each.code != "table-empty"]


def mask_with(box: tuple[int, int, int, int], size: tuple[int, int] = SIZE) -> Any:
    mask = np.zeros((size[1], size[0]), np.uint8)
    mask[box[1] : box[3], box[0] : box[2]] = 255
    return mask


def beside(path: Path, name: str) -> Path:
    return path.with_name(name)


class TestSeveralFiles:
    def test_the_same_mask_twice_is_used_once(self, cbis: Any) -> None:
        cbis.add(CASE, BOX, size=SIZE)
        mask = cbis.file(CASE, "roi")
        shutil.copyfile(mask, beside(mask, "000002.dcm"))
        (record,), audit = read(cbis)
        assert record.boxes.tolist() == [[*BOX]]
        assert found(audit) == [("mask-repeated", Action.REPAIRED, f"{TABLE} row 1")]

    @pytest.mark.parametrize("first", [BOX, ELSEWHERE])
    def test_of_two_that_differ_the_one_that_the_crop_shows_is_taken(
        self, cbis: Any, dicom_writer: Any, first: tuple[int, int, int, int]
    ) -> None:
        other = ELSEWHERE if first == BOX else BOX
        cbis.add(CASE, BOX, size=SIZE, mask=mask_with(first))
        dicom_writer(beside(cbis.file(CASE, "roi"), "000002.dcm"), mask_with(other))
        (record,), audit = read(cbis)
        assert record.boxes.tolist() == [[*BOX]]
        assert found(audit) == [("mask-chosen", Action.REPAIRED, f"{TABLE} row 1")]

    def test_of_two_that_the_crop_both_shows_neither_is_taken(self, cbis: Any, dicom_writer: Any) -> None:
        cbis.add(CASE, BOX, size=SIZE)
        dicom_writer(beside(cbis.file(CASE, "roi"), "000002.dcm"), mask_with((42, 62, 88, 118)))
        records, audit = read(cbis)
        assert records == ()
        assert found(audit) == [("mask-ambiguous", Action.QUARANTINED, f"{TABLE} row 1")]

    def test_without_a_crop_of_this_film_neither_is_taken(self, cbis: Any, dicom_writer: Any) -> None:
        cbis.add(CASE, BOX, size=SIZE)
        dicom_writer(cbis.file(CASE, "cropped"), cbis.film(50, 60, "LEFT", 7))
        dicom_writer(beside(cbis.file(CASE, "roi"), "000002.dcm"), mask_with(ELSEWHERE))
        records, audit = read(cbis)
        assert records == ()
        assert found(audit) == [("mask-ambiguous", Action.QUARANTINED, f"{TABLE} row 1")]

    def test_crops_of_two_places_tell_nothing(self, cbis: Any, dicom_writer: Any) -> None:
        cbis.add(CASE, BOX, size=SIZE)
        film = dcmread(cbis.file(CASE)).pixel_array
        dicom_writer(beside(cbis.file(CASE, "roi"), "000002.dcm"), mask_with(ELSEWHERE))
        dicom_writer(beside(cbis.file(CASE, "roi"), "000003.dcm"), film[70:130, 60:110])
        records, audit = read(cbis)
        assert records == ()
        assert found(audit) == [("mask-ambiguous", Action.QUARANTINED, f"{TABLE} row 1")]


class TestAnotherSize:
    def test_is_scaled_per_axis_and_said(self, cbis: Any) -> None:
        cbis.add(CASE, BOX, size=SIZE, mask=mask_with((80, 120, 180, 240), (240, 360)))
        (record,), audit = read(cbis)
        assert record.boxes.tolist() == [[*BOX]]
        assert found(audit) == [("mask-rescaled", Action.REPAIRED, f"{TABLE} row 1")]
        (finding,) = [each for each in audit.findings if each.code == "mask-rescaled"]
        assert finding.record_id == record.record_id
        assert finding.found == "a mask of 240 × 360 px was scaled to 120 × 180 px"

    def test_with_a_crop_cut_at_the_masks_scale_is_checked_too(self, cbis: Any, dicom_writer: Any) -> None:
        cbis.add(CASE, BOX, size=SIZE, mask=mask_with((80, 120, 180, 240), (240, 360)))
        crop = dcmread(cbis.file(CASE, "cropped")).pixel_array
        dicom_writer(cbis.file(CASE, "cropped"), crop.repeat(2, axis=0).repeat(2, axis=1))
        (record,), _ = read(cbis)
        assert record.boxes.tolist() == [[*BOX]]

    @pytest.mark.parametrize("factor", [1, 2])
    def test_that_contradicts_the_crop_is_quarantined(
        self, cbis: Any, dicom_writer: Any, factor: int
    ) -> None:
        cbis.add(CASE, BOX, size=SIZE, mask=mask_with((200, 280, 230, 340), (240, 360)))
        crop = dcmread(cbis.file(CASE, "cropped")).pixel_array
        dicom_writer(cbis.file(CASE, "cropped"), crop.repeat(factor, axis=0).repeat(factor, axis=1))
        records, audit = read(cbis)
        assert records == ()
        assert found(audit) == [("mask-elsewhere", Action.QUARANTINED, f"{TABLE} row 1")]

    def test_and_another_aspect_ratio_is_quarantined(self, cbis: Any) -> None:
        cbis.add(CASE, BOX, size=SIZE, mask=mask_with((4, 3, 8, 9), (130, 180)))
        records, audit = read(cbis)
        assert records == ()
        assert found(audit) == [("mask-aspect", Action.QUARANTINED, f"{TABLE} row 1")]


class TestParts:
    def test_specks_are_left_out_and_said(self, cbis: Any) -> None:
        mask = mask_with(BOX)
        mask[3, 3] = 255
        cbis.add(CASE, BOX, size=SIZE, mask=mask)
        (record,), audit = read(cbis)
        assert record.boxes.tolist() == [[*BOX]]
        assert found(audit) == [("mask-specks", Action.REPAIRED, f"{TABLE} row 1")]

    def test_separate_parts_are_kept_together_and_said(self, cbis: Any) -> None:
        mask = mask_with(BOX)
        mask[130:136, 95:100] = 255
        cbis.add(CASE, BOX, size=SIZE, mask=mask)
        (record,), audit = read(cbis)
        assert record.boxes.tolist() == [[40, 60, 100, 136]]
        assert found(audit) == [("mask-parts", Action.WARNED, f"{TABLE} row 1")]


class TestFaults:
    def test_a_missing_mask_names_the_row_and_the_path(
        self, cbis: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        cbis.add(CASE, BOX, size=SIZE)
        cbis.file(CASE, "roi").unlink()
        records, audit = read(cbis)
        assert records == ()
        assert found(audit) == [("mask-missing", Action.QUARANTINED, f"{TABLE} row 1")]
        assert "no ROI mask for mass 1 among 1 files" in [each.found for each in audit.findings]
        assert "000001.dcm" in caplog.text
        assert "000001.dcm" not in "".join(each.found for each in audit.findings)

    @pytest.mark.parametrize(
        ("value", "code"), [(0, "mask-empty"), (255, "mask-full")], ids=["all zero", "all one"]
    )
    def test_a_mask_of_one_value_is_quarantined(self, cbis: Any, value: int, code: str) -> None:
        cbis.add(CASE, BOX, size=SIZE, mask=np.full((180, 120), value, np.uint8))
        records, audit = read(cbis)
        assert records == ()
        assert found(audit) == [(code, Action.QUARANTINED, f"{TABLE} row 1")]

    def test_a_mask_cut_short_is_quarantined(self, cbis: Any) -> None:
        cbis.add(CASE, BOX, size=SIZE)
        path = cbis.file(CASE, "roi")
        path.write_bytes(path.read_bytes()[:-2000])
        records, audit = read(cbis)
        assert records == ()
        assert found(audit) == [("mask-unreadable", Action.QUARANTINED, f"{TABLE} row 1")]

    def test_one_bad_mask_of_two_leaves_the_whole_image_out(self, cbis: Any) -> None:
        cbis.add(CASE, BOX, size=SIZE, abnormality=1)
        cbis.add(CASE, ELSEWHERE, size=SIZE, abnormality=2)
        cbis.file(CASE, "roi", 2).unlink()
        records, audit = read(cbis)
        assert records == ()
        assert found(audit) == [("mask-missing", Action.QUARANTINED, f"{TABLE} row 2")]

    def test_a_mask_of_another_lesion_is_told_by_the_crop(self, cbis: Any) -> None:
        cbis.add(CASE, BOX, size=SIZE, mask=mask_with((95, 125, 110, 140)))
        records, audit = read(cbis)
        assert records == ()
        assert found(audit) == [("mask-elsewhere", Action.QUARANTINED, f"{TABLE} row 1")]

    def test_no_film_is_decoded_for_crops_where_pictures_are_not_checked(self, cbis: Any) -> None:
        cbis.add(CASE, BOX, size=SIZE, mask=mask_with((95, 125, 110, 140)))
        options = CbisOptions(check_pictures=False)
        (record,) = read_cbis_ddsm(cbis.write_tables(), Reading("s", Audit()), options).records
        assert record.boxes.tolist() == [[95, 125, 110, 140]]

    def test_a_mask_larger_than_its_crop_is_kept(self, cbis: Any) -> None:
        cbis.add(CASE, BOX, size=SIZE, mask=mask_with((10, 20, 100, 150)))
        (record,), audit = read(cbis)
        assert record.boxes.tolist() == [[10, 20, 100, 150]]
        assert found(audit) == []

    def test_two_abnormalities_with_one_box_are_said(self, cbis: Any) -> None:
        cbis.add(CASE, BOX, size=SIZE, abnormality=1)
        cbis.add(CASE, BOX, size=SIZE, abnormality=2)
        (record,), audit = read(cbis)
        assert len(record.lesions) == 2
        assert [each[:2] for each in found(audit)] == [("box-repeated", Action.WARNED)]
