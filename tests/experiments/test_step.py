"""A step trains or predicts with the bundle itself, and leaves its report last."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mammo_monai.bundle import find_bundle, path_value
from mammo_monai.errors import BundleError, MammoError
from mammo_monai.experiments import step as module
from mammo_monai.experiments.step import FAILED, INTERRUPTED, ImageClock, iterations_per_epoch, main, run_step
from mammo_monai.experiments.step_request import PREDICTION, TRAINING, Step
from mammo_monai.networks import retinanet_network
from mammo_monai.networks.weight_files import read_weights
from mammo_monai.records import ImageRecord, Lesion
from mammo_monai.schema import Manifest, read_detections, write_manifest

BUNDLE = "inbreast_mass_detection"
SMALL: dict[str, Any] = {
    "init": "none",
    "freeze": "all",
    "size_px": 96,
    "batch_size": 2,
    "precision": "fp32",
    "network_def#backbone": "resnet18",
    "network_def#fpn_channels": 32,
    "detector#size_divisible": 32,
}


def small_films(folder: Path) -> Path:
    """Four training films, one to validate and two to test, 48 × 96 px; one of the tested has no lesion."""
    records = []
    for n in range(7):
        pixels = np.zeros((96, 48), dtype=np.uint8)
        pixels[8:88, :30] = 90 + 3 * n
        pixels[30:44, 8:20] = 240
        path = folder / f"{n}.png"
        Image.fromarray(pixels).save(path)
        lesions = () if n == 6 else (Lesion((8.0, 30.0, 20.0, 44.0)),)
        records.append(ImageRecord(path, f"{n:016x}", f"patient {n}", 48, 96, lesions))
    write_manifest(
        folder / "manifest.json",
        Manifest(training=tuple(records[:4]), validation=(records[4],), test=tuple(records[5:])),
    )
    return folder / "manifest.json"


@pytest.fixture
def step_of(tmp_path: Path) -> Any:
    overrides = {
        **SMALL,
        "manifest": path_value(small_films(tmp_path)),
        "output_dir": path_value(tmp_path / "weights"),
    }

    def make(kind: str, budget: int | None = None, **more: Any) -> Step:
        report, environment = str(tmp_path / f"{kind}.json"), str(tmp_path / "environment.json")
        return Step(
            kind,
            str(find_bundle(BUNDLE)),
            {**overrides, **more},
            report,
            environment,
            budget_iterations=budget,
        )

    return make


def test_a_training_and_its_prediction_leave_weights_detections_and_what_they_took(
    step_of: Any, tmp_path: Path
) -> None:
    assert main(step_of(TRAINING, 3).as_line()) == 0
    # Two batches an epoch: three are nearest to two epochs, for round() halves to even.
    assert json.loads((tmp_path / "training.json").read_text()) == {"epochs": 2, "iterations": 4}
    weights = tmp_path / "weights" / "model.safetensors"
    assert read_weights(weights).metadata["freeze"] == "all"
    prediction = step_of(
        PREDICTION, weights=path_value(weights), eval_dir=path_value(tmp_path), split="test", test_time="none"
    )
    prediction.overrides.pop("init")
    run_step(prediction)
    report = json.loads((tmp_path / "prediction.json").read_text())
    network = retinanet_network("resnet18", num_classes=1, head_norm="gn16", fpn_channels=32)
    assert report["n_parameters"] == sum(each.numel() for each in network.parameters())
    assert report["images_timed"] == 1
    assert report["seconds_per_image"] > 0
    found = read_detections(tmp_path / "detections.json").detections
    assert {each.record_id for each in found} == {f"{n:016x}" for n in (5, 6)}
    assert not (tmp_path / "metrics.json").exists()  # the runner's work, by the experiment's rule
    assert set(json.loads((tmp_path / "environment.json").read_text())) == {TRAINING, PREDICTION}


def test_batches_are_counted_without_reading_an_image(step_of: Any, tmp_path: Path) -> None:
    overrides = step_of(TRAINING).overrides
    for each in tmp_path.glob("*.png"):
        each.write_bytes(b"")
    assert iterations_per_epoch(BUNDLE, overrides) == 2
    assert iterations_per_epoch(BUNDLE, {**overrides, "batch_size": 4}) == 1
    (tmp_path / "0.png").unlink()
    with pytest.raises(MammoError, match="1 of 4 image files are missing"):
        iterations_per_epoch(BUNDLE, overrides)


def test_the_clock_takes_the_median_from_one_image_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([50.0, 51.0, 53.0, 63.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(times))
    clock = ImageClock()
    assert clock.seconds_per_image is None
    clock(None)
    assert clock.seconds_per_image is None
    for _ in range(3):
        clock(None)
    assert clock.seconds_per_image == 2.0


def test_a_fault_is_one_line_and_its_exit_code(
    step_of: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    def fails(*_: object) -> None:
        raise BundleError("no such preset")

    monkeypatch.setattr(module, "_train", fails)
    assert main(step_of(TRAINING).as_line()) == FAILED
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == [
        "no such preset"
    ]
    assert not (tmp_path / "training.json").exists()


def test_trust_of_a_step_reaches_the_bundles_run(step_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = list[object]()

    def run(*_: object, **options: object) -> None:
        seen.append(options["is_trusted"])
        raise BundleError("enough")

    monkeypatch.setattr(module, "run_bundle", run)
    for kind in (TRAINING, PREDICTION):
        for is_trusted in (False, True):
            assert main(replace(step_of(kind), is_trusted=is_trusted).as_line()) == FAILED
    assert seen == [False, True, False, True]


def test_an_interruption_has_its_own_exit_code(step_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_predict", interrupted)
    assert main(step_of(PREDICTION).as_line()) == INTERRUPTED


def test_a_request_is_read_as_it_was_written() -> None:
    step = Step(TRAINING, "bundle", {"size_px": 96}, "report.json", "environment.json", 12)
    assert Step.of_line(step.as_line()) == step
    assert step.as_line().count("\n") == 1


def test_asking_for_a_step_needs_no_torch() -> None:
    import mammo_monai.experiments.step_request as request

    assert "torch" not in vars(request)
    assert sys.modules["mammo_monai.experiments.step_request"] is request
