from __future__ import annotations

import csv
import io
import os
import unicodedata
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mammo_monai.errors import ManifestError
from mammo_monai.records import Laterality, Split, ViewPosition, patient_id_of
from mammo_monai.schema import Action
from tests.readers.annotations.in_house import BOXES, InHouse, boxes_of

CORNERS = "file_name,xmin,ymin,xmax,ymax"


def table(header: str, *rows: Any, separator: str = ",") -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=separator)
    writer.writerow(header.split(","))
    writer.writerows(rows)
    return stream.getvalue()


@pytest.mark.parametrize(
    "header",
    [
        CORNERS,
        "Image ID,x1,y1,x2,y2",
        "path,left,top,right,bottom",
        "image,X_Min,Y-Min,X Max,Y_max",
        "img,bbox_x1,bbox_y1,bbox_x2,bbox_y2",
        "img,min_x,min_y,max_x,max_y",
    ],
)
def test_corners_come_back_by_many_names(site: InHouse, header: str) -> None:
    site.png("p1/left.png")
    site.text("boxes.csv", table(header, *(("p1/left.png", *box) for box in BOXES)))
    assert boxes_of(site.lesions("p1/left.png")) == [*BOXES]


@pytest.mark.parametrize(
    "header", ["filename,x,y,w,h", "image,x,y,width,height", "file,xmin,ymin,bbox_width,bbox_height"]
)
def test_sizes_come_back_as_corners(site: InHouse, header: str) -> None:
    site.png("left.png")
    rows = [("left.png", x, y, x_max - x, y_max - y) for x, y, x_max, y_max in BOXES]
    site.text("boxes.csv", table(header, *rows))
    assert boxes_of(site.lesions("left.png")) == [*BOXES]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    corners=st.tuples(st.floats(0, 29), st.floats(0, 44), st.floats(30, 60), st.floats(45, 90)),
    separator=st.sampled_from(",;\t"),
    bom=st.sampled_from(["", "\ufeff"]),
)
def test_any_box_in_any_dialect_comes_back(site: InHouse, corners: Any, separator: str, bom: str) -> None:
    site.png("left.png")
    text = table(CORNERS, ("left.png", *map(repr, corners)), separator=separator)
    site.text("boxes.csv", bom + text)
    assert boxes_of(site.lesions("left.png")) == [corners]


def test_a_row_without_box_says_normal_and_so_does_a_word_for_it(site: InHouse) -> None:
    for name in ("a", "b", "c"):
        site.png(f"{name}.png")
    rows = [
        ("a.png", "", "", "", "", ""),
        ("b.png", "nan", "NaN", "", "", "No Finding"),
        ("c.png", *BOXES[0], "mass"),
    ]
    site.text("boxes.csv", table(f"{CORNERS},label", *rows))
    records = site.read()
    assert [record.is_normal for record in records.values()] == [True, True, False]
    assert "images-unlisted" not in site.codes()


def test_a_lesion_without_a_box_is_not_normal(site: InHouse) -> None:
    site.png("a.png")
    site.png("b.png")
    site.text(
        "boxes.csv",
        table(f"{CORNERS},label", ("a.png", "", "", "", "", "mass"), ("b.png", *BOXES[0], "mass")),
    )
    assert [*site.read()] == ["b.png"]
    assert site.quarantined() == ["box-missing"]


def test_other_columns_fill_the_record(site: InHouse) -> None:
    site.png("a.png")
    header = f"{CORNERS},class,Patient ID,side,view,BI-RADS,density,pathology,width,height"
    row = ("a.png", *BOXES[0], "Calcifications", "p9", "right", "mlo", "4a", "c", "BENIGN", 60, 90)
    site.text("boxes.csv", table(header, row))
    record = site.read()["a.png"]
    lesion = record.lesions[0]
    assert (record.patient_id, record.laterality, record.view_position) == (
        patient_id_of("p9", "s"),
        Laterality.RIGHT,
        ViewPosition.MLO,
    )
    assert (record.birads, record.breast_density) == (4, 3)
    assert (lesion.type, lesion.label, lesion.birads, lesion.pathology) == ("calcification", 1, 4, "BENIGN")


