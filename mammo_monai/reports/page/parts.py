"""The parts of a report page in order, and the contents that lead to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from mammo_monai.reports.literature.points import DataKind
from mammo_monai.reports.page import figures, tables
from mammo_monai.reports.runs import Run
from mammo_monai.reports.tables.image_tables import marks_boxes


@dataclass(frozen=True)
class Part:
    """One part of the page.

    Attributes:
        anchor: its id on the page. html: its section, heading included.
        is_half: whether it stands beside another on a wide page.
        below: HTML that takes the whole width again, under the pair.
    """

    anchor: str
    title: str
    html: str
    is_half: bool = False
    below: str = ""


def figure_parts(
    runs: Sequence[Run], *, fppi: float, has_published: bool, kind: DataKind | None
) -> list[Part]:
    """The parts that have something in them: from what is found to how it was trained.

    Args:
        kind: of the images, for published points in plots; None shows none there.
    """
    kind = kind if has_published else None
    roc = figures.roc_figure(runs) + tables.roc_tables(runs)
    has_boxes = any(map(marks_boxes, runs))
    froc = figures.froc_figure(runs, fppi=fppi) + figures.fold_figure(runs) if has_boxes else ""
    return [
        *_parts(
            ("froc", "FROC", froc),
            ("points", "Operating points", tables.point_tables(runs)),
            ("published", "Beside published figures", _published(runs, kind, has_published=has_published)),
            ("overlap", "Overlap of a hit", figures.overlap_figure(runs)),
            ("precision", "Precision", tables.precision_tables(runs)),
        ),
        *_halves(
            (
                "sizes",
                "Size of the lesion",
                figures.bands_figure(runs, kind),
                tables.band_tables(runs),
            ),
            (
                "normals",
                "Normal images",
                figures.normals_figure(runs, kind),
                tables.normal_tables(runs),
            ),
        ),
        *_parts(
            ("subgroups", "Subgroups", figures.subgroups_figure(runs) + tables.subgroup_tables(runs)),
            ("roc", "Images, breasts, patients", roc),
        ),
        *_halves(
            (
                "reliability",
                "What a score is worth",
                figures.reliability_figure(runs),
                tables.reliability_tables(runs),
            ),
            ("training", "Training", figures.training_figure(runs), ""),
        ),
    ]


def contents_html(parts: Sequence[Part]) -> str:
    """Links to the parts."""
    links = "".join(f'<li><a href="#{part.anchor}">{escape(part.title)}</a></li>' for part in parts)
    return f'<nav class="contents" aria-label="Contents"><ul>{links}</ul></nav>'


def parts_html(parts: Sequence[Part]) -> str:
    """The parts below each other; two halves that follow each other stand side by side."""
    rows: list[list[Part]] = []
    for part in parts:
        if part.is_half and rows and len(rows[-1]) == 1 and rows[-1][0].is_half:
            rows[-1].append(part)
        else:
            rows.append([part])
    return "\n".join(_row(row) for row in rows)


def _row(row: Sequence[Part]) -> str:
    html = "".join(f'<div class="part" id="{part.anchor}">{part.html}</div>' for part in row)
    below = "".join(part.below for part in row)
    return f'<div class="pair">{html}</div>{below}' if row[0].is_half else html + below


def _parts(*bodies: tuple[str, str, str]) -> list[Part]:
    """Parts over the whole width: anchor, title and body; those with a body alone."""
    return [Part(anchor, title, _section(title, body)) for anchor, title, body in bodies if body]


def _halves(*bodies: tuple[str, str, str, str]) -> list[Part]:
    """Parts of half the width with a figure, and tables below; those with a figure or a table."""
    return [
        Part(anchor, title, _section(title, figure), is_half=True, below=tables)
        for anchor, title, figure, tables in bodies
        if figure or tables
    ]


def _section(title: str, body: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{body}</section>"


def _published(runs: Sequence[Run], kind: DataKind | None, *, has_published: bool) -> str:
    figure = figures.literature_figure(runs, kind)
    return figure + tables.paper_tables_html(runs, has_published=has_published)
