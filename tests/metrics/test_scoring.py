"""`score_files`, which the bundles' configurations name, writes what `evaluate_files` returns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mammo_monai.metrics import FrocRule, evaluate_files, score_files
from mammo_monai.schema import read_manifest, read_metrics, write_manifest
from tests.reports.scene import write_scene


def test_it_writes_the_content_it_returns(tmp_path: Path) -> None:
    folder, rule = write_scene(tmp_path), FrocRule(n_bootstrap=20)
    files = (folder / "run" / "detections.json", folder / "manifest.json")
    content = score_files(str(files[0]), str(files[1]), str(folder / "m.json"), split="test", rule=rule)
    assert read_metrics(folder / "m.json") == content == evaluate_files(*files, split="test", rule=rule)


def test_images_of_other_lists_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="mammo_monai")
    folder = write_scene(tmp_path)
    manifest = folder / "manifest.json"
    whole = read_manifest(manifest)
    write_manifest(manifest, replace(whole, training=whole.test[:1], test=whole.test[1:]))
    content = score_files(folder / "run" / "detections.json", manifest, folder / "m.json", split="test")
    assert (content["n_images"], content["n_lesions"]) == (2, 0)
    assert "left out" in caplog.text
