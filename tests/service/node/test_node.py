"""The whole node on loopback: a real sender, a real archive, a fake marker in its own process."""

from __future__ import annotations

import json
import logging
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pydicom
import pytest
from pydicom.dataset import Dataset

from mammo_monai.dicom.network import Peer, send
from mammo_monai.dicom.network.commitment_messages import (
    CommitmentReport,
    CommitmentRequest,
    ask_for_commitment,
)
from mammo_monai.dicom.network.received import ReceivedInstance
from mammo_monai.dicom.network.storage_server import StorageServer, StoreStatus
from mammo_monai.errors import MammoError
from mammo_monai.service.node import Node, NodeQueue, QueueError
from mammo_monai.service.node.keeping import Housekeeper
from mammo_monai.service.node.worker import Worker
from tests.service.node.films import LocalWorker, film, settings, until


class Archive:
    """A PACS: keeps each UID once, and what it is to answer."""

    def __init__(self) -> None:
        self.kept: dict[str, Dataset] = {}
        self.answer = StoreStatus.SUCCESS
        self.n_stores = 0
        self.asked: list[CommitmentRequest] = []
        self.server = StorageServer(ae_title="PACS", store=self.store, commit=self.commit)

    def store(self, instance: ReceivedInstance) -> StoreStatus:
        self.n_stores += 1
        if self.answer is StoreStatus.SUCCESS:
            self.kept[instance.sop_instance_uid] = instance.attributes()
        return self.answer

    def commit(self, request: CommitmentRequest) -> bool:
        self.asked.append(request)
        return True

    def by_source(self) -> dict[str, list[str]]:
        """SOP classes of the reports, by study."""
        found: dict[str, list[str]] = {}
        for each in self.kept.values():
            found.setdefault(each.StudyInstanceUID, []).append(each.SOPClassUID.name)
        return {study: sorted(names) for study, names in found.items()}


@pytest.fixture
def archive() -> Iterator[Archive]:
    made = Archive()
    with made.server:
        yield made


@contextmanager
def running(
    folder: Path, archive: Archive, *, worker: type[Worker] = LocalWorker, **changes: Any
) -> Iterator[Node]:
    chosen = settings(folder, pacs_port=archive.server.port, **changes)
    with mock.patch("mammo_monai.service.node.node.Worker", worker), Node(chosen) as node:
        yield node


def sent(node: Node, *datasets: Dataset, **options: Any) -> list[str]:
    return [each.status for each in send(Peer("NODE", "127.0.0.1", node.port), datasets, **options)]


def states(node: Node) -> dict[str, int]:
    return dict(map(tuple, node.database.rows("SELECT state, COUNT(*) FROM instances GROUP BY state")))


def page(node: Node, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{node.http_port}{path}") as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_films_go_in_and_results_come_out_in_their_studies(
    tmp_path: Path, archive: Archive, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="mammo_monai")
    study, other = film(), film(SeriesDescription="nothing")
    second = film(study=study.StudyInstanceUID)
    foreign = film(Modality="CR")
    with running(tmp_path, archive, kinds=["sr", "gsps", "cad"]) as node:
        assert sent(node, study, second, other, foreign) == ["sent"] * 4
        assert until(lambda: states(node) == {"sent": 3, "ignored": 1}), states(node)
        cad, sr, gsps = (
            "Mammography CAD SR Storage",
            "Comprehensive SR Storage",
            "Grayscale Softcopy Presentation State Storage",
        )
        assert archive.by_source() == {
            study.StudyInstanceUID: sorted([cad, sr, sr, gsps, gsps]),
            other.StudyInstanceUID: sorted([cad, sr, gsps]),
        }
        # Results that are forwarded back to the node are not marked.
        assert set(sent(node, *_with_meta(archive.kept.values()))) == {"sent"}
        assert states(node) == {"sent": 3, "ignored": 1 + 8}
        # A late image opens the study again: it alone is marked, and the study's own result is made anew.
        late = film(study=study.StudyInstanceUID)
        sent(node, late)
        assert until(lambda: states(node)["sent"] == 4)
        assert archive.by_source()[study.StudyInstanceUID] == sorted([cad, cad, *[sr, gsps] * 3])
        assert archive.n_stores == len(archive.kept)
        with NodeQueue(node.settings) as queue:
            words = queue.status()
        assert "      4 done: every destination has the results" in words
        assert "      9 taken but not wanted" in words
        assert "8 ignored: a result of this software that came back" in words
        status, metrics = page(node, "/metrics")
        assert status == 200
        assert 'mammo_node_stores_total{outcome="received"} 4.0' in metrics
        assert 'mammo_node_queue{state="sent"} 4.0' in metrics
        assert 'mammo_node_sendings_total{destination="pacs",outcome="sent"} 11.0' in metrics
        assert page(node, "/health") == (200, '{"status": "yes"}')
        assert page(node, "/ready") == (200, '{"status": "yes"}')
        assert page(node, "/other")[0] == 404
    for word in ("patient-7", "Nobody", study.SOPInstanceUID, study.StudyInstanceUID, "19500101"):
        assert word not in caplog.text + words + metrics


