"""Draws sensitivity by subgroup: a panel per kind, a row per group, a dot with its interval per run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mammo_monai.reports.plots.bands import BandRow, draw_panels, title_style
from mammo_monai.reports.plots.style import Draw, Palette, add_key, save_plot, themed_svg
from mammo_monai.reports.runs import Run
from mammo_monai.reports.subgroups import SUBGROUP_FPPI, point_of, subgroups_of

if TYPE_CHECKING:  # matplotlib takes a second to import, and pages of data have no plot
    from matplotlib.figure import Figure


def subgroup_rows(runs: Sequence[Run]) -> list[BandRow]:
    """The subgroups in which some run has a lesion and a sensitivity at `SUBGROUP_FPPI`."""
    rows = []
    for each in subgroups_of(runs):
        counts = tuple(int((entry or {}).get("n_lesions") or 0) for entry in each.entries)
        every = zip(each.entries, counts, strict=True)
        found = (point_of(entry, SUBGROUP_FPPI) if n else None for entry, n in every)
        points = tuple(point if point and point["sensitivity"] is not None else None for point in found)
        if any(points):
            rows.append(BandRow(each.title, each.word, points, counts))
    return rows


def subgroups_height_in(runs: Sequence[Run]) -> float:
    """Inches that the plot needs: its rows, and a title above each panel."""
    rows = subgroup_rows(runs)
    return 1.2 + 0.45 * len({row.kind for row in rows}) + len(rows) * (0.17 + 0.13 * len(runs))


def subgroups_svg(runs: Sequence[Run], *, size_in: tuple[float, float], salt: str) -> str:
    """The plot as an `<svg>` element, themed as `froc_svg`; "" where no run has a subgroup with a lesion."""
    return themed_svg(_subgroups(runs), size_in=size_in, salt=salt) if subgroup_rows(runs) else ""


def save_subgroups_plot(path: Path, runs: Sequence[Run]) -> None:
    """Writes the plot as PNG, SVG or PDF, by the suffix of `path`; as high as it needs.

    Raises:
        ValueError: another suffix, or no run has a subgroup with a lesion.
    """
    if not subgroup_rows(runs):
        raise ValueError(f"no run has a subgroup with a lesion and a sensitivity at {SUBGROUP_FPPI:g} FPPI.")
    save_plot(path, _subgroups(runs), size_in=(7.0, subgroups_height_in(runs)), salt="subgroups")


def _subgroups(runs: Sequence[Run]) -> Draw:
    """A panel for each kind."""

    def draw(figure: Figure, palette: Palette) -> None:
        for panel, rows in draw_panels(figure, subgroup_rows(runs), palette, label=_label):
            panel.set_title(rows[0].kind, **title_style(palette))
        panel.set_xlabel(f"lesion sensitivity at {SUBGROUP_FPPI:g} FPPI (lesions)", color=palette.ink)
        add_key(figure, runs, palette)

    return draw


def _label(row: BandRow) -> str:
    return f"{row.name} ({row.count_text})"
