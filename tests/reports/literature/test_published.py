"""Published figures: one place, in range, each run's table and row known."""

from __future__ import annotations

import pytest

from mammo_monai.reports.literature.published import (
    CAVEAT,
    ONE_LESION,
    P1_DETECTORS,
    P2_NORMALS,
    PAPER_TABLES,
    STAGE_ONE_ALONE,
    published_table,
    table_keys,
    table_rows,
)
from mammo_monai.reports.literature.records import PublishedTable
from mammo_monai.reports.tables.table import Table


@pytest.mark.parametrize("paper", PAPER_TABLES, ids=lambda paper: paper.key)
def test_every_row_fills_its_columns_and_every_figure_is_a_share(paper: PublishedTable) -> None:
    for row in paper.rows:
        assert len(row.before) == len(paper.before)
        assert len(row.after) == len(paper.after)
        assert row.points
        for point in row.points:
            assert 0 < point.sensitivity <= 1
            assert point.sd is None or 0 <= point.sd < 0.2
            assert 0 < point.fppi <= 5


def test_figures_of_p1_and_of_normal_images_are_in_range() -> None:
    for each in P1_DETECTORS:
        assert each.f1 == pytest.approx(
            2 * each.precision * each.recall / (each.precision + each.recall), abs=0.006
        )
        assert 0 < each.ap50 < 1
    for each in P2_NORMALS:
        assert each.false_positives[0.95] < each.false_positives[0.9]


def test_only_the_table_with_a_warning_falls_along_its_curve() -> None:
    falling = set()
    for paper in PAPER_TABLES:
        for row in paper.rows:
            points = sorted(row.points, key=lambda point: point.fppi)
            values = [point.sensitivity for point in points]
            if values != sorted(values):
                falling.add(paper.key)
    assert falling == {"P0-IV", "P2-S"}
    for paper in PAPER_TABLES:
        assert (paper.key in falling) == any("which no FROC curve can do" in note for note in paper.notes)
    assert [point.sensitivity for point in STAGE_ONE_ALONE[2:4]] == [0.92, 0.91]


def test_keys_are_those_of_the_experiment_files_in_order_of_print() -> None:
    keys = table_keys()
    assert keys[:8] == tuple(f"P0-{n}" for n in ("I", "II", "III", "IV", "V", "VI", "VII", "VIII"))
    assert keys[8:17] == ("P1", *(f"P2-S{n}" for n in range(1, 8)), "P2-normals")
    assert len(set(keys)) == len(keys)


def test_rows_of_a_sweep_are_its_settings() -> None:
    assert table_rows("P0-VI") == ("0.000001", "0.000005", "0.00001", "0.00005", "0.0001")
    assert table_rows("P0-I") == ()
    assert "retinanet-r101" in table_rows("P1")


def test_the_context_table_is_made_of_the_records() -> None:
    table = published_table()
    assert isinstance(table, Table)
    assert all(len(row) == len(table.header) for row in table.rows)
    figures = {row[0]: row[2] for row in table.rows}
    assert figures["RetinaNet, two-stage transfer (P0)"] == ".90±.06@.25 · .96±.04@.79 · .99±.02@1.67"
    assert figures["Jung et al., 2018, RetinaNet (P2)"] == ".91/.92/.94@1.3 · .95/.97/.97@3"
    assert figures["independent re-implementation, not reviewed"] == ".784@.5 · .855@1"
    assert CAVEAT.startswith("Not comparable unless split and rule are the same.")
    assert "one lesion of 112" in ONE_LESION
