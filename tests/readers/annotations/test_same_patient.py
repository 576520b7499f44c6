"""A woman whom a table and a header call by different names stands on one side of every split."""

from __future__ import annotations

from pathlib import Path

import pytest

from mammo_monai.readers.annotations.same_patient import joined_patients, told_by
from mammo_monai.readers.audit import Audit
from mammo_monai.records import ImageRecord
from mammo_monai.schema import Action
from tests.readers.annotations.in_house import InHouse


@pytest.fixture
def site(tmp_path: Path) -> InHouse:
    """Two patients with two films each; the table lists one film of each by the site's own numbers."""
    site = InHouse(tmp_path / "set")
    for name, patient in (("a.dcm", "A 1"), ("b.dcm", "A 1"), ("c.dcm", "A 2"), ("d.dcm", "A 2")):
        site.dicom(name, PatientID=patient)
    site.text(
        "boxes.csv", "file,xmin,ymin,xmax,ymax,patient_id\na.dcm,10,20,31,45,17\nc.dcm,10,20,31,45,18\n"
    )
    return site


def patients(site: InHouse, **options: object) -> dict[str, str]:
    return {
        name: record.patient_id for name, record in site.read(patients_are_public=True, **options).items()
    }


def test_images_that_no_row_lists_are_their_patients_others(site: InHouse) -> None:
    assert patients(site) == {"a.dcm": "17", "b.dcm": "17", "c.dcm": "18", "d.dcm": "18"}
    assert "patient-joined" in site.codes(Action.REPAIRED)


def test_a_header_of_several_patients_is_left_and_said(site: InHouse) -> None:
    site.dicom("c.dcm", PatientID="A 1")
    assert patients(site)["b.dcm"] == "A 1"
    assert "patient-mixed" in site.codes(Action.WARNED)
    assert patients(site)["d.dcm"] == "A 2"  # nobody lists an image of that header any more


def test_words_that_agree_are_no_finding(site: InHouse) -> None:
    text = (site.root / "boxes.csv").read_text()
    site.text("boxes.csv", text.replace(",17", ",A 1").replace(",18", ",A 2"))
    assert patients(site) == {"a.dcm": "A 1", "b.dcm": "A 1", "c.dcm": "A 2", "d.dcm": "A 2"}
    assert not {"patient-joined", "patient-mixed"} & {*site.codes()}


def test_a_folder_names_the_patient_too(tmp_path: Path) -> None:
    site = InHouse(tmp_path / "set")
    for name in ("p1/left.png", "p1/right.png", "p2/left.png"):
        site.png(name)
    site.text("boxes.csv", "file,xmin,ymin,xmax,ymax,patient_id\np1/left.png,10,20,31,45,17\n")
    assert patients(site) == {"p1/left.png": "17", "p1/right.png": "17", "p2/left.png": "p2"}


def test_a_copy_that_no_row_lists_is_the_same_image(site: InHouse) -> None:
    (site.root / "copy").mkdir()
    (site.root / "copy" / "other.dcm").write_bytes((site.root / "a.dcm").read_bytes())
    assert patients(site)["a.dcm"] == "17"
    assert site.quarantined() == []
    assert "uid-repeated" in site.codes(Action.REPAIRED)


def record(number: int, patient: str) -> ImageRecord:
    return ImageRecord(Path(f"{number}.png"), str(number), patient, 60, 90)


def test_who_is_joined_by_a_header_names_the_others_of_her_folder() -> None:
    told = {
        Path("1.png"): told_by({"patient": "17"}, {}, "A 1", "p1"),
        Path("2.png"): told_by({}, {}, "A 1", "p1"),
        Path("3.png"): told_by({}, {}, "", "p1"),
        Path("4.png"): told_by({}, {}, "", ""),
    }
    records = [record(1, "17"), record(2, "A 1"), record(3, "p1"), record(4, "")]
    for order in (records, records[::-1]):
        audit = Audit()
        found = {each.record_id: each.patient_id for each in joined_patients(order, told, audit)}
        assert found == {"1": "17", "2": "17", "3": "17", "4": ""}
        assert [each.found[:8] for each in audit.findings] == ["2 images"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("AB1", "ab1"),
        ("AB 1", "AB1"),
        ("0017", "17"),
        ("17", "17.0"),
        ("A\u00a01", "a1"),
        ("P001", "p1"),
        ("Mu\u0308ller", "M\u00fcller"),
    ],
)
def test_one_patient_spelt_in_two_ways_is_one(tmp_path: Path, first: str, second: str) -> None:
    site = InHouse(tmp_path / "set")
    rows = [("a.png", first), ("b.png", second), ("c.png", "another")]
    for name, _ in rows:
        site.png(name)
    cells = "".join(f"{name},10,20,31,45,{patient}\n" for name, patient in rows)
    site.text("boxes.csv", f"file,xmin,ymin,xmax,ymax,patient_id\n{cells}")
    found = patients(site)
    assert found["a.png"] == found["b.png"] != found["c.png"]
    assert site.codes() == ["patient-joined"]


def test_ids_of_digits_stay_apart_where_digits_differ(tmp_path: Path) -> None:
    site = InHouse(tmp_path / "set")
    rows = [("a.png", "10"), ("b.png", "100"), ("c.png", "1"), ("d.png", "0"), ("e.png", "1.01")]
    for name, _ in rows:
        site.png(name)
    cells = "".join(f"{name},10,20,31,45,{patient}\n" for name, patient in rows)
    site.text("boxes.csv", f"file,xmin,ymin,xmax,ymax,patient_id\n{cells}")
    assert patients(site) == dict(rows)


def test_ids_that_a_spreadsheet_rounded_are_said(tmp_path: Path) -> None:
    site = InHouse(tmp_path / "set")
    for name in ("a.png", "b.png"):
        site.png(name)
    rows = "a.png,10,20,31,45,1.23457E+11\nb.png,10,20,31,45,1.23457E+11\n"
    site.text("boxes.csv", f"file,xmin,ymin,xmax,ymax,patient_id\n{rows}")
    site.read()
    assert site.codes() == ["patient-rounded"]
    assert "1.23457" not in site.audit.findings[0].found


def test_a_formula_that_failed_names_no_patient(tmp_path: Path) -> None:
    site = InHouse(tmp_path / "set")
    for name in ("p1/a.png", "p2/b.png"):
        site.png(name)
    rows = "p1/a.png,10,20,31,45,#N/A\np2/b.png,10,20,31,45,#REF!\n"
    site.text("boxes.csv", f"file,xmin,ymin,xmax,ymax,patient_id\n{rows}")
    assert patients(site) == {"p1/a.png": "p1", "p2/b.png": "p2"}
