"""What answers of a destination mean, and what a loop does when a step fails."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from mammo_monai.dicom.network import NetworkError
from mammo_monai.service.node.couriers import Answer, courier_to
from mammo_monai.service.node.database import Database
from mammo_monai.service.node.keeping import take_up
from mammo_monai.service.node.loop import Loop
from mammo_monai.service.node.outbox import NewResult, Outbox
from mammo_monai.service.node.queue import NewInstance, Queue
from mammo_monai.service.node.sending import SendingLoop
from mammo_monai.service.node.settings import Destination, Sending
from mammo_monai.service.node.spool import Spool
from mammo_monai.service.node.states import InstanceState
from tests.service.node.films import film, until


class Desk:
    """Two results that wait for one destination, with answers the test writes."""

    def __init__(self, folder: Path) -> None:
        self.database = Database(folder / "queue.sqlite")
        self.spool = Spool(folder)
        self.queue = Queue(self.database)
        self.outbox = Outbox(self.database, ["pacs"], Sending(retry_first_s=100))
        self.answers: list[Answer] | NetworkError = []
        self.outcomes: list[str] = []
        for uid in "12":
            new = NewInstance(uid, "c", "s", uid, 1, "A")
            self.queue.add(new, InstanceState.RECEIVED, file=f"images/{uid}")
            row = self.queue.find(uid)
            assert row is not None
            result = NewResult(f"r{uid}", "sr", "rc", f"results/{uid}")
            self.outbox.made([row["id"]], [result], study_uid="s")

    def courier(self, paths: Sequence[Path]) -> list[Answer]:
        if isinstance(self.answers, NetworkError):
            raise self.answers
        assert len(paths) == len(self.answers)
        return self.answers

    def loop(self, **options: object) -> SendingLoop:
        return SendingLoop(
            self.outbox,
            self.spool,
            self.courier,
            destination="pacs",
            told=self.outcomes.append,
            **options,  # type: ignore[arg-type]  # as the test gives them
        )

    def deliveries(self) -> list[tuple[str, str]]:
        rows = self.database.rows("SELECT state, reason FROM deliveries ORDER BY result_id")
        return [(row["state"], row["reason"]) for row in rows]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.database.close()


def test_each_result_has_an_answer_of_its_own(desk: Desk) -> None:
    desk.answers = [Answer(is_sent=True), Answer(is_sent=False, is_refusal=True, reason="answered no")]
    loop = desk.loop()
    assert loop.step() == 0
    assert desk.deliveries() == [("sent", ""), ("waiting", "pacs answered no")]
    assert sorted(desk.outcomes) == ["refused", "sent"]
    assert loop.step() > 0  # the other one is not due yet


def test_waits_for_a_silent_destination_grow_and_end_with_its_first_answer(desk: Desk) -> None:
    desk.answers = NetworkError("no route")
    loop = desk.loop()
    assert 50 <= loop.step() <= 100
    assert 100 <= loop.step() <= 200
    desk.answers = [Answer(is_sent=True)] * 2
    assert loop.step() == 0
    assert desk.deliveries() == [("sent", "")] * 2
    assert desk.outcomes == ["silent", "silent", "sent", "sent"]


def test_one_result_without_an_answer_lets_the_destination_rest(desk: Desk) -> None:
    desk.answers = [Answer(is_sent=True), Answer(is_sent=False, reason="gave no answer")]
    assert desk.loop().step() >= 50
    assert desk.deliveries() == [("sent", ""), ("waiting", "pacs gave no answer")]


@pytest.mark.parametrize("is_reached", [True, False])
def test_a_destination_that_commits_to_nothing_keeps_its_results_waiting(
    desk: Desk, is_reached: bool
) -> None:
    def ask(_: str, instances: Sequence[tuple[str, str]]) -> bool:
        assert instances == [("rc", "r1"), ("rc", "r2")]
        if not is_reached:
            raise NetworkError("no route")
        return False

    desk.answers = [Answer(is_sent=True)] * 2
    assert desk.loop(ask_commitment=ask).step() >= 50
    reason = "pacs took results, but no request for storage commitment"
    assert desk.deliveries() == [("waiting", reason)] * 2


def test_a_result_that_somebody_removed_is_made_again_only_where_it_is_waited_for(desk: Desk) -> None:
    for uid in "12":
        desk.spool.folder.joinpath(f"images/{uid}").write_bytes(b"")
    rows = desk.outbox.due("pacs")
    desk.outbox.delivered(rows[0]["result_id"], "pacs")
    assert take_up(desk.queue, desk.spool)["files gone"] == 1
    states = {row[0]: row[1] for row in desk.database.rows("SELECT sop_uid, state FROM instances")}
    assert states == {"1": "sent", "2": "settled"}


class _Stow(BaseHTTPRequestHandler):
    status = 200

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b'{"00081199": {"vr": "SQ", "Value": []}}'
        self.send_response(self.status)
        self.send_header("Content-Type", "application/dicom+json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize(
    ("status", "is_sent", "is_refusal"), [(200, True, False), (409, False, True), (503, False, False)]
)
def test_dicomweb_answers_mean_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, is_sent: bool, is_refusal: bool
) -> None:
    monkeypatch.setattr(_Stow, "status", status)
    dataset = film(PatientName="Secret^Name")
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Stow)
    Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}/dicom-web"
    courier = courier_to(Destination("web", dicomweb=url), ae_title="NODE")
    (answer,) = courier([tmp_path / "a.dcm"])
    server.shutdown()
    server.server_close()
    assert (answer.is_sent, answer.is_refusal) == (is_sent, is_refusal)
    assert answer.reason == ("" if is_sent else f"answered HTTP {status}")


def test_a_file_that_cannot_be_read_is_refused_with_the_reason(tmp_path: Path) -> None:
    courier = courier_to(Destination("pacs", peer="PACS@127.0.0.1:1"), ae_title="NODE")
    (answer,) = courier([tmp_path / "none.dcm"])
    assert answer == Answer(
        is_sent=False, is_refusal=True, reason="could not be sent: its file cannot be read"
    )


def test_a_loop_goes_on_after_an_error_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    told: list[str] = []
    steps: list[int] = []

    def step() -> float:
        steps.append(1)
        if len(steps) == 1:
            raise RuntimeError("secret-name")
        return 0.01

    loop = Loop("marking", step, told=told.append, after_error_s=0.01)
    assert not loop.is_alive
    assert loop.join(1)
    loop.start()
    assert until(lambda: len(steps) > 3)
    loop.stop()
    assert loop.join(5)
    assert told == ["marking"]
    assert "marking: RuntimeError; tried again in 0.01 s" in caplog.text
    assert "secret-name" not in caplog.text
