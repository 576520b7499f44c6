"""The bundles of whole-image classifiers: sound, of one family, a chain that trains, predicts and scores."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from mammo_monai.bundle import check_bundle, find_bundle, run_bundle
from mammo_monai.bundle.sync import family_of, unsynchronised
from mammo_monai.schema import read_detections, read_metrics

FILMS, DIGITAL = "cbis_whole_image_classifier", "inbreast_whole_image_classifier"
NETWORK = {
    "size_px": 64,
    "network_def#backbone": "resnet18",
    "network_def#patch_px": 32,
    "network_def#top_widths": [8],
}
SMALL = {**NETWORK, "epochs": 2, "top_epochs": 1, "batch_size": 4}


def configuration(name: str, file: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((find_bundle(name) / "configs" / file).read_text())
    return content


@pytest.mark.parametrize("name", [FILMS, DIGITAL])
def test_each_is_without_faults_and_tells_what_it_trains(name: str) -> None:
    assert check_bundle(find_bundle(name)) == []
    train, inference = configuration(name, "train.json"), configuration(name, "inference.json")
    lineage = configuration(name, "metadata.json")["lineage"]
    assert [lineage[part] for part in ("init", "freeze", "learning_rate")] == [
        train[part] for part in ("init", "freeze", "learning_rate")
    ]
    for part in ("network_def", "classifier", "recipe", "preset", "size_px", "intensity", "region"):
        assert inference[part] == train[part], part
    assert configuration(name, "evaluate.json")["predictor"]["inferer"] == inference["inferer"]


def test_both_are_one_family() -> None:
    assert {family_of(find_bundle(name)) for name in (FILMS, DIGITAL)} == {"whole_image_classifier"}
    assert unsynchronised(find_bundle(FILMS), [find_bundle(DIGITAL)]) == []


def test_the_chain_learns_from_classes_alone_and_scores_images(manifest: Path, tmp_path: Path) -> None:
    for name in (FILMS, DIGITAL):
        shutil.copytree(find_bundle(name), tmp_path / name, ignore=shutil.ignore_patterns("eval"))
    given = {**SMALL, "manifest": str(manifest)}
    run_bundle(tmp_path / FILMS, "train", "training", {**given, "init": "none"})
    assert (tmp_path / FILMS / "models" / "model.safetensors").is_file()
    # From the films' weights, which lie beside, on one patient.
    run_bundle(tmp_path / DIGITAL, "train", "training", {**given, "max_patients": 1})
    run_bundle(tmp_path / DIGITAL, "train", "evaluating", given, overlays=["evaluate.json"])
    scored = read_detections(tmp_path / DIGITAL / "eval" / "detections.json")
    assert all(each.image_score is not None and not len(each.boxes) for each in scored.detections)
    metrics = read_metrics(tmp_path / DIGITAL / "eval" / "metrics.json")
    assert metrics["no_boxes"]
    assert (metrics["units"]["score"], metrics["units"]["positive"]) == ("image_score", "malignant")
    assert metrics["rule"]["positive"] == "malignant"
    output = tmp_path / "all.json"
    given = {**NETWORK, "input": str(manifest), "output": str(output)}
    run_bundle(tmp_path / DIGITAL, "inference", "inference", given)
    every = {each.record_id: each.image_score for each in read_detections(output).detections}
    for each in scored.detections:
        assert every[each.record_id] == pytest.approx(each.image_score)
