"""Cards of explained findings, as a page of their own and as a section of a report; nothing is fetched."""

from __future__ import annotations

import base64
import logging
from collections.abc import Mapping, Sequence
from html import escape
from io import BytesIO
from pathlib import Path

from PIL import Image

from mammo_monai import __version__
from mammo_monai.files import write_text_atomic
from mammo_monai.reports.page.shell import INTENDED_USE, html_page, stylesheet
from mammo_monai.reports.saliency.notes import SaliencyNote, file_paths, read_notes
from mammo_monai.reports.saliency.pictures import LEGEND
from mammo_monai.schema.model_line import model_line

logger = logging.getLogger(__name__)
MAX_CARDS = 300
_THUMBNAIL = (300, 420)
HOW_TO_READ = (
    "Each colour is relative to its own picture: bright marks where this map is highest, whatever the score. "
    "A map shows what the network used, not what is there; it is no evidence for or against a mass."
)
_TITLE = "Which pixels raised these scores"
METHOD_TEXTS: Mapping[str, str] = {
    "gradcam": "Grad-CAM: channels of a layer, each weighted by its mean gradient.",
    "gradcam++": "Grad-CAM++: as Grad-CAM, with weights from higher powers of the gradient.",
    "local_gradcam": "Local Grad-CAM: channels of a layer times their own gradient, place by place.",
    "guided_backprop": "Guided back-propagation: positive gradients through positive activations, to pixels.",
    "occlusion": "Occlusion: how far the score falls when a square is flattened to its mean.",
}


def write_saliency_page(folder: Path, *, check: str = "") -> Path:
    """Writes `index.html` into a folder of saliency maps.

    Args:
        check: HTML of the sanity check, if one was made.

    Raises:
        ManifestError: no map in the folder. OSError: the page cannot be written.
    """
    notes = read_notes(folder)
    body = f"""<main class="saliency"><header><h1>{_TITLE}</h1>
<p class="notice">{escape(INTENDED_USE)}</p></header>
{saliency_section(folder, notes)}{check}{_footer(notes)}</main>"""
    path = folder / "index.html"
    write_text_atomic(path, html_page(_TITLE, body, styles=(stylesheet("saliency.css"),)))
    logger.info("wrote %s", path)
    return path


def saliency_section(folder: Path, notes: Sequence[SaliencyNote] | None = None) -> str:
    """The cards of a folder, highest score first, with how to read them; for a report's page.

    Raises:
        ManifestError: no map in the folder.
    """
    notes = read_notes(folder) if notes is None else notes
    methods = dict.fromkeys(note.method for note in notes)
    how = "".join(f"<p>{escape(METHOD_TEXTS.get(method, method))}</p>" for method in methods)
    cards = "".join(_card(folder, note) for note in notes[:MAX_CARDS])
    left_out = ""
    if len(notes) > MAX_CARDS:
        left_out = f'<p class="quiet">{len(notes) - MAX_CARDS} more lie in the folder.</p>'
    return (
        f'<section class="bare"><h2>Saliency</h2><p><b>{escape(LEGEND)}</b> {escape(HOW_TO_READ)}</p>{how}'
        f'<div class="explained">{cards}</div>{left_out}</section>'
    )


def _card(folder: Path, note: SaliencyNote) -> str:
    paths = file_paths(folder, note.stem)
    what = f"finding {note.number}" if note.box is not None else "whole image"
    pictures = "".join(
        f'<img src="{uri}" width="{width}" height="{height}" alt="{escape(text)}" loading="lazy">'
        for (uri, width, height), text in (
            (_embedded(paths["overlay"], _THUMBNAIL), f"the film with map, {what}"),
            (_embedded(paths["film_crop"]), "the film there"),
            (_embedded(paths["map_crop"]), "the same with the map"),
        )
    )
    layer = f", {escape(note.layer)}" if note.layer else ""
    nothing = " Nothing raised this score." if note.raw_maximum <= 0 else ""
    return (
        f'<figure class="why"><div class="views">{pictures}</div><figcaption><b>score {note.score:.2f}</b> '
        f"<span>{escape(note.record_id)}, {what}</span><small>{escape(note.method)}{layer}; brightest = "
        f"{note.raw_maximum:.3g} {escape(note.unit)}.{nothing}</small></figcaption></figure>"
    )


def _embedded(path: Path, size: tuple[int, int] | None = None) -> tuple[str, int, int]:
    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    if size is not None:
        picture.thumbnail(size, Image.Resampling.LANCZOS)
    stream = BytesIO()
    picture.save(stream, format="JPEG", quality=82, optimize=True)
    text = base64.b64encode(stream.getvalue()).decode("ascii")
    return f"data:image/jpeg;base64,{text}", picture.width, picture.height


def _footer(notes: Sequence[SaliencyNote]) -> str:
    models = dict.fromkeys(
        f"{model_line(each.model)}; weights SHA-256 {each.model.get('weights_sha256', 'not known')}"
        for each in notes
    )
    listed = "".join(f"<p>{escape(model)}</p>" for model in models)
    return f"<footer><h2>Provenance</h2>{listed}<p>Made by mammo-monai {escape(__version__)}.</p></footer>"