def test_a_split_column_is_the_official_split(site: InHouse) -> None:
    for name in ("a", "b", "c"):
        site.png(f"{name}.png")
    rows = [("a.png", *BOXES[0], "train"), ("b.png", "", "", "", "", "TEST"), ("c.png", *BOXES[0], "fold 3")]
    site.text("boxes.csv", table(f"{CORNERS},split", *rows))
    data_set = site.data_set()
    official = {record.image.name: data_set.official.get(record.record_id) for record in data_set.records}
    assert official == {"a.png": Split.TRAINING, "b.png": Split.TEST, "c.png": None}
    assert "split-unknown" in site.codes(Action.WARNED)


def test_rows_that_repeat_count_once_and_it_is_said(site: InHouse) -> None:
    site.png("a.png")
    site.text("boxes.csv", table(CORNERS, ("a.png", *BOXES[0]), ("a.png", *BOXES[0])))
    assert boxes_of(site.lesions("a.png")) == [BOXES[0]]
    assert "lesion-repeated" in site.codes(Action.REPAIRED)


def test_images_are_found_by_uid_where_a_column_has_it(site: InHouse) -> None:
    site.dicom("x/IM000001", SOPInstanceUID="1.2.3.4")
    site.dicom("y/IM000001", SOPInstanceUID="1.2.3.5")
    site.text(
        "boxes.csv",
        table(
            "SOPInstanceUID,x1,y1,x2,y2,split",
            ("1.2.3.5", *BOXES[0], "test"),
            ("1.2.3.4", "", "", "", "", "train"),
        ),
    )
    data_set = site.data_set()
    found = {
        record.image.parent.name: (boxes_of(record.lesions), data_set.official[record.record_id])
        for record in data_set.records
    }
    assert found == {"y": ([BOXES[0]], Split.TEST), "x": ([], Split.TRAINING)}
    assert site.codes() == ["patient-per-image"]


@pytest.mark.parametrize(
    ("cells", "code"),
    [
        ((1, 2, "x", 4), "box-invalid"),
        ((1, 2, "nan", 4), "box-invalid"),
        ((1, 2, "inf", 4), "box-invalid"),
        ((30, 2, 10, 40), "box-invalid"),
        ((1, 2, 1, 40), "box-invalid"),
        ((1, 2, 70, 40), "box-outside"),
        ((100, 200, 110, 210), "box-outside"),
    ],
)
def test_a_bad_box_quarantines_its_image_alone(site: InHouse, cells: Any, code: str) -> None:
    site.png("a.png")
    site.png("b.png")
    site.text("boxes.csv", table(CORNERS, ("a.png", *cells), ("a.png", *BOXES[0]), ("b.png", *BOXES[0])))
    assert [*site.read()] == ["b.png"]
    assert site.quarantined() == [code]
    (finding,) = [each for each in site.audit.findings if each.action is Action.QUARANTINED]
    assert finding.place == "CSV row 1"
    assert "a.png" not in finding.found


def test_boxes_are_cut_on_request(site: InHouse) -> None:
    site.png("a.png")
    site.text("boxes.csv", table(CORNERS, ("a.png", 50, 2, 70, 40)))
    assert boxes_of(site.lesions("a.png", clip_boxes=True)) == [(50, 2, 60, 40)]


def test_rows_of_one_image_may_not_contradict_one_another(site: InHouse) -> None:
    site.png("a.png")
    site.text(
        "boxes.csv", table(f"{CORNERS},patient", ("a.png", *BOXES[0], "p1"), ("a.png", *BOXES[1], "p2"))
    )
    assert site.read() == {}
    assert site.quarantined() == ["identity-differs"]


