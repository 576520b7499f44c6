from __future__ import annotations

import logging
from pathlib import Path

import pytest

from mammo_monai.errors import DicomError, ManifestError
from mammo_monai.readers import Action, Audit, Finding, InvalidRecordError, write_audit

FINDING = Finding("mask-missing", "0123456789abcdef", "no ROI mask, or two", Action.SKIPPED)
ROW = 'm.json,mask-missing,0123456789abcdef,"no ROI mask, or two",skipped'


def test_rows_say_manifest_code_record_finding_and_action(tmp_path: Path) -> None:
    write_audit(tmp_path / "audit.csv", "m.json", [FINDING])
    assert (tmp_path / "audit.csv").read_text().splitlines() == [
        "manifest,code,record_id,found,action",
        ROW,
    ]


def test_a_clean_data_set_has_a_table_without_rows(tmp_path: Path) -> None:
    write_audit(tmp_path / "audit.csv", "m.json", [])
    assert (tmp_path / "audit.csv").read_text() == "manifest,code,record_id,found,action\n"


def test_rows_of_other_manifests_stay_and_own_ones_are_replaced(tmp_path: Path) -> None:
    path = tmp_path / "audit.csv"
    write_audit(path, "m.json", [FINDING, FINDING])
    write_audit(path, "other.json", [FINDING])
    write_audit(path, "m.json", [FINDING])
    assert path.read_text().splitlines()[1:] == [ROW.replace("m.json", "other.json"), ROW]


def test_somebody_elses_table_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "audit.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ManifestError, match=r"audit\.csv: expected the columns manifest.*found a, b\. Move"):
        write_audit(tmp_path / "audit.csv", "m.json", [])
    assert (tmp_path / "audit.csv").read_text() == "a,b\n1,2\n"


def test_faults_of_the_data_are_kept_and_other_errors_go_through() -> None:
    audit = Audit()
    with audit.image("a", "row 1"):
        raise InvalidRecordError("code", "row 1", "is bad", "Mend it.")
    with audit.image("b", "row 2"):
        raise DicomError("/secret/b.dcm: no pixels.")
    with pytest.raises(KeyError), audit.image("c", "row 3"):
        raise KeyError("a bug")
    assert [(f.code, f.record_id) for f in audit.findings] == [("code", "a"), ("dicom-unusable", "b")]
    assert "secret" not in audit.findings[1].found
    with pytest.raises(ManifestError, match=r"row 1: is bad\. Mend it\. 1 more image has a fault\."):
        audit.finish()


def test_nothing_is_raised_when_faults_are_skipped(caplog: pytest.LogCaptureFixture) -> None:
    audit = Audit(skip_invalid=True)
    with audit.image("a", "row 1") as guard:
        guard.record_id = "better"
        raise DicomError("/secret/b.dcm: no pixels.")
    audit.finish()
    assert audit.findings[0].record_id == "better"
    assert "left out: row 1: /secret/b.dcm: no pixels." in caplog.text


def test_repairs_are_quiet_and_doubts_are_not(caplog: pytest.LogCaptureFixture) -> None:
    audit = Audit()
    with caplog.at_level(logging.INFO):
        audit.note("a", "1", "mended", Action.REPAIRED)
        audit.note("b", "", "doubtful")
    assert caplog.messages == ["b data set: doubtful (warned)"]
