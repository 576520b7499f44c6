"""What a sender hears, what lies on disk and what the queue says: always the same thing."""

from __future__ import annotations

import errno
import logging
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import ComprehensiveSRStorage, RLELossless

from mammo_monai.dicom.network.received import ReceivedInstance
from mammo_monai.dicom.network.storage_server import StoreStatus
from mammo_monai.service.node import spool as spool_file
from mammo_monai.service.node.database import Database
from mammo_monai.service.node.keeping import take_up
from mammo_monai.service.node.queue import Queue
from mammo_monai.service.node.receiving import Receiver
from mammo_monai.service.node.settings import Limits, Rules
from mammo_monai.service.node.spool import Spool
from tests.service.node.films import film, received


class Desk:
    def __init__(self, folder: Path, limits: Limits | None = None) -> None:
        self.database = Database(folder / "queue.sqlite")
        self.queue, self.spool = Queue(self.database), Spool(folder)
        self.outcomes: list[str] = []
        self.receiver = Receiver(
            self.queue, self.spool, Rules(), limits or Limits(min_free_mb=0), told=self.outcomes.append
        )

    def rows(self) -> list[tuple[str, str]]:
        return [(row["state"], row["reason"]) for row in self.database.rows("SELECT * FROM instances")]

    def n_files(self) -> int:
        return len([path for path in (self.spool.folder / "images").rglob("*") if path.is_file()])


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.database.close()


def test_a_stored_film_is_on_disk_byte_for_byte_and_in_the_queue(desk: Desk) -> None:
    instance = received(film(syntax=RLELossless))
    assert desk.receiver(instance) is StoreStatus.SUCCESS
    assert desk.rows() == [("received", "")]
    row = desk.queue.find(instance.sop_instance_uid)
    assert row is not None
    path = desk.spool.path(row["file"])
    assert path.read_bytes() == instance.header + instance.data
    assert (row["bytes"], row["sender"]) == (instance.size, "SENDER")
    assert path.parent.stat().st_mode & 0o077 == 0
    assert desk.n_files() == 1


def test_the_same_film_again_is_a_success_and_changes_nothing(desk: Desk) -> None:
    instance = received(film())
    assert [desk.receiver(instance) for _ in range(3)] == [StoreStatus.SUCCESS] * 3
    assert desk.outcomes == ["received", "duplicate", "duplicate"]
    assert desk.n_files() == 1


def test_the_same_film_in_many_associations_at_once_is_stored_once(desk: Desk) -> None:
    instance = received(film())
    answers: list[StoreStatus] = []
    threads = [threading.Thread(target=lambda: answers.append(desk.receiver(instance))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [StoreStatus.SUCCESS] * 8
    assert sorted(desk.outcomes) == ["duplicate"] * 7 + ["received"]
    assert desk.n_files() == 1


def test_other_content_under_a_known_uid_is_refused_and_the_first_stays(desk: Desk) -> None:
    first = film(SOPInstanceUID="1.2.3")
    desk.receiver(received(first))
    other = received(film(SOPInstanceUID="1.2.3", PatientName="Somebody^Else"))
    assert desk.receiver(other) is StoreStatus.CONTENT_CONFLICT
    assert desk.rows() == [("received", "")]
    assert desk.n_files() == 1
    assert desk.receiver(received(first)) is StoreStatus.SUCCESS


def test_a_film_that_cannot_be_marked_may_be_replaced(desk: Desk) -> None:
    desk.receiver(received(film(SOPInstanceUID="1.2.3", SeriesDescription="fog")))
    row = desk.queue.find("1.2.3")
    assert row is not None
    desk.queue.fail(row["id"], "a fog")
    better = received(film(SOPInstanceUID="1.2.3"))
    assert desk.receiver(better) is StoreStatus.SUCCESS
    assert desk.rows() == [("received", "")]
    assert desk.n_files() == 1


def test_a_film_whose_file_somebody_removed_is_stored_anew(desk: Desk) -> None:
    instance = received(film())
    desk.receiver(instance)
    row = desk.queue.find(instance.sop_instance_uid)
    assert row is not None
    desk.spool.path(row["file"]).unlink()
    assert desk.receiver(instance) is StoreStatus.SUCCESS
    assert desk.outcomes == ["received", "received"]
    assert desk.n_files() == 1


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({"SOPClassUID": ComprehensiveSRStorage}, "its SOP class is no mammogram's"),
        ({"Modality": "CR"}, "its modality is not among those wanted"),
        (
            {"PresentationIntentType": "FOR PROCESSING"},
            "its presentation intent is not among those wanted",
        ),
    ],
)
def test_what_is_not_wanted_is_a_success_with_a_reason_and_not_kept(
    desk: Desk, tags: dict[str, Any], reason: str
) -> None:
    dataset = film(**tags)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    assert desk.receiver(received(dataset)) is StoreStatus.SUCCESS
    assert desk.receiver(received(dataset)) is StoreStatus.SUCCESS
    assert desk.rows() == [("ignored", reason)]
    assert desk.n_files() == 0


def test_an_ignored_film_is_judged_again_when_it_comes_again(desk: Desk) -> None:
    desk.receiver(received(film(SOPInstanceUID="1.2.3", Modality="CR")))
    desk.receiver(received(film(SOPInstanceUID="1.2.3")))
    assert desk.rows() == [("received", "")]


def _cut(instance: ReceivedInstance, n_bytes: int) -> ReceivedInstance:
    return replace(instance, data=instance.data[:n_bytes])


