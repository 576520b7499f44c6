"""The bundles beside RetinaNet's: copies elsewhere train, hand weights on, evaluate and predict."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from mammo_monai.bundle import check_bundle, find_bundle, run_bundle
from mammo_monai.data import manifest_path
from mammo_monai.errors import WeightsError
from mammo_monai.networks import WeightsFile, read_weights
from mammo_monai.schema import read_class_scores, read_detections, read_manifest, read_metrics

FASTER_1, FASTER_2 = "coco_to_cbis_mass_faster_rcnn", "cbis_to_inbreast_mass_faster_rcnn"
PATCH_1, PATCH_2 = "cbis_patch_classifier", "inbreast_patch_classifier"
IMAGE_1, IMAGE_2 = "cbis_whole_image_classifier", "inbreast_whole_image_classifier"
FASTER_NETWORK = {
    "size_px": 96,
    "network_def#backbone": "resnet18",
    "network_def#fpn_channels": 16,
    "network_def#representation_size": 16,
}
PATCH_NETWORK = {
    "size_px": 192,
    "patch_px": 32,
    "stride_px": 16,
    "network_def#backbone": "resnet18",
}
IMAGE_NETWORK = {
    "size_px": 64,
    "network_def#backbone": "resnet18",
    "network_def#patch_px": 32,
    "network_def#top_widths": [8],
}
FASTER = {**FASTER_NETWORK, "iterations": 2, "epochs": 1, "batch_size": 2, "scheduler#warmup_iterations": 0}
PATCH = {**PATCH_NETWORK, "epochs": 1, "batch_size": 16}


@pytest.fixture(scope="module")
def manifests(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Small phantoms with images in all three lists: films, whose lesions have a pathology, and digital."""
    cache = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAMMO_MONAI_CACHE", str(cache))
        patch.setattr("mammo_monai.data.phantoms.PIXEL_SPACING_MM", 0.8)
        films, digital = (Path(manifest_path(f"phantoms:{layout}:5")) for layout in ("cbis-ddsm", "inbreast"))
    return films, digital


