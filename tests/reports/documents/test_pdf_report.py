"""The PDF report: a whole document, the same bytes each time, with everything in it."""

from __future__ import annotations

import builtins
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import create_autospec

import numpy as np
import pytest
from PIL import Image

from mammo_monai.errors import ManifestError
from mammo_monai.reports.documents import pdf_plots, pdf_report
from mammo_monai.reports.documents.pdf_page import (
    WIDTH,
    PageText,
    ReportError,
    column_widths,
    paragraph,
    render_pdf,
    table_flowables,
)
from mammo_monai.reports.documents.pdf_plots import PdfPlot, report_plots
from mammo_monai.reports.documents.pdf_report import PdfGallery, PdfPicture, headline_table, write_pdf
from mammo_monai.reports.page.report import ReportOptions
from mammo_monai.reports.page.shell import INTENDED_USE
from mammo_monai.reports.runs import EpochPoint, Run, SourceFile
from mammo_monai.reports.tables.table import Table
from tests.reports.full_runs import bare_run, full_run

pytest.importorskip("reportlab")


def draw(path: Path) -> None:
    """A plot without matplotlib: grey, 80 × 40 px."""
    Image.fromarray(np.full((40, 80), 128, dtype=np.uint8)).save(path)


PLOTS = [PdfPlot("What it shows.", draw), PdfPlot("A narrow one.", draw, share=0.5)]
GALLERY = PdfGallery(
    "Misses",
    (
        *(PdfPicture(f"Record {n}", np.full((60 + n, 40), 60, dtype=np.uint8)) for n in range(3)),
        PdfPicture("In colour", np.zeros((50, 30, 3), dtype=np.uint8)),
    ),
)


def pages_of(content: bytes) -> int:
    return len(re.findall(rb"/Type /Page\b", content))


def texts_of(flowable: Any) -> Iterator[str]:
    """The words of a flowable and of those within it, in order."""
    if hasattr(flowable, "getPlainText"):
        yield flowable.getPlainText(identify=True).replace("\u00a0", " ")
    for part in [*getattr(flowable, "_content", ()), *getattr(flowable, "_cellvalues", ())]:
        for each in part if isinstance(part, (list, tuple)) else [part]:
            for one in each if isinstance(each, (list, tuple)) else [each]:
                yield from texts_of(one)


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """The words of the document that `write_pdf` would set."""

    def render(make_story: Callable[[], list[Any]], text: PageText) -> bytes:
        caught.extend(each for flowable in make_story() for each in texts_of(flowable))
        return render_pdf(make_story, text)

    caught: list[str] = []
    monkeypatch.setattr(pdf_report, "render_pdf", render)

    def of(*runs: Run, **more: Any) -> str:
        write_pdf(tmp_path / "report.pdf", runs, **{"plots": PLOTS, **more})
        return "\n".join(caught)

    return of


def test_the_same_runs_give_the_same_bytes(tmp_path: Path) -> None:
    runs = [bare_run(table="P0-I"), bare_run("other")]
    for name in ("a.pdf", "b.pdf"):
        write_pdf(
            tmp_path / name, runs, plots=PLOTS, galleries=[GALLERY], options=ReportOptions(title="Ours")
        )
    content = (tmp_path / "a.pdf").read_bytes()
    assert content == (tmp_path / "b.pdf").read_bytes()
    assert content.startswith(b"%PDF-")
    assert content.rstrip().endswith(b"%%EOF")
    assert pages_of(content) >= 2
    assert content.count(b"/Subtype /Image") >= 6 - 1  # equal pictures are held once
    assert b"/Title (Ours)" in content


def test_the_document_holds_all_parts(words: Callable[..., str]) -> None:
    options = ReportOptions(
        title="A < B & c", banner="Phantom figures are not clinical figures.", command="mammo-monai report x"
    )
    sources = [SourceFile("manifest.json", "d" * 64)]
    text = words(full_run(table="P0-II"), options=options, galleries=[GALLERY], sources=sources)
    for part in (
        *("A < B & c", INTENDED_USE, "Phantom figures are not clinical figures.", "Headline figures"),
        *(
            "0.83 (0.78–0.86)",
            "lesion level, IoU > 0.2",
            "410 images (303 normal), 112 lesions",
            "(strictly)",
        ),
        *("Figure 1. What it shows.", "Figure 2. A narrow one.", "Table 2. P0, Table II: two-stage transfer"),
        *("0.99 ± 0.02", "one lesion of 112", "JAFROC1", "Misses", "Record 2", "In colour"),
        *("mammo-monai report x", "c" * 64, "a" * 64, "d" * 64, "manifest as scored (test)"),
    ):
        assert part in text, part


def test_runs_of_different_rules_carry_a_warning(words: Callable[..., str]) -> None:
    assert "do not compare them with each other" in words(full_run(), bare_run())


def test_one_run_alone_carries_none(words: Callable[..., str]) -> None:
    assert "do not compare" not in words(full_run())


def test_without_plots_and_pictures_there_is_no_heading_for_them(words: Callable[..., str]) -> None:
    text = words(bare_run(), plots=[], galleries=[PdfGallery("Hits", ())])
    assert "Figure" not in text.replace("Headline figures", "")
    assert "Hits\nNone." in text
    assert "Not stated." in text


def test_published_figures_are_shown_only_when_asked(words: Callable[..., str]) -> None:
    assert "Published figures, for context" not in words(full_run())
    assert "Published figures, for context" in words(full_run(), options=ReportOptions(has_published=True))


