"""A report on scored runs as PDF, set like a paper's appendix: headlines, plots, tables, provenance."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mammo_monai import __version__
from mammo_monai.errors import ManifestError
from mammo_monai.files import atomic_path
from mammo_monai.reports.documents.pdf_page import (
    HEIGHT,
    WIDTH,
    PageText,
    Story,
    caption_paragraph,
    paragraph,
    render_pdf,
    table_flowables,
)
from mammo_monai.reports.documents.pdf_plots import PdfPlot, report_plots
from mammo_monai.reports.literature.points import kind_of_runs
from mammo_monai.reports.page.report import ReportOptions
from mammo_monai.reports.page.shell import INTENDED_USE
from mammo_monai.reports.runs import Run, SourceFile, warnings_of
from mammo_monai.reports.tables.image_tables import image_counts, image_headline, marks_boxes
from mammo_monai.reports.tables.run_tables import (
    confidence_text,
    level,
    models_table,
    scored_on,
    sensitivity_text,
)
from mammo_monai.reports.tables.table import UNDEFINED, Table
from mammo_monai.reports.tables.table_list import report_tables

logger = logging.getLogger(__name__)
_PER_ROW = 3
_GAP = 10.0  # points between two pictures
_HEADED = 220  # points: a heading and a table of a dozen rows, so that neither stands alone


@dataclass(frozen=True, eq=False)
class PdfPicture:
    """A picture and what stands under it.

    Attributes:
        pixels: uint8, shape (H, W), or (H, W, 3) in colour.
    """

    caption: str
    pixels: NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class PdfGallery:
    """Pictures under one heading."""

    title: str
    pictures: tuple[PdfPicture, ...]


def write_pdf(
    path: Path,
    runs: Sequence[Run],
    *,
    options: ReportOptions | None = None,
    plots: Sequence[PdfPlot] | None = None,
    galleries: Sequence[PdfGallery] = (),
    sources: Sequence[SourceFile] = (),
) -> None:
    """Writes an A4 document; the same runs give the same bytes.

    Args:
        plots: None takes every plot the runs have figures for.
        galleries: pictures, marks drawn in.
        sources: files besides the runs' own, such as the manifest behind the galleries.

    Raises:
        ManifestError: there is no run.
        ReportError: reportlab is not installed.
        OSError: the file cannot be written.
    """
    if not runs:
        raise ManifestError(
            "a report needs at least one run: name a metrics.json, or a folder that holds one."
        )
    options = options or ReportOptions()
    if plots is None:
        kind = options.data_kind or kind_of_runs(runs)
        plots = report_plots(runs, kind=kind if options.has_published else None)
    drawn = [(plot, _png(plot)) for plot in plots]

    def make_story() -> Story:
        return [
            *_head(runs, options),
            *_figures(drawn),
            *_tables(report_tables(runs, has_published=options.has_published)),
            *(flowable for gallery in galleries for flowable in _gallery(gallery)),
            *_provenance(runs, options, sources),
        ]

    content = render_pdf(make_story, PageText(options.title, INTENDED_USE.partition(".")[0] + "."))
    with atomic_path(Path(path)) as part:
        part.write_bytes(content)
    logger.info("wrote %s", path)


def headline_table(runs: Sequence[Run], *, fppi: float) -> Table:
    """One row per run: its sensitivity at one operating point with all that belongs to it."""
    rows = tuple(
        (run.name, sensitivity_text(run.point_at(fppi)), level(run), scored_on(run))
        if marks_boxes(run)
        else (run.name, UNDEFINED, image_headline(run), image_counts(run))
        for run in runs
    )
    header = ("run", f"sensitivity ({confidence_text(runs)} CI)", "rule", "scored on")
    return Table(f"Sensitivity at {fppi:g} false positives per image", header, rows, runs="rows")


def _head(runs: Sequence[Run], options: ReportOptions) -> Story:
    """Title, intended use, warnings, headline figures and the rule in full."""
    warnings = [*([options.banner] if options.banner else []), *warnings_of(runs)]
    rules = dict.fromkeys(str(run.metrics["rule"].get("text", "Not stated.")) for run in runs)
    return [
        paragraph(options.title, "title"),
        paragraph(INTENDED_USE, "notice"),
        *(paragraph(text, "banner") for text in warnings),
        paragraph("Headline figures", "heading"),
        *table_flowables(headline_table(runs, fppi=options.fppi), title="Table 1"),
        paragraph("Rule", "heading"),
        *(paragraph(text) for text in rules),
    ]


def _figures(drawn: Iterable[tuple[PdfPlot, bytes]]) -> Story:
    from reportlab.platypus import KeepTogether, Spacer  # noqa: PLC0415  # the extra pdf

    story: Story = []
    for number, (plot, png) in enumerate(drawn, start=1):
        caption = caption_paragraph(f"Figure {number}", plot.caption)
        story.append(KeepTogether([_image(png, plot.share * WIDTH), Spacer(1, 3), caption, Spacer(1, 8)]))
    return [paragraph("Figures", "heading"), *story] if story else []


def _tables(tables: Sequence[Table]) -> Story:
    from reportlab.platypus import CondPageBreak  # noqa: PLC0415  # the extra pdf

    return [
        CondPageBreak(_HEADED),
        paragraph("Tables", "heading"),
        *(
            flowable
            for number, table in enumerate(tables, start=2)
            for flowable in table_flowables(table, title=f"Table {number}")
        ),
    ]


def _gallery(gallery: PdfGallery) -> Story:
    """Pictures in rows of three, each above its caption."""
    from reportlab.platypus import Table as Grid  # noqa: PLC0415  # the extra pdf

    width = (WIDTH - (_PER_ROW - 1) * _GAP) / _PER_ROW
    cells: list[Any] = [
        [_image(_jpeg(picture.pixels), width), paragraph(picture.caption, "small")]
        for picture in gallery.pictures
    ]
    rows = [cells[first : first + _PER_ROW] for first in range(0, len(cells), _PER_ROW)]
    rows = [[*row, *[""] * (_PER_ROW - len(row))] for row in rows]
    style = [("VALIGN", (0, 0), (-1, -1), "TOP"), ("LEFTPADDING", (0, 0), (-1, -1), 0)]
    style += [("RIGHTPADDING", (0, 0), (-1, -1), _GAP)]
    grid = [Grid(rows, colWidths=[width + _GAP] * _PER_ROW, hAlign="LEFT", style=style)] if rows else []
    return [paragraph(gallery.title, "heading"), *(grid or [paragraph("None.")])]


def _provenance(runs: Sequence[Run], options: ReportOptions, sources: Sequence[SourceFile]) -> Story:
    rows = [(run.name, file.name, file.sha256) for run in runs for file in run.files]
    for run in runs:
        if run.inputs.get("manifest_sha256"):
            split = run.inputs.get("split") or "all lists"
            rows.append((run.name, f"manifest as scored ({split})", str(run.inputs["manifest_sha256"])))
    rows += [("this document", file.name, file.sha256) for file in sources]
    made = f"Made by mammo-monai {__version__}" + (" with:" if options.command else ".")
    lines = [paragraph(made), *([paragraph(options.command, "code")] if options.command else [])]
    table = Table("Files this document was made from", ("for", "file", "SHA-256"), tuple(rows))
    files = table_flowables(table, title="Files") if rows else []
    models = models_table(runs)
    marked = table_flowables(models, title="Models") if models else []
    return [paragraph("Provenance", "heading"), *lines, *marked, *files]


def _png(plot: PdfPlot) -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "plot.png"
        plot.save(path)
        return path.read_bytes()


def _jpeg(pixels: NDArray[np.uint8]) -> bytes:
    stream = BytesIO()
    # No chroma subsampling: it would smear thin coloured lines.
    Image.fromarray(pixels).save(stream, format="JPEG", quality=88, subsampling=0, optimize=True)
    return stream.getvalue()


def _image(content: bytes, width: float) -> Any:
    """As wide as asked, or as high as most of a page."""
    from reportlab.platypus import Image as Picture  # noqa: PLC0415  # the extra pdf

    with Image.open(BytesIO(content)) as image:
        shape = image.height / image.width
    height = min(width * shape, 0.8 * HEIGHT)
    return Picture(BytesIO(content), width=height / shape, height=height, hAlign="LEFT")