@pytest.mark.parametrize("syntax_is_rle", [False, True])
@pytest.mark.parametrize("part", [0.5, 0.999])
def test_a_truncated_film_is_refused_and_taken_when_it_comes_whole(
    desk: Desk, syntax_is_rle: bool, part: float
) -> None:
    whole = received(film(syntax=RLELossless) if syntax_is_rle else film(shape=(300, 200)))
    cut = _cut(whole, int(len(whole.data) * part) // 2 * 2)
    assert desk.receiver(cut) is StoreStatus.CANNOT_UNDERSTAND
    ((state, reason),) = desk.rows()
    assert state == "refused"
    assert reason in ("its pixel data are missing or cut short", "its header cannot be read")
    assert desk.n_files() == 0
    assert desk.receiver(whole) is StoreStatus.SUCCESS
    assert desk.rows() == [("received", "")]
    assert desk.receiver(cut) is StoreStatus.CANNOT_UNDERSTAND or desk.outcomes[-1] == "conflict"
    assert desk.rows() == [("received", "")]


def test_a_film_that_ends_in_its_header_is_refused(desk: Desk) -> None:
    whole = received(film())
    assert desk.receiver(_cut(whole, 30)) in (StoreStatus.DATA_SET_MISMATCH, StoreStatus.CANNOT_UNDERSTAND)
    assert desk.rows()[0][0] == "refused"


def test_a_data_set_of_another_class_than_announced_is_refused(desk: Desk) -> None:
    instance = replace(received(film()), sop_class_uid=ComprehensiveSRStorage)
    assert desk.receiver(instance) is StoreStatus.DATA_SET_MISMATCH
    assert desk.rows() == [("refused", "its SOP class or instance UID is not the one its sender announced")]


def test_a_film_without_a_study_is_refused(desk: Desk) -> None:
    assert desk.receiver(received(film(StudyInstanceUID=None))) is StoreStatus.CANNOT_UNDERSTAND
    assert desk.rows() == [("refused", "it names no study")]


def test_a_full_queue_or_disk_answers_out_of_resources_and_stores_nothing(tmp_path: Path) -> None:
    desk = Desk(tmp_path, Limits(min_free_mb=0, max_waiting=1))
    desk.receiver(received(film()))
    assert desk.receiver.why_full() == "queue"
    assert desk.receiver(received(film())) is StoreStatus.OUT_OF_RESOURCES
    desk.receiver.limits = Limits(min_free_mb=1e12)
    assert desk.receiver(received(film())) is StoreStatus.OUT_OF_RESOURCES
    assert desk.outcomes == ["received", "queue", "disk"]
    assert len(desk.rows()) == desk.n_files() == 1
    desk.database.close()


@pytest.mark.parametrize("call", ["write", "fsync", "rename"])
def test_a_disk_that_fills_up_in_the_middle_leaves_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def is_full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    instance = received(film())
    if call == "write":
        monkeypatch.setattr(ReceivedInstance, "write", is_full)
    elif call == "fsync":
        monkeypatch.setattr(spool_file.os, "fsync", is_full)
    else:
        monkeypatch.setattr(Path, "replace", is_full)
    assert desk.receiver(instance) is StoreStatus.OUT_OF_RESOURCES
    monkeypatch.undo()
    assert desk.rows() == []
    assert desk.n_files() == 0
    assert desk.receiver(instance) is StoreStatus.SUCCESS


def test_a_full_database_leaves_nothing(desk: Desk) -> None:
    pages = desk.database.value("PRAGMA page_count")
    desk.database.rows(f"PRAGMA max_page_count = {pages}")
    answers = {desk.receiver(received(film())) for _ in range(30)}
    assert StoreStatus.OUT_OF_RESOURCES in answers
    assert desk.n_files() == len(desk.rows())
    desk.database.rows("PRAGMA max_page_count = 1000000")
    assert desk.receiver(received(film())) is StoreStatus.SUCCESS


def test_the_log_says_nothing_of_the_patient(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="mammo_monai")
    instance = received(film())
    desk.receiver(instance)
    desk.receiver(_cut(instance, 900))
    assert caplog.messages[0] == f"record {desk.queue.record_id(instance.sop_instance_uid)}: received"
    for word in (instance.sop_instance_uid, "patient-7", "Nobody", "2024"):
        assert word not in caplog.text


# What a start finds


def test_a_start_takes_up_whole_images_and_clears_the_rest(desk: Desk) -> None:
    kept = received(film())
    desk.receiver(kept)
    orphan = received(film())
    part = desk.spool.write_part("images", orphan.write)
    name = desk.spool.keep(part, "ab" * 16)
    again = desk.spool.keep(desk.spool.write_part("images", kept.write), "cd" * 16)
    half = desk.spool.write_part("images", lambda out: bool(out.write(b"half")))
    torn = desk.spool.keep(half, "ef" * 16)
    desk.spool.write_part("images", orphan.write)
    result = desk.spool.keep(desk.spool.write_part("results", orphan.write), "12" * 16)
    found = take_up(desk.queue, desk.spool)
    assert found == {"unfinished files": 1, "images taken up": 1, "results removed": 1, "files gone": 0}
    assert desk.rows() == [("received", "")] * 2
    assert [desk.spool.path(each).is_file() for each in (name, again, torn, result)] == [True] + [False] * 3
    assert desk.receiver(orphan) is StoreStatus.SUCCESS
    assert desk.outcomes == ["received", "duplicate"]
    assert not any(take_up(desk.queue, desk.spool).values())


def test_a_start_says_which_images_are_gone(desk: Desk) -> None:
    instance = received(film())
    desk.receiver(instance)
    row = desk.queue.find(instance.sop_instance_uid)
    assert row is not None
    desk.spool.path(row["file"]).unlink()
    assert take_up(desk.queue, desk.spool)["files gone"] == 1
    assert desk.rows() == [("failed", "its file is gone")]
