from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from mammo_monai.readers.audit import Audit
from mammo_monai.readers.file_hashes import with_file_hashes
from mammo_monai.readers.reading import Reading
from mammo_monai.records import ImageRecord
from mammo_monai.schema import Action


def records_of(folder: Path, count: int) -> list[ImageRecord]:
    """Images of growing size, the first one empty, one of several blocks."""
    records = []
    for number in range(count):
        path = folder / f"secret-name-{number}.png"
        path.write_bytes(bytes([number]) * (number * 700_001))
        records.append(ImageRecord(path, f"{number:016x}", "p", width=6, height=9, source=f"row {number}"))
    return records


@pytest.mark.parametrize("workers", [1, 4])
def test_sizes_and_hashes_are_those_of_the_bytes_in_the_same_order(tmp_path: Path, workers: int) -> None:
    records, calls = records_of(tmp_path, 5), []
    reading = Reading("s", workers=workers, on_progress=lambda done, total: calls.append((done, total)))
    found = with_file_hashes(records, reading)
    assert [each.record_id for each in found] == [each.record_id for each in records]
    for each in found:
        raw = each.image.read_bytes()
        assert (each.file_size, each.sha256) == (len(raw), hashlib.sha256(raw).hexdigest())
    assert calls == [(done, 5) for done in range(1, 6)]
    assert [replace(each, file_size=None, sha256=None) for each in found] == records


def test_the_size_alone_opens_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = records_of(tmp_path, 2)

    def refuse(*_: object) -> None:
        raise ValueError("opened")

    monkeypatch.setattr(Path, "open", refuse)
    found = with_file_hashes(records, Reading("s"), is_size_only=True)
    assert [(each.file_size, each.sha256) for each in found] == [(0, None), (700_001, None)]


@pytest.mark.parametrize("is_size_only", [True, False])
def test_a_vanished_file_is_a_finding_and_the_others_stay(tmp_path: Path, is_size_only: bool) -> None:
    records = records_of(tmp_path, 3)
    records[1].image.unlink()
    audit = Audit()
    found = with_file_hashes(records, Reading("s", audit, workers=2), is_size_only=is_size_only)
    assert [each.record_id for each in found] == [records[0].record_id, records[2].record_id]
    (finding,) = audit.findings
    assert (finding.code, finding.record_id) == ("file-missing", records[1].record_id)
    assert finding.action is Action.QUARANTINED
    assert "secret-name" not in finding.found
    assert audit.quarantined[0].image == records[1].image


def test_an_unreadable_file_is_a_finding_too(tmp_path: Path) -> None:
    records, audit = records_of(tmp_path, 2), Audit()
    records[0].image.unlink()
    records[0].image.mkdir()  # as root, no file is unreadable by its rights
    found = with_file_hashes(records, Reading("s", audit))
    assert [each.record_id for each in found] == [records[1].record_id]
    assert [each.code for each in audit.findings] == ["file-unreadable"]


def test_no_records_give_no_records(tmp_path: Path) -> None:
    assert with_file_hashes([], Reading("s", workers=2)) == []
