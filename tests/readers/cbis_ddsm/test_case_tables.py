"""The case-description tables: every spelling a download or a spreadsheet leaves, every fault in a row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mammo_monai.errors import ManifestError
from mammo_monai.readers.audit import Audit
from mammo_monai.readers.cbis_ddsm.case_tables import read_case_table
from mammo_monai.readers.cbis_ddsm.reader import read_cbis_ddsm
from mammo_monai.readers.reading import Reading
from mammo_monai.records import Laterality, ViewPosition
from mammo_monai.schema import Action

IMAGE, CROP, MASK = "image file path", "cropped image file path", "ROI mask file path"
TRAIN = "mass_case_description_train_set.csv"
FIRST, SECOND = "Mass-Training_P_00001_RIGHT_CC", "Mass-Training_P_00002_LEFT_CC"


def read(root: Path, audit: Audit | None = None) -> Any:
    reading = Reading("s", audit or Audit())
    records = read_cbis_ddsm(root, reading).records
    reading.audit.finish()
    return records


def codes(audit: Audit) -> list[str]:
    return [each.code for each in audit.findings if each.code != "table-empty"]


@pytest.mark.parametrize("newline", ["\r\n", "\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("density", ["breast_density", "breast density"])
def test_tables_are_read_with_any_line_break_bom_and_spelling(
    cbis: Any, newline: str, encoding: str, density: str
) -> None:
    row = cbis.add()
    assert row[MASK].endswith("\n")  # the line break inside the quotes of every published row
    header = [density if "density" in name else name for name in row]
    (record,) = read(cbis.write_tables(newline=newline, encoding=encoding, header=header))
    assert len(record.lesions) == 1


@pytest.mark.parametrize("separator", [";", "\t"])
def test_tables_saved_with_another_separator_are_read(cbis: Any, separator: str) -> None:
    cbis.add()
    path = cbis.write_tables() / TRAIN
    path.write_text(path.read_text().replace(",", separator))
    assert len(read(cbis.root)) == 1


def test_case_table_has_all_columns_converted(cbis: Any) -> None:
    cbis.add(subtlety="0", assessment="0", breast_density="0")
    (row,) = read_case_table(cbis.write_tables() / TRAIN)
    assert (row.patient_id, row.laterality, row.view_position) == (
        "P_00001",
        Laterality.RIGHT,
        ViewPosition.CC,
    )
    assert (row.abnormality_id, row.abnormality_type, row.pathology) == ("1", "mass", "BENIGN")
    assert (row.birads, row.breast_density, row.subtlety) == (0, None, None)
    assert row.mask_path.endswith("/000001.dcm")
    assert row.place == f"{TRAIN} row 1"


def test_a_missing_column_names_file_expected_and_found(cbis: Any) -> None:
    header = [name.replace("pathology", "diagnosis") for name in cbis.add()]
    root = cbis.write_tables(header=header)
    expected = r"train_set\.csv: expected .*pathology.*found .*diagnosis.*missing: pathology"
    with pytest.raises(ManifestError, match=expected):
        read(root)


def test_a_missing_table_of_two_is_said(cbis: Any) -> None:
    cbis.add()
    (cbis.write_tables() / "mass_case_description_test_set.csv").unlink()
    audit = Audit()
    assert len(read(cbis.root, audit)) == 1
    (finding,) = audit.findings
    assert (finding.code, finding.action) == ("table-missing", Action.WARNED)
    assert finding.place == "mass_case_description_test_set.csv"


def test_a_table_of_a_header_alone_is_said(cbis: Any) -> None:
    cbis.add()
    audit = Audit()
    assert len(read(cbis.write_tables(), audit)) == 1
    (finding,) = audit.findings
    assert (finding.code, finding.action) == ("table-empty", Action.WARNED)
    assert finding.place == "mass_case_description_test_set.csv"


def test_tables_without_any_row_are_an_error(cbis: Any) -> None:
    with pytest.raises(ManifestError, match=r"expected rows in mass_case.*found headers only. Download"):
        read(cbis.write_tables())


def test_a_folder_without_tables_says_which_are_expected(cbis: Any) -> None:
    cbis.add()
    with pytest.raises(ManifestError, match=r"expected mass_case_description_train_set\.csv.*no \.csv file"):
        read(cbis.root)


@pytest.mark.parametrize("is_same", [True, False])
def test_a_table_in_two_places_is_read_once_and_said_if_they_differ(
    cbis: Any, is_same: bool, caplog: pytest.LogCaptureFixture
) -> None:
    cbis.add()
    root = cbis.write_tables()
    copy = root / "zz copy" / TRAIN
    copy.parent.mkdir()
    copy.write_bytes((root / TRAIN).read_bytes() if is_same else b"another table")
    audit = Audit()
    assert len(read(root, audit)) == 1
    assert codes(audit) == ([] if is_same else ["table-ambiguous"])
    assert ("lies in 2 places" in caplog.text) is not is_same


@pytest.mark.parametrize("changed", [{}, {"left or right breast": "Right", "pathology": " benign "}])
def test_the_same_row_twice_counts_once(cbis: Any, changed: dict[str, str]) -> None:
    row = cbis.add()
    cbis.rows[TRAIN].append(row | changed)
    audit = Audit(strict=True)
    (record,) = read(cbis.write_tables(), audit)
    assert len(record.lesions) == 1
    (finding,) = [each for each in audit.findings if each.code == "row-repeated"]
    assert (finding.action, finding.place) == (Action.REPAIRED, f"{TRAIN} row 2")


def test_rows_that_describe_one_abnormality_in_two_ways_quarantine_their_image(cbis: Any) -> None:
    cbis.rows[TRAIN] = [cbis.add(FIRST), cbis.add(FIRST) | {"pathology": "MALIGNANT"}]
    cbis.add(SECOND)
    audit = Audit()
    (record,) = read(cbis.write_tables(), audit)
    assert record.patient_id == "P_00002"
    assert codes(audit) == ["row-conflict"]
    assert audit.findings[-1].found == "2 different rows for mass 1 of the same image"


def test_rows_of_one_image_with_two_patients_quarantine_it(cbis: Any) -> None:
    cbis.add(FIRST, abnormality=1)
    cbis.add(FIRST, abnormality=2, patient_id="P_00003")
    audit = Audit()
    assert read(cbis.write_tables(), audit) == ()
    assert codes(audit) == ["row-conflict"]


@pytest.mark.parametrize("row", [0, 1])
def test_a_row_that_lost_its_image_path_leaves_its_image_out_with_all_its_lesions(
    cbis: Any, row: int
) -> None:
    cbis.add(FIRST, abnormality=1)
    cbis.add(FIRST, (30, 55, 50, 65), abnormality=2)
    cbis.rows[TRAIN][row][IMAGE] = ""
    audit = Audit()
    assert read(cbis.write_tables(), audit) == ()
    (finding,) = [each for each in audit.findings if each.code != "table-empty"]
    assert (finding.code, finding.action) == ("table-value", Action.QUARANTINED)
    assert finding.found == "'image file path' must be filled in, got ''"
    assert [each.image for each in audit.quarantined] == [cbis.file(FIRST)]


def test_rows_of_one_view_with_two_series_are_one_image_and_said(cbis: Any) -> None:
    cbis.add(FIRST, abnormality=1)
    row = cbis.add(FIRST, (30, 55, 50, 65), abnormality=2)
    row[IMAGE] = "mistyped/1.2.9/1.2.9.9/000000.dcm"
    audit = Audit()
    (record,) = read(cbis.write_tables(), audit)
    assert len(record.lesions) == 2
    (finding,) = [each for each in audit.findings if each.code != "table-empty"]
    assert (finding.code, finding.action) == ("row-differs", Action.WARNED)
    assert (finding.record_id, finding.place) == (record.record_id, f"{TRAIN} row 2")


def test_a_row_with_another_patient_than_its_path_is_quarantined(cbis: Any) -> None:
    cbis.add(FIRST, patient_id="P_00009")
    audit = Audit()
    assert read(cbis.write_tables(), audit) == ()
    assert codes(audit) == ["row-conflict"]
    assert audit.findings[-1].found == "the row names another patient than the path of its image"


def test_an_image_in_the_training_and_the_test_table_is_quarantined(cbis: Any) -> None:
    row = cbis.add(FIRST)
    cbis.rows["mass_case_description_test_set.csv"] = [row]
    audit = Audit()
    assert read(cbis.write_tables(), audit) == ()
    assert codes(audit) == ["row-repeated", "split-conflict"]


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("left or right breast", "UP", "'left or right breast' must be LEFT or RIGHT, got 'UP'"),
        ("image view", "LAT", "'image view' must be CC or MLO, got 'LAT'"),
        ("assessment", "7", "'assessment' must be a whole number from 0 to 6, got '7'"),
        ("breast_density", "x", "'breast density' must be a whole number from 1 to 4, got 'x'"),
        ("abnormality type", "cyst", "'abnormality type' must be MASS or CALCIFICATION, got 'cyst'"),
        ("patient_id", " ", "'patient id' must be filled in, got ''"),
    ],
)
def test_a_bad_value_quarantines_its_image_and_names_row_column_and_value(
    cbis: Any, column: str, value: str, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    cbis.add(FIRST, **{column: value})
    cbis.add(SECOND)
    audit = Audit()
    (record,) = read(cbis.write_tables(), audit)
    assert record.patient_id == "P_00002"
    assert codes(audit) == ["table-value"]
    assert f"{TRAIN}, row 1: {message}" in caplog.text
    assert audit.quarantined[0].place == f"{TRAIN} row 1"
    assert audit.quarantined[0].image == cbis.file(FIRST)


def test_strict_tells_the_first_fault_and_counts_the_others(cbis: Any) -> None:
    for n in (1, 2, 3):
        cbis.add(f"Mass-Training_P_0000{n}_LEFT_CC", assessment="9")
    with pytest.raises(ManifestError, match=r"row 1: .* 2 more images have a fault\."):
        read(cbis.write_tables(), Audit(strict=True))
