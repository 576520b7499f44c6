from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from mammo_monai.errors import ManifestError
from mammo_monai.readers.audit import MAX_LOGGED_PER_CODE, Audit
from mammo_monai.readers.reading import DataSet, Reading
from mammo_monai.readers.vindr.reader import VindrOptions, read_vindr
from mammo_monai.records import Laterality, Split, ViewPosition, record_id_of
from mammo_monai.schema import Action


def read(root: Path, *types: str) -> tuple[DataSet, Audit]:
    audit = Audit()
    return read_vindr(root, Reading("s", audit), VindrOptions(types or None)), audit


def codes(audit: Audit) -> list[str]:
    return [finding.code for finding in audit.findings]


def test_a_finding_is_a_lesion_with_its_box_and_the_breast_gives_birads_and_density(vindr: Any) -> None:
    vindr.add(finding_birads="BI-RADS 5")
    vindr.add_image()
    found, audit = read(vindr.write_tables())
    (record,) = found.records
    (lesion,) = record.lesions
    assert lesion.box == (10.5, 20.25, 30.0, 44.5)
    assert (lesion.type, lesion.label, lesion.birads, lesion.id) == ("mass", 0, 5, "1")
    assert (record.birads, record.breast_density) == (4, 3)
    assert (record.laterality, record.view_position) == (Laterality.RIGHT, ViewPosition.CC)
    assert (record.width, record.height, record.pixel_spacing_mm) == (60, 90, (0.07, 0.05))
    assert record.patient_id == "s1"
    assert record.source == "VinDr-Mammo finding_annotations.csv row 1"
    assert audit.findings == []


def test_images_of_no_finding_are_normal(vindr: Any) -> None:
    vindr.add("a1", "['No Finding']", None, laterality="L", view_position="MLO", breast_birads="BI-RADS 1")
    vindr.add(
        "a2", "['No Finding']", None, xmin="nan", ymin="NaN", xmax="nan", ymax="nan", finding_birads="nan"
    )
    for image in ("a1", "a2"):
        vindr.add_image(image)
    found, audit = read(vindr.write_tables())
    assert [record.is_normal for record in found.records] == [True, True]
    assert [record.birads for record in found.records] == [1, 4]
    assert audit.findings == []


def test_rows_of_one_image_are_its_lesions_in_their_order(vindr: Any) -> None:
    vindr.add("a1", "['Skin Thickening']", (1, 2, 9, 8))
    vindr.add("a2", "['No Finding']", None)
    vindr.add("a1", "['Suspicious Calcification', 'Mass']", (10, 2, 19, 8))
    for image in ("a1", "a2"):
        vindr.add_image(image)
    found, _ = read(vindr.write_tables())
    first, second = found.records
    assert [(each.type, each.label) for each in first.lesions] == [
        ("other+skin thickening", 4),
        ("mass+calcification", 0),
    ]
    assert first.boxes.tolist() == [[1, 2, 9, 8], [10, 2, 19, 8]]
    assert second.is_normal


def test_the_official_split_is_that_of_the_table(vindr: Any) -> None:
    vindr.add("a1", study="s1", split="training")
    vindr.add("b1", study="s2", split="test")
    vindr.add_image("a1")
    vindr.add_image("b1", study="s2")
    found, _ = read(vindr.write_tables())
    assert [found.official[record.record_id] for record in found.records] == [Split.TRAINING, Split.TEST]
    assert found.published is not None
    assert found.published.counts["training images"] == 16000


def test_a_study_in_two_lists_is_an_error(vindr: Any) -> None:
    vindr.add("a1", split="training")
    vindr.add("a2", split="test")
    vindr.add_image("a1")
    with pytest.raises(
        ManifestError, match=r"row 2: split is 'test', but row 1 puts the same study into 'trai"
    ):
        read(vindr.write_tables())


