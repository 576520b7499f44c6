"""A node that is killed while it receives, marks and sends: what it acknowledged comes out, once."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import defaultdict
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from mammo_monai.dicom.network import NetworkError, Peer, send
from mammo_monai.dicom.network.received import ReceivedInstance
from mammo_monai.dicom.network.storage_server import StorageServer, StoreStatus
from tests.crash import wholeness
from tests.crash.chains import Chain
from tests.service.node.films import film, settings_file, until

FILMS = 10
OPERATIONS_OF_A_FILM = 14  # about: an image's and its result's opening, writing, flushing, renaming
LONGEST_S = 3.0  # from the moment the node listens: by then all that is sent is done
PATIENCE_S = 60.0


class Clinic:
    """An archive that takes results, senders of films, and the node between them.

    Attributes:
        acknowledged: films that the node said it has. arrived: a film's results in the archive, by their UID.
    """

    def __init__(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self.folder = folder
        self.films = [film() for _ in range(FILMS)]
        self.acknowledged: set[str] = set()
        self.arrived: dict[str, set[str]] = defaultdict(set)
        self.process: subprocess.Popen[bytes] | None = None

    def store(self, instance: ReceivedInstance) -> StoreStatus:
        """What the archive does with a result: its film is the one of the same study, which has no other."""
        found = instance.attributes()
        self.arrived[found.StudyInstanceUID].add(str(instance.sop_instance_uid))
        return StoreStatus.SUCCESS

    def configure(self, archive_port: int) -> None:
        """Writes node.json."""
        marking = {"overrides": {"sleep_s": 0.05}, "settle_s": 0.1}
        self.configuration = settings_file(self.folder, pacs_port=archive_port, marking=marking)

    def start(self, operation: int = 0) -> None:
        """Starts the node, which may kill itself."""
        self.port_file = self.folder / "port"
        self.port_file.unlink(missing_ok=True)
        with (self.folder / "node.log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    *("-m", "tests.crash.node_process"),
                    *(str(self.configuration), str(self.port_file), str(operation)),
                ],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def port(self, *, seconds: float = PATIENCE_S) -> int | None:
        """Where the node listens; None when it does not within some time, or is dead."""

        def is_told() -> bool:
            return self.is_dead or bool(self.port_file.is_file() and self.port_file.read_text())

        if not until(is_told, seconds=seconds) or self.is_dead:
            return None
        return int(self.port_file.read_text())

    @property
    def is_dead(self) -> bool:
        """Whether the node's process has ended."""
        return self.process is None or self.process.poll() is not None

    def kill(self) -> int:
        """SIGKILL to the node, if it still lives; its exit code."""
        if self.process is None:
            return 0
        with suppress(ProcessLookupError):
            os.kill(self.process.pid, signal.SIGKILL)
        return self.process.wait()

    def send_waiting(self, port: int) -> None:
        """Sends what the node has not acknowledged, one by one, as long as it answers."""
        for each in self.films:
            if each.SOPInstanceUID in self.acknowledged or self.is_dead:
                continue
            with suppress(NetworkError):
                (outcome,) = send(Peer("NODE", "127.0.0.1", port), [each], timeout_s=5)
                if outcome.status == "sent":
                    self.acknowledged.add(str(each.SOPInstanceUID))

    def states(self) -> list[tuple[str, str]]:
        """Each film in the node's queue with how far it is."""
        with closing(sqlite3.connect(self.folder / "node" / "queue.sqlite")) as database:
            return [tuple(row) for row in database.execute("SELECT sop_uid, state FROM instances")]


def serve_chain(folder: Path, chance: random.Random, *, kills: int) -> dict[str, Any]:
    """One node killed several times, then left alone until all is sent; as `Chain.as_json`."""
    clinic, chain = Clinic(folder), Chain()
    with StorageServer(ae_title="PACS", store=clinic.store) as archive:
        clinic.configure(archive.port)
        try:
            for number in range(kills):
                _kill_once(clinic, chain, chance, share=1 / (kills - number))
                chain.resumes += number > 0
                chain.halves += wholeness.faults(folder / "node")
            _finish(clinic, chain)
        finally:
            clinic.kill()
    return chain.as_json()


def _kill_once(clinic: Clinic, chain: Chain, chance: random.Random, *, share: float) -> None:
    """Starts the node, sends it films, and kills it: at an operation, while it starts, or later."""
    at_operation = chance.random() < 0.5
    most = max(4, round(FILMS * OPERATIONS_OF_A_FILM * share))
    operation = chance.randint(1, most) if at_operation else 0
    clinic.start(operation)
    begin_s = time.monotonic()
    during_start = not at_operation and chance.random() < 0.2
    port = clinic.port(seconds=chance.uniform(0.0, LONGEST_S) if during_start else PATIENCE_S)
    if port is not None:
        sender = threading.Thread(target=clinic.send_waiting, args=(port,), daemon=True)
        sender.start()
        until(
            lambda: clinic.is_dead,
            seconds=LONGEST_S if at_operation else chance.uniform(0.0, LONGEST_S * share),
        )
    was_dead = clinic.is_dead
    code = clinic.kill()
    if port is not None:
        sender.join(PATIENCE_S)
    if code != -signal.SIGKILL:
        chain.differences.append(f"the node ended by itself with {code}: {_tail(clinic)}")
    if was_dead:
        chain.file_kills.append(operation)
    else:
        chain.clock_kills_s.append(round(time.monotonic() - begin_s, 3))


def _finish(clinic: Clinic, chain: Chain) -> None:
    clinic.start()
    chain.resumes += 1
    port = clinic.port()
    if port is None:
        chain.differences.append(f"the node does not start again: {_tail(clinic)}")
        return

    def all_are_acknowledged() -> bool:
        clinic.send_waiting(port)
        return len(clinic.acknowledged) == FILMS

    until(all_are_acknowledged, seconds=PATIENCE_S)
    until(
        lambda: sorted(clinic.states()) == sorted((uid, "sent") for uid in clinic.acknowledged),
        seconds=PATIENCE_S,
    )
    for uid, state in clinic.states():
        if state != "sent":
            chain.differences.append(f"a film stays {state}")
        if uid not in clinic.acknowledged:
            chain.differences.append("a film that was never acknowledged is in the queue")
    for each in clinic.films:
        results = clinic.arrived.pop(each.StudyInstanceUID, set())
        if len(results) != 1:
            chain.differences.append(f"a film has {len(results)} results in the archive, expected 1")
    chain.differences += (
        [f"results of {len(clinic.arrived)} films that were not sent"] if clinic.arrived else []
    )
    for kind in ("images", "results"):
        n_files = len(list((clinic.folder / "node" / kind).rglob("*.dcm")))
        if n_files != FILMS:
            chain.differences.append(f"{n_files} files in {kind}, expected {FILMS}")
    chain.halves += wholeness.faults(clinic.folder / "node")
    chain.left += [each for each in wholeness.temporary_files(clinic.folder / "node") if "sqlite" not in each]


def _tail(clinic: Clinic) -> str:
    return (clinic.folder / "node.log").read_text(errors="replace")[-400:]
