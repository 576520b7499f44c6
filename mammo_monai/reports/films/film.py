"""A film as HTML: the picture, the breast's outline, and a box with a name round every annotated lesion.

Boxes are elements over the picture, not part of it: they stay sharp at any size and can be switched off.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from html import escape

import numpy as np

from mammo_monai.geometry import ImageFrame
from mammo_monai.records import LESION_LABELS, Box, ImageRecord, Lesion
from mammo_monai.reports.pictures.outlines import Point
from mammo_monai.reports.pictures.thumbnails import Thumbnail

# Light on black and told apart by colour-blind readers too; each kind has a line style and a name besides.
KIND_COLOURS = {
    "mass": "#3ddc84",
    "calcification": "#ffc23d",
    "asymmetry": "#6cc6ff",
    "distortion": "#ff9ad5",
    "other": "#e4e4e8",
}
MAX_MARKS = 150
_MAX_WORDS = 3
_TOP, _RIGHT = 0.06, 0.6  # boxes beyond these have no room above, or at their right
_LETTER_WIDTH, _NAME_HEIGHT = 0.03, 0.05  # of a film 280 px wide and 400 px high; smaller ones fare worse
_KINDS = {label: kind for kind, label in LESION_LABELS.items()}


@dataclass(frozen=True)
class Film:
    """What is shown of an image: a picture by its address, or why there is none.

    Attributes:
        source: address of the JPEG; "" where there is none. width, height: of the JPEG.
        outline: corners `(x, y)` of the breast region, in [0, 1].
        marks: one for each lesion, in the record's order. note: what is wrong with the picture, if anything.
    """

    source: str = ""
    width: int = 0
    height: int = 0
    outline: tuple[Point, ...] = ()
    marks: tuple[FilmMark, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class FilmMark:
    """A lesion on a film: its box as shares of the picture's width and height, its kind and its name."""

    box: Box
    kind: str
    name: str
    short: str
    is_dot: bool = False


def film_of(
    thumbnail: Thumbnail, source: str, record: ImageRecord | None, frame: ImageFrame | None = None
) -> Film:
    """The film of an image, with the lesions of its record; an image without a record has none.

    Boxes are left out, and the note says so, where the file has another size than expected.

    Args:
        thumbnail: its `jpeg` is not used. source: address of the JPEG.
        frame: from the original image to the file, for a prepared copy; None for an original.
    """
    film = Film(source, thumbnail.width, thumbnail.height, thumbnail.outline)
    if record is None:
        return film
    if record.prepared is not None and frame is None:
        return replace(film, note="A prepared copy: boxes are not drawn.")
    frame = frame or ImageFrame(record.width, record.height)
    size = (thumbnail.image_width, thumbnail.image_height)
    if size != frame.size:
        width, height = frame.size
        note = f"The file has {size[0]} × {size[1]} px, its record says {width} × {height}: no boxes drawn."
        return replace(film, note=note)
    return replace(film, marks=tuple(marks_of(record, frame)))


def marks_of(record: ImageRecord, frame: ImageFrame) -> Iterator[FilmMark]:
    """Marks of a record's lesions, numbered within their kind where there are several.

    A lesion outside the frame has no mark.

    >>> from pathlib import Path
    >>> lesions = (Lesion((2.0, 1.0, 4.0, 3.0)), Lesion((0.0, 0.0, 1.0, 1.0), type="asymmetry", label=2))
    >>> record = ImageRecord(Path("a.dcm"), "0" * 16, "p", width=8, height=4, lesions=lesions)
    >>> [(mark.name, mark.short, mark.box) for mark in marks_of(record, ImageFrame(8, 4))]
    [('mass', 'M', (0.25, 0.25, 0.5, 0.75)), ('asymmetry', 'A', (0.0, 0.0, 0.125, 0.25))]
    """
    width, height = frame.size
    shares = frame.to_model(record.boxes) / np.array([width, height, width, height])
    x_mins, y_mins, x_maxs, y_maxs = np.clip(shares, 0, 1).T.tolist()
    boxes = zip(x_mins, y_mins, x_maxs, y_maxs, strict=True)
    for (name, short), lesion, box in zip(lesion_names(record), record.lesions, boxes, strict=True):
        if box[0] < box[2] and box[1] < box[3]:
            yield FilmMark(box, kind_of(lesion), name, short, is_dot=lesion.is_dot)


def shares_of(box: Box, width: int, height: int) -> Box:
    """A box as shares of a picture's width and height, cut at its edges.

    >>> shares_of((-5.0, 10.0, 50.0, 40.0), 100, 80)
    (0.0, 0.125, 0.5, 0.5)
    """
    x_min, x_max = (min(max(edge / width, 0.0), 1.0) for edge in box[::2])
    y_min, y_max = (min(max(edge / height, 0.0), 1.0) for edge in box[1::2])
    return (x_min, y_min, x_max, y_max)


def lesion_names(record: ImageRecord) -> list[tuple[str, str]]:
    """A long and a short name for each lesion: ("mass 2", "M2"), without number where it is alone."""
    kinds = [kind_of(lesion) for lesion in record.lesions]
    numbers = [kinds[: n + 1].count(kind) if kinds.count(kind) > 1 else "" for n, kind in enumerate(kinds)]
    return [(f"{k} {n}".rstrip(), f"{k[0].upper()}{n}") for k, n in zip(kinds, numbers, strict=True)]


