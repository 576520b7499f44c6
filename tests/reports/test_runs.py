"""Reading a scored run from disk."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mammo_monai.errors import ManifestError
from mammo_monai.files import sha256_of
from mammo_monai.reports import write_report
from mammo_monai.reports.optional_parts import part_faults
from mammo_monai.reports.runs import are_comparable, read_run
from mammo_monai.schema import write_detections, write_metrics
from tests.reports.full_runs import full_metrics
from tests.reports.rich_runs import plain_metrics, rich_metrics
from tests.reports.scene import detections_of, score, write_scene

HEAD = {"rule": {}, "n_images": 1, "n_lesions": 1}
GOOD = {"fppi": [0, 1], "sensitivity": [0, 0.5], "points": [{"fppi": 1, "sensitivity": 0.5}]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_scene(tmp_path)


def test_a_folder_and_its_metrics_file_are_the_same_run(folder: Path) -> None:
    assert read_run(folder / "run").metrics == read_run(folder / "run" / "metrics.json").metrics


def test_a_run_takes_the_detections_beside_it_and_its_models_name(folder: Path) -> None:
    run = read_run(folder / "run")
    assert run.name == "a model"
    assert sorted(run.detections) == [f"{n:016x}" for n in range(3)]
    assert [each.name for each in run.files] == ["metrics.json", "detections.json"]
    assert run.files[1].sha256 == sha256_of(folder / "run" / "detections.json")


def test_without_detections_a_run_is_named_by_its_folder(folder: Path) -> None:
    (folder / "run" / "detections.json").unlink()
    run = read_run(folder / "run")
    assert run.name == "run"
    assert not run.detections
    assert read_run(folder / "run", name="mine").name == "mine"


def test_detections_other_than_those_scored_are_refused(folder: Path) -> None:
    write_detections(folder / "run" / "detections.json", [detections_of("x")], {})
    with pytest.raises(
        ManifestError, match=r"detections\.json: not the file that metrics\.json was made from"
    ):
        read_run(folder / "run")


@pytest.mark.parametrize(
    ("broken", "missing"),
    [
        ({"rule": {}, "n_images": 1, "n_lesions": 1}, r"expected: froc\.fppi and .*; froc\.points"),
        ({"n_images": "4", "froc": GOOD}, r"expected: rule .*; n_images .*; n_lesions \(a number\)\. Write"),
        (
            HEAD | {"froc": GOOD | {"sensitivity": [0]}},
            r"expected: froc\.fppi and froc\.sensitivity [^;]*\. Write",
        ),
        (HEAD | {"froc": GOOD | {"points": [{"fppi": 1}]}}, r"expected: froc\.points [^;]*\. Write"),
        (HEAD | {"froc": GOOD | {"points": [1]}}, r"expected: froc\.points [^;]*\. Write"),
        (HEAD | {"froc": GOOD | {"fppi": ["0"]}}, r"expected: froc\.fppi and [^;]*\. Write"),
        (
            HEAD | {"froc": GOOD | {"points": [{"fppi": "1", "sensitivity": 0.5}]}},
            r"expected: froc\.points [^;]*\. Write",
        ),
        (
            HEAD | {"froc": GOOD | {"points": [{"fppi": 1, "sensitivity": 0.5, "low": "?"}]}},
            r"expected: froc\.points [^;]*\. Write",
        ),
    ],
)
def test_missing_fields_are_named(tmp_path: Path, broken: dict, missing: str) -> None:
    write_metrics(tmp_path / "metrics.json", broken)
    with pytest.raises(ManifestError, match=missing):
        read_run(tmp_path)


@pytest.mark.parametrize(
    ("part", "fault"),
    [
        ({"size_bands": [{"band": "<2cm", "n_lesions": 3}]}, r"size_bands\[0\]\.points \(a list\)\. W"),
        ({"levels": [{"level": "image", "points": []}]}, r"levels\[0\]\.n \(a number\)\. W"),
        ({"roc": "none"}, r"roc \(a list\)\. W"),
        (
            {"subgroups": [{"group": "CC", "n_images": 1, "n_lesions": 1, "points": []}]},
            r"subgroups\[0\]\.by \(a text\)\. W",
        ),
        ({"jafroc": 0.8}, r"jafroc \(an object\)\. W"),
        ({"jafroc": {"variant": 1}}, r"jafroc\.variant \(a text\)\. W"),
        ({"rule": {"confidence": None}}, r"rule\.confidence \(a number\)\. W"),
        (
            {"normal_images": {"n_images": 3, "score": [0.5]}},
            r"normal_images\.score and normal_images\.false_positives_per_image \(lists of equal len.*W",
        ),
        (
            {
                "levels": [
                    {"level": "image", "n": 1, "points": [{"fppi": 1, "sensitivity": None, "low": 0.1}]}
                ]
            },
            r"levels\[0\]\.points\[0\]\.low and levels\[0\]\.points\[0\]\.high \(both or none\)\. W",
        ),
        (
            {"size_bands": [1] * 9},
            r"expected: size_bands\[0\] [^;]*; [^;]*; size_bands\[2\] \(an object\)\. W",
        ),
    ],
)
def test_an_optional_part_that_reports_could_not_read_is_named(
    tmp_path: Path, part: dict, fault: str
) -> None:
    write_metrics(tmp_path / "metrics.json", HEAD | {"froc": GOOD} | part)
    with pytest.raises(ManifestError, match=rf"metrics\.json: .*{fault}rite it with `mammo-monai evaluate`"):
        read_run(tmp_path)


@pytest.mark.parametrize("metrics", [full_metrics(), rich_metrics(), plain_metrics()])
def test_every_optional_part_as_evaluate_writes_it_may_also_be_null(metrics: dict) -> None:
    assert part_faults(metrics) == []
    assert part_faults(dict.fromkeys(metrics)) == []


def test_a_folder_without_metrics_is_named(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"metrics\.json: no such file"):
        read_run(tmp_path)


def test_runs_compare_only_on_the_same_images_by_the_same_rule(folder: Path) -> None:
    first = read_run(folder / "run")
    score(folder, "run", n_bootstrap=20, seed=5)
    again = read_run(folder / "run")
    score(folder, "run", min_iou=0.5)
    stricter = read_run(folder / "run")
    assert are_comparable([first, again])
    assert not are_comparable([first, stricter])


def test_metrics_of_another_tool_need_only_the_published_fields(tmp_path: Path) -> None:
    content = {"schema": "mammo-monai/metrics/1", **HEAD, "n_lesions": 2, "froc": GOOD}
    (tmp_path / "metrics.json").write_text(json.dumps(content))
    run = read_run(tmp_path)
    assert run.point_at(1) == {"fppi": 1, "sensitivity": 0.5, "low": None, "high": None}
    assert run.point_at(2) is None
    assert run.inputs == {}
    write_report(tmp_path / "report.html", [run])
    assert "0.50" in (tmp_path / "report.html").read_text()
