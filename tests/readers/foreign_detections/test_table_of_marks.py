"""Tables of marks as programs and spreadsheets leave them, and as they break."""

from __future__ import annotations

from pathlib import Path

import pytest

from mammo_monai.errors import ManifestError
from mammo_monai.readers.foreign_detections.marks import ForeignImage
from mammo_monai.readers.foreign_detections.table import read_table_of_marks
from tests.readers.foreign_detections.scene import MARKS, table_text, types


def read(folder: Path, text: str | bytes) -> list[ForeignImage]:
    path = folder / "marks.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return list(read_table_of_marks(path, types()).images)


def flat(images: list[ForeignImage]) -> list[tuple[str, tuple[float, ...], float]]:
    return [(each.title, mark.box, mark.score) for each in images for mark in each.read()]


@pytest.mark.parametrize(
    "text",
    [
        table_text(),
        table_text(";"),
        table_text("\t"),
        table_text("|"),
        table_text().replace("\n", "\r\n"),
        "\ufeff" + table_text(),
        table_text().encode("utf-16"),
        "sep=;\n" + table_text(";"),
        table_text().replace("file_name", "Image Path").replace("score", "Confidence"),
        table_text().replace("xmin,ymin,xmax,ymax", "x1,y1,x2,y2"),
        table_text() + "\n\n",
    ],
)
def test_separators_line_ends_and_column_names_do_not_matter(text: str | bytes, tmp_path: Path) -> None:
    assert flat(read(tmp_path, text)) == list(MARKS)


def test_widths_and_heights_become_corners(tmp_path: Path) -> None:
    images = read(tmp_path, "file,x,y,w,h,prob\na.png,1,2,3,4,0.5\n")
    assert flat(images) == [("a.png", (1, 2, 4, 6), 0.5)]


def test_beside_corners_width_and_height_are_those_of_the_marked_image(tmp_path: Path) -> None:
    head = "file,x1,y1,x2,y2,width,height,score\n"
    assert read(tmp_path, head + "a.png,1,2,3,4,640,480,0.5\n")[0].size == (640, 480)
    assert read(tmp_path, head + "a.png,1,2,3,4,,,0.5\n")[0].size is None
    with pytest.raises(ManifestError, match="differ in its size"):
        read(tmp_path, head + "a.png,1,2,3,4,640,480,0.5\na.png,1,2,3,4,64,48,0.5\n")


def test_a_row_without_box_and_score_is_an_image_without_a_mark(tmp_path: Path) -> None:
    (image,) = read(tmp_path, "file,x1,y1,x2,y2,score\na.png,,,,,\n")
    assert (image.title, image.n_marks, image.read()) == ("a.png", 0, [])


def test_a_record_id_will_do_for_a_name(tmp_path: Path) -> None:
    (image,) = read(tmp_path, "record_id,x1,y1,x2,y2,score\n00ff,1,2,3,4,0.5\n")
    assert (image.record_id, image.names) == ("00ff", ())


def test_classes_by_name_or_number_become_types(tmp_path: Path) -> None:
    rows = "a.png,1,2,3,4,0.5,{}\n"
    head = "file,x1,y1,x2,y2,score,{}\n"
    text = head.format("label") + rows.format("Masses") + rows.format("calc") + rows.format("background")
    (image,) = read(tmp_path, text)
    assert [mark.type for mark in image.read()] == ["mass", "calcification", None]
    (image,) = read(tmp_path, head.format("category_id") + rows.format("0"))
    assert image.read()[0].type == "mass"
    (image,) = read(tmp_path, head.format("label") + rows.format("mass") + rows.format(""))
    with pytest.raises(ManifestError, match=r"row 2: the row has a box but no class"):
        image.read()


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        ("3,2,1,4,0.5", "x_min ≤ x_max"),
        ("1,4,3,2,0.5", "y_min ≤ y_max"),
        ("1,2,3,,0.5", "a box of finite numbers"),
        ("1,2,3,4,", "a score that is a finite number, got None"),
        ("1,2,nan,4,0.5", "a box of finite numbers"),
        ("1,2,3,4,inf", "a score that is a finite number, got 'inf'"),
        ("1,2,1_000,4,0.5", "a box of finite numbers"),
        ('1,2,3,4,"0,5"', r"got '0,5'\. Write numbers with a decimal point"),
        (",,,,0.5", "a box of finite numbers"),
    ],
)
def test_a_bad_row_is_named(cells: str, told: str, tmp_path: Path) -> None:
    (image,) = read(tmp_path, f"file,x1,y1,x2,y2,score\na.png,1,2,3,4,0.5\na.png,{cells}\n")
    with pytest.raises(ManifestError, match=rf"marks\.csv, row 2: .*{told}"):
        image.read()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "found nothing"),
        ("file:x1:y1:x2:y2:score\n", "found file:x1:y1:x2:y2:score"),
        ("file,x1,y1,x2,y2\n", "the score .*found file, x1, y1, x2, y2"),
        ("x1,y1,x2,y2,score\n", "columns for the image"),
        ("a.png,1,2,3,4,0.5\n", "columns for the image"),
        ('[{"image_id": 1}]', "found JSON.*detections coco"),
        (b"PK\x03\x04", r"found a spreadsheet \(\.xlsx\)"),
        ("file,x1,y1,x2,y2,score\n,1,2,3,4,0.5\n", "row 1: expected the name of an image"),
        ("file,x1,y1,x2,y2,score\na.png,1,2,3\n", "row 1: expected 6 cells, got 4"),
    ],
)
def test_what_is_no_table_of_marks_is_refused(text: str | bytes, told: str, tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=rf"marks\.csv.*{told}"):
        read(tmp_path, text)
