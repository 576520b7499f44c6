"""The parts of a report page: each where there is something in it, in order, each id once."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from mammo_monai.reports import ReportOptions, write_report
from mammo_monai.reports.literature.points import DataKind
from mammo_monai.reports.page.figures import (
    bands_figure,
    fold_figure,
    headline_section,
    literature_figure,
    normals_figure,
    overlap_figure,
    reliability_figure,
    roc_figure,
    subgroups_figure,
    training_figure,
)
from mammo_monai.reports.page.parts import Part, contents_html, figure_parts, parts_html
from mammo_monai.reports.page.shell import html_page
from mammo_monai.reports.page.tables import html_table
from mammo_monai.reports.runs import Run
from mammo_monai.reports.tables.table import Table
from tests.reports.html_parser import Page
from tests.reports.rich_runs import bare_run, empty_run, rich_run

RUNS = [rich_run("first", table="P0-II"), rich_run("second", 0.7, table="P0-I")]


def anchors(runs: list[Run], **options) -> list[str]:
    chosen = {"fppi": 1.0, "has_published": False, "kind": None, **options}
    return [part.anchor for part in figure_parts(runs, **chosen)]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_report(path, RUNS, options=ReportOptions(has_published=True))
    return Page(path.read_text(encoding="utf-8"))


def test_a_rich_page_holds_every_part_in_order(page: Page) -> None:
    parts = [each["id"] for each in page.all("div", class_="part")]
    assert parts == [
        "froc",
        "points",
        "published",
        "overlap",
        "sizes",
        "normals",
        "subgroups",
        "roc",
        "reliability",
        "training",
        "images",
        "provenance",
    ]
    assert len(page.all("figure", class_="plot")) == 10
    assert page.open == []


def test_contents_lead_to_every_part(page: Page) -> None:
    links = [each["href"] for each in page.all("a")]
    assert links == [f"#{each['id']}" for each in page.all("div", class_="part")]


def test_every_id_stands_once_and_every_reference_leads_to_one(page: Page) -> None:
    ids = Counter(each["id"] for _, each in page.tags if each.get("id"))
    assert [name for name, n in ids.items() if n > 1] == []
    used = [value for _, each in page.tags for key, value in each.items() if key in ("href", "xlink:href")]
    used += [each["clip-path"][5:-1] for _, each in page.tags if each.get("clip-path")]
    assert used
    assert {each.lstrip("#") for each in used} <= set(ids)


def test_every_plot_is_told_in_words_in_both_shapes(page: Page) -> None:
    shown = [each for each in page.all("div") if each.get("role") == "img"]
    assert len(shown) == 2 * 10
    assert all(each["aria-label"] for each in shown)
    assert [each["class"] for each in shown] == ["wide", "narrow"] * 10


def test_plain_metrics_give_a_page_of_froc_and_points_alone() -> None:
    assert anchors([bare_run()]) == ["froc", "points"]
    assert anchors([empty_run()]) == ["froc", "points"]
    none = (overlap_figure, bands_figure, normals_figure, roc_figure, reliability_figure, training_figure)
    for figure in (*none, subgroups_figure, fold_figure):
        assert figure([bare_run()]) == ""
    assert literature_figure([empty_run()], "digital") == ""
    assert literature_figure(RUNS, None) == ""


def test_published_points_stand_in_plots_of_their_own_kind_of_images_only() -> None:
    kept = ("size_bands", "area_bands", "subgroups", "normal_images")
    few = bare_run().metrics | {name: RUNS[0].metrics[name] for name in kept}
    run = replace(RUNS[0], metrics=few, folds=(), histories={})

    def texts(kind: DataKind, *, has_published: bool = True) -> dict[str, str]:
        parts = figure_parts([run], fppi=1.0, has_published=has_published, kind=kind)
        return {part.anchor: part.html for part in parts}

    parts = texts("digital")
    assert "P0, Table II" in parts["published"]
    assert "malignant lesions only" in parts["published"]
    assert "Jung et al." in parts["normals"]
    assert "Agarwal et al." in parts["sizes"]
    film = texts("film")
    assert "not peer reviewed" in film["published"]
    assert "Jung et al." not in film["normals"]
    without = texts("digital", has_published=False)
    assert "Jung et al." not in without["normals"]
    assert 'class="plot' not in without["published"]  # the papers' tables, which the runs ask for, alone


def test_the_page_takes_the_kind_from_the_tables_unless_told(tmp_path: Path) -> None:
    def text_of(runs: list[Run], **options) -> str:
        write_report(tmp_path / "r.html", runs, options=ReportOptions(has_published=True, **options))
        return (tmp_path / "r.html").read_text(encoding="utf-8")

    unknown = [bare_run()]
    assert 'class="key letters"' in text_of([replace(bare_run(), table="P0-II")])
    assert 'class="key letters"' not in text_of(unknown)
    assert "not peer reviewed" in text_of(unknown, data_kind="film")


def test_a_single_run_is_named_once_and_several_have_a_key_each_time() -> None:
    assert 'class="key"' not in overlap_figure(RUNS[:1])
    assert overlap_figure(RUNS).count("<li>") == 2


def test_a_figure_over_folds_says_how_its_band_was_made() -> None:
    assert "mean ± t(1) · SD / √2 over 2 folds" in fold_figure(RUNS)
    assert "Thin lines" not in fold_figure(RUNS)
    assert "Thin lines: the folds." in fold_figure(RUNS[:1])


def test_halves_stand_in_pairs_with_what_is_below_them() -> None:
    halves = [Part(name, name, f"<p>{name}</p>", is_half=True, below=f"<i>{name}</i>") for name in "abc"]
    html = parts_html([halves[0], halves[1], halves[2], Part("d", "D", "<p>d</p>")])
    first, second, last = html.split("\n")
    assert first.index("</p></div></div><i>a</i><i>b</i>") > first.index('id="b"')
    assert second.startswith('<div class="pair"><div class="part" id="c">')
    assert last == '<div class="part" id="d"><p>d</p></div>'
    assert contents_html([Part("d", "A < B", "")]).count("A &lt; B") == 1


def test_notes_of_a_table_stand_below_it_escaped() -> None:
    table = Table("Caption", ("a", "b"), (("1", "2"),), notes=("n < 1",))
    assert '<div class="notes"><p>n &lt; 1</p></div>' in html_table(table)
    assert "notes" not in html_table(Table("Caption", ("a",), (("1",),)))


def test_a_headline_says_whether_lesions_or_the_operating_point_are_missing() -> None:
    run = rich_run("first")
    assert "no such operating point in this run" in headline_section([run], fppi=0.7)
    without = replace(run, metrics={**run.metrics, "n_lesions": 0})
    assert "undefined: no lesion to find" in headline_section([without], fppi=0.7)


def test_a_headline_names_data_set_list_and_model() -> None:
    told = {"bundle": "mass", "version": "1.2.0", "weights_sha256": "ab" * 32, "software": "x 1"}
    inputs = {"manifest_sha256": "c" * 64, "split": None}
    run = rich_run("first", model=told)
    scored = replace(run, metrics={**run.metrics, "inputs": inputs})
    named = headline_section([scored], fppi=0.5, data_sets={"c" * 64: "a & b.json (inbreast)"})
    assert "Data: a &amp; b.json (inbreast), all lists. Model: mass 1.2.0, weights abababababab, x 1" in named
    assert "Data: manifest cccccccccccc, all lists." in headline_section([scored], fppi=0.5)
    single = replace(run, metrics={**run.metrics, "inputs": {**inputs, "split": "test"}})
    assert "Data: manifest cccccccccccc. Model" in headline_section([single], fppi=0.5)
    assert 'class="basis"' not in headline_section([bare_run()], fppi=0.5)


def test_a_name_without_a_place_to_break_does_not_take_the_whole_width_of_a_table() -> None:
    path = "runs/" + "a" * 40
    page = html_table(Table("Caption", ("run", path), ((path, "1"), ("short", "2")), runs="rows"))
    assert page.count('class="long"') == 1
    assert page.count('class="own long"') == 1
    assert '<table class="named">' in page
    assert '<table><thead><tr><th scope="col"><span>' in html_table(Table("Caption", ("a",), (("1",),)))


def test_a_file_name_that_is_no_text_stands_in_a_page_with_its_bytes_written_out() -> None:
    page = html_page("title", os.fsdecode(b"Bef\xfcnde/1.dcm") + " · ü")
    assert "Bef\\udcfcnde/1.dcm · ü" in page
    assert page.encode("utf-8")
