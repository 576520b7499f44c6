"""The queue of images and the outbox: every way through the states, and random walks of both."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mammo_monai.service.node.database import Database, QueueError
from mammo_monai.service.node.outbox import NewResult, Outbox, back_off
from mammo_monai.service.node.queue import MAX_STARTS, NewInstance, Queue
from mammo_monai.service.node.settings import Sending
from mammo_monai.service.node.states import InstanceState

SENDING = Sending(retry_first_s=10, retry_most_s=100, tries=3, give_up_after_h=1)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Desk:
    """A queue and an outbox on one database, with a clock that stands still."""

    def __init__(self, path: Path | str) -> None:
        self.clock = Clock()
        self.database = Database(Path(path))
        self.queue = Queue(self.database, clock=self.clock)
        self.outbox = Outbox(self.database, ["pacs", "web"], SENDING, clock=self.clock)

    def add(self, uid: str, study: str = "s") -> None:
        new = NewInstance(uid, "c", study, f"sha of {uid}", 10, "SENDER")
        self.queue.add(new, InstanceState.RECEIVED, file=f"images/{uid}.dcm")

    def taken(self, uid: str, study: str = "s") -> sqlite3.Row:
        self.add(uid, study)
        self.queue.settle(0, 0)
        row = self.queue.take()
        assert row is not None
        return row

    def made(self, row: sqlite3.Row, kind: str = "sr") -> str:
        uid = f"{kind} of {row['sop_uid']}"
        result = NewResult(uid, kind, "rc", f"results/{uid}.dcm")
        self.outbox.made([row["id"]], [result], study_uid=row["study_uid"], detections="{}")
        return uid

    def state(self, uid: str) -> tuple[str, str]:
        row = self.queue.find(uid)
        assert row is not None
        return row["state"], row["reason"]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path / "queue.sqlite")
    yield made
    made.database.close()


def test_a_study_settles_when_nothing_new_comes(desk: Desk) -> None:
    desk.add("1")
    desk.clock.now += 8
    desk.add("2")
    desk.add("3", study="other")
    desk.clock.now += 5
    assert desk.queue.settle(10, 100) == 0
    desk.clock.now += 5
    assert desk.queue.settle(10, 100) == 3
    desk.add("4")
    assert [desk.state(uid)[0] for uid in "1234"] == ["settled", "settled", "settled", "received"]
    assert desk.queue.n_waiting() == 4


def test_a_study_that_never_ends_settles_anyway(desk: Desk) -> None:
    for number in range(12):
        desk.add(str(number))
        desk.clock.now += 9
    assert desk.queue.settle(10, 100) == 12


def test_the_oldest_goes_first_and_what_failed_goes_last(desk: Desk) -> None:
    for uid in "12":
        desk.add(uid)
        desk.clock.now += 1
    desk.queue.settle(0, 0)
    first = desk.queue.take()
    assert first is not None
    assert first["sop_uid"] == "1"
    assert desk.queue.try_again(first["id"], "it died", tries=3)
    second = desk.queue.take()
    assert second is not None
    assert second["sop_uid"] == "2"


def test_an_image_that_kills_its_process_is_given_up_with_the_reason(desk: Desk) -> None:
    row = desk.taken("1")
    assert desk.queue.try_again(row["id"], "it died", tries=2)
    assert desk.state("1") == ("settled", "it died")
    again = desk.queue.take()
    assert again is not None
    assert not desk.queue.try_again(row["id"], "it died", tries=2)
    assert desk.state("1") == ("dead", "it died (2 times)")
    assert desk.queue.take() is None
    assert desk.queue.retry() == 1
    assert desk.state("1") == ("settled", "")


def test_an_image_over_which_the_node_is_killed_is_taken_again_but_not_for_ever(desk: Desk) -> None:
    desk.taken("1")
    for _ in range(MAX_STARTS - 1):
        assert desk.queue.take() is not None
    assert desk.queue.take() is None
    assert desk.state("1") == ("dead", f"the node was stopped {MAX_STARTS} times while it marked this image")


def test_what_is_put_back_does_not_count(desk: Desk) -> None:
    desk.taken("1")
    for _ in range(3 * MAX_STARTS):
        row = desk.queue.find("1")
        assert row is not None
        desk.queue.give_back(row["id"])
        assert desk.queue.take() is not None


def test_a_failed_image_stays_failed_until_someone_retries(desk: Desk) -> None:
    row = desk.taken("1")
    desk.queue.fail(row["id"], "no film")
    assert desk.state("1") == ("failed", "no film")
    assert desk.queue.take() is None
    assert desk.queue.retry() == 1


def test_an_image_is_done_when_every_destination_has_every_result(desk: Desk) -> None:
    row = desk.taken("1")
    desk.made(row)
    assert desk.state("1")[0] == "made"
    (due,) = desk.outbox.due("pacs")
    assert due["file"] == "results/sr of 1.dcm"
    desk.outbox.delivered(due["result_id"], "pacs")
    assert desk.state("1")[0] == "made"
    assert desk.outbox.due("pacs") == []
    (due,) = desk.outbox.due("web")
    desk.outbox.delivered(due["result_id"], "web")
    assert desk.state("1")[0] == "sent"


def test_the_same_result_is_made_once(desk: Desk) -> None:
    row = desk.taken("1")
    uid = desk.made(row)
    assert desk.outbox.has(uid)
    for name in ("pacs", "web"):
        (due,) = desk.outbox.due(name)
        desk.outbox.delivered(due["result_id"], name)
    desk.made(row)
    assert desk.database.value("SELECT COUNT(*) FROM results") == 1
    assert desk.state("1")[0] == "sent"


def test_a_refused_result_waits_longer_each_time_and_dies_with_a_reason(desk: Desk) -> None:
    row = desk.taken("1")
    desk.made(row)
    (due,) = desk.outbox.due("pacs")
    assert desk.outbox.refused(due["result_id"], "pacs", "pacs answered no")
    assert desk.outbox.due("pacs") == []
    desk.clock.now += 10
    assert len(desk.outbox.due("pacs")) == 1
    assert desk.outbox.refused(due["result_id"], "pacs", "pacs answered no")
    desk.clock.now += 20
    assert not desk.outbox.refused(due["result_id"], "pacs", "pacs answered no")
    (other,) = desk.outbox.due("web")
    desk.outbox.delivered(other["result_id"], "web")
    assert desk.state("1") == ("dead", "a result was given up")
    assert desk.queue.retry() == 0
    assert desk.outbox.retry() == 1
    assert desk.state("1") == ("made", "")
    (due,) = desk.outbox.due("pacs")
    desk.outbox.delivered(due["result_id"], "pacs")
    assert desk.state("1")[0] == "sent"


def test_results_wait_for_a_silent_destination_until_they_are_too_old(desk: Desk) -> None:
    row = desk.taken("1")
    desk.made(row)
    for _ in range(50):
        desk.clock.now += 60
        assert desk.outbox.silent("pacs", "pacs cannot be reached") == 0
    assert len(desk.outbox.due("pacs")) == 1
    desk.clock.now += 601
    assert desk.outbox.silent("pacs", "pacs cannot be reached") == 1
    reason = desk.database.value("SELECT reason FROM deliveries WHERE state = 'dead'")
    assert reason == "pacs cannot be reached, for 1 hours"
    assert desk.outbox.retry() == 1
    assert desk.outbox.silent("pacs", "pacs cannot be reached") == 0


def test_commitment_ends_a_delivery_or_sends_it_again(desk: Desk) -> None:
    for uid in "12":
        desk.made(desk.taken(uid))
    ids = [row["result_id"] for row in desk.outbox.due("pacs")]
    desk.outbox.asked(ids, "pacs", "transaction")
    assert desk.outbox.due("pacs") == []
    assert desk.outbox.committed("another", ["sr of 1"]) == 0
    assert desk.outbox.committed("transaction", ["sr of 1"]) == 1
    assert desk.outbox.committed("transaction", ["sr of 2"]) == 0
    desk.clock.now += 10
    (due,) = desk.outbox.due("pacs")
    assert (due["uid"], due["reason"]) == ("sr of 2", "its storage was not committed")


def test_a_commitment_that_is_not_answered_is_asked_for_again(desk: Desk) -> None:
    desk.made(desk.taken("1"))
    (due,) = desk.outbox.due("pacs")
    desk.outbox.asked([due["result_id"]], "pacs", "transaction")
    desk.clock.now += SENDING.commitment_timeout_s - 1
    assert desk.outbox.commitment_overdue() == 0
    desk.clock.now += 1
    assert desk.outbox.commitment_overdue() == 1
    desk.outbox.asked([due["result_id"]], "pacs", "second")
    desk.outbox.not_asked("second")
    assert len(desk.outbox.due("pacs")) == 1


def test_a_destination_that_is_gone_ends_its_deliveries(desk: Desk) -> None:
    desk.made(desk.taken("1"))
    fewer = Outbox(desk.database, ["web"], SENDING, clock=desk.clock)
    assert fewer.without_destination() == 1
    assert fewer.without_destination() == 0
    (due,) = fewer.due("web")
    fewer.delivered(due["result_id"], "web")
    assert desk.state("1") == ("dead", "a result was given up")


def test_a_study_is_summarised_when_none_of_its_images_waits(desk: Desk) -> None:
    first = desk.taken("1")
    desk.add("2")
    desk.outbox.made([first["id"]], [], study_uid="s", state="marked", detections="{}")
    assert desk.queue.to_summarise() is None
    desk.queue.settle(0, 0)
    second = desk.queue.take()
    assert second is not None
    desk.queue.fail(second["id"], "no film")
    assert desk.queue.to_summarise() == "s"
    assert [row["sop_uid"] for row in desk.queue.marked_images("s")] == ["1"]


def test_a_transaction_is_all_or_nothing(desk: Desk) -> None:
    def half() -> None:
        with desk.database.transaction():
            desk.add("1")
            raise KeyError("stop")

    with pytest.raises(KeyError):
        half()
    assert desk.queue.find("1") is None
    desk.add("1")
    assert desk.queue.find("1") is not None


def test_record_ids_cannot_be_guessed_from_uids(tmp_path: Path, desk: Desk) -> None:
    other = Desk(tmp_path / "other.sqlite")
    assert desk.queue.record_id("1") != other.queue.record_id("1")
    other.database.close()
    again = Database(tmp_path / "other.sqlite")
    assert Queue(again).record_id("1") == other.queue.record_id("1")
    again.close()


def test_the_file_is_flushed_at_every_commit(desk: Desk) -> None:
    assert desk.database.value("PRAGMA journal_mode") == "wal"
    assert desk.database.value("PRAGMA synchronous") == 2
    assert desk.database.value("PRAGMA secure_delete") == 1


def test_a_disk_that_lets_nothing_be_opened_is_not_taken_for_a_damaged_queue(tmp_path: Path) -> None:
    with pytest.raises(QueueError, match="cannot be opened or written: unable to open") as told:
        Database(tmp_path / "no folder" / "queue.sqlite")
    assert "move it away" not in str(told.value)  # with it would go what is still to be sent


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database " * 100)
    with pytest.raises(QueueError, match="expected the queue of a node, got something else"):
        Database(tmp_path / "text")
    made = Database(tmp_path / "newer")
    made.rows("PRAGMA user_version = 99")
    made.close()
    with pytest.raises(QueueError, match="expected a queue of version 1, got 99"):
        Database(tmp_path / "newer")


@pytest.mark.parametrize("tries", [1, 2, 3, 4, 5, 10, 10_000])
def test_waits_double_up_to_the_most_with_jitter(tries: int) -> None:
    most = min(100, 10 * 2 ** min(tries - 1, 60))
    waits = [back_off(tries, SENDING) for _ in range(200)]
    assert most / 2 <= min(waits) <= max(waits) <= most
    assert len(set(waits)) > 100


class Walk(RuleBasedStateMachine):
    """Random steps against a plain model: nothing is lost, nothing made twice, counts always agree."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk(":memory:")
        self.sent: list[str] = []
        self.added: dict[str, str] = {}
        self.current: sqlite3.Row | None = None

    @rule(study=st.sampled_from("abc"))
    def store(self, study: str) -> None:
        uid = str(len(self.added))
        self.desk.add(uid, study)
        self.added[uid] = study

    @rule(seconds=st.sampled_from([1, 10, 50]))
    def wait(self, seconds: int) -> None:
        self.desk.clock.now += seconds
        self.desk.queue.settle(10, 100)

    @rule()
    def take(self) -> None:
        self.current = self.desk.queue.take()

    @precondition(lambda self: self.current is not None)
    @rule(outcome=st.sampled_from(["made", "died", "failed", "back"]))
    def finish(self, outcome: str) -> None:
        row, self.current = self.current, None
        assert row is not None
        if outcome == "made":
            self.desk.made(row)
        elif outcome == "died":
            self.desk.queue.try_again(row["id"], "died", tries=2)
        elif outcome == "failed":
            self.desk.queue.fail(row["id"], "failed")
        else:
            self.desk.queue.give_back(row["id"])

    @rule(name=st.sampled_from(["pacs", "web"]), answers=st.lists(st.booleans(), max_size=5))
    def send(self, name: str, answers: list[bool]) -> None:
        for row, is_taken in zip(self.desk.outbox.due(name), answers, strict=False):
            if is_taken:
                self.desk.outbox.delivered(row["result_id"], name)
                self.sent.append(f"{row['uid']} to {name}")
            else:
                self.desk.outbox.refused(row["result_id"], name, "no")

    @rule()
    def retry(self) -> None:
        if self.current is None:
            self.desk.queue.retry()
            self.desk.outbox.retry()

    @invariant()
    def nothing_is_lost(self) -> None:
        rows = self.desk.database.rows("SELECT sop_uid, study_uid FROM instances")
        assert {row[0]: row[1] for row in rows} == self.added

    @invariant()
    def nothing_goes_twice(self) -> None:
        assert len(self.sent) == len(set(self.sent))

    @invariant()
    def sent_images_have_all_their_results_delivered(self) -> None:
        for row in self.desk.database.rows(
            "SELECT i.sop_uid, i.state, group_concat(d.state) FROM instances AS i "
            "LEFT JOIN sources AS s ON s.instance_id = i.id LEFT JOIN deliveries AS d USING (result_id) "
            "GROUP BY i.id"
        ):
            states = set((row[2] or "").split(","))
            if row["state"] == "sent":
                assert states == {"sent"}
            if states == {"sent"}:
                assert row["state"] == "sent"
            if row["state"] in ("received", "settled", "marking", "failed"):
                assert states == {""}


TestWalk = Walk.TestCase
TestWalk.settings = hypothesis_settings(max_examples=25, stateful_step_count=40)
