"""MONAI Label with this package's application, over HTTP: on a folder, on Orthanc, and the stock app."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from numpy.testing import assert_allclose

from mammo_monai.apps import app_folder
from mammo_monai.apps.stock_bundle import write_stock_bundle
from mammo_monai.apps.uncertainty import image_uncertainty
from mammo_monai.bundle import find_bundle
from mammo_monai.cli.main import main
from mammo_monai.dicom import read_attributes
from mammo_monai.files import sha256_of
from mammo_monai.records import Detections
from mammo_monai.schema import read_detections, read_manifest, read_operating_points
from tests.clinic.label_server import ENVIRONMENT, LabelServer, running_label, why_no_monai_label
from tests.clinic.orthanc_server import Orthanc
from tests.dicom_factory import write_mammogram

BUNDLE = "cbis_mass_detection"
UNTRAINED = "coco_to_cbis_mass_retinanet"
NOT_A_MAMMOGRAM = "chest"
SHIPPED = find_bundle(BUNDLE) / "models" / "model.safetensors"
TOLERANCE = 1e-4
Predicted = Mapping[str, Detections]


def predicted(films: list[Path], folder: Path, *options: str) -> Predicted:
    """What `mammo-monai predict` marks, by file name without suffix."""
    output = folder / "detections.json"
    images = [str(film) for film in films]
    assert main(["predict", *images, "--bundle", BUNDLE, "-o", str(output), *options]) == 0
    return {each.image.stem: each for each in read_detections(output).detections if each.image}


@pytest.fixture(scope="module")
def shown(films: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Predicted:
    """What predict shows at one false positive per image, the default of the application."""
    if reason := why_no_monai_label():
        pytest.skip(reason)
    return predicted(films, tmp_path_factory.mktemp("shown"), "--fppi", "1")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("label")


@pytest.fixture(scope="module")
def server(films: list[Path], home: Path, shown: Predicted) -> Iterator[LabelServer]:
    """The application where `mammo-monai apps path` says it is, on a folder of DICOM files."""
    studies = home / "studies"
    studies.mkdir()
    for film in films:
        shutil.copy(film, studies / film.name)
    write_mammogram(studies / f"{NOT_A_MAMMOGRAM}.dcm", tags={"Modality": "CT"})
    app = app_folder("monai-label")
    before = set(app.iterdir())
    conf = {"models": f"{BUNDLE},{UNTRAINED}", "model_dir": str(home / "models")}
    with running_label(home, app, studies, conf) as running:
        yield running
    for each in set(app.iterdir()) - before:  # MONAI Label keeps its log in the application's folder
        shutil.rmtree(each)


def assert_same_marks(result: Mapping[str, Any], expected: Detections) -> None:
    assert_allclose(np.reshape(result["box"], (-1, 4)), expected.boxes, rtol=0, atol=TOLERANCE)
    assert_allclose(result["scores"], expected.scores, rtol=0, atol=TOLERANCE)
    assert result["label"] == ["mass"] * len(expected.boxes)


def test_info_says_what_the_application_can_do(server: LabelServer) -> None:
    info = server.get("/info/")
    model = info["models"][BUNDLE]
    assert (info["name"], model["type"], model["dimension"]) == ("mammo-monai", "detection", 2)
    assert model["config"]["fppi"] == ["1", "0.25", "0.5", "2", "all"]
    assert set(info["trainers"]) == {BUNDLE, UNTRAINED}
    assert {"uncertainty", "random", "first"} == set(info["strategies"])
    assert set(info["scoring"]) == {"uncertainty"}
    assert info["datastore"]["total"] == 9


def test_infer_returns_the_boxes_of_predict(server: LabelServer, shown: Predicted) -> None:
    assert sum(len(each.boxes) for each in shown.values()) > 8
    for image, expected in shown.items():
        result = server.infer(BUNDLE, image).json()
        assert_same_marks(result, expected)
        assert_allclose(result["probabilities"], expected.probabilities, atol=TOLERANCE)
        assert result["model"]["weights_sha256"] == sha256_of(
            find_bundle(BUNDLE) / "models/model.safetensors"
        )
        assert result["model"]["operating_point"]["fppi"] == 1


@pytest.mark.parametrize(
    ("model", "image", "params", "status", "message"),
    [
        (BUNDLE, "nobody", {}, 404, "image 'nobody' is not in the datastore"),
        (BUNDLE, "/etc/hostname", {}, 404, "not in the datastore"),
        (BUNDLE, NOT_A_MAMMOGRAM, {}, 422, "expected Modality (0008,0060) MG, got CT"),
        (BUNDLE, "1-280", {"fppi": 3}, 409, "no operating point for 3 false positives"),
        (BUNDLE, "1-280", {"weights": "v0009"}, 409, "expected shipped, latest"),
        (BUNDLE, "1-280", {"min_score": "high"}, 400, "min_score must be a number"),
        (UNTRAINED, "1-280", {}, 409, "Train the bundle first"),
        ("nothing", "1-280", {}, 404, "no model 'nothing'"),
    ],
)
def test_a_fault_is_answered_in_one_sentence_without_paths(
    server: LabelServer,
    home: Path,
    model: str,
    image: str,
    params: dict[str, object],
    status: int,
    message: str,
) -> None:
    answer = server.infer(model, image, **params)
    assert answer.status_code == status
    assert message in answer.json()["detail"]
    assert str(home) not in answer.text
    assert server.get("/info/")["name"] == "mammo-monai"  # and the server is up


def test_training_without_labels_says_so(server: LabelServer) -> None:
    answer = server.post(f"/train/{BUNDLE}?run_sync=true")
    assert (answer.status_code, answer.json()["detail"][:24]) == (422, "no labels to train on: e")


def test_batch_marks_all_images_but_the_one_it_cannot(server: LabelServer, shown: Predicted) -> None:
    # The client's own defaults: a GPU, several if there are, whatever the server has.
    started = server.post(f"/batch/infer/{BUNDLE}", {"device": "cuda", "multi_gpu": True, "max_workers": 1})
    assert started.status_code == 200
    task = server.finished("/batch/infer")
    assert task["status"] == "DONE"
    assert any("marked 8 of 9 images, 1 failed" in line for line in task["details"])
    objects = server.get("/datastore/?output=all")["objects"]
    for image, expected in shown.items():
        assert_same_marks(objects[image]["labels"]["original"]["info"]["params"], expected)
    assert objects[NOT_A_MAMMOGRAM]["labels"] == {}


def test_active_learning_offers_the_least_certain_image_first(
    server: LabelServer, films: list[Path], tmp_path: Path
) -> None:
    scored = server.post("/scoring/uncertainty?run_sync=true").json()
    assert scored == {"scored": 8, "known": 0, "failed": 1}
    points = read_operating_points(find_bundle(BUNDLE) / "models" / "operating_points.json").points
    threshold = next(each.threshold for each in points if each.fppi == 1)
    expected = {
        image: image_uncertainty(each.scores, threshold) for image, each in predicted(films, tmp_path).items()
    }
    order = sorted(expected, key=lambda image: -expected[image])
    offered = [server.post("/activelearning/uncertainty").json() for _ in range(3)]
    assert [each["id"] for each in offered] == order[:3]
    assert_allclose([each["weight"] for each in offered], [expected[image] for image in order[:3]], atol=1e-6)
    assert server.post("/activelearning/nothing").status_code == 404


def test_corrected_boxes_train_new_weights_that_infer_uses_if_asked(
    server: LabelServer, home: Path, shown: Predicted
) -> None:
    before = sha256_of(SHIPPED)
    slicers = server.infer(BUNDLE, "1-280", output="image").text  # as 3D Slicer loads, and saves, them
    assert len(json.loads(slicers)["markups"]) == len(shown["1-280"].boxes) > 0
    server.save_label("1-280", slicers)
    server.save_label("1-281", json.dumps({"box": [[900.0, 1000.0, 1200.0, 1400.0]], "label": ["mass"]}))
    server.save_label("1-130", json.dumps({"box": [], "label": []}))
    assert server.get("/datastore/")["completed"] == 3

    assert server.post(f"/train/{BUNDLE}", {"max_epochs": 1, "device": "cpu"}).status_code == 200
    task = server.finished("/train")
    assert task["status"] == "DONE", task["details"]

    version = home / "models" / BUNDLE / "v0001"
    about = json.loads((version / "training.json").read_text())
    assert (about["n_training"] + about["n_validation"], about["start_sha256"]) == (3, before)
    records = {each.image.stem: each for each in read_manifest(version / "manifest.json").images()}
    assert_allclose(records["1-280"].boxes, shown["1-280"].boxes, rtol=0, atol=TOLERANCE)
    assert records["1-130"].is_normal

    assert sha256_of(SHIPPED) == before
    trained = server.infer(BUNDLE, "1-133", weights="latest").json()
    assert trained["model"]["weights_sha256"] == sha256_of(version / "model.safetensors") != before
    assert_same_marks(server.infer(BUNDLE, "1-133").json(), shown["1-133"])
    again = server.infer(BUNDLE, "1-133", weights="v0001", fppi=1)
    assert (again.status_code, "operating points are for" in again.json()["detail"]) == (409, True)


def test_the_servers_log_holds_no_patient(server: LabelServer, films: list[Path]) -> None:
    names = {read_attributes(film).patient_id for film in films}
    log = server.log.read_text(errors="replace")
    assert "marks" in log
    assert len(names) > 1
    assert not [name for name in names if name and name in log]


def test_on_a_pacs_an_image_is_an_instance(
    empty_orthanc: Orthanc, films: list[Path], shown: Predicted, home: Path
) -> None:
    uids = {}
    for film in films[:3]:
        answer = requests.post(f"{empty_orthanc.url}/instances", data=film.read_bytes(), timeout=60)
        answer.raise_for_status()
        uids[film.stem] = read_attributes(film).sop_instance_uid
    folder = home / "pacs"
    conf = {"models": BUNDLE, "model_dir": str(folder / "models")}
    with running_label(folder, app_folder("monai-label"), empty_orthanc.dicomweb_url, conf) as server:
        assert server.get("/info/")["datastore"] == {"total": 3, "completed": 0, "label_tags": {}}
        for stem, uid in uids.items():
            assert_same_marks(server.infer(BUNDLE, uid).json(), shown[stem])
        assert server.infer(BUNDLE, "1.2.3").status_code == 404
        assert server.post("/scoring/uncertainty?run_sync=true").json() == {
            "scored": 3,
            "known": 0,
            "failed": 0,
        }
        first = server.post("/activelearning/uncertainty").json()
        assert first["id"] in uids.values()
        stem = next(stem for stem, uid in uids.items() if uid == first["id"])
        marks = shown[stem].boxes.tolist() or [[900.0, 1000.0, 1200.0, 1400.0]]
        server.save_label(first["id"], json.dumps({"box": marks, "label": ["mass"] * len(marks)}))
        assert server.get("/datastore/")["completed"] == 1
        assert server.post("/activelearning/uncertainty").json()["id"] != first["id"]
        trained = server.post(f"/train/{BUNDLE}?run_sync=true", {"max_epochs": 1}).json()
        assert (trained["version"], trained["n_training"]) == ("v0001", 1)
        downloaded = requests.get(f"{server.url}/datastore/image", params={"image": first["id"]}, timeout=60)
        assert downloaded.content[128:132] == b"DICM"
        log = server.log.read_text(errors="replace")
    assert not any((each.stat().st_mode & 0o077) for each in folder.glob("fetched/*/*.dcm"))
    assert "Mass-Test" not in log


def test_the_stock_application_serves_a_copy_of_the_bundle(
    films: list[Path], shown: Predicted, home: Path
) -> None:
    app, studies = home / "stock", home / "two_films"
    shutil.copytree(ENVIRONMENT / "monailabel" / "sample-apps" / "monaibundle", app)
    write_stock_bundle(BUNDLE, app / "model", fppi=1)
    studies.mkdir()
    for film in films[:2]:
        shutil.copy(film, studies / film.name)
    conf = {"models": BUNDLE, "zoo_source": "ngc"}  # any other source calls home at the start
    extensions = {"MONAI_LABEL_DATASTORE_FILE_EXT": '["*.dcm"]'}
    with running_label(home / "stock_run", app, studies, conf, **extensions) as server:
        assert server.get("/info/")["models"][BUNDLE]["type"] == "detection"
        for film in films[:2]:
            result = server.infer(BUNDLE, film.stem, result_write_to_file=False).json()
            assert_same_marks(result, shown[film.stem])
            rois = json.loads(server.infer(BUNDLE, film.stem, output="image").text)["markups"]
            boxes = shown[film.stem].boxes
            sizes = [[each["size"][0], each["size"][1]] for each in rois]
            # These films state no spacing: 1 mm a pixel.
            assert_allclose(sizes, boxes[:, 2:] - boxes[:, :2], rtol=0, atol=TOLERANCE)
