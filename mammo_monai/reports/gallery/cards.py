"""Turns gallery cards into embedded pictures: the whole image and the finding close up."""

from __future__ import annotations

import base64
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mammo_monai.errors import MammoError
from mammo_monai.records import Box, ImageRecord
from mammo_monai.reports.pictures.loading import ImageLoader
from mammo_monai.reports.pictures.overlays import Mark, draw_overlay, region_around

logger = logging.getLogger(__name__)

# Twice the size on the page, for dense screens.
_WHOLE_SIZE = (300, 420)
_DETAIL_SIZE = (420, 420)


@dataclass(frozen=True)
class Card:
    """One image of a gallery: the finding it is shown for, all marks, and what to say of it.

    Attributes:
        focus: box the detail view is about, original pixels.
        badness: cards are shown from the highest down.
    """

    record: ImageRecord
    focus: Box
    marks: tuple[Mark, ...]
    finding: str
    badness: float


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
    """Pictures of each card, in order; every image is read once.

    An image that cannot be read, or has another size than its record says, gives a card without pictures and
    a warning: the figures of the report do not depend on it.
    """
    pictures: list[CardPictures] = [CardPictures()] * len(cards)
    by_image: dict[Path, list[int]] = {}
    for number, card in enumerate(cards):
        by_image.setdefault(card.record.image, []).append(number)
    for path, numbers in by_image.items():
        record = cards[numbers[0]].record
        try:
            pixels = load_image(path)
        except (OSError, MammoError) as error:
            logger.warning("record %s is shown without pictures: %s", record.record_id, error)
            failure = "The image could not be read."
        else:
            height, width = pixels.shape
            failure = ""
            if (width, height) != (record.width, record.height):
                failure = (
                    f"The image has {width} × {height} px, its record says {record.width} × {record.height}."
                )
                logger.warning("record %s is shown without pictures: %s", record.record_id, failure)
        for number in numbers:
            pictures[number] = CardPictures(failure=failure) if failure else _render(cards[number], pixels)
    return pictures


def _render(card: Card, pixels: NDArray[np.float32]) -> CardPictures:
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
