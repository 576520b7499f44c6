"""An Orthanc for the tests alone: configuration, storage and ports are its own, and it ends with them."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from mammo_monai.dicom.network import Peer

PLUGINS = (
    Path("/usr/share/orthanc/plugins"),
    Path("/usr/lib/orthanc/plugins"),
    Path("/usr/local/share/orthanc"),
)
AE_TITLE = "ORTHANC"
START_S = 60.0


@dataclass(frozen=True)
class Orthanc:
    """A running server: `peer` over DIMSE, `dicomweb_url` over HTTP, `url` for its own REST interface."""

    dicom_port: int
    http_port: int
    log: Path

    @property
    def peer(self) -> Peer:
        return Peer(AE_TITLE, "127.0.0.1", self.dicom_port)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def dicomweb_url(self) -> str:
        return f"{self.url}/dicom-web"

    def rest(self, path: str) -> Any:
        """What a GET on the REST interface answers, such as `rest("/instances")`."""
        response = requests.get(self.url + path, timeout=30)
        response.raise_for_status()
        return response.json()

    def files(self) -> dict[str, bytes]:
        """The DICOM files it keeps, by SOP Instance UID."""
        entries = self.rest("/instances?expand")
        return {
            each["MainDicomTags"]["SOPInstanceUID"]: requests.get(
                f"{self.url}/instances/{each['ID']}/file", timeout=60
            ).content
            for each in entries
        }

    def clear(self) -> None:
        """Deletes every patient."""
        for patient in self.rest("/patients"):
            requests.delete(f"{self.url}/patients/{patient}", timeout=60).raise_for_status()

    def register(self, ae_title: str, port: int, **options: object) -> None:
        """Tells it where an AE title listens on this machine: what C-MOVE and storage commitment need."""
        content = {"AET": ae_title, "Host": "127.0.0.1", "Port": port, **options}
        answer = requests.put(f"{self.url}/modalities/{ae_title.lower()}", json=content, timeout=30)
        answer.raise_for_status()


def free_tcp_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def why_no_orthanc() -> str | None:
    """What is missing to run one; None where all is there."""
    if shutil.which("Orthanc") is None:
        return "Orthanc is not installed: sh scripts/clinic/setup.sh says why"
    if _plugin_folder() is None:
        return "Orthanc's DICOMweb plug-in is not installed: sh scripts/clinic/setup.sh says why"
    return None


@contextmanager
def running_orthanc(folder: Path, **settings: object) -> Iterator[Orthanc]:
    """Starts one with its storage in `folder`, waits until it answers, ends it with the block.

    Args:
        settings: entries of Orthanc's configuration that replace those of `_configuration`.

    Raises:
        RuntimeError: it does not start; the message ends with its log.
    """
    orthanc = Orthanc(free_tcp_port(), free_tcp_port(), folder / "orthanc.log")
    configuration = folder / "orthanc.json"
    configuration.write_text(json.dumps({**_configuration(orthanc, folder), **settings}))
    with orthanc.log.open("wb") as log:
        process = subprocess.Popen(["Orthanc", str(configuration)], stdout=log, stderr=subprocess.STDOUT)
    try:
        _wait_until_it_answers(orthanc, process)
        yield orthanc
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _configuration(orthanc: Orthanc, folder: Path) -> dict[str, object]:
    always = {f"DicomAlwaysAllow{each}": True for each in ("Echo", "Store", "Find", "Get", "Move")}
    return {
        "Name": "mammo-monai tests",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "DicomAet": AE_TITLE,
        "DicomPort": orthanc.dicom_port,
        "HttpPort": orthanc.http_port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "StableAge": 1,
        "OverwriteInstances": False,
        "Plugins": [str(_plugin_folder())],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        **always,
    }


def _plugin_folder() -> Path | None:
    found = (folder for folder in PLUGINS if list(folder.glob("libOrthancDicomWeb.so*")))
    return next(found, None)


def _wait_until_it_answers(orthanc: Orthanc, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end and process.poll() is None:
        try:
            orthanc.rest("/system")
            return
        except requests.RequestException:
            time.sleep(0.05)
    tail = orthanc.log.read_text(errors="replace")[-2000:]
    raise RuntimeError(f"Orthanc does not answer at {orthanc.url}:\n{tail}")
