"""One page on films that a model marked: each with its masses and marks, what was found, what was missed."""

from __future__ import annotations

import base64
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import groupby
from pathlib import Path

from mammo_monai.files import write_text_atomic
from mammo_monai.metrics import match_detections
from mammo_monai.records import MASS_LABEL, Box, Detections, ImageRecord
from mammo_monai.reports.films.film import Film, FilmMark, film_html, shares_of
from mammo_monai.reports.page.shell import INTENDED_USE, html_page, main_of, stylesheet
from mammo_monai.reports.page.tables import html_table
from mammo_monai.reports.pictures.loading import ImageLoader
from mammo_monai.reports.pictures.overlays import MARK_COLOURS
from mammo_monai.reports.pictures.thumbnails import PictureError, load_any_image, make_thumbnail
from mammo_monai.reports.tables.table import Table
from mammo_monai.words import counted

logger = logging.getLogger(__name__)
_PICTURE_PX = 880  # twice the height on the page, for dense screens


@dataclass(frozen=True, eq=False)
class MarkedFilm:
    """A film, its truth and what is shown of the model's marks.

    Attributes:
        detections: those shown, at or above the operating point. name: of the film within its group.
        group: films of one group stand side by side. seconds: from file to marks; None if not measured.
    """

    record: ImageRecord
    detections: Detections
    name: str
    group: str = ""
    seconds: float | None = None


@dataclass(frozen=True)
class FilmPageText:
    """What the page says beside the films.

    Attributes:
        operating_point: from which score marks are shown, and what that gave where it was chosen.
        banner: one sentence in a coloured strip. how: sentences on what was done to the films.
        provenance: name and value of each thing the page was made from; no folders.
    """

    title: str = "Films, marked"
    operating_point: str = ""
    banner: str = ""
    how: str = ""
    provenance: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class _Scene:
    """A film with its marks, and the rows of the found masses, the hits and the marks beside."""

    film: MarkedFilm
    picture: Film
    found: tuple[tuple[int, int], ...]
    missed: tuple[int, ...]
    beside: tuple[int, ...]

    def score(self, row: int) -> float:
        return float(self.film.detections.scores[row])


def write_marked_films(
    path: Path,
    films: Sequence[MarkedFilm],
    *,
    text: FilmPageText | None = None,
    min_iou: float = 0.2,
    load_image: ImageLoader = load_any_image,
) -> None:
    """Writes the page: intended use, operating point, every film with its masses and marks, one table.

    A mark on a mass that another mark found already is drawn, and counts as neither hit nor false.

    Args:
        min_iou: a mark with a higher IoU finds a mass; see `match_detections`.
        load_image: grey values of an image path, shape (H, W), float32 in [0, 1].

    Raises:
        ValueError: no film. OSError: the page cannot be written.
    """
    if not films:
        raise ValueError("a page needs at least one film.")
    text = text or FilmPageText()
    scenes = [_scene(film, min_iou, load_image) for film in films]
    parts = [_header(scenes, text), _legend()]
    for group, members in groupby(scenes, key=lambda scene: scene.film.group):
        heading = f"<h2>{escape(group)}</h2>" if group else ""
        cards = "".join(_card(scene) for scene in members)
        parts.append(f'<section>{heading}<div class="films">{cards}</div></section>')
    parts += [_table(scenes, min_iou), _footer(text)]
    styles = (_colours(), stylesheet("film.css"), stylesheet("marked_films.css"))
    write_text_atomic(Path(path), html_page(text.title, main_of(parts), styles=styles))
    logger.info("wrote %s", path)


def _scene(film: MarkedFilm, min_iou: float, load_image: ImageLoader) -> _Scene:
    matches = match_detections(film.detections, film.record.lesions, min_iou=min_iou)
    rows = matches.index.tolist()
    lesions = matches.lesion_index.tolist()
    hits = [(lesions[each], rows[n]) for n, each in enumerate(matches.lesion.tolist()) if each >= 0]
    is_false = matches.is_false_positive().tolist()
    missed = [lesions[n] for n, each in enumerate(matches.detection.tolist()) if each < 0]
    beside = [rows[n] for n, each in enumerate(is_false) if each]
    scene = _Scene(film, Film(), tuple(sorted(hits)), tuple(missed), tuple(beside))
    return _Scene(film, _picture(scene, load_image), scene.found, scene.missed, scene.beside)


def _picture(scene: _Scene, load_image: ImageLoader) -> Film:
    record = scene.film.record
    try:
        made = make_thumbnail(record.image, size_px=_PICTURE_PX, load_image=load_image)
    except PictureError as error:
        logger.warning("record %s is shown without a picture: %s", record.record_id, error)
        return Film(note=str(error))
    data = base64.b64encode(made.jpeg).decode("ascii")
    film = Film(f"data:image/jpeg;base64,{data}", made.width, made.height, marks=tuple(_marks(scene)))
    size = (made.image_width, made.image_height)
    if size != (record.width, record.height):
        note = f"The file has {size[0]} × {size[1]} px, its record says {record.width} × {record.height}"
        return Film(film.source, film.width, film.height, note=f"{note}: no boxes drawn.")
    return film


