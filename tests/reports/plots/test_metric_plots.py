"""Plots of what metrics.json holds beside FROC: drawn where there is something, "" or an error where not."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from mammo_monai.reports import plots
from mammo_monai.reports.literature.points import bands_literature, normals_literature
from mammo_monai.reports.plots import bands as bands_plot
from mammo_monai.reports.plots import normals as normals_plot
from mammo_monai.reports.plots import overlap as overlap_plot
from mammo_monai.reports.plots import reliability as reliability_plot
from mammo_monai.reports.plots import roc as roc_plot
from mammo_monai.reports.plots import training
from mammo_monai.reports.plots.style import RUN_COLOURS, STAND_INS
from mammo_monai.reports.plots.subgroups import subgroup_rows
from mammo_monai.reports.runs import EpochPoint, Run
from tests.reports.plots.drawn import HALF, NARROW, WIDE, figure_of, overlapping_texts
from tests.reports.rich_runs import MIN_IOU, bare_run, empty_run, rich_run, roc

Svg = Callable[..., str]
KINDS: dict[str, tuple[Svg, Callable[..., None], str]] = {
    "overlap": (plots.overlap_svg, plots.save_overlap_plot, "minimum IoU of a hit"),
    "normals": (plots.normals_svg, plots.save_normals_plot, "false positives per normal image"),
    "bands": (plots.bands_svg, plots.save_bands_plot, "lesion sensitivity at 0.5 FPPI"),
    "subgroups": (plots.subgroups_svg, plots.save_subgroups_plot, "1, subtle (1)"),
    "roc": (plots.roc_svg, plots.save_roc_plot, "1 − specificity"),
    "training": (plots.training_svg, plots.save_training_plot, "epoch"),
    "reliability": (plots.reliability_svg, plots.save_reliability_plot, "share that hit a lesion"),
    "folds": (plots.fold_froc_svg, plots.save_fold_froc_plot, "lesion sensitivity"),
}
RUNS = [rich_run("first"), rich_run("second", 0.7)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_plot_is_themed_well_formed_and_says_what_it_shows(kind: str) -> None:
    svg_of, _, words = KINDS[kind]
    svg = svg_of(RUNS, size_in=HALF, salt=kind)
    assert ET.fromstring(svg).tag.endswith("svg")
    assert words in svg
    assert "var(--run-1)" in svg
    assert "var(--run-2)" in svg
    assert "<style" not in svg
    assert not re.search(r"<text[^>]*fill: var\(--run-\d\)", svg)  # its own colour is too light for letters
    for colour in (STAND_INS.ink, STAND_INS.faint, STAND_INS.grid, *STAND_INS.runs, *RUN_COLOURS):
        assert colour not in svg


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_without_the_key_leaves_the_others_their_colour(kind: str) -> None:
    svg = KINDS[kind][0]([bare_run(), rich_run()], size_in=HALF, salt=kind)
    assert "var(--run-2)" in svg
    assert "var(--run-1)" not in svg


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("runs", [[bare_run()], [empty_run()], []], ids=["bare", "no lesions", "none"])
def test_where_nothing_is_known_there_is_no_plot(kind: str, runs: list[Run], tmp_path: Path) -> None:
    svg_of, save, _ = KINDS[kind]
    assert svg_of(runs, size_in=HALF, salt=kind) == ""
    with pytest.raises(ValueError, match=r"(no run|none has)"):
        save(tmp_path / "plot.svg", runs)
    assert not (tmp_path / "plot.svg").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_that_is_null_counts_as_missing(kind: str) -> None:
    names = ("overlap", "normal_images", "size_bands", "area_bands", "roc", "reliability")
    run = bare_run()
    run = replace(run, metrics={**run.metrics, **dict.fromkeys(names)})
    assert KINDS[kind][0]([run], size_in=HALF, salt=kind) == ""


@pytest.mark.parametrize(
    ("kind", "suffix"), [*((kind, "svg") for kind in KINDS), ("bands", "png"), ("bands", "pdf")]
)
def test_a_file_for_print_names_its_runs_and_is_the_same_each_time(
    kind: str, suffix: str, tmp_path: Path
) -> None:
    save = KINDS[kind][1]
    for name in ("a", "b"):
        save(tmp_path / f"{name}.{suffix}", RUNS)
    content = (tmp_path / f"a.{suffix}").read_bytes()
    assert content == (tmp_path / f"b.{suffix}").read_bytes()
    assert content.startswith({"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[suffix])
    if suffix == "svg":
        assert b">first<" in content
        assert b">second<" in content


@pytest.mark.parametrize("size", [WIDE, HALF, NARROW], ids=["wide", "half", "narrow"])
@pytest.mark.parametrize(
    "draw",
    [
        overlap_plot._overlap(RUNS),
        normals_plot._normals(RUNS, normals_literature("digital")),
        bands_plot._bands(RUNS, bands_literature("digital")),
        roc_plot._roc(RUNS),
        training._training(RUNS),
        reliability_plot._reliability(RUNS),
    ],
    ids=["overlap", "normals", "bands", "roc", "training", "reliability"],
)
def test_no_text_lies_on_another(draw: Any, size: tuple[float, float]) -> None:
    assert overlapping_texts(figure_of(draw, size)) == []


def test_three_levels_have_room_beside_each_other() -> None:
    curves = [{**roc(level, 0.8), "n_negative": 1234} for level in ("patient", "image", "breast")]
    run = replace(RUNS[0], metrics={**RUNS[0].metrics, "roc": curves})
    figure = figure_of(roc_plot._roc([run, run]), (9.8, 4.1))
    assert overlapping_texts(figure) == []
    first_words = [axes.get_title(loc="left").split("\n")[0] for axes in figure.axes]
    assert first_words == ["per image", "per breast", "per patient"]


def test_two_texts_on_each_other_would_be_seen() -> None:
    def draw(figure: Any, _: Any) -> None:
        figure.text(0.5, 0.5, "one")
        figure.text(0.5, 0.5, "other")

    assert overlapping_texts(figure_of(draw)) == [("one", "other")]


def curves_of(axes: Any) -> list[np.ndarray]:
    return [line.get_xydata() for line in axes.get_lines() if len(line.get_xdata()) > 2]


def test_overlap_has_a_panel_per_fppi_and_a_line_per_run() -> None:
    figure = figure_of(overlap_plot._overlap(RUNS))
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["0.5 FPPI", "1.67 FPPI", "4 FPPI"]
    assert [len(curves_of(axes)) for axes in figure.axes] == [2, 2, 2]
    expected = RUNS[1].metrics["overlap"]["sensitivity"][0]
    assert_allclose(curves_of(figure.axes[0])[1], np.column_stack([MIN_IOU, expected]))
    dashed = [line for line in figure.axes[0].get_lines() if len(line.get_xdata()) == 2]
    assert list(dashed[0].get_xdata()) == [0.2, 0.2]  # the limit of all other figures


def test_overlap_without_intervals_or_with_gaps_is_drawn_as_far_as_known() -> None:
    run = rich_run()
    overlap = {**run.metrics["overlap"], "low": None, "high": None, "fppi": [1.0, 2.0]}
    overlap["sensitivity"] = [[None] * 19, [0.5] * 18 + [None]]
    run = replace(run, metrics={**run.metrics, "overlap": overlap})
    assert overlap_plot.overlap_fppi([run]) == (2.0,)
    (axes,) = figure_of(overlap_plot._overlap([run])).axes
    assert np.isnan(curves_of(axes)[0][-1, 1])


def test_runs_of_different_rules_get_no_line_of_the_rule() -> None:
    other = replace(RUNS[1], metrics={**RUNS[1].metrics, "rule": {"min_iou": 0.5}})
    axes = figure_of(overlap_plot._overlap([RUNS[0], other])).axes[0]
    assert [line for line in axes.get_lines() if len(line.get_xdata()) == 2] == []


def test_normals_take_the_curve_else_the_ten_scores() -> None:
    run = rich_run()
    curve = normals_plot.normals_curve(run)
    assert curve is not None
    assert curve["score"] == [0.1, 0.5, 0.9]
    old = {key: value for key, value in run.metrics["normal_images"].items() if key != "curve"}
    older = replace(run, metrics={**run.metrics, "normal_images": old})
    assert normals_plot.normals_curve(older)["score"] == [0.5, 0.9]
    none = replace(run, metrics={**run.metrics, "normal_images": {**old, "n_images": 0}})
    assert normals_plot.normals_curve(none) is None
    assert plots.normals_svg([older], size_in=HALF, salt="x")


def test_published_normals_are_marked_only_when_given() -> None:
    svg = plots.normals_svg(RUNS, size_in=HALF, salt="x", literature=normals_literature("digital"))
    assert "Jung et al." in svg
    assert "Jung et al." not in plots.normals_svg(RUNS, size_in=HALF, salt="x")
    axes = figure_of(normals_plot._normals(RUNS, normals_literature("digital"))).axes[0]
    marks = [line.get_xydata()[0].tolist() for line in axes.get_lines() if len(line.get_xdata()) == 1]
    assert marks == [[0.9, 0.42], [0.95, 0.34]]  # P2, text on Fig. 5


def test_bands_show_how_many_lesions_they_hold() -> None:
    rows = bands_plot.band_rows(RUNS)
    assert [row.text for row in rows] == [
        "< 2 cm\n13 lesions",
        "≥ 2 cm\n7 lesions",
        "< 1 cm²\n1 lesion",
        "1–4 cm²\n9 lesions",
        "> 4 cm²\n10 lesions",
    ]
    fewer = rich_run("third")
    bands = [{**fewer.metrics["size_bands"][0], "n_lesions": 4}]
    fewer = replace(fewer, metrics={**fewer.metrics, "size_bands": bands})
    assert bands_plot.band_rows([RUNS[0], fewer])[0].text == "< 2 cm\n4–13 lesions"
    assert bands_plot.band_rows([RUNS[0], fewer])[1].points[1] is None


def test_bands_of_another_tool_keep_their_name_and_their_missing_interval() -> None:
    metrics = {**bare_run().metrics}
    metrics["size_bands"] = [
        {"band": "tiny", "n_lesions": 2, "points": [{"fppi": 0.5, "sensitivity": 0.5}]},
        {"band": "huge", "n_lesions": 2, "points": [{"fppi": 1.0, "sensitivity": 0.5}]},
    ]
    run = Run("other", metrics)
    assert [row.text for row in bands_plot.band_rows([run])] == ["tiny\n2 lesions"]
    assert "tiny" in plots.bands_svg([run], size_in=HALF, salt="x")


def test_subgroups_are_named_in_words_and_those_without_a_lesion_have_no_row() -> None:
    rows = subgroup_rows(RUNS)
    assert [(row.kind, row.name, row.count_text) for row in rows] == [
        ("view", "CC", "9"),
        ("view", "MLO", "11"),
        ("subtlety", "1, subtle", "1"),
    ]
    assert subgroup_rows([bare_run()]) == []


def test_roc_names_level_counts_and_area() -> None:
    svg = plots.roc_svg(RUNS, size_in=WIDE, salt="x")
    assert [text in svg for text in ("per image", "per breast", "per patient")] == [True, False, True]
    assert svg.count("20 with a lesion, 10 without") == 2
    assert "AUC 0.80 (0.75–0.85)" in svg
    assert "AUC 0.70 (0.65–0.75)" in svg


def test_roc_of_unlike_images_gives_no_common_counts_and_no_interval_it_lacks() -> None:
    first = {**RUNS[0].metrics["roc"][0], "n_positive": 5, "low": None}
    other = replace(RUNS[0], metrics={**RUNS[0].metrics, "roc": [first]})
    svg = plots.roc_svg([RUNS[1], other], size_in=WIDE, salt="x")
    assert svg.count("with a lesion") == 1  # of the panel per patient, which one run alone has
    assert "per image" in svg
    assert ">AUC 0.80<" in svg


def test_a_training_is_a_thin_line_per_fold() -> None:
    loss, figure = figure_of(training._training([rich_run()])).axes
    assert [line.get_ydata().tolist() for line in loss.get_lines()] == [[1.0, 0.6, 0.4], [1.1, 0.7]]
    assert [line.get_xydata().tolist() for line in figure.get_lines()] == [
        [[2.0, 0.5], [3.0, 0.7]],
        [[1.0, 0.4], [2.0, 0.6]],
    ]
    assert [line.get_marker() for line in figure.get_lines()] == [
        "o",
        "None",
    ]  # dots where epochs were left out


def test_a_training_never_validated_has_one_panel_and_a_diverged_one_does_not_flatten_it() -> None:
    history = [EpochPoint(1, 1.0), EpochPoint(2, 1.0), EpochPoint(3, float("nan")), EpochPoint(4, 900.0)]
    (axes,) = figure_of(training._training([Run("x", {}, histories={"1": history})])).axes
    assert axes.get_ylim()[1] == pytest.approx(1.04 * 3.0)
    assert training.loss_axis_end([float("nan")]) == 1.0


def test_reliability_leaves_out_empty_bins_and_says_how_wrong_scores_are() -> None:
    run = rich_run()
    reliability = run.metrics["reliability"]
    bins = [*reliability["bins"], {"low": 1.0, "high": 1.1, "n": 0, "mean_score": None, "hit_rate": None}]
    run = replace(run, metrics={**run.metrics, "reliability": {**reliability, "bins": bins}})
    upper, lower = figure_of(reliability_plot._reliability([run])).axes
    marked = [line for line in upper.get_lines() if line.get_marker() == "o"]
    assert marked[0].get_xydata().tolist() == [[0.2, 0.1], [0.8, 0.7]]
    assert [bar.get_height() for bar in lower.patches] == [90, 10]
    assert "ECE 0.100, Brier 0.052" in plots.reliability_svg([run], size_in=HALF, salt="x")


def test_reliability_without_brier_or_error_says_what_it_has() -> None:
    run = rich_run()
    for kept, expected in (({"expected_calibration_error": 0.1}, ["ECE 0.100"]), ({}, [])):
        own = {"bins": run.metrics["reliability"]["bins"], **kept}
        svg = plots.reliability_svg([replace(run, metrics={"reliability": own})], size_in=HALF, salt="x")
        assert re.findall(r"ECE [\d.]+", svg) == expected
        assert "Brier" not in svg
