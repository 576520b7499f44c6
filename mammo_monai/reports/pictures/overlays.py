"""Draws truth and detections on a mammogram: lesions green and solid, detections dashed with a score."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mammo_monai.records import Box

MarkKind = Literal["lesion", "hit", "false positive"]
# Told apart without colour too: lesions are solid, detections dashed and carry a score.
MARK_COLOURS: dict[MarkKind, str] = {"lesion": "#3ddc84", "hit": "#ffb000", "false positive": "#ff6b4a"}
_HALO = "#101010"
_DASH_PX, _GAP_PX = 9, 6


@dataclass(frozen=True)
class Mark:
    """A box to draw, original pixels, with its kind and a short text such as the score."""

    box: Box
    kind: MarkKind
    text: str = ""


def draw_overlay(
    pixels: NDArray[np.float32],
    marks: Sequence[Mark],
    *,
    size: tuple[int, int] = (480, 640),
    region: Box | None = None,
    line_px: int = 2,
) -> Image.Image:
    """An RGB picture of the image, or of a region of it, scaled to fit `size`, with the marks on it.

    Boxes follow the pixels: a box edge at x lies at `(x - x_min of the region) * scale`. Lines have a dark
    halo, so they stand out on bright tissue and on black.

    Args:
        pixels: shape (H, W), in [0, 1]. region: original pixels, cut at the image's border; None for all.
        size: largest width and height of the picture.
    """
    height, width = pixels.shape
    x_min, y_min, x_max, y_max = _whole_pixels(
        region or (0.0, 0.0, float(width), float(height)), width, height
    )
    grey = np.clip(pixels[y_min:y_max, x_min:x_max] * 255.0 + 0.5, 0, 255).astype(np.uint8)
    scale = min(size[0] / (x_max - x_min), size[1] / (y_max - y_min))
    to_size = (max(1, round((x_max - x_min) * scale)), max(1, round((y_max - y_min) * scale)))
    picture = Image.fromarray(grey).resize(to_size, Image.Resampling.LANCZOS).convert("RGB")
    scale_x, scale_y = to_size[0] / (x_max - x_min), to_size[1] / (y_max - y_min)
    draw = ImageDraw.Draw(picture)
    for mark in marks:
        left, top, right, bottom = mark.box
        placed = (
            (left - x_min) * scale_x,
            (top - y_min) * scale_y,
            (right - x_min) * scale_x,
            (bottom - y_min) * scale_y,
        )
        if placed[0] < to_size[0] and placed[1] < to_size[1] and placed[2] > 0 and placed[3] > 0:
            _draw_box(draw, placed, mark, line_px)
    return picture


def region_around(box: Box, width: int, height: int, *, factor: float = 3.0) -> Box:
    """A square inside the image about a box: `factor` times its longest side, at least 1/8 of the image's.

    Box and square are `(x_min, y_min, x_max, y_max)` in original pixels.
    """
    wanted = max(factor * max(box[2] - box[0], box[3] - box[1]), max(width, height) / 8)
    side_x, side_y = min(wanted, width), min(wanted, height)
    x_min = min(max((box[0] + box[2] - side_x) / 2, 0.0), width - side_x)
    y_min = min(max((box[1] + box[3] - side_y) / 2, 0.0), height - side_y)
    return (x_min, y_min, x_min + side_x, y_min + side_y)


def _whole_pixels(region: Box, width: int, height: int) -> tuple[int, int, int, int]:
    x_min, y_min = max(0, int(region[0])), max(0, int(region[1]))
    x_max, y_max = min(width, int(np.ceil(region[2]))), min(height, int(np.ceil(region[3])))
    if x_max <= x_min or y_max <= y_min:
        raise ValueError(f"region {region} lies outside the image of {width} × {height} px (width × height).")
    return x_min, y_min, x_max, y_max


def _draw_box(draw: ImageDraw.ImageDraw, box: Box, mark: Mark, line_px: int) -> None:
    colour = MARK_COLOURS[mark.kind]
    corners = [(box[0], box[1]), (box[2], box[1]), (box[2], box[3]), (box[0], box[3]), (box[0], box[1])]
    sides = list(pairwise(corners))
    for width, fill in ((line_px + 2, _HALO), (line_px, colour)):
        for start, end in sides:
            pieces = [(start, end)] if mark.kind == "lesion" else list(_dashes(start, end, line_px))
            for piece in pieces:
                draw.line(piece, fill=fill, width=width)
    if mark.text:
        _draw_text(draw, box, mark.text, colour, line_px)


def _dashes(
    start: tuple[float, float], end: tuple[float, float], line_px: int
) -> Iterator[tuple[tuple[float, float], tuple[float, float]]]:
    """Pieces of an axis-aligned line, dash by dash."""
    length = abs(end[0] - start[0]) + abs(end[1] - start[1])
    step_x, step_y = np.sign(end[0] - start[0]), np.sign(end[1] - start[1])
    dash, period = _DASH_PX * line_px / 2, (_DASH_PX + _GAP_PX) * line_px / 2
    for begin in np.arange(0.0, max(length, 1e-6), period):
        stop = min(begin + dash, length)
        yield (
            (start[0] + step_x * begin, start[1] + step_y * begin),
            (start[0] + step_x * stop, start[1] + step_y * stop),
        )


def _draw_text(draw: ImageDraw.ImageDraw, box: Box, text: str, colour: str, line_px: int) -> None:
    """The text on a dark plate above the box, or inside its top where the picture ends."""
    font = ImageFont.load_default(size=8 + 6 * line_px)
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    width, height = right - left + 6, bottom - top + 6
    x = min(max(box[0], 0), max(draw.im.size[0] - width, 0))
    y = box[1] - height - line_px if box[1] - height - line_px >= 0 else max(box[1], 0) + line_px
    draw.rectangle((x, y, x + width, y + height), fill=_HALO)
    draw.text((x + 3 - left, y + 3 - top), text, fill=colour, font=font)
