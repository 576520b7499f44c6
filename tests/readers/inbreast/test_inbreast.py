from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mammo_monai.readers.audit import Audit
from mammo_monai.readers.inbreast.reader import InbreastOptions, read_inbreast
from mammo_monai.readers.reading import Reading
from mammo_monai.records import ImageRecord, Laterality, ViewPosition, record_id_of
from mammo_monai.schema import Action

CONTOUR = ((10.5, 20.25), (30.0, 18.0), (28.0, 44.5))


def read(root: Path, audit: Audit | None = None, *types: str, salt: str = "s") -> list[ImageRecord]:
    options = InbreastOptions(types or None)
    return [*read_inbreast(root, Reading(salt, audit or Audit()), options).records]


def codes(audit: Audit) -> list[str]:
    return [finding.code for finding in audit.findings]


def test_a_mass_has_its_contours_box_area_and_the_images_birads(inbreast: Any) -> None:
    inbreast.add(cells="2;4a")
    audit = Audit()
    (record,) = read(inbreast.write_table(), audit)
    (lesion,) = record.lesions
    assert lesion.box == (10.5, 18.0, 30.0, 44.5)
    assert lesion.contour == CONTOUR
    assert (lesion.type, lesion.label, lesion.birads, lesion.pathology) == ("mass", 0, 4, None)
    # Shoelace by hand: |10.5·18 − 30·20.25 + 30·44.5 − 28·18 + 28·20.25 − 10.5·44.5| / 2 = 256.125 px².
    assert lesion.area_mm2 == pytest.approx(256.125 * 0.07 * 0.05)
    assert (record.width, record.height) == (60, 90)
    assert record.pixel_spacing_mm == (0.07, 0.05)
    assert (record.breast_density, record.birads) == (2, 4)
    assert record.patient_id == "0123456789abcdef"
    assert audit.findings == []


def test_file_names_that_say_ml_are_mlo_views(inbreast: Any) -> None:
    inbreast.add(view="MLO")
    (record,) = read(inbreast.write_table())
    assert record.image.name.endswith("_MG_R_ML_ANON.dcm")
    assert record.view_position is ViewPosition.MLO


def test_from_below_is_another_view(inbreast: Any) -> None:
    inbreast.add(view="FB")
    (record,) = read(inbreast.write_table())
    assert record.view_position is ViewPosition.OTHER


def test_birads_1_without_xml_is_normal_and_no_finding(inbreast: Any) -> None:
    inbreast.add(1, regions=None, laterality="L", cells=" ;1")
    inbreast.add(2, regions=None, laterality="R", cells="4;1")
    audit = Audit()
    left, right = read(inbreast.write_table(), audit)
    assert left.is_normal
    assert right.is_normal
    assert left.laterality is Laterality.LEFT
    assert left.breast_density is None
    assert audit.findings == []


def test_area_is_unknown_without_spacing(inbreast: Any) -> None:
    inbreast.add(PixelSpacing=None, ImagerPixelSpacing=None)
    (record,) = read(inbreast.write_table())
    assert record.pixel_spacing_mm is None
    assert record.lesions[0].area_mm2 is None


def test_follow_ups_share_the_patient_hash(inbreast: Any) -> None:
    inbreast.add(1, patient="abc")
    inbreast.add(2, patient="ABC")
    inbreast.add(3, patient="abd")
    assert [record.patient_id for record in read(inbreast.write_table())] == ["abc", "abc", "abd"]


def test_record_ids_depend_on_the_salt_and_not_on_the_place(inbreast: Any) -> None:
    inbreast.add()
    inbreast.write_table()
    ids = {salt: read(inbreast.root, salt=salt)[0].record_id for salt in ("a", "b")}
    assert ids["a"] != ids["b"]
    moved = inbreast.root.rename(inbreast.root.with_name("elsewhere"))
    assert read(moved, salt="a")[0].record_id == ids["a"]


