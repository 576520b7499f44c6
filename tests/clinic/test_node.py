"""Orthanc → our node → Orthanc with the eight real films and the shipped bundle; a short soak with kills."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import requests
from numpy.testing import assert_allclose

from mammo_monai.cli.main import main
from mammo_monai.dicom.network import send
from mammo_monai.dicom.results import read_marks
from mammo_monai.schema import read_detections
from mammo_monai.service.node import Node, NodeQueue, NodeSettings, read_settings
from scripts.clinic.node_soak import run_soak
from tests.clinic.orthanc_server import Orthanc
from tests.service.node.films import FACTORY

BUNDLE = "cbis_mass_detection"
SR, GSPS = "1.2.840.10008.5.1.4.1.1.88.33", "1.2.840.10008.5.1.4.1.1.11.1"


def node_settings(
    folder: Path, orthanc: Orthanc, *, is_fake: bool = False, **destination: Any
) -> NodeSettings:
    """A node beside Orthanc; a fake marker where only the network is tested."""
    fake = {"factory": FACTORY} if is_fake else {}
    content = {
        "folder": "node",
        "kinds": ["sr", "gsps"],
        "marking": {"bundle": BUNDLE, "fppi": 1, "overrides": {"device": "cpu"}, "settle_s": 2, **fake},
        "receiving": {"ae_title": "MAMMO_MONAI", "port": 0, "calling_ae_titles": ["ORTHANC"]},
        "limits": {"min_free_mb": 100},
        "http": {"port": 0},
        "destinations": [{"name": "archive", **(destination or {"peer": str(orthanc.peer)})}],
    }
    path = folder / "node.json"
    path.write_text(json.dumps(content))
    return read_settings(path)


@pytest.fixture(scope="module")
def predicted(films: list[Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `predict` marks, by SOP Instance UID."""
    output = tmp_path_factory.mktemp("predicted") / "detections.json"
    words = ["predict", *map(str, films), "--bundle", BUNDLE, "--fppi", "1", "--device", "cpu"]
    assert main([*words, "-o", str(output)]) == 0
    return {
        str(pydicom.dcmread(each.image, stop_before_pixels=True).SOPInstanceUID): each
        for each in read_detections(output).detections
    }


def to_node(orthanc: Orthanc, instances: list[str]) -> None:
    """Has Orthanc store instances to the node, as an auto-routing rule would."""
    answer = requests.post(
        f"{orthanc.url}/modalities/mammo_monai/store",
        json={"Resources": instances, "Synchronous": True},
        timeout=120,
    )
    answer.raise_for_status()


def wait_until_done(settings: NodeSettings, n: int) -> None:
    end = time.monotonic() + 300
    with NodeQueue(settings) as queue:
        while time.monotonic() < end:
            states = dict(
                map(tuple, queue.database.rows("SELECT state, COUNT(*) FROM instances GROUP BY state"))
            )
            if states == {"sent": n}:
                return
            time.sleep(0.2)
        raise AssertionError(queue.status())


