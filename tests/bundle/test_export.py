"""`bundle export`: files for other engines that answer as torch does, or none; they travel along."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from mammo_monai.bundle import inspect_bundle, load_marker, pack_bundle, verify_pack
from mammo_monai.bundle.exporting import ExportOptions, export, export_bundle
from mammo_monai.cli.main import main
from mammo_monai.data.phantoms import CACHE_VARIABLE
from mammo_monai.errors import BundleError
from mammo_monai.files import sha256_of
from mammo_monai.inference.runtimes.exported import ExportRecord, read_record
from mammo_monai.networks import save_weights
from mammo_monai.phantoms import write_phantoms
from mammo_monai.readers import Audit, ManifestPlan, Reading, dataset_salt, read_dataset, save_manifest
from tests.bundle.light import edit, settled_network

ONNX, INT8 = "models/model.onnx", "models/model_int8.xml"


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The manifest of eight drawn images of four patients, right breasts among them."""
    root = tmp_path_factory.mktemp("films")
    write_phantoms(root / "images", layout="cbis-ddsm", patients=4, seed=0, pixel_spacing_mm=0.7)
    reading = Reading(dataset_salt(root / "images", root / "manifest.json"), Audit(strict=True))
    plan = ManifestPlan("cbis-ddsm", root / "images")
    save_manifest(root / "manifest.json", read_dataset(plan, reading), reading.audit)
    return root / "manifest.json"


