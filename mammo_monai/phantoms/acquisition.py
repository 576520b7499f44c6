"""What film and detector make of attenuation: stored pixel values, with the traces of their making."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mammo_monai.phantoms.labels import lead_letters
from mammo_monai.phantoms.scene import Scene
from mammo_monai.phantoms.texture import FloatImage, Grid, tiled
from mammo_monai.records import Laterality

FILM_RIM_MM = 24.0
DIGITAL_RIM_MM = 7.0
STORED_MAX = 2**14 - 1
Pixels = NDArray[np.uint16]


@dataclass(frozen=True, eq=False)
class DigitalImage:
    """Stored values of a digital mammogram and how they are to be shown.

    Attributes:
        pixels: shape (H, W), 14 bits. is_monochrome1: low values are bright.
        window: `(centre, width)` of stored values, or None.
        voi_lut: output for each stored value, shape (16384,), or None. voi_lut_bits: of its output.
    """

    pixels: Pixels
    is_monochrome1: bool
    window: tuple[int, int] | None
    voi_lut: Pixels | None
    voi_lut_bits: int = 16


def film_look(scene: Scene, rng: np.random.Generator) -> Pixels:
    """A scanned film: 16 bits, bright breast on black, lead letters, scanner borders, dust and scratches."""
    exposure, gain = float(rng.uniform(0.04, 0.10)), float(rng.uniform(1.12, 1.4))
    contrast = float(rng.uniform(1.05, 1.4))
    density = np.clip((scene.attenuation - np.float32(exposure)) * np.float32(gain), 0, None)
    np.power(density, np.float32(contrast), out=density)
    density += _grain(rng, scene.grid, 0.009) * (density > 0.004)
    _add_letters(density, rng, scene)
    _add_dust(density, rng, scene.grid)
    _add_borders(density, rng, scene.grid)
    np.clip(density, 0, 1, out=density)
    density *= 65535
    pixels: Pixels = density.astype(np.uint16)
    return pixels


def digital_look(scene: Scene, rng: np.random.Generator) -> DigitalImage:
    """A processed digital mammogram: 14 bits on empty background, shown plainly, by window or by VOI LUT."""
    level, gain = float(rng.uniform(0.0, 0.35)), float(rng.uniform(0.75, 1.05))
    shown = (scene.attenuation * np.float32(gain) + np.float32(level)) * scene.coverage
    shown += _grain(rng, scene.grid, 0.007) * (scene.coverage > 0.02)
    kind = str(rng.choice(("plain", "window", "lut"), p=(0.5, 0.3, 0.2)))
    span = 3200.0 if kind == "plain" else 9800.0
    pixels = np.clip(shown * np.float32(span), 0, STORED_MAX).astype(np.uint16)
    is_monochrome1 = bool(rng.random() < 0.25)
    centre, width = round(span * (0.5 * gain + level)), round(span * 1.25 * gain)
    lut_bits = int(rng.choice((12, 16)))
    lut = _sigmoid_lut(centre, width, lut_bits)
    if is_monochrome1:
        pixels, centre, lut = STORED_MAX - pixels, STORED_MAX - centre, np.uint16(2**lut_bits - 1) - lut[::-1]
    window = (centre, width) if kind == "window" else None
    return DigitalImage(pixels, is_monochrome1, window, lut if kind == "lut" else None, lut_bits)


def _sigmoid_lut(centre: int, width: int, bits: int) -> Pixels:
    stored = np.arange(STORED_MAX + 1, dtype=np.float64)
    shown = 1 / (1 + np.exp(-4 * (stored - centre) / width))
    lut: Pixels = np.round(shown * (2**bits - 1)).astype(np.uint16)
    return lut


def _grain(rng: np.random.Generator, grid: Grid, deviation: float) -> FloatImage:
    # Grain averages out over larger pixels: its deviation falls with their side, not below a third.
    scale = deviation * max(0.07 / grid.spacing_mm, 0.33)
    tile = rng.standard_normal((509, 503), dtype=np.float32) * np.float32(scale)
    return tiled(tile, grid)


def _add_letters(density: FloatImage, rng: np.random.Generator, scene: Scene) -> None:
    text = scene.case.laterality.value + scene.view_position.value
    turn = float(rng.choice((0, -45, -45, 45, 90))) + float(rng.normal(0, 4))
    height_mm, brightness = float(rng.uniform(6, 10)), np.float32(rng.uniform(0.3, 1.0))
    letters = lead_letters(text, height_mm=height_mm, turn_deg=turn, spacing_mm=scene.grid.spacing_mm)
    rows, columns = letters.shape
    for _ in range(60):
        row = int(rng.uniform(0.02, 0.35) * density.shape[0])
        column = int(rng.uniform(0.45, 0.97) * density.shape[1]) - columns // 3
        column = min(column, density.shape[1] - columns // 2)
        if scene.case.laterality is Laterality.RIGHT:
            column = density.shape[1] - column - columns
        first, last = max(column, 0), min(column + columns, density.shape[1])
        window = (slice(row, row + rows), slice(first, last))
        if last > first and row + rows <= density.shape[0] and not scene.coverage[window].any():
            shown = letters[:, first - column : last - column] * brightness
            np.maximum(density[window], shown, out=density[window])
            return


def _add_dust(density: FloatImage, rng: np.random.Generator, grid: Grid) -> None:
    for _ in range(int(rng.integers(4, 30))):
        row, column = int(rng.integers(0, grid.rows)), int(rng.integers(0, grid.columns))
        size = max(1, round(float(rng.uniform(0.1, 0.35)) / grid.spacing_mm))
        density[row : row + size, column : column + size] += np.float32(rng.uniform(0.08, 0.6))
    for _ in range(int(rng.integers(0, 3))):
        length = int(rng.uniform(8, 60) / grid.spacing_mm)
        start, slope = rng.uniform(0, 1, 2) * (grid.rows, grid.columns), float(rng.normal(0, 0.15))
        steps = np.arange(length)
        rows = np.clip(start[0] + steps, 0, grid.rows - 1).astype(np.intp)
        columns = np.clip(start[1] + slope * steps, 0, grid.columns - 1).astype(np.intp)
        density[rows, columns] += np.float32(rng.uniform(0.04, 0.12))


def _add_borders(density: FloatImage, rng: np.random.Generator, grid: Grid) -> None:
    x, y = grid.x_mm, grid.y_mm
    for share, along, away in (
        (0.5, x, y),
        (0.5, x, grid.height_mm - y),
        (0.3, y, x),
        (0.2, y, grid.width_mm - x),
    ):
        if rng.random() > share:
            continue
        thick, slope = float(rng.uniform(0.3, 2.4)), float(rng.normal(0, 0.007))
        ramp = np.clip((thick + slope * (along - along.mean()) - away) / grid.spacing_mm + 0.5, 0, 1)
        np.maximum(density, ramp, out=density)
    if rng.random() < 0.5:
        _round_corners(density, grid, float(rng.uniform(3, 7)))


def _round_corners(density: FloatImage, grid: Grid, radius_mm: float) -> None:
    size = min(round(radius_mm / grid.spacing_mm), grid.rows // 4, grid.columns // 4)
    step = np.arange(size, dtype=np.float32) + 0.5
    corner = np.clip(np.hypot(size - step[:, None], size - step[None, :]) - size + 0.5, 0, 1)
    for rows, columns, shown in (
        (slice(0, size), slice(0, size), corner),
        (slice(0, size), slice(-size, None), corner[:, ::-1]),
        (slice(-size, None), slice(0, size), corner[::-1]),
        (slice(-size, None), slice(-size, None), corner[::-1, ::-1]),
    ):
        if size:
            np.maximum(density[rows, columns], shown, out=density[rows, columns])
