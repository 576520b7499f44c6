from __future__ import annotations

import logging
from pathlib import Path

import pytest

from mammo_monai.errors import DicomError, ManifestError
from mammo_monai.readers.audit import MAX_LOGGED_PER_CODE, Audit, InvalidRecordError
from mammo_monai.schema import Action, Finding, Quarantined


def test_a_fault_quarantines_its_image_and_nothing_else() -> None:
    audit = Audit()
    with audit.image("a", "/x/t.csv, row 1", place="t.csv row 1", path=Path("/x/a.dcm")):
        raise InvalidRecordError("code", "/x/t.csv, row 1", "is bad", "Mend it.")
    with audit.image("b", "row 2") as guard:
        guard.record_id, guard.path = "better", Path("/x/b.dcm")
        raise DicomError("/secret/b.dcm: no pixels.")
    with audit.image("c", "row 3"):
        raise PermissionError(13, "Permission denied", "/secret/c.dcm")
    audit.finish()
    assert audit.findings == [
        Finding("code", "a", "is bad", Action.QUARANTINED, "t.csv row 1"),
        Finding(
            "dicom-unusable", "better", "the DICOM file is not usable as a mammogram", Action.QUARANTINED
        ),
        Finding("file-unreadable", "c", "a file cannot be read: Permission denied", Action.QUARANTINED),
    ]
    assert audit.quarantined == [
        Quarantined("a", "code", Path("/x/a.dcm"), "t.csv row 1"),
        Quarantined("better", "dicom-unusable", Path("/x/b.dcm")),
        Quarantined("c", "file-unreadable"),
    ]


def test_other_errors_go_through() -> None:
    audit = Audit()
    with pytest.raises(KeyError), audit.image("c", "row 3"):
        raise KeyError("a bug")
    assert audit.findings == []


@pytest.mark.parametrize(
    ("count", "more"), [(1, ""), (2, " 1 more image has a fault."), (3, " 2 more images have")]
)
def test_strict_raises_the_first_fault_and_counts_the_others(count: int, more: str) -> None:
    audit = Audit(strict=True)
    for number in range(count):
        with audit.image(f"{number}", f"row {number}"):
            raise InvalidRecordError("code", f"row {number}", "is bad", "Mend it.")
    with pytest.raises(ManifestError, match=rf"^row 0: is bad\. Mend it\.{more}.*without --strict"):
        audit.finish()
    assert len(audit.findings) == count


def test_the_log_names_files_and_the_table_does_not(caplog: pytest.LogCaptureFixture) -> None:
    audit = Audit()
    with audit.image("a", "/x/t.csv, row 1"):
        raise DicomError("/secret/b.dcm: no pixels.")
    audit.finish()
    assert "/x/t.csv, row 1: /secret/b.dcm: no pixels. (quarantined)" in caplog.text
    assert "secret" not in audit.findings[0].found


def test_repairs_are_quiet_and_doubts_are_not(caplog: pytest.LogCaptureFixture) -> None:
    audit = Audit()
    audit.note("a", "1", "mended", Action.REPAIRED)
    audit.note("b", "", "doubtful")
    with caplog.at_level(logging.INFO):
        audit.finish()
    assert caplog.messages == ["b data set: doubtful (warned)"]


def test_ten_thousand_findings_do_not_flood_the_log(caplog: pytest.LogCaptureFixture) -> None:
    audit = Audit()
    for number in range(10_000):
        audit.note("many", f"{number}", "doubtful")
    with caplog.at_level(logging.INFO):
        audit.finish()
    assert len(caplog.messages) == MAX_LOGGED_PER_CODE + 1
    assert caplog.messages[-1] == "many: 10000 findings in all; audit.csv lists each"
    assert len(audit.findings) == 10_000


def test_each_finding_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    audit = Audit()
    audit.note("a", "1", "doubtful")
    audit.finish()
    audit.note("a", "2", "doubtful too")
    audit.finish()
    assert caplog.messages == ["a 1: doubtful (warned)", "a 2: doubtful too (warned)"]


def test_merged_audits_keep_order_and_messages() -> None:
    audit, other = Audit(strict=True), Audit()
    audit.note("a", "", "first")
    with other.image("b", "row 2"):
        raise InvalidRecordError("code", "row 2", "is bad")
    audit.merge(other)
    assert [finding.code for finding in audit.findings] == ["a", "code"]
    assert [each.record_id for each in audit.quarantined] == ["b"]
    with pytest.raises(ManifestError, match="row 2: is bad"):
        audit.finish()
