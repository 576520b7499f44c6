"""What the marking loop makes of a full disk, of files that are gone and of results that cannot be made."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from mammo_monai.dicom.results import build_result
from mammo_monai.errors import DicomError
from mammo_monai.service.node import worker as worker_file
from mammo_monai.service.node.database import Database
from mammo_monai.service.node.marking import DISK_WAIT_S, MarkingLoop
from mammo_monai.service.node.outbox import Outbox
from mammo_monai.service.node.queue import Queue
from mammo_monai.service.node.receiving import Receiver
from mammo_monai.service.node.settings import Limits, Marking, Rules
from mammo_monai.service.node.spool import Spool
from mammo_monai.service.node.worker import Worker, WorkerDiedError
from tests.service.node.films import FACTORY, LocalWorker, film, received


class Desk:
    def __init__(self, folder: Path) -> None:
        self.database = Database(folder / "queue.sqlite")
        self.queue, self.spool = Queue(self.database), Spool(folder)
        self.receiver = Receiver(self.queue, self.spool, Rules(), Limits(min_free_mb=0))
        worker = LocalWorker(Marking(bundle="fake", factory=FACTORY, settle_s=0))
        worker.start()
        outbox = Outbox(self.database, ["pacs"])
        self.loop = MarkingLoop(self.queue, outbox, self.spool, worker, kinds=["sr", "cad"])

    def states(self) -> list[tuple[str, str]]:
        return [(row["state"], row["reason"]) for row in self.database.rows("SELECT * FROM instances")]

    def n_results(self) -> int:
        return len(list((self.spool.folder / "results").rglob("*.*")))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.database.close()


def _full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_puts_the_image_back_and_waits(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.receiver(received(film()))
    with monkeypatch.context() as full:
        full.setattr(worker_file.os, "fsync", _full)
        assert desk.loop.step() == DISK_WAIT_S
    assert desk.states() == [("settled", "")]
    assert desk.n_results() == 0
    assert desk.loop.step() == 0
    assert desk.states() == [("marked", "")]
    with monkeypatch.context() as full:
        full.setattr(worker_file.os, "fsync", _full)
        assert desk.loop.step() == DISK_WAIT_S
    assert desk.states() == [("marked", "")]
    assert desk.loop.step() == 0
    assert desk.states() == [("made", "")]
    assert desk.n_results() == 2


def test_a_disk_that_fills_up_while_results_are_kept_repeats_the_image(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.receiver(received(film()))
    with monkeypatch.context() as full:
        full.setattr(Path, "replace", _full)
        with pytest.raises(OSError, match="No space left"):
            desk.loop.step()
    assert desk.states() == [("marking", "")]
    assert desk.n_results() == 0
    assert desk.loop.step() == 0
    assert desk.states() == [("marked", "")]


def test_an_image_whose_file_is_gone_says_so(desk: Desk) -> None:
    instance = received(film())
    desk.receiver(instance)
    row = desk.queue.find(instance.sop_instance_uid)
    assert row is not None
    desk.spool.path(row["file"]).unlink()
    desk.loop.step()
    assert desk.states() == [("failed", "its file is gone")]


@pytest.mark.parametrize("kind", ["sr", "cad"])
def test_a_result_that_cannot_be_made_ends_the_image_with_the_reason(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    def fails(asked: str, *rest: object) -> object:
        if asked == kind:
            raise DicomError("expected a laterality, got none.")
        return build_result(asked, *rest)  # type: ignore[arg-type]  # as the worker gives them

    monkeypatch.setattr(worker_file, "build_result", fails)
    desk.receiver(received(film()))
    for _ in range(3):
        desk.loop.step()
    ((state, reason),) = desk.states()
    assert state == "failed"
    assert reason == f"{kind} could not be made: expected a laterality, got none."
    monkeypatch.undo()
    assert desk.queue.retry() == 1
    for _ in range(3):
        desk.loop.step()
    assert desk.states() == [("made", "")]
    assert desk.n_results() == 2


def test_a_study_is_summarised_of_the_images_whose_files_are_there(desk: Desk) -> None:
    for _ in range(2):
        desk.receiver(received(film(study="1.2.3")))
    for _ in range(2):
        desk.loop.step()
    gone, kept = desk.database.rows("SELECT * FROM instances ORDER BY id")
    desk.spool.path(gone["file"]).unlink()
    desk.loop.step()
    assert desk.states() == [("failed", "its file is gone"), ("made", "")]
    desk.spool.path(kept["file"]).unlink()
    desk.database.run("UPDATE instances SET state = 'marked', reason = ''")
    assert desk.loop.step() == 0
    assert desk.states() == [("failed", "its file is gone")] * 2


def test_a_worker_that_has_ended_is_started_again(tmp_path: Path) -> None:
    worker = Worker(Marking(bundle="fake", factory=FACTORY))
    worker.start()
    worker.kill()
    task = worker_file.Task(((tmp_path / "none.dcm", "a"),), {})
    with pytest.raises(WorkerDiedError, match=r"SIGKILL|had ended"):
        worker.work(task)
    done = worker.work(task)
    assert isinstance(done, worker_file.Failed)
    worker.stop()
    worker.kill()
