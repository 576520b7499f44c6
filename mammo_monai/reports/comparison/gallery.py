"""The pictures of a comparison page: changed images with both detectors' marks side by side."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from mammo_monai.reports.comparison.compared import Comparison, ImageChange
from mammo_monai.reports.comparison.pictures import CardPair, card_pair, galleries_of, render_pairs
from mammo_monai.reports.gallery.cards import Card, CardPictures, Picture
from mammo_monai.reports.gallery.items import view_text
from mammo_monai.reports.pictures.loading import ImageLoader
from mammo_monai.words import counted

_LEGEND = """<p class="legend"><span class="lesion">lesion as annotated</span>
<span class="hit">detection on a lesion</span> <span class="false-positive">false positive</span>
<span class="quiet">numbers are scores</span></p>"""


def pictures_section(
    comparison: Comparison, changes: Sequence[ImageChange], load_image: ImageLoader, *, per_gallery: int
) -> str:
    """A gallery of images with the best changes, one with the worst, one where gains and losses cancel.

    Args:
        changes: as `image_changes` orders them.
        per_gallery: most images in one gallery.
    """
    groups = galleries_of(changes)
    first, second = comparison.first.name, comparison.second.name
    blocks = [
        _gallery(comparison, title, group, load_image, per_gallery)
        for title, group in (
            (f"{second} does better than {first}", groups.better),
            (f"{second} does worse than {first}", groups.worse),
            ("Other lesions found, as many", groups.even),
        )
        if group
    ]
    body = "".join(blocks) or '<p class="quiet">No image differs at this operating point.</p>'
    return f"<section><h2>Images side by side at {comparison.fppi:g} FPPI</h2>{_LEGEND}{body}</section>"


def _gallery(
    comparison: Comparison,
    title: str,
    changes: Sequence[ImageChange],
    load_image: ImageLoader,
    per_gallery: int,
) -> str:
    shown = counted(len(changes), "image")
    if len(changes) > per_gallery:
        shown = f"{per_gallery} of {shown}"
    pairs = [card_pair(comparison, each) for each in changes[:per_gallery]]
    names = comparison.first.name, comparison.second.name
    figures = "".join(
        _pair(pair, pictures, names)
        for pair, pictures in zip(pairs, render_pairs(pairs, load_image), strict=True)
    )
    return (
        f"<h3>{escape(title)} <small>{shown}, largest change first</small></h3>"
        f'<div class="pairs">{figures}</div>'
    )


def _pair(pair: CardPair, pictures: tuple[CardPictures, CardPictures], names: tuple[str, str]) -> str:
    record = pair.first.record
    where = f"{view_text(record)} · <code>{escape(record.record_id)}</code>"
    if pictures[0].failure:
        sides = f'<p class="failure">{escape(pictures[0].failure)}</p>'
    else:
        sides = "".join(
            _side(card, each, name, number)
            for number, (card, each, name) in enumerate(
                zip((pair.first, pair.second), pictures, names, strict=True), start=1
            )
        )
    return (
        f'<figure class="twice"><figcaption><b>{escape(pair.finding)}</b> <span>{where}</span></figcaption>'
        f'<div class="sides">{sides}</div></figure>'
    )


def _side(card: Card, pictures: CardPictures, name: str, number: int) -> str:
    text = f"{view_text(card.record)}, record {card.record.record_id}, {name}: {card.finding}."
    shown = "".join(
        _img(picture, f"{kind}, {text}")
        for kind, picture in (("Whole image", pictures.whole), ("Close-up", pictures.detail))
        if picture
    )
    return (
        f'<div class="side" style="--own:var(--run-{number})"><p class="own"><span><b>{escape(name)}</b> '
        f'{escape(card.finding)}</span></p><div class="pictures">{shown}</div></div>'
    )


def _img(picture: Picture, text: str) -> str:
    return (
        f'<img src="{picture.uri}" width="{picture.width // 2}" height="{picture.height // 2}" '
        f'alt="{escape(text)}" decoding="sync">'
    )
