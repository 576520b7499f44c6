"""Tables beyond lesion sensitivity, and over folds: left out without content, a dash where undefined."""

from __future__ import annotations

import statistics
from dataclasses import replace

import pytest

from mammo_monai.reports.runs import Run
from mammo_monai.reports.tables.fold_tables import (
    fold_spread,
    fold_table,
    sensitivity_of,
    spread_text,
    value_of,
)
from mammo_monai.reports.tables.metric_tables import (
    average_precision_table,
    calibration_table,
    jafroc_table,
    level_table,
    precision_recall_table,
    roc_table,
)
from mammo_monai.reports.tables.run_tables import area_band_table, level
from mammo_monai.reports.tables.table import Table
from mammo_monai.reports.tables.table_list import measured_tables, report_tables
from tests.reports.full_runs import RULE, bare_run, full_run, metrics, points

RUN, BARE = full_run(), bare_run()
TABLES = (
    level_table,
    average_precision_table,
    precision_recall_table,
    roc_table,
    jafroc_table,
    calibration_table,
    area_band_table,
    fold_table,
)


@pytest.mark.parametrize("make", TABLES, ids=lambda make: make.__name__)
def test_a_table_is_left_out_where_no_run_has_anything(make) -> None:
    assert make([BARE, Run("old", metrics())]) is None
    assert make([]) is None
    nulls = dict.fromkeys(("levels", "roc", "jafroc", "reliability", "precision_recall", "area_bands"))
    assert make([Run("nulls", metrics(**nulls))]) is None


@pytest.mark.parametrize("make", TABLES, ids=lambda make: make.__name__)
def test_a_run_without_a_part_does_not_keep_others_out(make) -> None:
    table = make([RUN, BARE])
    assert isinstance(table, Table)
    assert table.caption
    assert all(len(row) == len(table.header) for row in table.rows)


def test_levels_stand_below_each_other_with_their_number() -> None:
    table = level_table([RUN])
    assert table is not None
    assert table.header == ("run", "level", "with a lesion", "@ 0.25", "@ 0.5", "@ 1", "@ 2", "@ 4")
    assert table.rows[0][:4] == ("two stage", "image", "50", "0.85 (0.80–0.88)")
    assert table.rows[1][1:3] == ("breast", "51")
    assert "IoU > 0.2" in table.notes[0]
    assert "95 % interval by resampling patients" in table.caption


def test_unusual_operating_points_are_all_shown() -> None:
    own = [{**points(0.5)[0], "fppi": 7.0}]
    run = Run("few", metrics(levels=[{"level": "image", "n": 3, "points": own}]))
    table = level_table([run])
    assert table is not None
    assert table.header[3:] == ("@ 7",)


def test_a_level_without_a_lesion_is_left_out() -> None:
    none = [{"fppi": 1.0, "sensitivity": None}]
    assert level_table([Run("none", metrics(levels=[{"level": "image", "n": 0, "points": none}]))]) is None


def test_average_precision_is_cocos() -> None:
    table = average_precision_table([RUN, BARE])
    assert table is not None
    assert table.rows == (
        ("two stage", "0.312", "0.608", "0.200", "112", "410"),
        ("theirs", "–", "–", "–", "0", "4"),
    )


def test_precision_has_its_interval_and_the_best_f1_its_warning() -> None:
    table = precision_recall_table([RUN])
    assert table is not None
    assert table.rows == (
        ("two stage", "0.5", "0.4321", "0.70 (0.60–0.80)ᵂ", "0.80", "0.75", "90", "38", "22"),
        ("two stage", "0.314 (best F1)", "0.4321", "0.70 (0.60–0.80)ᵂ", "0.80", "0.75", "90", "38", "22"),
    )
    assert "too good for new ones" in table.notes[0]
    assert table.footnotes[-1].startswith("ᵂ Wilson")


def test_undefined_precision_is_a_dash() -> None:
    names = ("score", "precision", "recall", "f1", "true_positives", "false_positives", "false_negatives")
    point = {"fppi": 1.0, **dict.fromkeys(names)}
    table = precision_recall_table(
        [Run("none", metrics(precision_recall={"points": [point], "best_f1": None}))]
    )
    assert table is not None
    assert table.rows == (("none", "1", *("–",) * 7),)


