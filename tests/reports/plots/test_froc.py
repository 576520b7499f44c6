"""FROC plots with published points and over folds: what is drawn where."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mammo_monai.errors import ManifestError
from mammo_monai.reports.literature.points import LiteraturePoint, froc_literature
from mammo_monai.reports.plots import froc as froc_plot
from mammo_monai.reports.plots.folds import fold_band, has_band
from mammo_monai.reports.plots.style import sensitivity_label
from tests.reports.plots.drawn import NARROW, WIDE, figure_of, overlapping_texts
from tests.reports.rich_runs import bare_run, empty_run, rich_run

RUN = rich_run()
PUBLISHED = [
    LiteraturePoint("P", 0.25, 0.9, 0.06),
    LiteraturePoint("Q", 1.3, 0.65),
    LiteraturePoint("P", 9.0, 1.0),
]


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("literature", [(), froc_literature("film")], ids=["alone", "published"])
def test_no_text_lies_on_another(size: tuple[float, float], literature: Any) -> None:
    figure = figure_of(froc_plot._froc([RUN, rich_run("b", 0.7)], literature), size)
    assert overlapping_texts(figure) == []


def test_published_points_are_marked_with_letters_within_the_axes() -> None:
    (axes,) = figure_of(froc_plot._froc([RUN], PUBLISHED)).axes
    assert [text.get_text() for text in axes.texts] == ["a", "b"]  # 9 FPPI lies beyond the axis
    marks = [line for line in axes.get_lines() if line.get_marker() == "o"][-1]
    assert marks.get_xydata().tolist() == [[0.25, 0.9], [1.3, 0.65]]
    bars = [line.get_ydata() for line in axes.get_lines() if list(line.get_xdata()) == [0.25, 0.25]]
    np.testing.assert_allclose(bars, [[0.84, 0.96]])


def test_with_published_points_the_axis_begins_below_what_is_compared() -> None:
    assert froc_plot.lowest_shown([RUN], ()) == 0.0
    assert froc_plot.lowest_shown([rich_run("high", 0.95)], PUBLISHED[:1]) == 0.8
    assert froc_plot.lowest_shown([RUN], PUBLISHED) == 0.6  # .65, published
    assert froc_plot.lowest_shown([rich_run("low", 0.33)], PUBLISHED) == pytest.approx(
        0.2
    )  # .28, the interval
    assert froc_plot.lowest_shown([empty_run()], PUBLISHED) == 0.6


def test_all_published_points_are_within_reach_of_a_letter() -> None:
    points = froc_literature("digital")
    (axes,) = figure_of(froc_plot._froc([rich_run("high", 0.95)], points), (9.8, 5.2)).axes
    assert len(axes.texts) == len(points)
    assert overlapping_texts(axes.figure) == []


def test_the_mean_over_folds_counts_each_fold_once_and_leaves_out_those_without_lesions() -> None:
    band = fold_band(RUN)
    assert band is not None
    assert band.folds == ("1", "2")
    at_one = int(np.searchsorted(band.fppi, 1.0))
    assert band.mean[at_one] == pytest.approx((0.8 + 0.7) / 2)
    assert (band.low <= band.mean).all()
    assert (band.mean <= band.high).all()


def test_a_run_alone_shows_its_folds_thin_and_several_show_their_means() -> None:
    (axes,) = figure_of(froc_plot._fold_froc([RUN])).axes
    assert [line.get_linewidth() for line in axes.get_lines()] == [0.7, 0.7, 1.8]
    (axes,) = figure_of(froc_plot._fold_froc([RUN, bare_run(), rich_run("b", 0.7)])).axes
    assert [line.get_linewidth() for line in axes.get_lines()] == [1.8, 1.8]
    assert len(axes.collections) == 2  # the bands


def test_one_fold_with_lesions_makes_no_band() -> None:
    assert fold_band(replace(RUN, folds=RUN.folds[1:])) is None
    assert not has_band([bare_run(), replace(RUN, folds=RUN.folds[:1])])


def test_folds_of_different_rules_are_refused() -> None:
    second = RUN.folds[1]
    other = replace(second, metrics={**second.metrics, "rule": {**second.metrics["rule"], "min_iou": 0.5}})
    with pytest.raises(ManifestError, match=r"rule\.min_iou is 0\.5"):
        fold_band(replace(RUN, folds=(RUN.folds[0], other)))


def test_the_axis_says_what_the_rule_counts() -> None:
    patient = replace(RUN, metrics={**RUN.metrics, "rule": {**RUN.metrics["rule"], "level": "patient"}})
    assert sensitivity_label([RUN]) == "lesion sensitivity"
    assert sensitivity_label([patient]) == "patient sensitivity"
    assert sensitivity_label([RUN, patient]) == "sensitivity"


def test_operating_points_without_interval_have_no_band_and_a_curve_may_end_early() -> None:
    points = [{**each, "low": None, "high": None} for each in RUN.metrics["froc"]["points"]]
    bare = replace(RUN, metrics={**RUN.metrics, "froc": {**RUN.metrics["froc"], "points": points}})
    (axes,) = figure_of(froc_plot._froc([bare], ())).axes
    assert [path.vertices.size for band in axes.collections for path in band.get_paths()] in ([], [0])
    carried = [line.get_xdata().tolist() for line in axes.get_lines() if line.get_linewidth() == 0.9]
    assert carried == [[3.0, 5.0]]
