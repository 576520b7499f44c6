"""Publishing weights: half the bytes, the same detections, hashes that everything downstream checks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from mammo_monai.bundle import check_bundle, find_bundle, initialised_network, publish_bundle, weights_state
from mammo_monai.bundle import publish as publishing
from mammo_monai.bundle.half_precision import MAX_RELATIVE_CHANGE, relative_change
from mammo_monai.bundle.lineage import model_description
from mammo_monai.bundle.trust import admitted
from mammo_monai.cli.main import main
from mammo_monai.errors import BundleError, ManifestError, WeightsError
from mammo_monai.files import sha256_of
from mammo_monai.locks import only_writer
from mammo_monai.networks import load_weights, read_weights, retinanet_network, save_weights
from mammo_monai.parts import part_name
from mammo_monai.records import ImageRecord
from mammo_monai.schema import Manifest, read_operating_points, write_manifest
from tests.bundle.light import (
    FILES,
    LINEAGE,
    RECIPE,
    SETTINGS,
    contents,
    metadata_of,
    settled_network,
    small_network,
)


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


def test_published_weights_mark_what_the_trained_ones_mark(bundle: Path, tmp_path: Path) -> None:
    trained = tmp_path / "settled.safetensors"
    save_weights(settled_network(), trained, LINEAGE)
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
        # Random weights amplify what rounding changes: 0.02–0.03 over three seeds (bfloat16: 0.15–0.20).
        assert float((one - other).norm()) <= 0.06 * float((one - one.mean()).norm())


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


def test_the_rates_of_a_training_in_stages_are_kept(bundle: Path, tmp_path: Path) -> None:
    staged = tmp_path / "staged.safetensors"
    stages = {"freeze": "backbone, stem", "learning_rate": repr((1e-3, 1e-4))}
    save_weights(small_network(), staged, {**LINEAGE, **stages})
    publish_bundle(bundle, staged)
    assert metadata_of(bundle)["lineage"]["learning_rate"] == [0.001, 0.0001]


def test_the_lineage_tells_the_folds_of_the_trainings_manifest(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folds = {"sha256": "e" * 64, "scheme": "kfold", "fold": "1", "stage": "training"}
    manifest = tmp_path / "fold_1.json"
    film = ImageRecord(tmp_path / "film.png", "0" * 16, "p1", 12, 20, ())
    write_manifest(manifest, Manifest(training=(film,), about={"folds": folds}))
    trained, other = tmp_path / "model.safetensors", tmp_path / "other.safetensors"
    save_weights(small_network(), trained, {**LINEAGE, "manifest_sha256": sha256_of(manifest)})
    save_weights(small_network(), other, LINEAGE)
    with pytest.raises(BundleError, match=rf"fold_1\.json: not the manifest of the training.* {'b' * 64} "):
        publish_bundle(bundle, other, manifest=manifest)
    words = ["bundle", "publish", "--bundle", str(bundle), "--weights", str(trained)]
    assert main([*words, "--manifest", str(manifest)]) == 0
    assert metadata_of(bundle)["lineage"]["folds"] == folds
    publish_bundle(bundle, trained)
    assert metadata_of(bundle)["lineage"]["folds"] == folds
    publish_bundle(bundle, other)  # trained on other data, of which no folds are known
    assert metadata_of(bundle)["lineage"]["folds"] is None
    assert capsys.readouterr().out.startswith(f"{bundle}/models/model.safetensors: ")


def test_a_figure_without_interval_is_not_published(bundle: Path, tmp_path: Path) -> None:
    trained = tmp_path / "model.safetensors"
    save_weights(small_network(), trained, {**LINEAGE, "mean_sensitivity": "0.9"})
    made = publish_bundle(bundle, trained)
    assert read_weights(trained).metadata["mean_sensitivity"] == "0.9"
    assert "mean_sensitivity" not in read_weights(made.weights).metadata


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


def test_a_bundle_that_a_killed_publication_left_is_named_and_published_again(
    bundle: Path, trained: Path
) -> None:
    publish_bundle(bundle, trained)
    whole = contents(bundle)
    half = bundle / "configs" / part_name("metadata.json")
    half.write_text(json.dumps(metadata_of(bundle))[:40])
    with pytest.raises(BundleError, match=r"metadata\.json\.0+\.part\.json: unfinished: .*start a killed"):
        admitted(bundle)
    publish_bundle(bundle, trained)
    assert contents(bundle) == whole


def test_two_publications_at_once_do_not_mix(bundle: Path, trained: Path) -> None:
    """Else metadata.json of one would stand beside the other's weights."""
    models = bundle / "models"
    before = {path.name: path.read_bytes() for path in models.iterdir()} if models.is_dir() else {}
    with (
        only_writer(models / "model.safetensors", doing="publishing into the bundle"),
        pytest.raises(OSError, match=r"model\.safetensors: another process is publishing into the bundle"),
    ):
        publish_bundle(bundle, trained)
    assert ({path.name: path.read_bytes() for path in models.iterdir()} if models.is_dir() else {}) == before
    assert publish_bundle(bundle, trained).n_bytes > 0


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
