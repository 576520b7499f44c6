"""One image under two names: one record, or none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mammo_monai.errors import ManifestError
from mammo_monai.readers import repeated
from mammo_monai.readers.audit import Audit
from mammo_monai.readers.repeated import are_same_files, drop_repeated_records, drop_same_pictures
from mammo_monai.records import ImageRecord, Laterality, Lesion
from mammo_monai.schema import Action


@pytest.fixture
def record(tmp_path: Path) -> ImageRecord:
    path = tmp_path / "a.dcm"
    path.write_bytes(b"film")
    return ImageRecord(path, "a" * 16, "P_1", 60, 90, (Lesion((1, 2, 3, 4)),), Laterality.RIGHT)


def copy_of(record: ImageRecord, content: bytes = b"film", **changes: Any) -> ImageRecord:
    path = record.image.with_name("b.dcm")
    path.write_bytes(content)
    return replace(record, image=path, **changes)


def codes(audit: Audit) -> list[tuple[str, Action]]:
    return [(each.code, each.action) for each in audit.findings]


def test_records_that_are_not_repeated_stay_in_order(record: ImageRecord) -> None:
    audit = Audit()
    records = [replace(record, record_id=name) for name in "cab"]
    assert drop_repeated_records(records, audit) == records
    assert audit.findings == []


def test_a_copy_is_dropped_and_its_other_lesions_kept(record: ImageRecord) -> None:
    audit = Audit()
    lesions = (Lesion((1, 2, 3, 4), id="7"), Lesion((5, 6, 7, 8)), Lesion((1, 2, 3, 4), type="calcification"))
    (kept,) = drop_repeated_records([record, copy_of(record, lesions=lesions)], audit)
    assert kept.image == record.image
    assert kept.lesions == (record.lesions[0], *lesions[1:])
    assert codes(audit) == [("uid-repeated", Action.REPAIRED)]


def test_a_copy_without_lesions_takes_none_away(record: ImageRecord) -> None:
    (kept,) = drop_repeated_records([copy_of(record, lesions=()), record], Audit())
    assert kept.lesions == record.lesions


@pytest.mark.parametrize(
    "changes",
    [
        {"content": b"FILM"},
        {"content": b"another film"},
        {"patient_id": "P_2"},
        {"laterality": Laterality.LEFT},
    ],
)
def test_what_contradicts_leaves_all_out(record: ImageRecord, changes: dict[str, Any]) -> None:
    audit = Audit()
    other = copy_of(record, **changes)
    innocent = replace(record, record_id="b" * 16)
    assert drop_repeated_records([record, innocent, other], audit) == [innocent]
    assert codes(audit) == [("uid-conflict", Action.QUARANTINED)] * 2
    assert [each.image for each in audit.quarantined] == [record.image, other.image]


def test_strict_names_both_files(record: ImageRecord) -> None:
    audit = Audit(strict=True)
    drop_repeated_records([record, copy_of(record, b"FILM")], audit)
    with pytest.raises(ManifestError, match=r"a\.dcm: 2 different images .* Keep the right one of: .*b\.dcm"):
        audit.finish()


def test_files_are_compared_by_all_their_bytes(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in "abc"]
    for path, content in zip(paths, (b"x" * 9000, b"x" * 9000, b"x" * 8999 + b"y"), strict=True):
        path.write_bytes(content)
    assert are_same_files(paths[:2])
    assert are_same_files(paths[:1] * 3)
    assert not are_same_files(paths)


def test_files_of_one_size_are_not_all_compared_with_all(
    record: ImageRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[object] = []
    monkeypatch.setattr(repeated, "are_same_files", lambda paths: compared.append(paths) or True)
    records = []
    for number in range(50):
        path = record.image.with_name(f"{number}.jpg")
        path.write_bytes(bytes([number % 49]) * 9000)
        records.append(replace(record, image=path, record_id=f"{number:016x}", file_size=9000))
    audit = Audit()
    assert len(drop_same_pictures(records, audit)) == 48
    assert len(compared) == 2
    assert codes(audit) == [("image-repeated", Action.QUARANTINED)] * 2


def test_files_that_differ_in_their_middle_alone_are_kept(record: ImageRecord) -> None:
    records = []
    for name, middle in (("a", b"x"), ("b", b"y")):
        path = record.image.with_name(f"{name}.jpg")
        path.write_bytes(bytes(5000) + middle + bytes(5000))
        records.append(replace(record, image=path, record_id=name * 16, file_size=10001))
    assert drop_same_pictures(records, Audit()) == records
