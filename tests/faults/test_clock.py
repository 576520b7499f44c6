"""The machine's clock goes back a year, or forward: nothing is deleted early, given up, or waits for ever."""

from __future__ import annotations

import logging
import re
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from mammo_monai.data.prepared_folder import locked
from mammo_monai.experiments.attempts import Attempts
from mammo_monai.inference.predict import Progress, ProgressLog
from mammo_monai.locks import LockHeldError, file_lock
from mammo_monai.service.node.clock import LONGEST_OFF_H, NodeClock
from mammo_monai.service.node.database import Database
from mammo_monai.service.node.keeping import Housekeeper
from mammo_monai.service.node.outbox import NewResult, Outbox
from mammo_monai.service.node.queue import NewInstance, Queue
from mammo_monai.service.node.settings import Keeping, Sending
from mammo_monai.service.node.spool import Spool
from mammo_monai.service.node.states import InstanceState

HOUR, YEAR = 3600.0, 365 * 24 * 3600.0
JUMPS = pytest.mark.parametrize("jump", [YEAR, -YEAR, 2 * HOUR, -2 * HOUR])
KEEPING, SENDING = Keeping(done_h=24.5, failed_h=168), Sending(give_up_after_h=72, retry_most_s=600)


@dataclass
class Machine:
    """A machine with a clock that can be set, and one that cannot."""

    wall: float = 1.7e9
    monotonic: float = 50.0

    def passes(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic += seconds


class Desk:
    """The queue of a node from one start to the next."""

    def __init__(self, folder: Path, machine: Machine) -> None:
        self.machine = machine
        self.database = Database(folder / "queue.sqlite")
        self.clock = NodeClock(self.database, wall=lambda: machine.wall, monotonic=lambda: machine.monotonic)
        self.clock.step()
        self.spool = Spool(folder)
        self.queue = Queue(self.database, clock=self.clock)
        self.outbox = Outbox(self.database, ["pacs"], SENDING, clock=self.clock)
        self.keeper = Housekeeper(self.database, self.spool, KEEPING, clock=self.clock)

    def passes(self, seconds: float) -> None:
        self.machine.passes(seconds)
        self.clock.step()

    def add(self, uid: str, *, is_sent: bool = False) -> None:
        part = self.spool.write_part("images", lambda stream: stream.write(b"x") and None)
        new = NewInstance(uid, "c", f"study of {uid}", "sha", 1, "SENDER")
        self.queue.add(new, InstanceState.RECEIVED, file=self.spool.keep(part, uid * 8))
        self.queue.settle(0, 0)
        row = self.queue.take()
        assert row is not None
        self.outbox.made([row["id"]], [NewResult(f"sr {uid}", "sr", "rc", f"results/{uid}")], study_uid="s")
        if is_sent:
            self.outbox.delivered(self.due()[0]["result_id"], "pacs")

    def due(self) -> list[dict[str, object]]:
        return [dict(row) for row in self.outbox.due("pacs")]

    def state(self, uid: str) -> str | None:
        row = self.queue.find(uid)
        return None if row is None else row["state"]

    def stop(self) -> None:
        self.clock.step()
        self.database.close()


@pytest.fixture
def machine() -> Machine:
    return Machine()


@JUMPS
@pytest.mark.parametrize("restarts", [False, True])
def test_nothing_is_deleted_early_and_all_is_deleted_in_the_end(
    tmp_path: Path, machine: Machine, jump: float, restarts: bool
) -> None:
    desk = Desk(tmp_path, machine)
    desk.add("a", is_sent=True)
    machine.wall += jump
    if restarts:
        desk.stop()
        desk = Desk(tmp_path, machine)
    assert desk.keeper.step() > 0
    assert desk.state("a") == "sent"
    assert len(list(desk.spool.files("images"))) == 1
    desk.passes(KEEPING.done_h * HOUR + 1)
    desk.keeper.step()
    assert (desk.state("a"), list(desk.spool.files("images"))) == (None, [])
    desk.stop()


@JUMPS
@pytest.mark.parametrize("restarts", [False, True])
def test_a_result_is_neither_given_up_early_nor_held_back(
    tmp_path: Path, machine: Machine, jump: float, restarts: bool
) -> None:
    desk = Desk(tmp_path, machine)
    desk.add("a")
    assert desk.outbox.refused(desk.due()[0]["result_id"], "pacs", "no")  # type: ignore[arg-type]  # an id
    assert desk.due() == []
    machine.wall += jump
    if restarts:
        desk.stop()
        desk = Desk(tmp_path, machine)
    assert desk.outbox.silent("pacs", "no answer") == 0
    desk.passes(SENDING.retry_most_s)
    assert len(desk.due()) == 1
    desk.passes(SENDING.give_up_after_h * HOUR)
    assert desk.outbox.silent("pacs", "no answer") == 1
    desk.stop()


@JUMPS
def test_a_study_settles_after_its_time(tmp_path: Path, machine: Machine, jump: float) -> None:
    desk = Desk(tmp_path, machine)
    desk.queue.add(NewInstance("a", "c", "s", "sha", 1, "SENDER"), InstanceState.RECEIVED, file="f")
    machine.wall += jump
    assert desk.queue.settle(30, 600) == 0
    desk.passes(30)
    assert desk.queue.settle(30, 600) == 1
    desk.stop()


def test_time_goes_on_while_the_node_is_off_and_never_back(tmp_path: Path, machine: Machine) -> None:
    desk = Desk(tmp_path, machine)
    before = desk.clock()
    desk.stop()
    machine.wall, machine.monotonic = machine.wall + 5 * HOUR, 3.0  # the machine was started anew
    desk = Desk(tmp_path, machine)
    assert desk.clock() == before + 5 * HOUR
    desk.stop()
    machine.wall -= YEAR
    desk = Desk(tmp_path, machine)
    assert desk.clock() == before + 5 * HOUR
    desk.stop()


def test_a_doubtful_clock_is_told_with_what_the_node_counts(
    tmp_path: Path, machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    for jump, words in ((YEAR, "8760.0 h ahead of .* counts 24 h"), (-YEAR, "8760.0 h behind .* counts 0 h")):
        Desk(tmp_path, machine).stop()
        machine.wall += jump
        caplog.clear()
        Desk(tmp_path, machine).stop()
        assert caplog.records, words
        assert re.search(words, caplog.text)
    assert LONGEST_OFF_H == 24


def test_a_queue_made_before_the_node_kept_its_time_goes_on_from_its_newest_image(
    tmp_path: Path, machine: Machine
) -> None:
    desk = Desk(tmp_path, machine)
    desk.add("a")
    desk.database.run("DELETE FROM facts WHERE name LIKE 'clock%'")
    desk.database.close()
    machine.wall -= YEAR
    desk = Desk(tmp_path, machine)
    assert desk.clock() == machine.wall + YEAR
    desk.stop()


@JUMPS
def test_waits_and_times_left_do_not_follow_the_machines_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, jump: float
) -> None:
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + jump)
    began = time.monotonic()
    with (
        file_lock(tmp_path / "lock"),
        pytest.raises(LockHeldError),
        file_lock(tmp_path / "lock", patience_s=0.2),
    ):
        pass
    assert 0.1 < time.monotonic() - began < 60
    attempts = Attempts(tmp_path / "attempts.json")
    with attempts.timed("training"):
        monkeypatch.setattr(time, "time", lambda: real() - jump)
    assert 0 <= attempts.seconds("training") < 60
    with caplog.at_level(logging.INFO):
        ProgressLog()(Progress(2, 2, "r", 0.0))
    assert "2 of 2 images, 0 s left" in caplog.text


def test_a_lock_of_a_time_to_come_is_a_lock_of_nobody(tmp_path: Path) -> None:
    (tmp_path / ".prepare.lock").write_text("process 1 on ward since 2099-01-01 00:00 UTC\n")
    with locked(tmp_path):
        pass
