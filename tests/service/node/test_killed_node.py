"""kill -9 in the middle of receiving, marking and sending: what was acknowledged comes out, once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

from pydicom.dataset import Dataset

from mammo_monai.dicom.network import NetworkError, Peer, send
from mammo_monai.dicom.network.received import ReceivedInstance
from mammo_monai.dicom.network.storage_server import StorageServer, StoreStatus
from mammo_monai.service.node import NodeQueue, read_settings
from tests.service.node.films import film, settings_file, until

ROOT = Path(__file__).parents[3]


def started(configuration: Path) -> tuple[subprocess.Popen[bytes], int]:
    port_file = configuration.with_name("port")
    port_file.unlink(missing_ok=True)
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("killed_node.py")), str(configuration), str(port_file)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert until(lambda: port_file.is_file() and port_file.read_text(), seconds=60)
    return process, int(port_file.read_text())


def kill(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_a_kill_loses_and_doubles_nothing(tmp_path: Path) -> None:
    stores: list[str] = []

    def store(instance: ReceivedInstance) -> StoreStatus:
        stores.append(instance.attributes().StudyInstanceUID)
        return StoreStatus.SUCCESS

    films = [film() for _ in range(30)]
    acknowledged: set[str] = set()
    with StorageServer(ae_title="PACS", store=store) as archive:
        configuration = settings_file(
            tmp_path, pacs_port=archive.port, marking={"overrides": {"sleep_s": 0.05}, "settle_s": 0.1}
        )
        process, port = started(configuration)
        try:
            _send_until_killed(process, port, films, acknowledged)
            assert len(acknowledged) >= 10
            process, port = started(configuration)
            _send_all(port, films, acknowledged)
            assert until(lambda: len(stores) >= 8)
            kill(process)  # some are marked, some are sent, one is on its way
            process, port = started(configuration)
            with NodeQueue(read_settings(configuration)) as queue:

                def states() -> list[tuple[str, int]]:
                    query = "SELECT state, COUNT(*) FROM instances GROUP BY state"
                    return [tuple(row) for row in queue.database.rows(query)]

                assert until(lambda: states() == [("sent", 30)], seconds=60), states()
                n_results = queue.database.value("SELECT COUNT(*) FROM results")
        finally:
            kill(process)
    assert len(acknowledged) == 30
    assert n_results == 30
    assert set(stores) == {each.StudyInstanceUID for each in films}
    # One that was on its way at the kill may have gone twice, under the same UID: never more than that.
    assert len(stores) - 30 <= 30 // 2
    folder = tmp_path / "node"
    assert len(list((folder / "images").rglob("*.dcm"))) == 30
    assert len(list((folder / "results").rglob("*.dcm"))) == 30
    assert list(folder.rglob("*.part")) == []


def _send_until_killed(
    process: subprocess.Popen[bytes], port: int, films: list[Dataset], acknowledged: set[str]
) -> None:
    """Kills the node while it receives: the second part is on its way when the process ends."""
    _send_all(port, films[:10], acknowledged)
    killer = threading.Timer(0.15, kill, (process,))
    killer.start()
    with suppress(NetworkError):
        for outcome in send(Peer("NODE", "127.0.0.1", port), films[10:], timeout_s=5):
            if outcome.status == "sent":
                acknowledged.add(outcome.sop_instance_uid)
    killer.join()


def _send_all(port: int, films: list[Dataset], acknowledged: set[str]) -> None:
    outcomes = send(Peer("NODE", "127.0.0.1", port), films)
    assert {each.status for each in outcomes} == {"sent"}
    acknowledged.update(each.sop_instance_uid for each in outcomes)