def test_ids_come_from_the_uid_and_else_from_the_tables_names(vindr: Any) -> None:
    vindr.add("a1")
    vindr.add("a2")
    vindr.add_image("a1", SOPInstanceUID="1.2.3")
    vindr.add_image("a2", SOPInstanceUID=None)
    found, _ = read(vindr.write_tables())
    ids = [record_id_of("1.2.3", "s"), record_id_of("s1/a2", "s")]
    assert [record.record_id for record in found.records] == ids


def test_the_folder_of_the_download_may_be_named(vindr: Any) -> None:
    vindr.add()
    vindr.add_image()
    deep = vindr.root.parent / "physionet.org" / "files" / "vindr-mammo" / "1.0.0"
    deep.parent.mkdir(parents=True)
    vindr.write_tables().rename(deep)
    found, _ = read(deep.parents[3] / "physionet.org")
    assert len(found.records) == 1


def test_only_the_types_asked_for_are_kept_and_every_image_stays(vindr: Any) -> None:
    vindr.add("a1", "['Mass', 'Suspicious Calcification']")
    vindr.add("a1", "['Asymmetry']", (1, 2, 9, 8))
    vindr.add("a2", "['Nipple Retraction']", (1, 2, 9, 8))
    for image in ("a1", "a2"):
        vindr.add_image(image)
    vindr.write_tables()
    for types, counts in {
        ("mass",): [1, 0],
        ("calcification",): [1, 0],
        (): [2, 1],
        ("other",): [0, 1],
    }.items():
        found, _ = read(vindr.root, *types)
        assert [len(record.lesions) for record in found.records] == counts


def test_types_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="types must be among mass"):
        VindrOptions(("Mass",))


def test_workers_change_neither_order_nor_findings(vindr: Any) -> None:
    for number in range(8):
        vindr.add(f"a{number}", box=(1, 2, 9, 8) if number % 2 else (1, 2, 99, 8))
        vindr.add_image(f"a{number}")
    vindr.write_tables()
    single, threaded = (Reading("s", Audit(), workers=workers) for workers in (1, 4))
    assert read_vindr(vindr.root, single) == read_vindr(vindr.root, threaded)
    assert single.audit.findings == threaded.audit.findings
    assert len(single.audit.quarantined) == 4


