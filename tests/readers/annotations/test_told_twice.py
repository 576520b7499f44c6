"""Side, view and patient that annotations, file name and header tell in different ways."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest

from mammo_monai.readers.annotations.told_twice import side_and_view_in_name
from mammo_monai.schema import Action
from tests.readers.annotations.in_house import BOXES, InHouse

PATTERN = r"(?P<patient>p\d)_(?P<laterality>L|R)_(?P<view>CC|MLO)"
HEADER = "file,xmin,ymin,xmax,ymax,patient_id,side,view"


def table(*rows: Any) -> str:
    stream = io.StringIO()
    csv.writer(stream).writerows([HEADER.split(","), *rows])
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("p1_L_CC", ("L", "CC")),
        ("22678622_61b13c59bcba149e_MG_R_ML_ANON", (None, None)),
        ("p1-RMLO2", ("R", "MLO")),
        ("MLOL_17", ("L", "MLO")),
        ("P_00001_LEFT_CC", ("L", "CC")),
        ("cc 17 r", (None, "CC")),
        ("R_17", (None, None)),
        ("left_right", (None, None)),
        ("CC_MLO_L", ("L", None)),
        ("a1cc2", (None, None)),
    ],
)
def test_a_name_tells_what_its_words_tell(name: str, told: tuple[str | None, str | None]) -> None:
    assert tuple(each and each.value for each in side_and_view_in_name(name)) == told


def test_a_table_of_the_other_side_than_the_pattern_finds_quarantines(site: InHouse) -> None:
    site.png("p1_R_CC.png")
    site.png("p2_L_CC.png")
    rows = [(f"{name}_CC.png", *BOXES[0], "", "L", "CC") for name in ("p1_R", "p2_L")]
    site.text("boxes.csv", table(*rows))
    assert [*site.read(name_pattern=PATTERN)] == ["p2_L_CC.png"]
    assert site.quarantined() == ["identity-differs"]


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("p1_R_CC.png", ["laterality-differs"]),
        ("p1_L_MLO.png", ["view-differs"]),
        ("p1_R_MLO.png", ["laterality-differs", "view-differs"]),
        ("p1_L_CC.png", []),
        ("p1_left.png", []),
    ],
)
def test_a_file_name_that_tells_another_side_or_view_is_noted(
    site: InHouse, name: str, codes: list[str]
) -> None:
    site.png(name)
    site.text("boxes.csv", table((name, *BOXES[0], "1", "left", "CC")))
    record = site.read()[name]
    assert (record.laterality, record.view_position) == ("L", "CC")
    assert site.codes() == codes
    assert site.codes(Action.WARNED) == codes


def test_a_view_that_the_pattern_finds_is_held_against_the_table(site: InHouse) -> None:
    site.png("p1_L_MLO.png")
    site.text("boxes.csv", table(("p1_L_MLO.png", *BOXES[0], "1", "L", "CC")))
    site.read(name_pattern=PATTERN)
    assert site.codes() == ["view-differs"]


@pytest.mark.parametrize(("view", "codes"), [("CC", ["view-differs"]), ("ML", []), ("MLO", [])])
def test_a_view_of_the_header_is_held_against_the_table(site: InHouse, view: str, codes: list[str]) -> None:
    site.dicom("a.dcm", ViewPosition=view)
    site.text("boxes.csv", table(("a.dcm", *BOXES[0], "1", "", "MLO")))
    site.read()
    assert site.codes() == codes


def shifted(site: InHouse, patients: list[str]) -> list[str]:
    """The codes where the headers tell A, A, B, B and a table tells these patients."""
    for name, patient in zip("abcd", ("A", "A", "B", "B"), strict=True):
        site.dicom(f"{name}.dcm", PatientID=patient)
    rows = [
        (f"{name}.dcm", *BOXES[0], patient, "", "") for name, patient in zip("abcd", patients, strict=True)
    ]
    site.text("boxes.csv", table(*rows))
    site.read()
    return site.codes()


def test_rows_shifted_against_patients_are_noted(site: InHouse) -> None:
    assert shifted(site, ["1", "2", "2", "3"]) == ["patient-mixed"]
    assert "2 patients whom the DICOM header tells as one" in site.audit.findings[0].found


def test_a_table_with_ids_of_its_own_contradicts_nobody(site: InHouse) -> None:
    assert shifted(site, ["17", "17", "18", "018"]) == ["patient-joined"]  # spelt in two ways


def test_a_word_that_de_identification_wrote_for_all_contradicts_nobody(site: InHouse) -> None:
    for name in "abcd":
        site.dicom(f"{name}.dcm", PatientID="ANONYMOUS")
    site.text(
        "boxes.csv",
        table(*((f"{name}.dcm", *BOXES[0], f"P{n // 2}", "", "") for n, name in enumerate("abcd"))),
    )
    site.read()
    assert site.codes() == []


def test_patients_of_file_names_that_a_table_parts_are_noted(tmp_path: Path) -> None:
    site = InHouse(tmp_path / "set")
    names = [f"p{n // 2}_L_{view}.png" for n, view in enumerate(("CC", "MLO", "CC", "MLO"))]
    for name in names:
        site.png(name)
    rows = [
        (name, *BOXES[0], patient, "", "") for name, patient in zip(names, ("1", "2", "2", "2"), strict=True)
    ]
    site.text("boxes.csv", table(*rows))
    site.read(name_pattern=PATTERN)
    assert site.codes() == ["patient-mixed"]
