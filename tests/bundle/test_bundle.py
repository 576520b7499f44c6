"""Finding, checking and synchronising bundles, and where their weights come from."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from mammo_monai.bundle import bundle_names, check_bundle, find_bundle, initialised_network, parse_overrides
from mammo_monai.bundle.check import metadata_faults
from mammo_monai.bundle.lineage import model_description, resolve_init, training_lineage
from mammo_monai.bundle.sync import (
    DECLARED_VALUES,
    family_of,
    format_config,
    synchronise,
    synchronise_named,
    unsynchronised,
)
from mammo_monai.errors import BundleError, WeightsError
from mammo_monai.networks import retinanet_network, training_settings
from mammo_monai.networks.weights import save_weights

STAGE_1, STAGE_2 = "coco_to_cbis_mass_retinanet", "cbis_to_inbreast_mass_retinanet"
ONE_STAGE = "coco_to_inbreast_mass_retinanet"
LIGHT_1, LIGHT_2 = "cbis_mass_detection", "inbreast_mass_detection"
FAMILIES = {
    "retinanet_resnet50": (STAGE_1, STAGE_2, ONE_STAGE),
    "retinanet_efficientnet_lite0": (LIGHT_1, LIGHT_2),
    "faster_rcnn_resnet50": ("coco_to_cbis_mass_faster_rcnn", "cbis_to_inbreast_mass_faster_rcnn"),
    "patch_classifier": ("cbis_patch_classifier", "inbreast_patch_classifier"),
    "whole_image_classifier": ("cbis_whole_image_classifier", "inbreast_whole_image_classifier"),
}
BUNDLES = [name for names in FAMILIES.values() for name in names]
SHIPPED = Path(__file__).parents[2] / "bundles"
RECIPE = {"preset": "full_image", "size_px": 600}


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of the second stage's bundle, away from its siblings."""
    return Path(shutil.copytree(find_bundle(STAGE_2), tmp_path / "elsewhere" / "my_stage"))


