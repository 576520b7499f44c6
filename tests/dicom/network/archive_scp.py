"""A small archive that really listens: strict about query levels, and with the faults that tests ask for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from socketserver import BaseServer
from typing import Any

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.multival import MultiValue
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, build_context, evt
from pynetdicom.sop_class import (
    StorageCommitmentPushModel,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
    Verification,
)

from mammo_monai.dicom.network import Peer, TlsFiles
from mammo_monai.dicom.network.retrieving import USUAL_CLASSES
from mammo_monai.dicom.network.transfer_syntaxes import STORED_SYNTAXES

LEVEL_KEYS = {"STUDY": "StudyInstanceUID", "SERIES": "SeriesInstanceUID", "IMAGE": "SOPInstanceUID"}
LITTLE = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
NOT_MATCHED = {"QueryRetrieveLevel", "SpecificCharacterSet", "ModalitiesInStudy"}
_SERVICES: Mapping[str, UID] = {
    "echo": Verification,
    "find": StudyRootQueryRetrieveInformationModelFind,
    "get": StudyRootQueryRetrieveInformationModelGet,
    "move": StudyRootQueryRetrieveInformationModelMove,
    "commit": StorageCommitmentPushModel,
}


@dataclass
class ArchiveScp:
    """Listens on a free port of 127.0.0.1 within a `with` block.

    Attributes:
        held: data sets to find and fetch; every one needs UIDs and `file_meta.TransferSyntaxUID`.
        services: of `_SERVICES`, and "store".
        syntaxes: accepted for storage; `classes` likewise; few, for speed.
        on_store: its answer is the status; it may abort the association or sleep.
        destinations: port by AE title, for C-MOVE.
        stored: data sets that came, with their file_meta; `n_associations` counts who came.
    """

    ae_title: str = "ARCHIVE"
    held: Sequence[Dataset] = ()
    services: Sequence[str] = ("store", *_SERVICES)
    syntaxes: Sequence[UID] = field(default_factory=lambda: list(STORED_SYNTAXES))
    classes: Sequence[str] = USUAL_CLASSES
    on_store: Callable[[evt.Event], int | Dataset] = lambda _: 0x0000
    on_find: Callable[[evt.Event], Iterator[tuple[int, Dataset | None]]] | None = None
    on_get: Callable[[evt.Event], Iterator[Any]] | None = None
    on_commit: Callable[[evt.Event], tuple[int, Dataset | None]] = lambda _: (0x0000, None)
    on_echo: Callable[[evt.Event], int] = lambda _: 0x0000
    destinations: Mapping[str, int] = field(default_factory=dict)
    entity_options: Mapping[str, Any] = field(default_factory=dict)
    tls: TlsFiles | None = None
    peer_tls: TlsFiles | None = None
    stored: list[Dataset] = field(default_factory=list)
    requests: list[tuple[str, Dataset]] = field(default_factory=list)
    n_associations: int = 0

    def __enter__(self) -> ArchiveScp:
        entity = AE(self.ae_title)
        for name, value in self.entity_options.items():
            setattr(entity, name, value)
        for name, uid in _SERVICES.items():
            if name in self.services:
                entity.add_supported_context(uid, LITTLE, scu_role=True, scp_role=True)
        if "store" in self.services:
            for each in self.classes:
                entity.add_supported_context(each, list(self.syntaxes), scu_role=True, scp_role=True)
        handlers = [
            (evt.EVT_REQUESTED, self._count),
            (evt.EVT_C_ECHO, self.on_echo),
            (evt.EVT_C_STORE, self._take),
            (evt.EVT_C_FIND, self.on_find or self._find),
            (evt.EVT_C_GET, self.on_get or self._get),
            (evt.EVT_C_MOVE, self._move),
            (evt.EVT_N_ACTION, self.on_commit),
        ]
        context = self.tls.server_context() if self.tls else None
        self._server = entity.make_server(("127.0.0.1", 0), ssl_context=context, evt_handlers=handlers)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Listens no more, and drops who is there."""
        BaseServer.shutdown(self._server)
        self._server.server_close()
        for each in self._server.active_associations:
            each.abort()

    @property
    def peer(self) -> Peer:
        return Peer(self.ae_title, "127.0.0.1", int(self._server.server_address[1]), self.peer_tls)

    def _count(self, _: evt.Event) -> None:
        self.n_associations += 1

    def _take(self, event: evt.Event) -> int | Dataset:
        status = self.on_store(event)
        if status == 0x0000:
            dataset = event.dataset
            dataset.file_meta = event.file_meta
            self.stored.append(dataset)
        return status

    def _find(self, event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        keys = event.identifier
        self.requests.append((keys.QueryRetrieveLevel, keys))
        if self._lacks_keys(keys):
            yield 0xA900, None
            return
        level_key = LEVEL_KEYS[keys.QueryRetrieveLevel]
        seen = set()
        for each in self._matching(keys):
            if event.is_cancelled:
                yield 0xFE00, None
                return
            if (uid := each[level_key].value) not in seen:
                seen.add(uid)
                yield 0xFF00, _answer(keys, each)

    def _lacks_keys(self, keys: Dataset) -> bool:
        """Archives may insist on the unique keys of the levels above: PS3.4 C.4.1.2.2.1."""
        levels = list(LEVEL_KEYS)
        return any(not keys.get(LEVEL_KEYS[each]) for each in levels[: levels.index(keys.QueryRetrieveLevel)])

    def _get(self, event: evt.Event) -> Iterator[Any]:
        found = list(self._matching(event.identifier))
        yield len(found)
        for each in found:
            yield 0xFF00, each

    def _move(self, event: evt.Event) -> Iterator[Any]:
        port = self.destinations.get(event.move_destination)
        if port is None:
            yield None, None
            return
        found = list(self._matching(event.identifier))
        contexts = [build_context(each.SOPClassUID, each.file_meta.TransferSyntaxUID) for each in found]
        yield "127.0.0.1", port, {"contexts": contexts, "ae_title": event.move_destination}
        yield len(found)
        for each in found:
            yield 0xFF00, each

    def _matching(self, keys: Dataset) -> Iterator[Dataset]:
        given = {each.keyword: each.value for each in keys if each.value}
        wanted = {name: value for name, value in given.items() if name not in NOT_MATCHED}
        for each in self.held:
            if all(_is_match(each, name, value) for name, value in wanted.items()):
                yield each


def _is_match(dataset: Dataset, name: str, value: Any) -> bool:
    patterns = list(value) if isinstance(value, MultiValue) else [value]
    return any(fnmatchcase(str(dataset.get(name, "")), str(each)) for each in patterns)


def _answer(keys: Dataset, held: Dataset) -> Dataset:
    answer = Dataset()
    answer.SpecificCharacterSet = "ISO_IR 192"
    answer.QueryRetrieveLevel = keys.QueryRetrieveLevel
    for each in keys:
        if each.keyword in held and each.keyword not in ("QueryRetrieveLevel", "SpecificCharacterSet"):
            answer[each.keyword] = held[each.keyword]
    return answer


def image(patient: int, number: int, *, syntax: UID = ExplicitVRLittleEndian, **tags: object) -> Dataset:
    """A tiny image of a patient; one study each, a series for two images."""
    from tests.dicom_factory import grey_ramp, mammogram_dataset

    dataset = mammogram_dataset(grey_ramp((40, 64)) // 2 + number, syntax=syntax)
    dataset.PatientID, dataset.PatientName = f"patient-{patient}", f"Müller^{patient}"
    dataset.StudyInstanceUID = f"1.2.3.{patient}"
    dataset.SeriesInstanceUID = f"1.2.3.{patient}.{number // 2 + 1}"
    dataset.SOPInstanceUID = f"1.2.3.{patient}.{number // 2 + 1}.{number + 1}"
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.InstanceNumber, dataset.StudyDate = number, f"2024010{patient}"
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    return dataset


def report(uid: str = "1.2.9", **tags: object) -> Dataset:
    """A data set without pixels, as a structured report is one."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = UID("1.2.840.10008.5.1.4.1.1.88.33")
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = UID(uid)
    dataset.Modality, dataset.TextValue = "SR", "x" * 40
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    return dataset


class Silent:
    """A handler that answers nobody within its `with` block, however long the caller waits."""

    def __init__(self) -> None:
        self._over = threading.Event()

    def __call__(self, _: evt.Event) -> int:
        self._over.wait(60)
        return 0x0000

    def __enter__(self) -> Silent:
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()


def aborting(*numbers: int) -> Callable[[evt.Event], int]:
    """Aborts the association at these stores, counted from 1 over all associations."""
    n_stores = 0

    def answer(event: evt.Event) -> int:
        nonlocal n_stores
        n_stores += 1
        if n_stores in numbers:
            event.assoc.abort()
        return 0x0000

    return answer