@pytest.mark.parametrize("way", ["dimse", "dicomweb"])
def test_films_go_through_orthanc_and_come_back_as_reports(
    empty_orthanc: Orthanc,
    films: list[Path],
    predicted: dict[str, Any],
    tmp_path: Path,
    way: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    orthanc = empty_orthanc
    outcomes = send(orthanc.peer, films)
    assert {each.status for each in outcomes} == {"sent"}
    destination = {"dicomweb": orthanc.dicomweb_url} if way == "dicomweb" else {"peer": str(orthanc.peer)}
    settings = node_settings(tmp_path, orthanc, **destination)
    with Node(settings) as node:
        orthanc.register("MAMMO_MONAI", node.port)
        instances = orthanc.rest("/instances")
        begin = time.monotonic()
        to_node(orthanc, instances)
        stored_s = time.monotonic() - begin
        wait_until_done(settings, len(films))
        all_s = time.monotonic() - begin
        # Orthanc forwards everything again, results too: nothing is marked twice, nothing new is made.
        to_node(orthanc, orthanc.rest("/instances"))
        time.sleep(1)
        with NodeQueue(settings) as queue:
            words = queue.status()
    kept = {uid: pydicom.dcmread(_stream(content)) for uid, content in orthanc.files().items()}
    reports = [each for each in kept.values() if each.SOPClassUID == SR]
    overlays = [each for each in kept.values() if each.SOPClassUID == GSPS]
    assert len(reports) == len(overlays) == len(films)
    assert len(kept) == 3 * len(films)
    assert "16 ignored: a result of this software that came back" in words
    worst = 0.0
    for report in reports:
        (marks,) = read_marks(report)
        expected = predicted[marks.source_uid]
        assert report.StudyInstanceUID == kept[marks.source_uid].StudyInstanceUID
        assert report.PatientID == kept[marks.source_uid].PatientID
        assert_allclose(marks.boxes, expected.boxes, atol=1e-2)
        assert_allclose(marks.scores, expected.scores, atol=1e-4)
        if len(marks.boxes):
            worst = max(worst, float(np.abs(marks.boxes - expected.boxes).max()))
    for overlay in overlays:
        source = overlay.ReferencedSeriesSequence[0].ReferencedImageSequence[0].ReferencedSOPInstanceUID
        assert overlay.StudyInstanceUID == kept[source].StudyInstanceUID
    n_marks = sum(len(each.boxes) for each in predicted.values())
    with capsys.disabled():
        sys.stdout.write(
            f"\n{way}: {len(films)} films stored to the node in {stored_s:.1f} s; settled (2 s), marked, SR "
            f"and GSPS back in Orthanc after {all_s:.1f} s; {n_marks} boxes, at most {worst:.2g} px apart\n"
        )


def _stream(content: bytes) -> Any:
    from io import BytesIO

    return BytesIO(content)


def test_orthanc_commits_to_the_reports(empty_orthanc: Orthanc, films: list[Path], tmp_path: Path) -> None:
    orthanc = empty_orthanc
    settings = node_settings(tmp_path, orthanc, is_fake=True, peer=str(orthanc.peer), commitment=True)
    send(orthanc.peer, films[:1])
    with Node(settings) as node:
        orthanc.register("MAMMO_MONAI", node.port)
        to_node(orthanc, orthanc.rest("/instances"))
        wait_until_done(settings, 1)


def test_the_node_commits_to_orthanc(empty_orthanc: Orthanc, films: list[Path], tmp_path: Path) -> None:
    orthanc = empty_orthanc
    node_settings(tmp_path, orthanc, is_fake=True)
    content = json.loads((tmp_path / "node.json").read_text())
    content["commitment_peers"] = [str(orthanc.peer)]
    (tmp_path / "node.json").write_text(json.dumps(content))
    settings = read_settings(tmp_path / "node.json")
    send(orthanc.peer, films[:1])
    with Node(settings) as node:
        orthanc.register("MAMMO_MONAI", node.port)
        answer = requests.post(
            f"{orthanc.url}/modalities/mammo_monai/store",
            json={"Resources": orthanc.rest("/instances"), "Synchronous": True, "StorageCommitment": True},
            timeout=60,
        ).json()
        transaction = answer["StorageCommitmentTransactionUID"]
        end = time.monotonic() + 30
        status = "Pending"
        while status == "Pending" and time.monotonic() < end:
            time.sleep(0.2)
            status = orthanc.rest(f"/storage-commitment/{transaction}")["Status"]
    assert status == "Success"


def test_aborts_and_kills_lose_and_double_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = run_soak(60, 1, senders=3, seed=7, minutes=4, folder=tmp_path)
    with capsys.disabled():
        words = (f"{name}: {value}" for name, value in found.items() if name != "status")
        sys.stdout.write("\n" + "; ".join(words) + "\n")
    assert found["equal"]
    assert found["films acknowledged"] == found["films done"] == 60
    assert found["unfinished files"] == 0