def _with_meta(datasets: Any) -> list[Dataset]:
    made = []
    for each in datasets:
        each.file_meta = pydicom.dataset.FileMetaDataset()
        each.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        each.file_meta.MediaStorageSOPClassUID = each.SOPClassUID
        each.file_meta.MediaStorageSOPInstanceUID = each.SOPInstanceUID
        made.append(each)
    return made


def test_one_image_that_breaks_the_process_costs_itself_alone(tmp_path: Path, archive: Archive) -> None:
    marking = {"tries": 1, "timeout_s": 1}
    with running(tmp_path, archive, worker=Worker, marking=marking) as node:
        sent(node, *(film(SeriesDescription=order) for order in ("crash", "hang", "")))
        assert until(lambda: states(node) == {"sent": 1, "dead": 2}, seconds=60), states(node)
        with NodeQueue(node.settings) as queue:
            words = queue.status()
            assert queue.n_given_up() == 2
        assert page(node, "/health")[0] == 200
    assert "dead: the process that marks died (SIGABRT) (1 times)" in words
    assert "dead: marking took longer than 1 s (1 times)" in words


def test_what_a_marker_raises_is_told_without_the_patient(tmp_path: Path, archive: Archive) -> None:
    with running(tmp_path, archive, marking={"tries": 2}) as node:
        sent(node, *(film(SeriesDescription=order) for order in ("error", "unreadable", "")))
        assert until(lambda: states(node) == {"sent": 1, "dead": 1, "failed": 1}), states(node)
        with NodeQueue(node.settings) as queue:
            words = queue.status()
    assert "dead: RuntimeError (2 times)" in words
    assert "failed: the image: expected a film, got a fog. Send another." in words
    assert "patient-7" not in words


def test_a_destination_that_is_away_gets_its_results_when_it_is_back(
    tmp_path: Path, archive: Archive
) -> None:
    with StorageServer(ae_title="PACS", store=archive.store) as gone:
        port = gone.port
    away = {"name": "away", "peer": f"PACS@127.0.0.1:{port}"}
    with running(tmp_path, archive, destinations=[away]) as node:
        sent(node, film(), film())
        waiting = "SELECT COUNT(*) FROM deliveries WHERE reason = 'away cannot be reached'"
        assert until(lambda: node.database.value(waiting) == 2)
        assert states(node) == {"made": 2}
        with NodeQueue(node.settings) as queue:
            assert "results for away\n      2 waiting to be sent" in queue.status()
        with StorageServer(ae_title="PACS", store=archive.store, port=port):
            assert until(lambda: states(node) == {"sent": 2})
        assert len(archive.kept) == 2


def test_a_refused_result_is_a_dead_letter_until_somebody_retries(tmp_path: Path, archive: Archive) -> None:
    archive.answer = StoreStatus.CANNOT_UNDERSTAND
    with running(tmp_path, archive, sending={"tries": 2}) as node:
        sent(node, film())
        assert until(lambda: states(node) == {"dead": 1})
        with NodeQueue(node.settings) as queue:
            assert "dead: pacs answered cannot understand or process (C000) (2 times)" in queue.status()
            archive.answer = StoreStatus.SUCCESS
            assert queue.retry() == (0, 1)
            assert until(lambda: states(node) == {"sent": 1})


def test_a_busy_destination_is_asked_again_without_counting(tmp_path: Path, archive: Archive) -> None:
    archive.answer = StoreStatus.OUT_OF_RESOURCES
    with running(tmp_path, archive, sending={"tries": 1}) as node:
        sent(node, film())
        assert until(lambda: archive.n_stores >= 3)
        assert states(node) == {"made": 1}
        archive.answer = StoreStatus.SUCCESS
        assert until(lambda: states(node) == {"sent": 1})


