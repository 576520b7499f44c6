from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammo_monai.errors import ManifestError
from mammo_monai.readers import tables
from mammo_monai.readers.audit import InvalidRecordError
from mammo_monai.readers.tables import TableRow, read_table


def write(path: Path, content: bytes) -> Path:
    table = path / "table.csv"
    table.write_bytes(content)
    return table


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_separator_and_line_breaks_are_found_out(tmp_path: Path, separator: str, newline: str) -> None:
    lines = ["File Name,View".replace(",", separator), "1,CC".replace(",", separator), ""]
    rows = read_table(write(tmp_path, newline.join(lines).encode("utf-8-sig")), ["file name", "view"])
    assert [row.values for row in rows] == [{"file name": "1", "view": "CC"}]


def test_rows_are_numbered_as_rows_whatever_breaks_their_cells_hold(tmp_path: Path) -> None:
    rows = read_table(write(tmp_path, b'a,b\r\n1,"x\r\n"\r\n\r\n,\r\n2,"y\n"\r\n'), ["a", "b"])
    assert [(row.number, row.values["b"]) for row in rows] == [(1, "x"), (4, "y")]


def test_a_cell_of_the_header_too_large_is_named(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"table\.csv, line 1: cannot be read as CSV: field larger"):
        read_table(write(tmp_path, b'"' + b"a" * 200_000 + b'",b\n1,2\n'), ["b"])


def test_a_cut_off_row_is_named(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"table\.csv, row 2: expected 3 cells, got 2"):
        read_table(write(tmp_path, b"a,b,c\n1,2,3\n1,2\n"), ["a"])


def test_missing_columns_are_named_with_what_was_found(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"table\.csv: expected the columns a, z.*found a, b; missing: z"):
        read_table(write(tmp_path, b"a;b\n1;2\n"), ["a", "z"])


def test_an_empty_file_is_said_to_be_one(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="found an empty file"):
        read_table(write(tmp_path, b""), ["a"])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1", "cp1252"])
def test_encodings_of_spreadsheets_are_read(tmp_path: Path, encoding: str) -> None:
    text = ("\ufeff" if encoding == "utf-16-le" else "") + "a,b\r\n1,nódulo\r\n"
    (row,) = read_table(write(tmp_path, text.encode(encoding)), ["a", "b"])
    assert row.values == {"a": "1", "b": "nódulo"}


def test_half_a_utf_16_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"table\.csv: expected text in UTF-16, as its first bytes say"):
        read_table(write(tmp_path, "a,b\n1,2\n".encode("utf-16")[:-1]), ["a"])


@pytest.mark.parametrize("content", [b"a,b\n1,\0\n", "a,b\n1,2\n".encode("utf-16-le"), bytes(500)])
def test_nul_bytes_are_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ManifestError, match=r"table\.csv: expected text, found NUL bytes.*or save it as CSV"):
        read_table(write(tmp_path, content), ["a"])


@pytest.mark.parametrize(("start", "kind"), [(b"PK\3\4", "xlsx"), (b"\xd0\xcf\x11\xe0", "xls")])
def test_workbooks_under_the_name_of_csv_are_told(tmp_path: Path, start: bytes, kind: str) -> None:
    with pytest.raises(ManifestError, match=rf"expected CSV, found a spreadsheet \(\.{kind}\)"):
        read_table(write(tmp_path, start + b"a,b\n"), ["a"])


def test_a_file_too_large_for_a_table_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MAX_TABLE_BYTES", 5)
    with pytest.raises(ManifestError, match="expected a table of at most 5 bytes, got 6"):
        read_table(write(tmp_path, b"a,b\n1,"), ["a"])


def test_a_quote_without_an_end_does_not_swallow_the_rows_below(tmp_path: Path) -> None:
    with pytest.raises(
        ManifestError, match=r"table\.csv, line 4: cannot be read as CSV: unexpected end of data"
    ):
        read_table(write(tmp_path, b'a,b\n1,"x\n2,y\n3,z\n'), ["a"])


def test_a_header_that_stands_again_is_no_row(tmp_path: Path) -> None:
    rows = read_table(write(tmp_path, b"a,b_c\n1,2\nA,B C\n3,4\n"), ["a"])
    assert [(row.number, row.values["a"]) for row in rows] == [(1, "1"), (3, "3")]


def test_a_needed_column_that_stands_twice_is_refused_and_another_is_not(tmp_path: Path) -> None:
    path = write(tmp_path, b"a,b,B\n1,2,3\n")
    with pytest.raises(ManifestError, match=r"table\.csv: expected each column once, found b more than once"):
        read_table(path, ["a", "b"])
    assert len(read_table(path, ["a"])) == 1


def test_empty_columns_at_the_right_are_no_columns(tmp_path: Path) -> None:
    rows = read_table(write(tmp_path, b"a;b;;\n1;2;;\n3;4\n5;6;;;;\n"), ["a", "b"])
    assert [row.values for row in rows] == [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}, {"a": "5", "b": "6"}]


