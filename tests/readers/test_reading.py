from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from mammo_monai.readers.audit import Audit, InvalidRecordError
from mammo_monai.readers.reading import Reading
from mammo_monai.records import ImageRecord


def read_one(number: int, audit: Audit) -> ImageRecord | None:
    time.sleep(0.002 * (number % 3))  # later items finish first
    with audit.image(f"{number}", f"row {number}"):
        if number % 4 == 1:
            raise InvalidRecordError("bad", f"row {number}", "is bad")
        audit.note("seen", f"{number}", "seen")
        return ImageRecord(Path(f"/{number}.png"), f"{number}", "p", width=2, height=3)
    return None


@pytest.mark.parametrize("workers", [1, 4])
def test_records_and_findings_come_in_the_order_of_the_items(workers: int) -> None:
    seen: list[tuple[int, int]] = []
    reading = Reading("salt", workers=workers, on_progress=lambda done, total: seen.append((done, total)))
    records = reading.images(read_one, range(10))
    assert [record.record_id for record in records] == [f"{n}" for n in range(10) if n % 4 != 1]
    assert [finding.record_id for finding in reading.audit.findings] == [f"{n}" for n in range(10)]
    assert seen == [(n, 10) for n in range(1, 11)]


def test_workers_read_at_the_same_time() -> None:
    meeting = threading.Barrier(2, timeout=10)

    def wait_for_the_other(_: int, __: Audit) -> None:
        meeting.wait()

    assert Reading("salt", workers=2).images(wait_for_the_other, range(2)) == []


def test_no_items_are_no_records() -> None:
    assert Reading("salt").images(read_one, []) == []


def test_audits_are_not_shared_between_readings() -> None:
    assert Reading("salt").audit is not Reading("salt").audit