def test_a_headline_without_lesions_is_a_dash() -> None:
    assert headline_table([bare_run()], fppi=1.0).rows == (
        ("theirs", "–", "lesion level, IoU > ?", "4 images, 0 lesions"),
    )


def test_every_page_says_what_it_is_and_which_of_how_many() -> None:
    def story() -> list[Any]:
        from reportlab.platypus import PageBreak

        return [paragraph("one"), PageBreak(), paragraph("two")]

    content = render_pdf(story, PageText("T", "It marks."))
    assert pages_of(content) == 2
    assert content != render_pdf(story, PageText("T", "It paints."))


def test_a_table_that_fits_keeps_its_cells_on_one_line() -> None:
    table = Table("c", ("run", "a"), (("one", "0.90 (0.80–0.95)"),))
    widths = column_widths(table, 8.5)
    assert widths is not None
    assert sum(widths) < WIDTH / 2


def test_words_give_way_before_figures_break() -> None:
    table = Table("c", ("run", "a", "b"), ((" ".join(["words"] * 60), "0.90 (0.80–0.95)", "text"),))
    widths = column_widths(table, 8.5)
    assert widths is not None
    assert sum(widths) == pytest.approx(WIDTH)
    alone = column_widths(Table("c", ("x", "a"), (("y", "0.90 (0.80–0.95)"),)), 8.5)
    assert alone is not None
    assert widths[1] >= alone[1] - 0.01


def test_too_many_columns_stand_below_each_other_with_the_first_repeated() -> None:
    from reportlab.platypus import Table as Grid

    runs = [f"run{n}" for n in range(40)]
    table = Table("c", ("FPPI", *runs), (("0.5", *["0.90 (0.80–0.95)"] * 40),), runs="columns")
    assert column_widths(table, 6.5) is None
    (kept, _) = table_flowables(table, title="Table 1")
    grids = [each for each in kept._content if isinstance(each, Grid)]
    headers = [[cell.getPlainText() for cell in grid._cellvalues[0]] for grid in grids]
    assert len(grids) > 3
    assert all(header[0] == "FPPI" for header in headers)
    assert [name for header in headers for name in header[1:]] == runs
    assert all(sum(grid._argW) <= WIDTH + 0.01 for grid in grids)


def test_a_name_wider_than_the_page_is_broken_and_not_lost() -> None:
    table = Table("c", ("run", "x" * 400), (("a", "1"),))
    content = render_pdf(lambda: table_flowables(table, title="Table 1"), PageText("T", "f"))
    assert pages_of(content) == 1


def test_a_sign_the_font_lacks_is_named() -> None:
    render_pdf(lambda: [paragraph("registers the fonts")], PageText("T", "f"))
    assert paragraph("中ᵂ").getPlainText() == "[U+4E2D]W"


def test_plots_are_those_the_runs_have_figures_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved = []
    for name in (each for each in dir(pdf_plots) if each.startswith("save_")):
        # What each draws is tested where it is made; here that it is called as it asks to be.
        drawn = create_autospec(
            getattr(pdf_plots, name), side_effect=lambda *_, name=name, **__: saved.append(name)
        )
        monkeypatch.setattr(pdf_plots, name, drawn)
    with_history = full_run(histories={"fold-1": (EpochPoint(1, 0.5), EpochPoint(2, 0.4, 0.8))})
    plots = report_plots([with_history], kind="digital")
    for plot in plots:
        plot.save(tmp_path / "plot.png")
    named = dict(zip(saved, (plot.caption for plot in plots), strict=True))
    assert saved[:2] == ["save_froc_plot", "save_froc_plot"]
    assert len(named) == 8
    assert "malignant lesions only" in named["save_froc_plot"]
    assert "each fold counting once" in named["save_fold_froc_plot"]
    assert "Grey: published" in named["save_normals_plot"]
    assert saved[-1] == "save_training_plot"


def test_without_figures_there_is_the_froc_plot_alone(tmp_path: Path) -> None:
    (plot,) = report_plots([bare_run()])
    plot.save(tmp_path / "plot.png")
    with Image.open(tmp_path / "plot.png") as image:
        assert image.width > image.height > 400


def test_without_a_kind_no_published_point_is_drawn() -> None:
    assert "published" not in " ".join(plot.caption for plot in report_plots([full_run()]))


def test_plots_are_drawn_unless_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def plots(runs: list[Run], *, kind: str | None) -> list[PdfPlot]:
        asked.append(kind)
        return PLOTS

    monkeypatch.setattr(pdf_report, "report_plots", plots)
    for has_published in (False, True):
        options = ReportOptions(has_published=has_published)
        write_pdf(tmp_path / "report.pdf", [full_run(table="P0-II")], options=options)
    assert asked == [None, "digital"]


def test_no_run_is_an_error_and_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="at least one run"):
        write_pdf(tmp_path / "report.pdf", [])
    assert not list(tmp_path.iterdir())


def test_without_reportlab_the_error_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **more: Any) -> Any:
        if name.startswith("reportlab"):
            raise ImportError(name)
        return real(name, *args, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ReportError, match=r"pip install 'mammo-monai\[pdf\]', or write .html"):
        write_pdf(tmp_path / "report.pdf", [bare_run()], plots=[])
    assert not list(tmp_path.iterdir())
