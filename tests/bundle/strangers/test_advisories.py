"""Each attack of the advisories on MONAI and torch, tried at this package's own doors.

Each test is named after its advisory; docs/how-to/strangers-bundles.md tells what they are.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from mammo_monai.bundle import UntrustedBundleError, admitted, pull_bundle, run_bundle, verify_pack
from mammo_monai.bundle.packing.bundle_files import open_bundle
from mammo_monai.bundle.packing.pack import pack_bundle
from mammo_monai.bundle.packing.weight_faults import header_faults, pickle_faults
from mammo_monai.errors import BundleError, WeightsError
from mammo_monai.networks import read_weights
from tests.bundle.packs import publish_tiny, unzipped, zipped
from tests.bundle.strangers.attacks import stranger


class Touch:
    """Leaves a marker when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.marker}",)


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "marker"


def refused(tmp_path: Path, marker: Path, content: object) -> str:
    """The gate's words on a configuration."""
    with pytest.raises(UntrustedBundleError) as caught:
        admitted(stranger(tmp_path, content, marker))
    assert not marker.exists()
    return str(caught.value)


@pytest.mark.parametrize("name", ["../../escaped", "/tmp/escaped", "b/../../escaped", "b\\..\\..\\escaped"])
def test_cve_2025_58755_a_zip_writes_nothing_outside(name: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    pack = zipped(tmp_path / "in" / "x.zip", {name: b"x"})
    for door in (verify_pack, lambda path: pull_bundle(str(path), tmp_path / "in" / "bundles")):
        with pytest.raises(BundleError, match="Do not unpack it"):
            door(pack)
    assert not list(tmp_path.rglob("escaped"))


def test_cve_2026_21851_nor_a_pack_that_was_changed(tmp_path: Path, bundle: Path) -> None:
    publish_tiny(bundle)
    files = unzipped(pack_bundle(bundle, tmp_path / "p.zip").path)
    changed = zipped(tmp_path / "q.zip", {**files, "light/../../escaped": b"x"})
    with pytest.raises(BundleError, match="leads out of the folder"):
        pull_bundle(str(changed), tmp_path / "bundles")
    assert not list(tmp_path.rglob("escaped"))
    assert not (tmp_path / "bundles" / "light").exists()


@pytest.mark.parametrize("protocol", [2, 4])
def test_cve_2025_58756_weights_that_are_a_pickle_run_nothing(
    protocol: int, tmp_path: Path, marker: Path
) -> None:
    path = tmp_path / "b" / "models" / "model.pt"
    path.parent.mkdir(parents=True)
    torch.save({"a": torch.ones(1), "b": Touch(marker)}, path, pickle_protocol=protocol)
    with pytest.raises(WeightsError):
        read_weights(path)
    with open_bundle(tmp_path / "b") as files:
        assert pickle_faults(files, "models/model.pt")
    text = refused(tmp_path, marker, {"x": {"_target_": "CheckpointLoader", "load_path": "models/model.pt"}})
    assert "CheckpointLoader" in text


def test_cve_2025_58757_no_data_set_or_loader_unpickles(tmp_path: Path, marker: Path) -> None:
    collating = {"_target_": "monai.data.utils.pickle_operations", "data": {"a_op": pickle.dumps(0).hex()}}
    assert "pickle_operations" in refused(tmp_path, marker, {"x": collating})


def test_cve_2026_100846_no_algorithm_is_unpickled(tmp_path: Path, marker: Path) -> None:
    file = tmp_path / "algo.pkl"
    file.write_bytes(pickle.dumps(Touch(marker)))
    content = {"x": {"_target_": "monai.auto3dseg.algo_from_pickle", "pkl_filename": str(file)}}
    assert "algo_from_pickle" in refused(tmp_path, marker, content)


def test_cve_2026_100846_a_pickle_in_a_bundle_is_told(tmp_path: Path, marker: Path) -> None:
    root = stranger(tmp_path, {"run": ["$1"]}, marker)
    (root / "algo.pkl").write_bytes(pickle.dumps(Touch(marker)))
    with pytest.raises(UntrustedBundleError, match=r"algo\.pkl"):
        run_bundle(root, "train", "run", {})
    assert not marker.exists()


def test_ghsa_873f_pvrv_4x83_a_bundle_is_inspected_before_it_is_parsed(tmp_path: Path, marker: Path) -> None:
    content = {"network_def": {"_target_": "os.system", "command": f"touch {marker}"}}
    assert "network_def#_target_: os.system" in refused(tmp_path, marker, content)


def test_ghsa_x6pr_233j_x5cw_what_initialises_is_inspected_too(tmp_path: Path, marker: Path) -> None:
    content = {"initialize": [f"$open('{marker}', 'w')"], "run": ["$1"]}
    root = stranger(tmp_path, content, marker)
    with pytest.raises(UntrustedBundleError, match="initialize#0"):
        run_bundle(root, "train", "run", {})
    assert not marker.exists()


def test_ghsa_wvpx_5qmp_46g3_logging_runs_no_code(tmp_path: Path, marker: Path) -> None:
    attack = f"[handler_x]\nclass=StreamHandler\nargs=(open('{marker}', 'w'),)\n[formatter_f]\n"
    root = stranger(tmp_path, {"run": ["$1"]}, marker, logging=attack)
    with pytest.raises(UntrustedBundleError, match=r"logging\.conf, handler_x#args"):
        run_bundle(root, "train", "run", {})
    with pytest.raises(BundleError, match="trust does not allow it"):
        run_bundle(root, "train", "run", {}, is_trusted=True)
    assert not marker.exists()


def test_pysec_2026_4017_shapes_in_metadata_are_never_evaluated(tmp_path: Path, marker: Path) -> None:
    root = stranger(tmp_path, {"x": 1, "run": ["$1 + 1"]}, marker)
    shape = f"[].__class__.__base__.__subclasses__()[0] or open('{marker}', 'w')"
    inputs = {"image": {"type": "image", "format": "magnitude", "spatial_shape": [shape, shape]}}
    metadata = {"version": "0.1.0", "network_data_format": {"inputs": inputs}}
    (root / "configs" / "metadata.json").write_text(json.dumps(metadata))
    run_bundle(root, "train", "run", {})
    assert not marker.exists()


@pytest.mark.parametrize(
    "target",
    [
        "monai.apps.nnunet.nnUNetV2Runner",
        "monai.apps.nnunet.nnunetv2_runner.nnUNetV2Runner",
        "nnUNetV2Runner",
    ],
)
def test_cve_2026_100844_and_109361_no_runner_of_commands_is_built(
    target: str, tmp_path: Path, marker: Path
) -> None:
    content = {"x": {"_target_": target, "input_config": {"dataset_name_or_id": f"1; touch {marker}"}}}
    assert "nnUNetV2Runner" in refused(tmp_path, marker, content)


@pytest.mark.parametrize("name", ["SEResNet50", "SENet154", "DenseNet121", "EfficientNetBN", "HoVerNet"])
def test_cve_2026_109360_no_network_that_fetches_weights_is_built(
    name: str, tmp_path: Path, marker: Path
) -> None:
    content = {"x": {"_target_": f"monai.networks.nets.{name}", "pretrained": True}}
    assert name in refused(tmp_path, marker, content)


def test_cve_2025_32434_and_2026_24747_torch_is_newer_than_both(tmp_path: Path, marker: Path) -> None:
    major, minor = (int(part) for part in torch.__version__.split(".")[:2])
    assert (major, minor) >= (2, 10), (
        "torch.load(weights_only=True) ran code before 2.6, and broke before 2.10"
    )
    # The tar format of old: the way of the first of them.
    path = tmp_path / "old.pt"
    buffer = io.BytesIO()
    torch.save({"a": Touch(marker)}, buffer, _use_new_zipfile_serialization=False)
    path.write_bytes(buffer.getvalue())
    with pytest.raises(WeightsError):
        read_weights(path)
    assert not marker.exists()


@pytest.mark.parametrize(
    "header",
    [
        {"a": {"dtype": "F32", "shape": [2**62, 4], "data_offsets": [0, 4]}},
        {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 2**63]}},
        {"a": {"dtype": "F32", "shape": [1], "data_offsets": [2, 6]}},
        {
            "a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
            "b": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
        },
    ],
)
def test_safetensors_audit_offsets_that_lie_are_refused(header: object, tmp_path: Path) -> None:
    text = json.dumps(header).encode()
    path = tmp_path / "b" / "x.safetensors"
    path.parent.mkdir()
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"\0" * 4)
    with open_bundle(tmp_path / "b") as files:
        assert header_faults(files, "x.safetensors")
    with pytest.raises(WeightsError, match=r"x\.safetensors"):
        read_weights(path)


