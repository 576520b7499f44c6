"""Exported models on disk: used for their own weights, made anew where damaged, safe for two at once."""

from __future__ import annotations

import logging
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from mammo_monai.errors import WeightsError
from mammo_monai.files import sha256_of
from mammo_monai.inference.runtimes import model_cache, note_exported_models, on_engine
from mammo_monai.inference.runtimes.cores import Run, core_of, torch_run
from mammo_monai.inference.runtimes.exported import (
    ExportRecord,
    exported_model,
    fault_of,
    network_sha256,
    read_record,
    record_path,
)
from mammo_monai.inference.runtimes.model_cache import cached_onnx
from mammo_monai.inference.runtimes.onnx_export import check_equal
from mammo_monai.inference.runtimes.onnx_session import onnx_run
from mammo_monai.inference.runtimes.openvino_model import openvino_run
from mammo_monai.networks import MammoRetinaNet, retinanet_network
from mammo_monai.networks.detector import MammoRetinaNetDetector


@pytest.fixture
def cached(network: MammoRetinaNet, cache: Path) -> Path:
    assert cache.is_dir()
    return cached_onnx(network, core_of(network), onnx_run)


@pytest.fixture
def beside(network: MammoRetinaNet, cached: Path, tmp_path: Path) -> Path:
    """A copy of the exported model where the network's weights would lie."""
    for path in (cached, record_path(cached)):
        shutil.copy(path, tmp_path)
    note_exported_models(network, tmp_path)
    return tmp_path / cached.name


def test_a_network_is_exported_once(
    network: MammoRetinaNet, cached: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_cache, "write_onnx", pytest.fail)
    assert cached_onnx(network, core_of(network), onnx_run) == cached
    assert read_record(record_path(cached)).network_sha256 == network_sha256(network)


def test_the_hash_is_that_of_tensors_and_settings_not_of_their_layout(network: MammoRetinaNet) -> None:
    before = network_sha256(network)
    torch.manual_seed(0)
    again = retinanet_network("resnet18", fpn_channels=16, head_norm="gn8").to(
        memory_format=torch.channels_last
    )
    assert network_sha256(again) == before
    with torch.no_grad():
        again.classification_head.cls_logits.bias[0] += 1e-3
    assert network_sha256(again) != before


@pytest.mark.parametrize("fault", ["cut", "no record", "record cut"])
def test_a_damaged_one_of_the_cache_is_exported_again(
    network: MammoRetinaNet,
    cached: Path,
    fault: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    content = cached.read_bytes()
    monkeypatch.setattr(model_cache, "write_onnx", lambda _, path: path.write_bytes(content))
    if fault == "cut":
        cached.write_bytes(content[:-100])
    elif fault == "no record":
        record_path(cached).unlink()
    else:
        record_path(cached).write_text("{")
    with caplog.at_level(logging.WARNING):
        assert cached_onnx(network, core_of(network), onnx_run) == cached
    assert "It is exported again." in caplog.text
    assert fault_of(cached, network_sha256(network)) is None
    assert [each.name for each in cached.parent.parent.iterdir()] == [cached.parent.name]


def test_of_two_at_once_one_stays_and_both_can_use_it(
    network: MammoRetinaNet, cached: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = cached.read_bytes()
    monkeypatch.setenv("MAMMO_MONAI_CACHE", str(tmp_path))
    monkeypatch.setattr(model_cache, "write_onnx", lambda _, path: path.write_bytes(content))

    def late(path: Path) -> Run:
        barrier.append(path)
        while len(barrier) < 2:  # both have exported before either puts its folder in place
            pass
        return torch_run(core_of(network))

    barrier: list[Path] = []
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda _: cached_onnx(network, core_of(network), late), range(2)))
    assert found[0] == found[1]
    assert fault_of(found[0], network_sha256(network)) is None
    assert len(list((tmp_path / "engines").iterdir())) == 1


def test_a_file_that_answers_otherwise_than_torch_is_not_kept(
    network: MammoRetinaNet, cached: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = cached.read_bytes()
    monkeypatch.setenv("MAMMO_MONAI_CACHE", str(tmp_path))
    monkeypatch.setattr(model_cache, "write_onnx", lambda _, path: path.write_bytes(content))

    def wrong(_: Path) -> Run:
        return lambda normalised: [each * 1.01 for each in core_of(network)(normalised)]

    with pytest.raises(WeightsError, match=r"maps differ from torch's by 0\.01 of their largest number"):
        cached_onnx(network, core_of(network), wrong)
    assert list((tmp_path / "engines").iterdir()) == []
    with pytest.raises(WeightsError, match="by nan"):
        check_equal(core_of(network), lambda x: [each * float("nan") for each in core_of(network)(x)], "x")


def test_a_model_beside_the_weights_is_used(
    detector: MammoRetinaNetDetector, network: MammoRetinaNet, beside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mammo_monai.inference.runtimes.seam.cached_onnx", pytest.fail)
    assert exported_model(network, "onnx") == beside
    on_engine(detector, "onnx")
    on_engine(detector, "openvino", "bf16")


@pytest.mark.parametrize("fault", ["other weights", "other file", "changed", "no record", "file missing"])
def test_a_model_beside_the_weights_that_is_not_of_them_is_left_alone(
    network: MammoRetinaNet, beside: Path, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    if fault == "other weights":
        record = read_record(record_path(beside))
        ExportRecord(**{**vars(record), "network_sha256": "0" * 64}).save(record_path(beside))
    elif fault == "other file":  # whose hash is right
        record = read_record(record_path(beside))
        other = beside.with_name("other.onnx")
        other.write_bytes(beside.read_bytes())
        ExportRecord(**{**vars(record), "files": {other.name: sha256_of(other)}}).save(record_path(beside))
    elif fault == "changed":
        beside.write_bytes(beside.read_bytes() + b"x")
    elif fault == "no record":
        record_path(beside).unlink()
    else:
        beside.unlink()
    with caplog.at_level(logging.WARNING):
        assert exported_model(network, "onnx") is None
    assert "It is not used. Export again with `mammo-monai bundle export`." in caplog.text


def test_int8_without_an_exported_model_names_the_command(
    detector: MammoRetinaNetDetector, beside: Path
) -> None:
    assert beside.is_file()
    with pytest.raises(WeightsError, match="bundle export BUNDLE --engine openvino --int8 --calibration"):
        on_engine(detector, "openvino", "int8")


@pytest.mark.parametrize(
    "text", ["[]", '{"schema": "other"}', "{", '{"schema": "mammo-monai/exported-model/1"}']
)
def test_a_file_that_is_no_record_is_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "model.onnx.json"
    path.write_text(text)
    with pytest.raises(WeightsError, match="not the record of an exported model"):
        read_record(path)


@pytest.mark.parametrize("opened", [onnx_run, lambda path: openvino_run(path, "fp32")])
def test_a_file_that_is_no_model_is_told(tmp_path: Path, opened: object) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"no model")
    with pytest.raises(WeightsError, match=r"cannot read it: .* Export it again"):
        opened(path)  # type: ignore[operator]
    assert sha256_of(path)