def test_a_stated_size_must_be_the_images(site: InHouse) -> None:
    site.png("a.png")
    site.text("boxes.csv", table(f"{CORNERS},image_width,image_height", ("a.png", *BOXES[0], 90, 60)))
    assert site.read() == {}
    assert site.quarantined() == ["size-differs"]


@pytest.mark.parametrize(("column", "cell"), [("birads", "9"), ("laterality", "both")])
def test_a_word_nobody_knows_quarantines(site: InHouse, column: str, cell: str) -> None:
    site.png("a.png")
    site.text("boxes.csv", table(f"{CORNERS},{column}", ("a.png", *BOXES[0], cell)))
    assert site.read() == {}
    assert site.quarantined() == ["grade-unknown" if column == "birads" else "laterality-unknown"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"expected columns for the image .* found nothing"),
        (b"a,b\n1,2\n", r"expected columns for the image .* found a, b"),
        (b"file_name,bbox\na.png,1 2 3 4\n", r"expected columns for the image .* found file name, bbox"),
        (f"{CORNERS}\na.png,1,2\n".encode(), r"row 1.*expected 5 cells, got 3"),
        (f"{CORNERS}\n,1,2,3,4\n".encode(), r"row 1: expected the name of an image"),
        (b"\x00\x00\x00", "expected text, found NUL bytes"),
        (f"{CORNERS}\na.png,1,2,3,4\n".encode("utf-16-le"), "found NUL bytes.*save it as CSV, UTF-8"),
        (b"PK\x03\x04\x14", r"found a spreadsheet \(\.xlsx\)"),
    ],
)
def test_a_table_that_cannot_be_read_is_one_clear_error(site: InHouse, content: bytes, message: str) -> None:
    site.png("a.png")
    path = site.text("boxes.csv", content)
    with pytest.raises(ManifestError, match=message):
        site.read(annotations=path, format="csv")


def test_a_table_from_an_old_spreadsheet_is_read(site: InHouse) -> None:
    site.png("lärm.png")
    site.text("boxes.csv", f"{CORNERS}\r\nlärm.png,10,20,31,45\r\n".encode("cp1252"))
    assert boxes_of(site.lesions("lärm.png")) == [BOXES[0]]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_table_by_every_separator_is_found_among_the_images(
    site: InHouse, separator: str, encoding: str
) -> None:
    site.png("a.png")
    text = f"{CORNERS}\r\na.png,10,20,31,45\r\n".replace(",", separator)
    site.text("boxes.csv", text.encode(encoding))
    assert boxes_of(site.lesions("a.png")) == [BOXES[0]]


def test_a_table_whose_first_line_names_the_separator_is_found(site: InHouse) -> None:
    site.png("a.png")
    site.text("boxes.csv", f"sep=;\r\n{CORNERS}\r\na.png,10,20,31,45\r\n".replace(",", ";"))
    assert boxes_of(site.lesions("a.png")) == [BOXES[0]]


def test_an_orphan_is_a_row_that_names_no_file(site: InHouse) -> None:
    site.png("a.png")
    site.text("boxes.csv", table(CORNERS, ("a.png", *BOXES[0]), ("Smith_Jane.png", *BOXES[1])))
    assert len(site.read()) == 1
    (finding,) = [each for each in site.audit.findings if each.code == "annotation-orphan"]
    assert finding.place == "CSV row 2"
    assert "Smith" not in finding.found


def test_a_box_without_a_class_is_no_mass_where_other_rows_have_one(site: InHouse) -> None:
    site.png("left.png")
    site.png("right.png")
    table = "file,xmin,ymin,xmax,ymax,label\nleft.png,10,20,31,45,\nright.png,1,2,30,40,calc\n"
    site.text("boxes.csv", table)
    assert [*site.read()] == ["right.png"]
    assert site.quarantined() == ["class-unknown"]
    site.text("boxes.csv", table.replace("calc", ""))
    assert [lesion.type for record in site.read().values() for lesion in record.lesions] == ["mass", "mass"]


