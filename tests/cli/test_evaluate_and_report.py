"""The verbs evaluate and report, run in this process."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from mammo_monai.cli import evaluate, report
from mammo_monai.errors import ManifestError, UndefinedMetricError
from mammo_monai.schema import OperatingPoint, OperatingPoints, read_metrics, write_operating_points
from tests.reports.scene import write_scene


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_scene(tmp_path)


def call(*words: object) -> int:
    parser = argparse.ArgumentParser()
    subparsers = parser.add_subparsers(required=True)
    for verb in (evaluate, report):
        verb.add_parser(subparsers)
    args = parser.parse_args([str(word) for word in words])
    return args.run(args)


def evaluated(folder: Path, *more: object) -> dict:
    output = folder / "new" / "metrics.json"
    words = ("evaluate", folder / "run" / "detections.json", "--manifest", folder / "manifest.json")
    assert call(*words, "-o", output, "--bootstrap", 20, *more) == 0
    return read_metrics(output)


def test_evaluate_writes_metrics_and_prints_a_table(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    metrics = evaluated(folder, "--split", "test")
    assert metrics["n_lesions"] == 2
    assert metrics["inputs"]["split"] == "test"
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split("  ")[0] == "FPPI"
    assert len(lines) == 1 + 11 + 1
    assert lines[6].startswith("1     0.50")
    assert lines[-1].startswith("sensitivity 0.50 (95 % CI ")


def test_evaluate_prints_subgroups_when_asked(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    metrics = evaluated(folder, "--subgroups")
    lines = capsys.readouterr().out.splitlines()
    first = next(n for n, line in enumerate(lines) if line.startswith("subgroup"))
    assert lines[first].endswith("  detections.json")
    assert "by subgroup, 95 % interval, of n lesions" in lines[first - 1]
    assert lines[first + 1].startswith("view: MLO  ")
    assert "view_position" in {each["by"] for each in metrics["subgroups"]}


def test_evaluate_takes_the_rule_from_its_options(folder: Path) -> None:
    rule = evaluated(folder, "--min-iou", 0.5, "--count-double-hits", "--level", "image", "--seed", 3)["rule"]
    assert (rule["min_iou"], rule["count_double_hits"], rule["level"]) == (0.5, True, "image")
    assert (rule["n_bootstrap"], rule["seed"]) == (20, 3)


def test_evaluate_refuses_a_rule_that_cannot_be(folder: Path) -> None:
    with pytest.raises(ValueError, match="min_iou must be at least 0 and below 1, got 2"):
        evaluated(folder, "--min-iou", 2)


def test_evaluate_refuses_images_without_a_lesion_to_score(folder: Path, tmp_path: Path) -> None:
    wanted = r"manifest\.json, all lists: .* none of 3 images has one of label 1, those there have label 0"
    with pytest.raises(UndefinedMetricError, match=wanted):
        evaluated(folder, "--label", 1)
    (tmp_path / "bare").mkdir()
    bare = write_scene(tmp_path / "bare", has_lesions=False)
    wanted = (
        r"test: expected lesions .* label 0\. Make the manifest with its annotations .*--operating-points"
    )
    with pytest.raises(UndefinedMetricError, match=wanted):
        evaluated(bare, "--split", "test")
    assert not (bare / "new").exists()


def test_evaluate_leaves_nothing_behind_when_it_fails(folder: Path) -> None:
    with pytest.raises(ManifestError, match="no such file"):
        call(
            "evaluate", folder / "none.json", "--manifest", folder / "manifest.json", "-o", folder / "m.json"
        )
    assert not (folder / "m.json").exists()


def test_report_writes_a_page_and_prints_the_headlines(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = folder / "report.html"
    words = (
        "report",
        folder / "run",
        folder / "run" / "metrics.json",
        "--manifest",
        folder / "manifest.json",
    )
    assert (
        call(
            *words,
            "-o",
            page,
            "--title",
            "T",
            "--banner",
            "B",
            "--name",
            "one",
            "--name",
            "two",
            "--published",
        )
        == 0
    )
    text = page.read_text()
    for shown in ("<h1>T</h1>", ">B</p>", ">one</h2>", ">two</h2>", "Published figures"):
        assert shown in text
    assert "mammo-monai report run metrics.json -o report.html --manifest manifest.json" in text
    assert capsys.readouterr().out.startswith("one: sensitivity 0.50")


def test_report_needs_no_manifest(folder: Path) -> None:
    assert call("report", folder / "run", "-o", folder / "report.html") == 0
    assert "<h1>Masses marked in mammograms</h1>" in (folder / "report.html").read_text()


def test_report_takes_its_format_from_the_suffix_or_the_option(folder: Path) -> None:
    assert call("report", folder / "run", "-o", folder / "figures.csv") == 0
    assert (folder / "figures.csv").read_text().startswith("run,fold,quantity")
    assert call("report", folder / "run", "--format", "csv", "-o", folder / "figures.txt") == 0
    assert (folder / "figures.txt").read_bytes() == (folder / "figures.csv").read_bytes()
    with pytest.raises(ValueError, match=r"report\.docx: expected a name that ends in \.html"):
        call("report", folder / "run", "-o", folder / "report.docx")


def test_report_shows_so_many_crops_at_the_point_asked_for(folder: Path) -> None:
    words = ("report", folder / "run", "--manifest", folder / "manifest.json", "-o", folder / "report.html")
    assert call(*words, "--per-gallery", 1, "--fppi", 4) == 0
    text = (folder / "report.html").read_text()
    assert text.count("<img ") == 3
    assert "--fppi 4 --per-gallery 1" in text
    assert "At the operating point of 4 FPPI" in text


def test_names_must_be_as_many_as_runs(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"2 runs, 1 name\."):
        call("report", folder / "run", folder / "run", "--name", "one", "-o", folder / "report.html")


def test_normal_images_are_counted_at_the_thresholds_of_other_images(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    points = folder / "points.json"
    chosen = OperatingPoint(0.5, 0.25, 1.0, 0.9, 1.0)
    write_operating_points(points, OperatingPoints((chosen,), None, {}, 9, 9, 9, "0" * 64, (None,)))
    metrics = evaluated(folder, "--operating-points", points)
    found = metrics["normal_images"]["points"]
    assert [(each["fppi"], each["score"]) for each in found] == [(0.5, 0.25)]
    assert "normal image" in capsys.readouterr().out
