from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from mammo_monai.errors import ManifestError
from mammo_monai.readers import Action, Audit, read_inbreast
from mammo_monai.readers.osirix import parse_point, read_regions
from mammo_monai.records import Laterality, ViewPosition, record_id_of

CONTOUR = ((10.5, 20.25), (30.0, 18.0), (28.0, 44.5))


def codes(audit: Audit) -> list[str]:
    return [finding.code for finding in audit.findings]


def test_a_mass_has_its_contours_box_area_and_the_images_birads(inbreast: Any) -> None:
    inbreast.add(cells="2;4a")
    (record,) = read_inbreast(inbreast.write_table(), salt="s")
    (lesion,) = record.lesions
    assert lesion.box == (10.5, 18.0, 30.0, 44.5)
    assert lesion.contour == CONTOUR
    assert (lesion.type, lesion.label, lesion.birads, lesion.pathology) == ("mass", 0, 4, None)
    # Shoelace by hand: |10.5·18 − 30·20.25 + 30·44.5 − 28·18 + 28·20.25 − 10.5·44.5| / 2 = 256.125 px².
    assert lesion.area_mm2 == pytest.approx(256.125 * 0.07 * 0.05)
    assert (record.width, record.height) == (60, 90)
    assert record.pixel_spacing_mm == (0.07, 0.05)
    assert record.breast_density == 2
    assert record.patient_id == "0123456789abcdef"


def test_file_names_that_say_ml_are_mlo_views(inbreast: Any) -> None:
    inbreast.add(view="MLO")
    (record,) = read_inbreast(inbreast.write_table(), salt="s")
    assert record.image.name.endswith("_MG_R_ML_ANON.dcm")
    assert record.view_position is ViewPosition.MLO


def test_from_below_is_another_view(inbreast: Any) -> None:
    inbreast.add(view="FB")
    (record,) = read_inbreast(inbreast.write_table(), salt="s")
    assert record.view_position is ViewPosition.OTHER


def test_images_without_xml_or_without_masses_are_normal(inbreast: Any) -> None:
    inbreast.add(1, regions=None, laterality="L", cells=" ;1")
    inbreast.add(2, regions=[("Calcification", [(4.0, 5.0)])], laterality="R")
    left, right = read_inbreast(inbreast.write_table(), salt="s")
    assert left.is_normal
    assert right.is_normal
    assert left.laterality is Laterality.LEFT
    assert left.breast_density is None


def test_regions_other_than_masses_are_counted_in_the_log(
    inbreast: Any, caplog: pytest.LogCaptureFixture
) -> None:
    inbreast.add(regions=[("Calcification", [(4.0, 5.0)])] * 2 + [("Mass", CONTOUR), ("Cluster", CONTOUR)])
    with caplog.at_level(logging.INFO):
        (record,) = read_inbreast(inbreast.write_table(), salt="s")
    assert len(record.lesions) == 1
    assert "passed over: {'Calcification': 2, 'Cluster': 1}" in caplog.text


@pytest.mark.parametrize("points", [[(4, 5)], [(4, 5), (9, 9)], [(4, 5), (4, 7), (4, 9)], []])
def test_masses_without_a_size_are_left_out_with_a_warning(inbreast: Any, points: list[Any]) -> None:
    inbreast.add(regions=[("Mass", points), ("mass ", CONTOUR)])
    audit = Audit()
    (record,) = read_inbreast(inbreast.write_table(), salt="s", audit=audit)
    assert len(record.lesions) == 1
    (finding,) = audit.findings
    assert (finding.code, finding.record_id, finding.action) == (
        "mass-is-dot",
        record.record_id,
        Action.SKIPPED,
    )


def test_a_box_a_fraction_outside_is_cut_and_noted(inbreast: Any) -> None:
    inbreast.add(regions=[("Mass", [(-0.5, 3), (20, 3), (20, 90.75)])])
    audit = Audit()
    (record,) = read_inbreast(inbreast.write_table(), salt="s", audit=audit)
    assert record.boxes.tolist() == [[0, 3, 20, 90]]
    assert codes(audit) == ["box-clipped"]


def test_a_contour_outside_the_image_is_a_fault(inbreast: Any) -> None:
    inbreast.add(regions=[("Mass", [(4, 3), (62, 3), (20, 9)])])
    with pytest.raises(ManifestError, match=r"row 1: a mass contour .* leaves the image of 60 × 90 px"):
        read_inbreast(inbreast.write_table(), salt="s")