class TestFaults:
    @pytest.fixture
    def tree(self, vindr: Any) -> Any:
        """Two images with a mass."""
        for image in ("a1", "a2"):
            vindr.add(image)
            vindr.add_image(image)
        return vindr

    def quarantined(self, tree: Any, code: str, said: str) -> Audit:
        """One image, the second, is left out for this reason, the first one stays."""
        found, audit = read(tree.write_tables())
        assert [record.image.stem for record in found.records] == ["a1"]
        assert list(found.official) == [record.record_id for record in found.records]
        (row,) = [each for each in audit.findings if each.action is Action.QUARANTINED]
        assert row.code == code
        assert said in row.found
        assert str(tree.root) not in row.found
        assert [each.code for each in audit.quarantined] == [code]
        return audit

    def path(self, tree: Any) -> Path:
        return Path(tree.root, "images", "s1", "a2.dicom")

    def test_a_missing_image(self, tree: Any) -> None:
        self.path(tree).unlink()
        audit = self.quarantined(tree, "image-missing", "the image was not found")
        assert audit.findings[0].place == "finding_annotations.csv row 2"

    def test_two_files_of_one_image(self, tree: Any) -> None:
        self.path(tree).with_suffix(".dcm").write_bytes(self.path(tree).read_bytes())
        self.quarantined(tree, "image-repeated", "2 files have its name")

    def test_a_file_elsewhere_does_not_count_beside_the_studys_own(self, tree: Any) -> None:
        copy = tree.root / "copies" / "a2.dicom"
        copy.parent.mkdir()
        copy.write_bytes(self.path(tree).read_bytes())
        found, audit = read(tree.write_tables())
        assert [record.image.parent.name for record in found.records] == ["s1", "s1"]
        assert audit.findings == []

    @pytest.mark.parametrize("size", [0, 200])
    def test_an_image_cut_within_its_header(self, tree: Any, size: int) -> None:
        self.path(tree).write_bytes(self.path(tree).read_bytes()[:size])
        self.quarantined(tree, "dicom-unusable", "not usable as a mammogram")

    def test_an_image_cut_within_its_pixels(self, tree: Any) -> None:
        self.path(tree).write_bytes(self.path(tree).read_bytes()[:-9])
        self.quarantined(tree, "file-truncated", "cut short")

    def test_an_image_for_processing(self, tree: Any) -> None:
        tree.add_image("a2", PresentationIntentType="FOR PROCESSING")
        self.quarantined(tree, "for-processing", "the image is FOR PROCESSING")

    def test_an_image_of_another_size(self, tree: Any) -> None:
        tree.add_image("a2", size=(90, 60))
        self.quarantined(tree, "size-differs", "the file has 90 × 60 px: width and height are swapped")

    def test_a_file_that_no_table_lists(self, tree: Any) -> None:
        tree.rows.pop()
        self.quarantined(tree, "row-missing", "no table lists this image")

    def test_an_image_that_only_the_breast_table_lists(self, tree: Any) -> None:
        tree.write_tables(with_breasts=True)
        tree.rows.pop()
        audit = self.quarantined(tree, "row-missing", "what it shows is not known")
        assert audit.findings[0].place == "breast-level_annotations.csv row 2"

    @pytest.mark.parametrize(
        ("cells", "said"),
        [
            ({"laterality": "X"}, "'laterality' must be L or"),
            ({"view_position": ""}, "'view position' must be CC or"),
            ({"breast_birads": "BI-RADS 9"}, "'breast birads' must be BI-RADS 0 to 6, got 'BI-RADS 9'"),
            ({"breast_density": "DENSITY E"}, "'breast density' must be DENSITY A to D, got 'DENSITY E'"),
            ({"finding_birads": "high"}, "'finding birads' must be BI-RADS 0 to 6, or empty, got 'high'"),
            ({"finding_categories": "[]"}, "'finding categories' must be a list such as"),
            ({"finding_categories": "['Mass', __import__('os')]"}, "'finding categories' must be a list"),
            ({"finding_categories": ""}, "'finding categories' must be a list"),
            ({"xmin": "1,5"}, "'xmin' must be a number with a decimal point, got '1,5'"),
            ({"height": ""}, "'height' must be filled in"),
            ({"width": "sixty"}, "'width' must be a whole number from 1"),
            ({"split": "validation"}, "'split' must be TRAINING or"),
        ],
    )
    def test_a_cell_that_cannot_be_read(self, tree: Any, cells: dict[str, str], said: str) -> None:
        tree.rows[1].update(cells, study_id="s2")
        self.path(tree).parent.with_name("s2").mkdir()
        self.path(tree).rename(tree.root / "images" / "s2" / "a2.dicom")
        self.quarantined(tree, "table-value", said)

    @pytest.mark.parametrize("column", ["image_id", "study_id"])
    def test_a_row_without_a_name_costs_its_image_alone(self, tree: Any, column: str) -> None:
        tree.rows[1][column] = ""
        found, audit = read(tree.write_tables())
        assert len(found.records) == 1
        assert codes(audit)[0] == "table-value"
        assert f"{column.replace('_', ' ')!r} must be filled in" in audit.findings[0].found

    @pytest.mark.parametrize(
        ("box", "code", "said"),
        [
            ((1, 2, 61.5, 9), "box-outside", "leaves the image of 60 × 90 px"),
            ((60.2, 2, 60.9, 9), "box-outside", "leaves the image of 60 × 90 px"),
            ((9, 2, 1, 9), "box-invalid", "expected xmin < xmax"),
            ((1, 9, 8, 9), "box-invalid", "ymin < ymax, got [1.0, 9.0, 8.0, 9.0]"),
            ((1, 2, "", 9), "box-missing", "not all of its four sides"),
            (None, "box-missing", "a finding has no box"),
        ],
    )
    def test_a_box_that_cannot_be(self, tree: Any, box: Any, code: str, said: str) -> None:
        tree.rows[1].update(zip(("xmin", "ymin", "xmax", "ymax"), map(str, box or [""] * 4), strict=True))
        self.quarantined(tree, code, said)

    def test_a_box_of_no_finding(self, tree: Any) -> None:
        tree.rows[1]["finding_categories"] = "['No Finding']"
        self.quarantined(tree, "box-unexpected", '"No Finding" has a box or other categories beside it')

    def test_no_finding_beside_a_category(self, tree: Any) -> None:
        tree.rows[1].update(finding_categories="['No Finding', 'Mass']", xmin="", ymin="", xmax="", ymax="")
        self.quarantined(tree, "box-unexpected", "other categories beside it")

    def test_marks_for_unknown_are_the_same(self, tree: Any) -> None:
        tree.rows[1]["breast_density"] = "nan"
        tree.add("a2", "['Asymmetry']", (1, 2, 9, 8), breast_density="")
        found, audit = read(tree.write_tables())
        assert [record.breast_density for record in found.records] == [3, None]
        assert audit.findings == []

    def test_a_box_a_fraction_outside_is_cut_and_noted(self, vindr: Any) -> None:
        vindr.add(box=(-0.25, 2, 60.5, 9))
        vindr.add_image()
        found, audit = read(vindr.write_tables())
        assert found.records[0].boxes.tolist() == [[0, 2, 60, 9]]
        assert [(each.code, each.action) for each in audit.findings] == [("box-clipped", Action.REPAIRED)]
        assert "0.50 px" in audit.findings[0].found

    def test_rows_of_one_image_that_differ(self, tree: Any) -> None:
        tree.add("a2", "['Asymmetry']", (1, 2, 9, 8), breast_density="DENSITY A")
        self.quarantined(
            tree, "row-differs", "row 3 says something else of the same image in: breast density"
        )

    def test_the_same_finding_twice_counts_once(self, tree: Any) -> None:
        tree.rows.append(dict(tree.rows[1]))
        found, audit = read(tree.write_tables())
        assert [len(record.lesions) for record in found.records] == [1, 1]
        assert [(each.code, each.action) for each in audit.findings] == [("row-repeated", Action.REPAIRED)]

    def test_no_finding_beside_a_finding_is_a_warning(self, tree: Any) -> None:
        tree.add("a2", "['No Finding']", None)
        found, audit = read(tree.write_tables())
        assert [len(record.lesions) for record in found.records] == [1, 1]
        assert [(each.code, each.action) for each in audit.findings] == [
            ("finding-contradicted", Action.WARNED)
        ]

    def test_a_category_that_nobody_published_is_other(self, tree: Any) -> None:
        tree.rows[1]["finding_categories"] = "['Clip', 'Mass']"
        tree.add("a1", "['Clip']", (1, 2, 9, 8))
        found, audit = read(tree.write_tables())
        assert [[lesion.type for lesion in record.lesions] for record in found.records] == [
            ["mass", "other"],
            ["mass+other"],
        ]
        assert codes(audit) == ["category-unknown"] * 2

    def test_a_breast_table_that_says_something_else_is_a_warning(self, tree: Any) -> None:
        density = tree.rows[1].pop("breast_density")
        tree.rows[1]["breast_density"] = "DENSITY A"
        tree.write_tables(with_breasts=True)
        tree.rows[1]["breast_density"] = density
        found, audit = read(tree.write_tables())
        assert [record.breast_density for record in found.records] == [3, 3]
        assert [(each.code, each.action) for each in audit.findings] == [("tables-differ", Action.WARNED)]
        said = "breast-level_annotations.csv row 2 says something else in: breast density"
        assert audit.findings[0].found == said

    def test_a_breast_table_that_cannot_be_read_is_not_needed(self, tree: Any) -> None:
        (tree.write_tables() / "breast-level_annotations.csv").write_bytes(b"<html>")
        found, audit = read(tree.root)
        assert len(found.records) == 2
        assert codes(audit) == ["table-unusable"]

    def test_a_header_of_another_side_and_view_is_a_warning(self, vindr: Any) -> None:
        vindr.add()
        vindr.add_image(ImageLaterality="L", ViewPosition="MLO")
        found, audit = read(vindr.write_tables())
        assert found.records[0].laterality is Laterality.RIGHT
        assert codes(audit) == ["header-differs"]
        assert audit.findings[0].found == "the DICOM header names another side and view than the table"

    def test_the_table_of_findings_is_needed(self, tree: Any) -> None:
        tree.write_tables(with_breasts=True)
        (tree.root / "finding_annotations.csv").unlink()
        with pytest.raises(ManifestError, match=r"expected finding_annotations\.csv beside breast-level"):
            read(tree.root)

    def test_a_table_without_its_columns_names_them(self, tree: Any) -> None:
        (tree.root / "finding_annotations.csv").write_text("image_id,study_id\na1,s1\n")
        with pytest.raises(ManifestError, match=r"missing: laterality, view position, height"):
            read(tree.root)

    def test_no_image_at_all_is_one_error(self, vindr: Any) -> None:
        vindr.add("a1")
        vindr.add("a2")
        with pytest.raises(ManifestError, match=r"none of the 2 images that finding_annotations\.csv lists"):
            read(vindr.write_tables())