def test_cells_beyond_the_header_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"table\.csv, row 1: expected 2 cells, got 3"):
        read_table(write(tmp_path, b"a,b\n1,2,3\n"), ["a"])


def test_the_separator_a_spreadsheet_names_is_no_header(tmp_path: Path) -> None:
    (row,) = read_table(write(tmp_path, b"sep=;\r\na;b\r\n1;2\r\n"), ["a", "b"])
    assert row.values == {"a": "1", "b": "2"}


def test_a_page_in_place_of_a_table_gives_a_short_message(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="missing: a") as error:
        read_table(write(tmp_path, b"<html>" + b"x" * 50_000), ["a"])
    assert len(str(error.value)) < 800


def test_cells_no_csv_can_have_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"table\.csv, line 2: cannot be read as CSV: field larger"):
        read_table(write(tmp_path, b'a,b\n"' + b"x" * 200_000), ["a"])


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"none\.csv: the table cannot be read: No such file"):
        read_table(tmp_path / "none.csv", ["a"])


def test_whole_numbers_may_come_from_a_spreadsheet(tmp_path: Path) -> None:
    (row,) = read_table(write(tmp_path, b"a,b\n4.0,\n"), ["a"])
    assert row.whole_number("a", 0, 6) == 4
    assert row.whole_number("b", 0, 6) is None


def row_of(text: str) -> TableRow:
    return TableRow(Path("/secret/table.csv"), 7, {"a": text})


def test_a_row_is_placed_with_its_path_for_people_and_without_for_the_audit() -> None:
    assert row_of("").where == "/secret/table.csv, row 7"
    assert row_of("").place == "table.csv row 7"


@pytest.mark.parametrize(
    ("text", "number"), [("1.5", 1.5), ("-2", -2.0), ("1e3", 1000.0), (".5", 0.5), ("NaN", None), ("", None)]
)
def test_decimals_are_read_by_pattern(text: str, number: float | None) -> None:
    assert row_of(text).decimal("a") == number


@pytest.mark.parametrize("text", ["1,5", "inf", "1e999", "1_000", "0x10", "٣", "one"])
def test_anything_else_is_no_decimal(text: str) -> None:
    with pytest.raises(
        InvalidRecordError, match=r"row 7: 'a' must be a number with a decimal point, got"
    ) as e:
        row_of(text).decimal("a")
    assert "/secret" not in e.value.found


@pytest.mark.parametrize("text", ["-1", "7", "4.5", "٣", "9" * 5000])
def test_whole_numbers_out_of_their_range_are_refused(text: str) -> None:
    with pytest.raises(InvalidRecordError, match="'a' must be a whole number from 0 to 6, got") as error:
        row_of(text).whole_number("a", 0, 6)
    assert len(str(error.value)) < 250


@pytest.mark.parametrize(("text", "number"), [("0", None), ("0.0", None), ("", None), ("3.0", 3)])
def test_a_mark_for_unknown_is_one_with_a_decimal_too(text: str, number: int | None) -> None:
    assert row_of(text).whole_number("a", 1, 4, unknown=("", "0")) == number
    with pytest.raises(InvalidRecordError):
        row_of(".0").whole_number("a", 1, 4, unknown=("", "0"))


def test_texts_and_choices_name_what_they_expect() -> None:
    assert row_of("x").text("a") == "x"
    assert row_of("left").choice("a", {"LEFT": 1}) == 1
    with pytest.raises(InvalidRecordError, match="'a' must be filled in, got ''"):
        row_of("").text("a")
    with pytest.raises(InvalidRecordError, match="'a' must be LEFT or RIGHT, got 'up'"):
        row_of("up").choice("a", {"LEFT": 1, "RIGHT": 2})


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)


@given(rows=st.lists(st.lists(CELLS, min_size=3, max_size=3), max_size=5), separator=st.sampled_from(",;\t|"))
def test_what_a_writer_wrote_is_read(rows: list[list[str]], separator: str) -> None:
    from tempfile import TemporaryDirectory

    text = io.StringIO(newline="")
    csv.writer(text, delimiter=separator).writerows([["Col A", "col_b", "c"], *rows])
    expected = [[" ".join(cell.split()) for cell in row] for row in rows]
    with TemporaryDirectory() as folder:
        found = read_table(write(Path(folder), text.getvalue().encode()), ["col a", "col b", "c"])
    assert [list(row.values.values()) for row in found] == [row for row in expected if any(row)]


def test_a_header_of_another_order_further_down_is_refused(tmp_path: Path) -> None:
    joined = b"file,x,y\n1,2,3\n" + "file,y,x\n4,5,6\n".encode("utf-8-sig")
    with pytest.raises(ManifestError, match="row 2: expected a row, found another header"):
        read_table(write(tmp_path, joined), ["file", "x", "y"])


def test_the_same_header_further_down_is_passed_over_with_its_mark(tmp_path: Path) -> None:
    joined = b"file,x\n1,2\n" + "file,x\n3,4\n".encode("utf-8-sig")
    assert [row.values["x"] for row in read_table(write(tmp_path, joined), ["file", "x"])] == ["2", "4"]