@pytest.fixture
def small(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The light bundle with few channels, images of 128 × 256 pixels, and weights that are declared."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    path = bundle / "configs" / "inference.json"
    content = json.loads(path.read_text())
    content.update(size_px=256, region="otsu")
    path.write_text(json.dumps(content))
    save_weights(settled_network(), bundle / "models" / "model.safetensors")
    weights = sha256_of(bundle / "models" / "model.safetensors")
    edit(bundle, lambda metadata: metadata.update(weights_sha256=weights))
    return bundle


def test_an_exported_model_is_recorded_used_and_packed(
    small: Path, films: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["bundle", "export", str(small), "--engine", "onnx", "--check", str(films)]) == 0
    assert "boxes matched at IoU 0.95 with scores within 0.02" in capsys.readouterr().out
    record = read_record(small / f"{ONNX}.json")
    checks: Any = record.checks
    assert record.files == {"model.onnx": sha256_of(small / ONNX)}
    assert record.weights_sha256 == sha256_of(small / "models" / "model.safetensors")
    assert checks["boxes"]["n_boxes"] > 0
    assert checks["boxes"]["matched"] >= 0.99
    assert {tuple(each["images_rows_cols"]) for each in checks["maps"]} > {(1, 384, 256), (2, 256, 128)}
    assert str(films.parent) not in (small / f"{ONNX}.json").read_text()

    monkeypatch.setattr("mammo_monai.inference.runtimes.seam.cached_onnx", pytest.fail)
    marker = load_marker(small, overrides={"engine": "openvino", "precision": "bf16", "device": "cpu"})
    settings: Any = marker.model["inference"]
    assert settings["execution"]["engine"] == "openvino"
    assert len(marker(next(films.parent.rglob("*.dcm"))).boxes)

    shown = [each for each in inspect_bundle(small).codes if each.file == ONNX]
    assert [each.category for each in shown] == ["known"]
    monkeypatch.setattr("mammo_monai.bundle.packing.pack._refuse_faults", lambda *_: None)
    packed = pack_bundle(small, films.parent / "small.zip")
    assert {ONNX, f"{ONNX}.json"} <= set(packed.record.files)
    assert verify_pack(packed.path).faults == ()


def test_an_exported_model_that_was_changed_is_neither_packed_nor_called_known(
    small: Path, tmp_path: Path
) -> None:
    (small / ONNX).write_bytes(b"other")
    (small / INT8).write_bytes(b"nobody knows me")
    ExportRecord("onnx", "fp32", "0" * 64, {"model.onnx": "1" * 64}, weights_sha256="2" * 64).save(
        small / f"{ONNX}.json"
    )
    (small / f"{INT8}.json").write_text("{}")
    with pytest.raises(BundleError) as error:
        pack_bundle(small, tmp_path / "small.zip")
    for text in (
        f"{ONNX}.json is of weights {'2' * 64}, not the bundle's",
        f"{ONNX} is not as it was exported: its SHA-256 is another",
        f"{INT8}.json is not the record of an exported model",
        f"{INT8} stands in no record of an exported model",
    ):
        assert text in str(error.value)
    verdicts = {each.file: each.category for each in inspect_bundle(small).codes if each.kind == "weights"}
    assert verdicts == {ONNX: "unknown", INT8: "unknown"}


def test_int8_is_compared_by_sensitivity_and_nothing_is_sent(
    small: Path, films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket.socket, "connect", pytest.fail)
    options = ExportOptions(is_int8=True, calibration=films, check=films, output=tmp_path / "out")
    made = export_bundle(small, "openvino", options)
    assert sorted(each.name for each in (tmp_path / "out").iterdir()) == [
        "model_int8.bin",
        "model_int8.xml",
        "model_int8.xml.json",
    ]
    froc: Any = made.record.checks["froc"]
    assert [each["fppi"] for each in froc["engine"]] == [0.25, 0.5, 1.0, 2.0, 4.0]
    assert froc["n_lesions"] > 0
    assert all(each["low"] <= each["sensitivity"] <= each["high"] for each in froc["torch"])
    for path in (tmp_path / "out").iterdir():
        shutil.copy(path, small / "models")
    marker = load_marker(small, overrides={"engine": "openvino", "precision": "int8", "device": "cpu"})
    assert marker(next(films.parent.rglob("*.dcm"))).scores.max() <= 1


def test_an_engine_that_answers_otherwise_leaves_nothing_behind(
    small: Path, films: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(root: Path, model: Any, engine: str, path: Path, options: ExportOptions) -> Any:
        path.write_bytes(b"a model")

        def run(normalised: Tensor) -> list[Tensor]:
            with torch.inference_mode():
                return [each + 1 for each in model.core(normalised)]

        return run

    monkeypatch.setattr(export, "_written", wrong)
    before = sorted((small / "models").iterdir())
    killed = small / "models" / ".export.0a1b2c3d.part"  # what a killed export left
    killed.mkdir()
    (killed / "model.onnx").write_bytes(b"half")
    assert main(["bundle", "export", str(small), "--engine", "onnx", "--check", str(films)]) == 1
    error = capsys.readouterr().err
    assert "the exported model is not kept: maps differ by" in error
    assert "of the boxes are matched at IoU 0.95" in error
    assert sorted((small / "models").iterdir()) == before


def test_int8_that_loses_lesions_is_refused() -> None:
    point = {"fppi": 0.5, "sensitivity": 0.8, "low": 0.7, "high": 0.9}
    checks = {"boxes": {}, "maps": [], "froc": {"torch": [point], "engine": [{**point, "sensitivity": 0.69}]}}
    lost = ExportRecord("openvino", "int8", "", {"a": ""}, checks=checks)
    assert export.faults_of(lost) == [
        "at 0.5 false positives per image it finds 0.690 of the lesions, torch 0.800 (0.700 to 0.900)."
    ]
    checks["froc"] = {"torch": [point], "engine": [{**point, "sensitivity": 0.7}]}
    assert export.faults_of(ExportRecord("openvino", "int8", "", {"a": ""}, checks=checks)) == []


def test_what_int8_needs_is_said_before_anything_is_built(small: Path, films: Path) -> None:
    with pytest.raises(BundleError, match="made for engine openvino, not onnx"):
        export_bundle(small, "onnx", ExportOptions(is_int8=True, calibration=films))
    with pytest.raises(BundleError, match="give --calibration MANIFEST"):
        export_bundle(small, "openvino", ExportOptions(is_int8=True))
