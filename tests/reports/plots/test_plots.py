"""The FROC plot and the plot of operating points, as files and as part of a page."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from PIL import Image

from mammo_monai.metrics import FrocCurve
from mammo_monai.reports import froc_svg, read_run, save_froc_plot
from mammo_monai.reports.plots import RUN_COLOURS, RUN_COLOURS_DARK, check_plot_path, save_points_plot
from mammo_monai.reports.plots.operating_points import draw_chosen_points
from mammo_monai.reports.plots.style import PRINT, STAND_INS
from mammo_monai.reports.plots.sweeps import SweepPoint, VariedAxis, sweep_value_svg
from mammo_monai.reports.runs import Run
from mammo_monai.schema import Calibration, OperatingPoint, OperatingPoints, PlattCurve, ReliabilityBin
from tests.reports.scene import write_scene


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return read_run(write_scene(tmp_path_factory.mktemp("scene")) / "run")


def test_a_plot_is_written_as_png_and_as_svg(run: Run, tmp_path: Path) -> None:
    save_froc_plot(tmp_path / "froc.png", [run, run], size_in=(4, 3))
    with Image.open(tmp_path / "froc.png") as image:
        assert image.size == (800, 600)
    save_froc_plot(tmp_path / "froc.svg", [run])
    text = (tmp_path / "froc.svg").read_text()
    assert "lesion sensitivity" in text
    assert "a model" in text  # the legend: a file of its own must say which line is whose


def test_the_same_runs_give_the_same_file(run: Run, tmp_path: Path) -> None:
    for name in ("a.svg", "b.svg"):
        save_froc_plot(tmp_path / name, [run])
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_another_suffix_is_refused(run: Run, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"as \.png, \.svg or \.pdf, got 'froc\.eps'"):
        save_froc_plot(tmp_path / "froc.eps", [run])


def test_in_a_page_every_colour_is_the_themes(run: Run) -> None:
    svg = froc_svg([run] * 7, size_in=(6, 4), salt="x")
    assert "var(--ink)" in svg
    assert "var(--run-1)" in svg
    assert "var(--run-6)" in svg
    for colour in (STAND_INS.ink, STAND_INS.faint, STAND_INS.grid, *STAND_INS.runs, *RUN_COLOURS):
        assert colour not in svg
    assert len(RUN_COLOURS) == len(RUN_COLOURS_DARK)


def test_the_svg_is_well_formed_and_text_stays_text(run: Run) -> None:
    svg = froc_svg([run], size_in=(6, 4), salt="x")
    assert ET.fromstring(svg).tag.endswith("svg")
    assert "false positives per image" in svg
    assert "<metadata" not in svg


def a_calibration(n_bins: int = 4) -> Calibration:
    bins = tuple(
        ReliabilityBin(n / n_bins, (n + 1) / n_bins, (n + 0.5) / n_bins, n / n_bins, 10**n)
        for n in range(n_bins)
    )
    return Calibration(PlattCurve(1.0, 0.0), 0.1, 0.05, bins)


def chosen(calibration: Calibration | None) -> OperatingPoints:
    return OperatingPoints(
        points=(OperatingPoint(0.25, 0.613, 0.7, 0.6, 0.8), OperatingPoint(2.0, 0.1, 0.9, 0.85, 0.95, 1.5)),
        calibration=calibration,
        rule={"min_iou": 0.2, "confidence": 0.95},
        n_images=4,
        n_lesions=3,
        n_patients=2,
        manifest_sha256="a" * 64,
        weights_sha256=(None,),
    )


CURVE = FrocCurve([0.0, 0.2, 1.5], [0.0, 0.7, 0.9], [float("inf"), 0.6, 0.1])


def test_operating_points_stand_beside_the_reliability_diagram(tmp_path: Path) -> None:
    save_points_plot(tmp_path / "p.svg", chosen(a_calibration()), CURVE)
    text = (tmp_path / "p.svg").read_text()
    for shown in (
        "score ≥ 0.61",
        "score ≥ 0.10",
        "lesion sensitivity",
        "share that hit a lesion",
        "detections",
    ):
        assert shown in text
    save_points_plot(tmp_path / "p.png", chosen(a_calibration()), CURVE)
    with Image.open(tmp_path / "p.png") as image:
        assert image.size == (1920, 920)


@pytest.mark.parametrize("curve", [CURVE, None])
def test_without_calibration_or_curve_the_points_stand_alone(tmp_path: Path, curve: FrocCurve | None) -> None:
    save_points_plot(tmp_path / "p.svg", chosen(None), curve)
    text = (tmp_path / "p.svg").read_text()
    assert "score ≥ 0.61" in text
    assert "share that hit a lesion" not in text


def axes_drawn(calibration: Calibration | None) -> list:
    figure = Figure(figsize=(9.6, 4.6))
    draw_chosen_points(figure, chosen(calibration), CURVE, PRINT)
    return figure.axes


def test_a_point_stands_where_its_detections_end_not_where_it_aimed() -> None:
    (axes,) = axes_drawn(None)
    marks = [line.get_xdata().tolist() for line in axes.get_lines() if line.get_marker() == "o"]
    assert marks == [[0.25, 1.5]]


def test_bins_are_drawn_at_their_mean_probability_with_their_counts() -> None:
    _, diagram, counts = axes_drawn(a_calibration())
    drawn = [line for line in diagram.get_lines() if line.get_marker() == "o"]
    assert drawn[0].get_xydata().tolist() == [[0.125, 0.0], [0.375, 0.25], [0.625, 0.5], [0.875, 0.75]]
    assert [bar.get_height() for bar in counts.patches] == [1, 10, 100, 1000]
    assert counts.get_yscale() == "log"


def test_a_plot_name_is_checked_by_itself() -> None:
    check_plot_path(Path("a/p.PNG"))
    with pytest.raises(ValueError, match=r"as \.png, \.svg or \.pdf, got 'p'"):
        check_plot_path(Path("a/p"))


def test_two_plots_on_one_page_share_no_id(run: Run) -> None:
    def ids(salt: str) -> set[str]:
        root = ET.fromstring(froc_svg([run], size_in=(6, 4), salt=salt))
        return {own for each in root.iter() if (own := each.get("id"))}

    assert ids("wide")
    assert not ids("wide") & ids("narrow")


def test_without_lesions_the_plot_says_so(tmp_path: Path) -> None:
    run = read_run(write_scene(tmp_path, has_lesions=False) / "run")
    assert "sensitivity is undefined" in froc_svg([run], size_in=(6, 4), salt="x")


def test_a_run_without_detections_or_points_is_a_line_at_zero(run: Run) -> None:
    bare = Run("bare", {**run.metrics, "froc": {"fppi": [0.0], "sensitivity": [0.0], "points": []}})
    assert "var(--run-1)" in froc_svg([bare], size_in=(6, 4), salt="x")


def test_a_dollar_in_a_name_begins_no_formula(run: Run, tmp_path: Path) -> None:
    save_froc_plot(tmp_path / "froc.svg", [replace(run, name="$x_{$ of $y$"), run])
    assert "$x_{$ of $y$" in (tmp_path / "froc.svg").read_text(encoding="utf-8")


def test_dollar_signs_of_a_sweep_are_no_formulas() -> None:
    varied = VariedAxis("a $id^^$", (0.0,), names=("$@x^^$",))
    svg = sweep_value_svg([SweepPoint(0, 0.5)], varied, label="$f^^$", size_in=(3.0, 2.0), salt="s")
    assert all(f">{text}<" in svg for text in ("a $id^^$", "$@x^^$", "$f^^$"))
