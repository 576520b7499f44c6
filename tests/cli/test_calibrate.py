"""The verb calibrate: table, file, picture, and one line for every fault."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from mammo_monai.cli.main import main
from mammo_monai.records import ImageRecord
from mammo_monai.schema import Manifest, read_operating_points, write_detections, write_manifest
from tests.metrics.scenes import found, record

HIT, ASIDE = (0.0, 0.0, 4.0, 6.0), (6.0, 10.0, 9.0, 16.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_calibration_scene(tmp_path)


def write_calibration_scene(folder: Path) -> Path:
    """Twenty images of ten patients, every fifth without a lesion, marked by two folds' models."""
    records = []
    for n in range(20):
        made = record(n, [HIT] if n % 5 else [])
        records.append(ImageRecord(folder / f"{n}.png", made.record_id, f"p{n // 2}", 12, 20, made.lesions))
    write_manifest(folder / "m.json", Manifest(validation=tuple(records)))
    for fold in (0, 1):
        entries = [
            found(n, (HIT, 0.95 - n / 100), (ASIDE, 0.3 + n / 50)) for n in range(20) if n // 2 % 2 == fold
        ]
        write_detections(folder / f"{fold}.json", entries, {"weights_sha256": "ab"[fold] * 64})
    return folder


def calibrate(folder: Path, *more: object, files: tuple[str, ...] = ("0.json", "1.json")) -> int:
    words = [*(folder / each for each in files), "--manifest", folder / "m.json", "-o", folder / "p.json"]
    return main(["calibrate", *map(str, [*words, "--bootstrap", 20, *more])])


def test_points_are_written_and_printed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert calibrate(folder, "--split", "validation") == 0
    points = read_operating_points(folder / "p.json")
    assert [each.fppi for each in points.points] == [0.25, 0.5, 1.0, 2.0]
    assert points.weights_sha256 == ("a" * 64, "b" * 64)
    assert points.rule["n_bootstrap"] == 20
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["FPPI", "score", "at", "least", "sensitivity", "95", "%", "CI"]
    first = points.points[0]
    assert lines[1].split() == [
        "0.25",
        f"{first.threshold:.4f}",
        f"{first.sensitivity:.2f}",
        f"{first.low:.2f}–{first.high:.2f}",
    ]
    # One aside on each of 20 images, and the four marks on images without a lesion: 24 false positives.
    assert points.points[-1].fppi_reached == 1.2
    assert lines[4].startswith("2 (reached 1.2)  0.3000")
    assert lines[5].startswith("chosen on 20 images, 16 lesions, 10 patients; lesion level, IoU > 0.2; ")
    assert "calibration (platt): Brier score 0." in lines[5]


def test_method_and_rule_are_options(folder: Path) -> None:
    assert (
        calibrate(folder, "--method", "isotonic", "--min-iou", 0.5, "--count-double-hits", "--seed", 3) == 0
    )
    points = read_operating_points(folder / "p.json")
    assert points.calibration is not None
    assert points.calibration.method == "isotonic"
    assert (points.rule["min_iou"], points.rule["count_double_hits"], points.rule["seed"]) == (0.5, True, 3)


def test_the_plot_is_drawn_when_asked_for(folder: Path) -> None:
    assert calibrate(folder) == 0
    assert not list(folder.glob("*.png"))
    assert calibrate(folder, "--plot", folder / "p.png") == 0
    with Image.open(folder / "p.png") as picture:
        assert picture.size == (1920, 920)


def test_a_plot_of_another_kind_is_refused_before_anything_is_written(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert calibrate(folder, "--plot", folder / "p.txt") == 2
    assert "a plot is written as .png, .svg or .pdf, got 'p.txt'" in capsys.readouterr().err
    assert not (folder / "p.json").exists()


@pytest.mark.parametrize(
    ("files", "named"),
    [
        (("0.json", "0.json"), "has an entry in"),
        (("0.json",), "10 record ids have no entry"),
        (("0.json", "2.json"), "no such file"),
    ],
)
def test_faults_are_one_line_and_write_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str], files: tuple[str, ...], named: str
) -> None:
    assert calibrate(folder, files=files) == 2
    error = capsys.readouterr().err
    assert error.startswith("mammo-monai calibrate: ")
    assert named in error
    assert error.count("\n") == 1
    assert not (folder / "p.json").exists()


def test_an_unknown_option_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        calibrate(folder, "--method", "beta")
    assert stop.value.code == 2
    assert "invalid choice: 'beta'" in capsys.readouterr().err
