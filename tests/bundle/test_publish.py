"""Publishing weights: half the bytes, the same detections, hashes that everything downstream checks."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mammo_monai.bundle import check_bundle, find_bundle, initialised_network, publish_bundle, weights_state
from mammo_monai.bundle import publish as publishing
from mammo_monai.bundle.half_precision import MAX_RELATIVE_CHANGE, halved, relative_change
from mammo_monai.bundle.lineage import model_description
from mammo_monai.bundle.sync import format_config
from mammo_monai.cli.main import main
from mammo_monai.errors import BundleError, ManifestError, WeightsError
from mammo_monai.files import sha256_of
from mammo_monai.networks import MammoRetinaNet, load_weights, read_weights, retinanet_network, save_weights
from mammo_monai.schema import read_operating_points

SETTINGS: dict[str, Any] = {
    "backbone": "efficientnet_lite0",
    "head_norm": "gn16",
    "fpn_channels": 16,
    "bn_eps": 0.001,
    "input_normalisation": "half",
}
RECIPE = {"preset": "fixed_portrait", "size_px": 768, "intensity": "percentile"}
LINEAGE = {
    "bundle": "light",
    "init": "imagenet",
    "init_sha256": "",
    "manifest_sha256": "b" * 64,
    "freeze": "all_but_stem",
    "learning_rate": "0.001",
    "seed": "3",
    "recipe": json.dumps(RECIPE),
    "epoch": "13",
}
FILES = ("model.safetensors", "operating_points.json", "SHA256SUMS")


def small_network(seed: int = 0) -> MammoRetinaNet:
    """The light network with few channels, one of them dead as in weights from photographs."""
    torch.manual_seed(seed)
    network = retinanet_network(**SETTINGS)
    for norm in (layer for layer in network.modules() if isinstance(layer, torch.nn.BatchNorm2d)):
        norm.running_var.uniform_(0.5, 2.0)
        norm.running_mean.uniform_(0.1, 1.0)
        norm.running_var[0] = 1e-15
    return network


def points_of(weights_sha256: str) -> dict[str, Any]:
    point = {"fppi": 0.5, "threshold": 0.4, "sensitivity": 0.7, "low": 0.6, "high": 0.8}
    return {
        "schema": "mammo-monai/operating-points/1",
        "rule": {"min_iou": 0.2},
        "n_images": 4,
        "n_lesions": 3,
        "n_patients": 2,
        "manifest_sha256": "b" * 64,
        "weights_sha256": [weights_sha256],
        "points": [point],
        "calibration": None,
    }


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A copy of the light bundle with a network of few channels and no weights."""
    ignored = shutil.ignore_patterns("models", "eval", "training")
    copy = Path(
        shutil.copytree(find_bundle("cbis_mass_detection"), tmp_path / "site" / "light", ignore=ignored)
    )
    for name in ("train.json", "inference.json"):
        path = copy / "configs" / name
        content = json.loads(path.read_text())
        content["network_def"]["fpn_channels"] = SETTINGS["fpn_channels"]
        path.write_text(format_config(content))
    edit(copy, lambda metadata: [metadata.pop(name, None) for name in ("weights_sha256", "weights_bytes")])
    return copy


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    path = tmp_path / "training" / "model.safetensors"
    save_weights(small_network(), path, LINEAGE)
    return path


@pytest.fixture
def points(tmp_path: Path, trained: Path) -> Path:
    path = tmp_path / "operating_points.json"
    path.write_text(json.dumps(points_of(sha256_of(trained))))
    return path


def edit(bundle: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = bundle / "configs" / "metadata.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def metadata_of(bundle: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((bundle / "configs" / "metadata.json").read_text())
    return content


def contents(bundle: Path) -> dict[str, bytes]:
    return {
        path.relative_to(bundle).as_posix(): path.read_bytes() for path in bundle.rglob("*") if path.is_file()
    }


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=8))
def test_no_number_of_a_vector_changes_by_more_than_a_thousandth(values: list[float]) -> None:
    before = torch.tensor(values, dtype=torch.float32)
    after = halved({"bias": before})["bias"].double().numpy()
    assert np.all(np.abs(after - before.numpy()) <= 1e-3 * np.abs(before.numpy().astype(np.float64)))


