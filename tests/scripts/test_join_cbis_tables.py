"""The official tables' values reach the images of an export that lacks them, and no other image."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mammo_monai.readers.cbis_ddsm.case_tables import CASE_COLUMNS, CASE_TABLES
from mammo_monai.records import Laterality, ViewPosition
from mammo_monai.schema import Manifest, read_manifest, write_manifest
from tests.metrics.scenes import record

SCRIPT = Path(__file__).parents[2] / "scripts" / "join_cbis_tables.py"
HIT, OTHER = (0.0, 0.0, 4.0, 6.0), (5.0, 0.0, 9.0, 6.0)


def row(patient: str, view: str, number: int, pathology: str, *, birads: int = 4, density: int = 2) -> str:
    values = {
        **dict.fromkeys(CASE_COLUMNS, "a/b/1.dcm"),
        **{
            "patient id": patient,
            "left or right breast": "LEFT",
            "image view": view,
            "abnormality type": "mass",
        },
        **{"breast density": density, "abnormality id": number, "assessment": birads, "pathology": pathology},
        **{"subtlety": 3},
    }
    return ",".join(str(values[name]) for name in CASE_COLUMNS)


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    folder = tmp_path / "csv"
    folder.mkdir()
    rows = [
        row("P_00001", "CC", 1, "MALIGNANT", birads=5),
        row("P_00001", "MLO", 1, "MALIGNANT"),
        row("P_00001", "MLO", 2, "BENIGN", birads=2),
    ]
    for names, lines in zip(CASE_TABLES.values(), (rows, [row("P_00009", "CC", 1, "BENIGN")]), strict=False):
        (folder / names).write_text("\n".join([",".join(CASE_COLUMNS), *lines]))
    return folder


def joined(tmp_path: Path, tables: Path, *records: object) -> subprocess.CompletedProcess[str]:
    write_manifest(tmp_path / "plain.json", Manifest(training=records))  # type: ignore[arg-type]
    words = [tmp_path / "plain.json", "--tables", tables, "-o", tmp_path / "joined.json"]
    return subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, words)], capture_output=True, text=True, check=False
    )


def test_values_go_to_masses_where_all_rows_of_the_image_agree(tmp_path: Path, tables: Path) -> None:
    cc, mlo = (
        replace(record(n, boxes, patient="00001"), laterality=Laterality.LEFT, view_position=view)
        for n, (boxes, view) in enumerate((([HIT], ViewPosition.CC), ([HIT, OTHER], ViewPosition.MLO)))
    )
    done = joined(tmp_path, tables, cc, mlo)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("2 images, 3 masses, pathology of 1\n")
    first, second = read_manifest(tmp_path / "joined.json").training
    assert [(each.pathology, each.birads, each.subtlety) for each in first.lesions] == [("MALIGNANT", 5, 3)]
    assert [(each.pathology, each.birads, each.subtlety) for each in second.lesions] == [(None, None, 3)] * 2
    assert (first.breast_density, first.birads, second.birads) == (2, 5, 4)
    assert [each.boxes.tolist() for each in (first, second)] == [each.boxes.tolist() for each in (cc, mlo)]


def test_an_image_of_another_data_set_is_refused(tmp_path: Path, tables: Path) -> None:
    other = replace(record(0, [HIT], patient="77"), laterality=Laterality.LEFT, view_position=ViewPosition.CC)
    done = joined(tmp_path, tables, other)
    assert done.returncode == 1
    assert "no row of the tables is of patient 77, L, CC" in done.stderr
    assert not (tmp_path / "joined.json").exists()