def test_results_are_done_when_their_storage_is_committed(tmp_path: Path, archive: Archive) -> None:
    destination = {"name": "pacs", "peer": f"PACS@127.0.0.1:{archive.server.port}", "commitment": True}
    with running(tmp_path, archive, destinations=[destination]) as node:
        sent(node, film())
        assert until(lambda: archive.asked)
        (request,) = archive.asked
        assert states(node) == {"made": 1}
        node._committed(CommitmentReport(request.transaction_uid, ()))
        assert until(lambda: len(archive.asked) == 2)
        again = archive.asked[1]
        assert again.instances == request.instances
        node._committed(CommitmentReport(again.transaction_uid, again.instances))
        assert states(node) == {"sent": 1}


def test_commitment_is_reported_to_a_known_sender_wherever_it_listens(
    tmp_path: Path, archive: Archive
) -> None:
    reports: list[CommitmentReport] = []
    modality = StorageServer(
        ae_title="MODALITY", store=lambda _: StoreStatus.SUCCESS, commitment_reported=reports.append
    )
    stored = film()
    with modality:
        peers = [f"MODALITY@127.0.0.1:{modality.port}"]
        with running(tmp_path, archive, commitment_peers=peers) as node:
            sent(node, stored)
            stands = (str(stored.SOPClassUID), str(stored.SOPInstanceUID))
            asked = [stands, (stands[0], "1.2.3"), ("1.2", stands[1])]
            peer = Peer("NODE", "127.0.0.1", node.port)
            assert ask_for_commitment(peer, "1.9", asked, calling_ae_title="MODALITY")
            assert until(lambda: reports)
            assert until(lambda: node.database.value("SELECT COUNT(*) FROM commitments") == 0)
    (report,) = reports
    assert report == CommitmentReport("1.9", (stands,), ((*asked[1], 0x0112), (*asked[2], 0x0119)))


def test_a_node_refuses_to_share_its_folder(tmp_path: Path, archive: Archive) -> None:
    with running(tmp_path, archive) as node, pytest.raises(QueueError, match="another node works in this"):
        Node(node.settings)
    with running(tmp_path, archive):
        pass


def test_a_bundle_that_cannot_be_loaded_stops_the_start(tmp_path: Path, archive: Archive) -> None:
    broken = running(tmp_path, archive, worker=Worker, marking={"bundle": "broken"})
    with pytest.raises(MammoError, match="broken: expected a bundle"), broken:
        pass


def test_stopping_puts_back_what_takes_long(
    tmp_path: Path, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mammo_monai.service.node.node._STOP_S", 0.2)
    with running(tmp_path, archive, worker=Worker) as node:
        sent(node, film(SeriesDescription="hang"))
        assert until(lambda: states(node) == {"marking": 1})
        chosen = node.settings
    with NodeQueue(chosen) as queue:
        row = queue.database.rows("SELECT * FROM instances")[0]
        assert (row["state"], row["tries"], row["starts"]) == ("settled", 0, 0)


def test_nothing_stays_longer_than_configured(tmp_path: Path, archive: Archive) -> None:
    with running(tmp_path, archive, kinds=["sr", "cad"], keeping={"done_h": 1, "failed_h": 2}) as node:
        study = film()
        sent(node, study, film(study=study.StudyInstanceUID), film(SeriesDescription="unreadable"))
        sent(node, film(Modality="CR"))
        assert until(lambda: states(node) == {"sent": 2, "failed": 1, "ignored": 1})
        folder = node.spool.folder
        now = node.queue.clock()
        for hours, n_files in ((0.9, 6), (1.1, 1), (2.1, 0)):
            keeper = Housekeeper(
                node.database, node.spool, node.settings.keeping, clock=lambda late=hours: now + late * 3600
            )
            assert keeper.step() > 0
            assert len([path for path in folder.rglob("*.dcm") if path.is_file()]) == n_files
        for table in ("instances", "results", "sources", "deliveries"):
            assert node.database.value(f"SELECT COUNT(*) FROM {table}") == 0
        assert str(study.SOPInstanceUID).encode() not in (folder / "queue.sqlite").read_bytes()


def test_readiness_says_what_is_full(tmp_path: Path, archive: Archive) -> None:
    with running(tmp_path, archive, limits={"min_free_mb": 1e12}) as node:
        assert sent(node, film()) == ["refused"]
        status, text = page(node, "/ready")
        assert (status, json.loads(text)) == (503, {"status": "no", "disk": "is full"})
        assert page(node, "/health")[0] == 200
