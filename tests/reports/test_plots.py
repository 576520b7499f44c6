"""The FROC plot as a file and as part of a page."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from PIL import Image

from mammo_monai.reports import froc_svg, read_run, save_froc_plot
from mammo_monai.reports.plots import _STAND_INS, RUN_COLOURS, RUN_COLOURS_DARK
from mammo_monai.reports.runs import Run
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
    with pytest.raises(ValueError, match=r"as \.png or \.svg, got 'froc\.pdf'"):
        save_froc_plot(tmp_path / "froc.pdf", [run])


def test_in_a_page_every_colour_is_the_themes(run: Run) -> None:
    svg = froc_svg([run] * 7, size_in=(6, 4), salt="x")
    assert "var(--ink)" in svg
    assert "var(--run-1)" in svg
    assert "var(--run-6)" in svg
    for colour in (_STAND_INS.ink, _STAND_INS.faint, _STAND_INS.grid, *_STAND_INS.runs, *RUN_COLOURS):
        assert colour not in svg
    assert len(RUN_COLOURS) == len(RUN_COLOURS_DARK)


def test_the_svg_is_well_formed_and_text_stays_text(run: Run) -> None:
    svg = froc_svg([run], size_in=(6, 4), salt="x")
    assert ET.fromstring(svg).tag.endswith("svg")
    assert "false positives per image" in svg
    assert "<metadata" not in svg


def test_two_plots_on_one_page_share_no_id(run: Run) -> None:
    def ids(salt: str) -> set[str]:
        root = ET.fromstring(froc_svg([run], size_in=(6, 4), salt=salt))
        return {
            own for each in root.iter() if (own := each.get("id")) and each.tag.endswith(("path", "clipPath"))
        }

    assert ids("wide")
    assert not ids("wide") & ids("narrow")


def test_without_lesions_the_plot_says_so(tmp_path: Path) -> None:
    run = read_run(write_scene(tmp_path, has_lesions=False) / "run")
    assert "sensitivity is undefined" in froc_svg([run], size_in=(6, 4), salt="x")


def test_a_run_without_detections_or_points_is_a_line_at_zero(run: Run) -> None:
    bare = Run("bare", {**run.metrics, "froc": {"fppi": [0.0], "sensitivity": [0.0], "points": []}})
    assert "var(--run-1)" in froc_svg([bare], size_in=(6, 4), salt="x")
