"""The data behind a report: counts of images and lesions by what is known of them, and audit findings."""

from __future__ import annotations

from pathlib import Path

import pytest

from mammo_monai.errors import ManifestError
from mammo_monai.records import ImageRecord, Laterality, Lesion, ViewPosition
from mammo_monai.reports.audit.summary import (
    audit_summary_section,
    audit_summary_tables,
    findings_beside,
    findings_table,
    image_table,
    lesion_table,
)
from mammo_monai.schema import Action, Finding, Manifest, read_manifest, write_audit, write_manifest
from mammo_monai.schema.manifest import Quarantined
from tests.reports.html_parser import Page


def record_of(number: int, *lesions: Lesion, **more) -> ImageRecord:
    return ImageRecord(
        Path(f"{number}.png"), f"{number:016x}", f"patient {number // 2}", 60, 90, lesions, **more
    )


@pytest.fixture
def manifest() -> Manifest:
    contour = ((1.0, 1.0), (9.0, 1.0), (9.0, 9.0))
    large = Lesion((0.0, 0.0, 10.0, 50.0), pathology="BENIGN_WITHOUT_CALLBACK", birads=4, contour=contour)
    dot = Lesion((4.0, 4.0, 6.0, 6.0), type="calcification", label=1, contour=((5.0, 5.0),))
    known = {"laterality": Laterality.LEFT, "view_position": ViewPosition.MLO, "pixel_spacing_mm": (0.5, 0.5)}
    return Manifest(
        training=(record_of(0, large, breast_density=2, birads=4, **known), record_of(1, dot)),
        test=(record_of(2, laterality=Laterality.RIGHT), record_of(3, Lesion((0.0, 0.0, 9.0, 9.0)))),
        quarantined=(Quarantined("f" * 16, "unreadable"),),
        about={"layout": "phantoms", "split": "official"},
    )


def cells(table, name: str) -> tuple[str, ...]:
    return next(row[1:] for row in table.rows if row[0] == name)


def test_images_are_counted_by_list_and_by_what_is_known(manifest: Manifest) -> None:
    table = image_table(manifest)
    assert table.header == ("", "training", "test", "all lists")
    assert cells(table, "laterality: L") == ("1", "–", "1")
    assert cells(table, "laterality: R") == ("–", "1", "1")
    assert cells(table, "laterality: unknown") == ("1", "1", "2")
    assert cells(table, "view: MLO") == ("1", "–", "1")
    assert cells(table, "BI-RADS density: b") == ("1", "–", "1")
    assert cells(table, "BI-RADS assessment: 4") == ("1", "–", "1")
    assert cells(table, "pixel spacing: known") == ("1", "–", "1")
    assert cells(table, "in all") == ("2", "2", "4")


def test_lesions_are_counted_by_type_size_pathology_and_outline(manifest: Manifest) -> None:
    table = lesion_table(manifest)
    assert table is not None
    assert cells(table, "type: mass") == ("1", "1", "2")
    assert cells(table, "type: calcification") == ("1", "–", "1")
    assert cells(table, "longest side: ≥ 2 cm") == ("1", "–", "1")  # 50 px of 0.5 mm
    assert cells(table, "longest side: no spacing") == ("1", "1", "2")
    assert cells(table, "pathology: benign without callback") == ("1", "–", "1")
    assert cells(table, "outline: contour") == ("1", "–", "1")
    assert cells(table, "outline: dot") == ("1", "–", "1")
    assert cells(table, "outline: box") == ("–", "1", "1")
    assert cells(table, "in all") == ("2", "1", "3")


def test_each_kind_counts_every_image_once(manifest: Manifest) -> None:
    table = image_table(manifest)
    for kind in ("laterality", "view", "BI-RADS density", "BI-RADS assessment", "pixel spacing"):
        rows = [row for row in table.rows if row[0].startswith(f"{kind}: ")]
        assert sum(int(row[-1]) for row in rows if row[-1] != "–") == 4
        assert [row[0] for row in rows if "unknown" in row[0]] == [rows[-1][0]]  # what is unknown last


def test_without_lesions_there_is_no_table_of_them() -> None:
    normal = Manifest(test=(record_of(0),))
    assert lesion_table(normal) is None
    assert image_table(normal).header == ("", "test")
    assert len(audit_summary_tables(normal)) == 2


def test_findings_are_counted_by_code_and_severity_the_worst_first() -> None:
    findings = [
        Finding("box-repaired", "a", "x", Action.REPAIRED),
        Finding("unreadable", "b", "x", Action.QUARANTINED),
        Finding("no-spacing", "c", "x", Action.WARNED),
        Finding("no-spacing", "d", "x", Action.WARNED),
    ]
    assert findings_table(findings).rows == (
        ("unreadable", "1", "–", "–"),
        ("no-spacing", "–", "2", "–"),
        ("box-repaired", "–", "–", "1"),
        ("all", "1", "2", "1"),
    )


def test_the_audit_beside_a_manifest_is_found_by_its_name(tmp_path: Path, manifest: Manifest) -> None:
    assert findings_beside(manifest) is None
    path = tmp_path / "manifest.json"
    write_manifest(path, manifest)
    assert findings_beside(read_manifest(path)) is None
    finding = Finding("no-spacing", "a" * 16, "no spacing in /data/Doe/1.png", Action.WARNED)
    write_audit(tmp_path / "audit.csv", "other.json", [finding])
    assert findings_beside(read_manifest(path)) is None
    write_audit(tmp_path / "audit.csv", "manifest.json", [finding])
    assert findings_beside(read_manifest(path)) == [finding]
    page = Page(audit_summary_section(read_manifest(path)))
    assert page.open == []
    assert "no-spacing" in page.text
    assert "Doe" not in page.text


def test_a_foreign_audit_beside_it_is_named(tmp_path: Path, manifest: Manifest) -> None:
    write_manifest(tmp_path / "manifest.json", manifest)
    (tmp_path / "audit.csv").write_text("a,b\n")
    with pytest.raises(ManifestError, match=r"audit\.csv: expected the columns"):
        audit_summary_section(read_manifest(tmp_path / "manifest.json"))


def test_the_section_tells_what_was_left_out_and_no_patient(manifest: Manifest) -> None:
    text = audit_summary_section(manifest)
    page = Page(text)
    assert page.open == []
    assert "left out" in page.text
    assert "layout phantoms, split official." in page.text
    assert "patient 0" not in text
    assert "0.png" not in text
