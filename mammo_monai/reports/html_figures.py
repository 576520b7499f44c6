"""The figures of a report page: headlines, FROC plot and tables."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from mammo_monai.reports.plots import RUN_COLOURS, froc_svg
from mammo_monai.reports.published import CAVEAT, published_table
from mammo_monai.reports.runs import Run
from mammo_monai.reports.tables import (
    UNDEFINED,
    WILSON_MARK,
    Table,
    headline,
    level,
    normal_image_table,
    normal_points_table,
    operating_point_table,
    scored_on,
    sensitivity_text,
    size_band_table,
    summary_table,
)

# As plots.py draws the runs, in the same order: -, --, -., :, long dashes, dash-dot-dot; o s D ^ v P.
_DASHES = ("none", "6 3", "8 2 2 2", "2 3", "10 2", "6 2 2 2 2 2")
_SHAPES = (
    "M13 6a4 4 0 1 0 8 0a4 4 0 1 0 -8 0",
    "M13.5 2.5h7v7h-7z",
    "M17 1.5l4.5 4.5l-4.5 4.5l-4.5 -4.5z",
    "M17 2l4.5 8h-9z",
    "M17 10l4.5 -8h-9z",
    "M15.5 2h3v2.500h2.500v3h-2.500v2.500h-3v-2.500h-2.500v-3h2.500z",
)


def headline_section(runs: Sequence[Run], *, fppi: float) -> str:
    """One block per run: the sensitivity at one operating point, large, with all that belongs to it."""
    blocks = []
    for number, run in enumerate(runs):
        value, _, interval = sensitivity_text(run.point_at(fppi)).partition(" ")
        confidence = f"{100 * run.metrics['rule'].get('confidence', 0.95):g} % CI "
        interval = confidence + interval.strip("()" + WILSON_MARK) if interval else ""
        if value == UNDEFINED:
            interval = "undefined: no lesion to find"
        blocks.append(
            f'<article class="headline" style="{_own_colour(number)}"><h2>{escape(run.name)}</h2>'
            f'<p class="figure"><b>{escape(value)}</b> <span>{escape(interval)}</span></p>'
            f"<p>Sensitivity at {fppi:g} FPPI, {escape(level(run))}. {escape(scored_on(run))}.</p></article>"
        )
    return f'<section class="headlines" aria-label="Headline figures">{"".join(blocks)}</section>'


def froc_section(runs: Sequence[Run], *, fppi: float) -> str:
    """The FROC plot in two shapes, of which the page shows the one that fits."""
    summary = escape("FROC curves. " + " ".join(f"{run.name}: {headline(run, fppi=fppi)}." for run in runs))
    plots = "".join(
        f'<div class="{name}" role="img" aria-label="{summary}">'
        f"{froc_svg(runs, size_in=size_in, salt=name)}</div>"
        for name, size_in in (("wide", (8.6, 4.3)), ("narrow", (4.4, 4.0)))
    )
    keys = "".join(f"<li>{_swatch(number)} {escape(run.name)}</li>" for number, run in enumerate(runs))
    return f"""<section>
<h2>FROC</h2>
<figure class="froc">{plots}
<ul class="key">{keys}</ul>
<figcaption>Steps as measured; points and bands show the operating points with their intervals. A thin line
carries the last measured value on where no more false positives were made.</figcaption></figure>
</section>"""


def table_section(runs: Sequence[Run], *, has_published: bool) -> str:
    """All tables; size bands and normal images only where there is something in them."""
    wilson = ""
    if any(point.get("interval") == "wilson" for run in runs for point in run.points):
        wilson = (
            f'<p class="quiet">{WILSON_MARK} Wilson interval over lesions, where resampling patients says '
            "nothing; all others are percentiles of a bootstrap over patients.</p>"
        )
    found = (size_band_table(runs), normal_image_table(runs), normal_points_table(runs))
    more = [table for table in found if table]
    tables = html_table(operating_point_table(runs)) + wilson
    tables += "".join(html_table(table) for table in (summary_table(runs), *more))
    if has_published:
        tables += f'{html_table(published_table())}<p class="quiet">{escape(CAVEAT)}</p>'
    return f"<section><h2>Operating points</h2>{tables}</section>"


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
    return (
        f'<div class="panel"><p class="caption">{escape(table.caption)}</p>'
        f'<div class="scroll" tabindex="0" role="group" aria-label="{escape(table.caption)}">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div></div>"
    )


def _heading(name: str, scope: str, is_run: bool, run: int) -> str:
    owner = f' class="own" style="{_own_colour(run)}"' if is_run and run >= 0 else ""
    return f'<th scope="{scope}"{owner}><span>{escape(name)}</span></th>'


def _swatch(run: int) -> str:
    """Line and marker of a run as the plot draws them, for its key."""
    dash = _DASHES[run % len(_DASHES)]
    return (
        f'<svg width="34" height="12" viewBox="0 0 34 12" aria-hidden="true" style="{_own_colour(run)}">'
        f'<path d="M1 6H33" stroke="var(--own)" stroke-width="2" stroke-dasharray="{dash}" fill="none"/>'
        f'<path d="{_SHAPES[run % len(_SHAPES)]}" fill="var(--own)"/></svg>'
    )


def _own_colour(run: int) -> str:
    return f"--own:var(--run-{run % len(RUN_COLOURS) + 1})"