def test_a_tar_is_never_taken_for_a_pack(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with tarfile.open(path, "w") as archive:
        archive.add(__file__, "b/configs/train.json")
    with pytest.raises(BundleError, match="not a whole zip file"):
        verify_pack(path)


def entry(name: str, content: bytes = b"x", *, mode: int = 0) -> tuple[zipfile.ZipInfo, bytes]:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info, content


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([entry("b/x"), entry("b/X")], "entries of one name"),
        ([entry("b/x"), entry("b/x")], "entries of one name"),
        ([entry("b/x"), entry("b/x/y")], "entries of one name"),
        ([entry("b/\N{LATIN SMALL LIGATURE FI}"), entry("b/fi")], "entries of one name"),
        ([entry("b/l", b"/etc/passwd", mode=0o120777)], "is a link or a device"),
        ([entry("b/p", mode=0o010644)], "is a link or a device"),
        ([entry("b/CON.json")], "not a file name on every system"),
        ([entry("b/x. ")], "not a file name on every system"),
        ([entry("C:/x")], "is an absolute path"),
        ([entry("b/a:stream")], "backslash or a colon"),
        ([entry("b/\u202ex")], "control or invisible"),
        ([entry("b/" + "x" * 300)], "longer than"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_archives_of_strangers_are_refused_before_anything_is_unpacked(
    entries: list[tuple[zipfile.ZipInfo, bytes]], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for info, content in entries:
            archive.writestr(info, content)
    with pytest.raises(BundleError, match=message):
        pull_bundle(str(path), tmp_path / "bundles")
    assert not (tmp_path / "bundles" / "b").exists()


def test_a_list_of_a_million_entries_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry, n = b"PK\1\2" + bytes(24) + b"\1" + bytes(17) + b"a", 50_000  # one after the other: 2.35 MB
    end = b"PK\5\6" + bytes(4) + 2 * (n % 65536).to_bytes(2, "little")
    end += (len(entry) * n).to_bytes(4, "little") + bytes(6)
    path = tmp_path / "x.zip"
    path.write_bytes(entry * n + end)
    monkeypatch.setattr(zipfile, "ZipInfo", None)  # not one is made
    with pytest.raises(BundleError, match=r"a list of entries of 2\.35 MB, expected at most 2\.00 MB"):
        verify_pack(path)


def test_a_bomb_is_refused_by_what_it_would_become(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("b/pack.json", b" " * 60_000_000)
    assert path.stat().st_size < 100_000
    with pytest.raises(BundleError, match=r"expected at most 4\.00 MB"):
        verify_pack(path)
