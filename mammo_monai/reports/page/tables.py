"""Tables of a report page, and which tables stand together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from mammo_monai.reports.literature.published import CAVEAT, published_table
from mammo_monai.reports.plots.style import RUN_COLOURS
from mammo_monai.reports.runs import Run
from mammo_monai.reports.tables.fold_tables import fold_table
from mammo_monai.reports.tables.image_tables import image_figure_table, marks_boxes
from mammo_monai.reports.tables.metric_tables import (
    average_precision_table,
    calibration_table,
    jafroc_table,
    level_table,
    precision_recall_table,
    roc_table,
)
from mammo_monai.reports.tables.paper_tables import paper_tables
from mammo_monai.reports.tables.run_tables import (
    area_band_table,
    normal_image_table,
    normal_points_table,
    operating_point_table,
    size_band_table,
    summary_table,
)
from mammo_monai.reports.tables.subgroup_tables import subgroup_false_positive_table, subgroup_table
from mammo_monai.reports.tables.table import Table

_SHORT, _LONG = 8, 24  # letters of a row's name that a narrow column holds, and of a word that is broken


def point_tables(runs: Sequence[Run]) -> str:
    """What was scored and sensitivity at operating points: pooled, over folds, by level."""
    points = operating_point_table(runs) if any(map(marks_boxes, runs)) else None
    return tables_html([points, fold_table(runs), level_table(runs), summary_table(runs)])


def precision_tables(runs: Sequence[Run]) -> str:
    """Average precision; precision, recall and F1."""
    return tables_html([average_precision_table(runs), precision_recall_table(runs)])


def band_tables(runs: Sequence[Run]) -> str:
    """Sensitivity by size and by area of the lesions."""
    return tables_html([size_band_table(runs), area_band_table(runs)])


def subgroup_tables(runs: Sequence[Run]) -> str:
    """Sensitivity and false positives per image by subgroup."""
    return tables_html([subgroup_table(runs), subgroup_false_positive_table(runs)])


def normal_tables(runs: Sequence[Run]) -> str:
    """False positives per normal image, by score and by operating point."""
    return tables_html([normal_image_table(runs), normal_points_table(runs)])


def roc_tables(runs: Sequence[Run]) -> str:
    """Areas under ROC curves, figures of whole images, and the JAFROC figure of merit."""
    return tables_html([roc_table(runs), image_figure_table(runs), jafroc_table(runs)])


def reliability_tables(runs: Sequence[Run]) -> str:
    """How far scores are from the share that hit."""
    return tables_html([calibration_table(runs)])


def paper_tables_html(runs: Sequence[Run], *, has_published: bool) -> str:
    """The papers' tables with our runs in them; with `has_published` all published figures and the caveat."""
    tables = tables_html(paper_tables(runs))
    if has_published:
        tables += f'{html_table(published_table())}<p class="quiet">{escape(CAVEAT)}</p>'
    return tables


def tables_html(tables: Iterable[Table | None]) -> str:
    """The tables that there are, below each other."""
    return "".join(html_table(table) for table in tables if table)


def html_table(table: Table) -> str:
    """A table that scrolls sideways where it is too wide; the heading of a run carries the run's colour."""
    head = "".join(
        _heading(name, "col", table.runs == "columns", n - 1) for n, name in enumerate(table.header)
    )
    rows = "".join(
        f"<tr>{_heading(row[0], 'row', table.runs == 'rows', n)}"
        + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for n, row in enumerate(table.rows)
    )
    notes = "".join(f"<p>{escape(note)}</p>" for note in table.footnotes)
    notes = f'<div class="notes">{notes}</div>' if notes else ""
    named = ' class="named"' if any(len(row[0]) > _SHORT for row in table.rows) else ""
    return (
        f'<div class="panel"><p class="caption">{escape(table.caption)}</p>'
        f'<div class="scroll" tabindex="0" role="group" aria-label="{escape(table.caption)}">'
        f"<table{named}><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>{notes}</div>"
    )


def own_colour(run: int) -> str:
    """The style that makes `--own` the colour of a run by its place among the runs."""
    return f"--own:var(--run-{run % len(RUN_COLOURS) + 1})"


def _heading(name: str, scope: str, is_run: bool, run: int) -> str:
    owns = is_run and run >= 0
    kinds = [*(["own"] if owns else []), *(["long"] if _is_long(name) else [])]
    owner = f' class="{" ".join(kinds)}"' if kinds else ""
    owner += f' style="{own_colour(run)}"' if owns else ""
    return f'<th scope="{scope}"{owner}><span>{escape(name)}</span></th>'


def _is_long(name: str) -> bool:
    """Whether a word of it is wider than a column should be: people name runs by whole paths."""
    return any(len(word) > _LONG for word in name.split())