def test_area_is_unknown_without_spacing(inbreast: Any) -> None:
    inbreast.add(PixelSpacing=None, ImagerPixelSpacing=None)
    (record,) = read_inbreast(inbreast.write_table(), salt="s")
    assert record.pixel_spacing_mm is None
    assert record.lesions[0].area_mm2 is None


def test_follow_ups_share_the_patient_hash(inbreast: Any) -> None:
    inbreast.add(1, patient="abc")
    inbreast.add(2, patient="abc")
    inbreast.add(3, patient="abd")
    records = read_inbreast(inbreast.write_table(), salt="s")
    assert [record.patient_id for record in records] == ["abc", "abc", "abd"]


def test_the_folder_is_found_two_levels_below_unless_there_are_two(inbreast: Any) -> None:
    inbreast.add()
    inbreast.write_table()
    deep = inbreast.root.parent / "download" / "INbreast Release 1.0"
    deep.parent.mkdir()
    inbreast.root.rename(deep)
    assert len(read_inbreast(deep.parent.parent, salt="s")) == 1
    (deep.parent / "copy").mkdir()
    (deep.parent / "copy" / "INbreast.csv").write_bytes(b"")
    with pytest.raises(ManifestError, match=r"expected one INbreast\.csv, found 2, among them"):
        read_inbreast(deep.parent.parent, salt="s")


def test_record_ids_depend_on_the_salt_and_not_on_the_place(inbreast: Any) -> None:
    inbreast.add()
    inbreast.write_table()
    ids = {salt: read_inbreast(inbreast.root, salt=salt)[0].record_id for salt in ("a", "b")}
    assert ids["a"] != ids["b"]
    moved = inbreast.root.rename(inbreast.root.with_name("elsewhere"))
    assert read_inbreast(moved, salt="a")[0].record_id == ids["a"]


def test_images_without_a_uid_are_told_by_their_place_in_the_data_set(inbreast: Any) -> None:
    inbreast.add(1, SOPInstanceUID=None)
    inbreast.add(2, SOPInstanceUID=None)
    records = read_inbreast(inbreast.write_table(), salt="s")
    names = ["AllDICOMs/" + record.image.name for record in records]
    assert [record.record_id for record in records] == [record_id_of(name, "s") for name in names]


class TestFaults:
    def test_images_for_processing_are_refused(self, inbreast: Any) -> None:
        inbreast.add(PresentationIntentType="FOR PROCESSING")
        with pytest.raises(
            ManifestError, match=r"ANON\.dcm: the image is FOR PROCESSING\. Use the image FOR"
        ):
            read_inbreast(inbreast.write_table(), salt="s")

    def test_other_modalities_are_refused(self, inbreast: Any) -> None:
        inbreast.add(Modality="CT")
        with pytest.raises(ManifestError, match=r"row 1: .*expected Modality .* MG, got CT"):
            read_inbreast(inbreast.write_table(), salt="s")

    def test_missing_table_says_where_it_was_looked_for(self, tmp_path: Path) -> None:
        with pytest.raises(ManifestError, match=r"expected INbreast\.csv in this folder or up to two levels"):
            read_inbreast(tmp_path, salt="s")

    def test_xls_without_csv_says_what_to_save(self, tmp_path: Path) -> None:
        (tmp_path / "INbreast.xls").write_bytes(b"")
        with pytest.raises(ManifestError, match=r"INbreast\.xls: .*Save the sheet as CSV"):
            read_inbreast(tmp_path, salt="s")

    def test_missing_contour_folder_does_not_make_normals(self, inbreast: Any) -> None:
        inbreast.add(regions=None)
        (inbreast.write_table() / "AllXML").rmdir()
        with pytest.raises(ManifestError, match="missing: AllXML"):
            read_inbreast(inbreast.root, salt="s")

    def test_renamed_images_are_refused_because_the_patients_are_lost(self, inbreast: Any) -> None:
        inbreast.add()
        for path in (inbreast.root / "AllDICOMs").iterdir():
            path.rename(path.with_name("image.dcm"))
        with pytest.raises(ManifestError, match="Keep the names as published"):
            read_inbreast(inbreast.write_table(), salt="s")

    def test_missing_image_is_a_fault_and_can_be_skipped(self, inbreast: Any) -> None:
        inbreast.add(1)
        inbreast.add(2)
        next((inbreast.root / "AllDICOMs").glob("1_*")).unlink()
        with pytest.raises(
            ManifestError, match=r"row 1: the image was not found\. Expected a file 1_\*\.dcm"
        ):
            read_inbreast(inbreast.write_table(), salt="s")
        audit = Audit(skip_invalid=True)
        assert len(read_inbreast(inbreast.root, salt="s", audit=audit)) == 1
        assert codes(audit) == ["image-missing"]

    def test_images_without_a_row_are_left_out_and_said(self, inbreast: Any) -> None:
        inbreast.add(1)
        inbreast.add(2)
        inbreast.rows.pop()
        audit = Audit()
        assert len(read_inbreast(inbreast.write_table(), salt="s", audit=audit)) == 1
        assert codes(audit) == ["row-missing"]

    def test_table_and_file_name_must_agree(self, inbreast: Any) -> None:
        inbreast.add()
        inbreast.rows[0] = inbreast.rows[0].replace(";R;", ";L;")
        with pytest.raises(ManifestError, match="the table says L CC, the file name R CC"):
            read_inbreast(inbreast.write_table(), salt="s")

    def test_bad_birads_names_row_and_value(self, inbreast: Any) -> None:
        inbreast.add(cells="2;9")
        with pytest.raises(ManifestError, match=r"row 1: 'bi-rads' must be a category .*, got '9'"):
            read_inbreast(inbreast.write_table(), salt="s")

    def test_empty_birads_is_unknown(self, inbreast: Any) -> None:
        inbreast.add(cells="2; ")
        (record,) = read_inbreast(inbreast.write_table(), salt="s")
        assert record.lesions[0].birads is None

    def test_damaged_xml_is_the_images_fault(self, inbreast: Any) -> None:
        inbreast.add(1)
        inbreast.add(2)
        path = inbreast.root / "AllXML" / "1.xml"
        path.write_bytes(path.read_bytes()[:200])
        audit = Audit(skip_invalid=True)
        (record,) = read_inbreast(inbreast.write_table(), salt="s", audit=audit)
        assert record.image.name.startswith("2_")
        assert codes(audit) == ["xml-unusable"]