def configuration(name: str, file: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((SHIPPED / name / "configs" / file).read_text())
    return content


def test_no_bundle_is_left_out_of_these_tests() -> None:
    assert sorted(path.parent.name for path in SHIPPED.glob("*/configs")) == sorted(BUNDLES)


@pytest.mark.parametrize("name", BUNDLES)
def test_every_bundle_is_without_faults(name: str) -> None:
    assert check_bundle(SHIPPED / name) == []


@pytest.mark.parametrize("family", FAMILIES)
def test_the_bundles_of_a_family_share_their_wiring(family: str) -> None:
    first, *others = [SHIPPED / name for name in FAMILIES[family]]
    assert {family_of(root) for root in (first, *others)} == {family}
    assert unsynchronised(first, others) == []


@pytest.mark.parametrize("name", BUNDLES)
def test_a_bundle_predicts_with_the_network_the_model_and_the_images_it_trains(name: str) -> None:
    train, inference = configuration(name, "train.json"), configuration(name, "inference.json")
    for part in ("recipe", "size_px", "intensity", "region", "score_threshold", "patch_px"):
        assert inference.get(part) == train.get(part), part
    counted = {"num_classes"}  # patches: what the plan of the training counts, inference is told
    assert _without(inference["network_def"], counted) == _without(train["network_def"], counted)
    preset = train["preset"]
    assert inference["preset"] == (train["views"] if preset == "@views" else preset)
    model = "detector" if "detector" in train else "classifier"
    chosen_by_training = {"positive_iou", "negative_iou", "box_loss"}
    assert _without(inference[model], chosen_by_training) == _without(train[model], chosen_by_training)


def _without(content: dict[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in content.items() if name not in names}


@pytest.mark.parametrize("name", FAMILIES["retinanet_efficientnet_lite0"])
def test_evaluation_shows_images_to_the_detector_as_inference_does(name: str) -> None:
    evaluate, inference = configuration(name, "evaluate.json"), configuration(name, "inference.json")
    for part in ("weights", "mode", "test_time", "precision"):
        assert evaluate[part] == inference[part], part
    assert evaluate["predictor"]["inferer"] == inference["inferer"]


@pytest.mark.parametrize("name", BUNDLES)
def test_the_metadata_tell_what_the_training_does(name: str) -> None:
    train, lineage = configuration(name, "train.json"), configuration(name, "metadata.json")["lineage"]
    for part in ("init", "freeze", "learning_rate"):
        assert lineage[part] == train[part], part
    assert lineage["parent"] == (train["init"] if train["init"] in BUNDLES else None)


def test_a_bundle_that_ships_weights_trains_beside_them() -> None:
    for name in BUNDLES:
        tracked = f"!bundles/{name}/models/model.safetensors" in (SHIPPED.parent / ".gitignore").read_text()
        folder = configuration(name, "train.json")["output_dir"]
        assert folder == f"$@bundle_root + '/{'training' if tracked else 'models'}'", name


def test_a_bundle_is_found_by_path_by_name_here_and_by_name_shipped(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_bundle(copied) == copied
    shutil.copytree(copied, copied.parent.parent / "bundles" / "local")
    monkeypatch.chdir(copied.parent.parent)
    assert find_bundle("local") == copied.parent.parent / "bundles" / "local"
    assert find_bundle(STAGE_1).name == STAGE_1
    assert {"local", STAGE_1} <= set(bundle_names())


def test_an_unknown_bundle_is_an_error_that_lists_the_known(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=rf"'nothing' not found.*{STAGE_1}"):
        find_bundle("nothing")


def test_faults_are_named(copied: Path) -> None:
    (copied / "LICENSE").unlink()
    train = copied / "configs" / "train.json"
    content = json.loads(train.read_text())
    del content["detector"]
    content["extra"] = "$lambda x: x"
    train.write_text(json.dumps(content, indent=8))
    (copied / "configs" / "evaluate.json").write_text("{")
    faults = "\n".join(check_bundle(copied))
    for words in (
        "LICENSE is missing",
        "'detector' or 'classifier' is missing",
        "expected at most 90",
        "a lambda",
        "not JSON",
    ):
        assert words in faults


def test_metadata_must_say_that_it_does_not_diagnose(copied: Path) -> None:
    metadata = json.loads((copied / "configs" / "metadata.json").read_text())
    assert metadata_faults(metadata) == []
    metadata["intended_use"] = "Diagnoses cancer."
    del metadata["network_data_format"]["outputs"]["pred"]
    faults = "\n".join(metadata_faults(metadata))
    assert "intended_use" in faults
    assert "network_data_format/outputs: 'pred'" in faults


def test_sync_rewrites_wiring_and_keeps_declared_values(copied: Path) -> None:
    train = copied / "configs" / "train.json"
    content = json.loads(train.read_text())
    content["val_interval"], content["learning_rate"] = 9, 0.5
    train.write_text(json.dumps(content))
    assert "learning_rate" in DECLARED_VALUES
    assert synchronise(find_bundle(STAGE_1), [copied]) == [train]
    mended = json.loads(train.read_text())
    assert (mended["val_interval"], mended["learning_rate"], mended["init"]) == (1, 0.5, STAGE_1)
    assert unsynchronised(find_bundle(STAGE_1), [copied]) == []


def test_sync_refuses_bundles_of_two_families(copied: Path) -> None:
    before = (copied / "configs" / "train.json").read_bytes()
    with pytest.raises(
        BundleError, match=rf"{LIGHT_1} is of retinanet_efficientnet_lite0, my_stage of retin"
    ):
        synchronise_named([LIGHT_1, str(copied)])
    assert (copied / "configs" / "train.json").read_bytes() == before


def test_the_format_is_a_fixed_point_of_itself() -> None:
    files = ("train.json", "evaluate.json", "inference.json", "multi_gpu_train.json")
    for path in (SHIPPED / bundle / "configs" / name for bundle in BUNDLES for name in files):
        text = path.read_text(encoding="utf-8")
        assert format_config(json.loads(text)) == text, path
        assert max(map(len, text.splitlines())) <= 120, path


def test_overrides_are_pairs() -> None:
    assert parse_overrides(["--a=1", "--b", "[1, 2]", "--c", "true", "--d", "-1"]) == {
        "a": 1,
        "b": [1, 2],
        "c": True,
        "d": -1,
    }
    with pytest.raises(BundleError, match="'stray' without an id"):
        parse_overrides(["stray"])
    with pytest.raises(BundleError, match="--a needs a value"):
        parse_overrides(["--a", "--b", "1"])


def test_init_finds_the_parent_beside_the_bundle(copied: Path) -> None:
    network = retinanet_network("resnet18", fpn_channels=8)
    parent = copied.parent / STAGE_1
    shutil.copytree(find_bundle(STAGE_1), parent, ignore=shutil.ignore_patterns("models"))
    with pytest.raises(WeightsError, match=rf"{STAGE_1} has no weights at .*Train it first"):
        resolve_init(STAGE_1, copied)
    save_weights(network, parent / "models" / "model.safetensors", {"freeze": "all"})
    assert resolve_init(STAGE_1, copied) == parent / "models" / "model.safetensors"
    other = retinanet_network("resnet18", fpn_channels=8)
    started = initialised_network(other, STAGE_1, copied)
    for name, value in network.state_dict().items():
        assert torch.equal(started.state_dict()[name], value), name


@pytest.mark.parametrize("init", ["coco", "imagenet", "none"])
def test_published_starts_are_kept_as_they_are(init: str, tmp_path: Path) -> None:
    assert resolve_init(init, tmp_path) == init


def test_an_init_that_is_nothing_says_what_it_may_be(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="expected coco, imagenet, none, a weights file or a bundle"):
        resolve_init("nothing", tmp_path)
    with pytest.raises(WeightsError, match=r"no weights file at gone\.safetensors"):
        resolve_init("gone.safetensors", tmp_path)


def test_the_lineage_names_start_data_and_settings(tmp_path: Path) -> None:
    weights, manifest = tmp_path / "parent.safetensors", tmp_path / "manifest.json"
    save_weights(retinanet_network("resnet18", fpn_channels=8), weights, {"epoch": "3"})
    manifest.write_text("{}")
    settings = training_settings(str(weights), "classifier", 1e-5)
    lineage = training_lineage(
        bundle_root=tmp_path, init=str(weights), manifest=manifest, settings=settings, seed=1, recipe=RECIPE
    )
    assert (lineage["init"], lineage["freeze"], lineage["learning_rate"]) == (
        weights.name,
        "classifier",
        "1e-05",
    )
    assert len(lineage["init_sha256"]) == len(lineage["manifest_sha256"]) == 64
    described = model_description(bundle_root=tmp_path, weights=weights, recipe=RECIPE)
    assert described["weights_sha256"] == lineage["init_sha256"]
    assert described["epoch"] == "3"


def test_weights_of_another_recipe_are_refused_with_the_remedy(tmp_path: Path) -> None:
    weights = tmp_path / "model.safetensors"
    save_weights(retinanet_network("resnet18", fpn_channels=8), weights, {"recipe": json.dumps(RECIPE)})
    model_description(bundle_root=tmp_path, weights=weights, recipe={**RECIPE, "intensity": "range"})
    with pytest.raises(BundleError, match=r"asked for is size_px 512\. Give --size_px 600\."):
        model_description(bundle_root=tmp_path, weights=weights, recipe={**RECIPE, "size_px": 512})