def test_what_a_row_called_normal_contradicts_is_said(site: InHouse) -> None:
    site.png("left.png")
    site.png("right.png")
    rows = "left.png,10,20,31,45,mass\nleft.png,,,,,normal\nright.png,1,2,30,40,no finding\n"
    site.text("boxes.csv", f"file,xmin,ymin,xmax,ymax,label\n{rows}")
    records = site.read()
    assert boxes_of(records["left.png"].lesions) == [(10, 20, 31, 45)]
    assert records["right.png"].is_normal
    assert {"finding-contradicted", "box-unexpected"} <= {*site.codes(Action.WARNED)}


def test_tables_that_repeat_one_another_count_once_and_may_not_contradict(site: InHouse) -> None:
    site.png("left.png")
    site.png("right.png")
    header = "file,xmin,ymin,xmax,ymax,patient\n"
    site.text("one.csv", f"{header}left.png,10,20,31,45,1\nright.png,,,,,2\n")
    site.text("two.csv", f"{header}left.png,10,20,31,45,1\n")
    assert boxes_of(site.lesions("left.png")) == [(10, 20, 31, 45)]
    assert "lesion-repeated" in site.codes(Action.REPAIRED)
    site.text("two.csv", f"{header}left.png,1,2,30,40,2\n")
    assert [*site.read()] == ["right.png"]
    assert site.quarantined() == ["identity-differs"]


def test_a_file_name_beside_the_uid_of_another_image_quarantines(site: InHouse) -> None:
    for number in (1, 2):
        site.dicom(f"{number}.dcm", SOPInstanceUID=f"1.2.{number}")
    rows = "1.2.2,1.dcm,10,20,31,45\n1.2.2,2.dcm,,,,\n"
    site.text("boxes.csv", f"SOPInstanceUID,file_name,xmin,ymin,xmax,ymax\n{rows}")
    assert [*site.read()] == ["2.dcm"]
    assert site.quarantined() == ["identity-differs"]


def test_numbers_that_are_none_are_not_read_as_some(site: InHouse) -> None:
    for name in ("a.png", "b.png", "c.png"):
        site.png(name)
    site.text("boxes.csv", "file;xmin;ymin;xmax;ymax\na.png;1_0;20;31;45\nb.png;10,5;20;31;45\nc.png;;;;\n")
    assert [*site.read()] == ["c.png"]
    assert site.quarantined() == ["box-invalid"] * 2


def test_annotations_of_which_none_finds_an_image_make_none_normal(site: InHouse) -> None:
    site.png("left.png")
    site.text("boxes.csv", "file,xmin,ymin,xmax,ymax\nother.png,10,20,31,45\n")
    with pytest.raises(ManifestError, match=r"row 1: none of the 1 annotations names an image .*--unlisted"):
        site.read()
    assert site.read(unlisted="normal")["left.png"].is_normal
    assert "annotation-orphan" in site.codes(Action.WARNED)


@pytest.mark.parametrize("name", ["my%20left.png", "https://host/a/my%20left.png?token=1"])
def test_an_address_of_a_labelling_server_leads_to_the_image(site: InHouse, name: str) -> None:
    site.png("my left.png")
    site.text("boxes.csv", f"file,xmin,ymin,xmax,ymax\n{name},10,20,31,45\n")
    assert boxes_of(site.lesions("my left.png")) == [(10, 20, 31, 45)]


def test_a_table_without_rows_does_not_make_all_images_normal(site: InHouse) -> None:
    site.png("a.png")
    site.text("boxes.csv", f"{CORNERS}\n")
    with pytest.raises(ManifestError, match=r"boxes\.csv: expected annotations, found none in it"):
        site.read()
    assert site.lesions("a.png", unlisted="normal") == ()


def test_swapped_axes_are_named_where_they_would_fit(site: InHouse, caplog: pytest.LogCaptureFixture) -> None:
    site.png("a.png")
    site.text("boxes.csv", table(CORNERS, ("a.png", 20, 10, 85, 31)))
    assert site.read() == {}
    assert "With x and y swapped it would lie inside" in caplog.text


