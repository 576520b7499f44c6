"""Tables of subgroups: their words, their lesions, and runs that lack them."""

from __future__ import annotations

from dataclasses import replace

from mammo_monai.reports.runs import Run
from mammo_monai.reports.subgroups import subgroups_of
from mammo_monai.reports.tables.subgroup_tables import subgroup_false_positive_table, subgroup_table
from tests.reports.rich_runs import bare_run, point, rich_run


def run_of(name: str, *groups: tuple[str, str]) -> Run:
    entries = [
        {
            "by": by,
            "group": group,
            "n_images": 3,
            "n_lesions": 2,
            "points": [point(0.5, 0.5)],
            "false_positives": [],
        }
        for by, group in groups
    ]
    return Run(name, {**bare_run().metrics, "subgroups": entries})


def test_a_row_names_its_kind_and_group_and_each_run_its_lesions() -> None:
    table = subgroup_table([rich_run("first"), bare_run()])
    assert table is not None
    assert [row[0] for row in table.rows] == ["view: CC", "view: MLO", "subtlety: 1, subtle"]
    assert table.rows[0][1:] == ("0.80 (0.75–0.85) of 9", "–")
    assert "at 0.5 FPPI" in table.caption
    assert "one score" in table.footnotes[0]


def test_false_positives_stand_where_images_are_told_apart() -> None:
    table = subgroup_false_positive_table([bare_run(), rich_run("second")])
    assert table is not None
    assert table.rows == (
        ("view: CC", "–", "0.40 (0.30–0.50) of 12"),
        ("view: MLO", "–", "0.60 (0.50–0.70) of 18"),
    )
    assert subgroup_false_positive_table([run_of("a", ("pathology", "benign"))]) is None


def test_without_subgroups_there_is_no_table() -> None:
    assert subgroup_table([bare_run()]) is None
    assert subgroup_false_positive_table([bare_run()]) is None
    nothing = replace(rich_run("a"), metrics={**bare_run().metrics, "subgroups": []})
    assert subgroup_table([nothing]) is None


def test_groups_of_several_runs_are_joined_in_one_order() -> None:
    first = run_of("a", ("birads", "5"), ("breast_density", "unknown"), ("breast_density", "4"))
    second = run_of("b", ("vendor", "x"), ("breast_density", "1"), ("laterality", "R"))
    found = subgroups_of([first, second])
    assert [(each.title, each.word) for each in found] == [
        ("side", "right"),
        ("breast density", "a"),
        ("breast density", "d"),
        ("breast density", "unknown"),
        ("BI-RADS", "5"),
        ("vendor", "x"),
    ]
    assert [each is not None for each in found[0].entries] == [False, True]
