"""The papers' tables: our runs in the right row, warnings below, dashes where there is nothing."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from mammo_monai.reports.runs import Run
from mammo_monai.reports.tables.paper_tables import paper_tables, row_key, sensitivity_beside
from mammo_monai.reports.tables.table import Table
from tests.reports.full_runs import bare_run, full_run, metrics


def table_of(source: str, *runs: Run) -> Table:
    return next(table for table in paper_tables(runs) if table.caption.startswith(f"{source}:"))


def column(table: Table, name: str) -> list[str]:
    return [row[table.header.index(name)] for row in table.rows]


def notes(table: Table) -> str:
    return " ".join(table.notes)


def test_no_table_appears_unless_a_run_says_so() -> None:
    assert paper_tables([full_run(), bare_run()]) == []
    assert paper_tables([]) == []


def test_tables_stand_in_the_order_of_print() -> None:
    keys = ("P3", "P2-normals", "P2-S3", "P1", "P0-VIII", "P0-VII", "P0-VI", "P0-V", "P0-IV", "P0-II", "P0-I")
    captions = [
        table.caption.partition(":")[0] for table in paper_tables([full_run(table=key) for key in keys])
    ]
    numbers = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII")
    papers = ["P1, Table 2", "P2, Fig. 4", "P2, Fig. 5", "P3, Table 4"]
    assert captions == [*(f"P0, Table {n}" for n in numbers), *papers]


def test_table_two_keeps_its_layout_with_ours_beside_the_published_figure() -> None:
    table = table_of("P0, Table II", full_run(table="P0-II"))
    assert table.header == (
        *("Model", "Pretrained dataset", "Fine tune", "FPPI", "TPR (μ ± σ)"),
        *("two stage, mean ± SD of 5 folds", "two stage, pooled, 95 % CI", "Training cascade"),
    )
    last = table.rows[-1]
    assert last[3:7] == ("1.67", "0.99 ± 0.02", "0.86 ± 0.02", "0.84 (0.79–0.87)")
    assert [row[3] for row in table.rows] == ["0.25", "0.44", "0.58", "0.79", "1.67"]


def test_a_run_without_folds_has_one_column() -> None:
    table = table_of("P0, Table I", full_run(table="P0-I", n_folds=0))
    assert table.header[5:7] == ("two stage, 95 % CI", "Training cascade")
    assert "SD over folds" not in notes(table)


def test_several_runs_stand_beside_each_other() -> None:
    table = table_of(
        "P0, Table I", full_run("a", table="P0-I"), full_run("b", table="P0-I", start=0.6, n_folds=0)
    )
    assert column(table, "a, pooled, 95 % CI")[0] == "0.80 (0.75–0.83)"
    assert column(table, "b, 95 % CI")[0] == "0.60 (0.55–0.63)"


def test_the_two_stage_run_stands_in_the_comparison_and_the_sizes_too() -> None:
    run = full_run(table="P0-II")
    comparison = table_of("P0, Table III", run)
    ribli = next(row for row in comparison.rows if row[0].startswith("Ribli"))
    assert ribli[1:4] == (
        "0.90 @ 0.3",
        "0.82 ± 0.02",
        "0.80",
    )  # of the curve: no operating point, no interval
    assert "malignant lesions only" in notes(comparison)
    assert "Ours at 0.3, 0.56, 3.67, 5 FPPI" in notes(comparison)
    sizes = table_of("P0, Table V", run)
    assert sizes.rows[0][:5] == ("small, < 2 cm", "YES", "0.5", "0.93", "0.71 ± 0.00")
    assert sizes.rows[1][5] == "0.81 (0.76–0.84) of 41"


def test_bands_by_area_stand_beside_p3() -> None:
    table = table_of("P3, Fig. 5", full_run(table="P3-sizes", n_folds=0))
    assert [row[-1] for row in table.rows] == [
        "0.71 (0.66–0.74) of 40",
        "0.81 (0.76–0.84) of 41",
        "0.91 (0.86–0.94) of 42",
    ]
    without = table_of("P3, Fig. 5", replace(full_run(table="P3-sizes"), metrics=metrics()))
    assert {row[-1] for row in without.rows} == {"–"}


@pytest.mark.parametrize(
    ("source", "key", "said"),
    [
        ("P0, Table II", "P0-II", "one lesion of 112"),
        ("P0, Table IV", "P0-IV", "falls from .92 at .58 FPPI to .91 at .79, which no FROC curve can do"),
        ("P0, Table VII", "P0-VII", "one lesion of 112"),
        ("P1, Table 2", "P1", "prints the backbone ResNet101 twice"),
        ("P2, Fig. 4", "P2-S1", "not public"),
        ("P3, Table 4", "P3", "malignant lesions only"),
    ],
)
def test_each_table_carries_its_warning_and_what_ours_was_scored_on(source: str, key: str, said: str) -> None:
    table = table_of(source, full_run(table=key))
    assert said in notes(table)
    assert "two stage: lesion level, IoU > 0.2; 410 images (303 normal), 112 lesions, 108 patients" in notes(
        table
    )
    assert ("other splits" in notes(table)) == (key != "P0-IV")


def test_a_run_of_a_sweep_stands_in_the_row_of_its_value() -> None:
    runs = [
        full_run("low", table="P0-VI", row="1e-06"),
        full_run("best", table="P0-VI", row="0.00001", n_folds=0),
        full_run("twice", table="P0-VI", row="1e-05"),
        full_run("ours alone", table="P0-VI", row="0.001"),
        full_run("elsewhere", table="P0-VII", row="0.00001"),
    ]
    table = table_of("P0, Table VI", *runs)
    assert table.header[3:] == ("our run", "mean ± SD of folds", "pooled (95 % CI)")
    found = {(row[0], row[3]): row for row in table.rows}
    assert found["0.000001", "low"][2:] == ("0.95 @ 1.67", "low", "0.86 ± 0.02", "0.84 (0.79–0.87)")
    assert found["0.00001 (best)", "best"][4] == "–"
    assert ("0.00001 (best)", "twice") in found
    assert found["0.00005", "–"][3:] == ("–", "–", "–")
    assert table.rows[-1][:4] == ("0.001", "–", "– @ 1.67", "ours alone")
    assert len(table.rows) == 7


def test_a_sweep_without_folds_has_no_column_for_their_spread() -> None:
    table = table_of("P0, Table VIII", full_run(table="P0-VIII", row="2.0", n_folds=0))
    assert table.header[3:] == ("our run", "pooled (95 % CI)")
    assert next(row for row in table.rows if row[0] == "2 (best)")[3] == "two stage"


def test_setups_stand_in_their_row_by_the_key_alone() -> None:
    table = table_of("P2, Fig. 4", full_run("s3", table="P2-S3"), full_run("s5", table="P2-S5"))
    own = [(row[0], row[3], row[4]) for row in table.rows if row[4] != "–"]
    assert own == [
        ("S-3", "0.92 ± 0.05 @ 1.3", "s3"),
        ("S-3", "0.97 ± 0.02 @ 3", "s3"),
        ("S-5", "0.98 ± 0.02 @ 1.3", "s5"),
        ("S-5", "0.97 ± 0.02 @ 3", "s5"),
    ]
    assert len(table.rows) == 14


def test_a_detector_of_ours_stands_right_of_the_one_it_names() -> None:
    runs = [full_run("ours", table="P1", row="RetinaNet R50"), full_run("other", table="P1", row="yolo")]
    table = table_of("P1, Table 2", *runs)
    assert table.header[2:4] == ("RetinaNet ResNet50+FPN (P1)", "ours")
    assert table.header[-1] == "other"
    assert column(table, "ours") == ["0.70 (0.60–0.80)ᵂ", "0.80", "0.75", "0.608"]
    assert column(table, "RetinaNet ResNet50+FPN (P1)") == ["0.7664", "0.4417", "0.5604", "0.502"]
    assert "ours: score ≥ 0.432" in notes(table)
    assert any("Wilson" in note for note in table.footnotes)


def test_a_detector_scored_by_older_metrics_shows_its_ap_and_dashes() -> None:
    run = Run("old", metrics(), table="P1", row="retinanet-r101")
    assert column(table_of("P1, Table 2", run), "old") == ["–", "–", "–", "0.610"]


def test_normal_images_stand_beside_p2_at_its_scores() -> None:
    table = table_of(
        "P2, Fig. 5",
        full_run("n", table="P2-normals", row="INBREAST"),
        bare_run("z", table="P2-normals", row="z"),
    )
    assert table.rows == (
        ("INbreast", "0.42", "0.34", "n", "0.40 of 303 images", "0.30 of 303 images"),
        ("in-house", "0.09", "0.03", "–", "–", "–"),
        ("z", "–", "–", "z", "–", "–"),
    )


def test_without_lesions_ours_is_a_dash_and_never_zero() -> None:
    table = table_of("P3, Table 4", bare_run(table="P3"))
    assert set(column(table, "theirs, 95 % CI")) == {"–"}
    assert sensitivity_beside(bare_run(), 1.0) == "–"


def test_a_table_nobody_printed_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert paper_tables([full_run(table="P0-IX")]) == []
    assert "'P0-IX', which is none of P0-I, P0-II" in caplog.text


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("0.00001", "1e-05", True),
        ("2", "2.0", True),
        ("S-3", "s3", True),
        ("Faster R-CNN R50", "faster_rcnn-r50", True),
        ("0.2", "0.25", False),
        ("S-3", "S-4", False),
    ],
)
def test_rows_are_the_same_by_value_or_by_letters(one: str, other: str, is_same: bool) -> None:
    assert (row_key(one) == row_key(other)) == is_same


def test_braces_in_a_name_stand_as_they_are() -> None:
    table = table_of("P0, Table II", full_run("{a} {", table="P0-II"))
    assert "{a} {, mean ± SD of 5 folds" in table.header
    assert "{a} {, pooled, 95 % CI" in table.header
