"""The verb patches, run in this process."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from mammo_monai.cli import patches
from mammo_monai.reports.tables.classification_tables import class_tables
from tests.metrics.test_classification_files import RULE, write


def call(*words: object) -> int:
    parser = argparse.ArgumentParser()
    patches.add_parser(parser.add_subparsers(dest="verb"))
    quick = ("--bootstrap", 30, "--permutations", 20)
    args = parser.parse_args([str(each) for each in ("patches", *words, *quick)])
    return int(args.run(args))


def test_one_run_is_printed_with_its_intervals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(write(tmp_path / "good.json", 0)) == 0
    out = capsys.readouterr().out
    header, row = out.splitlines()[1:3]
    assert header.split() == [
        "run",
        "patches",
        "patients",
        "accuracy",
        "AUC",
        "sensitivity",
        "specificity",
        "precision",
        "F1",
    ]
    assert row.split()[:3] == ["good", "12", "3"]
    assert "mean ± SD" not in out
    assert "true class" in out
    assert sorted(tmp_path.iterdir()) == [tmp_path / "good.json"]


def test_runs_against_runs_print_mean_difference_and_p(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = [write(tmp_path / f"good{n}.json", n) for n in range(2)]
    poor = [write(tmp_path / f"poor{n}.json", n, skill=-1.0) for n in range(2)]
    output = tmp_path / "figures.json"
    assert call(*good, "--against", *poor, "-o", output) == 0
    out = capsys.readouterr().out
    assert "mean ± SD, against" in out
    assert "SD over runs with n − 1" in out
    assert "good0" in out.split("McNemar's exact test")[1]
    (auc,) = [line for line in out.splitlines() if line.startswith("AUC")]
    assert auc.split()[3].startswith("-")
    assert json.loads(output.read_text())["paired"][1]["name"] == "auc"


def test_scores_are_never_overwritten(tmp_path: Path) -> None:
    path = write(tmp_path / "good.json", 0)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"good.json: would overwrite a file that is read"):
        call(path, "-o", path)
    assert path.read_bytes() == before


def test_undefined_figures_are_dashes(tmp_path: Path) -> None:
    from mammo_monai.metrics import score_class_files

    path = write(tmp_path / "one.json", 0)
    content = json.loads(path.read_text())
    content["scores"] = [each for each in content["scores"] if each["class_index"] == 0]
    path.write_text(json.dumps(content))
    runs = class_tables(score_class_files([path], [path], rule=RULE, n_permutations=5))[0]
    assert runs.rows[0][runs.header.index("AUC")] == "–"
    assert runs.rows[0][runs.header.index("sensitivity")] == "–"
