from __future__ import annotations

from pathlib import Path

import pytest

from mammo_monai.errors import ManifestError
from mammo_monai.readers.tables import read_table


def write(path: Path, content: bytes) -> Path:
    table = path / "table.csv"
    table.write_bytes(content)
    return table


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_separator_and_line_breaks_are_found_out(tmp_path: Path, separator: str, newline: str) -> None:
    lines = ["File Name,View".replace(",", separator), "1,CC".replace(",", separator), ""]
    rows = read_table(write(tmp_path, newline.join(lines).encode("utf-8-sig")), ["file name", "view"])
    assert [row.values for row in rows] == [{"file name": "1", "view": "CC"}]


def test_rows_are_numbered_as_rows_whatever_breaks_their_cells_hold(tmp_path: Path) -> None:
    rows = read_table(write(tmp_path, b'a,b\r\n1,"x\r\n"\r\n\r\n,\r\n2,"y\n"\r\n'), ["a", "b"])
    assert [(row.number, row.values["b"]) for row in rows] == [(1, "x"), (4, "y")]


def test_a_cut_off_row_is_named(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"table\.csv, row 2: expected 3 cells, got 2"):
        read_table(write(tmp_path, b"a,b,c\n1,2,3\n1,2\n"), ["a"])


def test_missing_columns_are_named_with_what_was_found(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"table\.csv: expected the columns a, z.*found a, b; missing: z"):
        read_table(write(tmp_path, b"a;b\n1;2\n"), ["a", "z"])


def test_an_empty_file_is_said_to_be_one(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="found an empty file"):
        read_table(write(tmp_path, b""), ["a"])


def test_other_encodings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"expected UTF-8 text.*Save the table as CSV"):
        read_table(write(tmp_path, "a,b\n1,ü\n".encode("utf-16")), ["a"])


def test_cells_no_csv_can_have_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"table\.csv: cannot be read as CSV: field larger"):
        read_table(write(tmp_path, b'a,b\n"' + b"x" * 200_000), ["a"])


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"none\.csv: the table cannot be read: No such file"):
        read_table(tmp_path / "none.csv", ["a"])


def test_whole_numbers_may_come_from_a_spreadsheet(tmp_path: Path) -> None:
    (row,) = read_table(write(tmp_path, b"a,b\n4.0,\n"), ["a"])
    assert row.whole_number("a", 0, 6) == 4
    assert row.whole_number("b", 0, 6) is None
