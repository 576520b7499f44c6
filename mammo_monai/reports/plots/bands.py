"""Draws sensitivity by size and area of the lesions: a row per band, a dot with its interval per run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammo_monai.reports.literature.points import LiteratureBand
from mammo_monai.reports.plots.style import (
    MARKERS,
    SMALL_TEXT,
    Draw,
    Palette,
    add_key,
    plain_axes,
    save_plot,
    themed_svg,
    without_formulas,
)
from mammo_monai.reports.runs import Json, Run
from mammo_monai.reports.tables.run_tables import BAND_FPPI

if TYPE_CHECKING:  # matplotlib takes a second to import, and pages of data have no plot
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_NAMES = {
    "size_bands": {"<2cm": "< 2 cm", ">=2cm": "≥ 2 cm", "unknown": "size unknown"},
    "area_bands": {"<1cm2": "< 1 cm²", "1-4cm2": "1–4 cm²", ">4cm2": "> 4 cm²", "unknown": "area unknown"},
}
_TITLES = {"size_bands": "longest side of the box", "area_bands": "area of the lesion"}
_SPREAD = 0.56  # of a row's height: what the dots of all runs take


@dataclass(frozen=True)
class BandRow:
    """One row of the plot: a band, and each run's point there, None where it has no such lesion.

    Attributes:
        kind: what bands are of, such as "size_bands". band: as metrics.json or a person names it.
        n_lesions: per run, 0 where it has none.
    """

    kind: str
    band: str
    points: tuple[Json | None, ...]
    n_lesions: tuple[int, ...]

    @property
    def name(self) -> str:
        """The band in words."""
        return without_formulas(_NAMES.get(self.kind, {}).get(self.band, self.band))

    @property
    def count_text(self) -> str:
        """How many lesions lie in it: one number where all runs agree, else the range."""
        counts = sorted({n for n in self.n_lesions if n})
        return f"{counts[0]}" if len(counts) == 1 else f"{counts[0]}–{counts[-1]}"

    @property
    def text(self) -> str:
        """The band, and how many lesions lie in it."""
        return f"{self.name}\n{self.count_text} lesion{'' if self.count_text == '1' else 's'}"


def band_rows(runs: Sequence[Run]) -> list[BandRow]:
    """The bands in which some run has a lesion and a sensitivity at `BAND_FPPI`, by size, then by area.

    None of a kind where every lesion's band is unknown: that row would repeat the sensitivity of all.
    """
    rows = []
    for kind, names in _NAMES.items():
        found = [{each["band"]: each for each in run.metrics.get(kind) or ()} for run in runs]
        every = dict.fromkeys([*names, *(band for bands in found for band in bands)])
        of_kind = []
        for band in every:
            points = tuple(_point(bands.get(band), BAND_FPPI) for bands in found)
            counts = tuple(int((bands.get(band) or {}).get("n_lesions") or 0) for bands in found)
            if any(points):
                of_kind.append(BandRow(kind, band, points, counts))
        rows += of_kind if any(row.band != "unknown" for row in of_kind) else []
    return rows


def bands_height_in(runs: Sequence[Run]) -> float:
    """Inches that the plot needs: its rows, each with a dot per run."""
    return 1.5 + len(band_rows(runs)) * (0.44 + 0.13 * len(runs))


def bands_svg(
    runs: Sequence[Run], *, size_in: tuple[float, float], salt: str, literature: Sequence[LiteratureBand] = ()
) -> str:
    """The plot as an `<svg>` element, themed as `froc_svg`; "" where no run has a band with a lesion."""
    return themed_svg(_bands(runs, literature), size_in=size_in, salt=salt) if band_rows(runs) else ""


def save_bands_plot(path: Path, runs: Sequence[Run], *, literature: Sequence[LiteratureBand] = ()) -> None:
    """Writes the plot as PNG, SVG or PDF, by the suffix of `path`; as high as it needs.

    Raises:
        ValueError: another suffix, or no run has a band with a lesion.
    """
    if not band_rows(runs):
        raise ValueError(f"no run has a band with a lesion and a sensitivity at {BAND_FPPI:g} FPPI.")
    save_plot(path, _bands(runs, literature), size_in=(7.0, bands_height_in(runs)), salt="bands")


def _bands(runs: Sequence[Run], literature: Sequence[LiteratureBand]) -> Draw:
    """A panel for sizes above one for areas."""

    def draw(figure: Figure, palette: Palette) -> None:
        for panel, rows in draw_panels(figure, band_rows(runs), palette, label=lambda row: row.text):
            panel.set_title(_TITLES[rows[0].kind], **title_style(palette))
            for place, row in enumerate(rows):
                published = [each for each in literature if each.band == row.band]
                _draw_literature(panel, place, published, palette)
        panel.set_xlabel(f"lesion sensitivity at {BAND_FPPI:g} FPPI", color=palette.ink)
        add_key(figure, runs, palette)

    return draw


def draw_panels(
    figure: Figure, rows: Sequence[BandRow], palette: Palette, *, label: Callable[[BandRow], str]
) -> list[tuple[Axes, list[BandRow]]]:
    """A panel for each kind, as high as its rows, one above the other; each with the rows drawn in it.

    Args:
        rows: at least one. label: what stands beside a row.
    """
    kinds = list(dict.fromkeys(row.kind for row in rows))
    of_kind = [[row for row in rows if row.kind == kind] for kind in kinds]
    heights = [len(own) for own in of_kind]
    axes = figure.subplots(len(kinds), 1, squeeze=False, sharex=True, height_ratios=heights).ravel()
    for panel, own in zip(axes, of_kind, strict=True):
        _prepare(panel, [label(row) for row in own], palette)
        for place, row in enumerate(own):
            _draw_row(panel, place, row, palette)
    return list(zip(axes, of_kind, strict=True))


def title_style(palette: Palette) -> dict[str, Any]:
    """Of a panel's title."""
    return {"loc": "left", "fontsize": 10.5, "color": palette.ink, "pad": 6}