class TestRegions:
    def test_points_are_read_by_pattern(self) -> None:
        assert parse_point("( -1.5 , 2e1 )") == (-1.5, 20.0)

    @pytest.mark.parametrize(
        "text", ["__import__('os').getcwd()", "(1, 2, 3)", "1, 2", "(1; 2)", "(nan, 1)", "(9**9, 1)", ""]
    )
    def test_anything_else_is_no_point(self, text: str) -> None:
        with pytest.raises(ValueError, match="expected a point"):
            parse_point(text)

    def test_entity_declarations_are_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "bomb.xml"
        path.write_text(
            '<?xml version="1.0"?><!DOCTYPE plist [<!ENTITY a "x"><!ENTITY b "&a;&a;&a;">]>'
            "<plist version='1.0'><dict><key>Images</key><string>&b;</string></dict></plist>"
        )
        with pytest.raises(ManifestError, match=r"bomb\.xml: .*entity declarations are not supported"):
            read_regions(path)

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"<plist><dict>",
            b"no xml at all",
            b"<plist><array/></plist>",
            b"<plist><dict><key>Images</key><array><dict/></array></dict></plist>",
            b"<plist><dict><key>Images</key><integer>3</integer></dict></plist>",
        ],
    )
    def test_other_content_names_the_file(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "10000001.xml"
        path.write_bytes(content)
        with pytest.raises(ManifestError, match=r"10000001\.xml: not usable as OsiriX regions: .+Download"):
            read_regions(path)

    def test_a_point_that_is_none_names_the_file(self, inbreast: Any) -> None:
        path = inbreast.write_xml(7, [("Mass", CONTOUR)])
        path.write_text(path.read_text().replace("(30.000000, 18.000000)", "(30.000000)"))
        with pytest.raises(
            ManifestError, match=r"7\.xml: .*expected a point '\(x, y\)', got '\(30\.000000\)'"
        ):
            read_regions(path)

    def test_regions_keep_file_order_and_names(self, inbreast: Any) -> None:
        path = inbreast.write_xml(7, [("Mass", CONTOUR), ("Asymmetry", [(1, 2)])])
        mass, asymmetry = read_regions(path)
        assert (mass.name, mass.points) == ("Mass", CONTOUR)
        assert (asymmetry.name, asymmetry.points) == ("Asymmetry", ((1.0, 2.0),))
