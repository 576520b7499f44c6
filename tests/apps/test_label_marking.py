"""Marks on request: weights, operating points, and the loosely typed words of clients."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from mammo_monai.apps.marking import BundleMarks, MarkRequest, is_detector, mark_request
from mammo_monai.apps.stock_bundle import SampleOfPath, StockDetector, StockResult, write_stock_bundle
from mammo_monai.apps.uncertainty import image_uncertainty
from mammo_monai.apps.weight_versions import WeightVersions
from mammo_monai.bundle import bundle_parts, find_bundle, load_marker
from mammo_monai.errors import BundleError, WeightsError
from mammo_monai.records import Detections
from tests.dicom_factory import write_breast

BUNDLE = "cbis_mass_detection"
CLASSIFIER = "cbis_whole_image_classifier"
UNTRAINED = "coco_to_cbis_mass_retinanet"


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A right breast with one bright disk."""
    return write_breast(tmp_path_factory.mktemp("film") / "film.dcm")


@pytest.fixture(scope="module")
def marks(tmp_path_factory: pytest.TempPathFactory) -> BundleMarks:
    return BundleMarks(BUNDLE, WeightVersions(tmp_path_factory.mktemp("models")))


@pytest.fixture(scope="module")
def everything(film: Path) -> Detections:
    return load_marker(BUNDLE, overrides={"device": "cpu"})(film)


def assert_same(found: Detections, expected: Detections) -> None:
    assert_allclose(found.boxes, expected.boxes, atol=1e-6)
    assert_allclose(found.scores, expected.scores, atol=1e-7)


def test_everything_is_what_the_marker_shows(marks: BundleMarks, film: Path, everything: Detections) -> None:
    found = marks(film, MarkRequest(is_everything=True, device="cpu"))
    assert len(everything.boxes) > 0
    assert_same(found.shown, everything)
    assert "min_score" not in found.model


def test_the_default_is_the_point_nearest_one_false_positive(
    marks: BundleMarks, film: Path, everything: Detections
) -> None:
    default = marks.default_point()
    assert default is not None
    assert default.fppi == 1
    found = marks(film, MarkRequest(device="cpu"))
    assert_same(found.shown, load_marker(BUNDLE, fppi=1, overrides={"device": "cpu"})(film))
    assert found.shown.probabilities is not None
    assert found.uncertainty == image_uncertainty(everything.scores, default.threshold)


def test_a_lowest_score_may_be_asked_for(marks: BundleMarks, film: Path, everything: Detections) -> None:
    least = float(np.sort(everything.scores)[-1])
    found = marks(film, MarkRequest(min_score=least, device="cpu"))
    assert_allclose(found.shown.scores, [least])
    assert found.model["min_score"] == least
    nothing = marks(film, MarkRequest(min_score=0.9999999, device="cpu"))
    assert nothing.shown.boxes.shape == (0, 4)


def test_models_are_loaded_once_and_few_are_kept(marks: BundleMarks, film: Path) -> None:
    for point in marks.points():
        marks(film, MarkRequest(fppi=point.fppi, device="cpu"))
    assert len(marks.points()) > len(marks._markers) == 3


