"""The CSV file: every number once, in full, with what it is of."""

from __future__ import annotations

import csv
import statistics
from pathlib import Path
from typing import Any

import pytest

from mammo_monai.reports import read_run
from mammo_monai.reports.documents.table_csv import COLUMNS, csv_cell, write_csv
from mammo_monai.reports.runs import Run
from tests.reports.full_runs import bare_run, full_run, metrics
from tests.reports.scene import write_scene

Row = dict[str, str]


def written(path: Path, *runs: Run) -> list[Row]:
    write_csv(path / "numbers.csv", runs)
    with (path / "numbers.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def one(rows: list[Row], quantity: str, at: str = "", fold: str = "pooled") -> Row:
    found = [row for row in rows if (row["quantity"], row["at"], row["fold"]) == (quantity, at, fold)]
    assert len(found) == 1, f"{quantity} at {at!r}: {len(found)} rows"
    return found[0]


def numbers_of(
    content: Any, *, skip: tuple[str, ...] = ("rule", "inputs", "images", "n_bootstrap")
) -> list[float]:
    """Every number in JSON content, slowly and without knowing what it means."""
    if isinstance(content, dict):
        return [value for key, part in content.items() if key not in skip for value in numbers_of(part)]
    if isinstance(content, (list, tuple)):
        return [value for part in content for value in numbers_of(part)]
    return [float(content)] if isinstance(content, (int, float)) and not isinstance(content, bool) else []


def test_every_number_of_the_metrics_is_in_it(tmp_path: Path) -> None:
    run = full_run(n_folds=0)
    rows = written(tmp_path, run)
    held = {
        float(part)
        for row in rows
        for name in ("at", "value", "low", "high", "n")
        for part in _parts(row[name])
    }
    held |= {float(part) for row in rows for part in row["rule"].split() if part.replace(".", "").isdigit()}
    # The bounds of reliability bins are not figures: their mean score is what a rate stands at.
    lost = set(numbers_of(run.metrics)) - held - {0.0, 0.5}
    assert not lost


def _parts(text: str) -> list[str]:
    return [part for part in text.split() if part[0].isdigit() or part[0] == "-"]


def test_numbers_have_all_their_digits(tmp_path: Path) -> None:
    run = Run("third", metrics(1 / 3))
    row = one(written(tmp_path, run), "sensitivity", "0.25")
    assert float(row["value"]) == 1 / 3
    assert float(row["low"]) == 1 / 3 - 0.05
    assert (row["interval"], row["n"], row["rule"]) == ("bootstrap", "112", "lesion level, IoU > 0.2")


def test_undefined_is_empty_and_not_zero(tmp_path: Path) -> None:
    row = one(written(tmp_path, bare_run()), "sensitivity", "1.0")
    assert (row["value"], row["low"], row["interval"], row["n"]) == ("", "", "", "0")


def test_each_quantity_names_its_own_rule(tmp_path: Path) -> None:
    rows = written(tmp_path, full_run(n_folds=0))
    assert one(rows, "image_sensitivity", "0.25")["rule"] == "image level, IoU > 0.2"
    assert one(rows, "sensitivity_at_min_iou", "1.67 0.05")["rule"] == "lesion level, IoU > 0.05"
    assert one(rows, "average_precision", "0.5")["rule"] == "IoU > 0.5"
    assert one(rows, "image_roc_auc")["interval"] == "delong"
    assert one(rows, "sensitivity area_band <1cm2", "0.5")["n"] == "40"
    assert one(rows, "best_f1 precision", "0.3141")["interval"] == "wilson"
    assert one(rows, "false_positives_per_normal_image curve", "0.5")["interval"] == "poisson"


def test_folds_stand_beside_the_pooled_run_with_mean_and_sd(tmp_path: Path) -> None:
    rows = written(tmp_path, full_run())
    values = [float(one(rows, "sensitivity", "1.0", str(fold))["value"]) for fold in range(1, 6)]
    mean, sd = (one(rows, "sensitivity", "1.0", name) for name in ("mean", "sd"))
    assert float(mean["value"]) == pytest.approx(statistics.fmean(values), abs=1e-15)
    assert float(sd["value"]) == pytest.approx(statistics.stdev(values), abs=1e-15)
    assert (mean["n"], mean["low"]) == ("5", "")
    assert one(rows, "average_precision", "0.5", "mean")["rule"] == "IoU > 0.5"
    assert {row["quantity"] for row in rows if row["fold"] == "sd"} == {
        "sensitivity",
        "mean_sensitivity",
        "average_precision",
    }


def test_no_row_stands_twice(tmp_path: Path) -> None:
    rows = written(tmp_path, full_run(), bare_run())
    keys = [(row["run"], row["fold"], row["quantity"], row["at"]) for row in rows]
    assert len(keys) == len(set(keys))


def test_names_with_commas_and_quotes_come_back(tmp_path: Path) -> None:
    assert {row["run"] for row in written(tmp_path, bare_run('a, "b"\nc'))} == {'a, "b"\nc'}


def test_without_runs_there_is_only_the_header(tmp_path: Path) -> None:
    assert written(tmp_path) == []
    assert (tmp_path / "numbers.csv").read_text() == ",".join(COLUMNS) + "\n"


def test_metrics_as_evaluate_writes_them_are_taken_whole(tmp_path: Path) -> None:
    run = read_run(write_scene(tmp_path) / "run")
    rows = written(tmp_path, run)
    assert float(one(rows, "sensitivity", "1.0")["value"]) == 0.5
    assert one(rows, "n_images")["value"] == "3"


@pytest.mark.parametrize("name", ["=1+1", "+a", "-1|x", "@a", "\t=1", " =1", "\r=1"])
def test_no_spreadsheet_takes_a_name_for_a_formula(tmp_path: Path, name: str) -> None:
    rows = written(tmp_path, full_run(name, n_folds=2))
    assert {row["run"] for row in rows} == {"'" + name.replace("\r", " ")}


def test_figures_below_zero_stay_numbers() -> None:
    assert [csv_cell(each) for each in (-0.5, None, "-0.5 2e-5", "a-b")] == [-0.5, "", "-0.5 2e-5", "a-b"]