def test_images_without_a_uid_are_told_by_their_place_in_the_data_set(inbreast: Any) -> None:
    inbreast.add(1, SOPInstanceUID=None)
    inbreast.add(2, SOPInstanceUID=None)
    records = read(inbreast.write_table())
    names = ["AllDICOMs/" + record.image.name for record in records]
    assert [record.record_id for record in records] == [record_id_of(name, "s") for name in names]


def test_workers_change_neither_order_nor_findings(inbreast: Any) -> None:
    for number in range(1, 9):
        points = CONTOUR if number % 2 else [(70.0, 3.0), (80.0, 4.0), (75.0, 9.0)]
        inbreast.add(number, regions=[("Mass", points)])
    inbreast.write_table()
    single, threaded = (Reading("s", Audit(), workers=workers) for workers in (1, 4))
    assert read_inbreast(inbreast.root, single) == read_inbreast(inbreast.root, threaded)
    assert single.audit.findings == threaded.audit.findings
    assert len(single.audit.quarantined) == 4


def test_only_the_types_asked_for_are_kept_and_every_image_stays(inbreast: Any) -> None:
    regions = [("Cluster", CONTOUR), ("Mass", CONTOUR), ("Distortion", CONTOUR)]
    inbreast.add(1, regions=regions)
    inbreast.add(2, regions=[("Calcification", [(4.0, 5.0)])], cells="1;2")
    inbreast.write_table()
    for types, counts in {("mass",): [1, 0], ("mass", "calcification"): [2, 1], (): [3, 1]}.items():
        assert [len(record.lesions) for record in read(inbreast.root, None, *types)] == counts


def test_types_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match=r"types must be among mass, .*, got \('tumour',\)"):
        InbreastOptions(("tumour",))
    with pytest.raises(ValueError, match=r"types must be among"):
        InbreastOptions(())


def test_there_is_no_official_split_and_the_published_counts_are_told(inbreast: Any) -> None:
    inbreast.add()
    found = read_inbreast(inbreast.write_table(), Reading("s"))
    assert found.official == {}
    assert found.published is not None
    counts = found.published.counts
    assert (counts["images"], counts["masses"], counts["images with masses"]) == (410, 116, 107)


def test_merging_counts_masses_and_leaves_dots_and_other_types(inbreast: Any) -> None:
    from mammo_monai.readers.merging import merge_overlapping_lesions
    from mammo_monai.schema import Manifest

    near = tuple((x + 5, y) for x, y in CONTOUR)
    calcifications = [("Calcification", [(x, 25.0)]) for x in (20.0, 20.4, 21.0)]
    inbreast.add(regions=[("Mass", CONTOUR), ("Mass", near), ("Cluster", CONTOUR), *calcifications])
    (record,) = read(inbreast.write_table())
    merged = merge_overlapping_lesions(Manifest(test=(record,))).test[0]
    assert [lesion.label for lesion in record.lesions] == [0, 0, 1, 1, 1, 1]
    assert [(lesion.id, lesion.label) for lesion in merged.lesions] == [
        ("1+2", 0),
        ("3", 1),
        ("4", 1),
        ("5", 1),
        ("6", 1),
    ]


