from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mammo_monai.errors import ManifestError
from mammo_monai.locks import file_lock
from mammo_monai.schema import Action, Finding, read_audit, write_audit

PLACE = "cases.csv row 3"
FINDING = Finding("mask-missing", "0123456789abcdef", "no ROI mask, or two", Action.QUARANTINED, PLACE)
HEADER = "manifest,code,record_id,place,found,action"
ROW = 'm.json,mask-missing,0123456789abcdef,cases.csv row 3,"no ROI mask, or two",quarantined'

FINDINGS = st.lists(
    st.builds(
        Finding,
        st.text("abc-", min_size=1),
        st.text("0123456789abcdef"),
        st.text(st.characters(codec="utf-8", exclude_characters="\0\r")),
        st.sampled_from(Action),
        st.text(" abc,\"'"),
    )
)


def test_rows_say_manifest_code_record_place_finding_and_action(tmp_path: Path) -> None:
    write_audit(tmp_path / "audit.csv", "m.json", [FINDING])
    assert (tmp_path / "audit.csv").read_text().splitlines() == [HEADER, ROW]


def test_a_clean_data_set_has_a_table_without_rows(tmp_path: Path) -> None:
    write_audit(tmp_path / "audit.csv", "m.json", [])
    assert (tmp_path / "audit.csv").read_text() == HEADER + "\n"
    assert read_audit(tmp_path / "audit.csv") == {}


def test_no_table_is_no_finding(tmp_path: Path) -> None:
    assert read_audit(tmp_path / "audit.csv") == {}


def test_rows_of_other_manifests_stay_and_own_ones_are_replaced(tmp_path: Path) -> None:
    path = tmp_path / "audit.csv"
    write_audit(path, "m.json", [FINDING, FINDING])
    write_audit(path, "other.json", [FINDING])
    write_audit(path, "m.json", [FINDING])
    assert path.read_text().splitlines()[1:] == [ROW, ROW.replace("m.json", "other.json")]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(own=FINDINGS, others=FINDINGS)
def test_findings_survive_the_disk(tmp_path: Path, own: list[Finding], others: list[Finding]) -> None:
    path = tmp_path / "audit.csv"
    path.unlink(missing_ok=True)
    write_audit(path, "m.json", own)
    write_audit(path, "other.json", others)
    expected = {"m.json": own, "other.json": others}
    assert read_audit(path) == {name: found for name, found in expected.items() if found}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", r"audit\.csv: expected the columns manifest.*found a, b\. Move"),
        ("", r"found nothing\. Move"),
        (f"{HEADER}\n{ROW}\n{ROW},more\n", r"audit\.csv, row 2: expected 6 cells"),
        (f"{HEADER}\n{ROW.replace('quarantined', 'skipped')}\n", r"row 1: .*repaired, quarantined, warned"),
    ],
)
def test_somebody_elses_table_is_not_replaced(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "audit.csv"
    path.write_text(text)
    with pytest.raises(ManifestError, match=message):
        write_audit(path, "m.json", [])
    assert path.read_text() == text


@pytest.mark.parametrize("raw", [b"\xd3", b"manifest,code\0", f"{HEADER}\n".encode() + b'"' + b"a" * 200_000])
def test_bytes_that_are_no_table_are_refused_by_name(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "audit.csv"
    path.write_bytes(raw)
    with pytest.raises(ManifestError, match=r"audit\.csv.*Move that file away"):
        read_audit(path)


def test_who_waits_too_long_for_another_command_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mammo_monai.schema.audit.PATIENCE_S", 0.0)
    with (
        file_lock(tmp_path / ".audit.csv.lock"),
        pytest.raises(
            ManifestError, match=r"audit\.csv: process \d+ on .* is writing it\. Wait until it ends"
        ),
    ):
        write_audit(tmp_path / "audit.csv", "manifest.json", [])
    assert not (tmp_path / "audit.csv").exists()
