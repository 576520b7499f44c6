"""Names of patients and files, and paths, are taken out of a text; all else stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from mammo_monai.records import ImageRecord
from mammo_monai.reports.audit.withheld import Withholding
from mammo_monai.schema import Manifest, Quarantined
from tests.reports.audit_scene import audited

NAMES = Withholding(["Doe^Jane", "P_00173", "patient two", "20586908", "42"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the mask of Doe^Jane is empty", "the mask of [withheld] is empty"),
        ("of p_00173.", "of [withheld]."),
        ("'patient two' left", "'[withheld]' left"),
        ("20586908 has no mask", "[withheld] has no mask"),
        ("/data/a b", "[withheld] b"),
        ("in ~/films/x", "in [withheld]"),
        (r"C:\films\x and \\host\share", "[withheld] and [withheld]"),
        ("cases/one/1-1.dcm is short", "[withheld] is short"),
        ("1-1.dcm, 1-2.DCM", "[withheld], [withheld]"),
        ("20587664.xml row 3", "[withheld] row 3"),
    ],
)
def test_what_names_someone_or_somewhere_is_withheld(text: str, expected: str) -> None:
    assert NAMES(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "mass_case_description_train_set.csv row 12",
        "300 × 400 px, the image 2560 × 3328 px",
        "Laterality L/R and CC/MLO differ (0.07 mm/px)",
        "42 points",
        "<b> & 'quoted' words",
        "",
    ],
)
def test_ordinary_words_stay(text: str) -> None:
    assert NAMES(text) == text


def test_a_manifest_withholds_its_patients_and_files_but_not_its_record_ids(tmp_path: Path) -> None:
    withhold = Withholding.of(audited(tmp_path))
    for name in ("MARKER-Doe^Jane", "MARKER patient two", "MARKERfile0.png", "MARKERfile9"):
        assert withhold(f"see {name} now") == "see [withheld] now"
    alone = Manifest(
        test=(ImageRecord(Path("/x/abcdef.png"), "abcdef", "abcdef", 3, 5),),
        quarantined=(Quarantined("0" * 16, "c", None),),
    )
    assert Withholding.of(alone)("abcdef") == "abcdef"
