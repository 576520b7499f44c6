"""Tables say what was measured, how surely, and on what."""

from __future__ import annotations

import pytest

from mammo_monai.reports import operating_point_table, read_run, run_table, summary_table
from mammo_monai.reports.literature.published import CAVEAT, published_table
from mammo_monai.reports.runs import Run
from mammo_monai.reports.tables.run_tables import (
    headline,
    normal_image_table,
    normal_points_table,
    sensitivity_text,
    size_band_table,
)
from mammo_monai.reports.tables.table import Table
from tests.reports.scene import write_scene


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return read_run(write_scene(tmp_path_factory.mktemp("scene")) / "run")


@pytest.fixture
def foreign() -> Run:
    """What design.md asks of a metrics file and no more."""
    point = {"fppi": 1.0, "sensitivity": 0.5, "low": None, "high": None}
    froc = {"fppi": [0.0, 1.0], "sensitivity": [0.0, 0.5], "points": [point]}
    return Run("theirs", {"rule": {}, "n_images": 4, "n_lesions": 2, "froc": froc})


def test_text_columns_are_aligned() -> None:
    table = Table("caption", ("a", "long"), (("wide", "1"), ("b", "2")))
    assert table.as_text() == "a     long\nwide  1\nb     2"


def test_operating_points_stand_in_rows_and_runs_in_columns(run: Run, foreign: Run) -> None:
    table = operating_point_table([run, foreign])
    assert table.header == ("FPPI", "a model", "theirs")
    by_fppi = {row[0]: row[1:] for row in table.rows}
    assert by_fppi["1"][1] == "0.50"
    assert by_fppi["0.25"][1] == "–"
    assert by_fppi["0.25"][0].startswith("0.50 (")
    assert "95 % interval" in table.caption


@pytest.mark.parametrize(
    ("point", "text"),
    [
        (None, "–"),
        ({"sensitivity": None, "low": None}, "–"),
        ({"sensitivity": 0.5, "low": None}, "0.50"),
        ({"sensitivity": 0.5, "low": 0.25, "high": 0.75, "interval": "bootstrap"}, "0.50 (0.25–0.75)"),
        ({"sensitivity": 1.0, "low": 0.8, "high": 1.0, "interval": "wilson"}, "1.00 (0.80–1.00)ᵂ"),
    ],
)
def test_a_sensitivity_comes_with_its_interval(point, text: str) -> None:
    assert sensitivity_text(point) == text


def test_the_summary_counts_and_leaves_out_what_is_unknown(run: Run, foreign: Run) -> None:
    rows = summary_table([run, foreign]).rows
    assert rows[0][:6] == ("a model", "3", "2", "3", "2", "4")
    assert rows[1] == ("theirs", "4", "–", "–", "2", "–", "–", "–")


def test_size_bands_show_only_those_with_lesions(run: Run, foreign: Run) -> None:
    table = size_band_table([run, foreign])
    assert table is not None
    assert table.header == ("run", "< 2 cm")
    assert table.rows[0][1].endswith(" of 2")
    assert table.rows[1][1] == "–"
    assert size_band_table([foreign]) is None


def test_false_positives_on_normal_images_stand_by_score(run: Run, foreign: Run) -> None:
    table = normal_image_table([run, foreign])
    assert table is not None
    by_score = dict(zip(table.header, table.rows[0], strict=True))
    assert by_score["≥ 0.5"] == "0.50"
    assert table.rows[1][1] == "–"
    assert normal_image_table([foreign]) is None


def test_a_headline_holds_value_interval_level_rule_and_images(run: Run) -> None:
    text = headline(run)
    assert text.startswith("sensitivity 0.50 (95 % CI ")
    assert "at 1 FPPI, lesion level, IoU > 0.2; 3 images (2 normal), 2 lesions, 3 patients, test list" in text


def test_a_headline_without_interval_or_point_says_no_more_than_it_knows(foreign: Run) -> None:
    assert headline(foreign) == "sensitivity 0.50 at 1 FPPI, lesion level, IoU > ?; 4 images, 2 lesions"
    assert headline(foreign, fppi=2.0) == "sensitivity undefined; 4 images, 2 lesions"


def test_one_runs_table_names_the_score_to_set(run: Run, foreign: Run) -> None:
    table = run_table(run)
    assert table.header == ("FPPI", "sensitivity", "95 % CI", "score at least")
    assert {row[0]: row[3] for row in table.rows}["1"] == "0.4000"
    assert run_table(foreign).rows == (("1", "0.50", "–", "–"),)


def test_published_figures_carry_their_caveat() -> None:
    assert CAVEAT.startswith("Not comparable unless split and rule are the same.")
    assert all(len(row) == len(published_table().header) for row in published_table().rows)


def test_normal_points_stand_under_the_fppi_their_score_was_chosen_for() -> None:
    point = {"fppi": 0.5, "score": 0.3, "false_positives_per_image": 1.354, "low": 1.26, "high": 1.451}
    rule, parts = {"confidence": 0.9}, {"points": [point]}
    given = {"inputs": {"operating_points_sha256": "0" * 64}}
    run = Run("parts", {"rule": rule, "normal_images": parts, "n_lesions": 0, **given})
    mixed = {"points": [{**point, "fppi": 2.0}]}
    table = normal_points_table([run, Run("mixed", {"rule": rule, "normal_images": mixed, "n_lesions": 3})])
    assert table is not None
    assert table.header == ("run", "0.5", "2")
    assert table.rows == (("parts", "1.35 (1.26–1.45)", "–"), ("mixed", "–", "1.35 (1.26–1.45)"))
    assert "90 % CI" in table.caption
    circular = Run("circular", {"rule": rule, "normal_images": parts, "n_lesions": 0})
    assert normal_points_table([circular]) is None
