"""The verb `detections`: another toolkit's marks in, figures as by hand out, one line per error."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mammo_monai.cli.main import main
from mammo_monai.metrics import FrocRule, evaluate_files
from mammo_monai.records import Detections
from mammo_monai.schema import read_detections, read_manifest, read_metrics, write_detections
from tests.readers.foreign_detections.scene import (
    HEIGHT,
    WIDTH,
    coco_results,
    coco_truth,
    table_text,
    write_coco,
    write_films,
    write_yolo,
)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with manifest.json, results.json, truth.json, marks.csv and run/labels."""
    monkeypatch.chdir(tmp_path)
    write_films(tmp_path)
    write_coco(tmp_path, coco_results())
    (tmp_path / "marks.csv").write_text(table_text())
    write_yolo(tmp_path)
    return tmp_path


SOURCES = {
    "coco": "coco results.json --annotations truth.json",
    "csv": "csv marks.csv",
    "yolo": "yolo run/labels",
}


def call(words: str) -> int:
    return main(["detections", *shlex.split(words)])


def by_hand(here: Path, output: Path) -> None:
    """What the how-to showed before there was a command."""
    truth = json.loads((here / "truth.json").read_text())
    name_of = {image["id"]: image["file_name"] for image in truth["images"]}
    mass = next(each["id"] for each in truth["categories"] if each["name"] == "mass")
    marks: dict[str, list[Any]] = {name: [] for name in name_of.values()}
    for mark in json.loads((here / "results.json").read_text()):
        if mark["category_id"] == mass:
            x, y, width, height = mark["bbox"]
            marks[name_of[mark["image_id"]]].append((x, y, x + width, y + height, mark["score"]))
    found = []
    for record in read_manifest(here / "manifest.json").images():
        rows = np.array(marks.pop("/".join(record.image.parts[-2:])), dtype=float).reshape(-1, 5)
        found.append(Detections(record.record_id, rows[:, :4], rows[:, 4], np.zeros(len(rows), dtype=int)))
    write_detections(output, found, {"name": "their network"})


@pytest.mark.parametrize("kind", SOURCES)
def test_the_figures_are_those_of_marks_brought_by_hand(kind: str, here: Path) -> None:
    by_hand(here, here / "hand.json")
    assert call(f"{SOURCES[kind]} --manifest manifest.json -o theirs.json") == 0
    first, second = (
        evaluate_files(here / name, here / "manifest.json", rule=FrocRule(n_bootstrap=20))
        for name in ("hand.json", "theirs.json")
    )
    assert first["froc"]["points"]
    for name in ("froc", "mean_sensitivity", "average_precision", "roc", "n_detections", "n_lesions"):
        assert json.dumps(first[name]) == json.dumps(second[name])


@pytest.mark.parametrize("kind", SOURCES)
def test_it_says_what_it_wrote_and_which_command_comes_next(
    kind: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(f"{SOURCES[kind]} --manifest . --split training -o theirs.json") == 0
    lines = capsys.readouterr().out.splitlines()
    unnamed = "" if kind == "coco" else "; 1 of them the source does not name"
    assert lines[:-1] == [
        "theirs.json: 2 images, 2 marks, 2 of them masses",
        f"without a mark: 1 image, as empty entries{unnamed}",
        "left out: 2 marks on images of other lists",
    ]
    command = lines[-1].removeprefix("next: mammo-monai ")
    assert main([*shlex.split(command), "--bootstrap", "10"]) == 0
    assert read_metrics(here / "metrics.json")["n_images"] == 2


def test_what_was_changed_and_left_out_is_counted(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = coco_results()
    for row in results:
        row["bbox"] = [side / 2 for side in row["bbox"]]
    results[0]["bbox"] = [-4, 5, 30, 40]
    results[1]["bbox"] = [20, 30, 0, 4]
    results[2] |= {"category_id": 2}
    results[3] |= {"score": 7}
    results.append({**results[0], "image_id": 99})
    write_coco(here, results, coco_truth((WIDTH // 2, HEIGHT // 2)))
    words = f"{SOURCES['coco']} --manifest manifest.json -o theirs.json"
    assert call(words) == 2
    assert (
        "that manifest.json does not hold: image_id 99 (not in truth.json). Give" in capsys.readouterr().err
    )
    assert call(f"{words} --ignore-unknown") == 0
    assert capsys.readouterr().out.splitlines()[:-1] == [
        "theirs.json: 4 images, 3 marks, 3 of them masses",
        "without a mark: 2 images, as empty entries",
        "changed: 2 images scaled back to the original size, 1 box cut at the border, "
        "1 box without area, kept",
        "left out: 1 mark on images that the manifest does not hold, 1 mark of a class that is no lesion",
        "scores from 0.4 to 7, as they came: FROC needs their order alone; calibrate, fuse and DICOM results "
        "need 0 to 1",
    ]
    assert read_detections(here / "theirs.json").detections[0].boxes.tolist() == [
        [0, 10, 52, 90],
        [40, 60, 40, 68],
    ]


def test_a_stretched_size_is_said_in_pixels(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = "csv marks.csv --manifest manifest.json -o theirs.json --marked-size"
    assert call(f"{words} 600 400") == 0
    first = read_detections(here / "theirs.json")
    assert first.detections[0].boxes[0].tolist() == [16, 41, 31, 92]
    assert first.model["converted_from"]["marked_size_px"] == [600, 400]
    for size in ("600", "600 0", "six 400"):
        with pytest.raises(SystemExit):
            call(f"{words} {size}")
    assert "whole number of at least 1, got 'six'" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["theirs.jsonl", "theirs.json"])
def test_a_refused_source_leaves_the_output_as_it_was(
    name: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(f"{SOURCES['csv']} --manifest manifest.json -o {name} --name net") == 0
    before = (here / name).read_bytes()
    assert len(read_detections(here / name).detections) == 4
    (here / "marks.csv").write_text(table_text().replace("0.7", "nan"))
    capsys.readouterr()
    assert call(f"{SOURCES['csv']} --manifest manifest.json -o {name}") == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("mammo-monai detections: marks.csv, row 3: expected a score that is a finite")
    assert told.err.count("\n") == 1
    assert (here / name).read_bytes() == before
    assert not list(here.glob(".*"))