def test_faults_are_the_bundles_own_words(marks: BundleMarks, film: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no operating point for 3"):
        marks(film, MarkRequest(fppi=3, device="cpu"))
    with pytest.raises(WeightsError, match="expected shipped, latest"):
        marks(film, MarkRequest(weights="v0001"))
    if not (find_bundle(UNTRAINED) / "models" / "model.safetensors").is_file():
        with pytest.raises(WeightsError, match="no weights file"):
            BundleMarks(UNTRAINED, WeightVersions(tmp_path))(film, MarkRequest())


def test_a_bundle_without_operating_points_has_no_default(tmp_path: Path) -> None:
    untrained = BundleMarks(UNTRAINED, WeightVersions(tmp_path))
    if untrained.points():
        pytest.skip("this checkout calibrated it")
    assert untrained.default_point() is None


def test_what_clients_send_is_understood() -> None:
    assert mark_request({}) == MarkRequest()
    assert mark_request({"fppi": ["0.5", "1"], "device": "cpu"}) == MarkRequest(fppi=0.5, device="cpu")
    assert mark_request({"fppi": "all"}) == MarkRequest(is_everything=True)
    assert mark_request({"min_score": 0.2, "weights": []}, fppi="1") == MarkRequest(min_score=0.2)
    assert mark_request({}, weights="latest", fppi="2") == MarkRequest("latest", fppi=2.0)


def test_a_gpu_that_is_not_there_becomes_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert mark_request({"device": "cuda:1"}).device == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert mark_request({"device": "cuda:1"}).device == "cuda:1"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"fppi": "many"}, "fppi must be a number of at least 0 or all, got 'many'"),
        ({"min_score": -1}, "min_score must be a number of at least 0, got '-1'"),
        ({"min_score": "inf"}, "min_score must be"),
        ({"fppi": 1, "min_score": 0.5}, "give one of them"),
    ],
)
def test_what_is_no_number_is_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        mark_request(given)


def test_a_detector_is_told_from_a_classifier(tmp_path: Path) -> None:
    assert is_detector(find_bundle(BUNDLE))
    assert not is_detector(find_bundle(CLASSIFIER))
    with pytest.raises(BundleError, match="is missing"):
        is_detector(tmp_path)


def test_the_stock_copy_marks_what_the_bundle_marks(
    film: Path, everything: Detections, tmp_path: Path
) -> None:
    folder = write_stock_bundle(BUNDLE, tmp_path, fppi=1)
    assert "detection" in folder.name
    ids = ("network_def", "preprocessing", "detector", "detector_ops", "postprocessing")
    # MONAI Label runs it past our gate: its wiring is for that server alone, and not on our list.
    parts = bundle_parts(folder, ids, {"device": "cpu"}, is_trusted=True)
    network = parts["network_def"]
    network.load_state_dict(torch.load(folder / "models" / "model.pt", weights_only=True))
    data: dict[str, object] = {"image": str(film), "image_path": str(film), "model": "asked for"}
    for step in parts["preprocessing"].transforms:
        data = step(data)
    detector: StockDetector = parts["detector"]
    detector.network = network.eval()
    assert detector.network is network
    (prediction,) = detector(data["image"][None], use_inferer=True)  # type: ignore[index]  # a tensor
    (result,) = parts["postprocessing"].transforms
    found = result({**data, **prediction})
    expected = load_marker(BUNDLE, fppi=1, overrides={"device": "cpu"})(film)
    assert_allclose(np.reshape(found["result"]["box"], (-1, 4)), expected.boxes, atol=1e-6)
    assert_allclose(found["result"]["scores"], expected.scores, atol=1e-7)
    assert found["result"]["model"]["operating_point"]["fppi"] == 1
    assert found["box"].shape == (len(expected.boxes), 6)
    everywhere = StockResult(bundle_root=str(folder), fppi=None, model={}, inferer=detector._inferer)(
        {**data, **prediction}
    )
    assert_allclose(everywhere["result"]["scores"], everything.scores, atol=1e-7)
    # These tags state 1 mm a pixel to Slicer: centre and size, in mm.
    assert_allclose(everywhere["box"][:, 3], everything.boxes[:, 2] - everything.boxes[:, 0], atol=1e-6)


def test_a_stock_copy_is_refused_where_it_cannot_be_right(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="classifies images"):
        write_stock_bundle(CLASSIFIER, tmp_path)
    with pytest.raises(BundleError, match="no operating point for 7"):
        write_stock_bundle(BUNDLE, tmp_path, fppi=7)
    (tmp_path / BUNDLE).mkdir()
    with pytest.raises(BundleError, match="is there already"):
        write_stock_bundle(BUNDLE, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [BUNDLE]


def test_a_sample_keeps_what_the_request_brought(film: Path) -> None:
    found = SampleOfPath()({"image": str(film), "device": "cpu"})
    assert (found["device"], found["image_path"], found["box"].shape) == ("cpu", str(film), (0, 4))
