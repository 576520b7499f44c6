from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import xlrd

from mammo_monai.errors import ManifestError
from mammo_monai.readers.audit import Audit
from mammo_monai.readers.inbreast import table as inbreast_table
from mammo_monai.readers.inbreast.reader import read_inbreast
from mammo_monai.readers.inbreast.table import read_workbook
from mammo_monai.readers.reading import DataSet, Reading
from mammo_monai.schema import Action

CONTOUR = ((10.5, 20.25), (30.0, 18.0), (28.0, 44.5))


def read(root: Path) -> tuple[DataSet, Audit]:
    audit = Audit()
    return read_inbreast(root, Reading("s", audit)), audit


@pytest.fixture
def tree(inbreast: Any) -> Any:
    """A mass in the right, a normal left breast."""
    inbreast.add(1, cells="2;4a")
    inbreast.add(2, regions=None, laterality="L", cells="3;1")
    return inbreast


def test_the_workbook_alone_gives_the_same_records(tree: Any) -> None:
    from_csv, _ = read(tree.write_table())
    (tree.root / "INbreast.csv").unlink()
    from_workbook, audit = read(tree.write_workbook(["X"]))
    assert audit.findings == []
    for one, other in zip(from_csv.records, from_workbook.records, strict=True):
        assert one.lesions == other.lesions
        assert (one.record_id, one.birads, one.breast_density) == (
            other.record_id,
            other.birads,
            other.breast_density,
        )


def test_two_tables_that_agree_are_no_finding(tree: Any) -> None:
    tree.write_workbook(["X"])
    found, audit = read(tree.write_table())
    assert len(found.records) == 2
    assert audit.findings == []


def test_where_the_tables_differ_the_csv_holds_and_a_finding_names_the_columns(tree: Any) -> None:
    rows = list(tree.rows)
    tree.rows[0] = rows[0].replace("2;4a", "1;5")
    tree.write_workbook(["X"])
    tree.rows = rows
    found, audit = read(tree.write_table())
    assert (found.records[0].birads, found.records[0].breast_density) == (4, 2)
    (finding,) = audit.findings
    assert (finding.code, finding.action, finding.place) == (
        "tables-differ",
        Action.WARNED,
        "INbreast.csv row 1",
    )
    assert finding.record_id == found.records[0].record_id
    assert finding.found == "the other table says something else in: acr, bi-rads"


def test_images_of_a_csv_that_was_cut_off_come_from_the_workbook(tree: Any) -> None:
    tree.write_workbook(["X"])
    tree.rows.pop()
    found, audit = read(tree.write_table())
    assert len(found.records) == 2
    assert [each.found for each in audit.findings] == ["1 images stand in INbreast.csv or INbreast.xls alone"]


@pytest.mark.parametrize("name", ["INbreast.csv", "INbreast.xls"])
def test_one_table_that_cannot_be_read_is_replaced_by_the_other(tree: Any, name: str) -> None:
    tree.write_workbook(["X"])
    (tree.write_table() / name).write_bytes(b"<html>Not Found</html>")
    found, audit = read(tree.root)
    assert len(found.records) == 2
    assert [(each.code, each.action) for each in audit.findings] == [("table-unusable", Action.WARNED)]


def test_two_tables_that_cannot_be_read_are_an_error(tree: Any) -> None:
    tree.write_table()
    for name in ("INbreast.csv", "INbreast.xls"):
        (tree.root / name).write_bytes(b"<html>Not Found</html>")
    with pytest.raises(ManifestError, match=r"INbreast\.csv: expected the columns laterality, view"):
        read(tree.root)


def test_a_marked_mass_that_is_not_drawn_is_a_warning(inbreast: Any) -> None:
    inbreast.add(1, regions=[("Spiculated Region", CONTOUR)])
    inbreast.add(2)
    inbreast.write_workbook(["X", "X"])
    found, audit = read(inbreast.write_table())
    assert [(each.code, each.record_id) for each in audit.findings] == [
        ("mass-not-drawn", found.records[0].record_id)
    ]


@pytest.mark.parametrize("cells", ["2;1", "2;2", "2; "])
def test_a_marked_mass_without_any_contour_costs_the_image(inbreast: Any, cells: str) -> None:
    inbreast.add(1, regions=None, cells=cells)
    inbreast.write_workbook(["X"])
    found, audit = read(inbreast.write_table())
    assert found.records == ()
    assert [each.code for each in audit.quarantined] == ["contour-missing"]
    assert "no contour, but a mass is marked and " in audit.findings[0].found


def test_a_file_too_large_for_a_workbook_is_not_read(tree: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tree.write_workbook() / "INbreast.xls"
    monkeypatch.setattr(inbreast_table, "MAX_TABLE_BYTES", 10)
    with pytest.raises(ManifestError, match="expected at most 10 bytes, got"):
        read_workbook(path, ["file name"])


@pytest.mark.parametrize("separator", [";", ",", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_the_table_may_have_been_saved_again(tree: Any, separator: str, encoding: str, newline: str) -> None:
    path = tree.write_table() / "INbreast.csv"
    text = path.read_text().replace(";", separator)
    path.write_bytes(newline.join(text.split("\n")).encode(encoding))
    found, audit = read(tree.root)
    assert [record.birads for record in found.records] == [4, 1]
    assert audit.findings == []


def test_totals_below_a_table_that_was_saved_from_the_workbook_are_no_image(tree: Any) -> None:
    tree.rows.append(";;;;;;28;49")
    found, audit = read(tree.write_table())
    assert len(found.records) == 2
    assert audit.findings == []


def test_numbers_of_a_sheet_are_read_as_they_are_shown(tree: Any) -> None:
    rows = read_workbook(tree.write_workbook() / "INbreast.xls", ["file name", "acr", "bi-rads"])
    assert [row.values["file name"] for row in rows] == ["1", "2", ""]
    assert (rows[0].values["acr"], rows[0].values["bi-rads"]) == ("2", "4a")
    assert rows[0].place == "INbreast.xls row 1"


@pytest.mark.parametrize("size", [0, 4, 30, 200])
def test_a_workbook_that_was_cut_off_names_the_file(tree: Any, size: int) -> None:
    path = tree.write_workbook() / "INbreast.xls"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ManifestError, match=r"INbreast\.xls: expected "):
        read_workbook(path, ["file name", "acr", "bi-rads"])


def test_the_newer_format_is_named(tmp_path: Path) -> None:
    path = tmp_path / "INbreast.xls"
    path.write_bytes(b"PK\x03\x04" + bytes(100))
    with pytest.raises(
        ManifestError, match=r"INbreast\.xls: expected an Excel 97 workbook, but it cannot be"
    ):
        read_workbook(path, ["file name"])


def test_a_workbook_is_read_without_a_word_on_stdout(tree: Any, capfd: pytest.CaptureFixture[str]) -> None:
    path = tree.write_workbook() / "INbreast.xls"
    read_workbook(path, ["file name"])
    assert capfd.readouterr().out == ""
    # The file would make xlrd speak: it names no code page.
    xlrd.open_workbook(path, logfile=(said := io.StringIO()))
    assert "CODEPAGE" in said.getvalue()