def test_roc_has_areas_and_sensitivity_at_specificity() -> None:
    table = roc_table([RUN])
    assert table is not None
    assert table.header[-1] == "sensitivity at 0.9"
    assert table.rows == (("two stage", "image", "107", "303", "0.912 (0.870–0.954)", "0.75 (0.70–0.80)"),)
    assert "DeLong" in table.notes[0]


def test_a_level_without_that_specificity_shows_a_dash() -> None:
    other = {**RUN.metrics["roc"][0], "level": "breast", "sensitivity_at_specificity": None}
    table = roc_table([replace(RUN, metrics={**RUN.metrics, "roc": [*RUN.metrics["roc"], other]})])
    assert table is not None
    assert table.rows[1][-1] == "–"


def test_jafroc_and_calibration_show_a_dash_for_a_run_without() -> None:
    jafroc, calibration = jafroc_table([RUN, BARE]), calibration_table([RUN, BARE])
    assert jafroc is not None
    assert calibration is not None
    assert jafroc.rows[0] == ("two stage", "0.830 (0.800–0.860)", "JAFROC1", "112", "303")
    assert jafroc.rows[1] == ("theirs", "–", "–", "–", "–")
    assert calibration.rows == (("two stage", "0.123", "0.046", "800"), ("theirs", "–", "–", "–"))


def test_areas_show_the_bands_that_hold_lesions() -> None:
    table = area_band_table([RUN])
    assert table is not None
    assert table.header == ("run", "< 1 cm²", "1–4 cm²", "> 4 cm²")
    assert table.rows[0][1] == "0.71 (0.66–0.74) of 40"


def test_the_spread_is_that_of_the_folds_with_n_minus_one() -> None:
    spread = fold_spread(RUN, sensitivity_of(0.25))
    values = [0.8 + 0.01 * n for n in range(5)]
    assert spread is not None
    assert spread.mean == pytest.approx(statistics.fmean(values))
    assert spread.sd == pytest.approx(statistics.stdev(values))
    assert spread_text(RUN, sensitivity_of(0.25)) == "0.82 ± 0.02"


def test_folds_without_lesions_are_left_out_and_counted() -> None:
    folds = (*full_run().folds[:2], BARE)
    assert spread_text(replace(RUN, folds=folds), sensitivity_of(1.0)) == "0.83 ± 0.01 (2 of 3 folds)"
    assert spread_text(replace(RUN, folds=(RUN, BARE)), sensitivity_of(1.0)) == "0.83 (1 of 2 folds)"
    assert spread_text(replace(RUN, folds=(BARE, BARE)), sensitivity_of(1.0)) == "–"
    assert fold_spread(BARE, value_of("mean_sensitivity")) is None


def test_between_operating_points_the_curve_is_read_in_steps() -> None:
    assert sensitivity_of(0.3)(RUN) == RUN.points[0]["sensitivity"]
    assert sensitivity_of(0.1)(RUN) == 0.0
    assert sensitivity_of(0.3)(BARE) is None


def test_the_table_over_folds_says_how_many_there_are() -> None:
    table = fold_table([RUN, BARE])
    assert table is not None
    assert table.runs == "columns"
    assert "two stage: 5 folds" in table.caption
    assert table.rows[0] == ("sensitivity @ 0.25", "0.82 ± 0.02", "–")
    assert table.rows[-1][0] == "AP50"
    assert "n − 1" in table.notes[0]


def test_one_fold_has_no_spread() -> None:
    assert fold_table([full_run(n_folds=1)]) is None


def test_the_rule_is_named_as_the_metrics_state_it() -> None:
    rule = {**RULE, "hit": "center", "level": "breast"}
    assert level(Run("a", metrics(rule=rule))).startswith("breast level, centre")
    assert level(BARE) == "lesion level, IoU > ?"


def test_the_report_holds_the_papers_tables_first_and_published_figures_last() -> None:
    run = full_run(table="P0-I")
    tables = report_tables([run], has_published=True)
    assert tables[0].caption.startswith("P0, Table I:")
    assert tables[1:-1] == measured_tables([run])
    assert tables[-1].caption == "Published figures, for context"
    assert tables[-1].notes[0].startswith("Not comparable unless")
    assert [table.caption for table in report_tables([BARE])] == [
        "Lesion sensitivity at false positives per image, 95 % interval",
        "What was scored; mean sensitivity over 0.25, 0.5, 1, 2 and 4 FPPI; AP50, average precision at "
        "IoU > 0.5",
    ]