@pytest.mark.parametrize(
    "name", ["MAMMO  L CC.png", " lead.png", "tab\t1.png", "two\nlines.png", "p  1/a.png"]
)
def test_blanks_that_cells_lose_do_not_lose_the_image(site: InHouse, name: str) -> None:
    site.png(name)
    site.text("boxes.csv", table(CORNERS, (name, *BOXES[0])))
    assert boxes_of(site.lesions(name)) == [BOXES[0]]
    assert "annotation-orphan" not in site.codes()


def test_files_whose_names_differ_in_accents_taken_apart_are_never_guessed(site: InHouse) -> None:
    for form in ("NFC", "NFD"):
        site.png(unicodedata.normalize(form, "é.png"))
    site.text("boxes.csv", table(CORNERS, ("é.png", *BOXES[0])))
    assert site.read() == {}
    assert site.quarantined() == ["annotation-ambiguous"] * 2


def test_a_models_marks_given_as_truth_are_noted_once_an_image(site: InHouse) -> None:
    site.png("left.png")
    rows = [("left.png", *box, score) for box, score in zip(BOXES, ("0.87", "1"), strict=True)]
    site.text("boxes.csv", table(f"{CORNERS},confidence", *rows))
    assert boxes_of(site.lesions("left.png")) == [*BOXES]
    (finding,) = [each for each in site.audit.findings if each.code == "marks-scored"]
    assert (finding.place, finding.action) == ("CSV row 1", Action.WARNED)
    assert finding.found.startswith("1 of 2 rows give a score")


def test_how_sure_a_reader_was_is_no_score(site: InHouse) -> None:
    site.png("left.png")
    site.text("boxes.csv", table(f"{CORNERS},confidence", *(("left.png", *box, 4) for box in BOXES)))
    site.lesions("left.png")
    assert "marks-scored" not in site.codes()


def test_columns_that_name_two_images_of_the_table_quarantine(site: InHouse) -> None:
    for name in ("a", "b", "c"):
        site.png(f"p1/{name}.png")
    rows = [
        ("p1/a.png", "b.png", *BOXES[0]),
        ("p1/b.png", "a.png", *BOXES[0]),
        ("p1/c.png", "C.png", *BOXES[0]),
    ]
    site.text("boxes.csv", table("image_path,file_name,xmin,ymin,xmax,ymax", *rows))
    assert [*site.read()] == ["p1/c.png"]
    assert site.quarantined() == ["annotation-ambiguous"] * 2


def test_a_column_of_other_names_contradicts_no_path(site: InHouse) -> None:
    for name in ("p1/left.png", "p2/left.png"):
        site.png(name)
    rows = [("p1/left.png", "IM1.dcm", *BOXES[0]), ("p2/left.png", "left.png", *BOXES[1])]
    site.text("boxes.csv", table("image_path,file_name,xmin,ymin,xmax,ymax", *rows))
    assert [boxes_of(record.lesions) for record in site.read().values()] == [[BOXES[0]], [BOXES[1]]]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
@pytest.mark.parametrize("name", ["more.csv", "boxes.json", "a.txt", "a.nii.gz", "data.yaml", "p.mrk.json"])
def test_a_pipe_among_the_annotations_is_refused_and_not_waited_for(site: InHouse, name: str) -> None:
    site.png("a.png")
    site.text("boxes.csv", table(CORNERS, ("a.png", *BOXES[0])))
    os.mkfifo(site.root / name)
    with pytest.raises(ManifestError, match="expected a file, found a pipe"):
        site.read()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
def test_a_pipe_that_nobody_reads_stops_nothing(site: InHouse) -> None:
    site.png("a.png")
    site.text("boxes.csv", table(CORNERS, ("a.png", *BOXES[0])))
    os.mkfifo(site.root / "notes.md")
    assert [*site.read()] == ["a.png"]