def kind_of(lesion: Lesion) -> str:
    """The kind a lesion is coloured and counted by: that of its label."""
    return _KINDS.get(lesion.label, "other")


def film_html(film: Film, text: str) -> str:
    """The picture on black with its marks, or a panel that says why there is none.

    Args:
        text: what the picture shows, for those who do not see it.
    """
    if not film.source:
        return f'<p class="stage missing"><span>No picture: {escape(film.note)}.</span></p>'
    outline = ""
    if film.outline:
        points = " ".join(f"{round(1000 * x)},{round(1000 * y)}" for x, y in film.outline)
        outline = (
            '<svg class="outline" viewBox="0 0 1000 1000" preserveAspectRatio="none" aria-hidden="true">'
            f'<polygon points="{points}"/></svg>'
        )
    note = f'<p class="note">{escape(film.note)}</p>' if film.note else ""
    return (
        f'<div class="stage"><div class="film" style="--ratio:{film.width / film.height:.4f}">'
        f'<img src="{escape(film.source)}" width="{film.width}" height="{film.height}" alt="{escape(text)}" '
        f'loading="lazy" decoding="sync">{outline}{_marks_html(film.marks)}</div>{note}</div>'
    )


def legend_html(kinds: Sequence[str]) -> str:
    """The key to the marks: colour, line, letter and name of each kind, and the breast's outline."""
    keys = "".join(
        f'<span class="key {kind}"><i></i>{kind[0].upper()} {kind}</span>'
        for kind in KIND_COLOURS
        if kind in kinds
    )
    return f'<p class="legend">{keys}<span class="key breast"><i></i>breast region, as found</span></p>'


def kind_variables() -> str:
    """Colours of the kinds as CSS variables; marks lie on films, which are dark in both themes."""
    return f":root{{{''.join(f'--{kind}:{colour};' for kind, colour in KIND_COLOURS.items())}}}\n"


def _marks_html(marks: Sequence[FilmMark]) -> str:
    named = sum(not mark.is_dot for mark in marks)
    crowded = " crowded" if named > _MAX_WORDS else ""
    more = ""
    if len(marks) > MAX_MARKS:
        more = f'<p class="note">{MAX_MARKS} of {len(marks)} marks drawn.</p>'
    sides = _name_sides(marks[:MAX_MARKS], has_short_names=bool(crowded))
    drawn = "".join(_mark_html(mark, side) for mark, side in zip(marks, sides, strict=False))
    return f'<div class="marks{crowded}" aria-hidden="true">{drawn}{more}</div>' if marks else ""


def _name_sides(marks: Sequence[FilmMark], *, has_short_names: bool) -> list[str]:
    """For each mark the classes that place its name: above, to the right, unless that hides another.

    Each in turn takes the corner outside its box where it covers least: of names placed before it, then of
    other boxes. Where corners tie, above wins unless the box lies at the top, right unless at the right.
    """
    sides: list[str] = []
    names: list[Box] = []
    boxes = [mark.box for mark in marks]
    for mark in marks:
        name = mark.short if has_short_names else mark.name
        if mark.is_dot or not name:
            sides.append("")
            continue
        vertical = ("", " under") if mark.box[1] > _TOP else (" under", "")
        across = ("", " leftward") if mark.box[0] < _RIGHT else (" leftward", "")
        corners = [upright + aside for upright in vertical for aside in across]
        places = [_name_box(mark.box, len(name), corner) for corner in corners]
        others = [box for box in boxes if box is not mark.box]
        costs = [(_off_film(place), _covered(place, names), _covered(place, others)) for place in places]
        best = min(range(len(corners)), key=costs.__getitem__)
        sides.append(corners[best])
        names.append(places[best])
    return sides


def _name_box(box: Box, letters: int, side: str) -> Box:
    """About where a name lies, as shares of a film of middling size on the page."""
    width, height = _LETTER_WIDTH * (letters + 1), _NAME_HEIGHT
    x_min = box[2] - width if "leftward" in side else box[0]
    y_min = box[3] if "under" in side else box[1] - height
    return (x_min, y_min, x_min + width, y_min + height)


def _off_film(place: Box) -> bool:
    return min(place) < 0 or max(place) > 1


def _covered(place: Box, others: Sequence[Box]) -> int:
    """How many of the others a place touches."""
    return sum(
        place[0] < x_max and x_min < place[2] and place[1] < y_max and y_min < place[3]
        for x_min, y_min, x_max, y_max in others
    )


def _mark_html(mark: FilmMark, sides: str) -> str:
    x_min, y_min, x_max, y_max = (100 * edge for edge in mark.box)
    if mark.is_dot:
        place = f"left:{(x_min + x_max) / 2:.2f}%;top:{(y_min + y_max) / 2:.2f}%"
        return f'<i class="mark dot {mark.kind}" style="{place}" title="{mark.name}"></i>'
    place = f"left:{x_min:.2f}%;top:{y_min:.2f}%;width:{x_max - x_min:.2f}%;height:{y_max - y_min:.2f}%"
    name = f'<b><span class="long">{mark.name}</span><span class="short">{mark.short}</span></b>'
    return f'<i class="mark {mark.kind}{sides}" style="{place}">{name}</i>'