def _marks(scene: _Scene) -> list[FilmMark]:
    """Masses first, so that marks lie over them; a found mass needs no name, its hit carries the score."""
    record, boxes = scene.film.record, scene.film.detections.boxes.tolist()

    def mark(box: Sequence[float], kind: str, name: str) -> FilmMark:
        place: Box = (box[0], box[1], box[2], box[3])
        return FilmMark(shares_of(place, record.width, record.height), kind, name, name)

    hits = {row for _, row in scene.found}
    masses = [n for n, lesion in enumerate(record.lesions) if lesion.label == MASS_LABEL]
    marks = [mark(record.lesions[n].box, "lesion", "missed" if n in scene.missed else "") for n in masses]
    for row, box in enumerate(boxes):
        if scene.film.detections.labels[row] == MASS_LABEL:
            kind = "hit" if row in hits else "false-positive" if row in scene.beside else "double"
            marks.append(mark(box, kind, f"{scene.score(row):.2f}"))
    return marks


def _header(scenes: Sequence[_Scene], text: FilmPageText) -> str:
    found, beside = sum(len(each.found) for each in scenes), sum(len(each.beside) for each in scenes)
    masses = found + sum(len(each.missed) for each in scenes)
    seconds = [each.film.seconds for each in scenes if each.film.seconds is not None]
    facts = [
        (f"{found} of {masses}", "masses marked"),
        (f"{beside}", f"mark{'' if beside == 1 else 's'} beside a mass, on {counted(len(scenes), 'film')}"),
    ]
    if seconds:
        facts.append((f"{sum(seconds) / len(seconds):.1f} s", "per film, from file to marks"))
    blocks = "".join(f"<li><b>{escape(value)}</b> {escape(what)}</li>" for value, what in facts)
    point = (
        f'<p class="point"><b>Operating point</b> {escape(text.operating_point)}</p>'
        if text.operating_point
        else ""
    )
    banner = f'<p class="banner" role="note">{escape(text.banner)}</p>' if text.banner else ""
    return f"""<header>
<h1>{escape(text.title)}</h1>
<p class="use">{escape(INTENDED_USE)}</p>
{banner}
<ul class="facts">{blocks}</ul>
{point}
</header>"""


def _legend() -> str:
    keys = {
        "lesion": "mass, as annotated",
        "hit": "mark on a mass, with its score",
        "false-positive": "mark beside a mass",
    }
    shown = "".join(f'<span class="key {kind}"><i></i>{name}</span>' for kind, name in keys.items())
    return f'<p class="legend">{shown}</p>'


def _card(scene: _Scene) -> str:
    lines = [f'<li class="found">found, score {scene.score(row):.2f}</li>' for _, row in scene.found]
    lines += ['<li class="missed">missed</li>' for _ in scene.missed]
    lines += [f'<li class="beside">beside, score {scene.score(row):.2f}</li>' for row in scene.beside]
    nothing = "" if lines else '<li class="quiet">no mass, no mark</li>'
    spoken = f"{scene.film.group}, {scene.film.name}: {_summary(scene)}".lstrip(", ")
    seconds = f"<small>{scene.film.seconds:.1f} s</small>" if scene.film.seconds is not None else ""
    return (
        f'<figure class="marked">{film_html(scene.picture, spoken)}<figcaption>'
        f"<b>{escape(scene.film.name)}</b>{seconds}"
        f"<ul>{''.join(lines)}{nothing}</ul></figcaption></figure>"
    )


def _summary(scene: _Scene) -> str:
    return (
        f"{counted(len(scene.found), 'mass')} found, {len(scene.missed)} missed, "
        f"{counted(len(scene.beside), 'mark')} beside"
    )


def _table(scenes: Sequence[_Scene], min_iou: float) -> str:
    rows = []
    for scene in scenes:
        seconds = scene.film.seconds
        rows.append(
            (
                f"{scene.film.group}, {scene.film.name}".lstrip(", "),
                f"{scene.film.record.width} × {scene.film.record.height}",
                f"{len(scene.found) + len(scene.missed)}",
                ", ".join(f"{scene.score(row):.2f}" for _, row in scene.found) or "–",
                f"{len(scene.missed)}" if scene.missed else "–",
                ", ".join(f"{scene.score(row):.2f}" for row in scene.beside) or "–",
                "–" if seconds is None else f"{seconds:.1f}",
            )
        )
    head = ("film", "pixels", "masses", "found, score", "missed", "marks beside, score", "seconds")
    caption = f"Every mass and every mark. A mark finds a mass when their IoU is above {min_iou:g}"
    return f"<section><h2>Film by film</h2>{html_table(Table(caption, head, tuple(rows)))}</section>"


def _footer(text: FilmPageText) -> str:
    how = f"<p>{escape(text.how)}</p>" if text.how else ""
    rows = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in text.provenance.items()
    )
    return f"<footer><h2>How this page was made</h2>{how}<dl>{rows}</dl></footer>"


def _colours() -> str:
    """Colours of the marks as CSS variables; marks lie on films, which are dark in both themes."""
    marks = {kind.replace(" ", "-"): colour for kind, colour in MARK_COLOURS.items()}
    return f":root{{{''.join(f'--{kind}-colour:{colour};' for kind, colour in marks.items())}}}\n"
