"""Takes an instance: judged, written, flushed, renamed and noted before the sender hears "success"."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

from pydicom.dataset import Dataset

from mammo_monai.dicom.network.received import ReceivedInstance
from mammo_monai.dicom.network.storage_server import StoreStatus
from mammo_monai.dicom.reading import damage_refused, first_text
from mammo_monai.dicom.wholeness import check_whole
from mammo_monai.errors import DicomError
from mammo_monai.service.node.queue import NewInstance, Queue
from mammo_monai.service.node.rules import why_unwanted
from mammo_monai.service.node.settings import Limits, Rules
from mammo_monai.service.node.spool import Spool, stem_of
from mammo_monai.service.node.states import InstanceState

logger = logging.getLogger(__name__)
_IT = Path("the received instance")


class Receiver:
    """Called by the storage server, in many threads at once.

    The same instance again is a success and changes nothing. Another content under a UID that is here is
    refused: the first was acknowledged, and which is right is not for a receiver to say; but it takes the
    place of one that cannot be marked, or that was ignored or refused. What is not wanted
    is a success too, noted as ignored and not kept, so that an archive which forwards whole studies goes on.

    Args:
        is_own_result: knows results of this node that come back.
        told: gets the outcome of each instance as a word, for metrics.
    """

    def __init__(
        self,
        queue: Queue,
        spool: Spool,
        rules: Rules,
        limits: Limits,
        *,
        is_own_result: Callable[[Dataset], bool] = lambda _: False,
        told: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.queue, self.spool = queue, spool
        self.rules, self.limits = rules, limits
        self._is_own_result, self._told = is_own_result, told
        self._admission = threading.Lock()

    def __call__(self, instance: ReceivedInstance) -> StoreStatus:
        """Stores, ignores or refuses one instance; the answer is true when it is given."""
        try:
            status, outcome = self._taken(instance)
        except (OSError, sqlite3.OperationalError) as error:  # a full disk, or one that cannot be written
            logger.warning("an instance was not stored: %s", _system_words(error))
            status, outcome = StoreStatus.OUT_OF_RESOURCES, "disk"
        self._told(outcome)
        logger.info("record %s: %s", self.queue.record_id(instance.sop_instance_uid), outcome)
        return status

    def why_full(self) -> str | None:
        """Why nothing more is taken for now: "disk", "queue", or None."""
        if self.spool.free_bytes() < self.limits.min_free_mb * 1e6:
            return "disk"
        return "queue" if self.queue.n_waiting() >= self.limits.max_waiting else None

    def _taken(self, instance: ReceivedInstance) -> tuple[StoreStatus, str]:
        if full := self.why_full():
            logger.warning("an instance was refused: the %s is full", full)
            return StoreStatus.OUT_OF_RESOURCES, full
        try:
            header = instance.attributes()
            with damage_refused(_IT):
                named = first_text(header, "SOPClassUID"), first_text(header, "SOPInstanceUID")
                study_uid = first_text(header, "StudyInstanceUID")
                unwanted = why_unwanted(header, self.rules, is_own_result=self._is_own_result)
        except DicomError:
            return self._refused(instance, StoreStatus.CANNOT_UNDERSTAND, "its header cannot be read")
        if named != (instance.sop_class_uid, instance.sop_instance_uid):
            reason = "its SOP class or instance UID is not the one its sender announced"
            return self._refused(instance, StoreStatus.DATA_SET_MISMATCH, reason)
        if not study_uid:
            return self._refused(instance, StoreStatus.CANNOT_UNDERSTAND, "it names no study")
        return self._judged(instance, _noted(instance, study_uid), unwanted)

    def _judged(
        self, instance: ReceivedInstance, new: NewInstance, unwanted: str | None
    ) -> tuple[StoreStatus, str]:
        if (known := self._known(new)) is not None:
            return known
        if unwanted is not None:
            self._note(new, InstanceState.IGNORED, unwanted)
            return StoreStatus.SUCCESS, "ignored"
        return self._kept(instance, new)

    def _known(self, new: NewInstance) -> tuple[StoreStatus, str] | None:
        """The answer for an instance that is here already; None where it is new or only its name is known."""
        row = self.queue.find(new.sop_uid)
        if row is None or row["file"] is None or not self.spool.path(row["file"]).is_file():
            return None
        if row["sha256"] == new.sha256:
            return StoreStatus.SUCCESS, "duplicate"
        cannot_be_marked = row["state"] in ("failed", "dead") and row["detections"] is None
        return None if cannot_be_marked else (StoreStatus.CONTENT_CONFLICT, "conflict")

    def _kept(self, instance: ReceivedInstance, new: NewInstance) -> tuple[StoreStatus, str]:
        part = self.spool.write_part("images", instance.write)
        try:
            try:
                check_whole(part)
            except DicomError:
                reason = "its pixel data are missing or cut short"
                return self._refused(instance, StoreStatus.CANNOT_UNDERSTAND, reason)
            with self._admission:  # the same instance may be on its way in another association
                if (known := self._known(new)) is not None:
                    return known
                if (before := self.queue.find(new.sop_uid)) is not None:
                    self.spool.drop(before["file"])  # before its row: a kill must not leave a file unknown
                file = self.spool.keep(part, stem_of(new.sop_uid, new.sha256))
                try:
                    self.queue.add(new, InstanceState.RECEIVED, file=file)
                except BaseException:
                    self.spool.drop(file)
                    raise
        finally:
            self.spool.drop(part)
        return StoreStatus.SUCCESS, "received"

    def _refused(
        self, instance: ReceivedInstance, status: StoreStatus, reason: str
    ) -> tuple[StoreStatus, str]:
        self._note(_noted(instance, ""), InstanceState.REFUSED, reason)
        return status, "refused"

    def _note(self, new: NewInstance, state: InstanceState, reason: str) -> None:
        """Notes an instance that is not kept; one of its UID that has a file stays as it is."""
        with self._admission:
            known = self.queue.find(new.sop_uid)
            if known is None or known["file"] is None:
                self.queue.add(new, state, reason=reason)


def _noted(instance: ReceivedInstance, study_uid: str) -> NewInstance:
    return NewInstance(
        sop_uid=str(instance.sop_instance_uid),
        sop_class=str(instance.sop_class_uid),
        study_uid=study_uid,
        sha256=instance.sha256(),
        bytes=instance.size,
        sender=instance.calling_ae_title,
    )


def _system_words(error: Exception) -> str:
    """The operating system's or SQLite's reason, without the file's name."""
    return (error.strerror if isinstance(error, OSError) else str(error)) or type(error).__name__
