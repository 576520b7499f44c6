"""Turns gallery cards into embedded pictures: the whole image and the finding close up."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, replace
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mammo_monai.records import Box, ImageRecord
from mammo_monai.reports.gallery.crops import made_of_images
from mammo_monai.reports.pictures.loading import ImageLoader
from mammo_monai.reports.pictures.overlays import Mark, draw_overlay, region_around

# Twice the size on the page, for dense screens.
_WHOLE_SIZE = (300, 420)
_DETAIL_SIZE = (420, 420)


@dataclass(frozen=True)
class Card:
    """One image of a gallery: the finding it is shown for, all marks, and what to say of it.

    Attributes:
        focus: box the detail view is about, original pixels.
    """

    record: ImageRecord
    focus: Box
    marks: tuple[Mark, ...]
    finding: str


@dataclass(frozen=True)
class Picture:
    """A JPEG as a data URI, with its size in pixels."""

    uri: str
    width: int
    height: int


@dataclass(frozen=True)
class CardPictures:
    """What is shown of a card, or why nothing is."""

    whole: Picture | None = None
    detail: Picture | None = None
    failure: str = ""


def render_cards(cards: Sequence[Card], load_image: ImageLoader) -> list[CardPictures]:
    """Pictures of each card, in order; see `made_of_images`."""
    return made_of_images(cards, load_image, _render, lambda why: CardPictures(failure=why))


def _render(pixels: NDArray[np.float32], card: Card) -> CardPictures:
    height, width = pixels.shape
    without_text = [replace(mark, text="") for mark in card.marks]
    return CardPictures(
        whole=_embedded(draw_overlay(pixels, without_text, size=_WHOLE_SIZE, line_px=3)),
        detail=_embedded(
            draw_overlay(
                pixels,
                card.marks,
                size=_DETAIL_SIZE,
                region=region_around(card.focus, width, height),
                line_px=3,
            )
        ),
    )


def _embedded(image: Image.Image) -> Picture:
    stream = BytesIO()
    # No chroma subsampling: it would smear the thin coloured lines.
    image.save(stream, format="JPEG", quality=82, subsampling=0, optimize=True)
    text = base64.b64encode(stream.getvalue()).decode("ascii")
    return Picture(f"data:image/jpeg;base64,{text}", image.width, image.height)