def test_ten_thousand_missing_images_are_rows_but_not_log_lines(
    vindr: Any, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(10_000):
        vindr.add(f"a{number}", study=f"s{number // 4}")
    vindr.add_image("a7", study="s1")
    vindr.write_tables()
    found, audit = read(vindr.root)
    with caplog.at_level(logging.INFO):
        audit.finish()
    assert [record.image.stem for record in found.records] == ["a7"]
    assert len(audit.quarantined) == len(audit.findings) == 9_999
    assert len(caplog.records) <= MAX_LOGGED_PER_CODE + 1


def test_two_words_for_one_list_are_no_leak(vindr: Any) -> None:
    vindr.add("a1", split="train")
    vindr.add("a2", split="training")
    for image in ("a1", "a2"):
        vindr.add_image(image)
    found, _ = read(vindr.write_tables())
    assert {*found.official.values()} == {Split.TRAINING}


def test_a_table_without_a_row_is_said_to_be_empty(vindr: Any) -> None:
    with pytest.raises(ManifestError, match="has a header but no row"):
        read(vindr.write_tables())


def test_two_masses_of_one_box_are_said(vindr: Any) -> None:
    vindr.add(finding_birads="BI-RADS 4")
    vindr.add(finding_birads="BI-RADS 5")
    vindr.add("a2")
    vindr.add("a2", "['Asymmetry']")
    for image in ("a1", "a2"):
        vindr.add_image(image)
    found, audit = read(vindr.write_tables())
    assert [len(record.lesions) for record in found.records] == [2, 2]
    assert codes(audit) == ["box-repeated"]


def test_a_study_in_capitals_is_the_same_patient(vindr: Any) -> None:
    vindr.add("a1", study="s1")
    vindr.add("a2", study="S1")
    for image in ("a1", "a2"):
        vindr.add_image(image)
    found, _ = read(vindr.write_tables())
    assert {record.patient_id for record in found.records} == {"s1"}
    vindr.rows[1]["split"] = "test"
    with pytest.raises(ManifestError, match="A patient in two lists is a leak"):
        read(vindr.write_tables())
