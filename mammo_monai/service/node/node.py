"""The node: a storage server, a queue, a marker and its couriers, put together."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

from pydicom.dataset import Dataset

from mammo_monai.dicom.network import Peer
from mammo_monai.dicom.network.commitment_messages import CommitmentReport, ask_for_commitment
from mammo_monai.dicom.network.storage_server import StorageServer
from mammo_monai.dicom.reading import first_text
from mammo_monai.dicom.results.headers import MANUFACTURER
from mammo_monai.errors import MammoError
from mammo_monai.locks import LockHeldError, file_lock
from mammo_monai.service.node.clock import NodeClock
from mammo_monai.service.node.commitments import Commitments
from mammo_monai.service.node.couriers import courier_to
from mammo_monai.service.node.database import Database, QueueError
from mammo_monai.service.node.http import StatusServer
from mammo_monai.service.node.keeping import Housekeeper, take_up
from mammo_monai.service.node.loop import Loop
from mammo_monai.service.node.marking import MarkingLoop
from mammo_monai.service.node.metrics import Metrics
from mammo_monai.service.node.outbox import Outbox
from mammo_monai.service.node.queue import Queue
from mammo_monai.service.node.receiving import Receiver
from mammo_monai.service.node.sending import SendingLoop
from mammo_monai.service.node.settings import Destination, NodeSettings
from mammo_monai.service.node.spool import Spool
from mammo_monai.service.node.worker import Worker
from mammo_monai.words import counted

logger = logging.getLogger(__name__)
DATABASE = "queue.sqlite"
_STOP_S = 20.0


class Node:
    """Receives, marks and sends while the `with` block runs.

    Images are taken from the start on; the model loads meanwhile.

    Raises:
        QueueError: another node works in the folder, or its queue cannot be used.
        MammoError: the model cannot be loaded, or a certificate not read.
        OSError: a port is taken, or the folder cannot be written.
    """

    def __init__(self, settings: NodeSettings) -> None:
        self.settings = settings
        self._stack = ExitStack()
        self._loops: list[Loop] = []
        settings.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._stack.enter_context(_only_one(settings.folder))
        names = [each.name for each in settings.destinations]
        self.database = Database(settings.folder / DATABASE)
        self.spool = Spool(settings.folder)
        self.clock = NodeClock(self.database)
        self.queue = Queue(self.database, clock=self.clock)
        self.outbox = Outbox(self.database, names, settings.sending, clock=self.clock)
        self.metrics = Metrics(
            self.database, names, {"free_bytes": self.spool.free_bytes, "waiting": self.queue.n_waiting}
        )
        self.receiver = Receiver(
            self.queue,
            self.spool,
            settings.rules,
            settings.limits,
            is_own_result=self._is_own_result,
            told=lambda outcome: self.metrics.received.labels(outcome).inc(),
        )
        self.worker = Worker(settings.marking)
        self.marking = MarkingLoop(
            self.queue,
            self.outbox,
            self.spool,
            self.worker,
            kinds=settings.kinds,
            told=self.metrics.image,
        )
        self._server: StorageServer | None = None
        self._http: StatusServer | None = None
        self._is_ready = False

    @property
    def port(self) -> int:
        """The DICOM port listened on."""
        return self._server.port if self._server is not None else 0

    @property
    def http_port(self) -> int:
        """The port of /health, /ready and /metrics."""
        return self._http.port if self._http is not None else 0

    def __enter__(self) -> Node:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Takes nothing more, gives what is under way some time, keeps the rest for the next start."""
        self._is_ready = False
        self.marking.is_stopping = True
        if self._server is not None:
            self._server.stop(grace_s=5.0)
        for loop in self._loops:
            loop.stop()
        for loop in self._loops:
            if not loop.join(_STOP_S):
                self.worker.kill()  # an image that takes long is put back
                loop.join(_STOP_S)
        self.worker.stop()
        if self._http is not None:
            self._http.__exit__()
        self._server = self._http = None
        with suppress(sqlite3.Error):  # it may be what broke
            self.clock.step()
        self.database.close()
        self._stack.close()
        logger.info("the node has stopped")

    def health(self) -> dict[str, str]:
        """What is broken; empty while all goes well."""
        faults = {loop.name: "has stopped" for loop in self._loops if not loop.is_alive}
        try:
            self.queue.n_waiting()
        except Exception as error:  # whatever SQLite says
            faults["queue"] = type(error).__name__
        return faults

    def readiness(self) -> dict[str, str]:
        """What keeps the node from taking and marking images for now."""
        faults = self.health()
        if not self._is_ready:
            faults["model"] = "is not loaded yet"
        elif full := self.receiver.why_full():
            faults[full] = "is full"
        return faults

    def _start(self) -> None:
        found = {name: count for name, count in take_up(self.queue, self.spool).items() if count}
        if found:
            logger.info(
                "found at the start: %s", ", ".join(f"{count} {name}" for name, count in found.items())
            )
        self.outbox.without_destination()
        for warning in self.settings.warnings:
            logger.warning("%s", warning)
        settings, http = self.settings, self.settings.http
        commitments = self._commitments()
        receiving = settings.receiving
        self._server = StorageServer(
            ae_title=receiving.ae_title,
            host=receiving.host,
            port=receiving.port,
            store=self.receiver,
            admission=receiving.admission,
            limits=settings.reception,
            tls=None if receiving.tls is None else receiving.tls.server_context(),
            commit=commitments,
            commitment_reported=self._committed,
            refused=lambda reason: self.metrics.refused.labels(reason).inc(),
        ).__enter__()
        self._http = StatusServer(
            http.host, http.port, health=self.health, ready=self.readiness, metrics=self.metrics.text
        ).__enter__()
        housekeeper = Housekeeper(self.database, self.spool, settings.keeping, clock=self.clock)
        self._run("clock", self.clock.step)
        self._run("housekeeping", housekeeper.step)
        self._run("commitments", commitments.step)
        for each in settings.destinations:
            self._run(f"sending to {each.name}", self._sending(each).step)
        self.worker.start()
        self._run("marking", self.marking.step)
        self._is_ready = True
        logger.info("%s listens on port %d", receiving.ae_title, self.port)

    def renew_certificates(self) -> None:
        """Reads the TLS files again, for new connections; where they cannot be read, the old ones stay."""
        tls = self.settings.receiving.tls
        if tls is None or self._server is None:
            return
        try:
            self._server.renew_tls(tls.server_context())
        except (MammoError, OSError) as error:
            logger.error("the certificates could not be read again, the old ones stay: %s", error)
        else:
            logger.info("the certificates were read again")

    def _run(self, name: str, step: Callable[[], float]) -> None:
        loop = Loop(name, step, told=lambda loop: self.metrics.errors.labels(loop).inc())
        self._loops.append(loop)
        loop.start()

    def _sending(self, destination: Destination) -> SendingLoop:
        title = self.settings.receiving.ae_title

        def told(outcome: str) -> None:
            self.metrics.delivered.labels(destination.name, outcome).inc()

        return SendingLoop(
            self.outbox,
            self.spool,
            courier_to(destination, ae_title=title),
            destination=destination.name,
            ask_commitment=self._asker(destination),
            told=told,
        )

    def _asker(self, destination: Destination) -> Callable[[str, Sequence[tuple[str, str]]], bool] | None:
        """What asks a destination to commit to results; None where that is not wanted."""
        if not destination.commitment:
            return None
        peer = Peer.parse(str(destination.peer), destination.tls)
        return partial(ask_for_commitment, peer, calling_ae_title=self.settings.receiving.ae_title)

    def _commitments(self) -> Commitments:
        peers = [Peer.parse(each) for each in self.settings.commitment_peers]
        return Commitments(
            self.database,
            {peer.ae_title: peer for peer in peers},
            ae_title=self.settings.receiving.ae_title,
            sending=self.settings.sending,
            clock=self.clock,
            is_there=lambda name: self.spool.path(name).is_file(),
        )

    def _committed(self, report: CommitmentReport) -> None:
        refused = self.outbox.committed(report.transaction_uid, [uid for _, uid in report.committed])
        logger.info("%s committed, %d not", counted(len(report.committed), "result"), refused)

    def _is_own_result(self, header: Dataset) -> bool:
        is_ours = first_text(header, "Manufacturer") == MANUFACTURER
        return is_ours or self.outbox.has(first_text(header, "SOPInstanceUID"))


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Keeps a second node out of the folder; a kill leaves no lock behind."""
    with ExitStack() as stack:
        try:
            stack.enter_context(file_lock(folder / "node.lock"))
        except LockHeldError as error:
            raise QueueError(
                f"{folder}: another node works in this folder ({error.holder}). Stop it, or give this one "
                "another."
            ) from error
        yield