@given(st.lists(st.floats(-7e4, 7e4, width=32), min_size=4, max_size=4))
def test_no_kernel_changes_by_more_than_a_thousandth_of_its_norm(values: list[float]) -> None:
    before = torch.tensor(values, dtype=torch.float32).reshape(2, 2)
    after = halved({"weight": before})["weight"].double()
    assert float((after - before).norm()) <= 1e-3 * float(before.double().norm())


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        ([1.0, 1e-15], torch.float32),  # a variance that would become 0
        ([1.0, 7e4], torch.float32),  # beyond the largest float16, 65504
        ([[1.0, 7e4]], torch.float32),
        ([1.0, 0.0], torch.float16),
        ([[1.0, 1e-20]], torch.float16),  # a dead channel
        ([], torch.float16),
    ],
)
def test_what_float16_cannot_hold_stays_in_float32(value: list[Any], dtype: torch.dtype) -> None:
    assert halved({"x": torch.tensor(value, dtype=torch.float32)})["x"].dtype == dtype


def test_whole_numbers_stay_and_change_is_relative() -> None:
    counter = torch.tensor(7)
    assert halved({"num_batches_tracked": counter})["num_batches_tracked"] is counter
    assert relative_change(torch.tensor([2.0, 4.0]), torch.tensor([2.0, 5.0])) == 0.25
    assert MAX_RELATIVE_CHANGE > 2**-11  # what rounding alone may change


def test_published_weights_are_half_as_large_and_load_as_float32(bundle: Path, trained: Path) -> None:
    made = publish_bundle(bundle, trained)
    assert made.weights == bundle / "models" / "model.safetensors"
    assert made.n_bytes == made.weights.stat().st_size < 0.55 * trained.stat().st_size
    assert made.sha256 == sha256_of(made.weights)
    file = read_weights(made.weights)
    assert set(file.tensors) == set(small_network().state_dict())
    assert 0 < made.n_float32 < made.n_tensors == len(file.tensors)
    network = initialised_network(retinanet_network(**SETTINGS), str(made.weights), bundle)
    for name, value in small_network().state_dict().items():
        loaded = network.state_dict()[name]
        assert loaded.dtype == value.dtype, name
        assert relative_change(value, loaded) <= MAX_RELATIVE_CHANGE, name


