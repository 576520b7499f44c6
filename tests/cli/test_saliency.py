"""The verb on a bundle whose model and data set are small, so that only the wiring is under test."""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mammo_monai.bundle import trust_bundle
from mammo_monai.bundle.trust import snapshot_of
from mammo_monai.cli import saliency
from mammo_monai.inference.saliency import METHODS
from mammo_monai.records import Detections
from mammo_monai.schema import write_detections
from tests.inference.fakes import sample_of
from tests.inference.saliency_networks import noisy_image

CONFIG: dict[str, Any] = {
    "input": None,
    "split": None,
    "device": "cpu",
    "weights": "own",
    "seed": 0,
    "detector": {"_target_": "tests.inference.saliency_networks.small_detector", "seed": "@seed"},
    "inferer": {"_target_": "mammo_monai.inference.make_inferer", "detector": "@detector", "mode": "full"},
    "dataset": {"_target_": "tests.cli.test_saliency.film_set", "path": "@input"},
    "model": {"weights_sha256": "@weights"},
}


def film_set(path: str) -> list[Mapping[str, Any]]:
    return [sample_of(noisy_image(), "0123456789abcdef", image_path=path)]


def parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    saliency.add_parser(parser.add_subparsers())
    found, overrides = parser.parse_known_args(["saliency", *arguments])
    found.overrides = overrides
    return found


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    (tmp_path / "small" / "configs").mkdir(parents=True)
    (tmp_path / "small" / "configs" / "inference.json").write_text(json.dumps(CONFIG))
    trust_bundle(snapshot_of(tmp_path / "small"), "made by this test")
    film = tmp_path / "film.png"
    Image.fromarray((noisy_image()[0].numpy() * 255).astype(np.uint8)).save(film)
    return [str(film), "--bundle", str(tmp_path / "small"), "-o", str(tmp_path / "out"), "--top", "1"]


def test_the_verb_writes_maps_and_says_where(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = saliency.run(parsed([*arguments, "--method", "guided_backprop", "--seed", "1"]))
    assert code == 0
    page = tmp_path / "out" / "index.html"
    assert capsys.readouterr().out == f"{page}: 1 image, 1 map, 0 of them kept\n"
    (note,) = (json.loads(path.read_text()) for path in (tmp_path / "out").glob("*_1.json"))
    assert note["method"] == "guided_backprop"
    assert note["model"] == {"bundle": "small", "weights_sha256": "own"}


def test_marks_of_a_file_are_explained_and_checked(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = saliency.run(parsed(arguments))
    (note,) = (json.loads(path.read_text()) for path in (tmp_path / "out").glob("*_1.json"))
    marks = Detections(
        "0123456789abcdef", np.array([note["box"]]), np.array([0.125]), np.zeros(1, dtype=np.int64)
    )
    write_detections(tmp_path / "marks.json", [marks], {})
    again = saliency.run(parsed([*arguments, "--detections", str(tmp_path / "marks.json"), "--check", "1"]))
    assert made == again == 0
    assert "of 1 finding checked (mean rank agreement" in capsys.readouterr().out
    (note,) = (json.loads(path.read_text()) for path in (tmp_path / "out").glob("*_1.json"))
    assert note["score"] == 0.125
    assert (tmp_path / "out" / "sanity.json").is_file()


def test_the_verb_offers_every_method() -> None:
    assert set(saliency.METHODS) == set(METHODS)
