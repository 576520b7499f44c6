"""Pictures of one explained finding: the film with map, box and legend, at its own size and smaller."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mammo_monai.records import Box
from mammo_monai.reports.pictures.overlays import region_around
from mammo_monai.reports.saliency.colours import heat_colours, heat_over_film

LEGEND = "Which pixels raised this score; not a diagnosis."
OVERLAY_SIZE = (960, 1200)
CROP_PX = 384  # twice the size on the page
CROP_CONTEXT = 3.0  # side of a crop in longest sides of its box
_BOX, _HALO, _INK = "#ffffff", "#101010", "#f2f2f4"
_MIN_FONT_PX = 11


@dataclass(frozen=True, eq=False)
class ExplainedFilm:
    """A film, the map on it and what was asked about.

    Attributes:
        film: (H, W), in [0, 1], original pixels. values: the map, same shape, in [0, 1].
        box: original pixels; None for the score of a whole image.
        score: the model's. method: of the map.
    """

    film: NDArray[np.float32]
    values: NDArray[np.float32]
    box: Box | None
    score: float
    method: str


def overlay_picture(shown: ExplainedFilm) -> Image.Image:
    """The film with map, box and score, made to fit `OVERLAY_SIZE`, on a strip that says what it shows."""
    height, width = shown.film.shape
    scale = min(OVERLAY_SIZE[0] / width, OVERLAY_SIZE[1] / height, 1.0)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    picture = Image.fromarray(heat_over_film(shown.film, shown.values))
    picture = picture.resize(size, Image.Resampling.LANCZOS)
    _draw_box(picture, shown, scale, line_px=2)
    strip = _legend_strip(max(size[0], 360), shown.method)
    whole = Image.new("RGB", (strip.width, size[1] + strip.height), _HALO)
    whole.paste(picture, ((strip.width - size[0]) // 2, 0))
    whole.paste(strip, (0, size[1]))
    return whole


def capture_picture(shown: ExplainedFilm) -> NDArray[np.uint8]:
    """RGB (H, W, 3) of exactly the film's rows and columns, with box, score and legend drawn in.

    Fit for a DICOM Secondary Capture: PHOTOMETRIC INTERPRETATION RGB, 8 bits (PS3.3 A.8, C.7.6.3). The legend
    lies in the darkest corner.
    """
    picture = Image.fromarray(heat_over_film(shown.film, shown.values))
    _draw_box(picture, shown, 1.0, line_px=max(2, round(max(picture.size) / 800)))
    strip = _legend_strip(picture.width // 2, shown.method)
    if strip.width <= picture.width and 2 * strip.height <= picture.height:
        picture.paste(strip, _darkest_corner(shown.film, strip.size))
    return np.asarray(picture)


def crop_pair(shown: ExplainedFilm) -> tuple[Image.Image, Image.Image]:
    """The film around the box, and the same with map and box; the whole film where there is no box."""
    height, width = shown.film.shape
    region = (0.0, 0.0, float(width), float(height))
    if shown.box is not None:
        region = region_around(shown.box, width, height, factor=CROP_CONTEXT)
    left, top, right, bottom = (round(each) for each in region)
    part = (slice(top, bottom), slice(left, right))
    scale = CROP_PX / max(right - left, bottom - top)
    size = (max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale)))
    grey = np.clip(shown.film[part] * 255.0 + 0.5, 0, 255).astype(np.uint8)
    plain = Image.fromarray(grey).resize(size, Image.Resampling.LANCZOS).convert("RGB")
    heat = Image.fromarray(heat_over_film(shown.film[part], shown.values[part]))
    heat = heat.resize(size, Image.Resampling.LANCZOS)
    _draw_box(heat, shown, scale, line_px=2, origin=(left, top), has_text=False)
    return plain, heat


def _draw_box(
    picture: Image.Image,
    shown: ExplainedFilm,
    scale: float,
    *,
    line_px: int,
    origin: tuple[int, int] = (0, 0),
    has_text: bool = True,
) -> None:
    """White with a dark halo: seen on film and on every colour of the map; the score stands on a plate."""
    draw = ImageDraw.Draw(picture)
    text = f"{shown.score:.2f}"
    corner = (0.0, 0.0)
    if shown.box is not None:
        x_min, y_min, x_max, y_max = ((edge - origin[n % 2]) * scale for n, edge in enumerate(shown.box))
        outer = [x_min - line_px, y_min - line_px, x_max + line_px, y_max + line_px]
        draw.rectangle(outer, outline=_HALO, width=3 * line_px)
        draw.rectangle([x_min, y_min, x_max, y_max], outline=_BOX, width=line_px)
        corner = (x_min, y_min)
    if has_text:
        font = _font(max(16, 9 * line_px))
        left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
        width, height = right - left + 8, bottom - top + 8
        x = min(max(corner[0], 0), max(picture.width - width, 0))
        y = corner[1] - height - 2 * line_px
        y = y if y >= 0 else max(corner[1], 0) + 3 * line_px
        draw.rectangle((x, y, x + width, y + height), fill=_HALO)
        draw.text((x + 4 - left, y + 4 - top), text, fill=_BOX, font=font)


def _legend_strip(width: int, method: str) -> Image.Image:
    """A colour bar from low to high and what the picture shows, as wide as asked, in letters that fit."""
    draw = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    at_hundred = draw.textlength(LEGEND, font=_font(100)) / 100
    letter = max(_MIN_FONT_PX, min(0.94 * width / at_hundred, width / 24))
    font, small = _font(letter), _font(0.85 * letter)
    pad = letter * 0.5
    strip = Image.new("RGB", (width, round(4.4 * letter)), _HALO)
    draw = ImageDraw.Draw(strip)
    draw.text((pad, pad), LEGEND, fill=_INK, font=font)
    y = pad + 1.7 * letter
    draw.text((pad, y), "low", fill=_INK, font=small)
    start = pad + draw.textlength("low ", font=small) + pad
    bar = heat_colours(np.linspace(0, 1, max(2, round(width * 0.3)), dtype=np.float32))
    band = np.repeat(bar[None].astype(np.uint8), max(1, round(0.7 * letter)), axis=0)
    strip.paste(Image.fromarray(band), (round(start), round(y + 0.3 * letter)))
    draw.text((start + band.shape[1] + pad, y), f"high   {method}", fill=_INK, font=small)
    return strip


def _darkest_corner(film: NDArray[np.float32], size: tuple[int, int]) -> tuple[int, int]:
    height, width = film.shape
    corners = [(x, y) for y in (height - size[1], 0) for x in (width - size[0], 0)]
    return min(corners, key=lambda at: float(film[at[1] : at[1] + size[1], at[0] : at[0] + size[0]].mean()))


def _font(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=size)