def test_published_weights_mark_what_the_trained_ones_mark(bundle: Path, trained: Path) -> None:
    made = publish_bundle(bundle, trained)
    before, after = retinanet_network(**SETTINGS), retinanet_network(**SETTINGS)
    load_weights(before, trained)
    load_weights(after, made.weights)
    image = torch.rand((1, 1, 256, 128), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        maps = [network.eval()(image) for network in (before, after)]
    for key in ("classification", "box_regression"):
        # The finest level: the group norms of random heads blow up differences on maps of two pixels.
        one, other = maps[0][key][0], maps[1][key][0]
        # float16 rounds each weight by 5e-4 at most; some fifty layers add up to a few times that.
        assert float((one - other).norm()) <= 1e-2 * float((one - one.mean()).norm())


def test_float16_weights_take_another_epsilon_in_float32(trained: Path, bundle: Path) -> None:
    made = publish_bundle(bundle, trained)
    whole, half = (retinanet_network(**{**SETTINGS, "bn_eps": 1e-5}) for _ in range(2))
    load_weights(whole, trained)
    load_weights(half, made.weights)
    name = "feature_extractor.body.bn1.running_var"
    assert torch.allclose(half.state_dict()[name], whole.state_dict()[name], rtol=1e-3, atol=0)
    assert half.state_dict()[name].dtype == torch.float32


def test_the_metadata_tell_version_lineage_and_hash(bundle: Path, trained: Path, points: Path) -> None:
    made = publish_bundle(bundle, trained, operating_points=points, version="1.2.0")
    metadata = metadata_of(bundle)
    assert (metadata["version"], metadata["weights_sha256"], metadata["weights_bytes"]) == (
        "1.2.0",
        made.sha256,
        made.n_bytes,
    )
    assert metadata["changelog"] == {
        "0.1.0": metadata_of(find_bundle("cbis_mass_detection"))["changelog"]["0.1.0"],
        "1.2.0": f"weights of epoch 13, started from imagenet; SHA-256 {made.sha256}",
    }
    assert metadata["lineage"] == {
        "parent": None,
        "init": "imagenet",
        "parent_weights_sha256": None,
        "manifest_sha256": "b" * 64,
        "freeze": "all_but_stem",
        "learning_rate": 0.001,
        "folds": None,
        "seed": 3,
        "epoch": 13,
        "recipe": RECIPE,
        "trained_weights_sha256": sha256_of(trained),
    }
    assert check_bundle(bundle) == []
    assert weights_state(bundle) == "published 1.2.0"
    described = model_description(bundle_root=bundle, weights=made.weights, recipe=RECIPE)
    assert (described["weights_sha256"], described["trained_sha256"]) == (made.sha256, sha256_of(trained))


def test_a_parents_hash_is_kept_in_the_lineage(bundle: Path, tmp_path: Path) -> None:
    child = tmp_path / "child.safetensors"
    save_weights(small_network(), child, {**LINEAGE, "init": "parent", "init_sha256": "c" * 64})
    publish_bundle(bundle, child)
    assert metadata_of(bundle)["lineage"]["parent_weights_sha256"] == "c" * 64


def test_operating_points_are_tied_to_the_published_file(bundle: Path, trained: Path, points: Path) -> None:
    made = publish_bundle(bundle, trained, operating_points=points)
    copied = read_operating_points(bundle / "models" / "operating_points.json")
    assert copied.for_weights_sha256 == made.sha256
    assert copied.weights_sha256 == (sha256_of(trained),)
    assert copied.holds_for(made.sha256)
    sums = (bundle / "models" / "SHA256SUMS").read_text().splitlines()
    assert sums == [f"{sha256_of(bundle / 'models' / name)}  {name}" for name in FILES[:2]]


def test_publishing_again_changes_no_byte(bundle: Path, trained: Path, points: Path) -> None:
    made = publish_bundle(bundle, trained, operating_points=points)
    first = contents(bundle)
    publish_bundle(bundle, trained, operating_points=points)
    assert contents(bundle) == first
    publish_bundle(bundle, trained)  # the points that lie there are for the same weights
    assert contents(bundle) == first
    publish_bundle(bundle, made.weights)  # what is published, published again
    assert contents(bundle) == first


def test_another_process_writes_the_same_bytes(bundle: Path, trained: Path, tmp_path: Path) -> None:
    # The safetensors library writes metadata in an order that changes from process to process.
    code = (
        "import sys; from pathlib import Path\n"
        "from mammo_monai.networks.weight_files import read_weights, save_state\n"
        "file = read_weights(Path(sys.argv[1]))\n"
        "save_state(file.tensors, file.settings, Path(sys.argv[2]), file.metadata)"
    )
    copy = tmp_path / "copy.safetensors"
    subprocess.run([sys.executable, "-c", code, str(trained), str(copy)], check=True)
    assert copy.read_bytes() == trained.read_bytes()


def test_a_size_that_git_does_not_like_is_refused_unless_asked_for(
    bundle: Path, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "MAX_BYTES", 1000)
    before = contents(bundle)
    with pytest.raises(
        BundleError, match=r"MB as float16, expected at most 1\.00 kB.*large_files\.yml.*--large"
    ):
        publish_bundle(bundle, trained)
    assert contents(bundle) == before
    publish_bundle(bundle, trained, is_large_allowed=True)
    assert check_bundle(bundle) == []


@pytest.mark.parametrize(
    ("settings", "metadata", "error", "message"),
    [
        ({"fpn_channels": 32}, LINEAGE, WeightsError, r"fpn_channels: 32 in the file, 16 in the network"),
        ({}, {**LINEAGE, "recipe": '{"size_px": 512}'}, BundleError, r"trained with --size_px 512"),
    ],
)
def test_weights_that_the_bundle_cannot_use_are_refused(
    settings: dict[str, Any],
    metadata: dict[str, str],
    error: type[Exception],
    message: str,
    bundle: Path,
    tmp_path: Path,
) -> None:
    other = tmp_path / "other.safetensors"
    save_weights(retinanet_network(**{**SETTINGS, **settings}), other, metadata)
    before = contents(bundle)
    with pytest.raises(error, match=message):
        publish_bundle(bundle, other)
    assert contents(bundle) == before


def test_files_that_no_training_wrote_are_refused(bundle: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare.pth"
    torch.save(small_network().state_dict(), bare)
    with pytest.raises(WeightsError, match=r"bare\.pth: not written by a training of this package"):
        publish_bundle(bundle, bare)


def test_a_bundle_that_cannot_be_published_says_why(bundle: Path, trained: Path) -> None:
    with pytest.raises(BundleError, match=r"light: a version is three numbers such as 0\.1\.0, got '1\.0'"):
        publish_bundle(bundle, trained, version="1.0")
    inference = bundle / "configs" / "inference.json"
    content = json.loads(inference.read_text())
    content["network_def"]["backbone"] = "resnet7"
    inference.write_text(json.dumps(content))
    with pytest.raises(BundleError, match=r"light, inference\.json, id network_def: backbone must be one of"):
        publish_bundle(bundle, trained)
    inference.unlink()
    with pytest.raises(BundleError, match=r"inference\.json: is missing; it says which network"):
        publish_bundle(bundle, trained)
    (bundle / "configs" / "metadata.json").write_text("[]")
    with pytest.raises(BundleError, match=r"metadata\.json: expected a JSON object, got list"):
        publish_bundle(bundle, trained)
    (bundle / "configs" / "metadata.json").unlink()
    with pytest.raises(BundleError, match=r"metadata\.json: is missing"):
        publish_bundle(bundle, trained)


def test_operating_points_of_other_weights_are_never_left_beside_new_ones(
    bundle: Path, trained: Path, points: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    publish_bundle(bundle, trained, operating_points=points)
    before = contents(bundle)
    other = tmp_path / "other.safetensors"
    save_weights(small_network(seed=1), other, LINEAGE)
    with pytest.raises(
        BundleError, match=r"belongs to weights .* not to these .*Give --operating-points FILE"
    ):
        publish_bundle(bundle, other)
    assert contents(bundle) == before
    publish_bundle(bundle, other, operating_points=points)
    assert "measured with other weights" in caplog.text
    assert "version 0.1.0 was published with other weights before" in caplog.text
    assert check_bundle(bundle) == []


def test_damaged_operating_points_are_refused_before_anything_is_written(
    bundle: Path, trained: Path, points: Path
) -> None:
    points.write_text("{}")
    before = contents(bundle)
    with pytest.raises(ManifestError, match="operating-points/1"):
        publish_bundle(bundle, trained, operating_points=points)
    assert contents(bundle) == before


def test_a_changed_published_file_is_refused_with_both_hashes(bundle: Path, trained: Path) -> None:
    made = publish_bundle(bundle, trained)
    shutil.copy(trained, made.weights)
    found = sha256_of(trained)
    message = rf"expected SHA-256 {made.sha256} \(configs/metadata\.json\), got {found}.*--weights FILE"
    for init in (str(made.weights), "light"):  # to predict, and as the parent of a next stage
        with pytest.raises(WeightsError, match=message):
            initialised_network(retinanet_network(**SETTINGS), init, bundle)
    faults = "\n".join(check_bundle(bundle))
    assert (
        f"models/model.safetensors has SHA-256 {found}, configs/metadata.json declares {made.sha256}"
        in faults
    )
    assert "SHA256SUMS does not hold the SHA-256 of the files beside it" in faults
    elsewhere = trained.parent / "mine.safetensors"
    shutil.copy(trained, elsewhere)
    initialised_network(retinanet_network(**SETTINGS), str(elsewhere), bundle)  # one's own weights are free


def test_weights_trained_into_a_bundle_that_declares_none_are_free(bundle: Path, trained: Path) -> None:
    assert weights_state(bundle) == "no weights yet"
    (bundle / "models").mkdir()
    own = Path(shutil.copy(trained, bundle / "models" / "model.safetensors"))
    initialised_network(retinanet_network(**SETTINGS), str(own), bundle)
    assert check_bundle(bundle) == []
    assert weights_state(bundle) == "trained"


def test_check_names_published_files_that_do_not_belong_together(
    bundle: Path, trained: Path, points: Path
) -> None:
    made = publish_bundle(bundle, trained, operating_points=points)
    copied = bundle / "models" / "operating_points.json"
    copied.write_text(json.dumps({**json.loads(copied.read_text()), "for_weights_sha256": "d" * 64}))
    (bundle / "models" / "SHA256SUMS").unlink()
    faults = check_bundle(bundle)
    assert len(faults) == 2
    assert (
        f"operating_points.json is for weights {'d' * 64}, configs/metadata.json declares {made.sha256}"
        in faults[0]
    )
    assert "SHA256SUMS is missing" in faults[1]
    copied.write_text("{")
    assert "operating_points.json" in check_bundle(bundle)[0]
    made.weights.unlink()
    (fault,) = check_bundle(bundle)
    assert "model.safetensors is missing, yet configs/metadata.json declares" in fault
    assert weights_state(bundle) == "weights missing"
    (bundle / "configs" / "metadata.json").write_text("{")
    assert [fault for fault in check_bundle(bundle) if "metadata" in fault] != []


def test_the_verb_publishes_and_prints_file_size_and_hash(
    bundle: Path, trained: Path, points: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["bundle", "publish", "--bundle", str(bundle), "--weights", str(trained)]
    assert main([*words, "--operating-points", str(points), "--version", "0.2.0"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{bundle}/models/model.safetensors: version 0.2.0, ")
    assert " MB, " in first
    assert second == f"SHA-256 {metadata_of(bundle)['weights_sha256']}"
    assert sorted(path.name for path in (bundle / "models").iterdir()) == sorted(FILES)
    assert main(["bundle", "list", str(bundle)]) == 0
    assert "published 0.2.0" in capsys.readouterr().out
    assert main([*words, "--version", "two"]) == 2
    assert "three numbers" in capsys.readouterr().err
