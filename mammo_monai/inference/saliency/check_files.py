"""The sanity check on disk: sanity.json, a strip of maps per checked finding, and a section of the page."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from html import escape
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from mammo_monai.files import atomic_path, write_json_atomic
from mammo_monai.geometry import ImageFrame
from mammo_monai.inference.saliency.check import MAX_AGREEMENT, CheckStage, SanityCheck
from mammo_monai.inference.saliency.frames import map_in_original
from mammo_monai.reports.page.tables import html_table
from mammo_monai.reports.saliency.notes import SaliencyNote
from mammo_monai.reports.saliency.pictures import ExplainedFilm, crop_pair
from mammo_monai.reports.tables.table import Table
from mammo_monai.words import counted

SANITY_SCHEMA = "mammo-monai/saliency-sanity/1"
_CELL_PX = 240
_NAME_PX = 26
_HALO, _INK = "#101010", "#f2f2f4"
Checked = Sequence[tuple[SaliencyNote, SanityCheck]]


def save_check(folder: Path, checked: Checked, method: str) -> str:
    """Writes sanity.json; returns the section of the page, with the strips that `save_strip` wrote.

    Raises:
        OSError: a file cannot be written.
    """
    content = {
        "schema": SANITY_SCHEMA,
        "method": method,
        "max_agreement": MAX_AGREEMENT,
        "findings": [
            {
                "record_id": note.record_id,
                "number": note.number,
                "layer": note.layer,
                "depends_on_weights": check.depends_on_weights,
                "stages": [_row(stage) for stage in check.stages],
            }
            for note, check in checked
        ],
    }
    write_json_atomic(folder / "sanity.json", content)
    return _section(folder, checked)


def save_strip(folder: Path, check: SanityCheck, shown: ExplainedFilm, frame: ImageFrame, stem: str) -> Path:
    """Writes `checks/<stem>.jpg`: the same place on the film with the map of every stage, side by side.

    Raises:
        OSError: it cannot be written.
    """
    cells = []
    for stage in check.stages:
        values = map_in_original(stage.map.values, frame)
        other = ExplainedFilm(shown.film, values, shown.box, shown.score, shown.method)
        picture = crop_pair(other)[1]
        picture.thumbnail((_CELL_PX, _CELL_PX), Image.Resampling.LANCZOS)
        cells.append((stage, picture))
    height = max(picture.height for _, picture in cells)
    strip = Image.new("RGB", (_CELL_PX * len(cells), height + _NAME_PX), _HALO)
    draw, font = ImageDraw.Draw(strip), ImageFont.load_default(size=14)
    for n, (stage, picture) in enumerate(cells):
        strip.paste(picture, (n * _CELL_PX + (_CELL_PX - picture.width) // 2, _NAME_PX))
        rank = "" if n == 0 else f"   rank {_text(stage.similarity.spearman)}"
        draw.text((n * _CELL_PX + 6, 5), f"{stage.name}{rank}", fill=_INK, font=font)
    path = folder / "checks" / f"{stem}.jpg"
    with atomic_path(path) as part:
        strip.save(part, quality=88)
    return path


def verdict(checks: Sequence[SanityCheck]) -> str:
    """One line: for how many findings the map depends on the weights, and how much it agrees."""
    n_changed = sum(check.depends_on_weights is True for check in checks)
    first, last = (sum(check.agreement[n] for check in checks) / len(checks) for n in (0, -1))
    return (
        f"the map depends on the weights for {n_changed} of {counted(len(checks), 'finding')} checked "
        f"(mean rank agreement {first:.2f} once the {checks[0].stages[1].name} are random, "
        f"{last:.2f} once all weights are; below {MAX_AGREEMENT:g} at every stage counts as dependent)"
    )


def _section(folder: Path, checked: Checked) -> str:
    names = [stage.name for stage in checked[0][1].stages]
    rows = []
    for note, check in checked:
        cells = [_text(stage.similarity.spearman) for stage in check.stages]
        answer = {True: "yes", False: "no", None: "nothing shown"}[check.depends_on_weights]
        rows.append((f"{note.record_id}, {note.number}", *cells, answer))
    caption = "Rank correlation with the trained network's map, stage by stage made random, over the breast"
    table = html_table(Table(caption, ("finding", *names, "depends on the weights"), tuple(rows)))
    strips = "".join(_strip_html(folder / "checks" / f"{note.stem}.jpg", note) for note, _ in checked)
    said = verdict([check for _, check in checked])
    return (
        f'<section class="bare"><h2>Sanity check</h2><p>{escape(said[0].upper() + said[1:])}.</p>'
        "<p>Weights are drawn anew from the top down; the earlier stages stay random. A map that stays the "
        "same shows the image, or the place asked about, not what was learnt (Adebayo et al., 2018).</p>"
        f"{table}{strips}</section>"
    )


def _strip_html(path: Path, note: SaliencyNote) -> str:
    with Image.open(path) as picture:
        width, height = picture.size
        stream = BytesIO()
        picture.save(stream, format="JPEG", quality=82)
    text = base64.b64encode(stream.getvalue()).decode("ascii")
    alt = f"maps of {note.record_id}, finding {note.number}, with more and more random weights"
    return (
        f'<div class="scroll"><img class="strip" style="min-width:{width // 2}px" width="{width}" '
        f'height="{height}" src="data:image/jpeg;base64,{text}" alt="{escape(alt)}" loading="lazy"></div>'
    )


def _row(stage: CheckStage) -> dict[str, object]:
    each = stage.similarity
    figures = {"spearman": each.spearman, "pearson": each.pearson, "ssim": each.ssim}
    return {"name": stage.name, **{key: None if math.isnan(x) else round(x, 6) for key, x in figures.items()}}


def _text(figure: float) -> str:
    return "–" if math.isnan(figure) else f"{figure:.2f}".replace("-", "−")