def _prepare(axes: Axes, labels: Sequence[str], palette: Palette) -> None:
    """Axes for one row per label, sensitivity from 0 to 1 along x."""
    plain_axes(axes, palette)
    axes.grid(visible=False, axis="y")
    axes.set_xlim(-0.01, 1.02)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    for place in range(1, len(labels)):
        axes.axhline(place - 0.5, color=palette.grid, linewidth=0.8, zorder=0.5)
    axes.set_yticks(range(len(labels)), labels, color=palette.ink, linespacing=1.35)


def _draw_row(axes: Axes, place: int, row: BandRow, palette: Palette) -> None:
    """The runs' dots of one row with their intervals, one below the other."""
    for number, point in enumerate(row.points):
        if point is None:
            continue
        y = place + _SPREAD * ((number + 0.5) / len(row.points) - 0.5)
        colour = palette.of_run(number)
        if point.get("low") is not None:
            axes.plot([point["low"], point["high"]], [y, y], color=colour, linewidth=1.4)
        axes.plot(point["sensitivity"], y, MARKERS[number % len(MARKERS)], markersize=5.4, color=colour)


def _draw_literature(axes: Axes, place: int, literature: Sequence[LiteratureBand], palette: Palette) -> None:
    """Grey marks at the foot of the row, named to their left."""
    for point in literature:
        y = place + 0.4
        axes.plot(point.sensitivity, y, "o", markersize=4.2, color=palette.faint)
        axes.annotate(
            point.label,
            (point.sensitivity, y),
            xytext=(-7, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            fontsize=SMALL_TEXT - 0.5,
            color=palette.faint,
        )


def _point(band: Json | None, fppi: float) -> Json | None:
    if not band or not band.get("n_lesions"):
        return None
    point = next((each for each in band.get("points") or () if each["fppi"] == fppi), None)
    return point if point and point["sensitivity"] is not None else None
