"""Storage commitment asked of the node: who is told, where, and how long it is tried."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mammo_monai.dicom.network import Peer
from mammo_monai.dicom.network.commitment_messages import (
    NO_SUCH_INSTANCE,
    CommitmentReport,
    CommitmentRequest,
)
from mammo_monai.dicom.network.storage_server import StorageServer, StoreStatus
from mammo_monai.service.node import commitments
from mammo_monai.service.node.commitments import Commitments
from mammo_monai.service.node.database import Database
from mammo_monai.service.node.queue import NewInstance, Queue
from mammo_monai.service.node.settings import Sending
from mammo_monai.service.node.states import InstanceState
from tests.service.node.films import until

ASKED = (("1.2", "1.2.3"),)
MISSING = CommitmentReport("1.9", (), ((*ASKED[0], NO_SUCH_INSTANCE),))


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(tmp_path / "queue.sqlite")
    yield made
    made.close()


def test_an_unknown_sender_is_told_on_its_own_association(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(commitments, "SAME_ASSOCIATION_AFTER_S", 0.0)
    desk = Commitments(database, {}, ae_title="NODE", sending=Sending())
    told: list[CommitmentReport] = []
    assert desk(CommitmentRequest("1.9", "STRANGER", ASKED, lambda report: not told.append(report)))  # type: ignore[func-returns-value]
    assert until(lambda: told == [MISSING])
    assert desk(CommitmentRequest("1.9", "STRANGER", ASKED))
    assert until(lambda: "name it in commitment_peers" in caplog.text)
    assert database.value("SELECT COUNT(*) FROM commitments") == 0


def test_nothing_is_committed_to_whose_file_is_gone(database: Database) -> None:
    new = NewInstance("1.2.3", "1.2", "1.4", "sha", 10, "M")
    Queue(database).add(new, InstanceState.FAILED, file="images/ab/ab.dcm", reason="its file is gone")
    there = set[str]()
    desk = Commitments(database, {}, ae_title="NODE", sending=Sending(), is_there=lambda name: name in there)
    assert desk.report("1.9", list(ASKED)) == MISSING
    there.add("images/ab/ab.dcm")
    assert desk.report("1.9", list(ASKED)).committed == ASKED


def test_a_known_sender_is_told_when_it_is_there_again(database: Database) -> None:
    reports: list[CommitmentReport] = []
    with StorageServer(ae_title="M", store=lambda _: StoreStatus.SUCCESS) as away:
        port = away.port
    now = [1000.0]
    desk = Commitments(
        database,
        {"M": Peer("M", "127.0.0.1", port)},
        ae_title="NODE",
        sending=Sending(),
        clock=lambda: now[0],
    )
    assert desk.step() > 0
    assert desk(CommitmentRequest("1.9", "M", ASKED))
    assert desk.step() == 0
    assert reports == []
    assert desk.step() > 0  # not yet due again
    now[0] += 10
    with StorageServer(
        ae_title="M", store=lambda _: StoreStatus.SUCCESS, port=port, commitment_reported=reports.append
    ):
        assert desk.step() == 0
    assert reports == [MISSING]
    assert database.value("SELECT COUNT(*) FROM commitments") == 0


def test_a_report_that_nobody_takes_is_given_up(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    now = [1000.0]
    peer = Peer("M", "127.0.0.1", 1)
    sending = Sending(give_up_after_h=1)
    desk = Commitments(database, {"M": peer}, ae_title="NODE", sending=sending, clock=lambda: now[0])
    desk(CommitmentRequest("1.9", "M", ASKED))
    now[0] += 3600
    assert desk.step() == 0
    assert "could not be delivered in 1 tries: given up" in caplog.text
    assert database.value("SELECT COUNT(*) FROM commitments") == 0
