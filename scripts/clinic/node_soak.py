"""1 000 stores into a node, with associations aborted in mid-file and the node killed with -9 on the way.

Senders store small films of their own study each, at random abort an association in the middle of a film
(A-ABORT, or the socket closed), and send again until they hear "success", as archives do. The node is killed
at equal distances and started again. In the end three counts must be equal: films acknowledged, films in the
node's queue, films whose results lie in the archive, each with one result of each kind.

    python scripts/clinic/node_soak.py --stores 1000 --kills 3
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from pydicom.dataset import Dataset  # noqa: E402  # the repository must be on the path first
from pydicom.uid import ExplicitVRLittleEndian, RLELossless  # noqa: E402
from pynetdicom import AE  # noqa: E402
from pynetdicom.dimse_messages import C_STORE_RQ  # noqa: E402
from pynetdicom.dimse_primitives import C_STORE  # noqa: E402

from mammo_monai.dicom.network.received import ReceivedInstance  # noqa: E402
from mammo_monai.dicom.network.storage_server import StorageServer, StoreStatus  # noqa: E402
from mammo_monai.service.node import NodeQueue, read_settings  # noqa: E402
from tests.service.node.films import film  # noqa: E402

KINDS = ("sr", "gsps")
ABORTED = 0.2  # of all attempts


@dataclass
class Soak:
    """What the soak counts.

    Attributes:
        acknowledged: SOP Instance UIDs whose C-STORE was answered with success.
        arrived: source SOP Instance UID → SOP class of each result the archive was sent, by result UID.
    """

    folder: Path
    seed: int
    acknowledged: set[str] = field(default_factory=set)
    arrived: dict[str, dict[str, str]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)
    process: subprocess.Popen[bytes] | None = None
    port: int = 0

    @property
    def configuration(self) -> Path:
        return self.folder / "node.json"

    def archive_store(self, instance: ReceivedInstance) -> StoreStatus:
        header = instance.attributes()
        with self.lock:
            self.counts["results received by the archive"] += 1
            results = self.arrived.setdefault(source_of(header), {})
            results[str(instance.sop_instance_uid)] = str(instance.sop_class_uid)
        return StoreStatus.SUCCESS

    def configure(self, archive_port: int) -> None:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self.port = int(listener.getsockname()[1])
        content = {
            "folder": "node",
            "kinds": list(KINDS),
            "marking": {
                "bundle": "fake",
                "factory": "tests.service.node.fake_marker:fake_marker",
                "settle_s": 0.5,
            },
            "receiving": {"ae_title": "NODE", "port": self.port},
            "http": {"port": 0},
            "limits": {"min_free_mb": 100},
            "sending": {"retry_first_s": 0.5, "retry_most_s": 2},
            "destinations": [{"name": "archive", "peer": f"ARCHIVE@127.0.0.1:{archive_port}"}],
        }
        self.configuration.write_text(json.dumps(content, indent=1))

    def start_node(self) -> None:
        command = [sys.executable, "-m", "mammo_monai.cli.main", "serve", "--config", str(self.configuration)]
        log = (self.folder / "node.log").open("ab")
        self.process = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=log, stdout=log
        )

    def kill_node(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.counts["kills"] += 1


def source_of(result: Dataset) -> str:
    """The image a result is of."""
    for sequence in ("CurrentRequestedProcedureEvidenceSequence", "ReferencedSeriesSequence"):
        for item in result.get(sequence) or ():
            series = item.get("ReferencedSeriesSequence") or [item]
            for each in series:
                for key in ("ReferencedSOPSequence", "ReferencedImageSequence"):
                    for reference in each.get(key) or ():
                        return str(reference.ReferencedSOPInstanceUID)
    raise ValueError(f"a result of {result.SOPClassUID.name} references no image")


def first_fragments(opened: Any, dataset: Dataset) -> list[Any]:
    """The command and about half of the data set, in fragments of 1 kB that never end."""
    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = dataset.SOPClassUID, dataset.SOPInstanceUID
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=False)
    request.DataSet = buffer
    message = C_STORE_RQ()
    message.primitive_to_message(request)
    fragments = list(message.encode_msg(opened.accepted_contexts[0].context_id, 1024))
    return fragments[: max(2, len(fragments) // 2)]


def attempt(soak: Soak, dataset: Dataset, chance: random.Random) -> bool:
    """One association: an abort in mid-file, or a store; whether success was heard."""
    entity = AE("SENDER")
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = entity.connection_timeout = 10
    entity.add_requested_context(dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID)
    opened = entity.associate("127.0.0.1", soak.port, ae_title="NODE")
    if not opened.is_established:
        with soak.lock:
            soak.counts["associations refused, the node was down"] += 1
        time.sleep(0.2)
        return False
    if chance.random() < ABORTED:
        for fragment in first_fragments(opened, dataset):
            opened.dul.send_pdu(fragment)
        time.sleep(chance.random() * 0.02)
        is_polite = chance.random() < 0.5
        if is_polite:
            opened.abort()
        else:
            opened.dul.socket.socket.close()
            opened.kill()
        with soak.lock:
            soak.counts["aborted by A-ABORT" if is_polite else "aborted by closing the socket"] += 1
        return False
    try:
        status = opened.send_c_store(dataset).get("Status")
    except (RuntimeError, ValueError):  # the association broke before the request was out
        status = None
    if opened.is_established:
        opened.release()
    with soak.lock:
        soak.counts["stores without an answer" if status is None else f"stores answered {status:04X}"] += 1
        if status == 0:
            soak.acknowledged.add(str(dataset.SOPInstanceUID))
    return status == 0


def sender(soak: Soak, number: int, n_films: int, end: float) -> None:
    chance = random.Random(soak.seed * 1000 + number)
    for _ in range(n_films):
        syntax = chance.choice([ExplicitVRLittleEndian, RLELossless])
        dataset = film(shape=(chance.randrange(60, 160), chance.randrange(40, 120)), syntax=syntax)
        while not attempt(soak, dataset, chance):
            if time.monotonic() > end:
                return
        if chance.random() < 0.02:  # an archive that did not hear the answer
            attempt(soak, dataset, chance)
    soak.counts["senders done"] += 1


def wait_for(claim: Any, end: float) -> bool:
    while not claim() and time.monotonic() < end:
        time.sleep(0.1)
    return bool(claim())


def run_soak(
    stores: int, kills: int, *, senders: int, seed: int, minutes: float, folder: Path
) -> dict[str, Any]:
    """Runs it; returns counts and whether they are equal."""
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)
    soak = Soak(folder, seed)
    begin = time.monotonic()
    end = begin + minutes * 60
    with StorageServer(ae_title="ARCHIVE", store=soak.archive_store) as archive:
        soak.configure(archive.port)
        soak.start_node()
        try:
            threads = [
                threading.Thread(target=sender, args=(soak, number, stores // senders, end), daemon=True)
                for number in range(senders)
            ]
            for thread in threads:
                thread.start()
            for kill in range(1, kills + 1):
                aim = stores * kill // (kills + 1)
                wait_for(lambda aim=aim: len(soak.acknowledged) >= aim, end)
                soak.kill_node()
                soak.start_node()
            for thread in threads:
                thread.join(max(0.0, end - time.monotonic()))
            sending_s = time.monotonic() - begin
            with NodeQueue(read_settings(soak.configuration)) as queue:
                done = "SELECT COUNT(*) FROM instances WHERE state = 'sent'"
                wait_for(lambda: queue.database.value(done) >= stores, end)
                in_queue = {row[0] for row in queue.database.rows("SELECT sop_uid FROM instances")}
                n_done = int(queue.database.value(done))
                status = queue.status()
        finally:
            if soak.process is not None:
                soak.process.terminate()
                code = soak.process.wait(60)
    return outcome(soak, in_queue, n_done, status, sending_s, time.monotonic() - begin, code)


def outcome(
    soak: Soak, in_queue: set[str], n_done: int, status: str, sending_s: float, all_s: float, code: int
) -> dict[str, Any]:
    complete = {uid for uid, results in soak.arrived.items() if len(results) == len(KINDS)}
    n_results = sum(map(len, soak.arrived.values()))
    n_files = {
        kind: len(list((soak.folder / "node" / kind).rglob("*.dcm"))) for kind in ("images", "results")
    }
    n_parts = len(list((soak.folder / "node").rglob("*.part")))
    is_equal = soak.acknowledged == in_queue == complete == set(soak.arrived)
    return {
        "films acknowledged": len(soak.acknowledged),
        "films in the queue": len(in_queue),
        "films done": n_done,
        "films with exactly one result of each kind in the archive": len(complete),
        "results in the archive": n_results,
        "results sent again under the same UID": soak.counts["results received by the archive"] - n_results,
        "files": n_files,
        "unfinished files": n_parts,
        **dict(sorted(soak.counts.items())),
        "seconds of sending": round(sending_s, 1),
        "seconds in all": round(all_s, 1),
        "exit code after SIGTERM": code,
        "equal": is_equal,
        "status": status,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stores", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--senders", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=15.0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = run_soak(
            args.stores,
            args.kills,
            senders=args.senders,
            seed=args.seed,
            minutes=args.minutes,
            folder=Path(folder),
        )
    for name, value in found.items():
        print(f"{name}: {value}" if name != "status" else f"\n{value}")
    return 0 if found["equal"] and found["films acknowledged"] == args.stores else 1


if __name__ == "__main__":
    sys.exit(main())
