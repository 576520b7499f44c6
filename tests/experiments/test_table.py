"""The table of runs, on a page, in Markdown and in CSV: the same figures, whatever is finished."""

from __future__ import annotations

import csv
import io
import shutil
import statistics
from dataclasses import replace
from pathlib import Path

import pytest

from mammo_monai.experiments import (
    ExperimentError,
    Results,
    missing_table,
    read_results,
    runs_table,
    runs_tables,
    write_table,
)
from mammo_monai.experiments.page import experiment_markdown, experiment_page, plotted_runs
from mammo_monai.experiments.table import COLOURED, CSV_COLUMNS, as_csv, duration_text
from mammo_monai.reports.runs import SYNTHETIC
from mammo_monai.schema.model_line import model_line
from tests.reports.html_parser import Page


@pytest.fixture(scope="module")
def results(finished_folder: Path) -> Results:
    return read_results(finished_folder)


def rows_of(results: Results) -> dict[str, dict[str, str]]:
    return {row["run"]: row for row in csv.DictReader(io.StringIO(as_csv(results)))}


def test_a_row_has_figure_interval_difference_p_spread_and_cost(results: Results) -> None:
    table = runs_table(results)
    assert table.header[:5] == ("run", "folds", "mean sensitivity", "difference to none", "p")
    assert [row[0] for row in table.rows] == ["none", "light", "strong"]
    strong, run = dict(zip(table.header, table.rows[2], strict=True)), results.runs[2]
    assert run.metrics is not None
    assert run.interval is not None
    assert run.difference is not None
    value, interval, difference = run.metrics["mean_sensitivity"]["value"], run.interval, run.difference
    assert strong["mean sensitivity"] == f"{value:.3f} ({interval.low:.3f}–{interval.high:.3f})"
    assert strong["difference to none"].startswith(f"{difference.difference:+.3f} ({difference.low:+.3f} to ")
    assert strong["p"] == f"{difference.p_value:.3f}"
    mean, spread = statistics.mean(run.fold_means), statistics.stdev(run.fold_means)
    assert strong["mean ± SD of folds"] == f"{mean:.3f} ± {spread:.3f}"
    assert (strong["folds"], strong["s per image"], strong["parameters"]) == ("3 of 3", "0.25", "5.0 M")


def test_one_fold_has_no_spread_and_the_first_run_no_difference(results: Results) -> None:
    none, light, _ = runs_table(results).rows
    assert none[3:5] == ("–", "–")
    assert (light[1], light[9]) == ("1 of 3", "–")


def test_folds_without_a_result_are_listed_by_reason(results: Results) -> None:
    missing = missing_table(results)
    assert missing is not None
    assert missing.rows == (
        ("light", "2, 3", "not begun"),
        ("broken", "1", "failed (its failed.json says why)"),
        ("broken", "2, 3", "not begun"),
    )
    assert missing_table(replace(results, runs=results.runs[::2])) is None


def test_csv_has_every_run_in_plain_numbers_and_blanks(results: Results) -> None:
    rows = rows_of(results)
    assert list(rows) == ["none", "light", "strong", "broken"]
    strong, run = rows["strong"], results.runs[2]
    assert tuple(strong) == CSV_COLUMNS
    assert run.metrics is not None
    assert run.difference is not None
    assert float(strong["mean_sensitivity"]) == run.metrics["mean_sensitivity"]["value"]
    assert float(strong["p_value"]) == run.difference.p_value
    assert float(strong["fold_sd"]) == statistics.stdev(run.fold_means)
    assert float(strong["training_s"]) > 0
    assert (strong["images"], strong["folds"], strong["folds_in_all"]) == ("24", "3", "3")
    assert rows["none"]["difference"] == rows["light"]["fold_sd"] == ""
    scored_on = "test lists of 3 folds"
    assert set(rows["broken"].values()) == {"broken", "0", "3", scored_on, ""}


@pytest.fixture(scope="module")
def two_groups(results: Results) -> Results:
    """strong stands for a run on other images, done once."""
    none, light, strong, broken = results.runs
    other = replace(
        strong,
        name="stage_one",
        group="other images",
        scored_on="validation list of B",
        folds=("once",),
        difference=None,
        table="P0-IV",
    )
    return replace(results, runs=(other, none, light, broken))


def test_runs_on_other_images_have_a_table_of_their_own(two_groups: Results) -> None:
    first, second = runs_tables(two_groups)
    assert first.caption.startswith("Scored on the validation list of B. Detections of all")
    assert [row[:2] for row in first.rows] == [("stage_one", "once")]
    assert first.header[3] == "difference to stage_one"
    assert second.caption.startswith("Scored on the test lists of 3 folds. Detections of all")
    assert ([row[0] for row in second.rows], second.header[3]) == (["none", "light"], "difference to none")


def test_every_output_has_all_groups(two_groups: Results) -> None:
    rows = rows_of(two_groups)
    assert [(row["scored_on"], row["table"]) for row in rows.values()][:2] == [
        ("validation list of B", "P0-IV"),
        ("test lists of 3 folds", ""),
    ]
    text, page = experiment_markdown(two_groups), experiment_page(two_groups)
    assert text.count("difference to ") == 2
    assert page.count("<h2>FROC</h2>") == 2
    assert "Scored on the validation list of B." in page
    assert Page(page).open == []


