"""Small films with a study of their own or a given one, and settings of a node that marks them by a fake."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

from mammo_monai.dicom.network.received import ReceivedInstance
from mammo_monai.dicom.results import model_identity
from mammo_monai.service.node import NodeSettings, read_settings, worker
from mammo_monai.service.node.worker import Worker
from tests.dicom_factory import grey_ramp, mammogram_dataset

FACTORY = "tests.service.node.fake_marker:fake_marker"


def film(
    *,
    study: str | None = None,
    shape: tuple[int, int] = (60, 40),
    syntax: UID = ExplicitVRLittleEndian,
    **tags: Any,
) -> Dataset:
    """A right breast's film with UIDs of its own; `tags` change or remove (None) what the header says."""
    uid = tags.pop("SOPInstanceUID", None) or generate_uid()
    said = {
        "StudyInstanceUID": study or generate_uid(),
        "SeriesInstanceUID": generate_uid(),
        "StudyDate": "20240229",
        "StudyTime": "101500",
        "PatientBirthDate": "19500101",
        "PatientSex": "F",
        "AccessionNumber": "1",
        "StudyID": "1",
        "ReferringPhysicianName": "",
        "InstanceNumber": 1,
        "ImageLaterality": "R",
        "ViewPosition": "CC",
        "PatientOrientation": ["P", "L"],
        **tags,
    }
    made = mammogram_dataset(grey_ramp(shape), syntax=syntax, tags=said)
    made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = UID(uid)
    return made


def received(dataset: Dataset, *, sender: str = "SENDER") -> ReceivedInstance:
    """The film as the storage server hands it over."""
    from io import BytesIO

    from pynetdicom.dsutils import encode_file_meta

    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    dataset.file_meta.FileMetaInformationVersion = b"\0\1"
    header = b"\0" * 128 + b"DICM" + encode_file_meta(dataset.file_meta)
    content = buffer.getvalue()
    start = 144 + int.from_bytes(content[140:144], "little")
    return ReceivedInstance(
        dataset.file_meta.MediaStorageSOPClassUID,
        dataset.file_meta.MediaStorageSOPInstanceUID,
        dataset.file_meta.TransferSyntaxUID,
        sender,
        "NODE",
        header,
        content[start:],
    )


def settings_file(folder: Path, *, pacs_port: int = 1, **changes: Any) -> Path:
    """Writes node.json; `changes` are merged into it, one level deep."""
    content: dict[str, Any] = {
        "folder": "node",
        "kinds": ["sr"],
        "marking": {"bundle": "fake", "factory": FACTORY, "settle_s": 0.2},
        "receiving": {"ae_title": "NODE", "port": 0},
        "http": {"port": 0},
        "limits": {"min_free_mb": 0},
        "sending": {"retry_first_s": 0.2, "retry_most_s": 0.5},
        "destinations": [{"name": "pacs", "peer": f"PACS@127.0.0.1:{pacs_port}"}],
    }
    for key, value in changes.items():
        content[key] = {**content.get(key, {}), **value} if isinstance(value, dict) else value
    path = folder / "node.json"
    path.write_text(json.dumps(content))
    return path


def settings(folder: Path, **options: Any) -> NodeSettings:
    return read_settings(settings_file(folder, **options))


class LocalWorker(Worker):
    """Works in the test's own process: what is tested is not the process."""

    def start(self) -> None:
        self._marker = worker._marker(self.marking)
        self.model = dict(self._marker.model)

    def work(self, task: worker.Task) -> worker.Made | worker.Failed:
        return worker.done(task, self._marker, model_identity(self.model))


def until(claim: Callable[[], object], *, seconds: float = 30.0) -> bool:
    """Waits for what another thread or process does; False after some seconds."""
    end = time.monotonic() + seconds
    while not claim() and time.monotonic() < end:
        time.sleep(0.02)
    return bool(claim())
