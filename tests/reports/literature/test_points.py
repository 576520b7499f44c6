"""Published points: those of the papers, of one kind of images, with letters that can be told apart."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammo_monai.reports.literature.points import (
    bands_literature,
    froc_literature,
    kind_of_runs,
    kind_of_table,
    normals_literature,
)
from mammo_monai.reports.literature.published import table_keys
from mammo_monai.reports.plots.literature_marks import _LETTER, _MARK, _box, _overlap, letter_offsets, letters
from tests.reports.rich_runs import bare_run, rich_run


def test_points_are_those_the_papers_print() -> None:
    points = froc_literature("digital")
    two_stage = [(each.fppi, each.sensitivity, each.sd) for each in points if each.source == "P0, Table II"]
    assert two_stage == [
        (0.25, 0.90, 0.06),
        (0.44, 0.93, 0.05),
        (0.58, 0.94, 0.04),
        (0.79, 0.96, 0.04),
        (1.67, 0.99, 0.02),
    ]
    assert {each.label for each in points} >= {"Ribli et al.", "Kozegar et al.", "Akselrod-Ballin et al."}
    assert all(each.source for each in points)
    (ribli,) = [each for each in points if each.label == "Ribli et al."]
    assert ribli.caveat == "malignant lesions only"


def test_each_kind_of_images_has_its_own_points_and_the_unknown_none() -> None:
    assert {each.fppi for each in froc_literature("film")} == {0.5, 1.0}
    assert {each.label for each in froc_literature("in-house")} == {
        f"Jung et al., 2018, S-{n}" for n in (2, 4, 7)
    }
    assert froc_literature(None) == normals_literature(None) == bands_literature(None) == ()
    assert bands_literature("film") == ()


def test_normals_and_bands_are_those_the_papers_print() -> None:
    def normals(kind: str) -> list[tuple[float, float]]:
        return [(each.score, each.false_positives_per_image) for each in normals_literature(kind)]

    assert normals("digital") == [(0.9, 0.42), (0.95, 0.34)]
    assert normals("in-house") == [(0.9, 0.09), (0.95, 0.03)]
    bands = {each.band: each.sensitivity for each in bands_literature("digital")}
    assert bands == {"<2cm": 0.93, ">=2cm": 0.98, "<1cm2": 0.89, "1-4cm2": 0.97, ">4cm2": 0.97}


def test_every_table_of_one_kind_of_images_is_known() -> None:
    unknown = [key for key in table_keys() if kind_of_table(key) is None]
    assert unknown == ["P1", "P2-S5", "P2-normals"]  # private, of two kinds, and one row of each kind
    assert kind_of_table("P0-IV") == "film"
    assert kind_of_table("P2-S4") == "in-house"
    assert kind_of_table("") is None


@pytest.mark.parametrize(
    ("tables", "kind"),
    [(["P0-II", "P0-I"], "digital"), (["P0-II", "P0-IV"], None), (["P0-II", ""], None), ([], None)],
)
def test_runs_have_a_kind_where_all_agree(tables: list[str], kind: str | None) -> None:
    runs = [rich_run(table=table) if table else bare_run() for table in tables]
    assert kind_of_runs(runs) == kind


def test_every_label_has_a_letter_of_its_own() -> None:
    named = letters(froc_literature("digital"))
    assert list(named.values()) == sorted(set(named.values()))
    assert len(named) == len({each.label for each in froc_literature("digital")})


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 500), st.floats(0, 300)), min_size=1, max_size=8, unique=True))
def test_letters_keep_off_each_other_and_off_marks_where_there_is_room(
    places: list[tuple[float, float]],
) -> None:
    spread = [(x + 60 * n, y) for n, (x, y) in enumerate(sorted(places))]
    offsets = letter_offsets(spread)
    boxes = [_box((x + dx, y + dy), _LETTER) for (x, y), (dx, dy) in zip(spread, offsets, strict=True)]
    marks = [_box(place, (_MARK, _MARK)) for place in spread]
    assert all(_overlap(one, other) == 0 for one, other in combinations(boxes, 2))
    assert all(_overlap(box, mark) == 0 for box in boxes for mark in marks)


def test_marks_on_one_place_still_get_letters_apart() -> None:
    offsets = letter_offsets([(100.0, 100.0)] * 3)
    boxes = [_box((100 + dx, 100 + dy), _LETTER) for dx, dy in offsets]
    assert all(_overlap(one, other) == 0 for one, other in combinations(boxes, 2))