def test_a_chain_makes_a_page_that_tells_its_data_apart(finished_chain: Path) -> None:
    page = experiment_page(read_results(finished_chain))
    read = Page(page)
    assert read.open == []
    ids = [attrs["id"] for _, attrs in read.tags if "id" in attrs]
    assert len(ids) == len(set(ids))  # a plot of each group
    assert page.count("data of stage_one") == 1
    assert page.count("data of one_stage") == 2  # its manifest and its folds; two_stage has the same
    assert "data of two_stage" not in page
    assert "stage_one, fold" not in page


def test_one_group_is_not_told_apart(results: Results) -> None:
    assert [table.caption for table in runs_tables(results)] == [runs_table(results).caption]


def test_markdown_holds_both_tables(results: Results) -> None:
    text = experiment_markdown(results)
    assert text.startswith("# augmentation\n\nThree ways to turn films about.\n")
    assert "| run | folds | mean sensitivity | difference to none |" in text
    assert "| broken | 2, 3 | not begun |" in text
    assert "Not all runs have finished the same folds" in text
    assert SYNTHETIC not in text


def test_the_page_is_whole_and_needs_no_other_file(results: Results) -> None:
    page = experiment_page(results)
    assert Page(page).open == []
    assert page.count("<tr>") > 10
    assert "<h2>FROC</h2>" in page
    assert page.count('<article class="curve">') == 3
    assert "augment: 'none' → 'strong'" in page.replace("&#x27;", "'")
    assert "a processor, 1 thread, no GPU" in page
    assert "<summary>Models</summary>" in page
    told = {model_line(fold.model) for run in results.runs for fold in run.finished.values()}
    assert told
    assert all(each in page for each in told)
    assert "http" not in page.replace("http://www.w3.org", "")
    assert "<br><small>(" in page


def test_no_output_names_a_path(results: Results, finished_folder: Path) -> None:
    for text in (experiment_page(results), experiment_markdown(results), as_csv(results)):
        assert str(finished_folder.parent) not in text
        assert "/films" not in text


def test_phantoms_are_named_as_such(results: Results) -> None:
    phantoms = replace(results, head=replace(results.head, is_phantom=True))
    assert SYNTHETIC in experiment_page(phantoms)
    assert SYNTHETIC in experiment_markdown(phantoms)


def test_names_and_descriptions_cannot_break_the_page(results: Results) -> None:
    first = replace(results.runs[0], name="<i>none</i>", description="<script>")
    page = experiment_page(replace(results, runs=(first, *results.runs[1:])))
    assert "<i>none" not in page
    assert "&lt;script&gt;" in page


def test_more_runs_than_colours_plot_the_first_and_the_best(results: Results) -> None:
    first, strong = results.runs[0], results.runs[2]
    assert strong.metrics is not None
    others = []
    for n in range(8):
        metrics = {**strong.metrics, "mean_sensitivity": {"value": n / 10}}
        others.append(replace(strong, name=f"run-{n}", metrics=metrics))
    many = replace(results, runs=(first, *others))
    assert [run.name for run in plotted_runs(many)] == ["none", "run-3", "run-4", "run-5", "run-6", "run-7"]
    assert len(plotted_runs(many)) == COLOURED
    assert runs_table(many).runs is None
    assert "The first run and the best of the others, 6 of 9." in experiment_page(many)


def test_colours_stand_for_the_same_runs_in_table_and_plot(results: Results) -> None:
    unfinished = results.runs[3]
    table = runs_table(replace(results, runs=(unfinished, *results.runs[:3])))
    assert table.runs == "rows"
    assert [row[0] for row in table.rows] == [run.name for run in plotted_runs(results)]


def test_one_fold_alone_makes_a_page(finished_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(finished_folder, tmp_path / "one"))
    for each in [*folder.glob("*/fold-2"), *folder.glob("*/fold-3"), folder / "light", folder / "strong"]:
        shutil.rmtree(each, ignore_errors=True)
    results = read_results(folder)
    assert [row[0] for row in runs_table(results).rows] == ["none"]
    assert "Not all runs have finished the same folds" not in experiment_page(results)


def test_the_suffix_chooses_the_format(results: Results, tmp_path: Path) -> None:
    for name, begin in (("t.html", "<!doctype html>"), ("t.MD", "# augmentation"), ("t.csv", "run,folds,")):
        write_table(tmp_path / name, results)
        assert (tmp_path / name).read_text().startswith(begin)
    with pytest.raises(ExperimentError, match=r"t\.txt: a table is written as \.html, \.md or \.csv"):
        write_table(tmp_path / "t.txt", results)


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, "–"), (0.4, "0 s"), (59.0, "59 s"), (60.0, "1.0 min"), (5400.0, "1.5 h")]
)
def test_lengths_are_said_as_people_do(seconds: float | None, text: str) -> None:
    assert duration_text(seconds) == text
