"""What an operating point shows of detections, and for which weights and inference it is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given

from mammo_monai.errors import BundleError, ManifestError, WeightsError
from mammo_monai.inference import FullImageInferer, Predictor, SectionsInferer, ShownAt, shown_at
from mammo_monai.records import Detections
from mammo_monai.schema import (
    Calibration,
    OperatingPoint,
    OperatingPoints,
    PlattCurve,
    read_detections,
    write_operating_points,
)
from tests import strategies
from tests.inference.fakes import RectangleDetector, image_with, sample_of

OWN, OTHER = "a" * 64, "b" * 64
FILE = OperatingPoints(
    points=(OperatingPoint(0.25, 0.7, 0.6, 0.5, 0.7), OperatingPoint(0.5, 0.5, 0.8, 0.7, 0.9, 0.4)),
    calibration=Calibration(PlattCurve(1.0, 0.0), 0.1, 0.05, ()),
    rule={"min_iou": 0.2, "label": 0, "confidence": 0.95, "text": "…"},
    n_images=40,
    n_lesions=30,
    n_patients=20,
    manifest_sha256=OTHER,
    weights_sha256=(OTHER, OTHER),
    for_weights_sha256=OWN,
    inference={"inferer": "FullImageInferer", "short_side_px": None, "execution": {"batch_size": 4}},
)


def at(fppi: float, file: OperatingPoints = FILE) -> ShownAt:
    point = next(each for each in file.points if each.fppi == fppi)
    return ShownAt(Path("models/operating_points.json"), file, point)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    write_operating_points(tmp_path / "models" / "operating_points.json", FILE)
    return tmp_path


@given(found=strategies.detections())
def test_shown_are_the_boxes_at_or_above_the_threshold_in_their_order(found: Detections) -> None:
    shown = at(0.5)(found)
    rows = [n for n in range(len(found.scores)) if found.scores[n] >= 0.5 and found.labels[n] == 0]
    assert shown.boxes.tolist() == found.boxes[rows].tolist()
    assert shown.scores.tolist() == found.scores[rows].tolist()
    assert shown.labels.tolist() == [0] * len(rows)
    assert (shown.record_id, shown.image) == (found.record_id, found.image)
    assert shown.boxes.shape == (len(rows), 4)
    # This curve is the identity but for its ends, which stay away from 0 and 1.
    assert shown.probabilities is not None
    assert shown.probabilities.tolist() == pytest.approx(found.scores[rows].tolist(), abs=2e-6)


def test_a_score_equal_to_the_threshold_is_shown() -> None:
    found = Detections("r", np.ones((2, 4)), np.array([0.5, np.nextafter(0.5, 0)]), np.zeros(2, np.int64))
    assert at(0.5)(found).scores.tolist() == [0.5]


def test_without_calibration_there_are_no_probabilities() -> None:
    shown = at(0.25, replace(FILE, calibration=None))(Detections("r"))
    assert shown.probabilities is None
    assert shown.boxes.shape == (0, 4)


def test_the_point_of_a_bundle_is_found(bundle: Path) -> None:
    shown = shown_at(bundle, 0.5)
    assert shown.file == FILE
    assert shown.point == FILE.points[1]


def test_a_bundle_without_points_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"no operating points\. Leave --fppi out, or .* calibrate"):
        shown_at(tmp_path, 0.5)


@pytest.mark.parametrize("fppi", [0.7, 0.0, -0.5, float("nan")])
def test_a_point_that_is_not_there_names_those_that_are(bundle: Path, fppi: float) -> None:
    with pytest.raises(
        BundleError, match=rf"no operating point for {fppi:g} false .* there are 0\.25, 0\.5\."
    ):
        shown_at(bundle, fppi)


def test_a_broken_file_is_named(bundle: Path) -> None:
    (bundle / "models" / "operating_points.json").write_text("{")
    with pytest.raises(ManifestError, match=r"operating_points\.json"):
        shown_at(bundle, 0.5)


@pytest.mark.parametrize(
    ("file", "weights", "named"),
    [
        (FILE, OTHER, f"for the weights of SHA-256 {OWN}, but loaded are {OTHER}"),
        (FILE, None, "but loaded are weights without a known SHA-256"),
        (FILE, 7, "but loaded are weights without a known SHA-256"),
        (replace(FILE, for_weights_sha256=None), OWN, rf"behind its detections \({OTHER}\)"),
        (
            replace(FILE, for_weights_sha256=None, weights_sha256=(OWN, None)),
            OWN,
            rf"behind its detections \(2 models: {OWN}, unknown\)",
        ),
    ],
)
def test_other_weights_are_refused(file: OperatingPoints, weights: object, named: str) -> None:
    with pytest.raises(WeightsError, match=named):
        at(0.5, file).check_model(weights)


def test_the_weights_the_points_are_for_pass() -> None:
    at(0.5).check_model(OWN)
    at(0.5, replace(FILE, for_weights_sha256=None)).check_model(OTHER)


@pytest.mark.parametrize(
    "settings",
    [
        {"inferer": "FullImageInferer", "short_side_px": None, "execution": {"batch_size": 1}},
        {"inferer": "FullImageInferer", "of_a_later_version": 1},
        {},
    ],
)
def test_the_same_inference_passes_however_fast_it_runs(settings: dict[str, object]) -> None:
    at(0.5).check_inference(settings)
    at(0.5, replace(FILE, inference=None)).check_inference({"inferer": "SectionsInferer"})


def test_other_engines_pass_and_integers_do_not() -> None:
    for engine, precision in (("onnx", "fp32"), ("openvino", "bf16")):
        at(0.5).check_inference({"execution": {"engine": engine, "precision": precision}})
    with pytest.raises(BundleError, match="precision int8 instead of the other"):
        at(0.5).check_inference({"execution": {"engine": "openvino", "precision": "int8"}})
    of_integers = replace(FILE, inference={"execution": {"engine": "openvino", "precision": "int8"}})
    at(0.5, of_integers).check_inference({"execution": {"engine": "openvino", "precision": "int8"}})
    with pytest.raises(BundleError, match="precision of floating point instead of the other"):
        at(0.5, of_integers).check_inference({"execution": {"precision": "fp32"}})


def test_another_inference_is_refused() -> None:
    with pytest.raises(
        BundleError,
        match=r"inferer SectionsInferer instead of FullImageInferer, short_side_px 600 instead of None",
    ):
        at(0.5).check_inference({"inferer": "SectionsInferer", "short_side_px": 600})


def samples() -> list:
    pixels = image_with(60, 80, [(5, 10, 25, 40, 0.9), (30, 50, 50, 70, 0.6), (30, 5, 50, 20, 0.4)])
    return [sample_of(pixels, "one"), sample_of(image_with(60, 80, []), "empty")]


def predictor(output: Path, *, fppi: float | None = None, weights: str = OWN, **others) -> Predictor:
    torch.manual_seed(0)  # the detector's weights are part of the journal's fingerprint
    point = None if fppi is None else at(fppi)
    return Predictor(
        others.pop("inferer", None) or FullImageInferer(RectangleDetector()),
        samples(),
        output,
        model={"weights_sha256": weights},
        operating_point=point,
        **others,
    )


def test_a_prediction_at_a_point_keeps_what_it_shows_and_says_which(tmp_path: Path) -> None:
    written = predictor(tmp_path / "d.json", fppi=0.5).run()
    content = read_detections(tmp_path / "d.json")
    assert [each.scores.tolist() for each in content.detections] == [pytest.approx([0.9, 0.6]), []]
    assert [len(each.probabilities) for each in content.detections] == [2, 0]  # type: ignore[arg-type]
    assert [each.record_id for each in written.detections] == ["one", "empty"]
    assert content.model["operating_point"] == {
        "fppi": 0.5,
        "threshold": 0.5,
        "sensitivity": 0.8,
        "low": 0.7,
        "high": 0.9,
        "fppi_reached": 0.4,
        "min_iou": 0.2,
        "label": 0,
        "confidence": 0.95,
        "chosen_on": {"n_images": 40, "n_lesions": 30, "n_patients": 20},
    }


def test_without_a_point_everything_is_kept_and_none_is_named(tmp_path: Path) -> None:
    predictor(tmp_path / "d.json").run()
    content = read_detections(tmp_path / "d.json")
    assert len(content.detections[0].scores) == 3
    assert content.detections[0].probabilities is None
    assert "operating_point" not in content.model


def test_a_refused_point_stops_before_the_first_image(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="leave --fppi out"):
        predictor(tmp_path / "d.json", fppi=0.5, weights=OTHER)
    with pytest.raises(BundleError, match="inferer SectionsInferer instead of FullImageInferer"):
        predictor(tmp_path / "d.json", fppi=0.5, inferer=SectionsInferer(RectangleDetector()))
    assert list(tmp_path.iterdir()) == []


def test_a_run_goes_on_with_another_point(tmp_path: Path) -> None:
    """The journal keeps everything: lowering the threshold needs no image again."""

    def stop(progress: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predictor(tmp_path / "d.json", fppi=0.25, on_progress=stop).run()
    seen: list[str] = []
    run = predictor(tmp_path / "d.json", fppi=0.5, on_progress=lambda each: seen.append(each.record_id))
    assert run.run().detections[0].scores.tolist() == pytest.approx([0.9, 0.6])
    assert seen == ["empty"]