@pytest.fixture(scope="module")
def manifest(manifests: tuple[Path, Path]) -> Path:
    """The digital images."""
    return manifests[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a copy of each bundle, without weights."""
    folder = tmp_path_factory.mktemp("site")
    ignored = shutil.ignore_patterns("models", "eval")
    for name in (FASTER_1, FASTER_2, PATCH_1, PATCH_2, IMAGE_1):
        shutil.copytree(find_bundle(name), folder / name, ignore=ignored)
    return folder


@pytest.fixture(scope="module")
def films(site: Path, manifests: tuple[Path, Path]) -> Path:
    """The patch classifier of films, trained."""
    given = {**PATCH, "manifest": str(manifests[0]), "init": "none", "cache_dir": str(site / "kept")}
    run_bundle(site / PATCH_1, "train", "training", given)
    return site / PATCH_1


@pytest.mark.parametrize("name", [FASTER_1, FASTER_2, PATCH_1, PATCH_2, IMAGE_1, IMAGE_2])
def test_each_is_without_faults(name: str) -> None:
    assert check_bundle(find_bundle(name)) == []


def test_faster_rcnn_goes_through_both_stages_from_a_copy(
    site: Path, manifests: tuple[Path, Path], tmp_path: Path
) -> None:
    first, second = site / FASTER_1, site / FASTER_2
    manifest = manifests[1]
    given = {**FASTER, "manifest": str(manifest)}
    with pytest.raises(WeightsError, match="Train it first"):
        run_bundle(second, "train", "training", given)
    run_bundle(first, "train", "training", {**given, "manifest": str(manifests[0]), "init": "none"})
    run_bundle(second, "train", "training", given)
    before, after = _weights(first), _weights(second)
    assert after.metadata["init_sha256"] == before.sha256
    changed = _changed(before, after)
    assert changed
    assert all(name.startswith(("rpn.head.", "roi_heads.box_")) for name in changed)
    run_bundle(second, "train", "evaluating", given, overlays=["evaluate.json"])
    assert read_metrics(second / "eval" / "metrics.json")["n_images"] == len(read_manifest(manifest).test) > 0
    output = tmp_path / "detections.json"
    values = {**FASTER_NETWORK, "input": str(manifest), "split": "test", "output": str(output)}
    run_bundle(second, "inference", "run", values)
    _assert_same_detections(output, second / "eval" / "detections.json")


def test_the_staged_overlay_of_films_trains_classes_of_type_and_pathology(
    site: Path, manifests: tuple[Path, Path], tmp_path: Path
) -> None:
    given = {**PATCH, "manifest": str(manifests[0]), "init": "none", "cache_dir": str(site / "kept")}
    given["output_dir"] = str(tmp_path)
    run_bundle(site / PATCH_1, "train", "training", given, overlays=["staged_train.json"])
    written = read_weights(tmp_path / "model.safetensors")
    assert written.metadata["freeze"] == "all x 3, all x 10, all x 37"  # init none: nothing worth freezing
    assert _tensor(written.tensors["head.classifier.weight"]).shape[0] == 5


def test_patches_go_from_films_to_digital_images_and_to_probability_maps(
    site: Path, films: Path, manifest: Path, tmp_path: Path
) -> None:
    root = site / PATCH_2
    given = {**PATCH, "manifest": str(manifest), "cache_dir": str(site / "kept")}
    run_bundle(root, "train", "training", given)
    before, after = _weights(films), _weights(root)
    assert after.metadata["init_sha256"] == before.sha256
    for name in _learnt(after, ""):  # few steps at 1e-6 change little
        torch.testing.assert_close(after.tensors[name], before.tensors[name], rtol=0, atol=1e-4)
    run_bundle(root, "train", "evaluating", given, overlays=["evaluate.json"])
    scores = read_class_scores(root / "eval" / "class_scores.json")
    assert scores.class_names == ("background", "mass")
    assert {each.class_index for each in scores.scores} == {0, 1}
    run_bundle(root, "train", "detecting", given, overlays=["evaluate.json"])
    assert read_metrics(root / "eval" / "metrics.json")["n_images"] == len(read_manifest(manifest).test)
    output = tmp_path / "detections.json"
    values = {**PATCH_NETWORK, "input": str(manifest), "split": "test", "output": str(output)}
    run_bundle(root, "inference", "run", values)
    _assert_same_detections(output, root / "eval" / "detections.json")


def test_the_whole_image_classifier_starts_from_the_patch_classifier_beside_it(
    site: Path, films: Path, manifests: tuple[Path, Path]
) -> None:
    given = {**IMAGE_NETWORK, "manifest": str(manifests[0]), "epochs": 1, "top_epochs": 1, "batch_size": 4}
    run_bundle(site / IMAGE_1, "train", "training", given)
    before, after = _weights(films), _weights(site / IMAGE_1)
    assert after.metadata["init_sha256"] == before.sha256
    assert not _changed(before, after) & set(_learnt(after))  # the patch classifier's parts are frozen so far


def test_the_staged_overlay_of_digital_images_trains_without_pathology(
    site: Path, films: Path, manifest: Path, tmp_path: Path
) -> None:
    given = {**PATCH, "manifest": str(manifest), "cache_dir": str(site / "kept"), "output_dir": str(tmp_path)}
    run_bundle(site / PATCH_2, "train", "training", given, overlays=["staged_train.json"])
    after = read_weights(tmp_path / "model.safetensors")
    assert after.metadata["freeze"] == "classifier x 3, top_and_heads x 10, all x 37"
    changed = {name for name in _changed(_weights(films), after) if name in _learnt(after, "")}
    assert changed == {"head.classifier.weight", "head.classifier.bias"}


def _learnt(weights: WeightsFile, prefix: str = "backbone.") -> list[str]:
    """Names of parameters; statistics and counters of batch norms are none."""
    found = [name for name in weights.tensors if name.startswith(prefix)]
    learnt = [name for name in found if not name.endswith(("running_mean", "running_var", "_tracked"))]
    assert learnt
    return learnt


def _weights(root: Path) -> WeightsFile:
    return read_weights(root / "models" / "model.safetensors")


def _changed(before: WeightsFile, after: WeightsFile) -> set[str]:
    """Names of tensors that are in both files with other values."""
    return {
        name
        for name, value in after.tensors.items()
        if name in before.tensors and not torch.equal(_tensor(value), _tensor(before.tensors[name]))
    }


def _tensor(value: object) -> torch.Tensor:
    assert isinstance(value, torch.Tensor)
    return value


def _assert_same_detections(one: Path, other: Path) -> None:
    ours, theirs = read_detections(one).detections, read_detections(other).detections
    assert [each.record_id for each in ours] == [each.record_id for each in theirs]
    for mine, yours in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine.boxes, yours.boxes, atol=1e-3)
        np.testing.assert_allclose(mine.scores, yours.scores, atol=1e-5)