class TestFaults:
    def quarantined(self, tree: Any, code: str, found: str) -> Audit:
        """One image, the second, is left out for this reason, the first one stays."""
        audit = Audit()
        records = read(tree.write_table(), audit)
        assert [record.image.name.split("_")[0] for record in records] == ["1"]
        (row,) = [each for each in audit.findings if each.action is Action.QUARANTINED]
        assert row.code == code
        assert found in row.found
        assert str(tree.root) not in row.found
        assert [each.code for each in audit.quarantined] == [code]
        return audit

    @pytest.fixture
    def tree(self, inbreast: Any) -> Any:
        """Two images with a mass."""
        inbreast.add(1)
        inbreast.add(2, laterality="L", patient="ffff")
        return inbreast

    def second(self, tree: Any) -> Path:
        return next((tree.root / "AllDICOMs").glob("2_*"))

    def test_images_for_processing(self, inbreast: Any) -> None:
        inbreast.add(1)
        inbreast.add(2, PresentationIntentType="FOR PROCESSING")
        self.quarantined(inbreast, "for-processing", "the image is FOR PROCESSING")

    def test_other_modalities(self, inbreast: Any) -> None:
        inbreast.add(1)
        inbreast.add(2, Modality="CT")
        self.quarantined(inbreast, "dicom-unusable", "not usable as a mammogram")

    def test_a_missing_image(self, tree: Any) -> None:
        self.second(tree).unlink()
        audit = self.quarantined(tree, "image-missing", "the image was not found")
        assert codes(audit) == ["image-missing"]  # its XML file is not one of no image

    def test_a_download_that_has_not_ended(self, tree: Any) -> None:
        path = self.second(tree)
        path.rename(path.with_suffix(".dcm.part"))
        self.quarantined(tree, "image-missing", "the image was not found")

    def test_an_image_cut_within_its_pixels(self, tree: Any) -> None:
        path = self.second(tree)
        path.write_bytes(path.read_bytes()[:-100])
        self.quarantined(tree, "file-truncated", "cut short")

    @pytest.mark.parametrize("size", [0, 100, 300])
    def test_an_image_cut_within_its_header(self, tree: Any, size: int) -> None:
        path = self.second(tree)
        path.write_bytes(path.read_bytes()[:size])
        self.quarantined(tree, "dicom-unusable", "not usable as a mammogram")

    def test_a_number_that_two_files_have(self, tree: Any) -> None:
        path = self.second(tree)
        path.with_name(path.name.replace("ffff", "eeee")).write_bytes(path.read_bytes())
        self.quarantined(tree, "image-repeated", "2 DICOM files have the same number")

    def test_a_file_without_a_row(self, tree: Any) -> None:
        tree.rows.pop()
        audit = self.quarantined(tree, "row-missing", "the table has no row for this image")
        assert codes(audit) == ["row-missing"]

    def test_a_side_that_differs_between_table_and_name(self, tree: Any) -> None:
        tree.rows[1] = tree.rows[1].replace(";L;", ";R;")
        self.quarantined(tree, "identity-differs", "the table says R CC, the file name L CC")

    @pytest.mark.parametrize(
        ("row", "found"),
        [
            ("r;r;L;CC;201001;2;2;9", "'bi-rads' must be a category from 0 to 6"),
            ("r;r;L;CC;201001;2;7;2", "'acr' must be a whole number from 1 to 4"),
            ("r;r;X;CC;201001;2;2;2", "'laterality' must be L or"),
            ("r;r;L;XX;201001;2;2;2", "'view' must be CC or"),
            ("r;r;L;;201001;2;2;2", "'view' must be CC or"),
        ],
    )
    def test_a_cell_that_cannot_be_read(self, tree: Any, row: str, found: str) -> None:
        tree.rows[1] = row
        self.quarantined(tree, "table-value", found)

    def test_a_row_without_a_number_costs_its_image_alone(self, tree: Any) -> None:
        tree.rows[1] = "r;r;L;CC;201001;2.27E+07;2;2"
        audit = Audit()
        assert len(read(tree.write_table(), audit)) == 1
        assert codes(audit) == ["table-value", "row-missing"]
        assert "'file name' must be a number, got '2.27E+07'" in audit.findings[0].found
        assert audit.findings[0].place == "INbreast.csv row 2"

    def test_two_rows_of_one_image_that_differ(self, tree: Any) -> None:
        tree.rows.append(tree.rows[1].replace("4a", "1"))
        self.quarantined(tree, "row-differs", "row 3 of the table names the same file")

    def test_the_same_row_twice_is_one_image(self, tree: Any) -> None:
        tree.rows.append(tree.rows[1])
        audit = Audit()
        assert len(read(tree.write_table(), audit)) == 2
        assert [(each.code, each.action) for each in audit.findings] == [("row-repeated", Action.REPAIRED)]

    @pytest.mark.parametrize("cells", ["2;3", "2;4a", "2;5", "2;6"])
    def test_a_missing_contour_of_an_image_that_may_show_a_mass(self, tree: Any, cells: str) -> None:
        tree.rows[1] = f"r;r;L;CC;201001;2;{cells}"
        (tree.root / "AllXML" / "2.xml").unlink()
        self.quarantined(tree, "contour-missing", f"no contour, but BI-RADS {cells[2]}")

    @pytest.mark.parametrize(("cells", "said"), [("2;2", "BI-RADS 2"), ("2; ", "no category")])
    def test_a_missing_contour_of_another_image_is_a_warning(
        self, inbreast: Any, cells: str, said: str
    ) -> None:
        inbreast.add(regions=None, cells=cells)
        audit = Audit()
        (record,) = read(inbreast.write_table(), audit)
        assert record.is_normal
        assert [(each.code, each.action) for each in audit.findings] == [("contour-missing", Action.WARNED)]
        assert audit.findings[0].found == f"no contour, but {said}"

    def test_an_xml_file_without_regions_is_none(self, inbreast: Any) -> None:
        inbreast.add(1)
        inbreast.add(2, regions=[])
        self.quarantined(inbreast, "contour-missing", "no contour, but BI-RADS 4")

    def test_damaged_xml(self, tree: Any) -> None:
        path = tree.root / "AllXML" / "2.xml"
        path.write_bytes(path.read_bytes()[:200])
        self.quarantined(tree, "xml-unusable", "not usable as OsiriX regions")

    def test_two_xml_files_of_one_image(self, tree: Any) -> None:
        (tree.root / "AllXML" / "2.XML").write_bytes(b"<plist/>")
        self.quarantined(tree, "contour-repeated", "several XML files have its number")

    def test_a_bomb_of_entities(self, tree: Any) -> None:
        levels = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
        (tree.root / "AllXML" / "2.xml").write_text(
            f'<!DOCTYPE plist [<!ENTITY e0 "x">{levels}]><plist><string>&e9;</string></plist>'
        )
        self.quarantined(tree, "xml-unusable", "declares XML entities, which can expand without end")

    def test_xml_files_of_no_image_are_counted(self, inbreast: Any) -> None:
        inbreast.add(1)
        inbreast.write_xml(77, [("Mass", CONTOUR)])
        audit = Audit()
        assert len(read(inbreast.write_table(), audit)) == 1
        assert [(each.code, each.found) for each in audit.findings] == [
            ("contour-unused", "1 XML files belong to no image of the table")
        ]

    def test_a_header_of_the_other_side_is_a_warning(self, inbreast: Any) -> None:
        inbreast.add(laterality="R", ImageLaterality="L")
        audit = Audit()
        (record,) = read(inbreast.write_table(), audit)
        assert record.laterality is Laterality.RIGHT
        assert [(each.code, each.action) for each in audit.findings] == [("header-differs", Action.WARNED)]

    def test_two_numbers_with_one_uid(self, inbreast: Any) -> None:
        inbreast.add(1, SOPInstanceUID="1.2.3")
        inbreast.add(2, SOPInstanceUID="1.2.3", SeriesNumber=2)
        audit = Audit()
        inbreast.add(3)
        assert len(read(inbreast.write_table(), audit)) == 1
        assert [each.code for each in audit.quarantined] == ["uid-conflict"] * 2

    def test_strict_refuses_in_the_end(self, tree: Any) -> None:
        self.second(tree).unlink()
        audit = Audit(strict=True)
        read(tree.write_table(), audit)
        with pytest.raises(
            Exception, match=r"INbreast\.csv, row 2: the image was not found\. Expected a file"
        ):
            audit.finish()
