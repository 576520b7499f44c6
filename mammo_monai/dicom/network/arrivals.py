"""Files that arrive: one per instance, named by its SOP Instance UID, whole or not there."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mammo_monai.dicom.network.received import ReceivedInstance
from mammo_monai.dicom.network.steps import Progress, Steps
from mammo_monai.dicom.network.storage_server import StoreStatus
from mammo_monai.files import atomic_path

logger = logging.getLogger(__name__)

PullStatus = Literal["received", "present", "failed"]
_UID = re.compile(r"[0-9][0-9.]{0,63}")


def is_uid(text: str) -> bool:
    """Whether a text can be a UID, and so a file's name; leading zeros, which some devices write, are let be.

    >>> is_uid("1.2.840.10008"), is_uid("../1.2")
    (True, False)
    """
    return _UID.fullmatch(text) is not None


@dataclass(frozen=True)
class PullOutcome:
    """What became of one instance that was asked for.

    Attributes:
        status: received now, present from before, or failed.
        reason: why it failed, and what to do; else "".
        path: the file; None where it failed.
    """

    sop_instance_uid: str
    status: PullStatus
    reason: str = ""
    path: Path | None = None


class Arrivals:
    """A folder that instances arrive in: those that were asked for, each written once.

    Args:
        wanted: SOP Instance UIDs; others are refused.
        progress: called for each instance that is stored, in the thread it arrives in, with how many of those
            missing at the start have come.

    Attributes:
        failures: why an instance that came could not be kept, by its UID.

    Raises:
        ValueError: a UID that is none; a name from the network could lead out of the folder.
    """

    def __init__(
        self,
        folder: Path,
        wanted: Collection[str],
        progress: Progress | None = None,
    ) -> None:
        for uid in wanted:
            if not is_uid(uid):
                raise ValueError(f"expected a UID of digits and dots, got {uid!r}.")
        self.folder = Path(folder)
        self.failures: dict[str, str] = {}
        self._wanted = frozenset(wanted)
        self._steps = Steps("fetched", len(self.missing()), progress)
        self._lock = threading.Lock()

    def path_of(self, sop_instance_uid: str) -> Path:
        """Where an instance stands or will stand."""
        return self.folder / f"{sop_instance_uid}.dcm"

    def has(self, sop_instance_uid: str) -> bool:
        """Whether the instance is there; files come whole or not at all."""
        return self.path_of(sop_instance_uid).is_file()

    def missing(self) -> set[str]:
        """What was asked for and is not there."""
        return {uid for uid in self._wanted if not self.has(uid)}

    def store(self, instance: ReceivedInstance) -> StoreStatus:
        """Keeps an instance byte for byte as it was sent; what a storage server calls."""
        return self.keep(str(instance.sop_instance_uid), instance.save)

    def keep(self, sop_instance_uid: str, save: Callable[[Path], None]) -> StoreStatus:
        """Keeps what `save` writes; the answer is for its sender."""
        if sop_instance_uid not in self._wanted:
            logger.warning("an instance that nobody asked for was refused")
            return StoreStatus.NOT_AUTHORISED
        path = self.path_of(sop_instance_uid)
        with self._lock:
            if path.is_file():
                return StoreStatus.SUCCESS
            try:
                with atomic_path(path) as part:
                    save(part)
            except OSError as error:
                self.failures[sop_instance_uid] = str(error)
                return StoreStatus.OUT_OF_RESOURCES
            self._steps.step()
        return StoreStatus.SUCCESS
