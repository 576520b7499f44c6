"""What a node and an MLflow store keep of films full of markers; all but what is for a PACS is searched."""

from __future__ import annotations

import logging
import urllib.error
import urllib.request
from pathlib import Path
from unittest import mock

import pydicom
from pydicom.dataset import Dataset

from mammo_monai.dicom.network import Peer, send
from mammo_monai.dicom.network.storage_server import StorageServer, StoreStatus
from mammo_monai.files import write_json_atomic
from mammo_monai.service.node import Node, NodeQueue, NodeSettings
from tests.experiments.conftest import StepsHere
from tests.privacy.flow import Flow
from tests.privacy.planted import UID_ROOT
from tests.privacy.runs import listening
from tests.privacy.searched import Hit, search_bytes, search_folder
from tests.service.node.films import LocalWorker, settings, until

# SOP and study instance UIDs: the queue finds images and answers storage commitment by them, and by no name.
QUEUE_UIDS = f"{UID_ROOT}.9"
_LOUD = ("pydicom", "pynetdicom")
_RULES = {"body_parts": None}  # a marker stands there


def node_leaks(flow: Flow, folder: Path) -> tuple[list[Hit], dict[str, int]]:
    """Sends good, broken, wrong and refused films to a node; its leaks, and its images by their state.

    Searched are its words, its pages, its queue with what people see of it, and the names of its files.
    """
    films = [_film(path) for path in flow.site.films]
    films[1].SeriesDescription = "error"
    films[2].SeriesDescription = "unreadable"
    films[3].Modality = "CR"
    conflict = _film(flow.site.films[0])
    conflict.PatientComments = "QZ83000ZQ"
    damaged = _film(flow.site.films[0])
    damaged.SOPInstanceUID = damaged.file_meta.MediaStorageSOPInstanceUID = f"{QUEUE_UIDS}0099"
    damaged.PixelData = damaged.PixelData[:100]
    store = [StoreStatus.CANNOT_UNDERSTAND]
    folder.mkdir()
    with (
        listening() as said,
        StorageServer(ae_title="PACS", store=lambda _: store[0]) as pacs,
        mock.patch("mammo_monai.service.node.node.Worker", LocalWorker),
    ):
        for name in _LOUD:  # as `run_node` does
            logging.getLogger(name).setLevel(logging.CRITICAL)
        chosen = settings(
            folder, pacs_port=pacs.port, kinds=["sr", "cad"], marking={"tries": 1}, rules=_RULES
        )
        with Node(chosen) as node:
            send(Peer("NODE", "127.0.0.1", node.port), [*films, films[0], conflict, damaged])
            refused = "SELECT COUNT(*) FROM deliveries WHERE reason <> ''"
            until(lambda: node.queue.n_waiting() == 0 and node.database.value(refused))
            pages = b"".join(_page(node, name) for name in ("health", "ready", "metrics"))
    for name in _LOUD:
        logging.getLogger(name).setLevel(logging.NOTSET)
    return [*said.hits("node"), *_kept(chosen, pages)], _states(chosen)


def mlflow_leaks(flow: Flow, folder: Path) -> list[Hit]:
    """Runs an experiment, its steps faked, with paths that name a patient; what the store has of it."""
    store, home = folder / "store", folder / "QZ90001ZQ"
    write_json_atomic(home / "start.safetensors", "weights that no step reads")
    content = {
        "schema": "mammo-monai/experiment/1",
        "name": "site",
        "description": "one run",
        "bundle": str(flow.bundle),
        "folds": {"scheme": "kfold", "n_folds": 2, "validation_fraction": 0.3, "seed": 0},
        "overrides": {"init": "./start.safetensors"},
        "evaluate": {"n_bootstrap": 10},
        "runs": [{"name": "one", "manifest": "A"}],
    }
    write_json_atomic(home / "site.json", content)
    words = ("--manifest", flow.manifest, "--folds", 1, "--out", folder / "runs", "--mlflow", store.as_uri())
    with mock.patch("mammo_monai.experiments.runner.Processes", StepsHere):
        flow.run("mlflow", "experiment", "run", home / "site.json", *words)
    hits, n_files = search_folder(store)
    flow.n_files += n_files
    return hits


def _film(path: Path) -> Dataset:
    return pydicom.dcmread(path)


def _page(node: Node, name: str) -> bytes:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{node.http_port}/{name}") as answer:
            return bytes(answer.read())
    except urllib.error.HTTPError as error:
        return error.read()


def _kept(chosen: NodeSettings, pages: bytes) -> list[Hit]:
    with NodeQueue(chosen) as queue:
        shown = {"pages": pages, "status": queue.status().encode()}
    files = [path for path in chosen.folder.rglob("*") if path.is_file()]
    shown["names of files"] = "\n".join(map(str, files)).encode()
    shown |= {path.name: path.read_bytes() for path in files if path.suffix != ".dcm"}
    found = [Hit(marker, name) for name, content in shown.items() for marker, _ in search_bytes(content)]
    return [hit for hit in found if not (hit.where.startswith("queue") and hit.marker.startswith(QUEUE_UIDS))]


def _states(chosen: NodeSettings) -> dict[str, int]:
    with NodeQueue(chosen) as queue:
        return dict(map(tuple, queue.database.rows("SELECT state, COUNT(*) FROM instances GROUP BY state")))
